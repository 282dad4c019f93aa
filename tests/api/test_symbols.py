"""The symbol server over HTTP: upload of archives, download, missing symbols."""
import gzip
import hashlib
import io
import json
import signal
import struct
import subprocess
import sys
import threading
import urllib.parse
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import BIN, Installation, multipart, wait_until  # noqa: E402

ID = "0123456789ABCDEF0123456789ABCDEF0"
TEXT = f"MODULE windows x86_64 {ID} xul.pdb\nINFO CODE_ID 652DE0ED706D000 xul.dll\n" \
       "INFO GENERATOR dumper 1.0\nFUNC 1000 10 0 f\n"
KEY = f"xul.pdb/{ID}/xul.sym"


def lone(n):
    """A debug id of one test's own: symbols are found by their id under any name."""
    return f"{n:032X}0"



@pytest.fixture(scope="module")
def datil():
    with Installation(DISALLOWED_SYMBOLS_SNIPPETS="qcom/proprietary,secret sauce") as d:
        for name in ("uploader", "tryer", "nobody"):
            d.add_user(f"{name}@example.org", "a long password", "--group", "Uploaders")
        d.uploader = d.token("uploader@example.org", "upload_symbols")
        d.tryer = d.token("tryer@example.org", "upload_try_symbols")
        d.nobody = d.token("nobody@example.org")
        yield d


