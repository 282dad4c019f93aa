"""What the web server itself decides: who may send how much, how often, and what errors look like."""
import concurrent.futures
import http.client
import io
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import time
import zipfile

import pytest
from harness import ROOT, Installation, free_port, wait_until

NO_TOKEN = {"error": "This requires an Auth-Token to authenticate the request"}


@pytest.fixture(scope="module")
def it():
    with Installation(UPLOAD_WAIT_SECONDS="1") as datil:
        yield datil


class Slow:
    """A request whose body never comes."""

    def __init__(self, datil, path, length, headers=""):
        self.s = socket.create_connection(("127.0.0.1", datil.port), timeout=20)
        self.s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
                       f"Content-Length: {length}\r\n{headers}\r\n--b\r\n".encode())

    def answer(self):
        data = b""
        while b"\r\n\r\n" not in data or not data.rstrip().endswith(b"}"):
            piece = self.s.recv(65536)
            if not piece:
                break
            data += piece
        self.s.close()
        return data.decode()


@pytest.mark.parametrize("path", ["/upload/", "/upload", "/symbols/upload/", "/symbols/upload"])
def test_no_body_before_the_token(it, path):
    """2 GiB per connection were buffered beside the spool before anybody looked at the token."""
    none, wrong = Slow(it, path, 2 << 30), Slow(it, path, 2 << 30, "Auth-Token: " + "0" * 32 + "\r\n")
    assert "403" in none.answer().splitlines()[0]
    assert "API Token not matched" in wrong.answer()
    assert it.request("POST", path, b"x", {}).json == NO_TOKEN
    assert not [p for p in (it.var / "nginx/body").rglob("*") if p.is_file()]


def test_refused_uploads_still_get_their_answer(it):
    """A client that reads only when it has sent everything must see 403 and no reset connection."""
    conn = http.client.HTTPConnection("127.0.0.1", it.port, timeout=60)
    piece = b"x" * (1 << 20)
    conn.putrequest("POST", "/upload/")
    conn.putheader("Auth-Token", "0" * 32)
    conn.putheader("Content-Type", "multipart/form-data; boundary=b")
    conn.putheader("Content-Length", str(120 * len(piece)))
    conn.endheaders()
    for _ in range(120):
        conn.send(piece)
    answer = conn.getresponse()
    assert (answer.status, answer.read()) == (403, b'{"error":"API Token not matched"}')


def test_slow_uploads_leave_workers_for_others(it):
    """Each upload holds a worker while it lasts: four of a token run, the fifth waits, then 429."""
    key = make_token(it)
    held = [Slow(it, "/upload/", 1 << 20, f"Auth-Token: {key}\r\n") for _ in range(5)]
    try:
        # They may be looked at in any order; one of them finds four before it.
        ready = wait_until(lambda: select.select([h.s for h in held], [], [], 0)[0], 20, "a refusal")
        refused = ready[0].recv(65536).decode()
        assert refused.startswith("HTTP/1.1 429") and "Retry-After: 30" in refused
        assert "Too many uploads at once." in refused
        for path in ("/symbols/__lbheartbeat__", "/symbols/no.so/ABCDEF0123/no.so.sym"):
            assert it.get(path).status in (200, 404)
    finally:
        for slow in held:
            slow.s.close()


def make_token(it):
    email = f"b{time.monotonic_ns()}@example.org"
    it.add_user(email, "a long password", "--group", "Uploaders")
    return it.token(email, "upload_symbols")


def test_upload_without_buffering_works(it):
    """The body reaches the symbol server as it comes, with and without a length."""
    sym = "MODULE Linux x86_64 0123456789ABCDEF0123456789ABCDEF0 app\nFUNC 1000 10 0 main\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr("app/0123456789ABCDEF0123456789ABCDEF0/app.sym", sym)
    body = (b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"s.zip\"\r\n\r\n"
            + archive.getvalue() + b"\r\n--b--\r\n")
    head = {"Auth-Token": make_token(it), "Content-Type": "multipart/form-data; boundary=b"}
    assert it.request("POST", "/upload/", body, head).status == 201
    assert it.request("POST", "/symbols/upload/", iter([body[:50], body[50:]]), head).status == 201


@pytest.mark.parametrize("path, size, status", [
    ("/api/Bugs/", 1 << 20, 400), ("/api/Bugs/", (1 << 20) + 1, 413), ("/login/", (1 << 20) + 1, 413),
    ("/collector/nothing", (1 << 20) + 1, 413), ("/symbols/nothing", (1 << 20) + 1, 413),
    ("/submit", 26214401, 413), ("/symbolicate/v5", (30 << 20) + 1, 413)])
