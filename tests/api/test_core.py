"""The administrator's command, ledger, queue, index and scheduled jobs against a real database."""
import json
import os
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import BIN, wait_until  # noqa: E402

NOW = datetime.now(timezone.utc)


def crash_id(n, day=NOW):
    return f"{n:08x}-c04e-4000-8000-000000{day:%y%m%d}"


def document(n, **more):
    return {"uuid": crash_id(n), "crash_id": crash_id(n), "date_processed": NOW.isoformat(timespec="seconds"),
            "product": "Crashme", "version": "1.0", "signature": f"core::test_{n}",
            "build": str(20260101000000 + n), **more}


def load(datil, *docs, check=True):
    text = "".join(json.dumps(d) + "\n" for d in docs)
    return datil.datil("crash", "load", "-", stdin=text, check=check)


def state(datil, crash):
    rows = datil.sql("SELECT state::text FROM crash_ledger WHERE crash_id = %s", crash)
    return rows[0][0] if rows else None


def put_raw(datil, crash, **annotations):
    """A raw crash in the store, as the mover leaves it, without telling anybody."""
    day = datil.var / "store" / ("20" + crash[-6:])
    for kind, value in (("dump_names", []), ("raw_crash", {
            "uuid": crash, "ProductName": "Crashme", "Version": "1.0", "metadata": {},
            "submitted_timestamp": NOW.isoformat(timespec="seconds"), **annotations})):
        (day / kind).mkdir(parents=True, exist_ok=True)
        (day / kind / f"{crash}.json").write_text(json.dumps(value))
    datil.own(day)


def doctor(datil):
    return datil.datil("doctor", check=False)


def test_load_show_delete(datil):
    said = load(datil, document(1), document(2))
    assert "loaded 2 crashes" in said.stdout
    assert state(datil, crash_id(1)) == "processed"
    assert datil.search(uuid=crash_id(2))["total"] == 1
    shown = json.loads(datil.datil("crash", "show", "bp-" + crash_id(1)).stdout)
    assert shown["signature"] == "core::test_1"
    assert datil.sql("SELECT first_build FROM signature WHERE signature = 'core::test_1'") == [(20260101000001,)]

    gone = datil.datil("crash", "delete", crash_id(1)).stdout
    assert "2 objects, ledger, index deleted" in gone  # the crash and its export record
    assert state(datil, crash_id(1)) is None
    assert datil.search(uuid=crash_id(1))["total"] == 0
    assert "nothing to delete" in datil.datil("crash", "delete", crash_id(1)).stdout
    assert datil.datil("crash", "show", crash_id(1), check=False).returncode == 1


def test_load_names_bad_lines_and_takes_the_others(datil):
    text = json.dumps(document(3)) + "\nnot json\n{}\n" + json.dumps({"uuid": "../../etc"}) + "\n\n"
    done = datil.datil("crash", "load", "-", stdin=text, check=False)
    assert done.returncode == 1
    assert "loaded 1 crashes" in done.stdout and "refused 3 lines" in done.stdout
    for line in ("line 2:", "line 3: no uuid", "line 4: uuid is not a crash id"):
        assert line in done.stderr


def test_loading_again_replaces(datil):
    load(datil, document(4))
    load(datil, document(4, signature="core::replaced"))
    assert datil.search(uuid=crash_id(4), _columns=["signature"])["hits"] == [{"signature": "core::replaced"}]
    assert datil.search(uuid=crash_id(4))["total"] == 1


def test_signature_keeps_its_earliest_build(datil):
    def earliest():
        return datil.sql("SELECT first_build FROM signature WHERE signature = 'core::earliest'")
    for n, build in enumerate(("20260105000000", "20260102000000", "20260109000000", "none")):
        load(datil, document(500 + n, signature="core::earliest", build=build))
    assert earliest() == [(20260102000000,)]
    load(datil, document(501, signature="core::earliest", build="20260107000000"))  # it was of another build after all
    assert earliest() == [(20260105000000,)]


