"""Jobs that fill tables from other servers, and versions from files: against servers that page, fail, hang and lie."""
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness import Installation, wait_until


class Elsewhere:
    """A server whose answers a test chooses: answer(path, query) -> (status, body)."""

    def __init__(self):
        outer = self
        self.requests, self.left, self.answer = [], [], lambda path, query: (404, b"")

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                query = urllib.parse.parse_qs(url.query)
                outer.requests.append((url.path, query, dict(self.headers)))
                status, body = outer.answer(url.path, query)
                if status == "hangs":  # nothing comes until the client has gone
                    self.connection.settimeout(30)
                    outer.left.append(self.rfile.read(1) == b"")
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def elsewhere():
    e = Elsewhere()
    yield e
    e.server.shutdown()


@pytest.fixture(scope="module")
def datil(elsewhere):
    with Installation() as d:
        # For the commands of this test alone: the scheduler of the installation shall not come in between.
        d.env.update(BZAPI_BASE_URL=f"{elsewhere.url}/rest", BZAPI_TOKEN="very secret",
                     PCI_IDS_URL=f"{elsewhere.url}/pci.ids", ARCHIVE_BASE_URL=f"{elsewhere.url}/pub/",
                     AUDIT_EMPLOYEE_DOMAINS="example.org, example.net")
        yield d


def run_job(datil, name, *args, check=True):
    job_args = [x for a in args for x in ("--job-arg", a)]
    done = datil.datil("cron", "run", name, *job_args, check=check)
    return done.stdout if check else done


PCI_IDS = """# List of PCI ID's
0010  Allied Telesis, Inc (Wrong ID)
1002  Advanced Micro Devices, Inc. [AMD/ATI]
\t1304  Kaveri
\t\t1002 1304  a subsystem
\t1305  Kaveri \u00fc
8086  Intel Corporation
\t3e9b  CoffeeLake-H GT2
\tXYZW  no number
\t3E9C  upper case
\t3e9b  CoffeeLake-H GT2 [UHD Graphics 630]
# List of known device classes, subclasses and programming interfaces
C 00  Unclassified device
8087  not a vendor any more
\t0001  nor a device
"""


def test_graphics_devices(datil, elsewhere, tmp_path):
    elsewhere.answer = lambda path, query: (200, PCI_IDS.encode()) if path == "/pci.ids" else (404, b"")
    assert run_job(datil, "update_graphics_pci") == "3 devices created, 0 updated, 1 skipped\n"
    rows = datil.sql("SELECT vendor_hex, adapter_hex, vendor_name, adapter_name FROM graphics_device ORDER BY 1, 2")
    assert rows == [
        ("0x1002", "0x1304", "Advanced Micro Devices, Inc. [AMD/ATI]", "Kaveri"),
        ("0x1002", "0x1305", "Advanced Micro Devices, Inc. [AMD/ATI]", "Kaveri \u00fc"),
        ("0x8086", "0x3e9b", "Intel Corporation", "CoffeeLake-H GT2 [UHD Graphics 630]"),
    ]
    assert run_job(datil, "update_graphics_pci") == "0 devices created, 0 updated, 4 skipped\n"
    file = tmp_path / "pci.ids"
    file.write_text("8086  Intel\n\t3e9b  Coffee\n")
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.name.startswith(("pytest-", "popen-")):
            parent.chmod(0o755)
    assert run_job(datil, "update_graphics_pci", f"file={file}") == "0 devices created, 1 updated, 0 skipped\n"
    for status, body, words in ((500, b"", "status 500"), (200, b"<html>sorry</html>", "no list of PCI ids")):
        elsewhere.answer = lambda path, query, s=status, b=body: (s, b)
        failed = run_job(datil, "update_graphics_pci", check=False)
        assert failed.returncode == 1 and words in failed.stdout + failed.stderr
    assert len(datil.sql("SELECT 1 FROM graphics_device")) == 3


def associations(datil):
    return datil.sql("SELECT bug_id, signature FROM bug_association ORDER BY 1, 2")


def pages(*lists):
    """A tracker that pages by offset; then an empty page."""
    bugs = [b for page in lists for b in page]
    sizes = [len(page) for page in lists]

    def answer(path, query):
        offset, at = int(query["offset"][0]), 0
        for size in sizes:
            if offset == at:
                return 200, json.dumps({"bugs": bugs[at:at + size]}).encode()
            at += size
        return 200, b'{"bugs": []}'
    return answer


