"""All reports of a search, and all values of a facet, as files: web, API and command line give the same."""
import csv
import io
import json
import re
import socket
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import fastcgi
import pytest
from harness import Installation, wait_until

SECRET = "zq-canary-4714"
DAY = datetime.now(timezone.utc) - timedelta(days=2)
DATES = {"date": [f">={DAY - timedelta(days=1):%Y-%m-%d}"]}
COUNT = 400  # more than a page and an answer without a number hold; test_search_extract.c has more than 10,000
LIMIT_S = 2
SMALL = ["=1+1", "+x", "-x", "@0x1", "\tx", 'a "quoted", one', "two\nlines", "plain"]


def crash_id(n):
    return f"{n:08x}-eeee-4000-8000-000000{DAY:%y%m%d}"


def document(n, product, **more):
    return {"uuid": crash_id(n), "crash_id": crash_id(n), "product": product, "version": "1.0", "signature": f"sig {n % 7}",
            "date_processed": f"{DAY:%Y-%m-%d}T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}+00:00", "release_channel": "release",
            "url": f"https://{SECRET}/{n}", "user_comments": f"{SECRET} {n}", **more}


@pytest.fixture(scope="module")
def datil():
    with Installation(SEARCH_EXTRACT_TIMEOUT_S=str(LIMIT_S)) as it:
        it.datil("product", "add", "Many", "--description", "x")
        it.datil("product", "add", "Few", "--description", "x")
        docs = [document(n, "Many", app_notes="n" * 15_000) for n in range(COUNT)]
        docs += [document(100_000 + n, "Few", signature=s, addons=["a:1", "=b"], uptime=-n) for n, s in enumerate(SMALL)]
        it.datil("crash", "load", stdin="".join(json.dumps(d) + "\n" for d in docs))
        it.add_user("hacker@example.org", "correct horse battery", "--group", "Hackers")
        yield it


@pytest.fixture(scope="module")
def pii(datil):
    return {"Auth-Token": datil.token("hacker@example.org", "view_pii")}


