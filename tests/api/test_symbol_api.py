"""The JSON API of the symbol server: every member, filter and message, and who may see what."""
import hashlib
import io
import re
import sys
import urllib.parse
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import Installation, multipart, wait_until  # noqa: E402

HOST = {"Host": "symbols.example.org"}
PASSWORD = "a long password"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def archive(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, text in members:
            z.writestr(name, text)
    return out.getvalue()


def symbols(name, n, code=""):
    debug_id = f"{n:032X}0"
    text = f"MODULE windows x86_64 {debug_id} {name}.pdb\n"
    text += f"INFO CODE_ID {code} {name}.dll\n" if code else ""
    return f"{name}.pdb/{debug_id}/{name}.sym", text + "INFO GENERATOR dumper 1.0\nFUNC 1000 10 0 f\n"


class Server:
    """An installation with accounts, tokens and uploads; a prefix and a host as clients have them."""

    def __init__(self, datil):
        self.datil = datil
        self.tokens = {}
        for name, options, permissions in [
                ("uploader", ["--group", "Uploaders"], ["upload_symbols", "manage_tokens"]),
                ("other", ["--group", "Uploaders"], ["upload_symbols"]),
                ("tryer", ["--group", "Uploaders"], ["upload_try_symbols"]),
                ("auditor", ["--group", "Upload Auditors"], ["view_all_uploads", "manage_tokens"]),
                ("root", ["--superuser"], []),
                ("nobody", [], [])]:
            datil.add_user(f"{name}@example.org", PASSWORD, *options)
            self.tokens[name] = datil.token(f"{name}@example.org", *permissions)

    def call(self, method, path, who=None, form=None, headers=None, host=True):
        headers = dict(headers or {})
        if who:
            headers["Auth-Token"] = self.tokens[who]
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form, doseq=True)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if host:
            headers.update(HOST)
        # Each from another address: nginx lets one client ask ten times a second.
        return self.datil.new_client().request(method, path if host else "/symbols" + path, body, headers)

    def get(self, path, who=None, params=None, **more):
        return self.call("GET", path + ("?" + urllib.parse.urlencode(params) if params else ""), who, **more)

    def upload(self, who, members, name="symbols.zip", fields=None):
        kind, body = multipart(fields or {}, {name: archive(members)})
        answers = []

        def is_taken():
            answers.append(self.datil.request("POST", "/upload/", body, {
                "Content-Type": kind, "Auth-Token": self.tokens[who], **HOST}))
            return answers[-1].status != 429
        wait_until(is_taken, 60, "a place among the uploads")
        assert answers[-1].status == 201, answers[-1]
        return answers[-1].json["upload"]

    def session(self, email, host=True):
        page = self.get("/login/", host=host)
        cookie = dict(c.split(";")[0].split("=", 1) for c in page.headers.get_all("Set-Cookie"))
        answer = self.call("POST", "/login/", None, {
            "email": email, "password": PASSWORD,
            "csrf_token": re.search(r'name="csrf_token" value="(\w+)"', page.text)[1]},
            {"Cookie": "; ".join(f"{k}={v}" for k, v in cookie.items())}, host=host)
        assert answer.status == 303, answer
        cookie = dict(c.split(";")[0].split("=", 1) for c in answer.headers.get_all("Set-Cookie"))
        headers = {"Cookie": f"datil_session={cookie['datil_session']}"}
        page = self.call("GET", "/", headers=headers, host=host)
        return headers, re.search(r'name="csrf_token" value="(\w+)"', page.text)[1]


@pytest.fixture(scope="module")
def server():
    with Installation() as datil:
        s = Server(datil)
        first = [symbols("a", 1, "5AAA1000"), symbols("b", 2), ("some-symbols.txt", "x"), ("a.dll/5AAA1000/a.dl_", "M")]
        s.first = s.upload("uploader", first)
        s.again = s.upload("uploader", first, "again.zip")
        s.foreign = s.upload("other", [symbols("c", 3, "5CCC1000")])
        s.tried = s.upload("tryer", [symbols("d", 4, "5DDD1000")])
        yield s