def bug(number, field):
    return {"id": number, "cf_crash_signature": field}


def test_bugs_of_signatures(datil, elsewhere):
    elsewhere.requests.clear()
    elsewhere.answer = pages(
        [bug(1, "[@ OOM | large ]\r\n[@ foo::bar<int>::baz[1]]"), bug(2, "[@ even::this[] ]")],
        [bug(3, "text [@ open"), bug(4, "[@ a ][@ b ][@ a ][@  ]"), bug(5, None), {"id": 6}])
    out = run_job(datil, "bugassociations")
    assert "6 bugs looked at, 5 signatures added, 0 removed" in out and "bug 2: added even::this[]" in out
    want = [(1, "OOM | large"), (1, "foo::bar<int>::baz[1]"), (2, "even::this[]"), (4, "a"), (4, "b")]
    assert sorted(associations(datil)) == sorted(want)
    path, query, headers = elsewhere.requests[0]
    assert path == "/rest/bug" and headers["X-BUGZILLA-API-KEY"] == "very secret"
    assert query["chfield"] == ["[Bug creation]", "cf_crash_signature"] and query["chfieldto"] == ["Now"]
    assert query["include_fields"] == ["id", "cf_crash_signature", "groups"]
    assert [int(q["offset"][0]) for _, q, _ in elsewhere.requests] == [0, 2, 6]
    assert "very secret" not in out

    # The same again changes nothing; what changed in the tracker changes here; others keep their rows.
    assert "0 signatures added, 0 removed" in run_job(datil, "bugassociations")
    elsewhere.answer = pages([bug(4, "[@ b ]\n[@ c ]"), bug(2, "")])
    out = run_job(datil, "bugassociations")
    assert "1 signatures added, 2 removed" in out
    assert sorted(associations(datil)) == sorted([(1, "OOM | large"), (1, "foo::bar<int>::baz[1]"), (4, "b"), (4, "c")])


@pytest.mark.parametrize("status, body, words", [
    (401, b'{"message": "very secret"}', "status 401"),
    (200, b"<html>", "without a list of bugs"),
    (200, b'{"faults": []}', "without a list of bugs"),
    (200, b'{"bugs": [{"cf_crash_signature": "[@ x ]"}]}', "without an id"),
])
def test_a_tracker_that_fails_loses_nothing(datil, elsewhere, status, body, words):
    before = associations(datil)
    elsewhere.answer = lambda path, query: (status, body)
    failed = run_job(datil, "bugassociations", check=False)
    text = failed.stdout + failed.stderr
    assert failed.returncode == 1 and words in text.lower() and "very secret" not in text
    assert associations(datil) == before


def test_servers_that_hang_are_left(datil, elsewhere, monkeypatch):
    """Each request has its limit; of a tracker that hangs at its second page the first one counts, and the run has failed."""
    for key in ("BZAPI", "PCI_IDS", "ARCHIVE"):
        monkeypatch.setitem(datil.env, f"{key}_TIMEOUT_MS", "700")
    elsewhere.answer = lambda path, query: ("hangs", b"")
    before, count = associations(datil), len(elsewhere.left)
    for job in ("bugassociations", "update_graphics_pci"):
        failed = run_job(datil, job, check=False)
        assert failed.returncode == 1 and "unavailable" in failed.stdout + failed.stderr
    assert associations(datil) == before
    assert run_job(datil, "archivescraper").startswith("Firefox: found 0 builds; inserted 0 builds\n")
    # releases and candidates of three products, two others: none was waited for longer than its limit.
    wait_until(lambda: len(elsewhere.left) == count + 8 and all(elsewhere.left), 20, "clients that leave")
    monkeypatch.setitem(datil.env, "BZAPI_TIMEOUT_MS", "3000")
    first = pages([bug(70, "[@ hangs behind ]")])
    elsewhere.answer = lambda path, query: first(path, query) if query["offset"] == ["0"] else ("hangs", b"")
    assert run_job(datil, "bugassociations", check=False).returncode == 1
    assert (70, "hangs behind") in associations(datil)
    elsewhere.answer = pages([bug(70, None)])
    run_job(datil, "bugassociations")
    assert associations(datil) == before