def archive(members, compression=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as z:
        for name, text in members:
            z.writestr(name, text)
    return out.getvalue()


def upload(datil, body, token=None, name="symbols.zip", fields=None, path="/upload/"):
    kind, data = multipart(fields or {}, {name: body})
    headers = {"Content-Type": kind}
    if token:
        headers["Auth-Token"] = token
    answers = []

    def is_taken():  # nginx lets one address send two archives a second
        answers.append(datil.request("POST", path, data, headers))
        return answers[-1].status != 429
    wait_until(is_taken, 60, "a place among the uploads")
    return answers[-1]


def error(answer):
    return answer.status, answer.json["error"]


def test_upload_and_download(datil):
    data = archive([(KEY, TEXT), ("firefox-symbols.txt", "list"), ("a/.DS_Store", "x")])
    answer = upload(datil, data, datil.uploader + "-label")
    assert answer.status == 201, answer
    made = answer.json["upload"]
    assert made["size"] == len(data)
    assert made["filename"] == "symbols.zip"
    assert made["bucket"] == "local"
    assert made["download_url"] is None and made["redirect_urls"] == []
    assert made["try_symbols"] is False
    assert made["user"] == "uploader@example.org"
    assert made["skipped_keys"] == []
    assert made["completed_at"].endswith("Z") and made["created_at"] <= made["completed_at"]
    assert answer.headers["vary"] == "Auth-Token"

    for prefix in ("/symbols",):
        found = datil.get(f"{prefix}/xul.pdb/{ID.lower()}/xul.sym?code_file=xul.dll&code_id=1")
        assert found.status == 302, found
        assert found.headers["access-control-allow-origin"] == "*"
        where = found.headers["location"]
        assert where == f"{datil.base}{prefix}/symbols-files/v1/{KEY}"
        elsewhere = datil.get("/" + KEY, headers={"Host": "symbols.example.org:81"}).headers["location"]
        assert elsewhere == f"http://symbols.example.org:81/symbols-files/v1/{KEY}"
        body = datil.get(where)
        assert body.status == 200 and body.body.decode() == TEXT
        packed = datil.get(where, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body).decode() == TEXT
        assert packed.headers["content-type"].startswith("text/plain")
        head = datil.request("HEAD", f"{prefix}/{KEY}")
        assert head.status == 200 and head.body == b""


def test_rows(datil):
    key = f"rows.pdb/{ID}/rows.sym"
    text = TEXT.replace("xul.pdb", "rows.pdb").replace("xul.dll", "rows.dll")
    made = upload(datil, archive([(key, text), ("rows.dll/ABC/rows.dl_", "MSCF")]),
                  datil.uploader).json["upload"]
    row = datil.sql(f"SELECT debug_filename || ' ' || debug_id || ' ' || code_file || ' ' || code_id || ' ' || "
                    f"generator || ' ' || area FROM symbol_file WHERE upload_id = {made['id']} AND key = '{key}'")
    assert f"rows.pdb {ID} rows.dll 652DE0ED706D000 dumper 1.0 regular" in str(row)
    md5 = hashlib.md5(text.encode()).hexdigest()
    row = datil.sql(f"SELECT original_md5 || ' ' || original_size || ' ' || content_encoding FROM symbol_object "
                    f"WHERE key = '{key}'")
    assert f"{md5} {len(text)} gzip" in str(row)
    hashed = hashlib.md5(f"rows.dll/ABC/rows.dl_:4\n{key}:{len(text)}".encode()).hexdigest()[:30]
    row = datil.sql(f"SELECT content_hash FROM symbol_upload WHERE id = {made['id']} AND completed_at IS NOT NULL")
    assert hashed in str(row)


def test_same_again_is_skipped_and_changed_is_updated(datil):
    key = f"again.so/{ID}/again.so.sym"
    first = f"MODULE Linux x86_64 {ID} again.so\nFUNC 1000 10 0 f\n"
    assert upload(datil, archive([(key, first)]), datil.uploader).json["upload"]["skipped_keys"] == []
    assert upload(datil, archive([(key, first)]), datil.uploader).json["upload"]["skipped_keys"] == [key]
    second = first.replace(" f\n", " g\n")
    made = upload(datil, archive([(key, second)]), datil.uploader).json["upload"]
    assert made["skipped_keys"] == []
    assert datil.sql('SELECT "update" FROM symbol_file WHERE upload_id = %s', made["id"]) == [(True,)]
    where = datil.get(f"/symbols/{key}").headers["location"]
    assert datil.get(where).body.decode() == second


def test_lower_case_id_is_stored_in_upper_case(datil):
    key = f"lower.so/{ID.lower()}/lower.so.sym"
    made = upload(datil, archive([(key, TEXT)]), datil.uploader).json["upload"]
    assert datil.get(f"/symbols/lower.so/{ID}/lower.so.sym").status == 302
    # the same at the root, where stack walkers look
    there = datil.get(f"/lower.so/{ID}/lower.so.sym")
    assert there.status == 302 and datil.get(there.headers["location"]).body.decode() == TEXT
    assert upload(datil, archive([(key, TEXT)]), datil.uploader).json["upload"]["skipped_keys"] == [key]
    assert "differs" in str(datil.sql(f"SELECT warnings FROM symbol_upload WHERE id = {made['id']}"))


def test_try_symbols(datil):
    key = f"try.so/{lone(1)}/try.so.sym"
    made = upload(datil, archive([(key, TEXT)]), datil.tryer).json["upload"]
    assert made["try_symbols"] is True
    assert datil.get(f"/symbols/{key}").status == 404
    for path in (f"/symbols/try/{key}", f"/symbols/{key}?try"):
        assert "/try/v1/" in datil.get(path).headers["location"]
    made = upload(datil, archive([(key, TEXT)]), datil.uploader, fields={"try": "1"}).json["upload"]
    assert made["try_symbols"] is True and made["skipped_keys"] == [key]
    assert error(upload(datil, archive([(key, TEXT)]), datil.tryer, fields={"try": "0"})) == (403, "Forbidden")
    # what the regular area has is not stored again
    assert upload(datil, archive([(KEY, TEXT)]), datil.uploader).status == 201
    made = upload(datil, archive([(KEY, TEXT)]), datil.tryer).json["upload"]
    assert made["skipped_keys"] == [KEY]


@pytest.mark.parametrize("label,token,status,text", [
    ("none", None, 403, "This requires an Auth-Token to authenticate the request"),
    ("unknown", "0" * 32, 403, "API Token not matched"),
    ("without permission", "nobody", 403, "Forbidden"),
])
def test_who_may_upload(datil, label, token, status, text):
    token = datil.nobody if token == "nobody" else token
    assert error(upload(datil, archive([(KEY, TEXT)]), token)) == (status, text)


def test_other_method(datil):
    answer = datil.get("/upload/")
    assert error(answer) == (405, "Method Not Allowed (GET): /upload/")
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/upload/", "/upload/v2/", "/symbols/upload/auth_info/"])
def test_the_method_is_looked_at_before_who_asks(datil, path):
    for method in ("PUT", "PATCH", "BREW"):
        answer = datil.new_client().request(method, path, b"body")
        assert error(answer) == (405, f"Method Not Allowed ({method}): {path.removeprefix('/symbols')}")


def test_a_session_of_no_form_that_we_give(datil):
    """Nobody shows a token there, so the answer is not about one."""
    for unknown in ("0" * 40, "x", "a" * 3000):
        answer = datil.new_client().request("PUT", f"/upload/session/{unknown}", b"x")
        assert answer.status == 404 and answer.json["error"], answer


def test_without_final_slash_and_under_the_prefix(datil):
    for path in ("/upload", "/symbols/upload/", "/symbols/upload"):
        assert upload(datil, archive([(KEY, TEXT)]), datil.uploader, path=path).status == 201, path


def test_name_of_the_archive(datil):
    data = archive([(KEY, TEXT)])
    assert error(upload(datil, data, datil.uploader, name="symbols.rar")) == \
        (400, 'Unrecognized archive file extension ".rar"')
    assert error(upload(datil, data, datil.uploader, name="symbols.ZIP.gz")) == \
        (400, 'Unrecognized archive file extension ".gz"')
    assert upload(datil, data, datil.uploader, name="symbols.ZIP").status == 201
    kind = "multipart/form-data; boundary=xx"
    body = b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n' + data + b"\r\n--xx--\r\n"
    answer = datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": datil.uploader})
    assert answer.status == 201 and answer.json["upload"]["filename"] == "a.zip"


@pytest.mark.parametrize("kind,body,text", [
    ("application/json", b"{}", "Must be multipart form data with at least one file"),
    ("application/x-www-form-urlencoded", b"", "Must be multipart form data with at least one file"),
    ("application/x-www-form-urlencoded", b"url=http://example.com/a.zip", "Insecure URL"),
    ("application/x-www-form-urlencoded", b"url=https://example.com:1/a.zip",
     "Not an allowed domain ('example.com') to download from."),
])
def test_body_without_file(datil, kind, body, text):
    answer = datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": datil.uploader})
    assert error(answer) == (400, text)


def broken_crc():
    data = bytearray(archive([(KEY, "hello hello")], zipfile.ZIP_STORED))
    data[data.index(b"hello hello")] = ord("j")
    return bytes(data)


def two_of_one_name():
    data = archive([("a/1/b.sym", "hello"), ("a/1/c.sym", "worlds")])
    return data.replace(b"c.sym", b"b.sym")


PATTERN = "Unrecognized file pattern. Should only be <module>/<hex>/<file> or <name>-symbols.txt and nothing else. " \
          "(First unrecognized pattern was '%s')"


@pytest.mark.parametrize("make,text", [
    (lambda: b"", "File is not a zip file"),
    (lambda: b"Rar!" * 100, "File is not a zip file"),
    (lambda: archive([(KEY, TEXT)])[:-30], "File is not a zip file"),
    (broken_crc, f"Bad CRC-32 for file '{KEY}'"),
    (two_of_one_name, "The zipfile buffer contains two files both called a/1/b.sym and they have difference sizes (6 != 5)"),
    (lambda: archive([("a/qcom/proprietary/b", "x")]),
     "Content of archive file contains the snippet 'qcom/proprietary' which is not allowed"),
    (lambda: archive([("a/1/secret sauce.sym", "x")]),
     "Content of archive file contains the snippet 'secret sauce' which is not allowed"),
    (lambda: archive([(KEY, TEXT), ("readme.md", "x")]), PATTERN % "readme.md"),
    (lambda: archive([("../../../etc/passwd", "x")]), PATTERN % "../../../etc/passwd"),
    (lambda: archive([("/a/1/b", "x")]), PATTERN % "/a/1/b"),
    (lambda: archive([("a/xyz/b.sym", "x")]), PATTERN % "a/xyz/b.sym"),
])
def test_bad_archives(datil, make, text):
    assert error(upload(datil, make(), datil.uploader)) == (400, text)


def test_nothing_stays_of_a_damaged_archive(datil):
    """Members are stored as they are read, and the damage is in the last one."""
    keys = [f"whole{n}.so/{lone(n)}/whole{n}.so.sym" for n in range(9100, 9120)]
    data = bytearray(archive([*((k, TEXT) for k in keys), ("last.so/1/last.so.sym", "hello hello")], zipfile.ZIP_STORED))
    data[data.index(b"hello hello")] = ord("j")
    before = datil.sql("SELECT count(*) FROM symbol_upload")
    assert error(upload(datil, bytes(data), datil.uploader)) == (400, "Bad CRC-32 for file 'last.so/1/last.so.sym'")
    assert datil.sql("SELECT count(*) FROM symbol_upload") == before
    assert datil.sql("SELECT count(*) FROM symbol_object WHERE key LIKE 'whole91%%'") == [(0,)]
    assert not any((datil.var / "symbols/v1").glob("whole91*")) and not any((datil.var / "symbols/incoming").iterdir())
    assert not any((datil.var / "symcache").glob("whole91*/*.csym"))


def key_of(n):
    return f"zip{n}.so/{ID}/zip{n}.so.sym"


def zip64(name):
    """Sizes in the ZIP64 extra field, data behind them of unknown size: written to a pipe."""
    class Pipe(io.RawIOBase):
        def __init__(self):
            self.out = io.BytesIO()

        def writable(self):
            return True

        def write(self, b):
            return self.out.write(b)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as z:
        with z.open(zipfile.ZipInfo(name), "w", force_zip64=True) as f:
            f.write(TEXT.encode())
    return pipe.out.getvalue()


def zip64_end(name):
    """The ZIP64 end record that Python writes for archives beyond 4 GiB, on a small one."""
    data = archive([(name, TEXT)])
    end = data[-22:]
    entries, size, at = struct.unpack_from("<HII", end, 10)
    record = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, entries, entries, size, at)
    locator = struct.pack("<IIQI", 0x07064b50, 0, len(data) - 22, 1)
    small = end[:8] + b"\xff" * 12 + end[20:]
    return data[:-22] + record + locator + small