def test_message_without_raw_crash_is_rejected(datil):
    lost = crash_id(10)
    datil.sql("INSERT INTO crash_ledger (crash_id) VALUES (%s)", lost)
    datil.sql("INSERT INTO crash_queue (crash_id, queue, created) VALUES (%s, 1, now() - interval '1 hour')", lost)
    datil.sql("NOTIFY crash_queue")
    wait_until(lambda: state(datil, lost) == "rejected", 20, "the rejection")
    assert not datil.sql("SELECT 1 FROM crash_queue WHERE crash_id = %s", lost)
    datil.datil("crash", "delete", lost)


def test_report_not_found_a_moment_after_it_was_published_is_tried_again(datil):
    late = crash_id(113)
    datil.sql("INSERT INTO crash_ledger (crash_id) VALUES (%s)", late)
    datil.sql("INSERT INTO crash_queue (crash_id, queue) VALUES (%s, 1)", late)
    datil.sql("NOTIFY crash_queue")
    row = "SELECT state, attempts FROM crash_queue WHERE crash_id = %s"
    wait_until(lambda: datil.sql(row, late) == [(0, 1)], 20, "the first attempt")
    assert state(datil, late) == "received"
    put_raw(datil, late)
    datil.sql("UPDATE crash_queue SET not_before = now() WHERE crash_id = %s", late)
    datil.sql("NOTIFY crash_queue")
    wait_until(lambda: state(datil, late) == "processed", 20, "the second attempt")


def test_double_publishing_is_one_message(datil):
    crash = crash_id(11)
    datil.sql("INSERT INTO crash_queue (crash_id, queue, not_before) VALUES (%s, 2, now() + interval '1 hour')",
              crash)
    with pytest.raises(Exception, match="crash_queue_waiting"):
        datil.sql("INSERT INTO crash_queue (crash_id, queue) VALUES (%s, 1)", crash)
    put_raw(datil, crash)
    datil.datil("reprocess", crash)  # due now: it lifts the one that waits
    wait_until(lambda: state(datil, crash) == "processed", 20, "the crash to be processed")
    assert not datil.sql("SELECT 1 FROM crash_queue WHERE crash_id = %s", crash)


def test_unreadable_crash_waits_and_fails_for_good(datil):
    crash = crash_id(12)
    put_raw(datil, crash)
    raw = datil.var / "store" / ("20" + crash[-6:]) / "raw_crash" / f"{crash}.json"
    good = raw.read_text()
    raw.write_text("{broken")
    datil.datil("reprocess", crash)
    row = "SELECT state, attempts, not_before > now() FROM crash_queue WHERE crash_id = %s"
    wait_until(lambda: datil.sql(row, crash) == [(0, 1, True)], 20, "the first pause")
    datil.sql("UPDATE crash_queue SET attempts = 4, not_before = now() WHERE crash_id = %s", crash)
    datil.sql("NOTIFY crash_queue")
    wait_until(lambda: datil.sql(row, crash) == [(2, 5, True)], 20, "the end of attempts")
    assert state(datil, crash) == "failed"
    assert crash in datil.datil("queue", "failed").stdout
    done = doctor(datil)
    assert done.returncode == 1 and "1 crashes failed for good" in done.stdout

    raw.write_text(good)
    assert "1 crashes put back" in datil.datil("queue", "retry", crash).stdout
    wait_until(lambda: state(datil, crash) == "processed", 20, "the retry")


def test_unknown_rule_set_is_decided_before_anything_is_read(datil):
    """The message goes although the crash itself cannot be read, and the crash stays what it was."""
    crash = crash_id(18)
    put_raw(datil, crash)
    raw = datil.var / "store" / ("20" + crash[-6:]) / "raw_crash" / f"{crash}.json"
    raw.write_text("{broken")
    datil.sql("INSERT INTO crash_ledger (crash_id) VALUES (%s)", crash)
    datil.sql("INSERT INTO crash_queue (crash_id, queue, ruleset) VALUES (%s, 1, 'nonsense')", crash)
    datil.sql("NOTIFY crash_queue")
    wait_until(lambda: not datil.sql("SELECT 1 FROM crash_queue WHERE crash_id = %s", crash), 20, "the message to go")
    assert state(datil, crash) == "received"
    raw.unlink()


