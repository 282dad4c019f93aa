"""The export of public records: one file of JSON lines per day and product, with a manifest."""
import csv
import gzip
import io
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import Installation  # noqa: E402

SECRET = "zq-canary-4712"
ROOT = "/telemetry/v2/socorro_crash/crash_date="
TODAY = datetime.now(timezone.utc)
GOLDEN = Path(__file__).parent.parent / "data" / "telemetry_socorro_crash.json"
FIELDS = Path(__file__).resolve().parents[2] / "lib" / "crash" / "fields.tsv"


def crash_id(n, day):
    return f"{n:08x}-e0e0-4000-8000-000000{day:%y%m%d}"


def document(n, day, **more):
    uuid = crash_id(n, day)
    return {"uuid": uuid, "crash_id": uuid, "date_processed": f"{day:%Y-%m-%d}T03:04:05+00:00", "product": "Firefox",
            "version": "1.0", "signature": f"sig {n % 3}", "url": "https://" + SECRET, "user_comments": SECRET, **more}


def load(datil, *docs):
    datil.datil("crash", "load", stdin="".join(json.dumps(d) + "\n" for d in docs))


def roll(datil, day, check=True):
    return datil.datil("cron", "run", "telemetry_rollup", "--job-arg", f"run-time={day + timedelta(days=1):%Y-%m-%d}T01:00",
                       check=check)


def manifest(datil, day):
    answer = datil.get(f"{ROOT}{day:%Y-%m-%d}/manifest.json")
    return answer.json if answer.status == 200 else None


def records(datil, day):
    """All of a day, by product; what the manifest promises is held against the bytes."""
    found = {}
    for entry in manifest(datil, day)["files"]:
        answer = datil.get(f"{ROOT}{day:%Y-%m-%d}/" + entry["name"].replace(" ", "%20"))
        assert answer.status == 200 and "Content-Encoding" not in answer.headers
        assert len(answer.body) == entry["bytes"] and hashlib.sha256(answer.body).hexdigest() == entry["sha256"]
        rows = [json.loads(line) for line in gzip.decompress(answer.body).splitlines()]
        assert len(rows) == entry["rows"]
        found[entry["name"].removesuffix(".jsonl.gz")] = rows
    return found


@pytest.fixture(scope="module")
def datil():
    with Installation() as d:
        yield d


def test_a_day(datil):
    day = TODAY - timedelta(days=2)  # the scheduler makes yesterday's by itself
    load(datil, *[document(n, day, product="Firefox" if n % 2 else "A/b ö") for n in range(40)])
    assert manifest(datil, day) is None
    assert "40 records in 2 files" in roll(datil, day).stdout
    found = records(datil, day)
    assert sorted(found) == ["A_b __", "Firefox"]
    assert [r["crash_id"] for r in found["Firefox"]] == [crash_id(n, day) for n in range(1, 40, 2)]
    assert found["Firefox"][0]["date"].startswith(f"{day:%Y-%m-%d}")
    assert manifest(datil, day)["schema_version"] == 2 and manifest(datil, day)["date"] == f"{day:%Y-%m-%d}"
    assert not list((datil.var / "store" / f"{day:%Y%m%d}" / "crash_report").glob("*"))


def test_a_day_never_changes(datil):
    day = TODAY - timedelta(days=2)
    before = manifest(datil, day)
    load(datil, document(1, day, signature="other"), document(99, day))
    assert "has files already" in roll(datil, day).stdout
    assert manifest(datil, day) == before
    records(datil, day)


def test_first_processing_counts(datil):
    day = TODAY - timedelta(days=3)
    load(datil, document(1, day, signature="first"))
    load(datil, document(1, day, signature="second"))
    roll(datil, day)
    assert [r["signature"] for r in records(datil, day)["Firefox"]] == ["first"]


