"""datil purge --where: crashes with one value of an annotation leave every place, whatever is killed."""
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import Installation  # noqa: E402

DAY = datetime.now(timezone.utc) - timedelta(days=3)
VALUE = "zq-person-4713"


def crash_id(n):
    return f"{n:08x}-9e9e-4000-8000-000000{DAY:%y%m%d}"


def make(datil, numbers, doomed):
    docs = []
    store = datil.var / "store" / f"{DAY:%Y%m%d}"
    for n in numbers:
        who = VALUE if n in doomed else VALUE + "x" if n % 2 else "other"
        docs.append({"uuid": crash_id(n), "crash_id": crash_id(n), "product": "Firefox", "version": "1.0", "signature": "purge::me",
                     "release_channel": "release", "date_processed": f"{DAY:%Y-%m-%d}T03:00:00+00:00"})
        raw = {"uuid": crash_id(n), "ProductName": "Firefox", "TelemetryClientId": who}
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
    assert "3 had the value" in dry and "nothing was changed" in dry and crash_id(5) in dry and VALUE not in dry
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


def test_annotations_leave_the_export(datil):
    make(datil, range(400, 403), set())
    day_file = datil.var / "telemetry/v2/socorro_crash" / f"crash_date={DAY:%Y-%m-%d}"
    subprocess.run(["rm", "-rf", str(day_file)], check=True)
    make(datil, range(404, 408), set())
    roll(datil)
    assert crash_id(405) in exported(datil)
    datil.datil("purge", "annotation", "TelemetryClientId")
    assert not exported(datil) & {crash_id(n) for n in range(404, 408)}
