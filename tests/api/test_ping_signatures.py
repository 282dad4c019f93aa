"""Signatures of crash pings: symbols, the same signature as reports, counters that stay exact whatever is killed or done again."""
import contextlib
import http.server
import json
import os
import random
import threading
from datetime import datetime, timedelta, timezone

import pytest
from harness import Installation, wait_until
from pings import MODULES, native as whole, new_id
from victims import victims

def native(document_id=None, **changes):
    """Without the size of an allocation, which would be the signature."""
    return whole(document_id, **{"oom_size": None, **changes})


SYMBOLS = f"""MODULE windows x86_64 {MODULES[0]["debug_id"]} app.pdb
FUNC 1000 100 0 first_function
FUNC 1200 100 0 second_function
"""


@pytest.fixture(scope="module")
def it(tmp_path_factory):
    with Installation() as datil:
        path = tmp_path_factory.mktemp("symbols") / "app.sym"
        path.write_text(SYMBOLS)
        datil.datil("symbols", "add", path)
        yield datil


def send(it, ping):
    assert it.request("POST", "/submit/crash-ping", json.dumps(ping), {"Content-Type": "application/json"}).status == 200
    return ping["document_id"]


def done(it, document_id, timeout_s=20):
    """(signature, stack, doc) of a ping once it has them."""
    query = "SELECT signature, stack, doc FROM crash_ping WHERE document_id = %s AND state = 'done'"
    return wait_until(lambda: it.sql(query, document_id), timeout_s, f"the signature of {document_id}")[0]


def recount(it):
    """Counters from the rows, and as they stand; the two must be equal."""
    keys = "day, product, version, channel, os, process_type, signature"
    rows = it.sql(f"""SELECT {keys}, count(*), round(sum(weight)::numeric, 6), round(sum(weight * weight)::numeric, 6),
        round(coalesce(sum(weight) FILTER (WHERE startup), 0)::numeric, 6), round(coalesce(sum(weight) FILTER (WHERE signature LIKE 'OOM |%%'), 0)::numeric, 6)
        FROM crash_ping WHERE signature IS NOT NULL GROUP BY {keys} ORDER BY {keys}""", )
    kept = it.sql(f"""SELECT {keys}, sampled, round(estimate::numeric, 6), round(squares::numeric, 6), round(startup::numeric, 6),
        round(oom::numeric, 6) FROM ping_signature_daily WHERE sampled <> 0 ORDER BY {keys}""")
    return rows, kept


def idle(it):
    return it.sql("SELECT count(*)::int FROM ping_queue")[0][0] == 0


def test_symbols_and_missing_ones(it):
    signature, stack, _ = done(it, send(it, native()))
    assert signature == "second_function"
    assert stack[0]["function"] == "second_function" and stack[0]["function_offset"] == "0x0000000000000034"
    assert "function" not in stack[1] and stack[1]["module"] == "libx.so" and stack[1]["module_offset"] == "0x0000000000000100"
    wait_until(lambda: it.sql("SELECT 1 FROM missing_symbol WHERE symbol = 'libx.so'"), 30, "the symbols that are missing")
    first = it.sql("SELECT source FROM signature WHERE signature = %s", signature)
    assert first == [("ping",)]


def test_same_signature_as_the_report(it, minidump):
    """A real crash, sent as a report; its stack, sent as a ping."""
    processed = it.wait_processed(it.post(None, minidump))
    dump = processed["json_dump"]
    thread = dump["threads"][dump["crash_info"].get("crashing_thread") or 0]
    names = [m["filename"] for m in dump["modules"]]
    frames = [{"ip": f["offset"], "trust": f["trust"], **({"module_index": names.index(f["module"])} if f.get("module") in names else {})}
              for f in thread["frames"]]
    assert len(frames) >= 2
    modules = [{"base_address": m["base_addr"], "end_address": m["end_addr"], "filename": m["filename"], "debug_file": m["debug_file"],
                "debug_id": m["debug_id"], "code_id": m.get("code_id")} for m in dump["modules"]]
    signature, _, _ = done(it, send(it, native(product="Crashme", os="Linux", reason=None, stack_traces={
        "crash_type": dump["crash_info"]["type"], "modules": modules, "threads": [{"frames": frames}]})))
    assert signature == processed["signature"]