def ids(answer, key="uploads"):
    assert answer.status == 200, answer
    return [x["id"] for x in answer.json[key]]


def test_auth(server):
    answer = server.get("/api/_auth/", "uploader")
    assert answer.headers["vary"] == "Auth-Token"
    user = answer.json["user"]
    assert set(answer.json) == {"user", "sign_out_url"} and answer.json["sign_out_url"] == "http://symbols.example.org/logout/"
    assert {k: v for k, v in user.items() if k != "permissions"} == \
        {"email": "uploader@example.org", "is_active": True, "is_superuser": False}
    assert [(p["codename"], p["name"]) for p in user["permissions"]] == [
        ("upload.upload_symbols", "Upload Symbols Files"), ("tokens.manage_tokens", "Manage Your API Tokens")]
    assert len({p["id"] for p in user["permissions"]}) == 2
    assert server.get("/api/_auth/").json == {"user": None, "sign_in_url": "http://symbols.example.org/login/"}
    below = server.get("/api/_auth/", host=False).json
    assert below["sign_in_url"].endswith("/symbols/login/") and below["sign_in_url"].startswith("http://127.0.0.1")
    headers, _ = server.session("root@example.org")
    user = server.get("/api/_auth/", headers=headers).json["user"]
    assert user["is_superuser"] and len(user["permissions"]) == 4


NEEDS_LOGIN = ["/api/stats/", "/api/tokens/", "/api/uploads/", "/api/uploads/upload/1", "/api/uploads/files/",
               "/api/uploads/files/file/1"]


@pytest.mark.parametrize("path", NEEDS_LOGIN)
def test_who_asks(server, path):
    for host in (True, False):
        answer = server.get(path, host=host)
        assert (answer.status, answer.json) == (403, {"error": "This requires an Auth-Token to authenticate the request"})
    answer = server.get(path, headers={"Auth-Token": "0" * 32})
    assert (answer.status, answer.json) == (403, {"error": "API Token not matched"})
    answer = server.call("PUT", path, "root")
    assert answer.status == 405 and answer.json == {"error": f"Method Not Allowed (PUT): {path}"}
    assert "GET" in answer.headers["allow"]


def roles(server):
    """What each asker may see of: a list of uploads, an upload of `uploader`, all files, one file, tokens."""
    file_of_first = server.datil.sql("SELECT min(id) FROM symbol_file WHERE upload_id = %s", server.first["id"])[0][0]
    paths = ["/api/uploads/", f"/api/uploads/upload/{server.first['id']}", "/api/uploads/files/",
             f"/api/uploads/files/file/{file_of_first}", "/api/tokens/"]
    return {who: [server.get(p, who).status for p in paths] for who in server.tokens}, paths


def test_roles(server):
    statuses, paths = roles(server)
    assert statuses == {
        "uploader": [200, 200, 403, 200, 200],
        "other": [200, 403, 403, 403, 403],
        "tryer": [200, 403, 403, 403, 403],
        "auditor": [200, 200, 200, 200, 200],
        "root": [200, 403, 403, 403, 403],  # a token has its own permissions alone, also a superuser's
        "nobody": [200, 403, 403, 403, 403],
    }
    headers, _ = server.session("root@example.org")
    assert [server.get(p, headers=headers).status for p in paths] == [200] * 5
    assert server.get(paths[1], "other").json == {"error": "Insufficient access to view this upload"}
    assert server.get(paths[3], "other").json == {"error": "Insufficient access to view this file"}
    assert server.get(paths[2], "other").json == {"error": "Forbidden"}
    assert server.get(paths[4], "other").json == {"error": "Forbidden"}


