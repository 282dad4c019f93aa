"""1 GiB of symbols in archives of 64 MiB of text, three at a time, as the official client sends them.

Beside it, in the same run: the same archives unpacked by gzip and written, three at a time as well.
The ratio holds on another machine; the seconds do not.  Each is also told in processor time, which others on the
machine spoil less.  Memory is that of each process itself (anonymous pages), as mapped files are the page
cache's.  Meanwhile others ask for a file that is not there, and for the functions of a module.
"""
import concurrent.futures
import gzip
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

from sample import Installation, cpu_s, percentile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import multipart  # noqa: E402

TOTAL = int(os.environ.get("UPLOAD_MIB", "1024")) << 20
ARCHIVE, MEMBERS, AT_ONCE, WARM = 64 << 20, 4, 3, 10**9


def base_text(n):
    """Functions with lines: a third names, two thirds numbers, as in symbols of large programs."""
    out, size, i = [], 0, 0
    while size < n:
        name = hashlib.md5(b"%d" % i).hexdigest()
        lines = "".join(f"{i * 64 + k * 8:x} 8 {(i * 7 + k * 3) % 4000} {i % 97}\n" for k in range(8))
        out.append(f"FUNC {i * 64:x} 40 0 mozilla::{name[:12]}::{name[12:28]}(int, char const*)\n{lines}")
        size += len(out[-1])
        i += 1
    return "".join(out)


def archives(folder):
    text = base_text(ARCHIVE // MEMBERS)
    for number in range(TOTAL // ARCHIVE):
        with zipfile.ZipFile(folder / f"{number}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=6) as z:
            for m in range(MEMBERS):
                n = number * MEMBERS + m + 1
                z.writestr(f"lib{n}.so/{n:032X}0/lib{n}.so.sym",
                           f"MODULE Linux x86_64 {n:032X}0 lib{n}.so\n" + text.replace("mozilla", f"lib{n:04}", 50000))
        yield folder / f"{number}.zip"


def bare(folder, paths):
    """Seconds for gzip -d and a write of every member, of the clock and of processors."""
    packed = []
    for path in paths:
        with zipfile.ZipFile(path) as z:
            for name in z.namelist():
                packed.append(folder / (name.replace("/", "_") + ".gz"))
                packed[-1].write_bytes(gzip.compress(z.read(name), 6))

    def unpack(path):
        with open(folder / (path.name + ".out"), "xb") as out:
            subprocess.run(["gzip", "-dc", path], stdout=out, check=True)
    def used():
        u = resource.getrusage(resource.RUSAGE_CHILDREN)
        return u.ru_utime + u.ru_stime
    start, before = time.monotonic(), used()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(unpack, packed))
    os.sync()
    return time.monotonic() - start, used() - before


def symbolicate(datil):
    body = json.dumps({"jobs": [{"memoryMap": [["warm.so", f"{WARM:032X}0"]], "stacks": [[[0, 16 * i] for i in range(100)]]}]})
    asked = time.monotonic()
    answer = datil.request("POST", "/symbolicate/v5", body.encode(), {"Content-Type": "application/json"}, timeout_s=60)
    assert answer.status == 200 and answer.json["results"][0]["found_modules"][f"warm.so/{WARM:032X}0"], answer
    return time.monotonic() - asked


class Memory(threading.Thread):
    """The most anonymous memory of each kind of process."""
    def __init__(self, datil):
        super().__init__(daemon=True)
        self.datil, self.most, self.is_over = datil, {}, False

    def run(self):
        while not self.is_over:
            for pid, (_, comm, _) in self.datil.processes().items():
                try:
                    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                except OSError:
                    continue
                kib = sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Anonymous:"))
                self.most[comm] = max(self.most.get(comm, 0), kib)
            time.sleep(0.1)


def main():
    with tempfile.TemporaryDirectory(prefix="dt-bench-") as scratch:
        folder = Path(scratch)
        paths = list(archives(folder))
        plain, plain_cpu = bare(folder, paths)
        with Installation() as datil:
            datil.add_user("bench@example.org", "a long password", "--group", "Uploaders")
            token = datil.token("bench@example.org", "upload_symbols")
            warm = folder / "warm.sym"
            warm.write_text(f"MODULE Linux x86_64 {WARM:032X}0 warm.so\n" +
                            "".join(f"FUNC {i * 16:x} 10 0 warm_{i}\n" for i in range(1000)))
            datil.datil("symbols", "add", warm)
            symbolicate(datil)
            alone = percentile([symbolicate(datil) for _ in range(20)], 50)
            memory = Memory(datil)
            memory.start()

            def send(path):
                kind, body = multipart({}, {"symbols.zip": path.read_bytes()})
                answer = datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": token}, timeout_s=600)
                assert answer.status == 201, answer
            start, before, waits, symbolicated = time.monotonic(), cpu_s(datil), [], []
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
                jobs = [pool.submit(send, p) for p in paths]
                while any(not j.done() for j in jobs):  # others meanwhile
                    asked = time.monotonic()
                    datil.get(f"/symbols/no.so/{'A' * 33}/no.so.sym")
                    waits.append(time.monotonic() - asked)
                    symbolicated.append(symbolicate(datil))
                    time.sleep(0.2)
                for j in jobs:
                    j.result()
            took, cpu = time.monotonic() - start, cpu_s(datil) - before
            memory.is_over = True
            memory.join()
    mib = TOTAL >> 20
    print(f"uploads of {mib} MiB of symbols, {AT_ONCE} at a time: {took:.1f} s, {mib / took:.0f} MB/s; "
          f"gzip -d and write of the same: {plain:.1f} s, {mib / plain:.0f} MB/s; ratio {took / plain:.1f}")
    print(f"processor time: {cpu:.1f} s, of gzip {plain_cpu:.1f} s; ratio {cpu / plain_cpu:.1f}")
    print(f"a download meanwhile: {percentile(waits, 50) * 1000:.0f} ms, at most {max(waits) * 1000:.0f} ms")
    print(f"100 frames symbolicated meanwhile: {percentile(symbolicated, 50) * 1000:.0f} ms, at most {max(symbolicated) * 1000:.0f} ms; "
          f"before: {alone * 1000:.0f} ms")
    for comm, kib in sorted(memory.most.items(), key=lambda x: -x[1]):
        if comm.startswith("datil-sym"):
            print(f"memory of {comm}: {kib / 1024:.0f} MiB at most")


main()
