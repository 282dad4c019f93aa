"""Work that has one owner: what a killed one held is free at once, a second one is refused or waits."""
import subprocess
import time

from harness import BIN, Installation, wait_until


def holds_job_lock(datil):
    return datil.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1668444014 "
                     "AND objid::bigint = hashtext('clearsessions')::bigint & 4294967295")[0][0]


def test_a_job_of_a_killed_scheduler_runs_again_at_once():
    import psycopg2
    with Installation(CRON_INTERVAL_S="1") as datil:
        # The first two run at any time of day, the third has its first run behind its hour.
        first = 2 + (time.gmtime().tm_hour >= 5)
        wait_until(lambda: datil.sql("SELECT count(*) FROM cron_job WHERE last_success IS NOT NULL AND app_name IN "
                                     "('crontest', 'republish', 'clearsessions')")[0][0] >= first, 30, "first runs")
        blocker = psycopg2.connect(f"host={datil.var}/run/pg user=datil dbname=datil")
        with blocker.cursor() as cur:  # the job waits for the table, in the middle of its work; who only reads does not
            cur.execute("LOCK TABLE web_session IN SHARE MODE")
        datil.sql("INSERT INTO cron_job (app_name, next_run) VALUES ('clearsessions', now() - interval '1 minute') "
                  "ON CONFLICT (app_name) DO UPDATE SET next_run = excluded.next_run, last_success = NULL, ongoing = NULL")
        wait_until(lambda: datil.sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'datil-cron job' "
                                     "AND wait_event_type = 'Lock'"), 30, "the job to run")
        assert holds_job_lock(datil) == 1
        # Another scheduler leaves the job alone while it runs …
        done = subprocess.run([str(BIN / "datil-cron"), "--job", "clearsessions"], env=datil.env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
        assert done.returncode == 0 and "job_ongoing" in done.stdout, done.stdout
        # … and when its scheduler is killed it is free as soon as the server notices.
        parents, _ = datil.program_pids("datil-cron")
        before = datil.sql("SELECT ongoing FROM cron_job WHERE app_name = 'clearsessions'")[0][0]
        assert before
        datil.kill(parents.pop())
        blocker.rollback()
        blocker.close()
        wait_until(lambda: datil.sql("SELECT 1 FROM cron_job WHERE app_name = 'clearsessions' AND last_success IS NOT NULL"),
                   15, "the job to be run again")


def test_a_second_processor_of_an_index_is_refused(fresh):
    datil = fresh
    done = subprocess.run([str(BIN / "datil-processor")], env=datil.env, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=30)
    first, workers = datil.program_pids("datil-processor")
    assert done.returncode == 1 and f"process {next(iter(first))}" in done.stdout, done.stdout
    # The lock is the parent's alone: it is free while orphans still finish their crash.
    datil.kill(next(iter(first)))
    wait_until(lambda: datil.program_pids("datil-processor")[0] - first - workers, 10, "the processor to start again")
    datil.wait_processed(datil.post())


def test_a_second_processor_with_an_index_of_its_own_shares_the_queue(fresh):
    """As on another host over the same database: each crash is taken by one of them."""
    datil = fresh
    own = {**datil.env, "INDEX_DIR": str(datil.dir / "var/tmp/index-of-another-host"), "PROCESSOR_WORKERS": "1"}
    with subprocess.Popen([str(BIN / "datil-processor")], env=own, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True) as second:
        try:
            wait_until(lambda: datil.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = "
                                         "'datil-processor index'")[0][0] >= 2, 20, "two processors")
            ids = [datil.post({"CrashTime": str(1730000000 + i)}) for i in range(30)]
            wait_until(lambda: datil.sql("SELECT count(*) FROM crash_ledger WHERE state = 'processed'")[0][0] == len(ids), 60,
                       "all crashes")
            assert datil.sql("SELECT count(*) FROM crash_queue")[0][0] == 0
        finally:
            second.terminate()
            second.wait(30)