def test_uploads(server):
    mine = server.get("/api/uploads/", "uploader")
    assert ids(mine) == [server.again["id"], server.first["id"]]
    everything = server.get("/api/uploads/", "auditor")
    assert ids(everything) == [server.tried["id"], server.foreign["id"], server.again["id"], server.first["id"]]
    assert {k: v for k, v in everything.json.items() if k != "uploads"} == {
        "can_view_all": True, "batch_size": 20, "order_by": {"sort": "created_at", "reverse": False}, "has_next": False,
        "total": 1000000}
    assert mine.json["can_view_all"] is False
    upload = mine.json["uploads"][1]
    assert {k: v for k, v in upload.items() if not k.endswith("_at")} == {
        "id": server.first["id"], "user": {"email": "uploader@example.org"}, "filename": "symbols.zip",
        "size": server.first["size"], "bucket_name": "local", "skipped_keys": [], "ignored_keys": ["some-symbols.txt"],
        "try_symbols": False, "download_url": None, "redirect_urls": [], "files_count": 3, "files_incomplete_count": 0}
    assert re.fullmatch(TIME, upload["created_at"]) and re.fullmatch(TIME, upload["completed_at"])
    assert upload["created_at"] <= upload["completed_at"]
    assert len(mine.json["uploads"][0]["skipped_keys"]) == 3 and mine.json["uploads"][0]["files_count"] == 0


@pytest.mark.parametrize("params,want", [
    ({"user": "UPLOADER"}, ["again", "first"]),
    ({"user": "!uploader"}, ["tried", "foreign"]),
    ({"user": "er@"}, ["tried", "foreign", "again", "first"]),
    ({"user": "er@", "size": "<1"}, []),
    ({"user": "nothing like it"}, []),
    ({"size": ">1b,<1g"}, ["tried", "foreign", "again", "first"]),
    ({"size": ">1g"}, []),
    ({"created_at": "today"}, ["tried", "foreign", "again", "first"]),
    ({"created_at": "<2020-01-01"}, []),
    ({"created_at": ">=2020-01-01,<=2100-01-01"}, ["tried", "foreign", "again", "first"]),
    ({"completed_at": "incomplete"}, []),
    ({"completed_at": ">=yesterday"}, ["tried", "foreign", "again", "first"]),
    ({"created_at": "null"}, []),
    ({"created_at": "today", "page": "2"}, []),
    ({"created_at": "today", "page": "-3"}, ["tried", "foreign", "again", "first"]),
    ({"created_at": "today", "reverse": "true"}, ["first", "again", "foreign", "tried"]),
])
def test_filters(server, params, want):
    answer = server.get("/api/uploads/", "auditor", params)
    assert ids(answer) == [getattr(server, name)["id"] for name in want]
    if "page" not in params:
        assert answer.json["total"] == len(want)


def test_sorted_by_size(server):
    by_size = sorted([server.first, server.again, server.foreign, server.tried], key=lambda u: (u["size"], u["id"]))
    answer = server.get("/api/uploads/", "auditor", {"sort": "size", "reverse": "true"})
    assert ids(answer) == [u["id"] for u in by_size]
    assert answer.json["order_by"] == {"sort": "size", "reverse": True}
    assert ids(server.get("/api/uploads/", "auditor", {"sort": "size"})) == [u["id"] for u in reversed(by_size)]


@pytest.mark.parametrize("path", ["/api/uploads/", "/api/uploads/files/"])
@pytest.mark.parametrize("field,value,text", [
    ("size", ">1x", "'>1x' is not a valid size"),
    ("created_at", ">soon", "Unable to parse '>soon'"),
    ("completed_at", "12", "Unable to parse '12'"),
    ("page", "x", "Not a number 'x'"),
    ("sort", "user", "Invalid sort 'user'"),
])
def test_bad_filters(server, path, field, value, text):
    if field == "sort" and "files" in path:
        return
    answer = server.get(path, "auditor", {field: value})
    assert (answer.status, answer.json) == (400, {"errors": {field: [text]}})


def test_without_the_permission_user_is_no_filter(server):
    assert ids(server.get("/api/uploads/", "uploader", {"user": "other"})) == [server.again["id"], server.first["id"]]