def with_comment(name, comment):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.comment = comment
        z.writestr(name, TEXT)
    return out.getvalue()


def with_folders(name):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        parts = name.split("/")
        for i in (1, 2):
            z.writestr(zipfile.ZipInfo("/".join(parts[:i]) + "/"), "")
        z.writestr(name, TEXT)
    return out.getvalue()


def self_extracting(name):
    out = io.BytesIO(b"#!/bin/sh\n" * 1000)
    out.seek(0, 2)
    with zipfile.ZipFile(out, "a") as z:  # offsets count from the start of the file
        z.writestr(name, TEXT)
    return out.getvalue()


@pytest.mark.parametrize("number,label,make", [
    (1, "stored", lambda k: archive([(k, TEXT)], zipfile.ZIP_STORED)),
    (2, "deflated", lambda k: archive([(k, TEXT)])),
    (3, "bytes in front", lambda k: b"MZ" * 5000 + archive([(k, TEXT)])),
    (4, "self-extracting", self_extracting),
    (5, "bytes behind", lambda k: archive([(k, TEXT)]) + b"\0" * 1000),
    (6, "comment", lambda k: with_comment(k, b"made by hand")),
    (7, "comment of full length", lambda k: with_comment(k, b"x" * 65535)),
    (8, "comment with an end record", lambda k: with_comment(k, b"PK\5\6" + b"\0" * 18)),
    (9, "written to a pipe, ZIP64 sizes", zip64),
    (10, "ZIP64 end record", zip64_end),
    (11, "ZIP64 and bytes in front", lambda k: b"x" * 77 + zip64_end(k)),
    (12, "folders", with_folders),
    (13, "./ in front", lambda k: archive([("./" + k, TEXT)])),
    (14, "backslashes", lambda k: archive([(k.replace("/", "\\"), TEXT)])),
    (15, "lower-case id", lambda k: archive([(k.replace(ID, ID.lower()), TEXT)])),
    (16, "empty member beside it", lambda k: archive([(k, TEXT), ("x-symbols.txt", "")])),
])
def test_archives_that_python_reads(datil, number, label, make):
    key = key_of(number)
    data = make(key)
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None, "Python reads it"
    answer = upload(datil, data, datil.uploader)
    assert answer.status == 201, (label, answer.text)
    where = datil.get(f"/symbols/{key}").headers["location"]
    assert datil.get(where).body.decode() == TEXT, label