def test_reprocessing_moves_counters(it, tmp_path):
    ids = [send(it, native(version=v, channel=c, startup_crash=s, build_id="20260101000000"))
           for v in ("1.0", "2.0") for c in ("nightly", "release") for s in (True, False)]
    for i in ids:
        done(it, i)
    before = {s for s, in it.sql("SELECT DISTINCT signature FROM crash_ping WHERE build_id = '20260101000000'")}
    assert before == {"second_function"} and len(set(map(str, recount(it)))) == 1
    path = tmp_path / "app.sym"
    path.write_text(SYMBOLS.replace("second_function", "renamed_function"))
    it.datil("symbols", "add", path)
    assert it.datil("ping", "reprocess", "--build", "20260101000000").stdout == "8 pings are queued again\n"
    wait_until(lambda: idle(it), 20, "the second pass")
    assert {s for s, in it.sql("SELECT DISTINCT signature FROM crash_ping WHERE build_id = '20260101000000'")} == {"renamed_function"}
    rows, kept = recount(it)
    assert rows == kept
    assert it.sql("SELECT sum(sampled)::int FROM ping_signature_build WHERE build_id = '20260101000000' AND signature = 'renamed_function'") == [(4,)]
    for option, value, number in (("--module", "app.pdb", 8), ("--signature", "renamed_function", 8), ("--signature", "nobody's", 0)):
        answer = it.datil("ping", "reprocess", "--build", "20260101000000", option, value).stdout
        assert answer == f"{number} pings are queued again\n", (option, answer)
        wait_until(lambda: idle(it), 20, "another pass")
    rows, kept = recount(it)
    assert rows == kept
    for wrong in ((), ("--day", "yesterday")):
        assert it.datil("ping", "reprocess", *wrong, check=False).returncode == 1


def test_load_and_sample(it):
    ids = [new_id() for _ in range(30)]
    lines = [json.dumps(native(i, received_at=f"2024-02-{1 + n % 28:02}T12:00:00Z", weight=2.5, version="77.0")) for n, i in enumerate(ids)]
    assert it.datil("ping", "load", stdin="\n".join(lines) + "\n").stdout == "30 pings loaded, 30 of them with work, 0 were there before\n"
    assert it.sql("SELECT count(*)::int, sum(weight)::float, min(day)::text FROM crash_ping WHERE version = '77.0' AND state = 'done'") == [(30, 75.0, "2024-02-01")]
    assert it.sql("SELECT sum(received)::int FROM ping_total_daily WHERE version = '77.0'") == [(30,)]
    assert it.sql("SELECT sum(estimate)::float, sum(squares)::float FROM ping_signature_daily WHERE version = '77.0'") == [(75.0, 30 * 6.25)]
    assert "30 were there before" in it.datil("ping", "load", stdin=lines[0] + "\n").stdout.replace("1 were", "30 were")
    for bad in ("{", json.dumps(native(product="Nobody")), json.dumps(native(weight=0)), json.dumps(native(received_at="soon"))):
        failed = it.datil("ping", "load", stdin=bad, check=False)
        assert failed.returncode == 1 and "line 1" in failed.output
    chosen = [it.datil("ping", "sample", "--p", "0.25", "--salt", "x", stdin="\n".join(order)).stdout.split("\n")[:-1]
              for order in (ids, ids[::-1])]
    assert sorted(chosen[0]) == sorted(chosen[1]) and [line.split()[0] for line in chosen[0]] == ids
    assert {tuple(line.split()[1:]) for line in chosen[0]} <= {("keep", "4"), ("drop", "0")}


def test_one_ping(it):
    i = new_id()
    assert it.datil("ping", "load", stdin=json.dumps(native(i, received_at="2026-01-02T03:04:05Z", weight=4))).returncode == 0
    answer = it.get("/api/CrashPing/", {"document_id": i.upper()})
    shown = answer.json
    assert answer.status == 200 and shown.pop("stack")[0]["module"] == "app"
    expected = {"document_id": i, "day": "2026-01-02", "received_at": "2026-01-02T03:04:05.000000Z", "state": "done", "weight": 4, "error": None,
                "crash_type": "EXCEPTION_ACCESS_VIOLATION_READ", "crash_address": "null page", "uptime": 12.5, "channel": "release",
                "crash_time": "2023-11-20T06:00:00Z", "startup_crash": True}
    assert {k: shown[k] for k in expected} == expected and shown["signature"] and shown["proto_signature"]
    assert it.get("/api/CrashPing/", {"document_id": new_id()}).status == 404
    for wrong in ({}, {"document_id": "x"}, {"document_id": i + "0"}):
        refused = it.get("/api/CrashPing/", wrong)
        assert refused.status == 400 and list(refused.json["errors"]) == ["document_id"]


