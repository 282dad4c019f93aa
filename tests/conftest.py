"""Fixtures: `datil` is one installation for all tests that only use it; `fresh` is one of its own
for tests that break things."""
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from harness import BIN, Installation  # noqa: E402


@pytest.fixture(scope="session")
def datil():
    with Installation() as it:
        yield it


@pytest.fixture
def fresh():
    with Installation() as it:
        yield it


@pytest.fixture(scope="session")
def minidump(tmp_path_factory):
    """A real minidump of a process that really crashed, made by the client library."""
    folder = tmp_path_factory.mktemp("dump")
    out = folder / "crash.dmp"
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        subprocess.run([str(BIN / "datil-client-handler"), "--dump-pid", str(sleeper.pid), "-o", str(out)],
                       check=True)
    finally:
        sleeper.kill()
        sleeper.wait()
    return out.read_bytes()
