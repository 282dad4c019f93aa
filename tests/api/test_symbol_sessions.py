"""Symbols file by file: announcements, sessions in pieces, kills, and what a client asks about its token."""
import base64
import concurrent.futures
import gzip
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import Installation, multipart, wait_until  # noqa: E402

KIB = 1024


def lone(n):
    return f"{n:032X}0"


def symbols(name, n, functions=50):
    """Key and text of the symbols of a library of one test's own."""
    text = f"MODULE Linux x86_64 {lone(n)} {name}\nINFO CODE_ID {n:040X}\n" + \
        "".join(f"FUNC {i * 16:x} 10 0 {hashlib.md5(b'%d' % (n * 1000 + i)).hexdigest()}\n" for i in range(functions))
    return f"{name}/{lone(n)}/{name}.sym", text.encode()


@pytest.fixture(scope="module")
def datil():
    with Installation(CHECK_SYMBOL_CONTENT="on", UPLOAD_OPENTELEMETRY_ENDPOINT="https://otel.example/v1",
                      UPLOAD_OPENTELEMETRY_HEADERS="x-team=a=b, y=2",
                      UPLOAD_OPENTELEMETRY_RESOURCE_ATTRIBUTES="deployment=test") as d:
        d.add_user("uploader@example.org", "a long password", "--group", "Uploaders")
        d.uploader = d.datil("token", "create", "uploader@example.org", "--permission", "upload_symbols",
                             "--upload-api", "2").stdout.strip()
        d.tryer = d.token("uploader@example.org", "upload_try_symbols")
        d.nobody = d.token("uploader@example.org")
        yield d


def announce(datil, files, token=None, path="/upload/v2/"):
    body = files if isinstance(files, (bytes, str)) else json.dumps({"files": files})
    return datil.request("POST", path, body, {"Auth-Token": token or datil.uploader})


def described(key, text):
    return {"key": key, "size": len(text), "md5_hash": hashlib.md5(text).hexdigest()}


def session(datil, key, text, **options):
    """The path of a new session, and what to send."""
    answer = announce(datil, [described(key, text)], **options)
    assert answer.status == 201, answer
    action = answer.json["files"][0]["action"]
    assert action["type"] == "upload", action
    assert action["url"].startswith(datil.base + "/")
    return action["url"].removeprefix(datil.base), gzip.compress(text) if action["content_encoding"] else text


def put(datil, path, piece, content_range=None, encoding=None):
    headers = {"Content-Length": str(len(piece))}
    if content_range:
        headers["Content-Range"] = content_range
    if encoding:
        headers["Content-Encoding"] = encoding
    return datil.request("PUT", path, piece, headers)


def send(datil, path, data, chunk):
    """As the official client does it: pieces, from wherever the server is."""
    at, answers = 0, []
    while True:
        end = min(at + chunk, len(data))
        answer = put(datil, path, data[at:end], f"bytes {at}-{max(end - 1, 0)}/{len(data)}", "gzip")
        answers.append(answer)
        if answer.status != 308:
            return answers
        assert answer.body == b""
        at = int(answer.headers["range"].removeprefix("bytes=0-")) + 1


def stored(datil, key):
    found = datil.get(f"/symbols/{key}")
    return datil.get(found.headers["location"]).body if found.status == 302 else None


@pytest.mark.parametrize("number,label,pack,is_kept", [
    (71, "one gzip member", gzip.compress, True),
    (72, "two of them", lambda text: gzip.compress(text[:5000]) + gzip.compress(text[5000:]), False),
    (73, "not deflated", lambda text: gzip.compress(text, 0), False),
])
def test_what_was_packed_by_the_sender_stays_so(datil, number, label, pack, is_kept):
    key, text = symbols(f"packed{number}.so", number, 10)
    text += b"FUNC ff00 10 0 again_and_again\n" * 1000
    path, _ = session(datil, key, text)
    packed = pack(text)  # once: the time is in its head
    assert put(datil, path, packed, encoding="gzip").status == 200
    there = (datil.var / "symbols/v1" / f"{key}.gz").read_bytes()
    assert (there == packed) == is_kept, label
    assert gzip.decompress(there) == text and len(there) < len(text) / 3


