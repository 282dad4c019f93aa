"""The pages of the symbol server: at the root of a host of its own and below /symbols, log-in, roles."""
import gzip
import io
import re
import sys
import urllib.parse
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import Installation, multipart  # noqa: E402

PASSWORD = "a long password"
HOST = {"Host": "symbols.example.org"}
MAX_BYTES = 8 << 20


@pytest.fixture(scope="module")
def datil():
    with Installation(SYMBOLS_DOWNLOAD_MODE="accel", SYMBOLS_UPLOAD_MAX_BYTES=str(MAX_BYTES)) as d:
        for name, group in [("uploader", "Uploaders"), ("other", "Uploaders"), ("auditor", "Upload Auditors"),
                            ("reader", "Hackers")]:
            d.add_user(f"{name}@example.org", PASSWORD, "--group", group)
        d.add_user("tryer@example.org", PASSWORD)
        d.sql("INSERT INTO app_user_permission SELECT id, 'upload_try_symbols' FROM app_user WHERE email = 'tryer@example.org'")
        d.add_user("root@example.org", PASSWORD, "--superuser")
        yield d


def csrf(page):
    return re.search(r'name="csrf_token" value="(\w+)"', page.text)[1]


def cookies(answer):
    last = dict(c.split(";")[0].split("=", 1) for c in answer.headers.get_all("Set-Cookie") or [])
    return "; ".join(f"{name}={value}" for name, value in last.items())


def form(datil, path, fields, headers):
    return datil.request("POST", path, urllib.parse.urlencode(fields, doseq=True),
                         {"Content-Type": "application/x-www-form-urlencoded", **headers})


def log_in(datil, email, host=None, prefix=""):
    """Headers of a session."""
    page = datil.get(prefix + "/login/", headers=host)
    visitor = cookies(page)
    answer = form(datil, prefix + "/login/", {"email": email, "password": PASSWORD, "csrf_token": csrf(page),
                                              "next": prefix + "/"}, {**(host or {}), "Cookie": visitor})
    assert answer.status == 303 and answer.headers["Location"] == prefix + "/", answer
    return {**(host or {}), "Cookie": cookies(answer)}


WHERE = [("", HOST), ("/symbols", {})]


@pytest.mark.parametrize("prefix,host", WHERE)
def test_log_in_and_out(datil, prefix, host):
    page = datil.get(prefix + "/", headers=host)
    assert page.status == 200 and f'href="{prefix}/login/?next={urllib.parse.quote(prefix + "/", safe="")}"' in page.text
    assert "Uploads" not in re.findall(r"<nav.*?</nav>", page.text, re.S)[0]
    session = log_in(datil, "uploader@example.org", host, prefix)
    page = datil.get(prefix + "/", headers=session)
    nav = re.findall(r"<nav.*?</nav>", page.text, re.S)[0]
    for path in ("/", "/tokens", "/uploads", "/missing", "/help"):
        assert f'href="{prefix}{path}"' in nav
    assert "/users" not in nav and "uploader@example.org" in page.text
    out = form(datil, prefix + "/logout/", {"csrf_token": csrf(page)}, session)
    assert out.status == 303 and out.headers["Location"] == prefix + "/"
    assert "uploader@example.org" not in datil.get(prefix + "/", headers=session).text


def test_the_session_is_that_of_crash_stats(datil):
    session = log_in(datil, "uploader@example.org")
    page = datil.get("/symbols/", headers=session)
    assert "uploader@example.org" in page.text and "Your uploads" in page.text
    assert 'href="/symbols/"' in datil.get("/", headers=session).text
    assert 'href="/symbols/"' not in datil.get("/", headers=log_in(datil, "reader@example.org")).text


def test_static_files_of_the_host(datil):
    page = datil.get("/", headers=HOST)
    for path in set(re.findall(r'(?:href|src)="(/static/[^"#]+)', page.text)):
        assert datil.get(path, headers=HOST).status == 200, path


ID = "0123456789ABCDEF0123456789ABCDEF0"