def test_bugs_that_few_may_see(datil, elsewhere):
    """Bugzilla shows some bugs to members of groups only: here they are for people who are logged in."""
    datil.add_user("reader@example.org")
    token = datil.token("reader@example.org")
    elsewhere.answer = pages([bug(80, "[@ seen ]") | {"groups": []}, bug(81, "[@ seen ]") | {"groups": ["security"]}])
    elsewhere.requests.clear()
    run_job(datil, "bugassociations")
    assert elsewhere.requests[0][1]["include_fields"] == ["id", "cf_crash_signature", "groups"]

    def bugs(headers=None):
        found = {h["id"] for h in datil.get("/api/Bugs/", {"signatures": "seen"}, headers).json["hits"]}
        by_bug = datil.get("/api/SignaturesByBugs/", {"bug_ids": ["80", "81"]}, headers).json["hits"]
        assert {h["id"] for h in by_bug} == found
        page = datil.get("/signature/", {"signature": "seen"}, headers).text
        assert {n for n in (80, 81) if f"show_bug.cgi?id={n}" in page or f">{n}<" in page} <= {int(f) for f in found}
        return {int(f) for f in found}

    assert bugs() == {80} and bugs({"Auth-Token": token}) == {80, 81}
    elsewhere.answer = pages([bug(80, "[@ seen ]") | {"groups": ["security"]}, bug(81, "[@ seen ]") | {"groups": []}])
    assert "0 signatures added, 0 removed" in run_job(datil, "bugassociations")
    assert bugs() == {81}
    elsewhere.answer = pages([bug(80, ""), bug(81, "")])
    run_job(datil, "bugassociations")


def test_jobs_that_have_nobody_to_ask_are_told(datil):
    """The scheduler of the installation has no addresses: that is no ALLGOOD to rely on."""
    def rows():
        answer = datil.get("/monitoring/cron/")
        assert answer.headers["Vary"] == "Accept"
        return answer.json, {j["job"]: j["lacks"] for j in answer.json["jobs"]}
    wait_until(lambda: len(rows()[1]) > 20, 30, "rows of all jobs")
    body, lacks = rows()
    wanted = {"bugassociations": "BZAPI_BASE_URL", "update_graphics_pci": "PCI_IDS_URL", "archivescraper": "ARCHIVE_BASE_URL"}
    assert {j: k for j, k in lacks.items() if k} == wanted and set(body["unconfigured"]) == set(wanted)
    page = datil.get("/monitoring/cron/", headers={"Accept": "text/html"})
    assert page.headers["Vary"] == "Accept"
    for key in wanted.values():
        assert f"set <code>{key}</code>" in page.text


def test_audit_of_groups(datil):
    people = {  # e-mail: (active, days since log-in, token, excepted) -> reason to go
        "new@example.org": ((True, None, False, False), None),
        "busy@example.net": ((True, 364, False, False), None),
        "gone@example.org": ((True, 366, False, False), "inactive 366d, no tokens"),
        "robot@example.org": ((True, 900, True, False), None),
        "off@example.org": ((False, 1, True, True), "!is_active"),
        "guest@elsewhere.org": ((True, 1, False, True), None),
        "stranger@notexample.org": ((True, 1, False, False), "not employee or exception"),
    }
    for email, ((active, days, token, excepted), _) in people.items():
        datil.add_user(email, "a long password", "--group", "Hackers")
        if token:
            datil.token(email)
        datil.sql("UPDATE app_user SET is_active = %s, last_login = now() - %s * interval '1 day' WHERE email = %s",
                  active, days, email)
        if excepted:
            datil.sql("INSERT INTO policy_exception (user_id) SELECT id FROM app_user WHERE email = %s", email)

    def members():
        return {e for (e,) in datil.sql("SELECT u.email FROM app_user u JOIN app_user_group ug ON ug.user_id = u.id"
                                        " JOIN app_group g ON g.id = ug.group_id WHERE g.name = 'Hackers'")}
    assert members() == set(people)
    assert "Total removed: 3" in run_job(datil, "auditgroups", "dry-run=1")
    assert members() == set(people)
    out = run_job(datil, "auditgroups")
    assert "SKIP: robot@example.org" in out and "Total removed: 3" in out
    assert members() == {e for e, (_, reason) in people.items() if not reason}
    log = datil.sql("SELECT message FROM audit_log WHERE user_name = 'auditgroups' ORDER BY id")
    assert {m for (m,) in log} == {f"Removed {e} from hackers--{r}." for e, (_, r) in people.items() if r}
    assert datil.sql("SELECT is_active, password_hash FROM app_user WHERE email = 'auditgroups'") == [(False, None)]
    assert "Total removed: 0" in run_job(datil, "auditgroups")


