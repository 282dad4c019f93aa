"""Pages over HTTP: statuses, redirects, forms without scripts, log-in, headers."""
import html
import re
import urllib.parse

import pytest

from harness import wait_until

PASSWORD = "correct horse battery staple"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def crash(datil, minidump):
    crash_id = datil.post({"Version": "5.0", "StartupTime": "1767225600"}, minidump)
    doc = datil.wait_processed(crash_id)
    return {"id": crash_id, "signature": doc["signature"]}


def location(answer):
    return answer.headers["Location"]


@pytest.mark.parametrize("path, status, where", [
    ("/search", 301, "/search/"),
    ("/search?product=Crashme", 301, "/search/?product=Crashme"),
    ("/search/quick/?query=", 302, "/search/"),
    ("/search/quick/?query=%20", 302, "/search/"),
    ("/search/quick/?query=foo%20bar", 302, "/search/?signature=~foo%20bar"),
    ("/query/?product=Crashme", 301, "/search/?product=Crashme"),
    ("/your-crashes/", 301, "/profile/"),
    ("/permissions/", 301, "/profile/"),
    ("/profile/", 302, "/login/?next=%2Fprofile%2F"),
    ("/favicon.ico", 301, "/static/img/favicon.svg"),
])
def test_redirects(datil, path, status, where):
    answer = datil.get(path)
    assert (answer.status, location(answer)) == (status, where)


@pytest.mark.parametrize("path, status, text", [
    ("/home/product/Nobody", 404, "no product of that name"),
    ("/report/index/nonsense", 404, ""),
    ("/report/index/11111111-2222-4333-8444-555550269999", 400, "Invalid crash ID"),
    ("/report/index/11111111-2222-4333-8444-555550260101", 404, "Crash Report Not Found"),
    ("/topcrashers/?product=Nobody", 404, ""),
    ("/topcrashers/?product=Crashme&days=5", 400, "&#39;days&#39; not a recognized number"),
    ("/topcrashers/?product=Crashme&days=x", 400, "&#39;days&#39; not a number"),
    ("/topcrashers/?product=Crashme&_report_type=x", 400, ""),
    ("/topcrashers/?product=Crashme&_facets_size=x", 400, ""),
    ("/signature/", 400, "&quot;signature&quot; parameter is mandatory"),
    ("/signature/?signature=a&signature=b", 400, "only one value is accepted"),
    ("/search/?page=x", 400, "Invalid page"),
    ("/search/?uptime=x", 400, "not a valid int"),
    ("/search/?uptime=%3E20&uptime=%3C10", 400, "Operator combination failed"),
    ("/search/?uptime=__null__&uptime=%3E10", 400, "combine __null__ with other filters"),
    ("/search/?signature=%40(", 400, "Malformed supersearch query"),
    ("/no/such/page", 404, "Page not found"),
    ("/__broken__", 404, "Page not found"),
    ("/robots.txt", 200, "Disallow: /"),
    ("/monitoring/", 200, "__heartbeat__"),
    ("/api/", 200, "SuperSearchUnredacted"),
    ("/documentation/", 200, "Super Search guide"),
    ("/documentation/supersearch/", 200, "proto_signature"),
    ("/documentation/protected_data_access/", 200, "View Raw Dumps"),
    ("/documentation/datadictionary/", 200, "ProductName"),
    ("/documentation/datadictionary/dataset/annotation/field/URL", 200, "people with access to protected data"),
    ("/documentation/datadictionary/dataset/processed/field/signature", 200, "everybody"),
    ("/documentation/datadictionary/dataset/processed/field/nope", 404, "Field not found"),
    ("/documentation/datadictionary/dataset/nope/field/x", 404, "Dataset not found"),
    ("/about/throttling/", 200, "may be missing"),
])
def test_answers(datil, path, status, text):
    answer = datil.get(path, headers={"Accept": "text/html"})
    assert answer.status == status and text in answer.text, answer