def test_a_file_in_pieces(datil):
    key, text = symbols("pieces.so", 1, 30000)
    path, data = session(datil, key, text)
    answers = send(datil, path, data, 256 * KIB)
    assert [a.status for a in answers] == [308] * (len(answers) - 1) + [200] and len(answers) > 2
    assert answers[0].headers["range"] == f"bytes=0-{256 * KIB - 1}"
    assert answers[-1].json == {"name": f"v1/{key}", "size": str(len(data)),
                                "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode()}
    assert stored(datil, key) == text
    rows = datil.sql("SELECT f.debug_filename, f.code_id, u.api_version, u.completed_at IS NOT NULL, u.size "
                     "FROM symbol_file f JOIN symbol_upload u ON u.id = f.upload_id WHERE f.key = %s", key)
    assert rows == [("pieces.so", f"{1:040X}", 2, True, len(text))]
    assert list((datil.var / "symcache").rglob(f"*{lone(1)}*.csym")), "compiled at once"
    assert put(datil, path, b"", "bytes */*").status == 404, "finished"
    assert not any((datil.var / "symbols/sessions").iterdir())


def test_actions(datil):
    key, text = symbols("actions.so", 2)
    path, data = session(datil, key, text)
    assert put(datil, path, data).status == 200, "the whole file without a range"
    good = described(key, text)
    answer = announce(datil, [
        good, {**good, "md5_hash": "0" * 32}, {**good, "size": 1}, {**good, "key": "a/../b"}, {**good, "md5_hash": "F" * 32},
        {**good, "key": "a.dll/abc/a.dl_", "extra": [1]}, {**good, "key": "qcom/1/qcom/proprietary"},
        {**good, "size": 9 << 30}])
    assert answer.status == 201 and answer.headers["vary"] == "Auth-Token"
    made = answer.json
    assert made["user"] == "uploader@example.org" and made["try_symbols"] is False
    assert made["upload_protocol"] == "gcs-resumable" and isinstance(made["id"], int)
    assert abs(made["created_at"] - int(os.stat(datil.var).st_ctime)) < 86400
    assert [f["key"] for f in made["files"]][:2] == [key, key]
    kinds = [f["action"] for f in made["files"]]
    assert [k["type"] for k in kinds] == ["skip", "upload", "upload", "error", "error", "upload", "error", "error"]
    assert kinds[3]["msg"] == "invalid key" and kinds[4]["msg"] == "invalid MD5 hex digest"
    assert kinds[1]["content_encoding"] == "gzip" and kinds[5]["content_encoding"] is None
    assert kinds[7]["msg"] == "the file is too large"
    assert datil.sql("SELECT skipped_keys, completed_at FROM symbol_upload WHERE id = %s", made["id"]) == [([key], None)]
    again = announce(datil, [good]).json
    assert datil.sql("SELECT completed_at IS NOT NULL FROM symbol_upload WHERE id = %s", again["id"]) == [(True,)]
    # for try uploads what the regular area has counts as well, and not the other way round
    assert announce(datil, [good], datil.tryer).json["files"][0]["action"] == {"type": "skip"}


def test_try(datil):
    key, text = symbols("trial.so", 3)
    answer = announce(datil, [described(key, text)], datil.tryer)
    assert answer.json["try_symbols"] is True
    path = answer.json["files"][0]["action"]["url"].removeprefix(datil.base)
    assert put(datil, path, gzip.compress(text)).json["name"] == f"try/v1/{key}"
    assert datil.get(f"/symbols/{key}").status == 404 and datil.get(f"/symbols/try/{key}").status == 302
    assert announce(datil, [described(key, text)], datil.tryer).json["files"][0]["action"] == {"type": "skip"}
    assert announce(datil, [described(key, text)]).json["files"][0]["action"]["type"] == "upload"


@pytest.mark.parametrize("body", [
    "", "[]", "{", '{"files": {}}', '{"files": [1]}', '{"files": [{"key": "a/1/b", "size": 1}]}',
    '{"files": [{"key": "a/1/b", "size": "1", "md5_hash": "x"}]}', '{"files": [{"key": 1, "size": 1, "md5_hash": "x"}]}',
    '{"files": [{"key": "a/1/b", "size": 1.5, "md5_hash": "x"}]}', '{"files": [{"key": "a/1/b", "size": -1, "md5_hash": "x"}]}',
    '{"files": [{"key": "a/1/b", "size": true, "md5_hash": "x"}]}', "[" * 100000, b"\xff\xfe", '{"files": null}',
])
def test_malformed_announcements(datil, body):
    answer = announce(datil, body)
    assert (answer.status, answer.json) == (400, {"error": "malformed JSON request body"})


def test_announcement_limits(datil):
    key, text = symbols("many.so", 4)
    one = described(key, text)
    assert announce(datil, [one] * 1025).json == {"error": "too many files"}
    answer = announce(datil, [dict(one, key=f"many.so/{i:X}/m.sym") for i in range(1024)])
    assert answer.status == 201 and len(answer.json["files"]) == 1024
    urls = {f["action"]["url"] for f in answer.json["files"]}
    assert len(urls) == 1024
    assert announce(datil, b" " * (3 << 20)).status == 413
    assert announce(datil, []).status == 201


@pytest.mark.parametrize("path", ["/upload/v2/", "/upload/v2", "/symbols/upload/v2/", "/symbols/upload/auth_info/",
                                  "/upload/auth_info", "/upload/auth_info/"])
def test_who_may(datil, path):
    def error(token, method="POST"):
        answer = datil.request(method, path, b'{"files": []}', {"Auth-Token": token} if token else {})
        return answer.status, answer.json.get("error")
    assert error(None) == (403, "This requires an Auth-Token to authenticate the request")
    assert error("0" * 32) == (403, "API Token not matched")
    assert error(datil.nobody) == (403, "Forbidden")
    method_path = path.removeprefix("/symbols")
    if path.endswith("/"):
        assert error(datil.uploader, "GET") == (405, f"Method Not Allowed (GET): {method_path}")
    assert error(datil.uploader + "-label")[0] in (200, 201)


def test_session_under_the_prefix(datil):
    key, text = symbols("prefix.so", 5)
    path, data = session(datil, key, text, path="/symbols/upload/v2/")
    assert path.startswith("/symbols/upload/session/")
    assert put(datil, path + "/", data).status == 200


def test_auth_info(datil):
    info = datil.request("POST", "/upload/auth_info/", b"", {"Auth-Token": datil.uploader}).json
    expires = datil.sql("SELECT max(extract(epoch FROM expires_at))::bigint FROM api_token "
                        "WHERE preferred_upload_api_version = 2")[0][0]
    assert info == {
        "email": "uploader@example.org", "user_id": info["user_id"], "try_symbols": False, "token_expires_at": expires,
        "upload_api_version": 2,
        "opentelemetry": {"endpoint": "https://otel.example/v1", "headers": {"x-team": "a=b", "y": "2"},
                          "resource_attributes": {"deployment": "test"}, "log_level": "info"}}
    info = datil.request("POST", "/upload/auth_info/", b"", {"Auth-Token": datil.tryer}).json
    assert info["try_symbols"] is True and info["upload_api_version"] == 1


def test_the_table_of_answers(datil):
    key, text = symbols("table.so", 6, 2000)
    path, data = session(datil, key, text)
    n = len(data)
    assert put(datil, path, b"", "bytes */*").status == 308
    first = put(datil, path, data[:1000], f"bytes 0-999/{n}")
    assert (first.status, first.headers["range"], first.body) == (308, "bytes=0-999", b"")
    question = put(datil, path, b"", f"bytes */{n}")
    assert (question.status, question.headers["range"]) == (308, "bytes=0-999")
    # not where the last one ended: behind, before, the same again
    for at in (2000, 500, 0):
        answer = put(datil, path, data[at:at + 1000], f"bytes {at}-{at + 999}/{n}")
        assert (answer.status, answer.headers["range"]) == (308, "bytes=0-999"), at
    assert "was said to have" in put(datil, path, data[1000:1500], f"bytes 1000-1499/{n + 1}").json["error"]
    for bad in ("bytes 1000-1498/%d" % n, "bytes 1000-1500/%d" % n, "bytes 1499-1000/%d" % n, "1000-1499", "bytes a-b/c",
                "bytes 1000-1499/1200", "bytes */5", "bytes -5--1/1", "bytes 1000-1499/%d" % 2**70):
        answer = put(datil, path, data[1000:1500], bad)
        assert answer.status == 400 and answer.json["error"], bad
    # a total that is not said before the end
    answer = put(datil, path, data[1000:1500], "bytes 1000-1499/*")
    assert (answer.status, answer.headers["range"]) == (308, "bytes=0-1499")
    assert stored(datil, key) is None, "not visible before it is whole"
    assert put(datil, path, data[1500:], f"bytes 1500-{n - 1}/{n}").status == 200
    assert stored(datil, key) == text
    assert put(datil, path, data[1500:], f"bytes 1500-{n - 1}/{n}").status == 404
    for unknown in ("/upload/session/" + "0" * 64, "/upload/session/" + "0" * 63, "/upload/session/", "/upload/session/../x"):
        assert datil.request("PUT", unknown, b"x", {"Content-Range": "bytes 0-0/1", "Auth-Token": datil.uploader}).status == 404
    assert datil.request("GET", path).status == 405


def test_what_was_announced_is_what_must_come(datil):
    key, text = symbols("other.so", 7, 500)
    path, _ = session(datil, key, text)
    other = text.replace(b"FUNC 10 ", b"FUNC 11 ")
    for wrong, words in ((gzip.compress(other), "MD5"), (gzip.compress(text + b"x"), "uncompressed"),
                         (gzip.compress(text)[:-9], ""), (b"\x1f\x8bno gzip", ""), (other, "MD5")):
        answer = put(datil, path, wrong, f"bytes 0-{len(wrong) - 1}/{len(wrong)}", "gzip")
        assert answer.status == 400 and words in answer.json["error"], answer
        assert stored(datil, key) is None
        question = put(datil, path, b"", "bytes */*")
        assert question.status == 308 and "range" not in question.headers, "from the start"
    bomb = gzip.compress(b"\0" * (64 << 20))
    answer = put(datil, path, bomb, f"bytes 0-{len(bomb) - 1}/{len(bomb)}", "gzip")
    assert answer.status == 400, answer
    huge = b"x" * (256 << 10)
    answer = put(datil, path, huge, f"bytes 0-{len(huge) - 1}/{len(huge)}")
    assert answer.status == 400 and "do not fit" in answer.json["error"]
    assert put(datil, path, huge, f"bytes 0-{len(huge) - 1}/*").status == 400
    assert put(datil, path, gzip.compress(text)).status == 200
    assert stored(datil, key) == text


def test_files_that_are_not_packed(datil):
    key = "native.so/ABC/native.so.dbg.gz"
    data = gzip.compress(b"\x7fELF" * 1000)
    path, sent = session(datil, key, data)
    assert sent == data, "as it is, although it looks packed"
    packed = gzip.compress(data)
    answer = put(datil, path, packed, f"bytes 0-{len(packed) - 1}/{len(packed)}", "gzip")
    assert answer.status == 400 and "as it is" in answer.json["error"]
    assert put(datil, path, data).status == 200
    assert stored(datil, key) == data
    for key, content_range in (("empty.dll/ABC/empty.dl_", "bytes 0-0/0"), ("empty.dll/ABD/empty.dl_", "bytes */0")):
        path, _ = session(datil, key, b"")
        answer = put(datil, path, b"", content_range)
        assert answer.status == 200 and answer.json["size"] == "0", answer
        assert stored(datil, key) == b""


def zipped(key, text):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(key, text)
    return out.getvalue()


def test_content_that_must_not_be_published(datil):
    """FILE records name source files; one at the end of a long text, without a line end, counts."""
    key, text = symbols("vendor.so", 16, 5000)
    snippet = "contains the snippet 'qcom/proprietary' which is not allowed"
    kind, body = multipart({}, {"a.zip": zipped(key, text + b"FILE 7 /src/qcom/proprietary/x.c")})
    answer = datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": datil.uploader})
    assert (answer.status, answer.json["error"]) == (400, "Content of archive file " + snippet)
    bad = text + b"FILE 7 /src/qcom/proprietary/x.c\nFUNC fffff0 1 0 z\n"
    path, data = session(datil, key, bad)
    answer = put(datil, path, data)
    assert (answer.status, answer.json["error"]) == (400, "Content of the file " + snippet)
    assert stored(datil, key) is None
    fine = text + b"FUNC fffff0 1 0 FILE qcom/proprietary\n"
    kind, body = multipart({}, {"a.zip": zipped(key, fine)})
    assert datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": datil.uploader}).status == 201
    assert stored(datil, key) == fine


def test_oddities_are_told(datil):
    key, text = symbols("odd.so", 8)
    odd = text.replace(b" odd.so\n", b" even.so\n")
    path, data = session(datil, key, odd)
    assert put(datil, path, data).status == 200
    warnings = datil.sql("SELECT warnings FROM symbol_upload WHERE warnings::text LIKE '%%odd.so%%'")
    assert "debug file of the MODULE line differs" in str(warnings)


def test_chunks_are_limited(datil):
    key, text = symbols("limit.so", 9)
    path, _ = session(datil, key, text)
    n = (64 << 20) + 1
    answer = datil.request("PUT", path, b"", {"Content-Length": str(n), "Content-Range": f"bytes 0-{n - 1}/{n}"})
    assert answer.status == 413 and answer.json["error"]


def test_two_at_once(datil):
    key, text = symbols("twice.so", 10, 20000)
    path, data = session(datil, key, text)
    n = len(data)

    def one(_):
        return put(datil, path, data, f"bytes 0-{n - 1}/{n}")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(one, range(6)))
    assert sorted(a.status for a in answers)[0] == 200, answers
    assert {a.status for a in answers} <= {200, 404, 503}
    assert sum(a.status == 200 for a in answers) == 1
    for a in answers:
        if a.status == 503:
            assert a.headers["retry-after"] == "1"
    assert stored(datil, key) == text