def test_same_records_same_bytes(datil):
    days = [TODAY - timedelta(days=n) for n in (4, 4)]
    load(datil, *[document(n, days[0]) for n in range(30, 0, -1)])
    store = datil.var / "store" / f"{days[0]:%Y%m%d}"
    kept = {p.name: p.read_bytes() for p in (store / "crash_report").iterdir()}
    roll(datil, days[0])
    first = manifest(datil, days[0])
    subprocess.run(["rm", "-r", str(datil.var / "telemetry/v2/socorro_crash" / f"crash_date={days[0]:%Y-%m-%d}")], check=True)
    (store / "crash_report").mkdir(exist_ok=True)
    for name in sorted(kept, reverse=True):
        (store / "crash_report" / name).write_bytes(kept[name])
    datil.own(store)
    roll(datil, days[0])
    assert manifest(datil, days[0]) == first


def test_deleted_crashes_leave_the_files(datil):
    day = TODAY - timedelta(days=5)
    load(datil, *[document(n, day) for n in range(6)])
    datil.datil("crash", "delete", crash_id(0, day))
    roll(datil, day)
    said = datil.datil("crash", "delete", crash_id(3, day)).stdout
    assert "export" in said
    load(datil, document(3, day))  # a late one is none of that day
    assert [r["crash_id"] for r in records(datil, day)["Firefox"]] == [crash_id(n, day) for n in (1, 2, 4, 5)]


def is_exported(datil, n, day):
    return datil.get("/api/CrashVerify/", {"crash_id": crash_id(n, day)}).json["telemetry_crash"]


def test_whether_a_crash_is_in_the_export(datil):
    """Before its day is made, in its files, and when it was taken out of them."""
    day = TODAY - timedelta(days=10)
    load(datil, *[document(n, day) for n in range(5)])
    assert is_exported(datil, 3, day) and not is_exported(datil, 5, day)
    roll(datil, day)
    assert all(is_exported(datil, n, day) for n in range(5))
    datil.datil("crash", "delete", crash_id(3, day))
    assert [n for n in range(6) if is_exported(datil, n, day)] == [0, 1, 2, 4]
    assert datil.get(f"{ROOT}{day:%Y-%m-%d}/crash_ids").status == 404
    folder = datil.var / "telemetry/v2/socorro_crash" / f"crash_date={day:%Y-%m-%d}"
    (folder / "crash_ids").write_bytes(b"")
    assert not is_exported(datil, 1, day)


DUCKDB = "@duckdb/node-api@1.5.6-r.1"
QUESTION = """
const { DuckDBInstance } = require("@duckdb/node-api");
(async () => {
  const db = await (await DuckDBInstance.create()).connect();
  const sql = require("fs").readFileSync(process.argv[2], "utf8");
  const rows = await db.runAndReadAll("SELECT crash_date::VARCHAR, signature, n::INTEGER FROM (" + sql + ")");
  console.log(JSON.stringify(rows.getRows()));
})().catch((e) => { console.error(String(e)); process.exit(1); });
"""


@pytest.fixture(scope="module")
def duckdb():
    """The folder with the package; it stays beside the build.  Without npm or the network the test is left out."""
    folder = Path(os.environ.get("BUILD", "build")).resolve() / "duckdb"
    if not (folder / "node_modules/@duckdb/node-api").exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), DUCKDB], check=True, timeout=120,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except (OSError, subprocess.SubprocessError) as why:
            pytest.skip(f"DuckDB cannot be had here ({why}): the files were not loaded into it")
    (folder / "ask.js").write_text(QUESTION)
    return folder