def test_unknown_details_have_no_row(datil, crash):
    """Every report with a minidump said "Soft Errors: null" to those who see protected data."""
    datil.add_user("details@example.org", PASSWORD, "--group", "Hackers")
    reader = {"Auth-Token": datil.token("details@example.org", "view_pii")}
    assert datil.processed(crash["id"], reader)["soft_errors"] == "null"
    page = datil.get("/report/index/" + crash["id"], headers=reader).text
    assert "Crash Reason" in page and "Soft Errors" not in page


def test_fragments_keep_their_errors_short(datil):
    answer = datil.get("/search/results/?uptime=<b>", headers={"X-Requested-With": "XMLHttpRequest"})
    assert answer.status == 400
    assert answer.text == "<ul><li>Bad value for parameter uptime: not a valid int</li></ul>"


def test_strict_headers(datil):
    answer = datil.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy and "style-src 'self'" in policy and "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "Set-Cookie" not in answer.headers


def test_health(datil):
    assert datil.get("/__heartbeat__").json == {"ok": True}
    assert datil.get("/__lbheartbeat__").json == {"ok": True}
    assert isinstance(datil.get("/__version__").json, dict)
    assert datil.get("/monitoring/cron/").json["status"] in ("ALLGOOD", "Stale", "Broken")


def test_form_offers_no_placeholders(datil, crash):
    """The field table says "@versions"; people see the versions there are, or nothing."""
    def versions():
        return re.findall('<option value="([^"]+)"', re.search(
            '<select id="s-version".*?</select>', datil.get("/search/?product=Crashme").text)[0])
    assert all(v[0].isdigit() for v in wait_until(versions, what="a version"))
    page = datil.get("/search/?product=Crashme").text
    assert '<option value="Crashme" selected' in page and '<option value="Linux"' in page
    assert '<option value="content"' in page and 'value="@' not in page.partition("More conditions")[0]


def test_fields_of_the_form(datil, crash):
    """The shape that form scripts know: an object by field name."""
    fields = datil.get("/search/fields/").json
    assert {"name": "cpu arch", "valueType": "enum", "values": [], "multiple": True,
            "extensible": True}.items() <= fields["cpu_arch"].items()
    assert "Linux" in fields["platform"]["values"]
    assert "Crashme" in fields["product"]["values"] and "gpu" in fields["process_type"]["values"]
    assert fields["date"]["valueType"] == "date" and "url" not in fields
    fewer = datil.get("/search/fields/", {"exclude": ["cpu_arch", "date"]}).json
    assert set(fields) - set(fewer) == {"cpu_arch", "date"}


def test_form_without_scripts(datil):
    """Lines of field, operator and value become Super Search parameters by a redirect."""
    sent = [("_form", "1"), ("product", "Crashme"), ("_from", "2026-01-01T10:00"), ("_to", "2026-01-02T00:00"),
            ("_f", "signature"), ("_o", "~"), ("_v", "a&b"), ("_f", "uptime"), ("_o", ">="), ("_v", "5"),
            ("_f", "cpu_arch"), ("_o", ""), ("_v", "amd64, x86"), ("_f", "startup_crash"), ("_o", "__true__"), ("_v", ""),
            ("_f", ""), ("_o", ""), ("_v", "x"), ("_c", "date, uptime"), ("_facet_list", "version"), ("_sort_list", "-uptime")]
    answer = datil.get("/search/?" + urllib.parse.urlencode(sent))
    assert answer.status == 302
    path, _, query = location(answer).partition("?")
    assert path == "/search/"
    assert urllib.parse.parse_qs(query) == {
        "product": ["Crashme"], "date": [">=2026-01-01T10:00:00Z", "<2026-01-02T00:00:00Z"],
        "signature": ["~a&b"], "uptime": [">=5"], "cpu_arch": ["amd64", "x86"], "startup_crash": ["__true__"],
        "_columns": ["date", "uptime"], "_facets": ["version"], "_sort": ["-uptime"]}
    page = datil.get(location(answer))
    assert page.status == 200 and 'value="a&amp;b"' in page.text and "No results were found." in page.text


