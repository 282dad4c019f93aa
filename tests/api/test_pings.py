"""The receiver of crash pings: forms, addresses, answers, limits, privacy, and what survives kills."""
import gzip
import http.client
import json
import re
import signal
import threading
import time
import zlib

import pytest
from harness import Installation, wait_until
from pings import CANARIES, glean, legacy, native, new_id
from victims import victims

OK = b'{"status": "ok"}'


@pytest.fixture(scope="module")
def it():
    with Installation() as datil:
        yield datil


def send(it, ping, path="/submit/crash-ping", method="POST", **headers):
    body = ping if isinstance(ping, bytes) else json.dumps(ping).encode()
    return it.request(method, path, body, {"Content-Type": "application/json", **headers})


def kept(it, document_id, timeout_s=15):
    """The document of a ping, once it is in the database."""
    rows = wait_until(lambda: it.sql("SELECT doc FROM crash_ping WHERE document_id = %s", document_id), timeout_s, f"ping {document_id}")
    return rows[0][0]


def received(it):
    return it.sql("SELECT coalesce(sum(received), 0)::int FROM ping_total_daily")[0][0]


def settled(it):
    """Everything that was answered is in the database: a ping of the end comes behind all others."""
    last = native()
    assert send(it, last).status == 200
    kept(it, last["document_id"])


FORMS = {"native": native, "glean": glean, "glean with underscores": lambda i: glean(i, underscores=True), "legacy": legacy,
         "legacy of a warehouse": lambda i: legacy(i, snake=True)}


def test_forms_are_one(it):
    docs = {}
    for name, make in FORMS.items():
        i = new_id()
        assert send(it, make(i)).body == OK, name
        docs[name] = kept(it, i)
        assert docs[name].pop("document_id") == i
    for name, doc in docs.items():
        assert doc == docs["native"], name
    assert docs["native"]["stack_traces"]["threads"][0]["frames"][0] == {"ip": "0x0000000000011234", "module_index": 0, "trust": "context"}


def test_addresses(it):
    for path, ping in ((f"/submit/firefox-desktop/crash/1/{(a := new_id())}", {k: v for k, v in glean().items() if k != "product"}),
                       (f"/submit/org-mozilla-fenix/crash/1/{(b := new_id())}", glean()),
                       (f"/submit/telemetry/{(c := new_id())}/crash/Firefox/120.0.1/release/20231116134553?v=4", legacy())):
        for method in ("PUT", "POST"):
            answer = send(it, ping, path, method)
            assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, OK, "application/json"), path
    assert [kept(it, i)["product"] for i in (a, b, c)] == ["Firefox", "Fenix", "Firefox"]
    bare = {"payload": {"stackTraces": {}, "metadata": {}}}
    assert send(it, bare, f"/submit/telemetry/{(d := new_id())}/crash/Firefox/99.1/beta/2021?v=4").status == 200
    doc = kept(it, d)
    assert (doc["version"], doc["channel"], doc["build_id"]) == ("99.1", "beta", "2021")


SOME_ID = "0b1c7a3e-5f0e-4c55-9d7a-1f1f5a2b3c4d"  # names of tests must not change from process to process


@pytest.mark.parametrize("path, body, status, answer", [
    ("/submit/crash-ping", b"{", 400, {"error": "malformed"}),
    ("/submit/crash-ping", b"", 400, {"error": "malformed"}),
    ("/submit/crash-ping", b"[]", 400, {"error": "malformed"}),
    ("/submit/crash-ping", b"3", 400, {"error": "malformed"}),
    ("/submit/crash-ping", b'{"product": "Firefox"} x', 400, {"error": "malformed"}),
    ("/submit/crash-ping", b"[" * 100000, 400, {"error": "malformed"}),
    ("/submit/crash-ping", b'{"product": "Nobody"}', 404, {"error": "unknown product"}),
    ("/submit/crash-ping", b'{"metrics": {}}', 404, {"error": "unknown product"}),
    ("/submit/firefox-desktop/crash/1/not-an-id", b"{}", 400, {"error": "malformed"}),
    (f"/submit/nobody/crash/1/{SOME_ID}", b"{}", 404, {"error": "unknown product"}),
    (f"/submit/firefox-desktop/baseline/1/{SOME_ID}", b"{}", 404, {"error": "not found"}),
    (f"/submit/telemetry/{SOME_ID}/main/Firefox/1/release/2", b"{}", 404, {"error": "not found"}),
    (f"/submit/telemetry/{SOME_ID}/crash/Firefox", b"{}", 404, None),
    ("/submit/crash-ping/more/of/it/all/that", b"{}", 404, None),
])
def test_refusals(it, path, body, status, answer):
    got = send(it, body, path)
    assert got.status == status and (answer is None or got.json == answer), got