def test_raw_crash_of_an_older_collector(datil, minidump):
    """Version 1: notes and MD5 checksums lie among the annotations, `version` is absent."""
    crash = crash_id(17)
    put_raw(datil, crash, collector_notes=["old note"], throttle_rate=10, type_tag="x", signature="of then",
            dump_checksums={"upload_file_minidump": "d41d8cd98f00b204e9800998ecf8427e"}, metadata=None)
    stored = datil.var / "store" / ("20" + crash[-6:]) / "raw_crash" / f"{crash}.json"
    before = stored.read_bytes()
    datil.datil("reprocess", crash)
    wait_until(lambda: state(datil, crash) == "processed", 20, "the old report")
    done = datil.wait_processed(crash)
    whole = json.loads(datil.datil("crash", "show", crash).stdout)
    assert whole["collector_metadata"]["collector_notes"] == ["old note"]
    assert whole["collector_metadata"]["throttle_rate"] == 10
    assert not {"dump_checksums", "collector_notes", "type_tag", "signature"} & set(whole["crash_report_keys"])
    assert not whole.get("minidump_sha256_hash")
    assert done["signature"] != "of then"
    assert stored.read_bytes() == before
    assert datil.get(f"/report/index/{crash}").status == 200


def test_crash_that_killed_its_workers_is_processed_without_walk(datil, minidump):
    crash = crash_id(13)
    put_raw(datil, crash)
    day = datil.var / "store" / ("20" + crash[-6:])
    (day / "upload_file_minidump").mkdir(exist_ok=True)
    (day / "upload_file_minidump" / crash).write_bytes(minidump)
    (day / "dump_names" / f"{crash}.json").write_text('["upload_file_minidump"]')
    datil.sql("INSERT INTO crash_ledger (crash_id) VALUES (%s)", crash)
    datil.sql("INSERT INTO crash_queue (crash_id, queue, attempts, worker_deaths) VALUES (%s, 1, 2, 2)", crash)
    datil.sql("NOTIFY crash_queue")
    notes = datil.wait_processed(crash)["processor_notes"]
    assert "processor: stackwalking skipped after repeated failures" in notes


def test_message_of_a_dead_worker_comes_back(datil):
    """Fails when the message stays with the dead worker, whose lease runs longer than the wait."""
    crash = crash_id(14)
    put_raw(datil, crash)
    host = datil.sql("SELECT 1") and os.uname().nodename
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    datil.sql("INSERT INTO crash_ledger (crash_id) VALUES (%s)", crash)
    datil.sql("INSERT INTO crash_queue (crash_id, queue, state, locked_by, locked_until) "
              "VALUES (%s, 1, 1, %s, now() + interval '5 minutes')", crash, f"{host}:{child}")
    wait_until(lambda: state(datil, crash) == "processed", 30, "another worker")


def test_deleted_while_in_work_stays_deleted(datil):
    """A message whose ledger row has gone: the worker takes back what it wrote."""
    crash = crash_id(15)
    put_raw(datil, crash)
    datil.sql("INSERT INTO crash_queue (crash_id, queue) VALUES (%s, 1)", crash)
    datil.sql("NOTIFY crash_queue")
    day = datil.var / "store" / ("20" + crash[-6:])
    wait_until(lambda: not list(day.glob(f"*/{crash}*")), 20, "everything to be gone")
    assert datil.search(uuid=crash)["total"] == 0


def test_reprocess_by_search(datil):
    crash = crash_id(16)
    put_raw(datil, crash, Notes="x", ReleaseChannel="corechannel")
    datil.datil("reprocess", crash)
    wait_until(lambda: datil.search(uuid=crash)["total"] == 1, 20, "the first pass")
    said = datil.datil("reprocess", "--search", "release_channel=corechannel").stdout
    assert said.startswith("1 crashes")
    wait_until(lambda: datil.processed(crash) and datil.sql(
        "SELECT count(*) FROM crash_queue WHERE crash_id = %s", crash)[0][0] == 0, 20, "the second pass")
    shown = json.loads(datil.datil("crash", "show", crash).stdout)
    assert len(shown["processor_history"]) == 1