def test_hostile_values_come_back_as_text(datil):
    evil = "\"'><script>alert(1)</script>"
    for path in ("/search/", "/signature/", "/search/results/"):
        answer = datil.get(path, {"signature": evil, "_columns": evil, "_facets": evil})
        assert "<script>alert" not in answer.text, path


def test_report_page(datil, crash):
    page = datil.get("/report/index/" + crash["id"])
    assert page.status == 200
    for text in (html.escape(crash["signature"]), "Crashing Thread", "Build Architecture", "tab-modules", "og:title"):
        assert text in page.text, text
    moved = datil.get("/report/index/bp-" + crash["id"])
    assert (moved.status, location(moved)) == (302, "/report/index/" + crash["id"])


def test_quick_search_knows_ids(datil, crash):
    for text in (crash["id"], "bp-" + crash["id"], " " + crash["id"].upper().lower() + " "):
        answer = datil.get("/search/quick/", {"query": text})
        assert location(answer) == "/report/index/" + crash["id"]


def test_top_crashers(datil, crash):
    def first():
        return datil.get("/topcrashers/", {"product": "Crashme"})

    wait_until(lambda: first().status == 302, what="versions of the product")
    assert "version=" in location(first())
    page = datil.get("/topcrashers/", {"product": "Crashme", "version": "5.0", "process_type": "any"})
    assert html.escape(crash["signature"]) in page.text and "Top 1 Crashing Signatures" in page.text
    numbers = datil.get("/topcrashers/", {"product": "Crashme", "version": "5.0", "process_type": "any", "_format": "json"}).json
    assert numbers["signatures"][0]["count"] == 1 and numbers["total"] == 1
    none = datil.get("/topcrashers/", {"product": "Crashme", "version": "5.0", "process_type": "gpu"})
    assert "No crashes found" in none.text


def test_signature_page_and_graph(datil, crash):
    page = datil.get("/signature/", {"signature": crash["signature"], "version": "5.0"})
    assert page.status == 200 and crash["id"] in page.text and "Uptime Range" in page.text
    graph = datil.get("/signature/graphs/version/", {"signature": crash["signature"], "version": "5.0"}).json
    assert graph["aggregation"] == "version" and graph["term_counts"] == [{"term": "5.0", "count": 1}]
    assert graph["aggregates"][0]["facets"]["version"][0]["count"] == 1
    refused = datil.get("/signature/graphs/url/", {"signature": crash["signature"]})
    assert (refused.status, html.unescape(refused.text)) == (400, '<ul><li>You are not allowed to group by the "url" field</li></ul>')


@pytest.mark.parametrize("part", ["summary", "reports", "bugzilla"])
def test_parts_of_the_signature_page_alone(datil, crash, part):
    asked = {"signature": crash["signature"], "version": "5.0"}
    datil.sql("INSERT INTO bug_association (bug_id, signature) VALUES (4711, %s) ON CONFLICT DO NOTHING", crash["signature"])
    shows = {"summary": "Uptime Range", "reports": crash["id"], "bugzilla": "Bug 4711"}
    page, alone = (datil.get(path, asked).text for path in ("/signature/", f"/signature/{part}/"))
    assert alone.strip() in page
    assert {p for p, text in shows.items() if text in alone} == {part}


class Browser:
    def __init__(self, datil):
        self.datil, self.cookies = datil, {}

    def send(self, method, path, body=None):
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        if body is not None:
            headers.update(FORM)
        answer = self.datil.request(method, path, body, headers)
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            assert "HttpOnly" in line and "SameSite=Lax" in line
            self.cookies[name] = value
        return answer

    def login(self, email, password, next_path="/profile/"):
        page = self.send("GET", "/login/?next=" + urllib.parse.quote(next_path, safe=""))
        token = re.search(r'name="csrf_token" value="([0-9a-f]+)"', page.text)[1]
        body = urllib.parse.urlencode({"csrf_token": token, "email": email, "password": password, "next": next_path})
        return self.send("POST", "/login/", body)


