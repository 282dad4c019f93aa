"""Names and redirects that lead into a reserved network are refused, by whatever name and however many addresses it has.

The programs run with a resolver of ours (data/names_preload.c).  Beside the server that answers on 127.0.0.1, as the
public address, listen two others at the same port that must never hear anything.
"""
import http.server
import io
import json
import os
import socket
import subprocess
import threading
import urllib.parse
import zipfile
from pathlib import Path

import pytest
from harness import BIN, Installation, wait_until

DATA = Path(__file__).resolve().parent.parent / "data"
ID = "0123456789ABCDEF0123456789ABCDEF0"
SYM = f"/prog/{ID}/prog.sym"
TEXT = f"MODULE Linux x86_64 {ID} prog\nFUNC 1000 10 0 work\n".encode()
FOUND, UNREACHABLE, REFUSED = 0, 5, 6
# What a name answers that stands at the end of a redirect, and as the first address.
HOSTS = {"public.example": FOUND, "mixed.example": FOUND, "inside.example": REFUSED, "dead.example": REFUSED,
         "localhost": REFUSED, "127.0.0.2": REFUSED}


class Public(http.server.BaseHTTPRequestHandler):
    """Sends the archive or the text, or on to /to?WHERE."""
    def log_message(self, *_):
        pass

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        self.server.asked.append(self.path)
        where = urllib.parse.unquote(parts.query) if parts.path.startswith("/to") else self.server.pages.get(parts.path)
        if where:
            self.send_response(302)
            self.send_header("Location", where)
            self.end_headers()
            return
        body = TEXT
        if self.path.endswith(".zip"):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w") as z:
                z.writestr(SYM[1:], TEXT)
            body = out.getvalue()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
    do_HEAD = do_GET


@pytest.fixture(scope="module")
def public():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Public)
    server.asked, server.pages, server.port = [], {}, server.server_port
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    server.traps = []
    for address in ("127.0.0.2", "127.0.0.3"):
        trap = socket.create_server((address, server.port))
        trap.setblocking(False)
        server.traps.append(trap)
    yield server
    server.shutdown()


@pytest.fixture(autouse=True)
def nobody_was_reached(public):
    public.pages.clear()
    yield
    for trap in public.traps:
        with pytest.raises(BlockingIOError):
            trap.accept()


@pytest.fixture(scope="module")
def preload(tmp_path_factory):
    made = tmp_path_factory.mktemp("preload") / "names.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", made, DATA / "names_preload.c"], check=True)
    return made


def fetched(cache, preload, url):
    """The answer of one source, by the program that fetches for crashes and downloads."""
    task = {"cache_dir": str(cache), "cache_max_bytes": 1 << 30, "store_dir": None, "sym_dirs": [], "urls": [url],
            "may_reach_reserved": False, "first_byte_ms": 1000, "retry_ms": 5, "parent": os.getpid(), "log_level": "info",
            "store_wants_mark": False, "debug_file": "prog", "debug_id": ID, "code_file": "", "code_id": ""}
    done = subprocess.run([BIN / "datil-symfetch"], input=json.dumps(task), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, env={**os.environ, "LD_PRELOAD": str(preload)}, timeout=60)
    assert done.returncode == 0, done.stderr
    if (cache / f"prog/{ID}.csym").exists():
        return FOUND
    return int((cache / f"prog/{ID}.asked").read_text().splitlines()[1].split()[0])


@pytest.mark.parametrize("host", HOSTS)
def test_sources(public, preload, tmp_path, host):
    assert fetched(tmp_path / "straight", preload, f"http://{host}:{public.port}/") == HOSTS[host]
    public.pages[SYM] = f"http://{host}:{public.port}/elsewhere{SYM}"
    assert fetched(tmp_path / "once", preload, f"http://public.example:{public.port}/") == HOSTS[host]
    public.pages[SYM] = f"http://mixed.example:{public.port}/to?http://{host}:{public.port}/elsewhere{SYM}"
    assert fetched(tmp_path / "twice", preload, f"http://public.example:{public.port}/") == HOSTS[host]


@pytest.fixture(scope="module")
def datil(preload):
    d = Installation(ALLOW_UPLOAD_BY_ANY_DOMAIN="on")
    library = d.dir / "names.so"  # where every user may read
    library.write_bytes(preload.read_bytes())
    library.chmod(0o755)
    d.env["LD_PRELOAD"] = str(library)
    with d:
        d.add_user("uploader@example.org", "a long password", "--group", "Uploaders")
        d.uploader = d.token("uploader@example.org", "upload_symbols")
        yield d


@pytest.mark.parametrize("host", HOSTS)
def test_uploads_by_address(public, datil, host):
    def send(url):
        def ask():
            answer = datil.request("POST", "/upload/", urllib.parse.urlencode({"url": url}),
                                   {"Auth-Token": datil.uploader, "Content-Type": "application/x-www-form-urlencoded"})
            return answer if answer.status != 429 else None
        return wait_until(ask, 30, "a place among the uploads")
    end = f"http://{host}:{public.port}/a.zip"
    for url in (end, f"http://public.example:{public.port}/to/a.zip?{end}",
                f"http://mixed.example:{public.port}/to/a.zip?http://public.example:{public.port}/to/b.zip?{end}"):
        answer = send(url)
        if HOSTS[host] == FOUND:
            assert answer.status == 201, (url, answer)
        else:
            assert answer.status == 400 and "leads into a reserved network" in answer.json["error"], (url, answer)