def test_parallel_files_complete_the_upload(datil):
    files = dict(symbols(f"crowd{i}.so", 100 + i) for i in range(16))
    made = announce(datil, [described(k, t) for k, t in files.items()]).json

    def one(f):
        path = f["action"]["url"].removeprefix(datil.base)

        def is_sent():  # a 429 comes when all places are taken
            return put(datil, path, gzip.compress(files[f["key"]])).status == 200
        return wait_until(is_sent, 30, "a place")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(one, made["files"]))
    assert datil.sql("SELECT completed_at IS NOT NULL FROM symbol_upload WHERE id = %s", made["id"]) == [(True,)]
    assert datil.sql("SELECT count(*) FROM symbol_file WHERE upload_id = %s", made["id"]) == [(16,)]


def test_a_whole_file_is_stored_by_who_asks_next(datil):
    key, text = symbols("left.so", 12, 1000)
    path, data = session(datil, key, text)
    put(datil, path, data[:-1], f"bytes 0-{len(data) - 2}/{len(data)}")
    # the last byte came, and the worker was killed before it stored anything
    name = hashlib.sha256(path.rsplit("/", 1)[1].encode()).hexdigest()
    with open(datil.var / "symbols/sessions" / name, "ab") as f:
        f.write(data[-1:])
    datil.sql("UPDATE symbol_session SET received = total WHERE key = %s RETURNING 1", key)
    n = len(data)
    # as the official client goes on: no byte is left, and it writes that so
    assert put(datil, path, b"", f"bytes {n}-{n - 1}/{n}").status == 200
    assert stored(datil, key) == text