def test_log_in_and_out(datil):
    datil.add_user("walker@example.org", PASSWORD)
    browser = Browser(datil)
    answer = browser.login("Walker@Example.org", PASSWORD)
    assert (answer.status, location(answer)) == (303, "/profile/")
    page = browser.send("GET", "/profile/")
    assert "walker@example.org" in page.text and "View Raw Dumps" in page.text
    token = re.search(r'name="csrf_token" value="([0-9a-f]+)"', page.text)[1]
    assert browser.send("POST", "/logout/", "csrf_token=" + token).status == 303
    assert browser.send("GET", "/profile/").status == 302


def test_nobody_learns_which_accounts_exist(datil):
    datil.add_user("known@example.org", PASSWORD)
    datil.add_user("off@example.org", PASSWORD)
    datil.datil("user", "disable", "off@example.org")
    answers = set()
    for email in ("known@example.org", "unknown@example.org", "off@example.org"):
        answer = Browser(datil).login(email, PASSWORD if email.startswith("off") else "wrong")
        text = re.search(r'role="alert">.*?<p>(.*?)</p>', answer.text, re.S)[1]
        answers.add((answer.status, text))
    assert len(answers) == 1


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "\t//evil", ""])
def test_next_stays_here(datil, target):
    email = "next@example.org"
    if not datil.sql("SELECT 1 FROM app_user WHERE email = %s", email):
        datil.add_user(email, PASSWORD)
    answer = Browser(datil).login(email, PASSWORD, target)
    assert (answer.status, location(answer)) == (303, "/")


def test_forms_of_others_are_refused(datil):
    body = urllib.parse.urlencode({"email": "a@b.c", "password": "x"})
    assert datil.request("POST", "/login/", body, FORM).status == 403


def test_attempts_are_limited(fresh):
    fresh.add_user("target@example.org", PASSWORD)
    statuses = [Browser(fresh).login("target@example.org", "wrong").status for _ in range(12)]
    assert statuses[:10] == [400] * 10 and statuses[-1] == 429
    assert Browser(fresh).login("target@example.org", PASSWORD).status == 429


def csrf(page):
    return re.search(r'name="csrf_token" value="([0-9a-f]+)"', page.text)[1]


def test_token_is_shown_once_and_works(datil):
    datil.add_user("maker@example.org", PASSWORD, "--group", "Hackers")
    browser = Browser(datil)
    browser.login("maker@example.org", PASSWORD)
    page = browser.send("GET", "/api/tokens/")

    def make(**fields):
        return browser.send("POST", "/api/tokens/", urllib.parse.urlencode({"csrf_token": csrf(page), **fields}))

    made = make(permissions="view_pii", notes="<b>for a test</b>")
    key = re.search(r'id="new-key">([0-9a-f]{32})<', made.text)[1]
    again = browser.send("GET", "/api/tokens/")
    assert key not in again.text and key[:12] in again.text and "&lt;b&gt;for a test" in again.text
    assert datil.get("/api/SuperSearchUnredacted/", {"product": "Crashme"}, {"Auth-Token": key}).status == 200
    assert make(permissions="run_custom_queries").status == 400, "a permission the user does not hold"
    assert make(notes="x" * 2001).status == 400
    assert datil.sql("SELECT count(*) FROM api_token WHERE key_hash = %s OR key_start = %s", key, key)[0][0] == 0

    stranger = Browser(datil)
    datil.add_user("stranger@example.org", PASSWORD)
    stranger.login("stranger@example.org", PASSWORD)
    number = re.search(r"/api/tokens/delete/(\d+)/", again.text)[1]
    body = "csrf_token=" + csrf(stranger.send("GET", "/api/tokens/"))
    assert stranger.send("POST", f"/api/tokens/delete/{number}/", body).status == 404
    assert browser.send("POST", f"/api/tokens/delete/{number}/", "csrf_token=" + csrf(again)).status == 303
    assert datil.get("/api/SuperSearch/", headers={"Auth-Token": key}).status == 403