@pytest.mark.parametrize("page", [1, 7, 70, 1000])
def test_reprocess_by_a_search_of_many_pages(datil, page):
    """Twenty crashes of different seconds and fifty of one: pages of seven end within a date and
    between two, and begin far behind the first crash of their date.  Only those with a raw crash are
    queued, each once."""
    channel = f"pages{page}"
    many = [document(20000 + 100 * page + i, release_channel=channel) for i in range(70)]
    for i, doc in enumerate(many[:20]):
        doc["date_processed"] = (NOW - timedelta(hours=1, seconds=i)).isoformat(timespec="seconds")
    load(datil, *many)
    wait_until(lambda: datil.search(release_channel=channel)["total"] == 70, 60, "the index")
    raw = {d["uuid"] for d in many if d not in (many[3], many[40])}
    for crash in raw:
        put_raw(datil, crash)
    said = datil.datil("reprocess", "--search", "release_channel=" + channel, "--page", str(page)).stdout
    assert said.startswith(f"{len(raw)} crashes queued")


def test_rebuild_gives_the_same_answers(datil):
    load(datil, *[document(100 + i, signature="core::rebuild") for i in range(30)])
    before = datil.search(signature="=core::rebuild", _sort="uuid", _columns=["uuid"])
    assert before["total"] == 30
    for arguments in ([], ["--from", NOW.date().isoformat()], ["--to", "2001-01-01"]):
        assert "weeks were made anew" in datil.datil("index", "rebuild", *arguments).stdout
        after = datil.search(signature="=core::rebuild", _sort="uuid", _columns=["uuid"])
        assert after["hits"] == before["hits"] and not after["errors"]
    assert "is no day" in datil.datil("index", "rebuild", "--from", "soon", check=False).stderr
    assert "the index is sound" in datil.datil("index", "verify").stdout


def test_packed_weeks_are_searched_and_written_to(datil):
    weeks_ago = (NOW - timedelta(days=40)).isoformat(timespec="seconds")
    docs = [document(330 + i, signature="core::packed", date_processed=weeks_ago, uptime=i) for i in range(20)]
    load(datil, *docs)
    ask = {"signature": "=core::packed", "date": ">" + (NOW - timedelta(days=50)).date().isoformat(), "_sort": "uptime",
           "_columns": ["uuid", "uptime", "date"], "_facets": "uptime"}
    before = datil.search(**ask)
    assert before["total"] == 20
    assert "weeks packed" in datil.datil("index", "pack").stdout
    assert list((datil.var / "index").glob("*/uuid.texts")), "nothing is packed"
    assert datil.search(**ask) == before
    load(datil, docs[3] | {"uptime": 333}, document(350, signature="core::packed", date_processed=weeks_ago, uptime=444))
    datil.datil("crash", "delete", docs[5]["uuid"])
    after = datil.search(**ask)
    assert [h["uptime"] for h in after["hits"]] == [0, 1, 2, 4, *range(6, 20), 333, 444]
    assert "the index is sound" in datil.datil("index", "verify").stdout


def test_a_deleted_index_is_filled_at_start(fresh):
    datil = fresh
    load(datil, *[document(200 + i, signature="core::replay") for i in range(5)])
    datil.stop()
    for path in (datil.var / "index").rglob("*"):
        if path.is_file():
            path.unlink()
    datil.start()
    wait_until(lambda: datil.search(signature="=core::replay")["total"] == 5, 30, "the filling")
    wait_until(lambda: [line["put"] for line in datil.log_lines("processor") if line["event"] == "index_filled"] == [5],
               30, "the end of the filling")

    # An index whose head is damaged under running programs answers again, without anybody's doing.
    (datil.var / "index" / "head").write_bytes(b"damaged")

    def healed():  # 502 between the end of a worker and the start of the next
        answer = datil.get("/api/SuperSearch/", {"signature": "=core::replay"})
        assert "index" not in answer.text or answer.status == 200, "paths are nobody's business"
        return answer.status == 200 and answer.json["total"] == 5
    wait_until(healed, 30, "the healed index")


