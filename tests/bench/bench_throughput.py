"""Sustained processing of the example's crashes: a backlog is built while the processor stands
still, then it runs; reports a second over the whole backlog.  Baseline of the same run: the bare
stack walker on the same dumps, one after the other."""
import os
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sample import BIN, Installation, add_symbols, real_dumps, wait_until

REPORTS = int(os.environ.get("BENCH_REPORTS", 3000))


def processed(datil):
    return datil.sql("SELECT count(*) FROM crash_ledger WHERE state = 'processed'")[0][0]


with Installation() as datil:
    add_symbols(datil)
    dumps = real_dumps(datil)
    before = processed(datil)
    parents, workers = datil.program_pids("datil-processor")
    for pid in parents | workers:
        datil.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: datil.post({"CrashTime": str(1700000000 + i)}, dumps[i % len(dumps)]), range(REPORTS)))
    posting = time.monotonic() - start
    wait_until(lambda: datil.sql("SELECT count(*) FROM crash_queue")[0][0] >= REPORTS, 120, "the backlog")
    start = time.monotonic()
    for pid in parents | workers:
        datil.kill(pid, signal.SIGCONT)
    wait_until(lambda: processed(datil) - before >= REPORTS, 600, "the backlog to be processed", 0.1)
    working = time.monotonic() - start

    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for i, dump in enumerate(dumps):
            path = Path(folder) / f"{i}.dmp"
            path.write_bytes(dump)
            paths.append(str(path))
        start = time.monotonic()
        rounds = 0
        while time.monotonic() - start < 5:
            for path in paths:
                subprocess.run([str(BIN / "datil-stackwalk"), "--json", "--symbols", str(datil.var / "symbols"),
                                "--symbols-cache", str(datil.var / "symcache"), path],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
                rounds += 1
        bare = rounds / (time.monotonic() - start)

print(f"{REPORTS} reports, {len(dumps)} different dumps, {os.cpu_count()} cores")
print(f"accepted (4 clients)                 {REPORTS / posting:8.1f} reports/s")
print(f"processed (walk, rules, store, index) {REPORTS / working:7.1f} reports/s")
print(f"baseline: datil-stackwalk alone, one at a time {bare:8.1f} walks/s; ratio {REPORTS / working / bare:.2f}")
