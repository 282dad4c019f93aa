"""Symbolication asked from a page of another site, as the Firefox Profiler does it.

A real browser sends the preflight, because JSON is no content type that forms could send, and keeps
every answer from the page that the headers do not allow.
"""
import functools
import http.server
import json
import subprocess
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
DEBUG_ID = "0B5E55ED0B5E55ED0B5E55ED0B5E55ED0"
SYM = f"MODULE Linux x86_64 {DEBUG_ID} origin.so\nFILE 0 a.c\nFUNC 1000 20 0 asked_from_elsewhere\n1000 20 7 0\n"
JOB = {"memoryMap": [["origin.so", DEBUG_ID]], "stacks": [[[0, 0x1004]]]}
JSON_TYPE = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "index.html").write_text("<!doctype html><title>another site</title>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def stored(datil, tmp_path_factory):
    root = tmp_path_factory.mktemp("sym")
    folder = root / "origin.so" / DEBUG_ID
    folder.mkdir(parents=True)
    (folder / "origin.so.sym").write_text(SYM)
    datil.datil("symbols", "add", root)
    return datil


def ask(page, *requests):
    asked = [{"url": url, "options": options} for url, options in requests]
    done = subprocess.run(["node", str(HERE / "other_origin.js"), page, json.dumps(asked)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def post(body, headers):
    return {"method": "POST", "mode": "cors", "headers": headers, "body": body}


def test_a_page_of_another_site_symbolicates(stored, elsewhere):
    hosts = [stored.base, f"http://symbols.localhost:{stored.port}"]  # both hosts of the installation
    v5 = [(f"{h}/symbolicate/v5", post(json.dumps({"jobs": [JOB]}), JSON_TYPE)) for h in hosts]
    v4 = [(f"{h}/symbolicate/v4", post(json.dumps({**JOB, "version": 4}), JSON_TYPE)) for h in hosts]
    own = [(f"{h}/symbolicate/v5", post("{", {**JSON_TYPE, "X-Own": "1"})) for h in hosts]
    kept = [(stored.base + "/", {"mode": "cors"})]
    answers = ask(elsewhere, *v5, *v4, *own, *kept)
    assert all(a.get("type") == "application/json" for a in answers[:6]), answers
    for a in answers[:2]:
        assert a["status"] == 200 and json.loads(a["body"])["results"] == [{
            "stacks": [[{"frame": 0, "module": "origin.so", "module_offset": "0x1004", "function": "asked_from_elsewhere",
                         "function_offset": "0x4", "file": "a.c", "line": 7}]],
            "found_modules": {f"origin.so/{DEBUG_ID}": True}}]
    for a in answers[2:4]:
        assert a["status"] == 200 and json.loads(a["body"]) == {
            "symbolicatedStacks": [["asked_from_elsewhere (in origin.so)"]], "knownModules": [True]}
    for a in answers[4:6]:  # errors are readable, too
        assert (a["status"], json.loads(a["body"])) == (400, {"title": "Payload is not valid JSON"})
    assert "blocked" in answers[6]  # this browser does keep answers from the page