def test_purge_annotation_goes_everywhere(datil):
    crash = crash_id(20)
    put_raw(datil, crash, Notes="keep", URL="https://secret.example/purge-me", ProductName="Crashme")
    datil.datil("reprocess", crash)
    wait_until(lambda: state(datil, crash) == "processed", 20, "the crash")
    assert "purge-me" in datil.datil("crash", "show", crash).stdout
    dry = datil.datil("purge", "annotation", "URL", "--dry-run").stdout
    assert crash in dry and "nothing was changed" in dry
    datil.datil("purge", "annotation", "URL")
    wait_until(lambda: not datil.sql("SELECT 1 FROM crash_queue WHERE crash_id = %s", crash), 20, "the second pass")
    for raw in ([], ["--raw"]):
        assert "purge-me" not in datil.datil("crash", "show", crash, *raw).stdout
    for path in (datil.var / "index").rglob("*"):
        assert not path.is_file() or b"purge-me" not in path.read_bytes(), path


def test_verifyprocessed_finds_what_was_forgotten(datil):
    yesterday = NOW - timedelta(days=1)
    lost = crash_id(30, yesterday)
    put_raw(datil, lost)
    said = datil.datil("cron", "run", "verifyprocessed").stdout
    assert f"Missing: {lost}" in said
    wait_until(lambda: state(datil, lost) == "processed", 20, "the forgotten crash")
    assert datil.sql("SELECT is_processed FROM missing_processed_crash WHERE crash_id = %s", lost) == [(False,)]
    datil.datil("cron", "run", "updatemissing")
    assert datil.sql("SELECT is_processed FROM missing_processed_crash WHERE crash_id = %s", lost) == [(True,)]
    assert "All crashes for" in datil.datil("cron", "run", "verifyprocessed").stdout
    # The day before any other time is asked for by an argument.
    earlier = crash_id(33, NOW - timedelta(days=3))
    put_raw(datil, earlier)
    when = f"run-time={NOW - timedelta(days=2):%Y-%m-%dT%H:%M}"
    assert f"Missing: {earlier}" in datil.datil("cron", "run", "verifyprocessed", "--job-arg", when).stdout
    wait_until(lambda: state(datil, earlier) == "processed", 20, "the crash of that day")
    assert f"All crashes for {NOW - timedelta(days=3):%Y%m%d} were" in datil.datil("cron", "run", "verifyprocessed", "--job-arg", when).stdout
    assert datil.datil("cron", "run", "verifyprocessed", "--job-arg", "run-time=soon", check=False).returncode == 1


def test_republish_finds_rows_and_objects_without_message(datil):
    stranded, unknown = crash_id(31), crash_id(32)
    for crash in (stranded, unknown):
        put_raw(datil, crash)
    datil.sql("INSERT INTO crash_ledger (crash_id, received) VALUES (%s, now() - interval '1 hour')", stranded)
    said = datil.datil("cron", "run", "republish").stdout
    assert "2 crashes queued again" in said
    for crash in (stranded, unknown):
        wait_until(lambda: state(datil, crash) == "processed", 20, "the crash")


def test_failed_job_is_retried_and_noted(datil):
    done = datil.datil("cron", "run", "crontest", "--job-arg", "crash", check=False)
    assert done.returncode == 1 and "**Sputter**" in done.output
    assert "To print: 'hello'" in datil.datil("cron", "run", "crontest", "--job-arg", "print=hello").stdout
    assert datil.datil("cron", "run", "no-such-job", check=False).returncode == 1


def test_due_jobs_leave_state_and_log(datil):
    datil.datil("cron", "reset", "crontest")
    datil.datil("cron", "run", "crontest", "--if-due")
    rows = datil.sql("SELECT error_count, next_run - last_run, ongoing FROM cron_job WHERE app_name = 'crontest'")
    assert rows[0][0] == 0 and rows[0][1] > timedelta(hours=23) and rows[0][2] is None
    count = datil.sql("SELECT count(*) FROM cron_log WHERE app_name = 'crontest' AND success IS NOT NULL")[0][0]
    datil.datil("cron", "run", "crontest", "--if-due")  # not due any more
    assert datil.sql("SELECT count(*) FROM cron_log WHERE app_name = 'crontest'")[0][0] == count
    listing = datil.datil("cron", "list").stdout
    assert "retention" in listing and "every 1d @ 05:00 UTC" in listing