def test_large_bodies_only_where_they_belong(it, path, size, status):
    answer = it.request("POST", path, b"x" * size, {"Content-Type": "application/octet-stream"})
    assert answer.status == status
    if status == 413:
        name = "title" if path in ("/submit", "/symbolicate/v5", "/collector/nothing") else "error"
        assert "Payload Too Large" in answer.json[name] and answer.headers["Content-Type"] == "application/json"


def test_too_many_requests(it):
    """Symbolication costs: 20 a second and client, 50 at once, then 429 that says when to come again."""
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: it.request("POST", "/symbolicate/v5", b"{}"), range(160)))
    late = [a for a in answers if a.status == 429]
    assert late and len(late) < 160
    assert late[0].headers["Retry-After"] == "30" and late[0].json == {"title": "429 Too Many Requests"}
    assert late[0].headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path, headers", [("/symbols/api/_auth/", {}), ("/api/_auth/", {"Host": "symbols.example.org"})])
def test_too_many_questions_to_the_symbol_server(it, path, headers):
    """Its JSON API: 10 a second and client, 100 at once; downloads have a limit of their own."""
    it, start = it.new_client(), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: it.get(path, headers=headers), range(400)))
    late = [a for a in answers if a.status == 429]
    assert {a.status for a in answers} == {200, 429}
    assert len(answers) - len(late) <= 102 + 10 * (time.monotonic() - start)
    assert late[0].headers["Retry-After"] == "30" and late[0].json == {"error": "Too Many Requests"}
    assert late[0].headers["Content-Type"] == "application/json"
    assert it.get("/symbols/no.so/ABCDEF0123/no.so.sym").status == 404
    assert it.get("/api/NoOp/?product=x").status != 429  # that of the reports counts by itself


def test_errors_in_the_language_of_who_asked(it):
    page = it.get("/static/nothing.js", headers={"Accept": "text/html,*/*"})
    assert page.status == 404 and page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "nothing at this address" in page.text and "nginx" not in page.text
    assert page.headers["Content-Security-Policy"] and page.headers["X-Content-Type-Options"] == "nosniff"
    script = it.get("/api/SuperSearch/?signature=" + "x" * 40000, headers={"Accept": "text/html,*/*"})
    assert (script.status, script.json) == (414, {"error": "URI Too Long: use fewer or shorter filters"})
    assert it.get("/search/?signature=" + "x" * 20000).status in (200, 400)
    assert it.get("/static/nothing.js", headers={"Accept": "*/*"}).json == {"error": "Not Found"}


@pytest.mark.parametrize("path, status", [("/" + "x" * 30000, 404), ("/search/?signature=" + "x" * 30000, 200),
                                          ("/symbols/" + "x" * 30000, 404), ("/collector/" + "x" * 30000, 404)])
def test_long_addresses_and_headers_fit_together(it, path, status):
    """What is within the limits reaches the program, what is not is the client's error: never a 500."""
    assert it.get(path).status == status
    assert it.get(path, headers={"Cookie": "a=" + "x" * 30000}).status == status
    for headers in ({f"X-{n}": "x" * 20000 for n in range(3)}, {"Cookie": "x" * 40000}):
        assert it.get(path, headers=headers).status == 400
        assert it.get("/search/", headers=headers).status == 400


@pytest.mark.parametrize("path", ["/search?signature=", "/query/?signature=", "/search/quick/?query=", "/signature?signature=",
                                  "/profile/?x="])
@pytest.mark.parametrize("char", ["a", ":"])
def test_long_redirects_are_redirects(it, path, char):
    """An address that could be asked for leads to one that can be asked for, or is told to be too long."""
    for n in (2000, 4000, 9000, 20000, 30500):
        answer = it.get(path + char * n, headers={"Accept": "text/html"})
        assert answer.status in (301, 302, 414), (n, answer)
        if answer.status == 414:
            assert char == ":" and n > 9000 and "fewer or shorter filters" in answer.text
        else:
            assert it.get(answer.headers["Location"]).status < 500


def test_a_program_that_is_away(it):
    """502 with words for people, JSON for scripts, and when to come again."""
    parents, workers = it.program_pids("datil-webapp")
    supervisor = int((it.var / "run/datilctl.pid").read_text())
    it.kill(supervisor, signal.SIGSTOP)
    try:
        for pid in [*parents, *workers]:
            it.kill(pid)
        answer = wait_until(lambda: (a := it.get("/api/NoOp/?product=x")).status == 502 and a, what="502")
        assert answer.json == {"error": "Bad Gateway"} and answer.headers["Retry-After"] == "10"
        assert "try again in a few seconds" in it.get("/", headers={"Accept": "text/html"}).text
    finally:
        it.kill(supervisor, signal.SIGCONT)
    wait_until(lambda: it.get("/__heartbeat__").status == 200, 30, "the program to be back")