HEADING = "product_name,release_channel,major_version,release_version,version_string,build_id,archive_url"


def test_versions_by_file(datil, tmp_path):
    lines = ['Firefox,beta,63,63.0,63.0b4,20180906081316,https://archive.example/a',
             '"Fire, Fox",beta,63,63.0,"63.0""b5",20180910,', 'Editor,release,2,2.1,2.1,77,']
    file, copy = tmp_path / "versions.csv", tmp_path / "copy.csv"
    file.write_text("\n".join([HEADING, *lines, lines[0]]) + "\n")
    assert "3 builds added, 1 were there already" in datil.datil("version", "load", file).stdout
    assert datil.sql("SELECT version_string, archive_url FROM product_version WHERE product_name = 'Editor'") \
        == [("2.1", None)]
    assert datil.datil("dumppv", "-").stdout == "\n".join([HEADING, *sorted(lines)]) + "\n"
    datil.datil("dumppv", copy)
    assert "0 builds added, 3 were there already" in datil.datil("loadpv", copy).stdout
    file.write_text("\r\n".join(lines[2:]))  # without heading, CRLF, no end
    assert "0 builds added, 1 were" in datil.datil("loadpv", file).stdout
    for bad, words in (("Editor,release,x,2.1,2.1,78,", "line 2"), ("Editor,release,2", "line 2: 3 fields"),
                       (f"Editor,release,2,2.1,2.1,{'7' * 51},", "build_id has 51"), ("Editor,,2,2.1,2.1,78,", "line 2"),
                       ('Editor,"release,2', "a quote that does not end")):
        file.write_text("Editor,release,3,3.0,3.0,80,\n" + bad + "\n")
        failed = datil.datil("loadpv", file, check=False)
        assert failed.returncode == 1 and words in failed.stderr, failed
    assert datil.sql("SELECT count(*) FROM product_version") == [(3,)], "a bad line loads nothing"


def test_versions_by_token(datil, minidump):
    """A build system registers its builds; reports of them get their numbers."""
    datil.add_user("builds@example.org", "correct horse battery staple", "--group", "Uploaders")
    token = datil.token("builds@example.org", "upload_symbols")
    table = "SELECT version_string, major_version, archive_url FROM product_version WHERE product_name = 'Builder' ORDER BY 1"

    def post(body, kind="application/json", token=token):
        answer = datil.request("POST", "/api/ProductVersions/", body, {"Content-Type": kind} | ({"Auth-Token": token} if token else {}))
        return answer.status, answer.json

    build = {"product_name": "Builder", "release_channel": "beta", "release_version": "63.0", "version_string": "63.0b4",
             "build_id": 20261101081316}
    assert post(json.dumps(build)) == (200, {"found": 1, "inserted": 1})
    assert post(json.dumps([build, build | {"version_string": "63.0b5", "build_id": "20261102", "archive_url": "https://a.example/"}])) \
        == (200, {"found": 2, "inserted": 1})
    lines = f"{HEADING}\nBuilder,release,63,63.0,63.0,20261103,\n"
    assert post(lines, "text/csv; charset=utf-8") == (200, {"found": 1, "inserted": 1})
    assert post(lines, "text/csv") == (200, {"found": 1, "inserted": 0})
    known = [("63.0", 63, None), ("63.0b4", 63, None), ("63.0b5", 63, "https://a.example/")]
    assert datil.sql(table) == known
    said = "Bad request: BadArgumentError: "
    for body, kind, text in [
            (json.dumps([build, build | {"build_id": "1", "channel": "x"}]), "application/json", "entry 2: unknown key 'channel'"),
            (json.dumps([build | {"build_id": "1"}, build | {"build_id": ["1"]}]), "application/json", "entry 2: build_id is no text"),
            (json.dumps(build | {"build_id": "7" * 51}), "application/json", "entry 1: build_id has 51 bytes"),
            (json.dumps(build | {"release_version": "next"}), "application/json", "entry 1: major_version has 0 bytes"),
            (json.dumps(build | {"version_string": ""}), "application/json", "entry 1: version_string has 0 bytes"),
            ("[]", "application/json", "no builds"), ("[7]", "application/json", "entry 1 is no object"),
            (lines + "Builder,release,63,63.0\n", "text/csv", "line 3: 4 fields, wanted are 7"),
            (lines + "Builder,release,63,63.0,\0,7,\n", "text/csv", "line 3: version_string is not UTF-8")]:
        assert post(body, kind) == (400, {"error": said + text})
    assert post("[", "application/json")[0] == 400
    assert post(json.dumps([build | {"build_id": str(n)} for n in range(10001)]))[0] == 413
    assert post(lines, "text/plain")[0] == 415
    assert post(lines, "text/csv", token=None) == (403, {"error": "Use of this endpoint requires the 'Upload Symbols Files' permission"})
    assert post(lines, "text/csv", token=datil.token("builds@example.org", "manage_tokens"))[0] == 403
    assert datil.sql(table) == known, "what is refused adds nothing"
    datil.datil("product", "add", "Builder")
    crash = datil.post({"ProductName": "Builder", "ReleaseChannel": "beta", "Version": "63.0", "BuildID": "20261101081316"}, minidump)
    assert datil.wait_processed(crash)["version"] == "63.0b4"
    datil.sql("DELETE FROM product_version WHERE product_name = 'Builder'")


