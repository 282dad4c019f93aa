"""Uploads by address: what may be fetched, every failure of the other server, and that nothing inside is reached."""
import http.server
import io
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import Installation, wait_until  # noqa: E402

LIMIT = 4 << 20


def archive(n, text=None):
    name = f"url{n}.so"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(f"{name}/{n:032X}0/{name}.sym", text or f"MODULE Linux x86_64 {n:032X}0 {name}\nFUNC 0 10 0 f{n}\n")
    return out.getvalue()


class Other(http.server.BaseHTTPRequestHandler):
    """A server of somebody else, which does what the first part of the path says."""
    protocol_version = "HTTP/1.1"
    seen, failures = [], {}

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        Other.seen.append((self.command, self.path))
        what, _, rest = path.lstrip("/").partition("/")
        if what == "ok":
            self.answer(200, archive(int(rest.split(".")[0])))
        elif what == "status":
            self.answer(int(rest.split("/")[0]))
        elif what == "head":  # HEAD says yes, GET says otherwise
            self.answer(200 if self.command == "HEAD" else int(rest.split("/")[0]))
        elif what == "hops":
            left = int(rest.split("/")[0])
            self.answer(302, Location=f"/hops/{left - 1}/1.zip" if left > 1 else "/ok/1.zip")
        elif what == "to":
            self.answer(303, Location=urllib.parse.unquote(urllib.parse.urlsplit(self.path).query))
        elif what == "loop":
            self.answer(302, Location=self.path)
        elif what == "flaky":
            left = Other.failures.setdefault(rest, 3)
            Other.failures[rest] -= 1
            self.answer(429 if left > 0 else 200, archive(2))
        elif what == "lies":
            self.answer(200, b"PK", length=1000)
        elif what == "enormous":
            self.answer(200, length=LIMIT + 1)
        elif what == "endless":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command == "GET":
                try:
                    for _ in range(LIMIT // 65536 + 2):
                        self.wfile.write(b"x" * 65536)
                except OSError:
                    pass
        elif what == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
    do_HEAD = do_GET


@pytest.fixture(scope="module")
def other():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """The same behind TLS, for localhost, and the file of its certificate."""
    made = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", made / "key.pem", "-out", made / "cert.pem"],
                   check=True, capture_output=True)
    made.chmod(0o755)
    (made / "cert.pem").chmod(0o644)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made / "cert.pem", made / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}", (made / "cert.pem").read_text()
    server.shutdown()


class Configured(Installation):
    """An installation whose symbol server can be started again with other settings."""
    def configure(self, **keys):
        keys["OUTGOING_CA_FILE"] = self.dir / "cert.pem"
        (self.dir / "datil.conf").write_text("".join(f"{k}={v}\n" for k, v in keys.items()))
        old = self.program_pids("datil-symbols")[0]
        for pid in old:
            self.kill(pid, signal.SIGTERM)
        wait_until(lambda: not old & set(self.processes()), 20, "the end of the old program")
        wait_until(lambda: self.get("/symbols/__lbheartbeat__").status == 200, 20, "the new program")


@pytest.fixture(scope="module")
def datil(secure):
    d = Configured(SYMBOLS_UPLOAD_MAX_BYTES=str(LIMIT))
    d.env["DATIL_CONFIG"] = str(d.dir / "datil.conf")
    (d.dir / "cert.pem").write_text(secure[1])
    (d.dir / "datil.conf").write_text("")
    with d:
        d.add_user("uploader@example.org", "a long password", "--group", "Uploaders")
        d.uploader = d.token("uploader@example.org", "upload_symbols")
        yield d


@pytest.fixture(scope="module")
def open_datil(datil):
    datil.configure(ALLOW_UPLOAD_BY_ANY_DOMAIN="on", ALLOW_UPLOAD_BY_RESERVED_ADDRESSES="on")
    return datil


def send(datil, url, **fields):
    def ask():
        answer = datil.request("POST", "/upload/", urllib.parse.urlencode({"url": url, **fields}),
                               {"Auth-Token": datil.uploader, "Content-Type": "application/x-www-form-urlencoded"})
        return answer if answer.status != 429 else None
    return wait_until(ask, 30, "a place among the uploads")