def patched(at_signature, offset, value, data=None):
    """An archive with some bytes of the first header of a kind changed."""
    data = bytearray(data or archive([(KEY, TEXT)]))
    at = data.index(at_signature) + offset
    data[at:at + len(value)] = value
    return bytes(data)


def sharing(n, text=TEXT):
    """n members whose directory entries all point at one local header, each with its own name."""
    one = archive([("a/00000/b.sym", text)])
    at = struct.unpack_from("<I", one, len(one) - 6)[0]
    entry = one[at:-22]
    entries = b"".join(entry.replace(b"a/00000/b", b"a/%05d/b" % i) for i in range(n))
    end = struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, n, n, len(entries), at, 0)
    return one[:at] + entries + end


def overlapping():
    """Two members with headers of their own; the bytes of the first reach into the second."""
    data = bytearray(archive([("a/1/b.sym", "x" * 100), ("a/2/b.sym", "y" * 100)], zipfile.ZIP_STORED))
    at = data.index(b"PK\1\2")
    data[at + 20:at + 28] = struct.pack("<II", 150, 150)
    return bytes(data)


@pytest.mark.parametrize("label,make,text", [
    ("encrypted", lambda: patched(b"PK\1\2", 8, b"\1\0"), "make the archive without a password"),
    ("bzip2", lambda: archive([(KEY, TEXT)], zipfile.ZIP_BZIP2), "known are stored and deflate; make the archive with"),
    ("lzma", lambda: archive([(KEY, TEXT)], zipfile.ZIP_LZMA), "known are stored and deflate; make the archive with"),
    ("one part of several", lambda: patched(b"PK\5\6", 4, b"\1\0"), "make one archive of one part"),
    ("local header elsewhere", lambda: patched(b"PK\1\2", 42, b"\1\0\0\0"), "damaged at"),
    ("other name in front of the data", lambda: patched(b"PK\3\4", 30, b"z"), "damaged at"),
    ("members sharing bytes", overlapping, "share bytes of the archive; make it again"),
    ("one file under two names", lambda: archive([("a/ab/b.sym", "x"), ("a/AB/b.sym", "y")]),
     "name the same symbols file; leave one of them out"),
    ("one file under two spellings", lambda: archive([("./a/ab/b.sym", "x"), ("a/ab/b.sym", "y")]),
     "name the same symbols file; leave one of them out"),
    ("bomb", lambda: archive([(KEY, b"\0" * (64 << 20))]), "grows to more than 200 times"),
    ("many small bombs", lambda: archive([(f"a/{i:x}/b.sym", b"\0" * (3 << 20)) for i in range(40)]),
     "the archive grows to more than 200 times"),
    ("too many members", lambda: archive([(f"a/{i:x}/b.sym", "") for i in range(10001)]),
     "make several archives"),
])
def test_refused_archives_say_what_to_do(datil, label, make, text):
    answer = upload(datil, make(), datil.uploader)
    assert answer.status == 400 and text in answer.json["error"], (label, answer.text)


def test_members_that_share_one_do_not_cost_time(datil):
    text = TEXT + "".join(f"FUNC {i:x} 10 0 function number {i * 7919}\n" for i in range(300000))
    answer = upload(datil, sharing(1000, text), datil.uploader)
    assert answer.status == 400 and "damaged" in answer.json["error"], answer
    # Inflating them all takes ten seconds of CPU; the directory alone tells.
    took = [line for line in datil.log_lines("datil-symbols") if line["event"] == "request"]
    assert took[-1]["status"] == 400 and took[-1]["duration_ms"] < 3000


@pytest.mark.parametrize("path,status,text", [
    (f"/xul.pdb/{'0' * 33}/xul.sym", 404, "Symbol Not Found (and ignored)"),
    (f"/xul.pdb/{ID}/file.ptr", 404, "Symbol Not Found (and ignored)"),
    (f"/xul.pdb/{ID}/xul.pdb", 404, "Symbol Not Found (and ignored)"),
    (f"/xul.pdb/{ID}/xul.SYM", 404, "Symbol Not Found (and ignored)"),
    (f"/nosuch.pdb/{lone(7)}/nosuch.sym", 404, "Symbol Not Found"),
])
def test_not_there(datil, path, status, text):
    answer = datil.get("/symbols" + path, headers={"Debug": "true"})
    assert (answer.status, answer.text) == (status, text)
    assert (answer.headers["debug-time"] == "0") == ("ignored" in text)


@pytest.mark.parametrize("path", ["/a", "/a/b", "/a/0/b/c", "/a/0/", "/a/xyz/b.sym", "/..%2f..%2fetc/0/x.sym",
                                  "/a%00/0/b.sym", "/__broken__", "/__metrics__"])