def test_a_job_runs_once_at_a_time(datil):
    import psycopg2
    other = psycopg2.connect(f"host={datil.var}/run/pg user=datil dbname=datil")  # another scheduler's session
    with other.cursor() as cur:
        cur.execute("SELECT pg_advisory_lock(1668444014, hashtext('crontest'))")
    datil.datil("cron", "reset", "crontest")
    datil.datil("cron", "run", "crontest", "--if-due")
    assert datil.sql("SELECT last_run FROM cron_job WHERE app_name = 'crontest'") == [(None,)]
    # A mark that a killed scheduler of an older version left says nothing: its session is gone.
    datil.sql("UPDATE cron_job SET ongoing = now() WHERE app_name = 'crontest'")
    other.close()
    wait_until(lambda: datil.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1668444014 "
                                 "AND objid::bigint = hashtext('crontest')::bigint & 4294967295")[0][0] == 0, 10, "the lock")
    datil.datil("cron", "run", "crontest", "--if-due")
    assert datil.sql("SELECT last_run IS NOT NULL, ongoing FROM cron_job WHERE app_name = 'crontest'") == [(True, None)]


def test_how_jobs_are_is_told(datil):
    """As JSON and as a page; a job that is overdue is an alert in the log, a finding of the doctor and a word on the page."""
    import psycopg2

    def job():
        answer = datil.get("/monitoring/cron/").json
        return answer, next(j for j in answer["jobs"] if j["job"] == "crontest")

    datil.datil("cron", "reset", "crontest")
    datil.datil("cron", "run", "crontest", "--if-due")
    _, told = job()
    assert told["last_success"] and told["next_run"] > told["last_run"] and 0 < told["last_duration"] < 60
    assert (told["is_overdue"], told["is_off"], told["error_count"], told["last_error"], told["last_items"]) == (False, False, 0, None, None)
    datil.sql("UPDATE cron_job SET last_success = now() - interval '73 hours', next_run = now() - interval '49 hours' WHERE app_name = 'crontest'")
    assert not job()[1]["is_overdue"], "three periods behind the planned run are the limit"
    datil.sql("UPDATE cron_job SET last_success = now() - interval '97 hours' WHERE app_name = 'crontest'")
    answer, told = job()
    assert told["is_overdue"] and "crontest" in answer["overdue"] and answer["status"] in ("Stale", "Broken")
    said = doctor(datil)
    assert said.returncode == 1 and "crontest is overdue" in said.stdout
    page = datil.get("/monitoring/cron/", headers={"Accept": "text/html"})
    assert page.headers["Content-Type"].startswith("text/html") and "overdue</span>" in page.text
    # Another scheduler has the job and never ends.
    other = psycopg2.connect(f"host={datil.var}/run/pg user=datil dbname=datil")
    with other.cursor() as cur:
        cur.execute("SELECT pg_advisory_lock(1668444014, hashtext('crontest'))")
    alert = datil.datil("cron", "run").stderr
    assert '"event":"job_alert","msg":"a scheduled job is overdue","job":"crontest"' in alert
    other.close()
    # A job that is off is neither run nor overdue; by name it runs.
    off = datil.env | {"CRON_JOBS": "crontest off; retention every=2d limit=90m"}

    def run(*args):
        return subprocess.run([str(BIN / "datil-cron"), *args], env=off, capture_output=True, text=True, check=True).stdout

    assert "every 1d (off)" in run("--list") and "every 2d @ 05:00 UTC" in run("--list")
    run("--job", "crontest")
    assert job()[1]["is_off"] and not job()[1]["is_overdue"]
    assert "This is a test." in run("--job", "crontest", "--force")
    off["CRON_JOBS"] = "crontest offf"
    assert subprocess.run([str(BIN / "datil-cron"), "--list"], env=off, capture_output=True).returncode == 1
    # Strangers learn of an error what kind it is.
    datil.sql("""UPDATE cron_job SET error_count = 2, last_error = '{"type": "unavailable", "value": "host tracker.internal"}'
                 WHERE app_name = 'crontest'""")
    answer, told = job()
    assert answer["status"] == "Broken" and "crontest" in answer["broken"] and told["last_error"] == "unavailable"
    assert "tracker.internal" not in datil.get("/monitoring/cron/", headers={"Accept": "text/html"}).text
    datil.datil("cron", "reset", "crontest")
    datil.datil("cron", "run", "crontest", "--if-due")