def error(answer):
    return answer.status, answer.json["error"]


def test_fetched_and_stored(open_datil, other):
    answer = send(open_datil, f"{other}/hops/2/my-symbols.zip?secret=1")
    assert answer.status == 201, answer
    made = answer.json["upload"]
    assert made["filename"] == "my-symbols.zip" and made["size"] == len(archive(1))
    assert made["download_url"] == f"{other}/hops/2/my-symbols.zip?secret=1"
    assert made["redirect_urls"] == [f"{other}/hops/1/1.zip", f"{other}/ok/1.zip"]
    assert open_datil.get(f"/symbols/url1.so/{1:032X}0/url1.so.sym").status == 302
    row = open_datil.sql("SELECT download_url, redirect_urls, completed_at IS NOT NULL FROM symbol_upload WHERE id = %s", made["id"])
    assert row == [(made["download_url"], made["redirect_urls"], True)]
    for method in ("HEAD", "GET"):
        assert [p for m, p in Other.seen if m == method] == ["/hops/2/my-symbols.zip?secret=1", "/hops/1/1.zip", "/ok/1.zip"]
    again = send(open_datil, f"{other}/ok/1.zip", **{"try": "1"})
    assert again.json["upload"]["try_symbols"] is True and len(again.json["upload"]["skipped_keys"]) == 1


