"""What the runner checks before any page or API: tokens, sessions, rate limits, methods, paths."""
import hashlib
import re
import signal
import time
import urllib.parse

import fastcgi
import pytest
from harness import Installation, wait_until

PASSWORD = "a long password"
NOT_MATCHED = {"error": "API Token not matched"}


@pytest.fixture(scope="module")
def web():
    with Installation(RATE_LIMIT_API_ANONYMOUS="5", RATE_LIMIT_API_USER="9",
                      RATE_LIMIT_SEARCH_ANONYMOUS="3", RATE_LIMIT_SEARCH_USER="6") as it:
        it.add_user("boss@example.org", PASSWORD, "--superuser")
        it.add_user("hacker@example.org", PASSWORD, "--group", "Hackers")
        yield it


def api(web, path="/api/NoOp/?product=good", **headers):
    return web.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})


class Browser:
    """Keeps cookies."""

    def __init__(self, web):
        self.web, self.cookies, self.set = web, {}, []

    def request(self, method, path, fields=None, **headers):
        body = urllib.parse.urlencode(fields) if fields is not None else None
        head = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), **headers}
        if body is not None:
            head["Content-Type"] = "application/x-www-form-urlencoded"
        answer = self.web.request(method, path, body, head)
        self.set = answer.headers.get_all("Set-Cookie") or []
        for line in self.set:
            key, _, value = line.partition(";")[0].partition("=")
            self.cookies[key] = value
        return answer

    def csrf(self, path="/login/"):
        return re.search(r'name="csrf_token" value="([0-9a-f]{64})"', self.request("GET", path).text)[1]

    def log_in(self, email, password=PASSWORD):
        return self.request("POST", "/login/", {"email": email, "password": password, "csrf_token": self.csrf()})


def test_token_that_is_none(web):
    for key in ("x", "0" * 32, "-label", "%00"):
        answer = web.request("GET", "/about-nothing/", headers={"Auth-Token": key})  # even on unknown paths
        assert (answer.status, answer.json) == (403, NOT_MATCHED)
        assert answer.headers["Content-Type"] == "application/json"
        assert "Auth-Token" in answer.headers["Vary"]


def test_token_before_the_method(web):
    assert web.request("PUT", "/api/NoOp/", headers={"Auth-Token": "x"}).status == 403
    assert web.request("PUT", "/api/NoOp/").status == 405


def test_empty_token_is_no_token(web):
    assert web.request("PUT", "/api/NoOp/", headers={"Auth-Token": ""}).status == 405


def test_label_behind_a_token(web):
    key = web.token("hacker@example.org", "view_pii")
    assert len(key) == 32
    assert web.request("PUT", "/api/NoOp/", headers={"Auth-Token": key + "-laptop-2026"}).status == 405
    assert web.request("PUT", "/api/NoOp/", headers={"Auth-Token": key + "x"}).status == 403


def test_expired_token(web):
    key = web.datil("token", "create", "hacker@example.org", "--days", "0").stdout.strip()
    answer = api(web, Auth_Token=key)
    assert (answer.status, answer.json) == (403, {"error": "API Token found but expired"})


def test_token_of_an_inactive_user(web):
    web.add_user("gone@example.org", PASSWORD)
    key = web.token("gone@example.org")
    web.datil("user", "disable", "gone@example.org")
    answer = api(web, Auth_Token=key)
    assert (answer.status, answer.json) == (403, {"error": "User of API token not active"})