def test_a_lost_file_starts_again(datil):
    key, text = symbols("lost.so", 13, 1000)
    path, data = session(datil, key, text)
    assert put(datil, path, data[:500], f"bytes 0-499/{len(data)}").status == 308
    name = hashlib.sha256(path.rsplit("/", 1)[1].encode()).hexdigest()
    os.truncate(datil.var / "symbols/sessions" / name, 100)
    assert put(datil, path, b"", "bytes */*").headers["range"] == "bytes=0-99"
    os.unlink(datil.var / "symbols/sessions" / name)
    assert "range" not in put(datil, path, b"", "bytes */*").headers
    assert send(datil, path, data, 256 * KIB)[-1].status == 200


def test_sessions_end(datil):
    key, text = symbols("late.so", 14)
    path, data = session(datil, key, text)
    name = hashlib.sha256(path.rsplit("/", 1)[1].encode()).hexdigest()
    assert put(datil, path, data[:10], f"bytes 0-9/{len(data)}").status == 308
    left = datil.sql("SELECT expires_at - now() > interval '6.9 days' AND expires_at - now() <= interval '7 days' "
                     "FROM symbol_session WHERE key = %s", key)
    assert left == [(True,)]
    datil.sql("UPDATE symbol_session SET expires_at = now() - interval '1 second' WHERE key = %s RETURNING 1", key)
    assert put(datil, path, data[10:], f"bytes 10-{len(data) - 1}/{len(data)}").status == 404
    assert announce(datil, []).status == 201
    assert datil.sql("SELECT count(*) FROM symbol_session WHERE key = %s", key) == [(0,)]
    assert not (datil.var / "symbols/sessions" / name).exists()


