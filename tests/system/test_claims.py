"""Claims whose answer was lost with the database go back at once, and are nobody's death."""
import signal
import socket

from pathlib import Path

import psycopg2

from harness import wait_until
from victims import victims


def name_of(pid):
    """A worker's name in the queue: host, number, start time."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return f"{socket.gethostname()}:{pid}-{stat[stat.rindex(')') + 2:].split()[19]}"


def test_claim_over_a_connection_that_broke_is_returned_at_once(fresh):
    """The state after a crash of PostgreSQL: the claim is committed, the idle worker never heard of it."""
    crash_id = fresh.post()
    fresh.wait_processed(crash_id)
    wait_until(lambda: not fresh.sql("SELECT 1 FROM crash_queue"), what="an empty queue")
    _, processes = fresh.program_pids("datil-processor")
    workers = next(line["workers"] for line in fresh.log_lines("processor") if line["event"] == "start")
    for pid in processes:
        fresh.kill(pid, signal.SIGSTOP)
    for n, pid in enumerate(sorted(processes)):
        fresh.sql("INSERT INTO crash_queue (crash_id, ruleset, queue, state, locked_by, locked_until) "
                  "VALUES (%s, %s, 1, 1, %s, now() + interval '5 minutes')", crash_id[:-9] + f"{n:02d}" + crash_id[-7:],
                  "default", name_of(pid))
    fresh.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'datil-processor%%'")
    for pid in processes:
        fresh.kill(pid, signal.SIGCONT)
    # The others care for index and queue: they claim nothing and return nothing.
    wait_until(lambda: fresh.sql("SELECT count(*) FROM crash_queue WHERE state = 1") == [(len(processes) - workers,)],
               20, "the claims to be returned")
    assert len(processes) > workers > 1
    fresh.sql("DELETE FROM crash_queue WHERE state = 1")
    assert not fresh.sql("SELECT 1 FROM crash_queue WHERE worker_deaths > 0")
    assert [line for line in fresh.log_lines("processor") if line["event"] == "claim_returned"]


def test_postgres_is_killed_while_crashes_are_taken(fresh):
    """kill -9 of the postmaster under load: all is processed soon after, and no death is counted."""
    ids = [fresh.post() for _ in range(30)]
    pid = int((fresh.var / "pg/postmaster.pid").read_text().split()[0])
    fresh.kill(pid, signal.SIGKILL)
    ids += [fresh.post() for _ in range(10)]
    for crash_id in ids:
        fresh.wait_processed(crash_id, 90)
    assert not [line for line in fresh.log_lines("processor") if line["event"] == "crash_given_back"]
    wait_until(lambda: not fresh.sql("SELECT 1 FROM crash_queue"), 20, "an empty queue")


def test_lease_that_ends_under_a_living_worker_is_no_death(fresh):
    """Fails when the message is not given back, is given back as a death, or is not worked off then."""
    crash_id = fresh.post()
    fresh.wait_processed(crash_id)
    (parent,), _ = fresh.program_pids("datil-processor")
    fresh.sql("INSERT INTO crash_queue (crash_id, queue, state, locked_by, locked_until) "
              "VALUES (%s, 1, 1, %s, now() - interval '1 minute')", crash_id, name_of(parent))
    wait_until(lambda: any(line["event"] == "crash_given_back" and line["msg"] == "lease ended"
                           for line in fresh.log_lines("processor")), 30, "the end of the lease")
    wait_until(lambda: not fresh.sql("SELECT 1 FROM crash_queue"), 20, "an empty queue")


def test_worker_that_ends_while_the_database_is_away_calls_no_crash_failed(fresh):
    """TERM while a result waits to be finished: the crash is as good as before, and is taken again soon."""
    crash_id = fresh.post()
    before = fresh.wait_processed(crash_id)
    supervisor = int((fresh.var / "run/datilctl.pid").read_text())
    locking = psycopg2.connect(f"host={fresh.var}/run/pg user=datil dbname=datil")
    locking.cursor().execute("LOCK TABLE crash_ledger IN SHARE ROW EXCLUSIVE MODE")
    fresh.sql("INSERT INTO crash_queue (crash_id, queue) VALUES (%s, 0)", crash_id)
    fresh.sql("NOTIFY crash_queue")
    wait_until(lambda: fresh.sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'datil-processor' "
                                 "AND wait_event_type = 'Lock'"), 30, "a worker that finishes the crash")
    fresh.kill(supervisor, signal.SIGSTOP)  # nobody starts PostgreSQL again
    try:
        for pid in victims(fresh)["postgres"]:
            fresh.kill(pid, signal.SIGKILL)
        (parent,), workers = fresh.program_pids("datil-processor")
        wait_until(lambda: any(line["event"] == "db_away" for line in fresh.log_lines("processor")), 20, "the log")
        fresh.kill(parent, signal.SIGTERM)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 30, "the end of the workers")
    finally:
        fresh.kill(supervisor, signal.SIGCONT)
    assert not [line for line in fresh.log_lines("processor") if line["level"] == "error"]
    wait_until(lambda: fresh.processed(crash_id)["completed_datetime"] > before["completed_datetime"]
               and not fresh.sql("SELECT 1 FROM crash_queue"), 60, "the crash to be processed again")
