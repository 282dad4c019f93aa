"""What a stranger can do with searches: a few that are dear, many at once, some whose client leaves.

Small data and tight limits, so that every limit is met in seconds.  The slow search is an expression whose
automaton has thousands of states at every character, over texts of random letters; nothing makes it fast, so
it runs until its time limit.  Strangers are addresses of the loopback network.
"""
import datetime
import http.client
import json
import random
import re
import socket
import sys
import threading
import time
import urllib.parse
from pathlib import Path

import pytest
from harness import Installation, wait_until

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import fastcgi  # noqa: E402

REPORTS, TIMEOUT_S, BUCKETS, WORKERS, HEARTBEAT_S = 1500, 12, 23000, 4, 2
SLOW = {"proto_signature": "@(.*a.{90}){2}", "_facets_size": 0, "_results_number": 0}
TEXTS = ("address", "reason", "moz_crash_reason", "cpu_info", "app_notes", "graphics_critical_error", "ipc_channel_error",
         "async_shutdown_timeout", "shutdown_reason", "adapter_device_id", "adapter_driver_version", "android_model",
         "java_stack_trace")
MANY = (*TEXTS, "install_time", "uptime")  # as many values as reports


def documents():
    pick, now = random.Random(5), datetime.datetime.now(datetime.timezone.utc)
    for n in range(REPORTS):
        crash = f"{n:08x}-3057-4000-8000-000000{now:%y%m%d}"
        yield {"uuid": crash, "crash_id": crash, "date_processed": now.isoformat(timespec="seconds"),
               "product": "Crashme", "version": "1.0", "signature": f"f::{n % 40}",
               "proto_signature": "".join(pick.choices("ab", k=1200)), "install_time": 1600000000 + n, "uptime": n,
               **{name: f"{name} {n}" for name in TEXTS}}


SERVER_REPORTS = 400


def server_documents():
    """One signature of a program that runs for days: every report has a minute of its own, every range of up-times
    as many as its place says."""
    now = datetime.datetime.now(datetime.timezone.utc)
    first_hour = [0] + [60] * 2 + [300] * 3 + [900] * 4
    for n in range(SERVER_REPORTS):
        crash = f"{n:08x}-3058-4000-8000-000000{now:%y%m%d}"
        uptime = first_hour[n] if n < len(first_hour) else 7200 + 60 * n
        yield {"uuid": crash, "crash_id": crash, "date_processed": now.isoformat(timespec="seconds"),
               "product": "Crashme", "version": "1.0", "signature": "server::serve", "uptime": uptime}


@pytest.fixture(scope="module")
def web():
    with Installation(WEBAPP_WORKERS=str(WORKERS), SEARCH_TIMEOUT_S=str(TIMEOUT_S), SEARCH_MAX_BUCKETS=str(BUCKETS),
                      SEARCH_MAX_PER_ADDRESS="2") as it:
        it.datil("crash", "load", "-", stdin="".join(json.dumps(d) + "\n" for d in documents()))
        wait_until(lambda: ask(it, "127.0.0.1", _results_number=0)[1]["total"] == REPORTS, 30, "the reports")
        yield it


class Asker:
    """One request that is under way; leave() closes its connection without waiting for the answer."""

    def __init__(self, web, address, path="/api/SuperSearch/", accept="*/*", **params):
        self.conn = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60, source_address=(address, 0))
        self.began = time.monotonic()
        self.conn.request("GET", path + "?" + urllib.parse.urlencode(params, doseq=True), headers={"Accept": accept})

    def answer(self):
        got = self.conn.getresponse()
        body = got.read()
        self.took = time.monotonic() - self.began
        self.conn.close()
        return got.status, got.headers, body

    def leave(self):
        self.conn.sock.shutdown(socket.SHUT_RDWR)
        self.conn.close()


