"""Purges: crashes with one value of an annotation, or annotations of all crashes, leave every place, whatever is killed."""
import fcntl
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg2
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import Installation, wait_until  # noqa: E402

DAY = datetime.now(timezone.utc) - timedelta(days=3)
VALUE = "zq-person-4713"


def crash_id(n):
    return f"{n:08x}-9e9e-4000-8000-000000{DAY:%y%m%d}"


def make(datil, numbers, doomed, product="Firefox"):
    docs = []
    store = datil.var / "store" / f"{DAY:%Y%m%d}"
    for n in numbers:
        who = VALUE if n in doomed else VALUE + "x" if n % 2 else "other"
        docs.append({"uuid": crash_id(n), "crash_id": crash_id(n), "product": product, "version": "1.0", "signature": "purge::me",
                     "release_channel": "release", "date_processed": f"{DAY:%Y-%m-%d}T03:00:00+00:00"})
        raw = {"uuid": crash_id(n), "ProductName": product, "TelemetryClientId": who}
        (store / "raw_crash").mkdir(parents=True, exist_ok=True)
        (store / "raw_crash" / f"{crash_id(n)}.json").write_text(json.dumps(raw))
    datil.own(store)
    datil.datil("crash", "load", stdin="".join(json.dumps(d) + "\n" for d in docs))


def roll(datil):
    datil.datil("cron", "run", "telemetry_rollup", "--job-arg", f"run-time={DAY + timedelta(days=1):%Y-%m-%d}T01:00")


def exported(datil):
    path = datil.var / "telemetry/v2/socorro_crash" / f"crash_date={DAY:%Y-%m-%d}" / "Firefox.jsonl.gz"
    if not path.exists():
        return set()
    return {json.loads(line)["crash_id"] for line in gzip.decompress(path.read_bytes()).splitlines()}


def places(datil):
    """Ids of Firefox crashes by place."""
    ledger = {row[0] for row in datil.sql("SELECT crash_id FROM crash_ledger")}
    counted = {row[0] for row in datil.sql("SELECT crash_id FROM crash_counted")}
    store = {p.stem for kind in ("raw_crash", "processed_crash", "crash_report")
             for p in (datil.var / "store" / f"{DAY:%Y%m%d}" / kind).glob("*")}
    hits = datil.search(product="Firefox", date=f">={DAY - timedelta(days=1):%Y-%m-%d}", _results_number="1000", _columns="uuid")["hits"]
    return {"ledger": ledger, "statistics": counted, "store": store, "index": {h["uuid"] for h in hits}, "export": exported(datil)}


@pytest.fixture(scope="module")
def datil():
    with Installation() as d:
        yield d


def test_everywhere(datil):
    doomed = {3, 5, 8}
    make(datil, range(1, 21), doomed)
    roll(datil)
    dry = datil.datil("purge", "--where", f"TelemetryClientId={VALUE}", "--dry-run").stdout
    assert "3 had the value: 3 processed, 3 in the index, 3 in the statistics, 3 in the export" in dry and "nothing was changed" in dry and crash_id(5) in dry and VALUE not in dry
    assert len(exported(datil)) == 20
    said = datil.datil("purge", "--where", f"TelemetryClientId={VALUE}").stdout
    assert "3 had the value, 3 deleted" in said and VALUE not in said
    rest = {crash_id(n) for n in range(1, 21) if n not in doomed}
    assert places(datil) == dict.fromkeys(("ledger", "statistics", "store", "index", "export"), rest)
    assert "0 had the value, 0 deleted" in datil.datil("purge", "--where", f"TelemetryClientId={VALUE}").stdout
    assert not any(VALUE in str(row) for table in ("audit_log", "purge_run", "purge_item") for row in datil.sql(f"SELECT * FROM {table}"))
    assert not datil.sql("SELECT 1 FROM purge_run WHERE finished_at IS NULL")
    assert datil.datil("stats", "verify", check=False).returncode == 0


