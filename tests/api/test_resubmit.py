"""Reports sent to other installations by `datil crash resubmit`: what a receiver gets, shares, tokens, and that a second
collector stores what the first one has."""
import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from harness import ANNOTATIONS, Installation, multipart, wait_until


class Receiver:
    """Notes what it is sent; answers as it is told."""

    def __init__(self, status=200):
        outer = self
        self.got, self.status, self.answer = [], status, b"ok"
        self.first = []  # statuses of the first answers; 0: none at all

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((dict(self.headers), body))
                status = outer.first.pop(0) if outer.first else outer.status
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(outer.answer)))
                self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(outer.answer)

            def log_message(self, *_):
                pass
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/submit"


@pytest.fixture
def receiver():
    it = Receiver()
    yield it
    it.server.shutdown()


def stored(datil, crash):
    return json.loads(wait_until(lambda: datil.datil("crash", "show", crash, "--raw", check=False).stdout, 30, crash))


def post(datil, kind, body, **headers):
    answer = datil.request("POST", "/submit", body, {"Content-Type": kind, **headers})
    assert answer.body.startswith(b"CrashID=bp-"), answer
    crash = answer.body[len(b"CrashID=bp-"):].decode().strip()
    stored(datil, crash)
    return crash


DUMP = b"MDMP" + bytes(range(256)) * 50


@pytest.fixture(scope="module")
def crashes(datil):
    """One of a form, and one of JSON, compressed."""
    kind, body = multipart({**ANNOTATIONS, 'odd"name\\': "v\r\n", "Email": "a@b.c"}, {"upload_file_minidump": DUMP, "memory_report": b"\x1f\x8bx"})
    form = post(datil, kind, body, **{"User-Agent": "Client/1.0 (Test)"})
    extra = json.dumps({**ANNOTATIONS, "Nested": {"a": [1, None, "ü"]}, "Number": 5})
    boundary = "b17"
    body = (f'--{boundary}\r\nContent-Disposition: form-data; name="extra"; filename="extra.json"\r\n'
            f'Content-Type: application/json\r\n\r\n{extra}\r\n--{boundary}--\r\n').encode()
    packed = post(datil, f"multipart/form-data; boundary={boundary}", gzip.compress(body), **{"Content-Encoding": "gzip"})
    return form, packed


def test_what_is_sent(datil, crashes, receiver):
    said = datil.datil("crash", "resubmit", *crashes, "--to", receiver.url).stdout
    assert said.splitlines()[-1] == "2 sent, 0 left out by their share, 0 failed"
    (form_head, form), (packed_head, packed) = receiver.got
    assert form_head["User-Agent"] == "Client/1.0 (Test)" and "Authorization" not in form_head
    assert "Content-Encoding" not in form_head
    assert DUMP in form and b'name="memory_report"; filename="dump.dmp"' in form
    assert f'name="uuid"\r\n\r\n{crashes[0]}\r\n'.encode() in form
    for own in (b"submitted_timestamp", b"metadata", b'name="version"', b"a@b.c"):
        assert own not in form
    assert packed_head["Content-Encoding"] == "gzip"
    text = gzip.decompress(packed).decode()
    assert text.count("Content-Disposition") == 1 and 'name="extra"\r\nContent-Type: application/json' in text
    sent = json.loads(text.split("\r\n\r\n")[1].rsplit("\r\n--", 1)[0])
    assert sent["Nested"] == {"a": [1, None, "ü"]} and sent["Number"] == 5 and sent["uuid"] == crashes[1]


def test_dry_run(datil, crashes, receiver):
    said = datil.datil("crash", "resubmit", "--to", receiver.url, "--dry-run", stdin="\n".join(crashes)).stdout
    lines = said.splitlines()
    assert [line[:36] for line in lines[:-1]] == list(crashes) and lines[-1].startswith("2 would be sent")
    assert not receiver.got


def test_shares(datil, crashes, receiver):
    """Of each destination its own, and of a list always the same."""
    ids = [f"{n:08x}-0000-4000-8000-000000{crashes[0][-6:]}" for n in range(400)]

    def share(*to):
        options = [x for t in to for x in ("--to", t)]
        said = datil.datil("crash", "resubmit", "--dry-run", *options, stdin="\n".join(ids), check=False).stdout
        return [line for line in said.splitlines() if "cannot be read" in line]
    quarter = share(receiver.url + "|25")
    assert 60 < len(quarter) < 140 and share(receiver.url + "|25") == quarter
    assert share(receiver.url + "x|25") != quarter
    assert share(receiver.url + "|0") == [] and len(share(receiver.url)) == 400