def test_token_has_only_its_own_permissions(web):
    path = "/api/Reprocessing/"
    some, right = web.token("boss@example.org", "view_pii"), web.token("boss@example.org", "reprocess_crashes")
    answer = web.request("POST", path, "crash_ids=x", {"Auth-Token": some, "Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status, answer.json) == (
        403, {"error": "Use of this endpoint requires the 'Reprocess Crashes' permission"})
    answer = web.request("POST", path, "crash_ids=x", {"Auth-Token": right, "Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 400  # may ask; the id is none
    assert "Set-Cookie" not in answer.headers


def test_tokens_do_not_renew_themselves(web):
    """A token listed, made and deleted tokens: pages for people want a session."""
    key = web.token("boss@example.org", "view_pii", "reprocess_crashes")
    before = web.sql("SELECT count(*) FROM api_token")
    form = {"Auth-Token": key, "Content-Type": "application/x-www-form-urlencoded"}
    newest = web.sql("SELECT max(id) FROM api_token")[0][0]
    for method, path, body in [("GET", "/api/tokens/", None), ("POST", "/api/tokens/", "notes=again"),
                               ("POST", f"/api/tokens/delete/{newest}/", ""), ("GET", "/profile/", None),
                               ("GET", "/siteadmin/", None), ("POST", "/siteadmin/notices/add/", "text=x")]:
        answer = web.request(method, path, body, form)
        assert answer.status == 403 and "log-in session" in answer.json["error"], path
    assert web.sql("SELECT count(*) FROM api_token") == before


def test_protected_readers_leave_nothing_in_caches(web):
    """Every answer to somebody with view_pii, whatever the handler says of it."""
    web = web.new_client()
    reader, other = Browser(web), Browser(web)
    reader.log_in("hacker@example.org")
    web.add_user("plain@example.org", PASSWORD)
    other.log_in("plain@example.org")
    for path in ("/", "/profile/", "/api/NoOp/?product=x", "/search/fields/", "/nothing/here/"):
        answer = reader.request("GET", path)
        asked = path not in ("/nothing/here/",)  # an unknown path does not ask who reads it
        assert not asked or answer.headers.get_all("Cache-Control") == ["private, no-store"], path
        assert "no-store" not in (other.request("GET", path).headers["Cache-Control"] or "")
    key = web.token("hacker@example.org", "view_pii")
    assert api(web, "/api/SuperSearchFields/", Auth_Token=key).headers["Cache-Control"] == "private, no-store"
    bare = web.token("hacker@example.org")
    assert api(web, "/api/SuperSearchFields/", Auth_Token=bare).headers["Cache-Control"] == "private, max-age=300"


def test_only_the_hash_of_a_key_is_stored(web):
    key = web.token("hacker@example.org", "view_pii")
    rows = web.sql("SELECT key_hash, key_start FROM api_token WHERE key_hash = %s", hashlib.sha256(key.encode()).hexdigest())
    assert rows and rows[0][1] == key[:12]


def test_cookies(web):
    b = Browser(web)
    b.csrf()
    assert len(b.set) == 1 and "HttpOnly" in b.set[0] and "SameSite=Lax" in b.set[0] and "Secure" not in b.set[0]
    answer = b.log_in("hacker@example.org")
    assert answer.status == 303
    session = [line for line in b.set if line.startswith("datil_session=")]
    assert session and all("HttpOnly" in line and "SameSite=Lax" in line for line in session)
    secret = b.cookies["datil_session"]
    hashes = [row[0] for row in web.sql("SELECT id_hash FROM web_session")]
    assert hashlib.sha256(secret.encode()).hexdigest() in hashes and secret not in hashes
    assert b.request("GET", "/profile/").status == 200


def test_log_out_ends_the_session_everywhere(web):
    b = Browser(web)
    b.log_in("hacker@example.org")
    copy = Browser(web)
    copy.cookies = dict(b.cookies)
    assert copy.request("GET", "/profile/").status == 200
    b.request("POST", "/logout/", {"csrf_token": b.csrf("/profile/")})
    assert copy.request("GET", "/profile/").status == 302


def test_a_new_session_for_each_log_in(web):
    """A session id that somebody planted before the log-in is worth nothing after it."""
    b = Browser(web)
    b.cookies["datil_session"] = "a" * 64
    b.log_in("hacker@example.org")
    assert b.cookies["datil_session"] != "a" * 64


def test_disabled_users_are_out_at_once(web):
    web.add_user("leaving@example.org", PASSWORD)
    b = Browser(web)
    b.log_in("leaving@example.org")
    assert b.request("GET", "/profile/").status == 200
    web.datil("user", "disable", "leaving@example.org")
    assert b.request("GET", "/profile/").status == 302


def test_form_token_belongs_to_the_session(web):
    mine, other = Browser(web), Browser(web)
    mine.log_in("hacker@example.org")
    other.log_in("boss@example.org")
    for token in (other.csrf("/profile/"), "", "0" * 64):
        answer = mine.request("POST", "/logout/", {"csrf_token": token})
        assert answer.status == 403
    assert mine.request("GET", "/profile/").status == 200


def test_form_token_is_not_taken_from_an_address(web):
    """Addresses are logged and passed on; and a link must not be a form that sends itself."""
    b = Browser(web)
    b.log_in("hacker@example.org")
    token = b.csrf("/profile/")
    assert b.request("POST", "/logout/?csrf_token=" + token, {}).status == 403
    assert b.request("POST", "/logout/?csrf_token=" + token).status == 403  # without a body
    assert b.request("GET", "/profile/").status == 200
    assert b.request("POST", "/logout/", {"csrf_token": token}).status == 303


def test_permission_of_a_page_leads_to_the_log_in(web):
    answer = web.request("GET", "/profile/?a=b c".replace(" ", "%20"))
    assert answer.status == 302
    assert answer.headers["Location"] == "/login/?next=%2Fprofile%2F%3Fa%3Db%2520c"


def test_api_limit_without_log_in(web):
    client = web.new_client()
    wait_until(lambda: time.time() % 60 < 52, 10, "a minute with time left")
    answers = [api(client) for _ in range(8)]
    states = [a.status for a in answers]
    assert set(states) == {200, 429} and states == sorted(states) and states.count(200) <= 5
    last = answers[-1]
    assert last.json == {"error": "Too Many Requests"} and 1 <= int(last.headers["Retry-After"]) <= 60
    # Who logs in has a count of his own.
    key = web.token("hacker@example.org", "view_pii")
    assert api(client, Auth_Token=key).status == 200


def test_search_limit_and_its_forms(web):
    path = "/search/results/?product=Crashme"
    browser, script = {"Accept": "text/html"}, {"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"}
    limited = wait_until(lambda: next((a for a in (web.request("GET", path, headers=browser) for _ in range(5))
                                       if a.status == 429), None), 70, "the limit")
    assert limited.headers["Content-Type"].startswith("text/html") and "Too Many Requests" in limited.text
    answer = web.request("GET", path, headers=script)
    if answer.status == 429:  # else a new minute has begun
        assert answer.text == "Too Many Requests" and answer.headers["Content-Type"].startswith("text/plain")


def test_missing_slash(web):
    answer = web.request("GET", "/login?next=%2Fabout%2F")
    assert answer.status == 301 and answer.headers["Location"] == "/login/?next=%2Fabout%2F"


def test_preflight(web):
    answer = web.request("OPTIONS", "/api/SuperSearch/")
    assert (answer.status, answer.json) == (200, {})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Auth-Token" in answer.headers["Access-Control-Allow-Headers"]


def test_head_has_the_length_and_no_body(web):
    got = web.request("GET", "/login/")
    head = web.request("HEAD", "/login/")
    assert head.status == 200 and head.body == b"" and int(head.headers["Content-Length"]) > 1000
    assert got.status == 200


def test_request_id_is_ours(web):
    """Two requests never share a number in the log because a client says so."""
    given = "0123456789abcdef"
    seen = {web.request("GET", "/login/", headers={"X-Request-ID": id}).headers["X-Request-ID"]
            for id in (given, given, "a b<script>")}
    assert len(seen) == 3 and given not in seen and all(re.fullmatch("[0-9a-f]{32}", id) for id in seen)


def test_missing_slash_of_an_endpoint(web):
    """/api/ takes everything below it, but /api/NAME is meant to be /api/NAME/."""
    answer = web.request("GET", "/api/NoOp?product=good")
    assert (answer.status, answer.headers["Location"]) == (301, "/api/NoOp/?product=good")
    assert web.request("POST", "/api/Bugs", "signatures=x").status == 308
    assert web.request("GET", "/api/tokens").headers["Location"] == "/api/tokens/"
    unknown = web.new_client().get("/api/Nothing")
    assert (unknown.status, unknown.json) == (404, {"error": "No service called 'Nothing'"})


def test_null_characters(web):
    """Texts with NUL were cut silently, so another thing was searched for than was asked."""
    web = web.new_client()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    null = {"errors": {"signature": ["Null characters are not allowed."]}}
    answer = web.get("/api/SuperSearch/?signature=a%00b")
    assert (answer.status, answer.json) == (400, null)
    answer = web.request("POST", "/api/Bugs/", "signatures=a%00", form)
    assert (answer.status, answer.json) == (400, {"errors": {"signatures": ["Null characters are not allowed."]}})
    page = web.get("/signature/?signature=%00")
    assert page.status == 400 and "&quot;signature&quot; cannot contain nulls" in page.text
    assert web.get("/search/results/?version=1%00").status == 400


def test_log_has_no_queries(web):
    web.request("GET", "/search/?user_comments=secretword")
    log = web.var / "log/webapp.log"
    wait_until(lambda: '"GET /search/"' in log.read_text(), what="the line of the request")
    assert "secretword" not in log.read_text()


def test_pages_without_the_database(fresh):
    b = Browser(fresh)
    fresh.add_user("who@example.org", PASSWORD)
    b.log_in("who@example.org")
    supervisor = int((fresh.var / "run/datilctl.pid").read_text())
    fresh.kill(supervisor, signal.SIGSTOP)  # nobody starts PostgreSQL again
    try:
        postmaster = [pid for pid, (_, comm, command) in fresh.processes().items()
                      if comm == "postgres" and " -D " in command]
        for pid in postmaster:
            fresh.kill(pid, signal.SIGKILL)
        wait_until(lambda: fresh.get("/__heartbeat__").status >= 500, what="the database to be away")
        assert fresh.get("/__lbheartbeat__").status == 200
        assert b.request("GET", "/profile/").status == 503
        assert fresh.request("GET", "/api/NoOp/?product=x", headers={"Auth-Token": "x" * 32}).status == 503
    finally:
        fresh.kill(supervisor, signal.SIGCONT)
    wait_until(lambda: b.request("GET", "/profile/").status == 200, 60, "the same session again")


def multipart(*parts):
    """A form with boundary X of (header lines, value), as short as the grammar allows."""
    return b"".join(b"--X\r\n" + head + b"\r\n\r\n" + value + b"\r\n" for head, value in parts) + b"--X--\r\n"


def field(name, value=b""):
    return b"Content-Disposition:form-data;name=" + name, value


def status_behind_nginx(web, body):
    """Straight to the socket: what comes in where another server than our nginx is in front."""
    return fastcgi.request(web.var / "run/web/datil-webapp.sock", "POST", "/login/", body,
                           {"Content-Type": "multipart/form-data; boundary=X"})[0]


FORMS_BEYOND = [
    ("more fields than a request may have", [field(b"a")] * 20001, 413),
    ("a header block of 9 KB", [field(b"a" * 9000)], 400),
    ("a field of 8 MiB and some", [field(b"a", b"v" * (8 << 20))], 413),
    ("8 MiB of fields together", [field(b"a%d" % i, b"v" * (1 << 20)) for i in range(8)], 413),
    ("no end", [field(b"a", b"\r\n--X" * 10)], 400),
]


@pytest.mark.parametrize("label,parts,status", FORMS_BEYOND, ids=[f[0] for f in FORMS_BEYOND])
def test_multipart_forms_beyond_their_limits(web, label, parts, status):
    """Each is refused by the worker, and every worker that was there serves the next request."""
    before = web.program_pids("datil-webapp")
    body = multipart(*parts)
    if label == "no end":
        body = body[:-len(b"--X--\r\n")]
    for _ in range(3):
        assert status_behind_nginx(web, body) == status
    assert status_behind_nginx(web, multipart(field(b"email", b"x"))) == 403  # a form, without its token
    assert web.get("/login/").status == 200
    assert web.program_pids("datil-webapp") == before


def test_many_fields_come_through_nginx(web):
    """20,001 fields are less than the megabyte that nginx lets through."""
    before = web.program_pids("datil-webapp")
    body = multipart(*[field(b"a")] * 20001)
    assert len(body) < 1 << 20
    answer = web.request("POST", "/login/", body, {"Content-Type": "multipart/form-data; boundary=X"})
    assert answer.status == 413
    assert web.get("/login/").status == 200
    assert web.program_pids("datil-webapp") == before
