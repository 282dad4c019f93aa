"""kill -9 of everything while 200 reports come in: each one that got an id is processed exactly once."""
import http.client
import random
import signal
import threading
import time

from harness import multipart, ANNOTATIONS, wait_until
from victims import catch_walker, send_until_answered, victims

REPORTS = 400


def poster(datil, minidump, numbers, gate, accepted, failures):
    for i in numbers:  # each report its own crash time: the same one twice would be a resend
        gate.acquire()
        kind, body = multipart({**ANNOTATIONS, "Notes": f"report {i}", "CrashTime": str(1700000000 + i)},
                               {"upload_file_minidump": minidump})
        crash_id = send_until_answered(datil, kind, body, 60)
        if crash_id:
            accepted.append(crash_id)
        else:
            failures.append(i)


def test_kill_minus_nine_of_everything(fresh, minidump):
    datil = fresh
    accepted, failures = [], []
    gate = threading.Semaphore(0)  # reports are let through between the kills, not before them
    threads = [threading.Thread(target=poster, args=(datil, minidump, range(n, REPORTS, 4), gate, accepted, failures))
               for n in range(4)]
    for t in threads:
        t.start()
    rng = random.Random(20260101)
    killed = {}
    order = ["collector", "mover", "processor", "walker", "postgres", "mover", "collector", "walker", "processor",
             "collector parent", "processor parent", "webapp", "walker", "nginx worker", "nginx master"]
    turn = 0
    deadline = time.monotonic() + 60
    # Go round all victims at least twice, and on while reports still come in.
    while (turn < 2 * len(order) or any(t.is_alive() for t in threads)) and time.monotonic() < deadline:
        name = order[turn % len(order)]
        turn += 1
        if name == "walker":
            pids = catch_walker(sorted(victims(datil)["processor"]), gate.release)
        else:
            gate.release(REPORTS // (2 * len(order)) + 1)
            pids = sorted(victims(datil)[name])
        if pids and datil.kill(rng.choice(pids), signal.SIGKILL):
            killed[name] = killed.get(name, 0) + 1
        time.sleep(0.15)
    gate.release(REPORTS)
    for t in threads:
        t.join(120)
    print(f"killed: {killed}")
    assert not failures and len(accepted) == REPORTS and len(set(accepted)) == REPORTS
    for name in ("collector", "mover", "processor", "postgres", "walker", "nginx master"):
        assert killed.get(name), killed

    def all_processed():
        try:
            return datil.sql("SELECT count(*) FROM crash_ledger WHERE state = 'processed'")[0][0] >= REPORTS
        except Exception:  # the database is just coming back
            return False
    try:
        wait_until(all_processed, 40, "every report processed", 0.2)
    except AssertionError as late:
        raise AssertionError(f"{late}\n{datil.datil('doctor', check=False).output}\n{datil.logs()}") from None

    def answers():
        try:
            # Without a master it is an orphan that answers, and it ends in a moment.
            return victims(datil)["nginx master"] and datil.get("/__heartbeat__").status == 200
        except (OSError, http.client.HTTPException):
            return False
    wait_until(answers, 15, "the web server after its last death")

    # Exactly once, in every place that counts.
    ledger = [row[0] for row in datil.sql("SELECT crash_id FROM crash_ledger")]
    # Nothing lost, and nothing twice: a report sent again because its worker was killed is the same.
    assert sorted(ledger) == sorted(accepted)
    wait_until(lambda: datil.sql("SELECT count(*) FROM crash_queue")[0][0] == 0, 60, "an empty queue")
    assert datil.get("/api/SuperSearch/", {"product": "Crashme", "_results_number": 0}).json["total"] == len(ledger)
    for crash_id in accepted:
        assert datil.search(uuid=crash_id, _results_number=1)["total"] == 1
    done = datil.datil("doctor", check=False)
    assert done.returncode == 0, done.output
    # Each is counted, once and as its document says (those within seconds of the first as duplicates of it).
    assert datil.sql("SELECT sum(count + duplicates) FROM signature_hourly") == [(len(ledger),)]
    assert f"{len(ledger)} crashes recounted, 0 differences" in datil.datil("stats", "verify").stdout


def test_reports_are_taken_while_the_database_is_down(fresh, minidump):
    datil = fresh
    supervisor = int((datil.var / "run/datilctl.pid").read_text())
    datil.kill(supervisor, signal.SIGSTOP)  # nobody starts PostgreSQL again
    try:
        for pid in victims(datil)["postgres"]:
            datil.kill(pid, signal.SIGKILL)
        ids = [datil.post({"CrashTime": str(1700000000 + i)}, minidump) for i in range(5)]
        assert datil.get("/__heartbeat__").status >= 500
    finally:
        datil.kill(supervisor, signal.SIGCONT)
    for crash_id in ids:
        datil.wait_processed(crash_id, 60)
    done = datil.datil("doctor", check=False)
    assert done.returncode == 0, done.output