def test_the_secret_is_nowhere(datil):
    key, text = symbols("secret.so", 15)
    path, data = session(datil, key, text)
    secret = path.rsplit("/", 1)[1]
    assert len(secret) == 64
    put(datil, path, data[:10], f"bytes 0-9/{len(data)}")
    put(datil, path, b"x", "rubbish")
    put(datil, path, data)
    datil.request("PUT", f"//upload/session/{secret}", b"x")
    with pytest.raises(Exception):
        datil.request("PUT", path, b"x" * 10, {"Content-Length": "60000000"}, timeout_s=0.2)
    for log in (datil.var / "log").iterdir():
        assert secret not in log.read_text(errors="replace"), log
    rows = datil.sql("SELECT id_hash FROM symbol_session")
    assert all(len(r[0]) == 64 and secret not in r[0] for r in rows)
    lines = (datil.var / "log/nginx-access.log").read_text()
    assert '"path":"/upload/session/-"' in lines


def test_the_fifth_upload_of_a_token_waits(datil):
    """Four run; the fifth gets its turn when one ends, and nobody else waits."""
    key, text = symbols("turn.so", 17)
    kind, body = multipart({}, {"a.zip": zipped(key, text)})
    head = f"POST /upload/ HTTP/1.1\r\nHost: x\r\nAuth-Token: {datil.uploader}\r\nContent-Type: {kind}\r\n" \
           f"Content-Length: {len(body)}\r\n\r\n"
    held = []
    for _ in range(4):
        held.append(socket.create_connection(("127.0.0.1", datil.port), timeout=20))
        held[-1].sendall(head.encode() + body[:10])

    def post(token):
        return datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": token})
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            # Until the workers have seen the four, a fifth finds a place at once: then once more.
            fifth = None

            def is_waiting():
                nonlocal fifth
                fifth = pool.submit(post, datil.uploader)
                return not concurrent.futures.wait([fifth], timeout=2).done
            wait_until(is_waiting, 20, "a fifth upload that has to wait")
            assert post(datil.tryer).status == 201
            assert datil.get(f"/symbols/no.so/{lone(9999)}/no.so.sym").status == 404
            assert not fifth.done()
            held.pop().close()
            assert fifth.result(28).status == 201  # less than the 30 s after which it is sent away
    finally:
        for each in held:
            each.close()