def test_retention_takes_single_crashes_out_of_a_partition_that_stays(datil):
    """The limit cuts through a week: what is older goes from the index as well."""
    limit = NOW - timedelta(days=182)
    old, young = limit - timedelta(days=1), limit + timedelta(days=1)
    ids = [crash_id(40, old), crash_id(41, young)]
    load(datil, *[document(0, uuid=i, crash_id=i, date_processed=d.isoformat(timespec="seconds"),
                           signature="core::retention") for i, d in zip(ids, (old, young))])
    datil.datil("cron", "run", "retention")
    assert [state(datil, i) for i in ids] == [None, "processed"]
    found = datil.search(signature="=core::retention", date=f">={(limit - timedelta(days=30)):%Y-%m-%d}",
                         _columns=["uuid"])
    assert [hit["uuid"] for hit in found["hits"]] == [ids[1]]


def test_accounts_and_tokens(datil):
    datil.add_user("core@example.org", "a long password", "--group", "Uploaders")
    again = datil.datil("user", "add", "Core@Example.org", "--password-stdin", stdin="x\n", check=False)
    assert again.returncode == 1 and "already" in again.stderr
    assert "core@example.org" in datil.datil("user", "list").stdout
    key = datil.token("core@example.org", "upload.upload_symbols")
    assert len(key) == 32 and int(key, 16) >= 0
    assert not datil.sql("SELECT 1 FROM api_token WHERE key_hash = %s OR key_start = %s", key, key)
    refused = datil.datil("token", "create", "core@example.org", "--permission", "view_pii", check=False)
    assert refused.returncode == 1 and "does not hold view_pii" in refused.stderr
    both = datil.datil("token", "create", "core@example.org", "--permission", "upload_symbols", "--permission",
                       "upload_try_symbols", check=False)
    assert both.returncode == 1 and "not both" in both.stderr
    expired = datil.datil("token", "create", "core@example.org", "--days", "0").stdout.strip()
    assert "expired" in datil.get("/api/SuperSearchFields/", headers={"Auth-Token": expired}).text
    datil.datil("user", "disable", "core@example.org")
    assert datil.get("/api/SuperSearchFields/", headers={"Auth-Token": key}).status == 403
    log = datil.sql("SELECT action FROM audit_log WHERE object_id = 'core@example.org' ORDER BY id")
    assert [row[0] for row in log] == ["add", "change"]


def test_groups(datil):
    datil.add_user("grouped@example.org")
    datil.datil("group", "add", "grouped@example.org", "Hackers Plus")
    may = "SELECT permission FROM app_user_effective e JOIN app_user u ON u.id = e.user_id WHERE email = %s"
    assert ("run_custom_queries",) in datil.sql(may, "grouped@example.org")
    datil.datil("group", "remove", "grouped@example.org", "Hackers Plus")
    assert not datil.sql(may, "grouped@example.org")
    assert "no group" in datil.datil("group", "add", "grouped@example.org", "Nobody", check=False).stderr


def test_help_and_mistakes(datil):
    listing = datil.datil("help").stdout
    for command in ("migrate", "crash load", "index rebuild", "cron run", "doctor"):
        assert command in listing
    assert "usage: datil crash send" in datil.datil("help", "crash", "send").stdout
    assert datil.datil("nonsense", check=False).returncode == 2
    wrong = datil.datil("crash", "show", "not-an-id", check=False)
    assert wrong.returncode == 1 and "is not a crash id" in wrong.stderr
    assert "unknown option --foo" in datil.datil("user", "list", "--foo", check=False).stderr
    assert "| `RETENTION_DAYS` |" in datil.datil("config", "help", "--markdown").stdout