def table(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("path", ["/api/SuperSearch/", "/search/results/", "/search/"])
def test_all_reports(datil, path):
    asked = {"product": "Many", "_columns": ["uuid", "date", "signature"], **DATES}
    answer = datil.get(path, {**asked, "_format": "csv"})
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="crashes-\d{4}-\d\d-\d\d.csv"', answer.headers["Content-Disposition"])
    rows = table(answer.text)
    assert list(rows[0]) == ["uuid", "date", "signature"] and [r["uuid"] for r in rows] == [crash_id(n) for n in range(COUNT)]
    assert rows[61]["signature"] == "sig 5" and rows[61]["date"] == f"{DAY:%Y-%m-%d}T00:01:01+00:00"
    lines = datil.get(path, {**asked, "_format": "ndjson", "_sort": "uuid"})
    assert lines.headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
    assert [json.loads(line) for line in lines.text.splitlines()] == rows


def test_the_command_line_gives_the_same(datil):
    query = f"product=Many&date={DATES['date'][0]}&_columns=uuid&_columns=signature"
    of_web = datil.get("/api/SuperSearch/", {"product": "Many", "_columns": ["uuid", "signature"], "_format": "csv", **DATES})
    said = datil.datil("search", query, "--format", "csv")
    assert said.stdout == of_web.text and f"{COUNT} rows" in said.stderr
    assert datil.datil("search", "?" + query.replace(">=", "%3E%3D"), "--format", "csv").stdout == of_web.text
    assert datil.datil("search", *query.split("&"), "--format", "csv").stdout == of_web.text
    answer = json.loads(datil.datil("search", query).stdout)
    assert answer["total"] == COUNT and len(answer["hits"]) == 100 and answer["facets"]["signature"][0]["count"] == 58
    facet = datil.get("/api/SuperSearch/", {"product": "Many", "_format": "csv", "_facet": "signature", **DATES}).text
    assert datil.datil("search", query, "--format", "csv", "--facet", "signature").stdout == facet
    assert "json, csv or ndjson" in datil.datil("search", "--format", "xml", check=False).stderr


@pytest.mark.parametrize("path", ["/api/SuperSearch/", "/search/results/"])
def test_a_facet(datil, path):
    asked = {"product": "Many", "_format": "csv", **DATES}
    assert table(datil.get(path, {**asked, "_facet": "signature"}).text) == [
        {"signature": f"sig {n}", "count": str(COUNT // 7 + (n < COUNT % 7))} for n in range(7)]
    ids = table(datil.get(path, {**asked, "_facet": "uuid"}).text)
    assert [r["uuid"] for r in ids] == [crash_id(n) for n in range(COUNT)] and {r["count"] for r in ids} == {"1"}
    assert len(table(datil.get(path, {**asked, "_facet": "uuid", "_facets_size": "5"}).text)) == 5
    lines = datil.get(path, {**asked, "_format": "ndjson", "_facet": "signature", "_facets_size": "1"}).text
    assert json.loads(lines) == {"term": "sig 0", "count": 58}
    assert datil.get(path, {**asked, "_facet": "_cardinality.signature"}).text == "cardinality_signature\n7\n"
    hours = table(datil.get(path, {**asked, "_facet": "_histogram.date", "_histogram_interval.date": "hour"}).text)
    assert hours == [{"histogram_date": f"{DAY:%Y-%m-%d}T00:00:00Z", "count": str(COUNT)}]


@pytest.mark.parametrize("path", ["/api/SuperSearch/", "/search/results/"])
def test_numbers_of_a_facet(datil, path):
    asked = {"product": "Few", "_format": "csv", **DATES}  # uptimes 0, -1 … -7
    rows = table(datil.get(path, {**asked, "_facet": "product", "_aggs.product": ["_p25.uptime", "_avg.uptime", "version"], "_aggs.version": "_max.uptime"}).text)
    assert rows == [{"product": "Few", "count": "8", "p25_uptime": "-6", "avg_uptime": "-3.5"}]
    rows = table(datil.get(path, {**asked, "_facet": "_histogram.date", "_histogram.date": ["_sum.uptime", "_cardinality.uptime"]}).text)
    assert [(r["count"], r["sum_uptime"], r["cardinality_uptime"]) for r in rows] == [("8", "-28", "8")]
    assert datil.get(path, {**asked, "_facet": "_min.uptime"}).text == "min_uptime\n-7\n"
    assert table(datil.get(path, {**asked, "_facet": "product", "_aggs.product": "_p50.uptime", "uptime": "__null__"}).text) == []


def test_installations_and_estimates(datil, pii):
    """Two reports of "rare" come from two machines, three of "often" from one; of "rare" one in four was kept."""
    docs = [document(200_000 + n, "Machines", signature="often", install_time=7) for n in range(3)]
    docs += [document(200_010 + n, "Machines", signature="rare", install_time=n, collector_metadata={"throttle_rate": 0.25}) for n in range(2)]
    docs += [document(200_020, "Machines", signature="none")]
    datil.datil("product", "add", "Machines", "--description", "x")
    datil.datil("crash", "load", stdin="".join(json.dumps(d) + "\n" for d in docs))
    asked = {"product": "Machines", "_facets_sort": "installations", **DATES}
    found = datil.get("/api/SuperSearch/", {**asked, "_results_number": 0}).json
    assert found["facets"]["signature"] == [{"term": "rare", "count": 2, "installations": 2}, {"term": "often", "count": 3, "installations": 1},
                                            {"term": "none", "count": 1, "installations": 0}]
    assert [b["term"] for b in datil.search(product="Machines", **DATES)["facets"]["signature"]] == ["often", "rare", "none"]
    weighed = datil.get("/api/SuperSearch/", {**asked, "_weights": "1", "_results_number": 0}, pii).json
    assert weighed["facets"]["signature"][0] == {"term": "rare", "count": 2, "installations": 2, "estimate": 8}
    assert (weighed["total"], weighed["estimated_total"]) == (6, 12)
    secret = datil.get("/api/SuperSearch/", {**asked, "_weights": "1", "_results_number": 0})
    assert secret.json == found and secret.headers["X-Datil-Ignored"] == "throttle_rate"
    rows = table(datil.get("/search/results/", {**asked, "_format": "csv", "_facet": "signature", "_weights": "1"}, pii).text)
    assert rows[0] == {"signature": "rare", "count": "2", "installations": "2", "estimate": "8"}
    page = datil.get("/search/", asked).text
    assert "Installations</th>" in page and page.index(">rare<") < page.index(">often<") and "Order by reports" in page
    plain = datil.get("/search/", {"product": "Machines", **DATES}).text
    assert "Installations</th>" not in plain and "_facets_sort=installations" in plain
    wrong = datil.get("/api/SuperSearch/", {"_facets_sort": "x"})
    assert wrong.status == 400 and "'_facets_sort'" in wrong.text


def test_numbers_in_answer_and_on_page(datil):
    asked = {"product": "Few", "_facets": ["product", "_p95.uptime"], "_aggs.product": ["_p50.uptime", "_avg.uptime"], **DATES}
    facets = datil.get("/api/SuperSearch/", asked).json["facets"]
    inner = {"p50_uptime": {"value": -4}, "avg_uptime": {"value": -3.5}}
    assert facets == {"product": [{"term": "Few", "count": 8, "facets": inner}], "p95_uptime": {"value": 0}}
    page = datil.get("/search/", asked).text
    assert "p50_uptime: -4" in page and "avg_uptime: -3.5" in page and 'id="tab-facet-p95_uptime"' in page
    refused = datil.get("/api/SuperSearch/", {**asked, "_facets": "_p50.signature"})
    assert refused.status == 400 and "Field 'signature' has no numbers for '_p50'" in refused.text
    lines = datil.datil("search", f"product=Few&date={DATES['date'][0]}&_aggs.product=_p50.uptime", "--format", "csv", "--facet", "product").stdout
    assert lines == "product,count,p50_uptime\nFew,8,-4\n"


def test_texts_of_strangers_are_no_formulas(datil):
    asked = {"product": "Few", "_columns": ["signature", "addons", "uptime", "java_stack_trace"], **DATES}
    rows = table(datil.get("/api/SuperSearch/", {**asked, "_format": "csv"}).text)
    assert [r["signature"] for r in rows] == ["'" + s if s[0] in "=+-@\t" else s for s in SMALL]
    assert rows[3]["addons"] == "a:1; =b" and rows[3]["uptime"] == "-3" and rows[3]["java_stack_trace"] == ""
    facet = table(datil.get("/api/SuperSearch/", {"product": "Few", "_format": "csv", "_facet": "signature", **DATES}).text)
    assert {r["signature"] for r in facet} == {r["signature"] for r in rows}
    lines = [json.loads(x) for x in datil.get("/api/SuperSearch/", {**asked, "_format": "ndjson"}).text.splitlines()]
    assert [x["signature"] for x in lines] == SMALL and lines[3]["addons"] == ["a:1", "=b"] and lines[3]["java_stack_trace"] is None


def test_a_page_of_a_search(datil):
    """With a number of results it is what the search shows: sorted, and from an offset on."""
    asked = {"product": "Many", "_columns": "uuid", "_format": "csv", "_sort": "-date", **DATES}
    rows = table(datil.get("/api/SuperSearch/", {**asked, "_results_number": "3", "_results_offset": "1"}).text)
    assert [r["uuid"] for r in rows] == [crash_id(COUNT - n) for n in (2, 3, 4)]


PROTECTED = ["url", "user_comments"]


@pytest.mark.parametrize("how", ["columns", "filter", "facet", "cardinality", "sort"])
@pytest.mark.parametrize("form", ["csv", "ndjson"])
@pytest.mark.parametrize("path", ["/api/SuperSearch/", "/search/results/", "/search/"])
def test_protected_fields_stay_inside(datil, pii, path, form, how):
    asked = {"columns": {"_columns": ["uuid", *PROTECTED]}, "filter": {"url": f"~{SECRET}", "user_comments": "!__null__"},
             "facet": {"_facet": "url"}, "cardinality": {"_facet": "_cardinality.url"}, "sort": {"_sort": PROTECTED, "_results_number": 5}}[how]
    ignored = "url" if "_facet" in asked else "url, user_comments"
    answer = datil.get(path, {"product": "Few", "_format": form, **DATES, **asked})
    assert answer.status == 200 and SECRET not in answer.text and answer.headers["X-Datil-Ignored"] == ignored
    if "_facet" in asked:  # the default facet takes its place
        assert "signature,count" in answer.text or "term" in answer.text
    if path == "/api/SuperSearch/":
        open_one = datil.get(path, {"product": "Few", "_format": form, **DATES, **asked}, pii)
        assert open_one.status == 200 and "X-Datil-Ignored" not in open_one.headers
        assert (SECRET in open_one.text) == (how in ("columns", "facet"))
        assert open_one.headers["Cache-Control"] == "private, no-store"


def test_who_takes_protected_fields_out_is_noted(datil, pii):
    def noted():
        return datil.sql("SELECT user_name, message FROM audit_log WHERE action = 'export' ORDER BY 1")
    before = len(noted())
    datil.get("/api/SuperSearch/", {"product": "Few", "_format": "csv", **DATES}, pii)
    assert len(noted()) == before
    answer = datil.get("/api/SuperSearchUnredacted/", {"product": "Few", "_columns": "url", "_format": "csv", **DATES}, pii)
    assert answer.text.count(SECRET) == len(SMALL) and noted()[before:][0] == ("hacker@example.org", "url")
    said = datil.datil("search", "product=Few", "_columns=url", "--format", "csv")
    assert SECRET not in said.stdout and "Ignored without --protected: url" in said.stderr
    assert datil.datil("search", "product=Few", "_columns=url", f"date={DATES['date'][0]}", "--protected").stdout.count(SECRET) == len(SMALL)
    assert len(noted()) == before + 2


@pytest.mark.parametrize("params,status", [
    ({"_format": "xml"}, 400), ({"_format": "csv", "_columns": "no_such"}, 400), ({"_format": "csv", "date": "2026"}, 400),
    ({"_format": "csv", "signature": '@"'}, 400), ({"_format": "csv", "product": "NoSuch"}, 400), ({"_format": "json"}, 200)])
def test_mistakes_are_told_before_anything_is_sent(datil, params, status):
    answer = datil.get("/api/SuperSearch/", params)
    assert answer.status == status and answer.headers["Content-Type"].startswith("application/json")
    assert "error" in answer.text
    assert datil.get("/api/SuperSearchUnredacted/", {"_format": "csv"}).status == 403


def test_nothing_found(datil):
    asked = {"product": "Few", "signature": "=no such", "_columns": ["uuid", "version"], **DATES}
    assert datil.get("/api/SuperSearch/", {**asked, "_format": "csv"}).text == "uuid,version\n"
    assert datil.get("/api/SuperSearch/", {**asked, "_format": "ndjson"}).body == b""
    assert datil.get("/api/SuperSearch/", {**asked, "_format": "csv", "_facet": "version"}).text == "version,count\n"


def test_head(datil):
    answer = datil.request("HEAD", "/api/SuperSearch/?_format=csv&product=Many&date=" + DATES["date"][0].replace(">=", "%3E%3D"))
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/csv; charset=utf-8" and not answer.body


def wide(datil):
    return {"product": "Many", "_columns": ["uuid", "app_notes", "signature", "date"], "_format": "csv", **DATES}


def workers(datil):
    return datil.program_pids("datil-webapp")[1]


def peak_kib(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def test_a_worker_holds_little_of_it(datil):
    datil.get("/api/SuperSearch/", {**wide(datil), "signature": "=sig 1"})  # the index is open and mapped
    datil.get("/api/SuperSearch/", {"product": "Many", "_columns": ["app_notes"], "_results_number": COUNT, "_facets_size": 0, **DATES})
    before = {pid: peak_kib(pid) for pid in workers(datil)}
    answer = datil.get("/api/SuperSearch/", wide(datil))
    assert len(answer.body) > 5 << 20 and len(table(answer.text)) == COUNT
    # what is mapped of the index counts as memory of whoever reads it
    mapped = sum(p.stat().st_size for p in (datil.var / "index").rglob("*") if p.is_file()) >> 10
    assert max(peak_kib(pid) - before[pid] for pid in before if Path(f"/proc/{pid}").exists()) < (4 << 10) + min(mapped, 1 << 10)


def ask_slowly(datil):
    """A connection to the program itself, which has asked and read nothing yet."""
    query = "&".join(f"{k}={x}" for k, v in wide(datil).items() for x in (v if isinstance(v, list) else [v]))
    env = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/SuperSearch/", "QUERY_STRING": query.replace(">=", "%3E%3D"), "REMOTE_ADDR": "127.0.0.1"}
    s = socket.socket(socket.AF_UNIX)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    s.settimeout(30)
    s.connect(str(datil.var / "run/web/datil-webapp.sock"))
    s.sendall(fastcgi.record(fastcgi.BEGIN, fastcgi.RESPONDER) + fastcgi.stream(fastcgi.PARAMS, fastcgi.pairs(env)) +
              fastcgi.stream(fastcgi.STDIN, b""))
    return s


def requests_logged(datil, status):
    return [x for x in datil.log_lines("datil-webapp") if x.get("event") == "request" and x.get("status") == status]


def test_the_walk_ends_when_nobody_reads_on(datil):
    before = len(requests_logged(datil, 499))
    with ask_slowly(datil) as s:
        assert b"200 OK" in s.recv(4096)
    gone = wait_until(lambda: requests_logged(datil, 499)[before:], what="the request in the log")
    assert gone[0]["bytes"] < 5 << 20


def test_what_is_cut_short_does_not_look_whole(datil):
    """Behind the time limit the connection just ends: without the record by which a web server knows the end."""
    with ask_slowly(datil) as s:
        data = s.recv(4096)
        time.sleep(LIMIT_S + 0.1)  # the time limit itself
        while chunk := s.recv(65536):
            data += chunk
    assert len(table(fastcgi.standard_output(data).partition(b"\r\n\r\n")[2].decode(errors="replace"))) < COUNT
    assert fastcgi.record(3, b"\0" * 8)[:8] not in data[-64:]
    assert any(x.get("event") == "answer_cut" for x in datil.log_lines("datil-webapp"))


def test_pages_link_to_the_files(datil):
    asked = {"product": "Many", "version": "1.0", "_columns": "version", "_facets": ["signature", "_cardinality.version"], **DATES}
    page = datil.get("/search/", asked).text
    links = [x.replace("&amp;", "&") for x in re.findall(r'href="([^"]+_format=[^"]+)" download', page)]
    assert len(links) == 4
    files = {re.search(r"_format=(\w+)", x)[1] + ("f" if "_facet=" in x else ""): datil.get(x).text for x in links}
    assert table(files["csv"])[5] == {"uuid": crash_id(5), "version": "1.0"} and len(files["ndjson"].splitlines()) == COUNT
    assert files["csvf"] in ("cardinality_version\n1\n",) or len(table(files["csvf"])) == 7
    report = datil.get("/signature/", {"signature": "sig 3", **DATES}).text
    links = [x.replace("&amp;", "&") for x in re.findall(r'href="([^"]+_format=csv[^"]*)" download', report)]
    rows = table(datil.get(links[0]).text)
    assert len(rows) == COUNT // 7 + (3 < COUNT % 7) and list(rows[0])[:2] == ["uuid", "date"]
