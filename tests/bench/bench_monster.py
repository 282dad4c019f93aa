"""What dear searches of strangers do to everybody else: a million reports with fields in which no two agree.

Idle, then eleven searches in fifty seconds from one address (what once stalled all pages for 43 s and made four
workers of 670 MB), then twenty strangers at a time who ask again as soon as they are answered.  Meanwhile health checks
are timed and the memory of the workers is watched.  Usage: bench_monster.py [REPORTS]
"""
import collections
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

from sample import Installation, percentile

REPORTS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000000
ALL = {"date": ">=-180d", "_results_number": 0, "_facets_size": 10000}
MONSTERS = (
    {**ALL, "_facets": ["uuid", "url", "proto_signature", "app_notes", "address", "install_time", "modules_in_stack"]},
    {**ALL, "_aggs.signature.proto_signature": "address"},
    {**ALL, "_aggs.address.signature.version.platform": "_cardinality.install_time"},
    {**ALL, "_histogram.date": "signature", "_histogram_interval.date": "1s"},
    {**ALL, "_aggs.signature": ["_histogram.uptime", "_cardinality.install_time", "_cardinality.address"]},
    {**ALL, "_facets": ["_cardinality.install_time", "_cardinality.address", "_cardinality.app_notes"]},
    {**ALL, "_facets_size": 0, "_results_number": 1000, "_results_offset": 9000,
     "_sort": ["-proto_signature", "app_notes", "address"]},
    {**ALL, "_facets": "version", "app_notes": [f"~*{n}*device*{n}*" for n in range(250)]},
    {**ALL, "_facets": "version", "proto_signature": "@(.*a.{20}){2}"},
    {**ALL, "_aggs.modules_in_stack": "modules_in_stack"},
    {**ALL, "_facets": "signature", "proto_signature": [f"!frame{n}" for n in range(400)]},
)


def ask(datil, address, params=None, path="/api/SuperSearch/", timeout_s=200):
    """(status, seconds)"""
    conn = http.client.HTTPConnection("127.0.0.1", datil.port, timeout=timeout_s, source_address=(address, 0))
    began = time.monotonic()
    try:
        conn.request("GET", path + "?" + urllib.parse.urlencode(params or {}, doseq=True))
        answer = conn.getresponse()
        answer.read()
        return answer.status, time.monotonic() - began
    finally:
        conn.close()


def kib(pid, key):
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


class Watch:
    """Times health checks and looks at the memory of the workers until stop()."""

    def __init__(self, datil):
        self.datil, self.took, self.bad, self.anon, self.all, self.done = datil, [], 0, 0, 0, False
        self.threads = [threading.Thread(target=self.beat), threading.Thread(target=self.weigh)]
        for thread in self.threads:
            thread.start()

    def beat(self):
        while not self.done:
            try:
                status, took = ask(self.datil, "127.0.0.1", path="/__heartbeat__", timeout_s=100)
            except OSError:
                status, took = 0, 100
            self.took.append(took)
            self.bad += status != 200
            time.sleep(0.05)

    def weigh(self):
        while not self.done:
            for pid in self.datil.program_pids("datil-webapp")[1]:
                self.anon = max(self.anon, kib(pid, "RssAnon"))
                self.all = max(self.all, kib(pid, "VmRSS"))
            time.sleep(0.1)

    def stop(self, label, answers):
        self.done = True
        for thread in self.threads:
            thread.join()
        print(f"{label:34} heartbeat p50 {percentile(self.took, 50) * 1000:7.1f} ms  "
              f"worst {max(self.took) * 1000:8.1f} ms  failed {self.bad:3} of {len(self.took):4}   "
              f"worker at most {self.anon // 1024:4} MB of its own, {self.all // 1024:5} MB with mapped files   "
              f"{dict(sorted(collections.Counter(answers).items()))}", flush=True)


def strangers(datil, seconds):
    answers, until = [], time.monotonic() + seconds

    def one(n):
        while time.monotonic() < until:
            try:
                status = ask(datil, f"127.0.1.{n + 1}", MONSTERS[n % len(MONSTERS)])[0]
            except OSError:
                status = 0
            answers.append(status)
            time.sleep(0.2)
    threads = [threading.Thread(target=one, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def eleven(datil, seconds):
    answers = []

    def one(n):
        try:
            answers.append(ask(datil, "127.0.0.2", MONSTERS[n])[0])
        except OSError:
            answers.append(0)
    threads = []
    for n in range(11):
        threads.append(threading.Thread(target=one, args=(n,)))
        threads[-1].start()
        time.sleep(seconds / 11)
    for thread in threads:
        thread.join()
    return answers


index = Path(tempfile.mkdtemp(prefix="datil-monster-", dir="/tmp"))
try:
    index.chmod(0o755)
    maker = Path(os.environ["BUILD"]) / "bench/search"
    subprocess.run([str(maker), str(REPORTS), str(index)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["chmod", "-R", "a+rwX", str(index)], check=True)
    with Installation(INDEX_DIR=str(index), SEARCH_MAX_PER_ADDRESS="2") as datil:
        for params in MONSTERS[5], MONSTERS[0]:
            ask(datil, "127.0.0.3", params)  # the files of the index are in memory
        print(f"{REPORTS} reports")
        watch = Watch(datil)
        time.sleep(10)
        watch.stop("idle", [])
        for n, params in enumerate(MONSTERS):
            print(f"  monster {n:2} alone: {'%s in %.1f s' % ask(datil, '127.0.0.4', params)}")
        watch = Watch(datil)
        watch.stop("11 in 50 s, one address", eleven(datil, 50))
        watch = Watch(datil)
        watch.stop("20 strangers at a time, 60 s", strangers(datil, 60))
        watch = Watch(datil)
        time.sleep(5)
        watch.stop("idle again", [])
finally:
    shutil.rmtree(index, ignore_errors=True)
