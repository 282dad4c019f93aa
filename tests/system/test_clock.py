"""A clock that is wrong for a moment destroys nothing and stops nothing."""
import time

DAY = 86400


def load(datil, number, age_days, count=1):
    """Processed crashes of one day, as if they had come that long ago."""
    when = time.gmtime(time.time() - age_days * DAY)
    date = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", when)
    ids = [f"{number:08x}-0000-4000-8000-{i:06x}" + time.strftime("%y%m%d", when) for i in range(count)]
    text = "".join('{"uuid":"%s","crash_id":"%s","date_processed":"%s","product":"Crashme",'
                   '"version":"1.0","signature":"clock"}\n' % (i, i, date) for i in ids)
    datil.datil("crash", "load", "-", stdin=text)
    return ids


def rows(datil):
    return datil.sql("SELECT count(*) FROM crash_ledger")[0][0]


def test_clock_that_jumps_ahead_deletes_nothing(fresh):
    """To the job a jump by 200 days looks as if every report were 200 days old."""
    ids = load(fresh, 1, 200, 3) + load(fresh, 2, 199, 3)
    fresh.sql("INSERT INTO cron_job (app_name, next_run) VALUES ('retention', now() - interval '1 hour') "
              "ON CONFLICT (app_name) DO UPDATE SET next_run = excluded.next_run, ongoing = NULL")
    done = fresh.datil("cron", "run", "retention", "--if-due", check=False)
    assert done.returncode == 1
    assert rows(fresh) == 6 and all(fresh.processed(i) for i in ids)
    said = fresh.datil("doctor", "--quick", check=False).stdout
    assert "retention has failed" in said and "refused" in said and "--force" in said
    done = fresh.datil("purge", "retention", check=False)
    assert done.returncode == 1 and "newest report" in done.output and rows(fresh) == 6

    done = fresh.datil("purge", "retention", "--force")
    assert rows(fresh) == 0 and not any(fresh.processed(i) for i in ids)
    assert not list((fresh.var / "store").glob("2*"))
    assert fresh.datil("doctor", check=False).stdout.count("crash ") == 0
    assert fresh.sql("SELECT message FROM audit_log WHERE action = 'purge' ORDER BY id") == [
        ("older than 182 days",), ("older than 182 days, forced",)]


def test_clean_up_of_most_reports_is_refused(fresh):
    """A new report after the jump makes the newest one young; most of the store would go all the same."""
    old, young = load(fresh, 1, 300, 5), load(fresh, 2, 0)
    done = fresh.datil("cron", "run", "retention", check=False)
    assert done.returncode == 1 and "5 of 6 reports" in done.output
    assert rows(fresh) == 6
    fresh.datil("cron", "run", "retention", "--force")
    assert rows(fresh) == 1 and fresh.processed(young[0]) and not fresh.processed(old[0])


def test_few_old_reports_go_without_a_word(fresh):
    load(fresh, 1, 300, 2)
    load(fresh, 2, 1, 5)
    fresh.datil("cron", "run", "retention")
    assert rows(fresh) == 5


def test_reports_from_the_future_are_named(fresh):
    """Ids with implausible dates: retention says which days wait for a later one."""
    load(fresh, 1, -400, 2)
    load(fresh, 2, 1, 5)
    later = time.strftime("%Y%m%d", time.gmtime(time.time() + 400 * DAY))
    assert f"reports dated {later}, after today" in fresh.datil("cron", "run", "retention").output
    assert rows(fresh) == 7


def test_job_planned_by_a_clock_ahead_is_due(fresh):
    fresh.sql("INSERT INTO cron_job (app_name, next_run, last_success) "
              "VALUES ('verifyprocessed', now() + interval '200 days', now() + interval '199 days') "
              "ON CONFLICT (app_name) DO UPDATE SET next_run = excluded.next_run, "
              "last_success = excluded.last_success, ongoing = NULL")
    fresh.datil("cron", "run", "verifyprocessed", "--if-due")
    state = fresh.sql("SELECT next_run < now() + interval '2 days', last_success <= now(), error_count "
                      "FROM cron_job WHERE app_name = 'verifyprocessed'")
    assert state == [(True, True, 0)]


def test_doctor_sees_a_clock_that_went_back(fresh):
    load(fresh, 1, 0)
    fresh.sql("UPDATE crash_ledger SET received = now() + interval '200 days'")
    assert "not yet by this clock" in fresh.datil("doctor", "--quick", check=False).stdout