@pytest.mark.parametrize("form", [
    ["--form", "symbols.zip=@{zip}"],                       # old scripts of Tecken's manual
    ["--form", "file=@{zip};filename=symbols.zip"],
    ["--form", "symbols.zip=@{zip}", "--form", "try=1"],
    ["--form", "symbols.zip=@{zip}", "-H", "Expect: 100-continue"],
    ["--form", "symbols.zip=@{zip}", "-H", "Transfer-Encoding: chunked"],
])
def test_curl(datil, tmp_path, form):
    key, text = symbols("curled.so", 18)
    path = tmp_path / "any.zip"
    path.write_bytes(zipped(key, text))
    done = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", "-H", f"Auth-Token: {datil.uploader}",
                           *[f.replace("{zip}", str(path)) for f in form], f"{datil.base}/upload/"],
                          capture_output=True, text=True, timeout=60)
    answer, _, status = done.stdout.rpartition("\n")
    assert status == "201", done
    assert json.loads(answer)["upload"]["filename"] == "symbols.zip"


def test_the_official_client(datil, tmp_path):
    """Its requests in its order: token, announcement of a batch, 16 files at a time in pieces."""
    files = dict(symbols(f"official{i}.so", 200 + i, 4000) for i in range(20))
    token = {"auth-token": datil.uploader, "accept": "*/*"}
    info = datil.request("POST", "/upload/auth_info/", None, token)
    assert info.status == 200 and info.json["upload_api_version"] == 2
    made = datil.request("POST", "/upload/v2/", json.dumps({"files": [described(k, t) for k, t in files.items()]}),
                         {**token, "content-type": "application/json"})
    assert made.status == 201

    def one(f):
        data = gzip.compress(files[f["key"]])
        path, at, retries, delay = f["action"]["url"].removeprefix(datil.base), 0, 10, 0.05
        while True:
            end = min(at + 64 * KIB, len(data))
            answer = datil.request("PUT", path, data[at:end], {
                "content-length": str(end - at), "content-range": f"bytes {at}-{max(end - 1, 0)}/{len(data)}",
                "content-encoding": "gzip"})
            if answer.status in (200, 201):
                return answer.json
            if answer.status == 308:
                at = int(answer.headers["range"].removeprefix("bytes=0-")) + 1
                continue
            assert answer.status in (429, 500, 502, 503, 504) and retries, answer
            wait_until(lambda end=time.monotonic() + delay: time.monotonic() > end, 20, "the next attempt")
            retries, delay = retries - 1, delay * 1.5
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        objects = list(pool.map(one, made.json["files"]))
    assert [o["name"] for o in objects] == [f"v1/{k}" for k in files]
    again = datil.request("POST", "/upload/v2/", json.dumps({"files": [described(k, t) for k, t in files.items()]}), token)
    assert all(f["action"] == {"type": "skip"} for f in again.json["files"])