def test_methods(it):
    for path in ("/submit/crash-ping", f"/submit/firefox-desktop/crash/1/{new_id()}"):
        for method in ("GET", "DELETE", "PATCH"):
            assert it.request(method, path).status == 405


def test_codings_and_limits(it):
    ping = native()
    body = json.dumps(ping).encode()
    assert send(it, gzip.compress(body), **{"Content-Encoding": "gzip"}).body == OK
    kept(it, ping["document_id"])
    for bad in (body, gzip.compress(body)[:-9], gzip.compress(body)[:20], b""):
        assert send(it, bad, **{"Content-Encoding": "gzip"}).json == {"error": "malformed"}
    assert send(it, zlib.compress(body), **{"Content-Encoding": "br"}).status == 400
    long = json.dumps(native(metadata={"x": "y" * (10 << 20)})).encode()
    assert send(it, gzip.compress(long), **{"Content-Encoding": "gzip"}).status == 413
    assert send(it, gzip.compress(b'{"x": "' + b"y" * (9 << 20) + b'", "product": "Firefox"}'), **{"Content-Encoding": "gzip"}).body == OK
    assert send(it, b" " * ((1 << 20) + 1)).status == 413


def test_without_content_is_only_counted(it):
    settled(it)
    before, i = received(it), new_id()
    assert send(it, {"document_id": i, "product": "Firefox", "version": "1"}).body == OK
    wait_until(lambda: received(it) == before + 1, 15, "the count")
    assert not it.sql("SELECT 1 FROM crash_ping WHERE document_id = %s", i)


def test_duplicates(it):
    settled(it)
    before, ping, bare = received(it), native(), {"document_id": new_id(), "product": "Firefox"}
    for _ in range(5):
        assert send(it, ping).body == OK
        assert send(it, bare).body == OK
    settled(it)
    assert received(it) == before + 3
    assert it.sql("SELECT count(*)::int FROM crash_ping WHERE document_id = %s", ping["document_id"]) == [(1,)]


def test_nothing_of_a_person_is_kept(it):
    """No canary in any table, log or other file; sent in every form, and in requests that fail in every way."""
    agent = {"User-Agent": CANARIES[3], "X-Forwarded-For": "198.51.100.77", "Cookie": "datil_session=" + CANARIES[0]}
    odd = native(reason="byte index 4 of " + CANARIES[5], email=CANARIES[8],
                 java_exception={"throwables": [{"typeName": "a.B", "message": CANARIES[5], "stack": []}]},
                 metadata={"Email": CANARIES[8], "URL": CANARIES[9], "RemoteType": "web=" + CANARIES[9]},
                 async_shutdown_timeout={"phase": "p", "conditions": [{"name": "c", "state": CANARIES[5]}]})
    old_java = native(java_exception={"messages": [CANARIES[5], CANARIES[5]], "stack": []})
    for ping in (*[make(new_id()) for make in FORMS.values()], odd, old_java):
        assert send(it, ping, **agent).status == 200
    broken = json.dumps(glean())[:-5].encode()
    for body, path in ((broken, "/submit/crash-ping"), (json.dumps({**glean(), "product": CANARIES[0]}).encode(), "/submit/crash-ping"),
                       (json.dumps(legacy()).encode(), f"/submit/telemetry/{CANARIES[0]}/crash/Firefox/1/2/3"),
                       (json.dumps(glean()).encode(), f"/submit/{CANARIES[0]}/crash/1/{new_id()}"),
                       (CANARIES[5].encode() * 60000, "/submit/crash-ping")):
        assert send(it, body, path, **agent).status in (400, 404, 413)
    settled(it)
    tables = [t for t, in it.sql("SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")]
    assert "ping_seen" in tables
    for table in tables:
        for row, in it.sql(f'SELECT row_to_json(t)::text FROM "{table}" t'):
            found = [c for c in [*CANARIES, "198.51.100.77"] if c in row]
            assert not found, (table, found)
    for path in (p for top in ("log", "spool", "nginx", "run", "tmp", "store") for p in (it.var / top).rglob("*") if p.is_file()):
        content = path.read_bytes()
        found = [c for c in [*CANARIES, "198.51.100.77"] if c.encode() in content]
        assert not found, (path, found)
    access = (it.var / "log/nginx-access.log").read_text()
    assert "crash-ping" not in access and not re.search(r'"path":"/submit', access)
    # What the search above would find if it were there: the base name of the same path.
    assert any("app.pdb" in row for row, in it.sql("SELECT doc::text FROM crash_ping"))


