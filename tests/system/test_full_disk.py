"""A full store: reports are taken and wait, results that are ready are kept, no attempt is counted, and all goes on
when there is room again."""
import os
import shutil
import subprocess

import pytest

from harness import Installation, wait_until

STORE_BYTES = 16 << 20


@pytest.fixture
def small_store():
    """An installation whose store is a file system of its own, of a few MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    it = Installation()
    store = it.var / "store"
    store.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={STORE_BYTES},mode=755", "datil-test", str(store)], check=True)
    try:
        with it:
            yield it
    finally:
        subprocess.run(["umount", str(store)], check=True)
        shutil.rmtree(it.dir, ignore_errors=True)


def fill(path):
    try:
        with open(path, "wb", buffering=0) as out:
            while out.write(b"x" * 4096):
                pass
    except OSError:
        pass


def test_full_store_costs_no_attempt(small_store, minidump):
    datil = small_store
    datil.wait_processed(datil.post({"CrashTime": "1700000000"}, minidump))
    parents, workers = datil.program_pids("datil-processor")
    for pid in parents | workers:
        datil.kill(pid, 19)
    ids = [datil.post({"CrashTime": str(1700000001 + i)}, minidump) for i in range(10)]
    wait_until(lambda: datil.sql("SELECT count(*) FROM crash_queue")[0][0] == len(ids), 30, "the backlog")
    fill(datil.var / "store/filler")
    for pid in parents | workers:
        datil.kill(pid, 18)
    wait_until(lambda: any(line["event"] == "db_away" and "No space" in line["error"]
                           for line in datil.log_lines("processor")), 30, "a worker that waits")
    ids += [datil.post({"CrashTime": str(1700001000 + i)}, minidump) for i in range(3)]  # the spool is elsewhere
    said = datil.datil("doctor", check=False)
    assert "disk space: 0 MiB" in said.stdout and "index rebuild" not in said.stdout, said.stdout
    assert datil.sql("SELECT max(attempts) FROM crash_queue") == [(0,)]
    assert datil.sql("SELECT count(*) FROM crash_ledger WHERE state NOT IN ('received', 'processed')") == [(0,)]
    (datil.var / "store/filler").unlink()
    for crash_id in ids:
        datil.wait_processed(crash_id, 60)
    wait_until(lambda: not datil.sql("SELECT 1 FROM crash_queue"), 20, "an empty queue")
    assert "crash " not in datil.datil("doctor", check=False).stdout