def test_old_pings_go(it):
    """Single ones after 180 days, in the middle of a month and in months that are over; what was counted stays."""
    now = datetime.now(timezone.utc)
    ages = (900, 400, 181, 179, 1)
    lines = {age: json.dumps(native(version="55.0", received_at=f"{now - timedelta(days=age):%Y-%m-%dT%H:%M:%SZ}")) for age in ages}
    it.datil("ping", "load", stdin="\n".join(lines.values()))

    def left(table):
        return it.sql(f"SELECT (now() AT TIME ZONE 'UTC')::date - day FROM {table} WHERE version = '55.0' ORDER BY day DESC")
    assert " crash pings deleted" in it.datil("purge", "retention", "--force").stdout
    assert left("crash_ping") == [(1,), (179,)]
    assert left("ping_signature_daily") == left("ping_total_daily") == [(1,), (179,), (181,), (400,)]
    assert it.datil("ping", "load", stdin=lines[179]).stdout.endswith("0 of them with work, 1 were there before\n")


class SlowServer(http.server.ThreadingHTTPServer):
    """Has the symbols of one module, and gives them when it is told to."""
    daemon_threads = True

    def __init__(self):
        self.may_answer, self.was_asked = threading.Event(), threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if "slow.pdb" not in self.path:
                    return self.send_error(404)
                outer.was_asked.set()
                outer.may_answer.wait(60)
                text = SYMBOLS.replace("app.pdb", "slow.pdb").encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def test_cold_symbols_block_nobody():
    """A ping whose symbols are on their way waits; others get their signatures meanwhile."""
    server = SlowServer()
    slow = json.loads(json.dumps(MODULES[:1]).replace("app.pdb", "slow.pdb"))
    traces = {"crash_type": "SIGSEGV", "modules": slow, "threads": [{"frames": [{"ip": "0x11234", "module_index": 0}]}]}
    with Installation(SYMBOLS_UPSTREAM_URLS=f"http://127.0.0.1:{server.server_port}/", SYMBOLS_UPSTREAM_RESERVED="on", PING_WORKERS="1") as it:
        waiting = send(it, native(stack_traces=traces))
        assert server.was_asked.wait(30)
        for _ in range(3):
            done(it, send(it, native(stack_traces={"threads": [{"frames": [{"ip": "0x5"}]}]})))
        wait_until(lambda: it.sql("SELECT state::text FROM crash_ping WHERE document_id = %s", waiting) == [("waiting",)], 20, "the one that waits")
        server.may_answer.set()
        assert done(it, waiting, 40)[0] == "second_function"
    server.shutdown()


def ping_workers(it):
    """Of the processor's children those that are nicer than the others."""
    nice = []
    for pid in victims(it)["processor"]:
        with contextlib.suppress(ProcessLookupError):
            nice += [pid] if os.getpriority(os.PRIO_PROCESS, pid) == 5 else []
    return sorted(nice)


def quiet(it):
    try:
        return idle(it)
    except Exception:  # the server comes up again
        return False


def test_kills_leave_exact_counters():
    """Workers and database backends die while 3000 pings get signatures, and get them again: each counts once."""
    with Installation(PING_WORKERS="2") as it:
        rng = random.Random(20260102)
        lines = [json.dumps(native(version=f"{rng.randint(1, 5)}.0", channel=rng.choice(["release", "nightly"]), weight=rng.choice([1, 2.5]),
                                   received_at="2025-03-04T00:00:00Z", startup_crash=rng.random() < 0.3,
                                   stack_traces={"threads": [{"frames": [{"ip": hex(rng.randint(1, 40))}]}]})) for _ in range(3000)]
        answers = []
        loader = threading.Thread(target=lambda: answers.append(it.datil("ping", "load", stdin="\n".join(lines), check=False)))
        loader.start()
        killed = {"worker": 0, "backend": 0}
        while loader.is_alive() and killed["worker"] < 8:
            for pid in ping_workers(it)[:1]:
                killed["worker"] += it.kill(pid)
        loader.join(100)
        assert answers[0].returncode == 0, answers[0].output
        it.datil("ping", "reprocess", "--day", "2025-03-04")
        for kind in ("worker", "backend", "worker"):
            for pid in (ping_workers(it) if kind == "worker" else sorted(victims(it)["postgres backend"]))[:1]:
                killed[kind] += it.kill(pid)
        wait_until(lambda: quiet(it), 60, "the last of them")
        rows, kept = recount(it)
        assert rows == kept and sum(r[7] for r in rows) == 3000
        assert it.sql("SELECT sum(received)::int FROM ping_total_daily") == [(3000,)]
        assert killed["worker"] >= 2 and killed["backend"], killed