def test_pages(server):
    datil = server.datil
    user = datil.sql("SELECT id FROM app_user WHERE email = 'nobody@example.org'")[0][0]
    datil.sql("INSERT INTO symbol_upload (user_id, filename, size, created_at) SELECT %s, 'p' || n || '.zip', n, "
              "'2020-01-01'::timestamptz + n * interval '1 minute' FROM generate_series(1, 45) n", user)
    try:
        pages = [server.get("/api/uploads/", "nobody", {"page": p}).json for p in (1, 2, 3)]
        assert [(len(p["uploads"]), p["has_next"]) for p in pages] == [(20, True), (20, True), (5, False)]
        assert [u["size"] for p in pages for u in p["uploads"]] == list(range(45, 0, -1))
        one = server.get("/api/uploads/", "nobody", {"created_at": ">2020-01-01T00:44:00.000Z"}).json
        assert [u["size"] for u in one["uploads"]] == [45] and one["total"] == 1
    finally:
        datil.sql("DELETE FROM symbol_upload WHERE user_id = %s", user)


def test_one_upload(server):
    answer = server.get(f"/api/uploads/upload/{server.first['id']}", "uploader")
    upload = answer.json["upload"]
    assert upload["user"]["email"] == "uploader@example.org" and isinstance(upload["user"]["id"], int)
    files = upload["file_uploads"]
    assert {f["key"] for f in files} == {symbols("a", 1)[0], symbols("b", 2)[0], "a.dll/5AAA1000/a.dl_"}
    for f in files:
        assert set(f) == {"id", "bucket_name", "key", "update", "compressed", "size", "completed_at", "created_at"}
        assert f["compressed"] is f["key"].endswith(".sym") and f["update"] is False and f["bucket_name"] == "local"
    assert [f["created_at"] for f in files] == sorted(f["created_at"] for f in files)
    assert [u["id"] for u in upload["related"]] == [server.again["id"]]
    for path in ("99999", "x", "0", ""):
        answer = server.get("/api/uploads/upload/" + path, "auditor")
        assert answer.status == 404 and answer.json["error"] == "Not Found"


def test_files(server):
    answer = server.get("/api/uploads/files/", "auditor")
    assert answer.json["batch_size"] == 40 and answer.json["has_next"] is False and answer.json["total"] == 1000000
    newest = answer.json["files"][0]
    assert newest["key"] == symbols("d", 4)[0]
    assert set(newest) == {"id", "key", "update", "compressed", "size", "bucket_name", "completed_at", "created_at", "upload"}
    assert newest["upload"]["upload_type"] == "try" and newest["upload"]["try_symbols"] is True
    assert set(newest["upload"]) == {"id", "upload_type", "try_symbols", "user", "created_at"}
    assert newest["upload"]["user"]["email"] == "tryer@example.org"


@pytest.mark.parametrize("params,want", [
    ({"key": ".PDB"}, "dcba"),
    ({"key": "a.pdb"}, "a"),
    ({"key": "b.pdb, .sym"}, "b"),
    ({"key": "b.pdb,a.pdb"}, ""),
    ({"key": "%"}, ""),
    ({"key": "_.pdb"}, ""),
    ({"key": ".pdb", "upload_type": "try"}, "d"),
    ({"key": ".pdb", "upload_type": "regular"}, "cba"),
    ({"upload_type": "try"}, "d"),
    ({"key": ".pdb", "bucket_name": "local"}, "dcba"),
    ({"key": ".pdb", "bucket_name": "!local"}, ""),
    ({"key": ".pdb", "bucket_name": "elsewhere,local"}, "dcba"),
    ({"key": ".pdb", "size": ">1m"}, ""),
    ({"key": ".pdb", "created_at": "today"}, "dcba"),
    ({"key": ".pdb", "completed_at": "null"}, ""),
    ({"key": ".pdb", "page": "7"}, ""),
])
def test_filters_of_files(server, params, want):
    answer = server.get("/api/uploads/files/", "auditor", params)
    assert sorted((f["key"][0] for f in answer.json["files"]), reverse=True) == list(want)
    assert answer.json["total"] == (4 if "page" in params else len(want))