def ask(web, address, path="/api/SuperSearch/", **params):
    """(status, JSON)"""
    status, _, body = Asker(web, address, path, **params).answer()
    return status, json.loads(body)


def others(web, address):
    """Status of a search that takes no time."""
    return ask(web, address, _facets_size=0, _results_number=0)[0]


def wait_idle(web):
    """Until no worker works: none has used processor time for a while."""
    def rests():
        before = [cpu_s(pid) for pid in workers_of(web)]
        until = time.monotonic() + 0.3
        wait_until(lambda: time.monotonic() > until, 5)
        return before == [cpu_s(pid) for pid in workers_of(web)]
    wait_until(rests, TIMEOUT_S + 20, "an idle installation")


def busy(web, *addresses):
    """Slow searches from these addresses, all of them under way."""
    wait_idle(web)
    askers = [Asker(web, address, **SLOW) for address in addresses]
    if len(set(addresses)) == 1:
        wait_until(lambda: others(web, addresses[0]) == 429, 10, "the address being busy")
    else:
        wait_until(lambda: others(web, "127.0.9.9") == 503, 10, "all being busy")
    return askers


def resident_kib(pid):
    """Memory of the worker's own; mapped files of the index are the system's to keep or drop."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    return 0


def workers_of(web):
    return web.program_pids("datil-webapp")[1]


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


# What is refused, and in which words.

def test_too_many_buckets_is_a_400_that_names_the_limit(web):
    status, body = ask(web, "127.0.1.1", _facets=(*MANY, "proto_signature"), _facets_size=10000, _results_number=0)
    assert status == 400
    text = body["error"]
    assert f"more than {BUCKETS} buckets (SEARCH_MAX_BUCKETS)" in text and "_facets_size" in text
    # Each level below the limit, together above it.
    chains = {f"_aggs.{name}.{name}.reason.uptime": ["install_time", "proto_signature"] for name in TEXTS[:3]}
    status, body = ask(web, "127.0.1.1", **chains, _facets_size=10000, _results_number=0)
    assert status == 400 and "SEARCH_MAX_BUCKETS" in body["error"]
    status, body = ask(web, "127.0.1.1", _facets=MANY, _facets_size=10000, _results_number=0)
    assert status == 200 and sum(map(len, body["facets"].values())) == len(MANY) * REPORTS
    # The same on the page, with the form to mend it.
    status, _, body = Asker(web, "127.0.1.1", "/search/", "text/html", _facets=(*MANY, "proto_signature"),
                            _facets_size=10000).answer()
    assert status == 400 and b"SEARCH_MAX_BUCKETS" in body and b"<form" in body


def test_up_times_of_days_do_not_break_the_page_of_their_signature():
    with Installation(SEARCH_MAX_BUCKETS="200") as it:
        it.datil("crash", "load", "-", stdin="".join(json.dumps(d) + "\n" for d in server_documents()))
        wait_until(lambda: ask(it, "127.0.0.1", _results_number=0)[1]["total"] == SERVER_REPORTS, 30, "the reports")
        for narrowed in {}, {"uptime": "<3600"}:
            page = it.get("/signature/?" + urllib.parse.urlencode({"signature": "server::serve", **narrowed})).text
            rows = re.findall(r'<td class="">(&lt; 1 min|[0-9]+-[0-9]+ min|&gt; 1 hour)</td><td class="num">([0-9]+)<', page)
            wanted = {"&lt; 1 min": "1", "1-5 min": "2", "5-15 min": "3", "15-60 min": "4", "&gt; 1 hour": "390"}
            if narrowed:
                del wanted["&gt; 1 hour"]
            assert dict(rows) == wanted


def test_a_page_that_would_be_huge_is_a_400(web):
    """Every cell and every term is a link that repeats the whole query."""
    status, _, body = Asker(web, "127.0.1.2", "/search/", "text/html", _facets=MANY, _facets_size=10000,
                            signature=["!" + "x" * 60 + str(n) for n in range(90)]).answer()
    assert status == 400 and b"64 MiB" in body and b"/api/SuperSearch/" in body


def test_time_limit_holds(web):
    wait_idle(web)
    asker = Asker(web, "127.0.1.3", **SLOW)
    status, _, body = asker.answer()
    assert status == 400 and b"Search query timed out" in body
    assert TIMEOUT_S - 1 < asker.took < TIMEOUT_S + 5


# Who may search at once.

def test_one_address_has_two_searches_at_once(web):
    askers = busy(web, "127.0.2.1", "127.0.2.1")
    status, headers, body = Asker(web, "127.0.2.1", _facets_size=0).answer()
    assert status == 429 and int(headers["Retry-After"]) > 0
    assert "2 of yours are running (SEARCH_MAX_PER_ADDRESS)" in json.loads(body)["error"]
    status, headers, body = Asker(web, "127.0.2.1", "/topcrashers/", "text/html", product="Crashme").answer()
    assert status == 429 and headers["Retry-After"] and b"SEARCH_MAX_PER_ADDRESS" in body
    assert others(web, "127.0.2.2") == 200
    for asker in askers:
        asker.leave()


def test_one_worker_stays_free_and_heartbeats_never_wait(web):
    askers = busy(web, "127.0.3.1", "127.0.3.2", "127.0.3.3")
    status, headers, body = Asker(web, "127.0.3.4", _facets_size=0).answer()
    assert status == 503 and int(headers["Retry-After"]) > 0
    assert "SEARCH_MAX_CONCURRENT" in json.loads(body)["error"]
    status, headers, body = Asker(web, "127.0.3.4", "/", "text/html").answer()
    assert status == 503 and headers["Retry-After"] and b"SEARCH_MAX_CONCURRENT" in body
    slowest = 0
    for path in ("/__heartbeat__", "/__lbheartbeat__", "/monitoring/", "/monitoring/cron/", "/__version__") * 3:
        asker = Asker(web, "127.0.3.5", path)
        assert asker.answer()[0] == 200, path
        slowest = max(slowest, asker.took)
    assert slowest < HEARTBEAT_S
    for asker in askers:
        asker.leave()


def test_heartbeat_in_a_crowd_of_monsters(web):
    wait_idle(web)
    answers, askers = [], [Asker(web, f"127.0.4.{n % 5 + 1}", **SLOW) for n in range(20)]
    crowd = [threading.Thread(target=lambda a=a: answers.append(a.answer()[0])) for a in askers]
    for thread in crowd:
        thread.start()
    slowest = 0
    while any(thread.is_alive() for thread in crowd):
        beat = Asker(web, "127.0.4.9", "/__heartbeat__")
        assert beat.answer()[0] == 200
        slowest = max(slowest, beat.took)
    for thread in crowd:
        thread.join()
    assert slowest < HEARTBEAT_S
    assert sorted(set(answers)) in ([400, 429, 503], [400, 503]) and answers.count(400) == WORKERS - 1


# What ends before its time.

def test_search_of_a_client_that_leaves_frees_its_worker(web):
    askers = busy(web, "127.0.5.1", "127.0.5.1")
    left = time.monotonic()
    for asker in askers:
        asker.leave()
    wait_until(lambda: others(web, "127.0.5.1") == 200, TIMEOUT_S - 4, "the turns of those who left")
    assert time.monotonic() - left < TIMEOUT_S - 4
    wait_until(lambda: [line["status"] for line in web.log_lines("datil-webapp")
                        if line.get("event") == "request"].count(499) >= 2, 10, "the log of those who left")


def test_abort_of_the_web_server_ends_a_search(web):
    """Fails when the search goes on: recv() times out four seconds before the search would."""
    wait_idle(web)
    before = {pid: cpu_s(pid) for pid in workers_of(web)}
    env = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/SuperSearch/", "QUERY_STRING": urllib.parse.urlencode(SLOW),
           "REMOTE_ADDR": "127.0.5.2", "CONTENT_LENGTH": ""}
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(TIMEOUT_S - 4)
        s.connect(str(web.var / "run/web/datil-webapp.sock"))
        s.sendall(fastcgi.record(fastcgi.BEGIN, fastcgi.RESPONDER) +
                  fastcgi.stream(fastcgi.PARAMS, fastcgi.pairs(env)) + fastcgi.stream(fastcgi.STDIN, b""))
        wait_until(lambda: max(cpu_s(pid) - before[pid] for pid in before) > 0.3, 10, "the search being under way")
        s.sendall(fastcgi.record(2))  # FCGI_ABORT_REQUEST
        while s.recv(65536):
            pass


def test_turn_of_a_killed_worker_is_free_again(web):
    before = {pid: cpu_s(pid) for pid in workers_of(web)}
    askers = busy(web, "127.0.6.1", "127.0.6.1")
    searching = wait_until(lambda: [pid for pid in before if cpu_s(pid) > before[pid] + 0.5][:2], 10, "busy workers")
    wait_until(lambda: sum(cpu_s(pid) > before[pid] + 0.5 for pid in before) >= 2, 10, "two busy workers")
    searching = sorted(before, key=lambda pid: before[pid] - cpu_s(pid))[:2]
    for pid in searching:
        assert web.kill(pid)
    wait_until(lambda: others(web, "127.0.6.1") == 200, TIMEOUT_S - 4, "the turns of the dead")
    for asker in askers:
        asker.conn.close()
    wait_until(lambda: len(workers_of(web)) == len(before), 20, "new workers")


def test_memory_falls_back(web):
    wait_idle(web)
    large = {"_facets": MANY, "_facets_size": 10000, "_results_number": 1000,
             "_columns": ["uuid", *MANY]}
    assert all(ask(web, f"127.0.7.{n}", **large)[0] == 200 for n in range(1, 9))  # everybody is warm
    base = {pid: resident_kib(pid) for pid in workers_of(web)}
    peak = 0

    def watch():
        nonlocal peak
        while not done:
            peak = max(peak, *(resident_kib(pid) for pid in base))
    done = False
    watcher = threading.Thread(target=watch)
    watcher.start()
    for n in range(12):
        assert ask(web, f"127.0.7.{n + 1}", **large)[0] == 200
    done = True
    watcher.join()
    assert peak > max(base.values()) + 8 * 1024  # it was something
    wait_until(lambda: max(resident_kib(pid) for pid in base) < max(base.values()) + 8 * 1024, 10, "memory given back")


# The table of routes.

PAGES = ("/", "/home/product/Crashme", "/topcrashers/?product=Crashme", "/signature/?signature=f::1",
         "/signature/summary/?signature=f::1", "/signature/reports/?signature=f::1",
         "/signature/bugzilla/?signature=f::1", "/signature/comments/?signature=f::1",
         "/signature/graphs/platform/?signature=f::1", "/signature/aggregation/platform/?signature=f::1",
         "/report/index/00000001-3057-4000-8000-000000260101", "/search/?product=Crashme",
         "/search/results/?product=Crashme", "/documentation/datadictionary/dataset/annotation/field/ProductName",
         "/api/SuperSearch/?product=Crashme")


def test_every_page_that_searches_has_a_rate_limit():
    limits = {f"RATE_LIMIT_{group}_ANONYMOUS": "1" for group in ("PAGES", "SEARCH", "API")}
    with Installation(**limits) as web:
        for n, path in enumerate(PAGES):
            # Three, because a minute may end between two.
            seen = [Asker(web, f"127.0.8.{n + 1}", path, "text/html").answer()[:2] for _ in range(3)]
            assert seen[0][0] != 429, path
            assert 429 in [status for status, _ in seen[1:]], path
            assert all(headers["Retry-After"] for status, headers in seen if status == 429), path