def test_unknown_paths(datil, path):
    answer = datil.get("/symbols" + path)
    assert answer.status in (400, 404)
    if answer.status == 404:
        assert answer.json["error"] == "Not Found" and "path" in answer.json


def test_code_id(datil):
    assert upload(datil, archive([(KEY, TEXT)]), datil.uploader).status == 201
    answer = datil.get("/symbols/xul.dll/652de0ed706d000/xul.sym?code_file=xul.dll")
    assert answer.status == 302
    assert answer.headers["location"] == f"{datil.base}/symbols/{KEY}?code_file=xul.dll"
    assert datil.get("/symbols/xul.dll/652DE0ED706D001/xul.sym").status == 404


def test_missing_symbols(datil):
    for _ in range(3):
        datil.get(f'/symbols/want"ed.so/{lone(2)}/wanted.so.sym')  # no valid name: not counted
        datil.get(f"/symbols/wan,ted.pdb/{lone(2)}/wan,ted.sym?code_file=wanted.dll&code_id=ABC")
    datil.request("HEAD", f"/symbols/headed.pdb/{lone(2)}/headed.sym")

    def rows():
        answer = datil.get("/symbols/missingsymbols.csv")
        assert answer.headers["content-type"].startswith("text/csv")
        assert "missing-symbols-" in answer.headers["content-disposition"]
        return answer.body.decode().split("\r\n")
    # Each worker counts on its own and writes when it is asked for the list, or some seconds later.
    seen = set()

    def are_all_written():
        seen.update(rows())
        return datil.sql("SELECT sum(count) FROM missing_symbol WHERE symbol = 'wan,ted.pdb'") == [(3,)]
    wait_until(are_all_written, 30, "the counts of all workers")
    seen.update(rows())
    assert "debug_file,debug_id,code_file,code_id" in seen
    assert f'"wan,ted.pdb",{lone(2)},wanted.dll,ABC' in seen
    assert not any("headed" in row for row in seen)
    assert upload(datil, archive([(f"wan,ted.pdb/{lone(2)}/wan,ted.sym", TEXT)]), datil.uploader).status == 201
    assert not any("wan,ted" in row for row in rows())


def test_missing_symbols_are_written_without_another_request(datil):
    """Fails when the count waits in memory for the next request."""
    datil.get(f"/symbols/alone.pdb/{lone(3)}/alone.sym")
    count = "SELECT count(*) FROM missing_symbol WHERE symbol = %s"
    wait_until(lambda: datil.sql(count, "alone.pdb") == [(1,)], 30, "the count")


def test_missing_symbols_are_written_at_the_end(datil):
    """Fails when a worker that is stopped takes with it what it has counted."""
    datil.get(f"/symbols/last.pdb/{lone(4)}/last.sym")
    for pid in datil.program_pids("datil-symbols")[1]:
        datil.kill(pid, signal.SIGTERM)
    count = "SELECT count(*) FROM missing_symbol WHERE symbol = %s"
    wait_until(lambda: datil.sql(count, "last.pdb") == [(1,)], 5, "the count")