def test_one_file(server):
    file_id = server.get("/api/uploads/files/", "auditor", {"key": "d.pdb"}).json["files"][0]["id"]
    found = server.get(f"/api/uploads/files/file/{file_id}", "tryer").json["file"]
    assert found["url"] == f"/{symbols('d', 4)[0]}?try"
    assert (found["debug_filename"], found["debug_id"], found["code_file"], found["code_id"], found["generator"]) == \
        ("d.pdb", f"{4:032X}0", "d.dll", "5DDD1000", "dumper 1.0")
    assert found["upload"]["id"] == server.tried["id"] and found["upload"]["files_count"] == 1
    assert server.get(found["url"]).status == 302
    below = server.get(f"/api/uploads/files/file/{file_id}", "tryer", host=False).json["file"]
    assert below["url"] == "/symbols" + found["url"]
    assert server.get("/api/uploads/files/file/99999", "auditor").status == 404


def test_stats(server):
    stats = server.get("/api/stats/", "auditor").json["stats"]["uploads"]
    total = sum(u["size"] for u in (server.first, server.again, server.foreign, server.tried))
    assert stats["all_uploads"] is True
    assert stats["last_30_days"] == {"count": 4, "total_size": total}
    assert stats["today"]["count"] + stats["yesterday"]["count"] == 4  # at midnight
    assert server.get("/api/stats/", "nobody").json == {"stats": {"uploads": {
        "all_uploads": False, **{p: {"count": 0, "total_size": 0} for p in ("today", "yesterday", "last_30_days")}}}}


def granted(server):
    answer = server.get("/api/tokens/", "uploader", {"state": "all"})
    assert set(answer.json) == {"tokens", "permissions", "totals"}
    return answer.json


def test_tokens(server):
    offered = {p["name"]: p["id"] for p in granted(server)["permissions"]}
    assert set(offered) == {"Upload Symbols Files", "Manage Your API Tokens"}
    made = server.call("POST", "/api/tokens/", "uploader", {
        "permissions": f"{offered['Upload Symbols Files']},{offered['Manage Your API Tokens']}", "expires": "30",
        "notes": "for a build"})
    assert made.status == 201 and made.json["ok"] is True and re.fullmatch("[0-9a-f]{32}", made.json["key"])
    assert made.headers["cache-control"] == "no-store"
    token = granted(server)["tokens"][0]
    assert {k: v for k, v in token.items() if k not in ("id", "expires_at", "created_at", "permissions")} == {
        "is_expired": False, "key": made.json["key"][:10] + "…", "notes": "for a build"}
    assert {p["name"] for p in token["permissions"]} == {"Upload Symbols Files", "Manage Your API Tokens"}
    days = server.datil.sql("SELECT extract(day FROM expires_at - created_at) FROM api_token WHERE id = %s", token["id"])
    assert int(days[0][0]) == 30
    assert server.call("GET", "/api/_auth/", headers={"Auth-Token": made.json["key"] + "-label"}).json["user"]["email"] == \
        "uploader@example.org"

    path = f"/api/tokens/token/{token['id']}"
    longer = server.call("POST", path + "/extend", "uploader", {"days": "10"})
    assert (longer.status, longer.json) == (200, {"ok": True, "days": 10})
    assert server.call("POST", path + "/extend", "uploader", {}).json == {"ok": True, "days": 365}
    days = server.datil.sql("SELECT extract(day FROM expires_at - created_at) FROM api_token WHERE id = %s", token["id"])
    assert int(days[0][0]) == 405
    answer = server.call("POST", path + "/extend", "uploader", {"days": "x"})
    assert (answer.status, answer.json) == (400, {"errors": {"days": ["Invalid number of days ('x')"]}})
    for who in ("other", "auditor"):
        assert server.call("POST", path + "/extend", who, {}).status == 404
        assert server.call("DELETE", path, who).status == 404
    assert server.call("POST", path, "uploader", {}).status == 405
    assert server.call("GET", path, "uploader").status == 405
    gone = server.call("DELETE", path, "uploader")
    assert (gone.status, gone.json) == (200, {"ok": True})
    assert server.call("DELETE", path, "uploader").status == 404
    assert server.call("GET", "/api/_auth/", headers={"Auth-Token": made.json["key"]}).status == 403
    actions = [row[0] for row in server.datil.sql("SELECT action FROM audit_log WHERE object = 'token' AND "
                                                  "user_name = 'uploader@example.org' ORDER BY id DESC LIMIT 4")]
    assert actions == ["delete", "change", "change", "add"]