def test_by_the_form_of_the_page(open_datil, other):
    """The same way: fetched and led to its page, or the other server's failure beside the form."""
    def cookies(answer):
        last = dict(c.split(";")[0].split("=", 1) for c in answer.headers.get_all("Set-Cookie") or [])
        return "; ".join(f"{name}={value}" for name, value in last.items())

    def proof(page):
        return re.search(r'name="csrf_token" value="(\w+)"', page.text)[1]

    def post(path, cookie, **fields):
        return open_datil.request("POST", "/symbols" + path, urllib.parse.urlencode(fields),
                                  {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"})
    page = open_datil.get("/symbols/login/")
    session = cookies(post("/login/", cookies(page), email="uploader@example.org", password="a long password", csrf_token=proof(page)))
    page = open_datil.get("/symbols/uploads/upload", headers={"Cookie": session})
    assert 'name="url"' in page.text
    sent = post("/uploads/upload", session, csrf_token=proof(page), url=f"{other}/ok/7.zip")
    assert sent.status == 303 and f"{other}/ok/7.zip" in open_datil.get(sent.headers["Location"], headers={"Cookie": session}).text
    failed = post("/uploads/upload", session, csrf_token=proof(page), url=f"{other}/status/404/7.zip")
    assert failed.status == 400 and "This was refused" in failed.text, failed.text
    away = post("/uploads/upload", session, csrf_token=proof(page), url=f"{other}/status/503/7.zip")
    assert away.status == 502 and "This was refused" in away.text and 'name="archive"' in away.text, away.text


def test_retries(open_datil, other):
    start = time.monotonic()
    assert send(open_datil, f"{other}/flaky/2.zip").status == 201
    assert time.monotonic() - start >= 1.4, "0.2 + 0.4 + 0.8 s"
    assert [m for m, p in Other.seen if p == "/flaky/2.zip"] == ["HEAD"] * 4 + ["GET"]


@pytest.mark.parametrize("path,status,text", [
    ("/loop/a.zip", 400, "Too many redirects trying to open {url}"),
    ("/hops/6/a.zip", 400, "Too many redirects trying to open {url}"),
    ("/status/404/a.zip", 400, "{url} can't be found (404)"),
    ("/status/502/a.zip", 500, "{url} errored (502)"),
    ("/head/404/a.zip", 400, "non-200 status code when retrieving {url}"),
    ("/head/206/a.zip", 400, "non-200 status code when retrieving {url}"),
    ("/cut/a.zip", 500, "ConnectionError trying to open {url}"),
    ("/lies/a.zip", 500, "ConnectionError while downloading {url}"),
    ("/enormous/a.zip", 413, f"an upload may have {LIMIT / (1 << 20):.1f} MB; make several archives"),
    ("/ok/1.rar", 400, 'Unrecognized archive file extension ".rar"'),
    ("/ok/", 400, 'Unrecognized archive file extension ""'),
    ("/to/a.zip?ftp://127.0.0.1/a.zip", 400, "Enter a valid URL."),
    ("/to/a.zip?file:///etc/passwd", 400, "Enter a valid URL."),
])
def test_failures_of_the_other_server(open_datil, other, path, status, text):
    url = other + path
    assert error(send(open_datil, url)) == (status, text.format(url=url))


def test_endless_and_silent(open_datil, other):
    status, text = error(send(open_datil, f"{other}/endless/a.zip"))
    assert status == 413, text
    assert error(send(open_datil, "http://127.0.0.1:1/a.zip")) == (500, "ConnectionError trying to open http://127.0.0.1:1/a.zip")
    assert error(send(open_datil, "http://nothing.invalid/a.zip"))[0] == 500
    left = [p for p in (open_datil.var / "tmp/uploads").iterdir()]
    assert not left


@pytest.mark.parametrize("url", ["a.zip", "//localhost/a.zip", "/a.zip", "http://", "://x/a.zip", "http://a b/c.zip",
                                 "http://user@127.0.0.1/a.zip", "http://user:pass@127.0.0.1/a.zip", "http://a\r\nb/c.zip",
                                 "gopher://127.0.0.1/a.zip", "file:///etc/passwd.zip"])
def test_no_address(open_datil, url):
    assert error(send(open_datil, url)) == (400, "Enter a valid URL.")


RESERVED = ["127.0.0.1", "localhost", "127.1", "0.0.0.0", "0x7f000001", "2130706433", "[::1]", "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]", "10.0.0.1", "169.254.169.254", "[fe80::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1"]


def test_reserved_addresses(datil, other):
    """Each of these spellings would reach the other server, or something beside it."""
    datil.configure(ALLOW_UPLOAD_BY_ANY_DOMAIN="on")
    port = other.rsplit(":", 1)[1]
    seen = len(Other.seen)
    for host in RESERVED:
        url = f"http://{host}:{port}/ok/3.zip"
        answer = send(datil, url)
        assert answer.status == 400 and "leads into a reserved network" in answer.json["error"], (host, answer)
    assert len(Other.seen) == seen, "nothing was asked"


def test_allowed_domains(datil, other, secure):
    base, _ = secure
    datil.configure(ALLOW_UPLOAD_BY_DOWNLOAD_DOMAINS="queue.example, localhost", ALLOW_UPLOAD_BY_RESERVED_ADDRESSES="on")
    assert send(datil, f"{base}/ok/4.zip").status == 201
    port = base.rsplit(":", 1)[1]
    for url, text in (
            (f"http://localhost:{port}/ok/4.zip", "Insecure URL"),
            (f"https://127.0.0.1:{port}/ok/4.zip", "Not an allowed domain ('127.0.0.1') to download from."),
            (f"https://localhost.evil.example:{port}/ok/4.zip", "Not an allowed domain ('localhost.evil.example') to download from."),
            (f"https://LOCALHOST.:{port}/ok/4.zip", "Not an allowed domain ('localhost.') to download from."),
            ("https://evil.example#@localhost/4.zip", "Not an allowed domain ('evil.example') to download from."),
            (f"{base}/to/4.zip?{other}/ok/4.zip", "Insecure URL"),
            (f"{base}/to/4.zip?https://evil.example/4.zip", "Not an allowed domain ('evil.example') to download from."),
    ):
        assert error(send(datil, url)) == (400, text), url
    assert send(datil, f"https://LocalHost:{port}/ok/4.zip").status == 201
    # an allowed name may still lead inside
    datil.configure(ALLOW_UPLOAD_BY_DOWNLOAD_DOMAINS="localhost")
    status, text = error(send(datil, f"{base}/ok/4.zip"))
    assert status == 400 and "reserved" in text
