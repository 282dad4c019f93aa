"""`make run` in a fresh clone on a machine that has the packages: seconds to the first crash on its page."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from sample import wait_until
from harness import ROOT, free_port

where = Path(tempfile.mkdtemp(prefix="dt-clone-", dir="/tmp"))
where.chmod(0o755)
try:
    subprocess.run(["git", "clone", "-q", str(ROOT), str(where / "datil")], check=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DATIL_", "BUILD", "B", "MAKE", "MFLAGS"))}
    env["DATIL_PORT"] = str(free_port())
    start = time.monotonic()
    proc = subprocess.Popen(["make", "run"], cwd=where / "datil", env=env, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)
    marks, built = [], None
    for line in proc.stdout:
        now = time.monotonic() - start
        if line.startswith("Datil over") and built is None:
            built = now
        found = re.search(r"See it: (\S+)", line)
        if found:
            page = urllib.request.urlopen(found[1]).read().decode()
            assert "client/examples/" in page
            print(f"built after {built:.1f} s; first crashes on their pages after {time.monotonic() - start:.1f} s "
                  f"(of which starting and seven crashes: {time.monotonic() - start - built:.1f} s)")
            break
    else:
        print("make run ended without a crash on a page")
    os.killpg(proc.pid, signal.SIGINT)
    proc.wait(60)
finally:
    shutil.rmtree(where, ignore_errors=True)