def test_counters(datil):
    def counted():
        status, text = datil.local("/symbols/__metrics__")
        assert status == 200, text
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {k: float(v) for k, v in lines}
    key, text = symbols("counted.so", 19)
    before = counted()
    path, data = session(datil, key, text)
    assert put(datil, path, data).status == 200
    kind, body = multipart({"try": "1"}, {"a.zip": zipped(key, text)})
    assert datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": datil.uploader}).status == 201
    more = {k: v - before.get(k, 0) for k, v in counted().items()}
    assert more['symbols_upload_uploads{try="False",bucket="local"}'] == more['symbols_upload_uploads{try="True",bucket="local"}'] == 1
    assert more["symbols_upload_file_upload_upload"] == more["symbols_upload_file_upload_skip"] == 1
    assert more["symbols_upload_bytes_sum"] == len(data) + len(zipped(key, text))


TIMINGS = ["symbols_" + name for name in (
    "download_symbol", "syminfo_lookup_timing", "upload_file_upload", "upload_gzip_payload", "upload_put_object",
    "upload_file_exists")]
# The names that monitors of Tecken and Eliot know, as /__metrics__ writes them.
COUNTED = [f"{name}_{end}" for name in TIMINGS for end in ("sum", "count")] + ["symbols_" + name for name in (
    "upload_archive_sum", "upload_v2_sum", "upload_dump_and_extract_sum", "upload_download_by_url_sum", 'upload_uploads{try="True",bucket="local"}',
    'upload_uploads{try="False",bucket="local"}', "upload_file_upload_upload", "upload_file_upload_skip", "upload_file_upload_error",
    "upload_skip_early_compressed", "upload_skip_early_uncompressed", "download_symbol_code_id_lookup",
    'symboldownloader_file_age_days_sum{storage="regular"}', 'symboldownloader_file_age_days_sum{storage="try"}',
    'syminfo_lookup_cached{result="true"}', 'syminfo_lookup_cached{result="false"}')] + ["symbolication_" + name for name in (
        'symbolicate_api_sum{version="v4"}', 'symbolicate_api_sum{version="v5"}', "symbolicate_parse_sym_file_parse_sum",
        'symbolicate_parse_sym_file_error{reason="sym_malformed"}', 'symbolicate_parse_sym_file_error{reason="bad_debug_id"}',
        'symbolicate_parse_sym_file_error{reason="sym_debug_id_lookup_error"}',
        'diskcache_get_sum{result="error"}', 'diskcache_get_sum{result="hit"}',
        'diskcache_get_sum{result="miss"}', "symbolicate_jobs_count_sum", "symbolicate_stacks_count_sum",
        "symbolicate_frames_count_sum")] + [
        f'symbolication_symbolicate_request_error{{reason="{why}"}}'
        for why in ("bad_json", "invalid_modules", "invalid_stacks", "too_many_jobs")]
COUNTED_BY_JOBS = ["symbols_remove_orphaned_files_delete_file", "symbolication_diskcache_evict", "symbolication_diskcache_usage",
                   "symbolication_diskcache_set_sum"] + [
    f'symbols_clearuploads_{what}{{model="{model}"}}' for what in ("record_count", "records_deleted") for model in ("upload", "fileupload")]