def test_duckdb_counts_as_the_index_does(datil, duckdb):
    """Crashes per signature and day, with the statement that docs/export.md shows."""
    days = [TODAY - timedelta(days=n) for n in (11, 12, 13)]
    for i, day in enumerate(days):
        load(datil, *[document(n, day, product="Firefox" if n % 3 else "Fenix", signature=f"s {n % (i + 2)} 'ü\\\"") for n in range(20 + i)])
        roll(datil, day)
    shown = (Path(__file__).resolve().parents[2] / "docs/export.md").read_text()
    statement = shown[shown.index("    SELECT crash_date"):shown.index(" ORDER BY 3 DESC;")]
    root = datil.var / "telemetry/v2/socorro_crash"
    statement = statement.replace("'crash_date=*", f"'{root}/crash_date=*").replace("count(*)", "count(*) AS n")
    (duckdb / "question.sql").write_text(statement)
    done = subprocess.run(["node", "ask.js", "question.sql"], cwd=duckdb, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    theirs = {(day, signature): n for day, signature, n in json.loads(done.stdout)}
    answer = datil.search(date=f">={days[-1]:%Y-%m-%d}", **{"_histogram.date": "signature", "_results_number": 0, "_facets_size": 1000})
    ours = {(b["term"][:10], x["term"]): x["count"] for b in answer["facets"]["histogram_date"] for x in b["facets"]["signature"]}
    for day in days:
        of_day = {k: n for k, n in ours.items() if k[0] == f"{day:%Y-%m-%d}"}
        assert of_day and of_day == {k: n for k, n in theirs.items() if k[0] == f"{day:%Y-%m-%d}"}


def annotations():
    """Name -> permission."""
    return {line.split("\t")[1]: line.split("\t")[3] for line in FIELDS.read_text().splitlines() if line.startswith("annotation\t")}


def test_no_annotation_comes_out_but_public_ones(datil, minidump):
    """A report that is collected and processed for real, with a canary in every annotation there is and some that are none."""
    fixed = {"ProductName", "Version", "ReleaseChannel", "BuildID", "uuid", "metadata", "Throttleable"}  # decide what becomes of it
    names = [n for n in annotations() if re.fullmatch(r"[A-Za-z0-9_]+", n) and n not in fixed] + ["NobodyKnowsThis", "uuid2"]
    canary = {n: f"{SECRET}-raw-{n}-" for n in names}
    id_ = datil.post({**canary}, minidump)
    datil.wait_processed(id_)
    records = list((datil.var / "store" / f"20{id_[-6:]}" / "crash_report").glob(f"{id_}*"))
    assert len(records) == 1
    text = records[0].read_text()
    public = {name for name, permission in annotations().items() if permission == "pub"}
    leaked = {n for n in names if canary[n] in text}
    # The reason of an abort is protected as it was sent; the rule MozCrashReason makes a public one, of this text the same.
    assert leaked <= public | {"MozCrashReason"}, leaked - public
    assert len(leaked) > 10  # the canaries do arrive where they may


def test_killed_at_any_moment(datil):
    """A day is there whole or not at all, and the next run completes it."""
    day = TODAY - timedelta(days=6)
    load(datil, *[document(n, day) for n in range(300)])
    env = {**os.environ, "DATIL_VAR": str(datil.var)}
    program = Path(os.environ.get("BUILD", "build")) / "bin" / "datil"
    for pause in (0.01, 0.02, 0.03, 0.04, 0.06, 0.08):
        run = subprocess.Popen([str(program), "cron", "run", "telemetry_rollup", "--job-arg",
                                f"run-time={day + timedelta(days=1):%Y-%m-%d}T01:00"], env=env, start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(pause)  # not a wait: the moment of the kill
        try:
            os.killpg(run.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        run.wait()
        if manifest(datil, day):
            assert len(records(datil, day)["Firefox"]) == 300
    roll(datil, day)
    assert len(records(datil, day)["Firefox"]) == 300
    assert not list((datil.var / "telemetry/v2/socorro_crash").glob(".crash*"))


def keys_of_documents():
    """Every key of a processed crash, with its permission."""
    for line in FIELDS.read_text().splitlines():
        columns = line.split("\t")
        if columns[:2] == ["key", "processed"]:
            yield columns[2], columns[4]


def test_only_public_keys_come_out(datil):
    day = TODAY - timedelta(days=7)
    keys = {name for name, _ in keys_of_documents()} - {"uuid", "crash_id", "product", "date_processed"}
    docs = [document(1, day, **{k: f"{SECRET}-{k}-" for k in keys}),
            document(2, day, **{k: [f"{SECRET}-{k}-"] for k in keys}),
            document(3, day, **{k: {"x": f"{SECRET}-{k}-", "frames": [{"registers": {"x": SECRET}}]} for k in keys}),
            document(4, day, not_a_key=SECRET, json_dump={"secret": SECRET, "crashing_thread": {"frames": [
                {"frame": n, "registers": {"rip": SECRET}, "trust": SECRET, "function": "f"} for n in range(30)]}})]
    load(datil, *docs)
    roll(datil, day)
    schema = datil.get("/telemetry/telemetry_socorro_crash.json").json
    rows = {r["crash_id"]: r for r in records(datil, day)["Firefox"]}
    public = {name for name, permission in keys_of_documents() if permission == "pub"}
    renamed = {"build": "build_id", "os_name": "platform", "os_pretty_version": "platform_pretty_version", "os_version": "platform_version"}
    for row in rows.values():
        assert set(row) <= set(schema["properties"])
        for key, value in row.items():
            for canary in [k for k in keys if f"{SECRET}-{k}-" in json.dumps(value)]:
                assert canary in public and key in (canary, renamed.get(canary)), (key, canary)
    assert SECRET not in json.dumps(rows[crash_id(4, day)])
    assert len(rows[crash_id(4, day)]["json_dump"]["crashing_thread"]["frames"]) == 10


def additions(old, new, path=""):
    """Whatever was there is there, with the same types."""
    for key, was in old.items():
        assert key in new, f"{path}/{key} was removed"
        if isinstance(was, dict):
            additions(was, new[key], f"{path}/{key}")
        else:
            assert new[key] == was, f"{path}/{key} was {was} and is {new[key]}"


def test_schema_only_grows(datil):
    schema = datil.get("/telemetry/telemetry_socorro_crash.json").json
    assert schema["$target_version"] == 2 and schema["$schema"] == "http://json-schema.org/draft-04/schema#"
    additions(json.loads(GOLDEN.read_text()), schema)


def test_nothing_else_is_offered(datil):
    """Each of these files is on the disk; none is a part of a published day."""
    day = datil.var / "telemetry/v2/socorro_crash/crash_date=2026-01-01"
    draft, bare = day.with_name(".crash_date=2026-01-01"), day.with_name("crash_date=2026-01-02")
    for folder in (day, draft, bare):
        folder.mkdir(parents=True)
        for name in ("A.jsonl.gz", ".B.jsonl.gz", "crash_ids", "A.jsonl", "a;b.jsonl.gz"):
            (folder / name).write_text(SECRET)
    for folder in (day, draft):
        (folder / "manifest.json").write_text("{}")
    (day / "link.jsonl.gz").symlink_to(day / "crash_ids")
    day.with_name("crash_date=2026-01-03").symlink_to(day)
    (datil.var / "telemetry/manifest.json").write_text(SECRET)
    root = "v2/socorro_crash/"
    assert datil.get(f"/telemetry/{root}crash_date=2026-01-01/A.jsonl.gz").text == SECRET
    for path in ("", "v2", "v2/", root, f"{root}crash_date=2026-01-01", f"{root}crash_date=2026-01-01/", ".lock", "manifest.json",
                 *(f"{root}crash_date=2026-01-01/{name}" for name in ("crash_ids", ".B.jsonl.gz", "A.jsonl", "a;b.jsonl.gz", "link.jsonl.gz",
                   "A.jsonl.gz/", "%2e%2e/%2e%2e/%2e%2e/.lock", "..%2f..%2f..%2fmanifest.json", "A.jsonl.gz%00", "manifest.json%0a", "crash_ids%00.jsonl.gz")),
                 f"{root}.crash_date=2026-01-01/manifest.json", f"{root}crash_date=2026-01-02/A.jsonl.gz", f"{root}crash_date=2026-01-03/A.jsonl.gz",
                 f"{root}crash_date=2026-01-04/manifest.json", f"{root}crash_date=../manifest.json", "%2e%2e/config/products/Firefox.json"):
        answer = datil.get("/telemetry/" + path)
        assert answer.status in (400, 403, 404) and SECRET not in answer.text, (path, answer)


def test_files_are_sent_by_nginx(datil):
    """Types, ranges, unchanged since, HEAD; also while the web application is away."""
    day = TODAY - timedelta(days=14)
    load(datil, *[document(n, day) for n in range(200)])
    roll(datil, day)
    path = f"{ROOT}{day:%Y-%m-%d}/Firefox.jsonl.gz"
    whole = datil.get(path, headers={"Accept-Encoding": "gzip"})
    assert whole.headers["Content-Type"] == "application/gzip" and whole.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["Access-Control-Allow-Origin"] == "*" and whole.headers["X-Content-Type-Options"] == "nosniff"
    assert gzip.decompress(whole.body).count(b"\n") == 200
    part = datil.get(path, headers={"Range": "bytes=10-29"})
    assert part.status == 206 and part.body == whole.body[10:30]
    assert part.headers["Content-Range"] == f"bytes 10-29/{len(whole.body)}"
    assert datil.get(path, headers={"Range": "bytes=-5"}).body == whole.body[-5:]
    assert datil.get(path, headers={"Range": f"bytes={len(whole.body)}-"}).status == 416
    same = {"Range": "bytes=0-1", "If-Range": whole.headers["ETag"]}
    assert datil.get(path, headers=same).status == 206
    assert datil.get(path, headers={**same, "If-Range": '"other"'}).body == whole.body
    assert datil.get(path, headers={"If-None-Match": whole.headers["ETag"]}).status == 304
    head = datil.request("HEAD", path)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(whole.body)))
    list_ = datil.get(path.replace("Firefox.jsonl.gz", "manifest.json"), headers={"Accept-Encoding": "gzip"})
    assert list_.headers["Content-Type"] == "application/json" and "Content-Encoding" not in list_.headers
    refused = datil.request("POST", path, b"x")
    assert refused.status == 405 and refused.headers["Allow"] == "GET, HEAD"
    parents, workers = datil.program_pids("datil-webapp")
    for pid in (*parents, *workers):
        datil.kill(pid, signal.SIGSTOP)
    try:
        assert datil.get(path).body == whole.body
    finally:
        for pid in (*parents, *workers):
            datil.kill(pid, signal.SIGCONT)


def test_all_reports_of_a_search(datil):
    """More than an answer may hold; as a table and as lines; columns, filters, dates and permissions as in a search."""
    day, other = TODAY - timedelta(days=8), TODAY - timedelta(days=9)
    load(datil, *[document(n, day, signature='a "quoted", one', addons=["a:1", "b:2"], product="Many") for n in range(1200)],
         document(20000, other, product="Many"), document(20001, day, product="Other"))
    query = f"product=Many&date=>={day:%Y-%m-%d}&date=<{TODAY:%Y-%m-%d}&_columns=uuid&_columns=signature&_columns=addons&_columns=url&url=~zz"
    said = datil.datil("export", "csv", query)
    rows = list(csv.DictReader(io.StringIO(said.stdout)))
    assert [r["uuid"] for r in rows] == [crash_id(n, day) for n in range(1200)] and "1200 rows" in said.stderr
    assert list(rows[0]) == ["uuid", "signature", "addons"] and rows[7]["signature"] == 'a "quoted", one' and rows[7]["addons"] == "a:1; b:2"
    lines = [json.loads(line) for line in datil.datil("export", "ndjson", query).stdout.splitlines()]
    assert [r["uuid"] for r in lines] == [r["uuid"] for r in rows] and lines[0]["addons"] == ["a:1", "b:2"]
    assert SECRET not in said.stdout
    shown = datil.datil("export", "csv", query.replace("&url=~zz", ""), "--protected").stdout
    assert shown.count(SECRET) == 1200
    assert datil.sql("SELECT 1 FROM audit_log WHERE action = 'export'")
    assert "no_such" in datil.datil("export", "csv", "_columns=no_such", check=False).stderr
