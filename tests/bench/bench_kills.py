"""What a month of bad luck costs: reports come steadily while every 1-3 seconds something dies by kill -9.

Four clients post real dumps of the example; who gets no answer sends the same report again, as clients in the field
do.  Each report carries an id of its own in an annotation, so a report that became two crashes is seen.  At the end
everything acknowledged must be in store, ledger and index exactly once, doctor must be content, and `down` must leave no
process behind.  What is not so is a finding: exit status 1, and the directory stays (with KEEP=1 always).

    SECONDS=600 SEED=7 RATE=12 make bench BENCH=kills
"""
import collections
import json
import os
import random
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sample import Installation, add_symbols, real_dumps, wait_until
from harness import ANNOTATIONS, multipart
from victims import catch_walker, send_until_answered, victims

DURATION_S = int(os.environ.get("SECONDS", 60))
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 31)))
RATE = float(os.environ.get("RATE", 12))  # reports a second, of all clients
CLIENTS = 4
KINDS = ("collector", "collector parent", "mover", "webapp", "webapp parent", "symbols", "symbols parent", "processor",
         "processor parent", "walker", "cron", "nginx worker", "nginx master", "postgres backend", "postgres",
         "supervisor")
OUTAGE_MAX_S = 10
PATIENCE_S = 120  # of a client, before its report counts as refused


class Traffic:
    """The clients, and when each answer came."""

    def __init__(self, datil, dumps):
        self.datil, self.dumps = datil, dumps
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.posts, self.answers, self.refused = 0, [], []
        self.acknowledged = {}  # report -> (crash id, wall time)
        self.threads = [threading.Thread(target=self.post_steadily, args=(n / RATE,)) for n in range(CLIENTS)]

    def post_steadily(self, begin_s):
        due = time.monotonic() + begin_s
        self.stop.wait(begin_s)
        while not self.stop.is_set():
            with self.lock:
                number, self.posts = self.posts, self.posts + 1
            report = f"{SEED}-{number}"
            kind, body = multipart({**ANNOTATIONS, "KillRunReport": report, "CrashTime": str(1700000000 + number)},
                                   {"upload_file_minidump": self.dumps[number % len(self.dumps)]})
            crash_id = send_until_answered(self.datil, kind, body, PATIENCE_S)
            with self.lock:
                if crash_id:
                    self.acknowledged[report] = (crash_id, time.time())
                    self.answers.append(time.monotonic())
                else:
                    self.refused.append(report)
            # Behind after an outage a client does not catch up: programs crash when they crash.
            due = max(due + CLIENTS / RATE, time.monotonic() - CLIENTS / RATE)
            self.stop.wait(max(0, due - time.monotonic()))

    def outages(self, kills):
        """kind -> longest time without an answer that began or went on when one of that kind died."""
        longest = collections.Counter()
        times = sorted(self.answers)
        for before, after in zip(times, times[1:]):
            # What was on its way when somebody died may still be answered a moment later.
            blamed = [kind for at, kind in kills if before - 0.5 <= at <= after]
            kind = blamed[0] if blamed else "nobody"
            longest[kind] = max(longest[kind], after - before)
        return longest


def pick(datil, kind):
    """A process of that kind, or None: it may be between two lives."""
    try:
        if kind == "supervisor":
            return int((datil.var / "run/datilctl.pid").read_text())
        pids = catch_walker(victims(datil)["processor"]) if kind == "walker" else victims(datil)[kind]
    except (OSError, ValueError):
        return None
    return random.choice(sorted(pids)) if pids else None


def start_again(datil, findings):
    """What an administrator does after the supervisor's death."""
    for attempt in range(3):
        try:
            datil.ctl("up", "--no-demo")
            return
        except AssertionError as failed:
            findings.append(f"datilctl up after the supervisor's death, attempt {attempt + 1}: {str(failed)[:2000]}")


def kill_at_random(datil, findings):
    """[(when, kind)] of what died in DURATION_S."""
    kills = []
    end = time.monotonic() + DURATION_S
    while time.monotonic() < end:
        time.sleep(random.uniform(1, 3))
        kind = random.choice(KINDS)
        pid = pick(datil, kind)
        at = time.monotonic()
        if pid and datil.kill(pid):
            kills.append((at, kind))
            if kind == "supervisor":
                start_again(datil, findings)
    return kills


def rows(datil, query):
    """None while the database is just coming back."""
    try:
        return datil.sql(query)
    except Exception:  # noqa: BLE001 (psycopg2 is imported by the harness only)
        return None


def is_quiet(datil, count):
    done = rows(datil, "SELECT count(*) FROM crash_ledger WHERE state = 'processed'")
    waiting = rows(datil, "SELECT count(*) FROM crash_queue")
    spooled = [e for state in ("new", "moving", "unpublished") for e in (datil.var / "spool" / state).iterdir()]
    return done and waiting and done[0][0] >= count and waiting[0][0] == 0 and not spooled


def reports_in_store(datil):
    """report -> crash ids, by the annotation in the raw crashes."""
    found = collections.defaultdict(list)
    for path in (datil.var / "store").glob("*/raw_crash/*.json"):
        report = json.loads(path.read_text()).get("KillRunReport")
        if report:
            found[report].append(path.stem)
    return found