@pytest.fixture(scope="module")
def uploads(datil):
    """Ids of two uploads, and the number of a file of the first."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(f"a&b.pdb/{ID}/a&b.sym", f"MODULE windows x86_64 {ID} a&b.pdb\nINFO CODE_ID 5AAA1000 a&b.dll\n")
        z.writestr("some-symbols.txt", "list")
    made = []
    for name in ("uploader", "other"):
        token = datil.token(f"{name}@example.org", "upload_symbols")
        kind, body = multipart({}, {"symbols.zip": out.getvalue()})
        answer = datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": token, **HOST})
        assert answer.status == 201, answer
        made.append(answer.json["upload"]["id"])
    return made[0], made[1], datil.sql("SELECT id FROM symbol_file WHERE upload_id = %s", made[0])[0][0]


PAGES = ["/uploads", "/uploads/upload/{0}", "/uploads/files", "/uploads/files/file/{2}", "/tokens", "/users", "/users/1",
         "/users/audit", "/status", "/help", "/"]


@pytest.mark.parametrize("who,statuses", [
    (None, [302] * 9 + [200, 200]),
    ("uploader", [200, 200, 403, 200, 200, 403, 403, 403, 403, 200, 200]),
    ("other", [200, 403, 403, 403, 200, 403, 403, 403, 403, 200, 200]),
    ("auditor", [200, 200, 200, 200, 200, 403, 403, 403, 403, 200, 200]),
    ("reader", [403, 403, 403, 403, 403, 403, 403, 403, 403, 200, 200]),
    ("root", [200] * 11),
])
def test_roles(datil, uploads, who, statuses):
    for prefix, host in WHERE:
        headers = log_in(datil, f"{who}@example.org", host, prefix) if who else host
        for page, status in zip(PAGES, statuses):
            path = prefix + page.format(*uploads)
            answer = datil.get(path, headers=headers)
            assert answer.status == status, (who, path, answer)
            assert answer.headers["content-type"].startswith("text/html") or status == 302
            if status == 302:
                assert answer.headers["location"].startswith(f"{prefix}/login/?next=" + prefix.replace("/", "%2F"))
            else:  # every link of ours stays below the prefix
                links = re.findall(r'href="(/[^"]*)"', answer.text)
                assert all(x.startswith((prefix + "/", "/static/")) or x == "/" for x in links), links
            if who == "other":
                assert "uploader@example.org" not in answer.text


def test_what_pages_of_uploads_show(datil, uploads):
    auditor = {**log_in(datil, "auditor@example.org", HOST)}
    page = datil.get("/uploads", headers=auditor).text
    assert "uploader@example.org" in page and "other@example.org" in page
    assert "1 file, 1 ignored" in page and "0 files, 1 skipped, 1 ignored" in page
    page = datil.get("/uploads?user=other@", headers=auditor).text
    assert "other@example.org" in page and "uploader@example.org" not in page and "1 upload found." in page
    bad = datil.get("/uploads?size=%3Cscript%3E", headers=auditor)
    assert bad.status == 400 and "&#39;&lt;script&gt;&#39; is not a valid size" in bad.text and "Reset Filters" in bad.text
    assert "No uploads." in datil.get("/uploads?size=>1gb", headers=auditor).text
    page = datil.get(f"/uploads/upload/{uploads[1]}", headers=auditor).text
    assert f"a&amp;b.pdb/{ID}/a&amp;b.sym" in page and "not uploaded because existing file has the same size" in page
    assert "deliberately not uploaded" in page
    page = datil.get("/uploads/files?key=B.PDB", headers=auditor).text
    assert "1 file found." in page and f'/uploads/files/file/{uploads[2]}"' in page
    page = datil.get(f"/uploads/files/file/{uploads[2]}", headers=auditor).text
    assert "Yep, it exists" in page and "a&amp;b.dll" in page and "5AAA1000" in page
    assert f"http://symbols.example.org/a&amp;b.pdb/{ID}/a&amp;b.sym" in page
    missing = datil.get("/uploads/upload/99999", headers=auditor)
    assert missing.status == 404 and "text/html" in missing.headers["content-type"]


def test_how_to_upload(datil):
    """The tab leads to commands for this server; who may not upload is told whom to ask."""
    session = log_in(datil, "uploader@example.org", HOST)
    page = datil.get("/uploads/upload", headers=session)
    assert page.status == 200 and 'aria-current="page">Upload Now' in page.text
    assert "--form symbols.zip=@symbols.zip http://symbols.example.org/upload/" in page.text
    assert "try=1" in page.text and 'href="/tokens"' in page.text
    refused = datil.get("/uploads/upload", headers=log_in(datil, "auditor@example.org", HOST))
    assert refused.status == 403 and "group Uploaders" in refused.text


def archive(name="b.pdb", debug_id=None):
    out, debug_id = io.BytesIO(), debug_id or ID
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(f"{name}/{debug_id}/{name[:-4]}.sym", f"MODULE windows x86_64 {debug_id} {name}\n")
    return out.getvalue()


def send_form(datil, session, content, filename="symbols.zip", token=None, prefix="", **fields):
    """As browsers do: fields in the order of the page, the file in one that is named `archive`."""
    if token is None:
        token = csrf(datil.get(prefix + "/tokens", headers=session))
    kind, body = multipart({"csrf_token": token, **fields} if token else fields)
    end = body.rindex(b"--datil-test")
    part = (f'--datil-test-boundary-0123456789\r\nContent-Disposition: form-data; name="archive"; filename="{filename}"\r\n'
            "Content-Type: application/zip\r\n\r\n").encode() + content + b"\r\n"
    return datil.request("POST", prefix + "/uploads/upload", body[:end] + part + body[end:], {"Content-Type": kind, **session})


@pytest.mark.parametrize("prefix,host", WHERE)
def test_the_form_of_an_upload(datil, prefix, host):
    """Who is logged in is the uploader, and is led to the page of the upload."""
    session = log_in(datil, "uploader@example.org", host, prefix)
    page = datil.get(prefix + "/uploads/upload", headers=session).text
    assert f'<form class="stack" method="post" action="{prefix}/uploads/upload" enctype="multipart/form-data">' in page
    assert page.index('name="csrf_token"', page.index("multipart/form-data")) < page.index('name="archive"')
    for fields, is_try in (({}, False), ({"try": "1"}, True)):
        sent = send_form(datil, session, archive(), token=re.search(r'name="csrf_token" value="(\w+)"', page)[1], prefix=prefix, **fields)
        assert sent.status == 303, sent.text
        where = sent.headers["Location"]
        row = datil.sql("SELECT email, filename, try_symbols, completed_at IS NOT NULL, upload_id FROM (SELECT u.*, u.id AS upload_id, a.email "
                        "FROM symbol_upload u JOIN app_user a ON a.id = u.user_id) t WHERE upload_id = %s", where.rsplit("/", 1)[1])[0]
        assert where == f"{prefix}/uploads/upload/{row[4]}" and row[:4] == ("uploader@example.org", "symbols.zip", is_try, True)
        shown = datil.get(where, headers=session)
        assert shown.status == 200 and f"b.pdb/{ID}/b.sym" in shown.text
    assert datil.get(f"/b.pdb/{ID}/b.sym", headers=HOST).status == 200


@pytest.mark.parametrize("content,filename,fields,text", [
    (b"no archive", "symbols.zip", {}, "File is not a zip file"),
    (b"", "symbols.zip", {}, "File is not a zip file"),
    (b"", "", {}, "Must be multipart form data with at least one file"),
    (b"Rar!", "symbols.rar", {}, 'Unrecognized archive file extension &quot;.rar&quot;'),
])
def test_a_form_that_is_refused_comes_back_with_the_words_of_the_api(datil, content, filename, fields, text):
    session = log_in(datil, "uploader@example.org", HOST)
    before = datil.sql("SELECT count(*) FROM symbol_upload")
    answer = send_form(datil, session, content, filename, **fields)
    assert answer.status == 400 and 'role="alert"' in answer.text and text in answer.text.replace("&#34;", "&quot;"), answer.text
    assert 'name="archive"' in answer.text and datil.sql("SELECT count(*) FROM symbol_upload") == before


def test_the_form_of_who_may_upload_to_the_try_area_only(datil):
    """No box to tick, and whatever is sent: the try area, or a refusal of what asks for the other one."""
    session = log_in(datil, "tryer@example.org", HOST)
    page = datil.get("/uploads/upload", headers=session).text
    assert 'name="archive"' in page and 'name="try"' not in page and "experimental (try) builds only" in page
    lone = f"{0x0471:032X}0"
    for fields, status in (({}, 303), ({"try": "1"}, 303), ({"try": "0"}, 403)):
        sent = send_form(datil, session, archive("only.pdb", lone), token=csrf(datil.get("/uploads/upload", headers=session)), **fields)
        assert sent.status == status, sent.text
    assert datil.sql("SELECT DISTINCT area FROM symbol_object WHERE key LIKE 'only.pdb/%%'") == [("try",)]
    assert datil.get(f"/only.pdb/{lone}/only.sym", headers=HOST).status == 404
    assert datil.get(f"/try/only.pdb/{lone}/only.sym", headers=HOST).status == 200


def test_a_form_with_more_than_may_be_sent(datil):
    """Of the server's own limit the page comes back with it; of nginx's, which is higher, an error page."""
    session = log_in(datil, "uploader@example.org", HOST)
    before = datil.sql("SELECT count(*) FROM symbol_upload")
    answer = send_form(datil, session, b"0" * MAX_BYTES)
    assert answer.status == 413 and "an upload may have 8.0 MB; make several archives" in answer.text and 'role="alert"' in answer.text
    assert 'name="archive"' in answer.text and "Up to 8.0 MB" in answer.text
    for accept, kind, text in (("text/html", b"text/html", b"larger than this address takes"),
                               ("application/json", b"application/json", b'"error":"Payload Too Large"')):
        said = datil.raw(f"POST /uploads/upload HTTP/1.1\r\nHost: symbols.example.org\r\nAccept: {accept}\r\n"
                         f"Cookie: {session['Cookie']}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
                         "Content-Length: 3000000000\r\nConnection: close\r\n\r\n".encode())
        assert said.startswith(b"HTTP/1.1 413 ") and b"Content-Type: " + kind in said and text in said, said
    assert datil.sql("SELECT count(*) FROM symbol_upload") == before


def test_files_in_the_place_of_redirects(datil):
    """SYMBOLS_DOWNLOAD_MODE=accel: for clients that follow no redirects, nginx sends the file at the address that was asked for."""
    text = f"MODULE windows x86_64 {ID} accel.pdb\nINFO CODE_ID 5A5A5A5A1000 accel.dll\nFUNC 10 10 0 f\n".encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(f"accel.pdb/{ID}/accel.sym", text)
        z.writestr(f"accel.pdb/{ID}/accel.pd_", b"0123456789")
        z.writestr(f"accel pdb+1/{ID}/a~ccel.dl_", b"spaces")
    kind, body = multipart({}, {"symbols.zip": out.getvalue()})
    token = datil.token("uploader@example.org", "upload_symbols")
    assert datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": token}).status == 201
    for prefix, host in WHERE:
        def get(name, method="GET", folder="accel.pdb", **headers):
            return datil.request(method, f"{prefix}/{folder}/{ID}/{name}", headers={**host, **headers})
        plain, packed = get("accel.sym"), get("accel.sym", **{"Accept-Encoding": "gzip"})
        assert plain.status == packed.status == 200 and plain.body == gzip.decompress(packed.body) == text
        assert packed.headers["content-encoding"] == "gzip" and plain.headers["content-encoding"] is None
        assert plain.headers["content-type"].startswith("text/plain") and plain.headers["location"] is None
        assert plain.headers.get_all("access-control-allow-origin") == ["*"] and "x-accel-redirect" not in plain.headers
        assert get("accel.sym", **{"If-None-Match": packed.headers["etag"], "Accept-Encoding": "gzip"}).status == 304
        part = get("accel.pd_", Range="bytes=2-4")
        assert part.status == 206 and part.body == b"234" and part.headers["content-type"] == "application/octet-stream"
        assert get("a~ccel.dl_", folder="accel%20pdb+1").body == b"spaces"
        head = get("accel.sym", "HEAD")
        assert head.status == 200 and head.body == b"" and head.headers["location"].endswith(f"v1/accel.pdb/{ID}/accel.sym")
        assert get("nosuch.sym").status == 404
        by_code = datil.get(f"{prefix}/accel.dll/5A5A5A5A1000/accel.sym", headers=host)
        assert by_code.status == 302 and datil.get(by_code.headers["location"], headers=host).body == text


def test_who_may_not_send_the_form(datil):
    """A page of strangers, who may not upload, who is not logged in, a program: nothing is stored."""
    before = datil.sql("SELECT count(*) FROM symbol_upload")
    uploader = log_in(datil, "uploader@example.org", HOST)
    for token in ("", "0" * 64, csrf(datil.get("/uploads", headers=log_in(datil, "other@example.org", HOST)))):
        answer = send_form(datil, uploader, archive(), token=token)
        assert answer.status == 403 and "load the page again" in answer.text, answer.text
    late, body = multipart({}, {"archive.zip": archive()})
    end = body.rindex(b"--datil-test")
    proof = csrf(datil.get("/uploads", headers=uploader))
    body = body[:end] + multipart({"csrf_token": proof})[1]
    assert datil.request("POST", "/uploads/upload", body, {"Content-Type": late, **uploader}).status == 403
    assert form(datil, "/uploads/upload", {"url": "https://example.org/x.zip"}, uploader).status == 403
    auditor = log_in(datil, "auditor@example.org", HOST)
    refused = send_form(datil, auditor, archive())
    assert refused.status == 403 and "group Uploaders" in refused.text
    stranger = send_form(datil, HOST, archive(), token="0" * 64)
    assert stranger.status == 302 and stranger.headers["Location"].startswith("/login/")
    program = send_form(datil, {"Auth-Token": datil.token("uploader@example.org", "upload_symbols"), **HOST}, archive(), token="0" * 64)
    assert program.status == 403 and "session" in program.json["error"]
    assert datil.sql("SELECT count(*) FROM symbol_upload") == before


def test_an_archive_by_form_may_be_large(datil):
    """Past the limit of other forms in nginx, and refused in words all the same."""
    answer = send_form(datil, log_in(datil, "uploader@example.org"), b"\0" * (5 << 20), prefix="/symbols")
    assert answer.status == 400 and "File is not a zip file" in answer.text


def test_an_upload_on_its_way_comes_again(datil):
    user = datil.sql("SELECT id FROM app_user WHERE email = 'uploader@example.org'")[0][0]
    new, old = (datil.sql("INSERT INTO symbol_upload (user_id, filename, size, created_at) VALUES (%s, 'x.zip', 1, now() - %s "
                          "* interval '1 second') RETURNING id", user, age)[0][0] for age in (0, 300))
    session = log_in(datil, "uploader@example.org", HOST)
    answer = datil.get(f"/uploads/upload/{new}", headers=session)
    assert answer.headers["refresh"] == "4; url=?wait=6" and "Incomplete!" in answer.text
    assert datil.get(f"/uploads/upload/{new}?wait=6", headers=session).headers["refresh"] == "6; url=?wait=9"
    assert datil.get(f"/uploads/upload/{new}?wait=1000", headers=session).headers["refresh"] == "4; url=?wait=6"
    assert datil.get(f"/uploads/upload/{old}", headers=session).headers["refresh"] is None


def test_tokens(datil):
    session = log_in(datil, "uploader@example.org", HOST)
    page = datil.get("/tokens", headers=session)
    fields = {"csrf_token": csrf(page), "expires": "365", "notes": "<b>nightly</b>"}
    for wrong, text in (([], "This field is required."), (["upload.upload_symbols", "upload.upload_try_symbols"],
                                                          "Invalid combination of permissions")):
        answer = form(datil, "/tokens", {**fields, "permissions": wrong}, session)
        assert answer.status == 400 and text in answer.text and "&lt;b&gt;nightly&lt;/b&gt;" in answer.text
    made = form(datil, "/tokens", {**fields, "permissions": ["upload.upload_try_symbols"]}, session)
    key = re.search(r'id="new-key">([0-9a-f]{32})<', made.text)[1]
    assert made.status == 200 and "no-store" in made.headers["cache-control"] and key[:10] + "…" in made.text
    assert "in 11 months" in made.text or "in 12 months" in made.text or "in 1 year" in made.text
    assert datil.get("/symbols/api/_auth/", headers={"Auth-Token": key}).json["user"]["email"] == "uploader@example.org"
    assert key not in datil.get("/tokens", headers=session).text
    number = datil.sql("SELECT max(id) FROM api_token")[0][0]
    assert form(datil, "/tokens/extend", {**fields, "id": number, "days": "3650"}, session).status == 303
    assert "in 10 years" in datil.get("/tokens", headers=session).text
    other = log_in(datil, "other@example.org", HOST)
    theirs = {"csrf_token": csrf(datil.get("/tokens", headers=other)), "id": number, "days": "1"}
    assert form(datil, "/tokens/delete", theirs, other).status == 404
    assert form(datil, "/tokens/extend", theirs, other).status == 404
    assert form(datil, "/tokens/delete", {**fields, "id": number, "csrf_token": "x"}, session).status == 403
    assert form(datil, "/tokens/delete", {**fields, "id": number}, session).status == 303
    assert datil.get("/symbols/api/_auth/", headers={"Auth-Token": key}).status == 403


def test_users(datil):
    root = log_in(datil, "root@example.org", HOST)
    datil.add_user("changed@example.org", PASSWORD)
    changed = log_in(datil, "changed@example.org", HOST)
    number, own = (datil.sql("SELECT id FROM app_user WHERE email = %s", f"{name}@example.org")[0][0] for name in ("changed", "root"))
    group = datil.sql("SELECT id FROM app_group WHERE name = 'Uploaders'")[0][0]
    token = csrf(datil.get(f"/users/{number}", headers=root))
    fields = {"csrf_token": token, "is_active": "1", "groups": [str(group)]}
    assert form(datil, f"/users/{number}", fields, root).status == 303
    assert datil.get("/uploads", headers=changed).status == 200
    page = datil.get("/users/audit", headers=root).text
    assert "changed@example.org" in page and "active on, superuser off, groups: Uploaders" in page
    assert form(datil, f"/users/{number}", {"csrf_token": token}, root).status == 303
    assert datil.get("/uploads", headers=changed).status == 302
    assert datil.sql("SELECT count(*) FROM app_user_group WHERE user_id = %s", number) == [(0,)]
    refused = form(datil, f"/users/{own}", {"csrf_token": token, "is_active": "1"}, root)
    assert refused.status == 400 and "your own account" in refused.text
    assert form(datil, "/users/99999", fields, root).status == 404
    assert form(datil, f"/users/{number}", {**fields, "groups": "x"}, root).status == 400
    other = log_in(datil, "uploader@example.org", HOST)
    theirs = {**fields, "csrf_token": csrf(datil.get("/", headers=other)), "is_superuser": "1"}
    assert form(datil, f"/users/{number}", theirs, other).status == 403
    assert datil.sql("SELECT is_superuser FROM app_user WHERE id = %s", number) == [(False,)]


def test_final_slash(datil):
    """Pages have none, and who types one comes to the page."""
    assert datil.get("/symbols/help/?a=b").headers["location"] == "/symbols/help?a=b"
