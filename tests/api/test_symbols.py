"""The symbol server over HTTP: upload of archives, download, missing symbols."""
import gzip
import hashlib
import io
import json
import sys
import urllib.parse
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import Installation, multipart  # noqa: E402

ID = "0123456789ABCDEF0123456789ABCDEF0"
TEXT = f"MODULE windows x86_64 {ID} xul.pdb\nINFO CODE_ID 652DE0ED706D000 xul.dll\n" \
       "INFO GENERATOR dumper 1.0\nFUNC 1000 10 0 f\n"
KEY = f"xul.pdb/{ID}/xul.sym"


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
    return datil.request("POST", path, data, headers)


def error(answer):
    return answer.status, answer.json["error"]


# ---- upload ----------------------------------------------------------------------------------
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
        assert urllib.parse.urlparse(where).path.endswith("/" + KEY)
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
    key = f"try.so/{ID}/try.so.sym"
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


# ---- download --------------------------------------------------------------------------------
@pytest.mark.parametrize("path,status,text", [
    (f"/xul.pdb/{'0' * 33}/xul.sym", 404, "Symbol Not Found (and ignored)"),
    (f"/xul.pdb/{ID}/file.ptr", 404, "Symbol Not Found (and ignored)"),
    (f"/xul.pdb/{ID}/xul.pdb", 404, "Symbol Not Found (and ignored)"),
    (f"/xul.pdb/{ID}/xul.SYM", 404, "Symbol Not Found (and ignored)"),
    (f"/nosuch.pdb/{ID}/nosuch.sym", 404, "Symbol Not Found"),
])
def test_not_there(datil, path, status, text):
    answer = datil.get("/symbols" + path, headers={"Debug": "true"})
    assert (answer.status, answer.text) == (status, text)
    assert (answer.headers["debug-time"] == "0") == ("ignored" in text)


@pytest.mark.parametrize("path", ["/", "/a", "/a/b", "/a/0/b/c", "/a/0/", "/a/xyz/b.sym", "/..%2f..%2fetc/0/x.sym",
                                  "/a%00/0/b.sym", "/symbols-files/v1/a/0", "/symbols-files/v2/a/0/b.sym"])
def test_unknown_paths(datil, path):
    answer = datil.get("/symbols" + path)
    assert answer.status in (400, 404)
    if answer.status == 404:
        assert answer.json["error"] == "Not Found" and "path" in answer.json


def test_code_id(datil):
    assert upload(datil, archive([(KEY, TEXT)]), datil.uploader).status == 201
    answer = datil.get("/symbols/xul.dll/652de0ed706d000/xul.sym?code_file=xul.dll")
    assert answer.status == 302
    assert answer.headers["location"] == f"/symbols/{KEY}?code_file=xul.dll"
    assert datil.get("/symbols/xul.dll/652DE0ED706D001/xul.sym").status == 404


def test_missing_symbols(datil):
    for _ in range(3):
        datil.get(f'/symbols/want"ed.so/{ID}/wanted.so.sym')  # no valid name: not counted
        datil.get(f"/symbols/wan,ted.pdb/{ID}/wan,ted.sym?code_file=wanted.dll&code_id=ABC")
    datil.request("HEAD", f"/symbols/headed.pdb/{ID}/headed.sym")

    def rows():
        answer = datil.get("/symbols/missingsymbols.csv")
        assert answer.headers["content-type"].startswith("text/csv")
        assert "missing-symbols-" in answer.headers["content-disposition"]
        return answer.body.decode().split("\r\n")
    # Each worker counts on its own and writes when it is asked for the list.
    seen = set()
    for _ in range(20):
        seen |= set(rows())
    assert "debug_file,debug_id,code_file,code_id" in seen
    assert f'"wan,ted.pdb",{ID},wanted.dll,ABC' in seen
    assert not any("headed" in row for row in seen)
    assert upload(datil, archive([(f"wan,ted.pdb/{ID}/wan,ted.sym", TEXT)]), datil.uploader).status == 201
    assert not any("wan,ted" in row for row in rows())


def test_health(datil):
    assert datil.get("/symbols/__lbheartbeat__").status == 200
    answer = datil.get("/symbols/__heartbeat__")
    assert answer.status == 200 and answer.json["checks"] == \
        {"database": "ok", "storage": "ok", "symcache": "ok"}
    assert isinstance(json.loads(datil.get("/symbols/__version__").body), dict)


def test_an_upload_leaves_nothing_behind(datil):
    upload(datil, b"Rar!" * 100, datil.uploader)
    upload(datil, archive([(KEY, TEXT)]), datil.uploader)
    kind, data = multipart({}, {"a.zip": archive([(KEY, TEXT)])})
    head = f"POST /upload/ HTTP/1.1\r\nHost: x\r\nAuth-Token: {datil.uploader}\r\nContent-Type: {kind}\r\n" \
           f"Content-Length: {len(data)}\r\n\r\n"
    datil.raw(head.encode() + data[:len(data) // 2])
    assert list((datil.var / "tmp/uploads").iterdir()) == []
    assert not [p for p in (datil.var / "symbols").rglob("*.tmp.*")]