@pytest.mark.parametrize("words", [["--where", "TelemetryClientId"], ["--where", "=x"], []])
def test_what_is_wanted(datil, words):
    said = datil.datil("purge", *words, check=False)
    assert said.returncode == 1 and "NAME=VALUE" in said.stderr


def test_killed_at_any_step(datil):
    """Each kill leaves a list that the next purge begins with; in the end nothing is left anywhere."""
    doomed = set(range(100, 180))
    make(datil, range(100, 200), doomed)
    program = Path(os.environ.get("BUILD", "build")) / "bin" / "datil"
    for pause in (0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3):
        run = subprocess.Popen([str(program), "purge", "--where", f"TelemetryClientId={VALUE}"], start_new_session=True,
                               env={**os.environ, "DATIL_VAR": str(datil.var)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(pause)  # not a wait: the moment of the kill
        os.killpg(run.pid, signal.SIGKILL) if run.poll() is None else None
        run.wait()
    datil.datil("purge", "--where", f"TelemetryClientId={VALUE}")
    found = places(datil)
    for place, ids in found.items():
        assert not ids & {crash_id(n) for n in doomed}, place
    assert {crash_id(n) for n in range(180, 200)} <= found["store"] & found["ledger"] & found["index"]
    assert not datil.sql("SELECT 1 FROM purge_item") and not datil.sql("SELECT 1 FROM purge_run WHERE finished_at IS NULL")


def test_a_list_that_was_left(datil):
    """Killed behind the raw crash: only the list knows it any more."""
    make(datil, range(300, 303), {300})
    run_id = datil.sql("INSERT INTO purge_run (annotation) VALUES ('TelemetryClientId') RETURNING run_id")[0][0]
    datil.sql("INSERT INTO purge_item VALUES (%s, %s)", crash_id(300), run_id)
    (datil.var / "store" / f"{DAY:%Y%m%d}" / "raw_crash" / f"{crash_id(300)}.json").unlink()
    said = datil.datil("purge", "--where", "TelemetryClientId=nobody").stdout
    assert "1 crashes of an earlier purge deleted" in said
    assert all(crash_id(300) not in ids for ids in places(datil).values())


def purge_args(*more):
    return ("purge", "--where", f"TelemetryClientId={VALUE}", *more)


def in_store(datil, numbers):
    return {n for n in numbers if (datil.var / "store" / f"{DAY:%Y%m%d}" / "raw_crash" / f"{crash_id(n)}.json").exists()}


def test_bounds(datil):
    """Days and product narrow a purge, also each other."""
    make(datil, range(500, 503), {500, 501, 502})
    make(datil, range(503, 505), {503, 504}, "Fenix")
    day, after = f"{DAY:%Y-%m-%d}", f"{DAY + timedelta(days=1):%Y-%m-%d}"
    for bounds in (["--from", after], ["--to", f"{DAY - timedelta(days=1):%Y-%m-%d}"], ["--product", "Focus"],
                   ["--from", day, "--to", day, "--product", "Focus"]):
        assert "0 had the value, 0 deleted" in datil.datil(*purge_args(*bounds)).stdout, bounds
    assert "2 had the value: 2 processed, 2 in the index, 2 in the statistics, 0 in the export" in \
        datil.datil(*purge_args("--dry-run", "--product", "Fenix", "--from", day)).stdout
    assert "2 had the value, 2 deleted" in datil.datil(*purge_args("--product", "Fenix", "--from", day, "--to", day)).stdout
    assert in_store(datil, range(500, 505)) == {500, 501, 502}
    assert "3 had the value, 3 deleted" in datil.datil(*purge_args()).stdout
    assert datil.datil(*purge_args("--from", "x"), check=False).returncode == 1


# Where a purge can be stopped from outside: somebody holds what its next step needs.
STEPS = [
    ("LOCK TABLE purge_run IN EXCLUSIVE MODE", "before it is written down"),
    ("LOCK TABLE purge_item IN EXCLUSIVE MODE", "before ids are noted"),
    ("LOCK TABLE crash_ledger IN EXCLUSIVE MODE", "between store and ledger"),
    ("LOCK TABLE crash_queue IN EXCLUSIVE MODE", "between store and queue"),
    ("export", "between index and export"),
    ("LOCK TABLE cron_job IN EXCLUSIVE MODE", "behind everything, before the end is noted"),
]


@pytest.mark.parametrize("step", range(len(STEPS)), ids=[name for _, name in STEPS])
def test_killed_at_each_step(datil, step):
    """Whoever comes next, the scheduled job here, finishes what was begun, and nothing of the value is left behind."""
    numbers = range(600 + 20 * step, 610 + 20 * step)
    doomed = set(list(numbers)[:6])
    make(datil, numbers, doomed)
    what = STEPS[step][0]
    program = Path(os.environ.get("BUILD", "build")) / "bin" / "datil"
    holder = psycopg2.connect(f"host={datil.var}/run/pg user=datil dbname=datil")
    lock = (datil.var / "telemetry/.lock").open("r+")
    try:
        if what == "export":
            fcntl.flock(lock, fcntl.LOCK_EX)
        else:
            holder.cursor().execute(what)
        run = subprocess.Popen([str(program), *purge_args()], start_new_session=True, env={**datil.env, "DATIL_VAR": str(datil.var)},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if what == "export":  # by then the crashes are out of the store
            wait_until(lambda: not in_store(datil, doomed) and waits_for_a_file(run.pid), what="the purge at its lock")
        else:
            wait_until(lambda: datil.sql("SELECT 1 FROM pg_locks WHERE NOT granted"), what="the purge at its lock")
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    finally:
        holder.rollback()
        holder.close()
        lock.close()
    if step == 0:  # nothing was written down: nothing was begun
        wait_until(lambda: not datil.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = 1886745447"), what="the dead session")
        assert in_store(datil, numbers) == set(numbers)
        datil.datil(*purge_args())
    wait_until(lambda: "purges and previews" in datil.datil("cron", "run", "purge").stdout, what="the lock of the dead session")
    found = places(datil)
    for place, ids in found.items():
        assert not ids & {crash_id(n) for n in doomed}, place
        if place != "export":
            assert {crash_id(n) for n in set(numbers) - doomed} <= ids, place
    assert not datil.sql("SELECT 1 FROM purge_item")
    assert datil.sql("SELECT DISTINCT state, digest, salt FROM purge_run") == [("done", "", "")]


def waits_for_a_file(pid):
    """Of /proc/locks: a line with -> is somebody who waits."""
    return any("->" in line and f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines())


def test_one_at_a_time(datil):
    make(datil, range(800, 802), {800})
    with psycopg2.connect(f"host={datil.var}/run/pg user=datil dbname=datil") as holder:
        holder.cursor().execute("SELECT pg_advisory_lock(1886745447, 0)")
        busy = datil.datil(*purge_args(), check=False)
        assert busy.returncode == 1 and "another purge is at work" in busy.stderr
        assert "already" in datil.datil("cron", "run", "purge").stdout and in_store(datil, {800}) == {800}
    holder.close()
    assert "1 deleted" in datil.datil("cron", "run", "purge").stdout and not in_store(datil, {800})


def test_what_is_configured(datil):
    listed = datil.datil("purge", "annotation").stdout.split()
    assert set(listed) == set(datil.datil("config", "help").stdout.split("COLLECTOR_REMOVE_ANNOTATIONS")[1].split("=", 1)[1].splitlines()[0].strip().split(",")) - {""}


def sign_in(datil, email, password):
    page = datil.get("/login/")
    cookies = page.headers.get_all("Set-Cookie") or []
    jar = "; ".join(c.split(";")[0] for c in cookies)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
    body = urllib.parse.urlencode({"csrf_token": token, "email": email, "password": password, "next": "/"})
    answer = datil.request("POST", "/login/", body, {"Content-Type": "application/x-www-form-urlencoded", "Cookie": jar})
    assert answer.status in (302, 303), answer
    kept = dict(c.split(";")[0].split("=", 1) for c in answer.headers.get_all("Set-Cookie"))  # the last of a name counts
    return "; ".join(f"{k}={v}" for k, v in kept.items())


class Person:
    def __init__(self, datil, email, *options):
        self.datil = datil
        datil.add_user(email, "correct horse battery", *options)
        self.cookie = sign_in(datil, email, "correct horse battery")

    def get(self, path):
        return self.datil.get(path, headers={"Cookie": self.cookie})

    def post(self, path, **fields):
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.get("/api/tokens/").text)[1]
        return self.datil.request("POST", path, urllib.parse.urlencode({"csrf_token": token, **fields}),
                                  {"Content-Type": "application/x-www-form-urlencoded", "Cookie": self.cookie})


def test_the_page(datil):
    """Somebody looks, decides, and sees that it was done; the value is in no page, log or table."""
    root, plain = Person(datil, "root@example.org", "--superuser"), Person(datil, "plain@example.org")
    make(datil, range(900, 910), {900, 901, 902})
    assert plain.get("/siteadmin/purge/").status == 302 and plain.post("/siteadmin/purge/", annotation="x", value="y").status == 302
    assert datil.get("/siteadmin/purge/").status == 302
    assert root.post("/siteadmin/purge/", annotation="TelemetryClientId").status == 400
    assert root.post("/siteadmin/purge/", annotation="TelemetryClientId", value=VALUE, **{"from": "2026-02-01", "to": "2026-01-01"}).status == 400
    day = f"{DAY:%Y-%m-%d}"
    said = root.post("/siteadmin/purge/", annotation="TelemetryClientId", value=VALUE, product="Firefox", **{"from": day, "to": day})
    assert (said.status, said.headers["Location"]) == (303, "/siteadmin/purge/")
    assert "Looking" in root.get("/siteadmin/purge/").text
    datil.datil("cron", "run", "purge")
    page = root.get("/siteadmin/purge/").text
    assert "<strong>3</strong> crashes found" in page and "3 processed, 3 in the index, 3 in the statistics, " in page
    assert "Waits for a decision" in page and f"{day} to {day}" in page and "root@example.org" in page and VALUE not in page
    assert in_store(datil, range(900, 910)) == set(range(900, 910))
    run_id = re.findall(r'name="id" value="(\d+)"', page)[0]
    assert plain.post("/siteadmin/purge/start/", id=run_id).status == 302
    datil.datil("cron", "run", "purge")  # nobody has decided
    assert in_store(datil, {900}) == {900}
    assert root.post("/siteadmin/purge/start/", id=run_id).status == 303
    assert root.post("/siteadmin/purge/start/", id=run_id).status == 409
    datil.datil("cron", "run", "purge")
    page = root.get("/siteadmin/purge/").text
    assert "<strong>3</strong> deleted" in page and "Done</span>" in page
    assert all(not ids & {crash_id(n) for n in (900, 901, 902)} for ids in places(datil).values())
    rows = datil.sql("SELECT user_name, action, object_id FROM audit_log WHERE user_name = 'root@example.org' AND object = 'annotation' ORDER BY id")
    assert rows == [("root@example.org", "preview purge", "TelemetryClientId"), ("root@example.org", "purge", "TelemetryClientId")]
    assert not any(VALUE in str(row) for table in ("audit_log", "purge_run", "purge_item") for row in datil.sql(f"SELECT * FROM {table}"))
    assert not any(VALUE in p.read_text(errors="replace") for p in (datil.var / "log").glob("*.log"))


def test_a_preview_can_be_forgotten(datil):
    root = Person(datil, "other@example.org", "--superuser")
    root.post("/siteadmin/purge/", annotation="TelemetryClientId", value="other")
    datil.datil("cron", "run", "purge")
    run_id = re.findall(r'name="id" value="(\d+)"', root.get("/siteadmin/purge/").text)[0]
    assert root.post("/siteadmin/purge/cancel/", id=run_id).status == 303
    assert root.post("/siteadmin/purge/start/", id=run_id).status == 409
    assert datil.sql("SELECT state, digest FROM purge_run WHERE run_id = %s", run_id) == [("cancelled", "")]


def test_what_workers_keep_is_forgotten(datil):
    """Correlations that were made a moment ago are made again behind a purge."""
    make(datil, range(1000, 1060), set(range(1000, 1010)))
    asked = {"group": "product=Firefox&signature==purge::me&date=>=-9d", "reference": "product=Firefox&date=>=-9d"}
    before = datil.get("/api/Correlations/", asked).json["total"]
    datil.datil(*purge_args())
    assert datil.get("/api/Correlations/", asked).json["total"] == before - 10
    assert datil.sql("SELECT 1 FROM cron_job WHERE app_name = 'correlations' AND next_run <= now()") or \
        not datil.sql("SELECT 1 FROM cron_job WHERE app_name = 'correlations'")


CANARY = "zqcanary8157"  # only letters and digits: a signature has it as it was sent


def day_of(n):
    """A day of its own for each ten of them: days are published once."""
    return DAY - timedelta(days=1 + n // 10 % 10)


def strip_id(n):
    return f"{n:08x}-9e9e-4000-8000-000000{day_of(n):%y%m%d}"


def make_strippable(datil, numbers):
    """Crashes whose signature is made of an annotation: it is in places that no copy of a key explains."""
    day = day_of(numbers[0])
    store = datil.var / "store" / f"{day:%Y%m%d}"
    for n in numbers:
        raw = {"uuid": strip_id(n), "ProductName": "Firefox", "Version": "1.0", "BuildID": "20260101000000", "metadata": {}, "submitted_timestamp": f"{day:%Y-%m-%d}T03:00:00+00:00",
               "AsyncShutdownTimeout": json.dumps({"phase": CANARY, "conditions": []}), "Notes": "kept"}
        for kind, value in (("dump_names", []), ("raw_crash", raw)):
            (store / kind).mkdir(parents=True, exist_ok=True)
            (store / kind / f"{strip_id(n)}.json").write_text(json.dumps(value))
    datil.own(store)
    datil.datil("reprocess", stdin="".join(strip_id(n) + "\n" for n in numbers))
    wait_until(lambda: not waiting(datil), 20, "the first pass")
    assert CANARY in datil.search(uuid=strip_id(numbers[0]), date=f">={DAY - timedelta(days=20):%Y-%m-%d}")["hits"][0]["signature"]


def waiting(datil):
    return datil.sql("SELECT 1 FROM crash_queue WHERE state <> 2")


def ways_out(datil):
    """Where the canary is found."""
    found = set()
    for folder in ("store", "index", "telemetry"):
        for path in (datil.var / folder).rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                if CANARY.encode() in (gzip.decompress(data) if path.suffix == ".gz" else data):
                    found.add(folder)
    hits = datil.search(product="Firefox", date=f">={DAY - timedelta(days=20):%Y-%m-%d}", _results_number="1000", _facets="signature")
    found |= {"search"} if CANARY in json.dumps(hits) else set()
    found |= {"statistics"} if datil.sql("SELECT 1 FROM crash_counted c JOIN counted_key k USING (key_id) WHERE k.signature LIKE %s", f"%{CANARY}%") else set()
    found |= {"purges"} if any(CANARY in str(row) for table in ("audit_log", "purge_run", "purge_strip") for row in datil.sql(f"SELECT * FROM {table}")) else set()
    return found


# Where taking annotations out is stopped: what holds its next step, and what it finds then.
STRIP_STEPS = [
    ("LOCK TABLE purge_run IN EXCLUSIVE MODE", "before it is written down"),
    ("LOCK TABLE purge_strip IN EXCLUSIVE MODE", "before ids are noted"),
    ("export", "between the list and the first change"),
    ("LOCK TABLE crash_queue IN EXCLUSIVE MODE", "between raw crash and queue"),
    ("LOCK TABLE cron_job IN EXCLUSIVE MODE", "behind everything, before that is noted"),
    ("disk", "an error of the disk in the middle"),
]


def killed_at(datil, what, words):
    """Runs `datil` with these words and kills it when it waits for what somebody holds."""
    program = Path(os.environ.get("BUILD", "build")) / "bin" / "datil"
    holder = psycopg2.connect(f"host={datil.var}/run/pg user=datil dbname=datil")
    lock = (datil.var / "telemetry/.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX) if what == "export" else holder.cursor().execute(what)
        run = subprocess.Popen([str(program), *words], start_new_session=True, env={**datil.env, "DATIL_VAR": str(datil.var)},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if what == "export":
            wait_until(lambda: waits_for_a_file(run.pid), what="the purge at its lock")
        else:
            wait_until(lambda: datil.sql("SELECT 1 FROM pg_locks WHERE NOT granted"), what="the purge at its lock")
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    finally:
        holder.rollback()
        holder.close()
        lock.close()
    wait_until(lambda: not datil.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = 1886745447"), what="the dead session")


@pytest.mark.parametrize("step", range(len(STRIP_STEPS)), ids=[name for _, name in STRIP_STEPS])
def test_annotations_go_whatever_is_killed(datil, step):
    """A repeat finds no raw crash any more, and yet finishes what was begun: nothing of the value is left in any place."""
    numbers = range(2000 + 10 * step, 2006 + 10 * step)
    make_strippable(datil, numbers)
    day = day_of(numbers[0])
    datil.datil("cron", "run", "telemetry_rollup", "--job-arg", f"run-time={day + timedelta(days=1):%Y-%m-%d}T01:00")
    assert {"store", "index", "telemetry", "search", "statistics"} <= ways_out(datil)
    words = ("purge", "annotation", "AsyncShutdownTimeout")
    what = STRIP_STEPS[step][0]
    if what == "disk":
        processed = datil.var / "store" / f"{day:%Y%m%d}" / "processed_crash" / f"{strip_id(numbers[3])}.json"
        kept = processed.read_bytes()
        processed.unlink()
        processed.mkdir()
        failed = datil.datil(*words, check=False)
        assert failed.returncode == 1 and strip_id(numbers[3]) in failed.stderr and CANARY not in failed.stderr
        processed.rmdir()
        processed.write_bytes(kept)
    else:
        killed_at(datil, what, words)
    datil.datil(*words)
    wait_until(lambda: not waiting(datil), 20, "the second pass")
    datil.datil("cron", "run", "purge")
    assert not ways_out(datil)
    assert all("kept" in datil.datil("crash", "show", strip_id(n), "--raw").stdout for n in numbers)
    assert datil.search(uuid=strip_id(numbers[0]), date=f">={DAY - timedelta(days=20):%Y-%m-%d}")["total"] == 1
    assert not datil.sql("SELECT 1 FROM purge_run WHERE state NOT IN ('done', 'cancelled')")
    assert not datil.sql("SELECT 1 FROM purge_strip")
    assert datil.datil("stats", "verify", check=False).returncode == 0


def test_annotations_wait_for_the_processors(datil):
    """Also for a crash that failed: it keeps its old processed crash, and so the purge is not done."""
    make_strippable(datil, range(2100, 2102))
    datil.sql("INSERT INTO crash_queue (crash_id, ruleset, queue, not_before) VALUES (%s, 'later', 2, now() + interval '1 day')", strip_id(2100))
    datil.datil("purge", "annotation", "AsyncShutdownTimeout")
    state = "SELECT count(*) FROM purge_run WHERE state = 'processing'"
    assert datil.sql(state) == [(1,)]
    wait_until(lambda: not datil.sql("SELECT 1 FROM crash_queue WHERE state <> 2 AND ruleset <> 'later'"), 20, "the second pass")
    datil.sql("UPDATE crash_ledger SET state = 'failed' WHERE crash_id = %s", strip_id(2100))
    datil.sql("DELETE FROM crash_queue WHERE ruleset = 'later'")
    datil.datil("cron", "run", "purge")
    assert datil.sql(state) == [(1,)]
    datil.datil("reprocess", strip_id(2100))
    wait_until(lambda: not waiting(datil), 20, "the third pass")
    datil.datil("cron", "run", "purge")
    assert datil.sql(state) == [(0,)] and not ways_out(datil)
