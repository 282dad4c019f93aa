"""Featured versions by product files: literal, `auto` and KEY.PATH of a document on a server that answers, fails, hangs,
lies, points elsewhere or never ends.  No page may wait for it."""
import json
import re
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness import wait_until

NAME = "Menus"
VERSIONS = ["60.0", "61.0", "61.1", "62.0b3", "62.0b10", "62.0", "60.9.0esr", "1024.0", "not a version"]
TODAY = datetime.now(timezone.utc)


class Documents:
    """GET /NAME: what `bodies` holds, (status, headers, body); a path that is not there hangs until the end."""

    def __init__(self):
        outer = self
        self.bodies, self.asked, self.over = {}, [], threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                if self.path not in outer.bodies:
                    outer.over.wait(60)
                    return
                status, headers, body = outer.bodies[self.path]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for piece in body if isinstance(body, list) else [body]:
                        self.wfile.write(piece)
                except OSError:
                    pass  # the reader has had enough

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def documents():
    d = Documents()
    yield d
    d.over.set()
    d.server.shutdown()


@pytest.fixture(scope="module")
def crashes(datil):
    docs = [{"uuid": f"fea70000-0000-4000-8000-{n:06x}{TODAY:%y%m%d}", "product": NAME, "version": version, "signature": "f",
             "date_processed": f"{TODAY:%Y-%m-%d}T00:00:00+00:00", "release_channel": "release"}
            for n, version in enumerate(VERSIONS)]
    datil.datil("crash", "load", "-", stdin="".join(json.dumps(d) + "\n" for d in docs))
    yield
    path(datil).unlink(missing_ok=True)
    datil.datil("purge", "--where", f"ProductName={NAME}")


def path(datil):
    return datil.var / "config/products/Menus.json"


def write(datil, featured, urls=None):
    text = json.dumps({"name": NAME, "description": "menus", "home_page_sort": 99, "featured_versions": featured,
                       "version_json_urls": urls or {}})
    draft = path(datil).with_suffix(".draft")
    draft.write_text(text)
    draft.chmod(0o644)
    draft.rename(path(datil))


def cards(datil):
    """(version, is featured) of the cards on the product's page, in their order; the page comes at once."""
    start = time.monotonic()
    answer = datil.get(f"/home/product/{NAME}")
    assert answer.status == 200, answer
    assert time.monotonic() - start < 4, "a page waited"
    return [(v, bool(tag)) for v, tag in re.findall(
        r'<h2>(\d[^<]*)(<span class="tag brand-tag">featured</span>)?<span class="muted small">', answer.text)]


def featured(datil):
    return [v for v, is_featured in cards(datil) if is_featured]


def shows(datil, versions):
    wait_until(lambda: featured(datil) == versions, 15, f"{versions}, there are {featured(datil)}")


def test_literal_and_auto(datil, crashes):
    write(datil, [])
    first = [("62.0", False), ("62.0b", False), ("62.0b10", False), ("62.0b3", False)]
    wait_until(lambda: cards(datil) == first, 15, f"the newest four, there are {cards(datil)}")
    write(datil, ["auto"])
    shows(datil, ["61.0", "61.1", "62.0"])
    write(datil, ["61.0", "77.0", "auto", "61.1"])
    shows(datil, ["61.1", "61.0", "62.0", "77.0"])
    away = datil.get("/topcrashers/", {"product": NAME})
    assert away.status == 302 and away.headers["Location"].endswith("version=61.1")


def test_versions_of_documents(datil, crashes, documents):
    documents.bodies["/good"] = (200, {}, json.dumps({"now": "62.0", "next": {"beta": "63.0b7"}, "number": 7, "none": None,
                                                      "lie": "<script>", "long": "1." * 5000}).encode())
    before = len(documents.asked)
    write(datil, ["doc.now", "doc.next.beta", "doc.number", "doc.none", "doc.lie", "doc.long", "doc.absent", "60.0"],
          {"doc": documents.url + "/good"})
    shows(datil, ["60.0", "63.0b7", "63.0b", "62.0"])
    away = datil.get("/topcrashers/", {"product": NAME})
    assert away.status == 302 and away.headers["Location"].endswith("version=60.0")
    assert documents.asked[before:] == ["/good"], "one question, however many pages and workers"
    # The file of documents is what workers read: no other of their pages asked anybody.
    kept = json.loads((datil.var / "versions/documents.json").read_text())
    assert kept[documents.url + "/good"]["now"] == "62.0"


@pytest.mark.parametrize("answer", [
    (500, {}, b"{}"), (404, {}, b""), (200, {}, b"<html>"), (200, {}, b'["62.0"]'), (200, {}, b"[" * 100000),
    (200, {"Content-Length": "1000"}, b'{"now": "62.0"}'),
    (200, {}, [b'{"now": "62.0", "x": "' + b"x" * 1000000 + b'"}']),
    (200, {}, [b" " * 65536] * 1000),
    (302, {"Location": "/good"}, b""), (302, {"Location": "ftp://127.0.0.1/x"}, b""),
    None,
], ids=["500", "404", "html", "array", "deep", "cut", "large", "endless", "to-the-house", "ftp", "hangs"])
def test_a_document_that_cannot_be_had_fails_nothing(datil, crashes, documents, answer, request):
    name = "/" + request.node.callspec.id
    documents.bodies["/good"] = (200, {}, b'{"now": "62.0"}')
    if answer:
        documents.bodies[name] = answer
    write(datil, ["bad.now", "good.now", "60.0"], {"bad": documents.url + name, "good": documents.url + "/good"})
    shows(datil, ["60.0", "62.0"])
    wait_until(lambda: name in documents.asked, 15, "the question")
    if answer:
        wait_until(lambda: any(line.get("url", "").endswith(name) for line in datil.log_lines("datil-webapp")), 15, "the log")
    assert featured(datil) == ["60.0", "62.0"] and cards(datil)[0] == ("60.0", True)


def test_what_was_known_outlives_the_server(datil, crashes, documents):
    """The keeper dies and comes back while the server is broken: the last document counts."""
    documents.bodies["/moving"] = (200, {}, b'{"now": "61.0"}')
    write(datil, ["doc.now"], {"doc": documents.url + "/moving"})
    shows(datil, ["61.0"])
    documents.bodies["/moving"] = (500, {}, b"")
    count = documents.asked.count("/moving")
    parents, children = datil.program_pids("datil-webapp")
    for pid in children:
        datil.kill(pid)
    wait_until(lambda: documents.asked.count("/moving") > count, 20, "a question of the new keeper")
    wait_until(lambda: datil.get("/__lbheartbeat__").status == 200, 15, "workers")
    shows(datil, ["61.0"])