@pytest.mark.parametrize("form,status,body", [
    ({}, 400, {"errors": {"permissions": ["This field is required."], "expires": ["This field is required."]}}),
    ({"permissions": "manage_tokens", "expires": "x"}, 400, {"errors": {"expires": ["Invalid number of days ('x')"]}}),
    ({"permissions": "manage_tokens", "expires": "0"}, 400, {"errors": {"expires": ["Invalid number of days ('0')"]}}),
    ({"permissions": "77", "expires": "1"}, 400, {"errors": {"permissions": ["'77' is not a valid permission"]}}),
    ({"permissions": "view_all_uploads", "expires": "1"}, 403, {"error": "View All Symbols Uploads not a valid permission"}),
    ({"permissions": "upload.upload_try_symbols", "expires": "1"}, 403,
     {"error": "Upload Try Symbols Files not a valid permission"}),
    ({"permissions": "manage_tokens", "expires": "1", "notes": "x" * 2001}, 400,
     {"errors": {"notes": ["Notes may have 2000 characters."]}}),
])
def test_refused_tokens(server, form, status, body):
    answer = server.call("POST", "/api/tokens/", "uploader", form)
    assert (answer.status, answer.json) == (status, body)


def test_states_of_tokens(server):
    server.datil.datil("token", "create", "auditor@example.org", "--permission", "manage_tokens", "--days", "0")
    counts = {s: [t["is_expired"] for t in server.get("/api/tokens/", "auditor", {"state": s}).json["tokens"]]
              for s in ("", "expired", "all")}
    assert counts == {"": [False], "expired": [True], "all": [True, False]}
    answer = server.get("/api/tokens/", "auditor", {"state": "expired"})
    assert answer.json["totals"] == {"all": 2, "active": 1, "expired": 1}
    answer = server.get("/api/tokens/", "auditor", {"state": "x"})
    assert (answer.status, answer.json) == (400, {"errors": {"state": ["Unrecognized state value 'x'"]}})


def test_sessions_need_the_csrf_token(server):
    headers, csrf = server.session("uploader@example.org")
    form = {"permissions": "upload_symbols,upload_try_symbols", "expires": "1"}
    assert server.call("POST", "/api/tokens/", None, form, headers).status == 403
    answer = server.call("POST", "/api/tokens/", None, form, {**headers, "X-CSRF-Token": csrf})
    assert (answer.status, answer.json) == (400, {"errors": {"permissions": ["Invalid combination of permissions"]}})
    form["permissions"] = "upload_try_symbols"
    assert server.call("POST", "/api/tokens/", None, {**form, "csrf_token": csrf}, headers).status == 201
    token = server.get("/api/tokens/", headers=headers).json["tokens"][0]
    path = f"/api/tokens/token/{token['id']}"
    assert server.call("DELETE", path, headers=headers).status == 403
    assert server.call("DELETE", path + "?csrf_token=" + csrf, headers=headers).status == 403
    root, root_csrf = server.session("root@example.org")
    assert server.call("POST", path + "/extend", None, {"csrf_token": root_csrf}, root).status == 404
    assert server.call("DELETE", path, headers={**root, "X-CSRF-Token": root_csrf}).status == 200


def test_unknown_paths(server):
    for path in ("/nothing", "/api/", "/api/uploads"):
        answer = server.get(path)
        if path == "/api/uploads":
            assert answer.status == 301
            continue
        assert (answer.status, answer.json) == (404, {"error": "Not Found", "path": path})