@pytest.mark.parametrize("path,status", [
    ("/nosuch", 404), ("/a/b", 404), ("/a/xyz/b.sym", 404), ("/try/a", 404),
    (f"/{KEY}", 405), (f"/try/{KEY}", 405),
    ("/missingsymbols.csv", 405), ("/__heartbeat__", 405),
])
def test_post_to_other_paths(datil, path, status):
    answer = datil.request("POST", "/symbols" + path, b"a=b", {"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == status, answer
    if status == 404:
        assert answer.json == {"error": "Not Found", "path": path}
    else:
        assert answer.json == {"error": f"Method Not Allowed (POST): {path}"} and "GET" in answer.headers["allow"]


@pytest.mark.parametrize("method,path,status,text", [
    ("GET", "/v1/a/0", 404, "Not Found"), ("GET", "/v2/a/0/b.sym", 404, "Not Found"), ("GET", "", 404, "Not Found"),
    ("GET", f"/v1/nosuch.pdb/{ID}/nosuch.sym", 404, "Not Found"),
    ("POST", f"/v1/{KEY}", 405, "Method Not Allowed"), ("PUT", f"/v1/{KEY}", 405, "Method Not Allowed"),
    ("DELETE", f"/v1/{KEY}.gz", 405, "Method Not Allowed"),
    ("GET", f"/cache/v2/a.so/{ID}/a.so.sym", 404, "Not Found"), ("GET", f"/ids/{ID}", 404, "Not Found"),
    ("GET", f"/v1/.hidden/{ID}/a.sym", 404, "Not Found"), ("GET", f"/v1/a.so/{ID}/.sym", 404, "Not Found"),
    ("GET", f"/v1/a.so/{ID.lower()}/a.so.sym", 404, "Not Found"), ("GET", "/v1/a.so/", 404, "Not Found"),
    ("GET", f"/v1/a.so/{ID}/b/c", 404, "Not Found"),
])
def test_stored_files_that_are_not_there(datil, method, path, status, text):
    """nginx answers for them, in the words of the symbol server."""
    for prefix in ("/symbols-files", "/symbols/symbols-files"):
        answer = datil.request(method, prefix + path)
        assert answer.status == status and answer.json["error"] == text, (prefix, answer)


def test_how_nginx_sends_stored_files(datil):
    assert upload(datil, archive([(f"s.so/{ID}/s.so.sym", TEXT), (f"s.so/{ID}/s.so", "plain"),
                                  (f"s.so/{ID}/s.so.gz", "no gzip"), (f"s.so/{ID}/s.so.dbg.gz", "0123456789")]),
                  datil.uploader).status == 201
    def get(name, **headers):
        return datil.get(f"/symbols-files/v1/s.so/{ID}/{name}", headers=headers)
    packed, plain = get("s.so.sym", **{"Accept-Encoding": "gzip"}), get("s.so.sym")
    assert gzip.decompress(packed.body) == plain.body == TEXT.encode()
    assert packed.headers["content-encoding"] == "gzip" and plain.headers["content-encoding"] is None
    for answer in (packed, plain):
        assert answer.headers["content-type"].startswith("text/plain") and answer.headers["last-modified"]
        assert answer.headers["etag"] and answer.headers["cache-control"] == "no-transform"
        assert answer.headers["access-control-allow-origin"] == "*" and answer.headers["x-content-type-options"] == "nosniff"
    assert get("s.so", **{"Accept-Encoding": "gzip"}).body == b"plain"
    line = (datil.var / "log/nginx-access.log").read_text().splitlines()[-1]
    assert json.loads(line)["path"] == f"/symbols-files/v1/s.so/{ID}/s.so" and json.loads(line)["method"] == "GET"
    part = get("s.so.dbg.gz", Range="bytes=2-4")
    assert part.status == 206 and part.body == b"234" and part.headers["content-type"] == "application/octet-stream"
    assert get("s.so.sym", **{"If-None-Match": packed.headers["etag"], "Accept-Encoding": "gzip"}).status == 304
    folder = (datil.var / "symbols" / "v1" / "s.so").stat()
    assert folder.st_gid == (datil.var / "symbols").stat().st_gid and folder.st_mode & 0o027 == 0


def test_downloads_come_from_the_table(datil):
    """A file without a row is none, a row is an answer; both without a look at the disk."""
    key = f"tabled.so/{lone(0x7AB)}/tabled.so.sym"
    assert upload(datil, archive([(key, TEXT)]), datil.uploader).status == 201
    folder = datil.var / "symbols" / "v1" / "tabled.so"
    folder.rename(folder.with_name("elsewhere"))
    assert datil.get(f"/symbols/{key}").status == 302
    datil.sql("DELETE FROM symbol_object WHERE key = %s", key)
    assert datil.get(f"/symbols/{key}").status == 404
    folder.with_name("elsewhere").rename(folder)
    assert datil.get(f"/symbols/{key}").status == 404


def test_syminfo(datil):
    key = f"info.pdb/{lone(0x1F0)}/info.sym"
    text = TEXT.replace("xul.pdb", "info.pdb").replace(ID, lone(0x1F0)).replace("xul.dll", "info.dll")
    assert upload(datil, archive([(key, text)]), datil.uploader).status == 201
    want = {"debug_id": lone(0x1F0), "debug_filename": "info.pdb", "code_file": "info.dll", "code_id": "652DE0ED706D000",
            "generator": "dumper 1.0", "url": f"{datil.base}/symbols/{key}"}
    for path in (f"info.pdb/{lone(0x1F0).lower()}", "info.dll/652de0ed706d000", "info.dll/652DE0ED706D000?_refresh"):
        answer = datil.get("/symbols/api/syminfo/" + path)
        assert answer.status == 200 and answer.json == want, answer
        assert answer.headers["access-control-allow-origin"] == "*"
    name = f"lib.so/{lone(0x1F1)}/lib.so.sym"
    assert upload(datil, archive([(name, TEXT.replace("xul.pdb", "lib.so").replace(ID, lone(0x1F1)))]), datil.tryer).status == 201
    found = datil.request("GET", f"/api/syminfo/lib.so/{lone(0x1F1)}", headers={"Host": "symbols.example.org:81"}).json
    assert found["url"] == f"http://symbols.example.org:81/try/{name}"
    miss = datil.get("/symbols/api/syminfo/info.pdb/123")
    assert (miss.status, miss.text) == (404, "Code file / id Not Found")
    assert datil.get("/symbols/api/syminfo/info.pdb/xyz").json["error"] == "Not Found"
    assert datil.request("POST", "/symbols/api/syminfo/info.pdb/123").status == 405


CASES = Path(__file__).resolve().parent.parent / "data" / "symbols-zip"


def test_stored_symbols_never_replace_one_another(datil):
    first = (CASES / "sym_first.zip").read_bytes()
    key = next(n for n in zipfile.ZipFile(io.BytesIO(first)).namelist() if n.endswith(".sym"))
    text = zipfile.ZipFile(io.BytesIO(first)).read(key)
    assert upload(datil, first, datil.uploader).status == 201
    answer = upload(datil, (CASES / "sym_gz_member.zip").read_bytes(), datil.uploader)
    assert answer.status == 201
    found = datil.get("/symbols/" + key)
    assert found.status == 302
    body = datil.get(found.headers["location"])
    assert body.status == 200 and body.body == text
    assert str(datil.var) not in answer.text + body.text
    # The other is an object of its own, byte for byte, and the uploader is told.
    other = zipfile.ZipFile(CASES / "sym_gz_member.zip")
    stored = datil.get(f"/symbols-files/v1/{other.namelist()[0]}")
    assert stored.status == 200 and stored.body == other.read(other.namelist()[0])
    warnings = datil.sql("SELECT warnings::text FROM symbol_upload WHERE id = %s", answer.json["upload"]["id"])
    assert "send it unpacked" in warnings[0][0]


def test_errors_never_show_paths(datil):
    """A stored file that was damaged on disk, asked for unpacked."""
    key = f"hurt.so/{ID}/hurt.so.sym"
    assert upload(datil, archive([(key, TEXT)]), datil.uploader).status == 201
    (datil.var / "symbols" / "v1" / f"{key}.gz").write_bytes(b"\x1f\x8b garbage")
    where = datil.get(f"/symbols/{key}").headers["location"]
    answer = datil.raw(f"GET {where} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert str(datil.var).encode() not in answer and b"garbage" not in answer
    # and the same upload repairs it
    assert upload(datil, archive([(key, TEXT)]), datil.uploader).json["upload"]["skipped_keys"] == []
    assert datil.get(datil.get(f"/symbols/{key}").headers["location"]).body.decode() == TEXT


def test_found_under_another_name_by_debug_id(datil):
    key = f"libsoname.so.1/{lone(5)}/libsoname.so.1.sym"
    assert upload(datil, archive([(key, TEXT)]), datil.uploader).status == 201
    answer = datil.get(f"/symbols/libsoname.so.1.2.3/{lone(5)}/libsoname.so.1.2.3.sym?code_file=x")
    assert answer.status == 302 and answer.headers["location"] == f"{datil.base}/symbols/{key}?code_file=x"
    assert datil.get(f"/symbols/libsoname.so.1.2.3/{lone(6)}/libsoname.so.1.2.3.sym").status == 404


def test_symbols_add_goes_on_behind_a_bad_path(datil, tmp_path):
    """A file that is no archive, one that is not there: said, and what stands behind them is added."""
    (tmp_path / "none.zip").write_bytes(b"hello")
    (tmp_path / "good.sym").write_text("MODULE windows x86_64 A4E4EC8C2F41492B9369D6B9A059577C2 behind.pdb\n")
    done = datil.datil("symbols", "add", tmp_path / "none.zip", tmp_path / "nowhere", tmp_path / "good.sym", check=False)
    assert done.returncode == 1
    assert "none.zip: File is not a zip file" in done.output and "nowhere: no such file" in done.output
    assert done.output.count("none.zip") == 1
    assert "1 files added, 0 already there, 2 left out" in done.output


def test_symbols_add_makes_rows(datil, tmp_path):
    text = TEXT.replace("xul.pdb", "added.pdb").replace("xul.dll", "added.dll").replace("652DE0ED", "752DE0ED")
    (tmp_path / "any.sym").write_text(text)
    datil.datil("symbols", "add", tmp_path / "any.sym")
    answer = datil.get("/symbols/added.dll/752DE0ED706D000/added.sym")
    assert answer.status == 302 and answer.headers["location"] == f"{datil.base}/symbols/added.pdb/{ID}/added.sym"
    assert (datil.var / "symbols-cache" / "added.pdb" / f"{ID}.csym").exists() or \
        list(datil.var.rglob(f"added.pdb/{ID}.csym"))


def test_files_without_rows_get_them_from_the_next_upload(datil):
    key = f"rowless.pdb/{ID}/rowless.sym"
    text = TEXT.replace("xul.pdb", "rowless.pdb").replace("xul.dll", "rowless.dll")
    assert upload(datil, archive([(key, text)]), datil.uploader).status == 201
    datil.sql("DELETE FROM symbol_file WHERE key = %s RETURNING id", key)
    datil.sql("DELETE FROM symbol_object WHERE key = %s RETURNING key", key)
    assert datil.get("/symbols/rowless.dll/652DE0ED706D000/rowless.sym").headers.get("location", "") != f"{datil.base}/symbols/{key}"
    assert upload(datil, archive([(key, text)]), datil.uploader).json["upload"]["skipped_keys"] == [key]
    assert datil.get("/symbols/rowless.dll/652DE0ED706D000/rowless.sym").headers["location"] == f"{datil.base}/symbols/{key}"


def test_try_symbols_never_stand_before_regular_ones(datil):
    regular = TEXT.replace("xul.pdb", "reg.pdb").replace("xul.dll", "both.dll")
    tried = regular.replace("reg.pdb", "tried.pdb")
    assert upload(datil, archive([(f"reg.pdb/{ID}/reg.sym", regular)]), datil.uploader).status == 201
    assert upload(datil, archive([(f"tried.pdb/{ID}/tried.sym", tried)]), datil.tryer).status == 201
    answer = datil.get("/symbols/try/both.dll/652DE0ED706D000/both.sym")
    assert "/reg.pdb/" in answer.headers["location"]


def test_a_reader_that_is_killed_costs_one_archive(datil):
    """Killed by a signal that no limit sends, in the middle of an upload."""
    text = TEXT + "".join(f"FUNC {i:x} 10 0 function number {i * 7919}\n" for i in range(1500000))
    data = archive([(f"big.so/{ID}/big.so.sym", text)])
    workers = datil.program_pids("datil-symbols")[1]
    answers = []
    sender = threading.Thread(target=lambda: answers.append(upload(datil, data, datil.uploader)))
    sender.start()
    readers = []

    def find_reader():
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                words = path.read_text().rsplit(")", 1)
            except OSError:
                continue
            if "(datil-symreader" in words[0] and int(words[1].split()[1]) in workers:
                readers.append(int(path.parent.name))
        return readers
    wait_until(find_reader, 30, "a reader", pause_s=0.001)
    status = Path(f"/proc/{readers[0]}/status").read_text()
    datil.kill(readers[0], signal.SIGSEGV)
    sender.join(60)
    assert answers[0].status == 400 and "cannot be read" in answers[0].json["error"], answers
    assert "datil-symreader" in status
    assert datil.program_pids("datil-symbols")[1] == workers
    assert upload(datil, data, datil.uploader).status == 201


@pytest.mark.parametrize("number,where,files", [(0, "incoming", 200), (1, "v1", 1), (2, "v1", 200)])
def test_adding_that_is_killed_leaves_nothing_half(datil, tmp_path, number, where, files):
    """Killed while files are prepared, and while they get their names; then the same again."""
    store, members = datil.var / "symbols", {}
    for i in range(600):
        name, debug_id = f"killed{number}.{i}.so", f"{number:X}D{i:030X}0"
        members[f"{name}/{debug_id}/{name}.sym"] = f"MODULE Linux x86_64 {debug_id} {name}\nFUNC 1000 10 0 f{i}\n"
    path = tmp_path / "many.zip"
    path.write_bytes(archive(list(members.items())))
    adding = subprocess.Popen([str(BIN / "datil"), "symbols", "add", str(path)], env=datil.env,
                              stdout=subprocess.DEVNULL)

    def seen():
        paths = (store / "incoming").glob("*") if where == "incoming" else (store / "v1").glob(f"killed{number}.*/*/*")
        return sum(1 for _ in paths) >= files
    wait_until(seen, 60, "the moment", pause_s=0.001)
    adding.kill()
    adding.wait()

    stored = {str(p.relative_to(store / "v1"))[:-len(".gz")]: p for p in (store / "v1").glob(f"killed{number}.*/*/*")}
    assert len(stored) < len(members), "it was not killed in the middle"
    for key, file in stored.items():
        assert gzip.decompress(file.read_bytes()).decode() == members[key]
        assert (store / "ids/v1" / key.split("/")[1][:2] / key.split("/")[1]).read_text() == key.split("/")[0]
    rows = "SELECT key FROM symbol_object WHERE key LIKE %s"
    assert datil.sql(rows, f"killed{number}.%") == []

    datil.datil("symbols", "add", path)
    assert {key for key, in datil.sql(rows, f"killed{number}.%")} == set(members)
    for key, text in members.items():
        assert gzip.decompress((store / "v1" / f"{key}.gz").read_bytes()).decode() == text


def test_health(datil):
    assert datil.get("/symbols/__lbheartbeat__").status == 200
    answer = datil.get("/symbols/__heartbeat__")
    assert answer.status == 200 and answer.json["checks"] == \
        {"database": "ok", "migrations": "ok", "storage": "ok", "symcache": "ok"}
    assert isinstance(json.loads(datil.get("/symbols/__version__").body), dict)


def test_health_without_a_migration(datil):
    row = datil.sql("DELETE FROM schema_migration WHERE name = (SELECT max(name) FROM schema_migration) RETURNING *")[0]
    try:
        answer = datil.get("/symbols/__heartbeat__")
        assert (answer.status, answer.json["status"]) == (500, "error")
        assert answer.json["checks"] == {"database": "ok", "migrations": "error", "storage": "ok", "symcache": "ok"}
        assert answer.json["details"] == {}
    finally:
        datil.sql(f"INSERT INTO schema_migration VALUES ({', '.join(['%s'] * len(row))})", *row)
    assert datil.get("/symbols/__heartbeat__").status == 200


def test_an_upload_leaves_nothing_behind(datil):
    upload(datil, b"Rar!" * 100, datil.uploader)
    upload(datil, archive([(KEY, TEXT)]), datil.uploader)
    kind, data = multipart({}, {"a.zip": archive([(KEY, TEXT)])})
    head = f"POST /upload/ HTTP/1.1\r\nHost: x\r\nAuth-Token: {datil.uploader}\r\nContent-Type: {kind}\r\n" \
           f"Content-Length: {len(data)}\r\n\r\n"
    datil.raw(head.encode() + data[:len(data) // 2])
    assert list((datil.var / "tmp/uploads").iterdir()) == []
    assert not [p for p in (datil.var / "symbols").rglob("*.tmp.*")]


def test_last_download(datil):
    """Written when the program ends, at the latest, and then not again within the hour.  The last test of this
    file: workers that ended young are stood in for, and some answers after it may be 503."""
    key = f"seen.so/{lone(0x5EE)}/seen.so.sym"
    assert upload(datil, archive([(key, TEXT)]), datil.uploader).status == 201
    def restart_after(path):
        assert datil.request("HEAD", path).status == 200
        parents, workers = datil.program_pids("datil-symbols")
        for pid in workers:
            datil.kill(pid, signal.SIGTERM)
        wait_until(lambda: not workers & datil.program_pids("datil-symbols")[1], 20, "other workers")
        # Workers that end young make room for a stand-in, which says 503 until others have lived a second.
        wait_until(lambda: all(datil.get("/symbols/__lbheartbeat__").status == 200 for _ in range(20)), 20, "answers")
        return datil.sql("SELECT last_download, last_download > now() - interval '1 minute' FROM symbol_object "
                         "WHERE key = %s", key)[0]
    first, is_new = restart_after(f"/symbols/{key}")
    assert is_new
    assert restart_after(f"/symbols/{key}")[0] == first