def test_counters_by_the_names_of_tecken(datil):
    def counted():
        lines = (line.rsplit(" ", 1) for line in datil.local("/symbols/__metrics__")[1].splitlines() if line[0] != "#")
        return {name: float(value) for name, value in lines if "_bucket" not in name}

    def upload(*files):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as z:
            for key, content in files:
                z.writestr(key, content)
        kind, body = multipart({}, {"a.zip": data.getvalue()})
        answer = datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": datil.uploader})
        assert answer.status == 201, answer
    before = counted()
    assert not set(COUNTED) - set(before)
    assert not set(COUNTED_BY_JOBS) - {line.rsplit(" ", 1)[0] for line in datil.local("/cron/__metrics__")[1].splitlines()}
    key, text = symbols("moves.so", 23)
    files = (key, text), (f"moves.so/{lone(23)}/moves.so.dbg.gz", b"no debug file")

    def moved():
        return {name.removeprefix("symbols_"): n - before.get(name, 0) for name, n in counted().items() if n != before.get(name)}
    upload(*files)
    first = moved()
    assert (first["upload_file_upload_upload"], first["upload_file_upload_count"]) == (2, 2)
    assert (first["upload_gzip_payload_count"], first["upload_put_object_count"]) == (1, 2)
    assert first["upload_file_exists_count"] >= 2
    before = counted()
    upload(*files)
    second = moved()
    assert (second["upload_skip_early_compressed"], second["upload_skip_early_uncompressed"]) == (1, 1)
    assert "upload_put_object_count" not in second and "upload_gzip_payload_count" not in second
    before = counted()
    assert datil.get("/" + key).status == 302
    assert datil.get("/gone.so/ABCDEF1/gone.so.sym").status == 404
    assert datil.get(f"/symbols/api/syminfo/moves.so/{lone(23)}").status == 200
    other = datil.var / "symbols/v1/other.so" / lone(24)  # symbols of another build under its name, and none
    junk = datil.var / "symbols/v1/junk.so" / lone(25)
    for folder, content in ((other, text), (junk, b"no symbols")):
        folder.mkdir(parents=True)
        (folder / f"{folder.parent.name}.sym.gz").write_bytes(gzip.compress(content))
        datil.own(folder.parent)
    asked = [[folder.parent.name, folder.name] for folder in (other, junk)] + [["moves.so", "ABC"], ["moves.so", lone(23)]]
    answer = datil.request("POST", "/symbolicate/v5", json.dumps({"memoryMap": asked, "stacks": [[[n, 1] for n in range(4)]]}))
    assert list(answer.json["results"][0]["found_modules"].values()) == [False, False, False, True]
    assert datil.get("/symbols/api/uploads/", headers={"Auth-Token": datil.uploader}).status == 200
    third = moved()
    assert third['symboldownloader_file_age_days_count{storage="regular"}'] == 1
    assert third['api_count{endpoint="/api/uploads/"}'] == 1
    for reason in ("bad_debug_id", "sym_debug_id_lookup_error", "sym_malformed"):
        assert third[f'symbolication_symbolicate_parse_sym_file_error{{reason="{reason}"}}'] == 1, reason
    assert third['symbolication_diskcache_get_count{result="error"}'] == 2
    assert (third["download_symbol_count"], third["download_symbol_code_id_lookup"]) == (2, 1)
    assert (third["syminfo_lookup_timing_count"], third['syminfo_lookup_cached{result="false"}']) == (1, 1)
    before = counted()
    path, data = session(datil, *symbols("wrong.so", 29))
    assert put(datil, path, data[:-9] + bytes(9)).status == 400
    assert moved()["upload_file_upload_error"] == 1


def test_kills(datil):
    """Every worker is killed between and inside of pieces; the file arrives, and once."""
    key, text = symbols("killed.so", 11, 60000)
    path, data = session(datil, key, text)
    at, n, kills, answer = 0, len(data), 0, None
    chunk = max(n // 12, 1)

    def question():
        def ask():
            a = put(datil, path, b"", "bytes */*")
            if a.status >= 500:  # also while no worker is up
                assert a.json["error"], a
            return a if a.status in (308, 200, 404) else None
        return wait_until(ask, 20, "a worker")
    for _ in range(60):
        end = min(at + chunk, n)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            job = pool.submit(put, datil, path, data[at:end], f"bytes {at}-{end - 1}/{n}")
            if kills < 8:
                for pid in datil.program_pids("datil-symbols")[1]:
                    datil.kill(pid, signal.SIGKILL)
                kills += 1
            try:
                answer = job.result()
            except OSError:
                answer = None
        if answer and answer.status == 200:
            break
        answer = question()
        if answer.status != 308:
            break
        now = int(answer.headers.get("range", "bytes=0--1").removeprefix("bytes=0-")) + 1
        assert now >= at, "what was received stays"
        at = now
    assert answer.status in (200, 404)
    wait_until(lambda: stored(datil, key) == text, 20, "the file")
    assert datil.sql("SELECT count(*) FROM symbol_session WHERE key = %s", key) == [(0,)]