def listing(*names):
    links = "".join(f'<tr><td>Dir</td><td><a href="/pub/elsewhere/{n}">{n}</a></td></tr>\n' for n in names)
    return f"<!DOCTYPE html><html><body><table><a href='..'>..</a>{links}</table></body></html>".encode()


def hub(channel, version, build):
    return json.dumps({"target": {"channel": channel, "version": version}, "build": {"id": build}}).encode()


def old(channel, version, build):
    return json.dumps({"moz_update_channel": channel, "moz_app_version": version, "buildid": build}).encode()


ARCHIVE = {
    "/pub/firefox/releases/": listing("63.0b7/", "63.0/", "62.0.3/", "latest/", "../", "<b>", "64.0 x/"),
    "/pub/firefox/candidates/": listing("63.0b7-candidates/", "63.0-candidates/", "64.0b1-candidates/",
                                        "60.2.0esr-candidates/", "archived/", "59.0-candidates/", "99/../-candidates/"),
    "/pub/firefox/candidates/63.0b7-candidates/": listing("build1/", "build2/", "build10/", "buildx/", "build9999/"),
    "/pub/firefox/candidates/63.0b7-candidates/build2/": listing("win32/", "linux-x86_64/", "source/", "jsshell-win/",
                                                                  "x.txt"),
    "/pub/firefox/candidates/63.0b7-candidates/build2/win32/en-US/": listing(
        "firefox-63.0b7.json", "firefox-63.0b7.mozinfo.json", "firefox.test_packages.json", "buildhub.json"),
    "/pub/firefox/candidates/63.0b7-candidates/build2/win32/en-US/buildhub.json": hub("beta", "63.0", "2018091801"),
    "/pub/firefox/candidates/63.0b7-candidates/build2/linux-x86_64/en-US/": listing("firefox-63.0b7.json", "z.json"),
    "/pub/firefox/candidates/63.0b7-candidates/build2/linux-x86_64/en-US/firefox-63.0b7.json":
        old("beta", "63.0", "2018091802"),
    "/pub/firefox/candidates/63.0b7-candidates/build10/": listing("win32/"),
    "/pub/firefox/candidates/63.0b7-candidates/build10/win32/en-US/": listing("buildhub.json"),
    "/pub/firefox/candidates/63.0b7-candidates/build10/win32/en-US/buildhub.json": hub("beta", "63.0", "2018092001"),
    "/pub/firefox/candidates/63.0-candidates/": listing("build1/", "build2/"),
    "/pub/firefox/candidates/63.0-candidates/build1/": listing("mac/"),
    "/pub/firefox/candidates/63.0-candidates/build1/mac/en-US/": listing("buildhub.json"),
    "/pub/firefox/candidates/63.0-candidates/build1/mac/en-US/buildhub.json": hub("release", "63.0", "2018101501"),
    "/pub/firefox/candidates/63.0-candidates/build2/": listing("mac/"),
    "/pub/firefox/candidates/63.0-candidates/build2/mac/en-US/": listing("buildhub.json"),
    "/pub/firefox/candidates/63.0-candidates/build2/mac/en-US/buildhub.json": hub("release", "63.0", "2018101802"),
    "/pub/firefox/candidates/64.0b1-candidates/": listing("build1/"),
    "/pub/firefox/candidates/64.0b1-candidates/build1/": listing("mac/", "win64/"),
    "/pub/firefox/candidates/64.0b1-candidates/build1/mac/en-US/": listing("buildhub.json"),
    "/pub/firefox/candidates/64.0b1-candidates/build1/mac/en-US/buildhub.json": b"{not json",
    "/pub/firefox/candidates/64.0b1-candidates/build1/win64/en-US/": listing("buildhub.json"),
    "/pub/firefox/candidates/64.0b1-candidates/build1/win64/en-US/buildhub.json": hub("beta", "64.0", "7" * 51),
    "/pub/firefox/candidates/60.2.0esr-candidates/": listing("build1/"),
    "/pub/firefox/candidates/60.2.0esr-candidates/build1/": listing("win32/"),
    "/pub/firefox/candidates/60.2.0esr-candidates/build1/win32/en-US/": listing("buildhub.json"),
    "/pub/firefox/candidates/60.2.0esr-candidates/build1/win32/en-US/buildhub.json": hub("esr", "60.2.0", "2018080101"),
    "/pub/firefox/candidates/59.0-candidates/": listing("build1/"),
    "/pub/firefox/candidates/59.0-candidates/build1/": listing("win32/"),
    "/pub/firefox/candidates/59.0-candidates/build1/win32/en-US/": listing("buildhub.json"),
    "/pub/firefox/candidates/59.0-candidates/build1/win32/en-US/buildhub.json": hub("release", "59.0", "2018030101"),
}