def compare(datil, traffic, findings):
    """(lost, doubled) reports; every difference between what was promised and what is there."""
    stored = reports_in_store(datil)
    ledger = {row[0]: row[1:] for row in datil.sql("SELECT crash_id, state, processed_at FROM crash_ledger")}
    processed = {p.stem for p in (datil.var / "store").glob("*/processed_crash/*.json")}
    ids = {crash_id: report for report, (crash_id, _) in traffic.acknowledged.items()}
    with ThreadPoolExecutor(CLIENTS) as pool:
        indexed = dict(zip(ids, pool.map(lambda i: datil.search(uuid=i, _results_number=1)["total"], ids)))
    lost, doubled = 0, 0
    for crash_id, report in ids.items():
        state = ledger.get(crash_id, ("unknown",))[0]
        places = {"raw crash": crash_id in stored[report], "processed crash": crash_id in processed,
                  "ledger": state == "processed", "index": indexed[crash_id] > 0}
        if not all(places.values()):
            lost += 1
            findings.append(f"lost: {report} {crash_id}: ledger {state}, "
                            f"not in {[place for place, there in places.items() if not there]}")
        if len(stored[report]) > 1 or indexed[crash_id] > 1:
            doubled += 1
            findings.append(f"doubled: {report} acknowledged as {crash_id}, stored as {stored[report]}, "
                            f"{indexed[crash_id]} times in the index")
    if len(ids) != len(traffic.acknowledged):
        findings.append(f"{len(traffic.acknowledged)} reports were acknowledged with {len(ids)} crash ids")
    total = datil.search(_results_number=0, _facets_size=0)["total"]
    if total != len(ledger):
        findings.append(f"the index counts {total} crashes, the ledger {len(ledger)}")
    late = [(ledger[crash_id][1].timestamp() - at, crash_id) for crash_id, at in traffic.acknowledged.values()
            if ledger.get(crash_id, ("",))[0] == "processed"]
    return lost, doubled, max(late, default=(0.0, "none"))


def leftovers(folder):
    """Processes that still have to do with the directory: by their files, or by their command."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            links = [os.readlink(entry / "cwd"), *(os.readlink(fd) for fd in (entry / "fd").iterdir())]
        except OSError:
            continue
        if str(folder) in command or any(link.startswith(str(folder)) for link in links):
            found.append(f"{entry.name} {command[:100]}")
    return found


def check_the_end(datil, traffic, before, findings):
    """Everything quiet, then every promise looked at; (lost, doubled, longest way) of the reports."""
    try:
        wait_until(lambda: is_quiet(datil, before + len(traffic.acknowledged)), 400, "everything to be processed", 0.5)
    except AssertionError as late:
        findings.append(str(late))
        wait_until(lambda: rows(datil, "SELECT 1"), 60, "the database")
    result = compare(datil, traffic, findings)
    done = datil.datil("doctor", check=False)
    if done.returncode:
        findings.append("doctor: " + "; ".join(line for line in done.output.splitlines() if line.startswith("problem")))
    try:
        datil.stop()
    except AssertionError as failed:
        findings.append(f"datilctl down: {failed}")
    findings.extend(f"left behind: {process}" for process in leftovers(datil.dir))
    return result


def wreck(datil, findings):
    """The run itself: (traffic, kills, what of the reports was found at the end)."""
    datil.start()
    add_symbols(datil)
    traffic = Traffic(datil, real_dumps(datil))
    before = datil.sql("SELECT count(*) FROM crash_ledger WHERE state = 'processed'")[0][0]
    for thread in traffic.threads:
        thread.start()
    try:
        kills = kill_at_random(datil, findings)
    finally:
        traffic.stop.set()
        for thread in traffic.threads:
            thread.join()
    return traffic, kills, check_the_end(datil, traffic, before, findings)


def tell(traffic, kills, reports, findings):
    lost, doubled, (longest_way, crash_id) = reports
    outages = traffic.outages(kills)
    count = collections.Counter(kind for _, kind in kills)
    longest = max(outages.values(), default=0.0)
    if longest > OUTAGE_MAX_S:
        findings.append(f"/submit was out for {longest:.1f} s")
    if traffic.refused:
        findings.append(f"{len(traffic.refused)} reports had no answer in {PATIENCE_S} s")
    print(f"posts {traffic.posts}, acknowledged {len(traffic.acknowledged)}, lost {lost}, doubled {doubled}")
    print(f"longest way from answer to processed: {longest_way:.1f} s ({crash_id})")
    print(f"{len(kills)} kills{'':16}number  longest time without an answer of /submit")
    for kind in (*KINDS, "nobody"):
        print(f"  {kind:22}{count[kind]:8}  {outages[kind]:8.2f} s")
    print(f"  {'all':22}{len(kills):8}  {longest:8.2f} s")
    for finding in findings:
        print(f"FINDING  {finding}")


def main():
    print(f"seed {SEED}, {DURATION_S} s, {RATE:g} reports/s from {CLIENTS} clients", flush=True)
    random.seed(SEED)
    findings = []
    datil = Installation()
    try:
        traffic, kills, reports = wreck(datil, findings)
    except BaseException:
        datil.close()
        raise
    tell(traffic, kills, reports, findings)
    if findings or os.environ.get("KEEP"):
        print(f"kept in {datil.dir}")
    else:
        shutil.rmtree(datil.dir, ignore_errors=True)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