def test_refusals(datil, crashes, receiver):
    receiver.status = 503
    done = datil.datil("crash", "resubmit", crashes[0], "--to", receiver.url, check=False)
    assert done.returncode == 1 and f"{crashes[0]} {receiver.url} 503 ok" in done.stdout
    for args, words in (((crashes[0],), "where to"), ((crashes[0], "--to", "x|101"), "percentage"),
                        ((crashes[0], "--to", "nonsense"), "nonsense"), (("x", "--to", receiver.url), "no crash id")):
        done = datil.datil("crash", "resubmit", *args, check=False)
        assert done.returncode == 1 and words in done.output


def test_a_receiver_that_is_busy(datil, crashes, receiver):
    """Asked again, but not for good; a refusal is an answer."""
    receiver.first = [503, 429, 0]
    said = datil.datil("crash", "resubmit", crashes[0], "--to", receiver.url).stdout
    assert "1 sent" in said and said.count(receiver.url) == 1 and len({body.count(b"--datil") for _, body in receiver.got}) == 1
    assert len(receiver.got) == 4
    for status, attempts in ((500, 4), (400, 1)):
        receiver.got, receiver.status = [], status
        done = datil.datil("crash", "resubmit", crashes[0], "--to", receiver.url, check=False)
        assert done.returncode == 1 and f" {status} ok" in done.stdout and len(receiver.got) == attempts


def test_what_is_printed_and_escaped(datil, crashes, receiver):
    """An answer cannot write on the terminal, nor a name into the form."""
    receiver.answer = b"CrashID=\x1b]0;title\x07\r\nsecond \xc2\x9b"
    raw = next(datil.var.glob(f"store/*/raw_crash/{crashes[0]}.json"))
    kept = raw.read_bytes()
    try:
        raw.write_text(json.dumps(json.loads(kept) | {'q"u\r\no\\te%': "value"}))
        said = datil.datil("crash", "resubmit", crashes[0], "--to", receiver.url).stdout
    finally:
        raw.write_bytes(kept)
    assert r"200 CrashID=\x1b]0;title\x07\x0d\x0asecond \xc2\x9b" in said and "\x1b" not in said
    assert b'name="q%22u%0D%0Ao\\te%"\r\n\r\nvalue\r\n' in receiver.got[0][1]


def test_another_installation_has_the_same_crashes(datil, crashes):
    """The second collector takes ids of those who know its token, and stores the very reports."""
    with Installation(BREAKPAD_STAGE_SUBMITTER_BEARER_TOKEN="old,secret17", CRASHMOVER_CRASHPUBLISH_CLASS="noop") as other:
        datil.env["RESUBMIT_DESTINATIONS"] = f" {other.base}/submit|100 ,"
        try:
            said = datil.datil("crash", "resubmit", *crashes, check=False)
            assert said.returncode == 1 and said.stdout.count("401 Discarded=unauthorized_uuid") == 2
            datil.env["RESUBMIT_BEARER_TOKEN"] = "secret17"
            said = datil.datil("crash", "resubmit", *crashes).stdout
            assert all(f"200 CrashID=bp-{crash}" in said for crash in crashes)
        finally:
            datil.env.pop("RESUBMIT_DESTINATIONS", None)
            datil.env.pop("RESUBMIT_BEARER_TOKEN", None)
        for crash in crashes:
            ours, theirs = stored(datil, crash), stored(other, crash)
            for raw in (ours, theirs):
                raw.pop("submitted_timestamp")
            notes = ours["metadata"].pop("collector_notes"), theirs["metadata"].pop("collector_notes")
            for raw in (ours, theirs):
                raw["metadata"].pop("payload_size")
            if ours["metadata"]["user_agent"] == "None":  # nobody said who it was
                ours["metadata"]["user_agent"] = "socorro-submitter/1.0"
            assert theirs == ours
            assert not [n for n in notes[1] if "Removed" in n]