def test_rate_limit_and_switch():
    with Installation(RATE_LIMIT_PING="3") as it:
        assert [send(it, native()).status for _ in range(5)] == [200, 200, 200, 429, 429]
        assert send(it.new_client(), native()).status == 200
        it.stop()
        it.env.update(PING_ENABLED="off")
        it.start()
        assert send(it, native()).status == 404


def test_sampling():
    """With a target of 1 the second day would keep little; what is kept stands for what is not."""
    with Installation(PING_SAMPLE_TARGET_RELEASE="20") as it:
        yesterday = """INSERT INTO ping_cell (day, product, major, channel, os, process_type, utility_actor, target, expected, received)
            VALUES ((now() AT TIME ZONE 'UTC')::date - 1, 'Firefox', '120', 'release', 'Windows', 'main', '', 20, 1, 100)"""
        it.sql(yesterday)
        ids = [new_id() for _ in range(200)]
        for i in ids:
            assert send(it, native(i)).status == 200
        wait_until(lambda: received(it) == 200, 20, "all of them")
        salt = it.sql("SELECT salt FROM ping_salt")[0][0]
        rows = it.sql("SELECT document_id::text, weight FROM crash_ping")
        assert {w for _, w in rows} == {5.0} and 10 <= len(rows) <= 75, len(rows)  # 40 expected, standard deviation 5.7
        assert salt and it.sql("SELECT received, sampled FROM ping_cell WHERE expected = 100") == [(200, len(rows))]


def test_database_away_and_kills():
    """Whatever is killed, and with the database away for a while: every ping that was answered with 200 counts, none twice."""
    with Installation() as it:
        accepted, stop = [], threading.Event()

        def sender():
            while not stop.is_set():
                ping = native()
                while not stop.is_set():
                    try:
                        if send(it, ping).status == 200:
                            accepted.append(ping["document_id"])
                            break
                    except (OSError, http.client.HTTPException):
                        time.sleep(0.02)
        threads = [threading.Thread(target=sender) for _ in range(4)]
        for t in threads:
            t.start()
        order = ["pings", "carrier", "postgres backend", "pings parent", "postgres", "carrier", "pings"] * 2
        killed = 0
        for kind in order:
            before = len(accepted)
            wait_until(lambda before=before: len(accepted) > before + 10, 30, f"pings before a kill of {kind}")
            pids = sorted(victims(it)[kind])
            killed += bool(pids) and it.kill(pids[0], signal.SIGKILL)
        stop.set()
        for t in threads:
            t.join(30)
        assert killed >= 10

        def all_there():
            try:
                return it.sql("SELECT count(*)::int FROM crash_ping WHERE document_id::text = ANY (%s)", accepted) == [(len(accepted),)]
            except Exception:  # the server comes up again
                return False
        wait_until(all_there, 60, f"{len(accepted)} pings")
        counts = it.sql("""SELECT (SELECT sum(received)::int FROM ping_total_daily), (SELECT count(*)::int FROM crash_ping),
            (SELECT sum(sampled)::int FROM ping_cell), (SELECT count(*)::int FROM ping_seen)""")[0]
        assert len(set(counts)) == 1 and counts[0] >= len(accepted), (counts, len(accepted))
        assert counts[0] <= len(accepted) + 40  # those whose answer was lost in a kill