def test_archive(datil, elsewhere):
    elsewhere.answer = lambda path, query: (200, ARCHIVE[path]) if path in ARCHIVE else (404, b"")
    datil.sql("INSERT INTO product_version (product_name, release_channel, major_version, release_version,"
              " version_string, build_id) VALUES ('Firefox', 'x', 64, '64.0', '64.0', '1'),"
              " ('Thunderbird', 'x', 99, '99.0', '99.0', '1')")
    elsewhere.requests.clear()
    out = run_job(datil, "archivescraper")
    assert out == ("Firefox: found 6 builds; inserted 8 builds\nThunderbird: found 0 builds; inserted 0 builds\n"
                   "DevEdition: found 0 builds; inserted 0 builds\n")
    rows = datil.sql("SELECT release_channel, major_version, release_version, version_string, build_id"
                     " FROM product_version WHERE archive_url LIKE %s", elsewhere.url + "%")
    assert sorted(rows) == sorted([
        ("beta", 63, "63.0", "63.0b7rc2", "2018091801"), ("beta", 63, "63.0", "63.0b7rc2", "2018091802"),
        ("beta", 63, "63.0", "63.0b7rc10", "2018092001"), ("beta", 63, "63.0", "63.0b7", "2018092001"),
        ("beta", 63, "63.0", "63.0rc1", "2018101501"),
        ("beta", 63, "63.0", "63.0rc2", "2018101802"), ("release", 63, "63.0", "63.0", "2018101802"),
        ("esr", 60, "60.2.0", "60.2.0esrrc1", "2018080101"),
    ])
    url = datil.sql("SELECT archive_url FROM product_version WHERE build_id = '2018101501'")[0][0]
    assert url == elsewhere.url + "/pub/firefox/candidates/63.0-candidates/build1/mac/en-US/buildhub.json"
    asked = {path for path, _, _ in elsewhere.requests}
    assert not any("59.0" in p or ".." in p or "elsewhere" in p or "source" in p or "jsshell" in p for p in asked)
    assert "inserted 0 builds\nThunderbird" in run_job(datil, "archivescraper")

    # Lists without end, of any size, and servers that fail cost a bounded time and change nothing.
    for answer in (lambda path, query: (200, b"<a href=x>" * 200000),
                   lambda path, query: (200, listing(*[f"{n}.0-candidates/" for n in range(60, 400)])),
                   lambda path, query: (503, b"")):
        elsewhere.answer = answer
        assert "Firefox: found 0 builds" in run_job(datil, "archivescraper")