def test_crash_send(datil, minidump, tmp_path):
    dump = tmp_path / "x.dmp"
    dump.write_bytes(minidump)
    said = datil.datil("crash", "send", dump, "--annotation", "ProductName=Crashme", "--annotation", "Version=1.0")
    assert said.stdout.startswith("CrashID=bp-")
    doc = datil.wait_processed(said.stdout.strip()[len("CrashID=bp-"):])
    assert doc["product"] == "Crashme" and doc["json_dump"]
    refused = datil.datil("crash", "send", dump, "--annotation", "ProductName=NoSuchProduct", check=False)
    assert refused.returncode == 1


def test_everything_agrees_in_the_end(datil):
    wait_until(lambda: datil.sql("SELECT count(*) FROM crash_queue")[0][0] == 0, 60, "an empty queue")
    done = doctor(datil)
    assert done.returncode == 0, done.output
    assert done.stdout.endswith("no problems found\n")


def test_doctor_names_differences(datil):
    load(datil, document(50))
    path = next((datil.var / "store").glob(f"*/processed_crash/{crash_id(50)}.json"))
    text = path.read_text()
    path.unlink()
    done = doctor(datil)
    assert done.returncode == 1 and crash_id(50) in done.stdout, done.output
    path.write_text(text)
    datil.sql("DELETE FROM crash_ledger WHERE crash_id = %s", crash_id(50))
    done = doctor(datil)
    assert done.returncode == 1 and "unknown to the ledger" in done.stdout, done.output
    datil.datil("crash", "delete", crash_id(50))
    assert doctor(datil).returncode == 0


def test_retention_by_product(fresh):
    """A product keeps its crashes for as long as its file says, others as long as the installation."""
    products = fresh.var / "config/products"
    for name, days in (("Short", 10), ("Long", 400)):
        fresh.datil("product", "add", name)
        path = products / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"retention_days": days}))
    ids = {}
    for n, (product, age) in enumerate((p, a) for p in ("Short", "Long", "Crashme") for a in (5, 20, 300)):
        day = NOW - timedelta(days=age)
        ids[product, age] = crash_id(n, day)
        put_raw(fresh, ids[product, age])
        load(fresh, document(n, uuid=ids[product, age], crash_id=ids[product, age], product=product,
                             date_processed=day.isoformat(timespec="seconds"), signature="core::keeping"))

    def there(crash):
        files = any(fresh.var.glob(f"store/*/*/{crash}*"))
        known = bool(fresh.sql("SELECT 1 FROM crash_ledger WHERE crash_id = %s", crash))
        indexed = fresh.get("/api/CrashVerify/", {"crash_id": crash}).json["elasticsearch_crash"]
        assert files == known == indexed, (crash, files, known, indexed)
        return known

    assert all(there(i) for i in ids.values())
    said = fresh.datil("purge", "retention", "--force").stdout
    assert "Short: 10 days" in said and "Long: 400 days" in said and "3 ledger rows deleted" in said
    assert {k for k, i in ids.items() if not there(i)} == {("Short", 20), ("Short", 300), ("Crashme", 300)}
    assert fresh.sql("SELECT sum(count) FROM signature_daily WHERE signature = 'core::keeping'") == [(9,)]
    assert "0 ledger rows deleted" in fresh.datil("purge", "retention").stdout
    assert fresh.datil("product", "check", path).stdout == f"{path}: ok\n"
    for wrong in ({"retention_days": "long"}, {"retention_days": -1}, {"retention_day": 7}):
        (products / "wrong").write_text(json.dumps(json.loads(path.read_text()) | wrong))
        done = fresh.datil("product", "check", products / "wrong", path, check=False)
        assert done.returncode == 1 and next(iter(wrong)) in done.stdout and f"{path}: ok" in done.stdout


def test_loading_is_fast(datil, tmp_path):
    """Ten thousand small documents: far below what a crash at a time would take."""
    path = tmp_path / "many.jsonl"
    with path.open("w") as out:
        for i in range(10000):
            out.write(json.dumps(document(0x10000 + i, signature=f"bulk::{i % 50}")) + "\n")
    began = time.monotonic()
    assert "loaded 10000 crashes" in datil.datil("crash", "load", path).stdout
    assert time.monotonic() - began < 60
    assert datil.search(signature="^bulk::", _results_number=0)["total"] == 10000