def test_operators_door(it):
    """Behind a proxy on the same host every stranger comes from 127.0.0.1."""
    for path in ("/__broken__", "/collector/__broken__", "/collector/__metrics__", "/nginx_status"):
        for headers in ({}, {"Datil-Local": "1", "X-Real-IP": "127.0.0.1"}):
            assert it.get(path, headers=headers).status == 404, path
    assert it.local("/__broken__")[0] == 500
    assert it.local("/collector/__broken__")[0] == 500
    status, text = it.local("/collector/__metrics__")
    assert status == 200 and "socorro_collector_breakpad_resource_incoming_crash" in text
    assert it.local("/nginx_status")[0] == 200
    assert (it.var / "run/nginx").stat().st_mode & 0o077 == 0


def test_security_headers_of_what_is_no_page(it):
    for path in ("/symbols/__lbheartbeat__", "/collector/__lbheartbeat__", "/symbols/a.so/ABC1/a.so.sym"):
        headers = it.get(path).headers
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
        assert headers["Strict-Transport-Security"] is None  # not over http


def test_tls_sample(it):
    """The sample for host names and TLS is a configuration that works: https, HSTS, both hosts."""
    where, https, http_port = it.dir / "tls", free_port(), free_port()
    shutil.copytree(ROOT / "nginx", where)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x",
                    "-keyout", where / "privkey.pem", "-out", where / "fullchain.pem"], check=True, capture_output=True)
    (where / "log").mkdir()
    (where / "nginx/nginx").mkdir(parents=True)
    sockets = it.var / "run"
    for path in list(where.glob("*.in")):
        text = path.read_text()
        for name, value in {"VAR": where, "STATIC": ROOT / "static", "SYMBOLS": it.var / "symbols", "EXPORT": it.var / "telemetry", "TLS": where, "MONITOR_LISTEN": ""}.items():
            text = text.replace(f"@{name}@", str(value))
        text = re.sub(r"@RUN@/(nginx/nginx\.pid|nginx/local\.sock)", rf"{where}/nginx/\1".replace("nginx/local", "local"), text)
        text = text.replace("@RUN@", str(sockets)).replace(f"{where}/nginx/nginx/local", f"{where}/nginx/local")
        text = text.replace("listen [::]:", "# listen [::]:").replace("listen 443 ", f"listen 127.0.0.1:{https} ")
        text = text.replace("listen 80;", f"listen 127.0.0.1:{http_port};")
        path.with_suffix("").write_text(text)
    command = ["nginx", "-c", str(where / "tls.conf"), "-p", str(where), "-e", str(where / "log/error.log")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"})
    assert checked.returncode == 0, checked.stderr
    server = subprocess.Popen([*command, "-g", "daemon off;"], env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"})
    try:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

        def get(host, path):
            try:
                conn = http.client.HTTPSConnection("127.0.0.1", https, context=context, timeout=20)
                conn.request("GET", path, headers={"Host": host})
                answer = conn.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            except ConnectionError:
                return None
        status, headers, _ = wait_until(lambda: get("crash-stats.example.com", "/__lbheartbeat__"), what="nginx")
        assert status == 200 and headers["Strict-Transport-Security"] == "max-age=31536000"
        for host, path in (("crash-stats.example.com", "/static/css/datil.css"), ("symbols.example.com", "/__lbheartbeat__"),
                           ("symbols.example.com", "/upload/"), ("crash-stats.example.com", "/collector/__metrics__")):
            status, headers, body = get(host, path)
            assert headers["Strict-Transport-Security"] == "max-age=31536000", (host, path)
        status, headers, body = get("symbolication.example.com", "/")
        assert status == 200 and b"https://symbolication.example.com/symbolicate/v5" in body and headers["Content-Type"] == "text/html"
        assert get("symbolication.example.com", "/symbolicate/v5")[0] == 405
        status, headers, body = get("symbolication.example.com", "/nothing")
        assert (status, body) == (404, b'{"title":"404 Not Found"}') and headers["Access-Control-Allow-Origin"] == "*"
        assert get("symbolication.example.com", "/static/css/datil.css")[0] == 200
        plain = http.client.HTTPConnection("127.0.0.1", http_port, timeout=20)
        plain.request("GET", "/search/?a=b", headers={"Host": "crash-stats.example.com"})
        answer = plain.getresponse()
        assert (answer.status, answer.getheader("Location")) == (301, "https://crash-stats.example.com/search/?a=b")
    finally:
        server.terminate()
        server.wait(20)
