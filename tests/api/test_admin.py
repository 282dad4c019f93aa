"""/siteadmin/: a page per subject, for superusers alone; what is done there asks, says so and is in the audit log."""
import html
import json
import re
import sys
import urllib.parse
from datetime import datetime, timezone
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import wait_until  # noqa: E402

PASSWORD = "correct horse battery"
FORM = "application/x-www-form-urlencoded"
HOSTILE = "<script>alert(1)</script>'\"&{csrf_token} \u202e ü %00 -- ;"
SUBJECTS = ["Accounts", "Groups", "Policy exceptions", "Tokens", "Product versions", "Bug associations", "Graphics devices",
            "Platforms", "Signatures", "Missing crashes", "Status notices", "Site status", "Search status", "Audit log", "Jobs",
            "Queues", "Reprocess", "Purge", "Protected data users", "Delete a crash"]
PERMISSIONS = ["view_pii", "view_rawdump", "run_custom_queries", "run_long_queries", "reprocess_crashes", "upload_symbols"]


class Person:
    """A browser without scripts: follows links and fills in forms that pages have."""

    def __init__(self, datil, email, *options):
        self.datil, self.cookie = datil, ""
        datil.add_user(email, PASSWORD, *options)
        page = self.get("/login/")
        self.cookie = self.cookies(page)
        answer = self.send("/login/", csrf_token=csrf(page), email=email, password=PASSWORD, next="/")
        assert answer.status in (302, 303), answer
        self.cookie = self.cookies(answer)

    @staticmethod
    def cookies(answer):
        kept = dict(c.split(";")[0].split("=", 1) for c in answer.headers.get_all("Set-Cookie") or [])
        return "; ".join(f"{k}={v}" for k, v in kept.items())

    def get(self, path):
        return self.datil.get(path, headers={"Cookie": self.cookie})

    def send(self, path, **fields):
        return self.datil.request("POST", path, urllib.parse.urlencode(fields), {"Content-Type": FORM, "Cookie": self.cookie})

    def post(self, path, **fields):
        return self.send(path, csrf_token=csrf(self.get("/api/tokens/")), **fields)

    def done(self, path, **fields):
        """A change: it leads back to its list, which says what was done."""
        answer = self.post(path, **fields)
        assert answer.status == 303, (path, answer)
        page = self.get(answer.headers["Location"])
        assert page.status == 200 and 'class="notice good"' in page.text
        return page.text


def csrf(page):
    return re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]


def audit(datil, action, object_):
    return [row[0] for row in datil.sql("SELECT object_id FROM audit_log WHERE action = %s AND object = %s ORDER BY id", action, object_)]


@pytest.fixture(scope="module")
def root(datil):
    yield Person(datil, "chief@example.org", "--superuser")
    # Crashes that were made up for these tests would be tried again for an hour.
    datil.sql("DELETE FROM crash_queue WHERE crash_id LIKE '%%-ad00-4000-8000-%%'")


def links(page):
    return dict((html.unescape(word), url) for url, word in re.findall(r'<li><a href="(/siteadmin/[^"]*)">([^<]+)</a>', page.text))


def test_every_subject_has_a_page(datil, root):
    found = links(root.get("/siteadmin/"))
    assert set(SUBJECTS) <= set(found)
    for word in SUBJECTS:
        page = root.get(found[word])
        assert page.status == 200 and f"<h1>{word}</h1>" in page.text, word
        assert page.headers["Cache-Control"] == "no-store" or "no-store" in page.headers["Cache-Control"], word


POSTS = {"/siteadmin/platforms/add/": {"name": "X", "short_name": "x"}, "/siteadmin/platforms/delete/": {"id": "1"},
         "/siteadmin/notices/add/": {"message": "x", "severity": "info"}, "/siteadmin/notices/hide/": {"id": "1"},
         "/siteadmin/tokens/delete/": {"id": "1"}, "/siteadmin/missing/put-back/": {"id": "x"}, "/siteadmin/queues/put-back/": {"id": "1"},
         "/siteadmin/jobs/run/": {"id": "crontest"}, "/siteadmin/signatures/delete/": {"id": "x"},
         "/siteadmin/reprocess/": {"crash_ids": "x"}, "/siteadmin/reprocess/affected/": {},
         "/siteadmin/reprocess/start/": {"crash_ids": "x", "ruleset": "default"}, "/siteadmin/delete/": {"crash_id": "00000000-0000-4000-8000-000000260101"}, "/siteadmin/bugs/add/": {"bug_id": "1", "signature": "x"}}


def test_nobody_but_superusers(datil, root):
    """Strangers, accounts, and accounts with each single permission, all of them, or staff."""
    people = [Person(datil, "nobody@example.org"), Person(datil, "staff@example.org", "--staff"),
              Person(datil, "plus@example.org", "--group", "Hackers Plus")]
    for permission in PERMISSIONS:
        people.append(Person(datil, f"{permission}@example.org"))
        datil.sql("INSERT INTO app_user_permission SELECT id, %s FROM app_user WHERE email = %s", permission, f"{permission}@example.org")
    paths = ["/siteadmin/", *links(root.get("/siteadmin/")).values()]
    before = [datil.sql(f"SELECT count(*) FROM {t}") for t in ("platform", "status_message", "bug_association", "audit_log")]
    for path in paths:
        for who in [None, *people]:
            answer = who.get(path) if who else datil.get(path)
            assert answer.status == 302 and answer.headers["Location"] == "/login/?next=" + urllib.parse.quote(path, safe=""), (path, who)
    for path, fields in POSTS.items():
        assert datil.request("POST", path, urllib.parse.urlencode(fields), {"Content-Type": FORM}).status == 302
        for who in people:
            assert who.post(path, **fields).status == 302, path
    assert [datil.sql(f"SELECT count(*) FROM {t}") for t in ("platform", "status_message", "bug_association", "audit_log")] == before
    assert Person.get(people[0], "/login/?next=%2Fsiteadmin%2F").status == 200


def test_no_form_without_its_token(datil, root):
    for path, fields in POSTS.items():
        for token in ({}, {"csrf_token": "x"}):
            assert root.send(path, **token, **fields).status == 403, path
        link = path + "?" + urllib.parse.urlencode(fields)
        assert datil.request("GET", link, headers={"Cookie": root.cookie}).status in (200, 405)
    assert not datil.sql("SELECT 1 FROM platform WHERE name = 'X'")


def test_other_methods_are_told_the_right_ones(datil, root):
    """405 names what the address takes, also to those who may not use it."""
    both = {"/siteadmin/reprocess/", "/siteadmin/delete/"}
    for path in POSTS:
        refused = datil.request("PUT", path, headers={"Cookie": root.cookie})
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, POST, OPTIONS" if path in both else "POST, OPTIONS"), path
        if path not in both:
            assert datil.request("GET", path).headers["Allow"] == "POST, OPTIONS"
    for path in links(root.get("/siteadmin/")).values():
        methods = {"/siteadmin/reprocess/": "GET, POST, OPTIONS", "/siteadmin/delete/": "GET, POST, OPTIONS", "/siteadmin/purge/": "GET, POST, OPTIONS"}
        assert datil.request("DELETE", path).headers["Allow"] == methods.get(path, "GET, OPTIONS"), path
    assert datil.request("GET", "/logout/").headers["Allow"] == "POST, OPTIONS"
    assert datil.request("GET", "/submit").headers["Allow"] == "POST, OPTIONS"
    assert datil.request("POST", "/search/").headers["Allow"] == "GET, OPTIONS"


ADDED = [
    ("platforms", "platform", {"name": "Haiku", "short_name": "hai"}, "Haiku"),
    ("graphics", "graphics device", {"vendor_hex": "10DE", "adapter_hex": "0xABCD", "vendor_name": "NVIDIA", "adapter_name": "Card"}, "0x10de 0xabcd"),
    ("bugs", "bug association", {"bug_id": "123456", "signature": "admin::page"}, "123456 admin::page"),
    ("signatures", "signature", {"signature": "admin::first", "first_build": "20260101000000", "first_date": "2026-01-02"}, "admin::first"),
    ("exceptions", "policy exception", {"user": "Excepted@example.org", "comment": "until June"}, "excepted@example.org"),
]


@pytest.mark.parametrize("path, object_, fields, name", ADDED, ids=[a[0] for a in ADDED])
def test_add_and_delete(datil, root, path, object_, fields, name):
    if path == "exceptions":
        datil.add_user("excepted@example.org", PASSWORD)
    where = f"/siteadmin/{path}/"
    page = root.get(where).text
    for field in fields:
        assert f'<label for="{field}">' in page and f'name="{field}"' in page
    assert ">Add</button>" in page
    text = root.done(where + "add/", **fields)
    assert f"Done: add {object_} {name}" in text and audit(datil, "add", object_)[-1] == name
    assert root.post(where + "add/", **fields).status == 400  # there already; what was typed stays
    last = list(fields.values())[0]
    assert html.escape(last) in root.post(where + "add/", **fields).text
    found = root.get(where + "?" + urllib.parse.urlencode({"q": list(fields.values())[0].lower()})).text
    id_ = html.unescape(re.search(r'name="id" value="([^"]+)"', found)[1])
    assert "<summary" in found and ">Confirm</button>" in found
    text = root.done(where + "delete/", id=id_)
    assert f"Done: Delete {object_} {name}" in text and audit(datil, "Delete", object_)[-1] == name
    assert root.post(where + "delete/", id=id_).status == 409


@pytest.mark.parametrize("path", [a[0] for a in ADDED] + ["notices", "audit", "tokens", "missing", "queues", "versions", "accounts", "jobs"])
def test_hostile_values(datil, root, path):
    """Searched, added, used as an id: shown as text or refused, and no failure of ours."""
    where = f"/siteadmin/{path}/"
    page = root.get(where + "?" + urllib.parse.urlencode({"q": HOSTILE, "page": "99999999999999999999", "state": HOSTILE, "from": HOSTILE, "to": "2026-99-99",
                                                          "user": HOSTILE, "object": HOSTILE}))
    assert page.status in (200, 400) and "<script>alert" not in page.text
    fields = dict.fromkeys(re.findall(r'<(?:input|select) id="(\w+)" [^>]*name="\w+"', root.get(where).text), HOSTILE)
    if ">Add</button>" in root.get(where).text:
        answer = root.post(where + "add/", **fields)
        assert answer.status in (303, 400)
        for value in (HOSTILE * 500, "", "\x00", "9" * 40):
            assert root.post(where + "add/", **dict.fromkeys(fields, value)).status in (303, 400)
    for action in set(re.findall(rf'action="{where}([a-z-]+/)"', root.get(where).text)) - {"add/"}:
        for value in (HOSTILE, "", "9" * 40, "-1", "\x00"):
            assert root.post(where + action, id=value).status in (400, 409), value
    assert "<script>alert" not in root.get(where).text
    assert "<script>alert" not in root.get("/siteadmin/audit/").text


def test_notices(datil, root):
    root.done("/siteadmin/notices/add/", message="<i>See bug #77", severity="warning")
    wait_until(lambda: "&lt;i&gt;See <a href=" in datil.get("/").text, what="the notice on every page")
    number = datil.sql("SELECT max(id) FROM status_message")[0][0]
    root.done("/siteadmin/notices/hide/", id=number)
    wait_until(lambda: "See <a href=" not in datil.get("/").text, what="the notice to go")
    assert root.post("/siteadmin/notices/hide/", id=number).status == 409
    assert root.post("/siteadmin/notices/add/", message="x", severity="loud").status == 400
    root.done("/siteadmin/notices/show/", id=number)
    root.done("/siteadmin/notices/hide/", id=number)


def test_tokens_of_all(datil, root):
    datil.add_user("owner@example.org", PASSWORD, "--group", "Hackers")
    key = datil.token("owner@example.org", "view_pii")
    page = root.get("/siteadmin/tokens/?q=OWNER@").text
    assert key[:12] in page and key not in page and "owner@example.org" in page and "crashstats.view_pii" in page
    assert datil.get("/api/SuperSearchUnredacted/", headers={"Auth-Token": key}).status == 200
    root.done("/siteadmin/tokens/delete/", id=re.search(r'name="id" value="(\d+)"', page)[1])
    assert datil.get("/api/SuperSearchUnredacted/", headers={"Auth-Token": key}).status == 403


def crash_id(n):
    return f"{n:08x}-ad00-4000-8000-000000{datetime.now(timezone.utc):%y%m%d}"


def test_missing_crashes_go_back(datil, root):
    open_, closed = crash_id(1), crash_id(2)
    datil.sql("INSERT INTO missing_processed_crash VALUES (%s, false), (%s, true)", open_, closed)
    page = root.get("/siteadmin/missing/?state=no").text
    assert open_ in page and closed not in page and "Put back" in page
    assert closed in root.get("/siteadmin/missing/?state=yes").text
    root.done("/siteadmin/missing/put-back/", id=open_)
    assert datil.sql("SELECT count(*) FROM crash_ledger WHERE crash_id = %s", open_) == [(1,)]
    assert audit(datil, "Put back", "missing crash")[-1] == open_
    assert root.post("/siteadmin/missing/put-back/", id=crash_id(3)).status == 409
    assert not datil.sql("SELECT 1 FROM crash_ledger WHERE crash_id = %s", crash_id(3))
    datil.sql("DELETE FROM missing_processed_crash WHERE crash_id IN (%s, %s)", open_, closed)


def test_failed_crashes_go_back(datil, root):
    id_ = crash_id(4)
    number = datil.sql("INSERT INTO crash_queue (crash_id, queue, state, attempts, last_error) VALUES (%s, 1, 2, 5, 'io') RETURNING id", id_)[0][0]
    page = root.get("/siteadmin/queues/?state=failed").text
    assert id_ in page and "<h2>By queue</h2>" in page and f'value="{number}"' in page
    assert id_ not in root.get("/siteadmin/queues/?state=waiting").text
    root.done("/siteadmin/queues/put-back/", id=number)
    assert datil.sql("SELECT count(*) FROM crash_queue WHERE crash_id = %s AND (state = 2 OR attempts > 1)", id_) == [(0,)]
    assert root.post("/siteadmin/queues/put-back/", id=number).status == 409
    assert audit(datil, "Put back", "queue")[-1] == id_


def test_a_job_is_made_due(datil, root):
    datil.sql("UPDATE cron_job SET next_run = now() + interval '1 day' WHERE app_name = 'crontest'")
    root.done("/siteadmin/jobs/run/", id="crontest")
    assert datil.sql("SELECT next_run <= now() FROM cron_job WHERE app_name = 'crontest'") == [(True,)]
    assert root.post("/siteadmin/jobs/run/", id="nothing").status == 409


def test_audit_log_is_filtered(datil, root):
    root.done("/siteadmin/platforms/add/", name="Plan 9", short_name="pla")
    today = f"{datetime.now(timezone.utc):%Y-%m-%d}"

    def rows(**filters):
        return re.findall(r"<tr><td", root.get("/siteadmin/audit/?" + urllib.parse.urlencode(filters)).text)
    assert len(rows(q="plan 9", user="CHIEF", object="platform", action="add", **{"from": today, "to": today})) == 1
    for other in ({"user": "nobody"}, {"object": "token"}, {"action": "delete"}, {"from": "2999-01-01"}, {"to": "2000-01-01"}, {"q": "plan 10"}):
        assert not rows(**{"q": "plan 9", **other}), other


def test_pages_of_a_long_list(datil, root):
    datil.sql("INSERT INTO graphics_device (vendor_hex, adapter_hex, vendor_name) SELECT '0xffff', '0x' || lpad(to_hex(n), 4, '0'), 'Long list' FROM generate_series(1, 120) n")
    seen, url = set(), "/siteadmin/graphics/?q=long+list"
    for _ in range(3):
        page = root.get(url).text
        seen |= set(re.findall(r">(0x00[0-9a-f]{2})<", page))
        following = re.search(r'rel="next" href="([^"]+)"', page)
        url = html.unescape(following[1]) if following else None
    assert len(seen) == 120 and url is None
    datil.sql("DELETE FROM graphics_device WHERE vendor_name = 'Long list'")


def test_a_crash_is_deleted_everywhere(datil, root):
    id_ = crash_id(5)
    doc = {"uuid": id_, "crash_id": id_, "product": "Crashme", "version": "1.0", "signature": "delete::me",
           "date_processed": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S}+00:00"}
    datil.datil("crash", "load", stdin=json.dumps(doc) + "\n")
    page = root.get("/siteadmin/delete/?crash_id=bp-" + id_).text
    for place in ("processed crash", "record for the export", "state: processed", "it is counted", "searches find it"):
        assert place in page, place
    assert "Confirm" in page and datil.search(uuid=id_)["total"] == 1
    done = root.post("/siteadmin/delete/", crash_id=id_)
    assert done.status == 200 and f"Deleted {id_}: 2 objects of the store, ledger, index." in done.text
    assert datil.search(uuid=id_)["total"] == 0 and datil.processed(id_) is None
    for table in ("crash_ledger", "crash_counted", "crash_queue"):
        assert not datil.sql(f"SELECT 1 FROM {table} WHERE crash_id = %s", id_)
    assert "It is nowhere." in root.get("/siteadmin/delete/?crash_id=" + id_).text
    assert audit(datil, "delete", "crash")[-1] == id_
    for value in (HOSTILE, "x" * 300, "00000000-0000"):
        answer = root.get("/siteadmin/delete/?" + urllib.parse.urlencode({"crash_id": value}))
        assert answer.status == 400 and "<script>alert" not in answer.text
        assert root.post("/siteadmin/delete/", crash_id=value).status == 400


def test_status_pages(datil, root):
    page = root.get("/siteadmin/site/").text
    for text in ("PostgreSQL ", "crash_ledger", "0001_core.sql", "RETENTION_DAYS", "that of this installation"):
        assert text in page, text
    assert "host=" not in page.split("DATABASE_URL")[1][:200] and "(secret)" in page
    page = root.get("/siteadmin/search/").text
    for text in ("Partitions", "Whole", "user_comments", "view_pii"):
        assert text in page, text


def load(datil, numbers, signature):
    day = datetime.now(timezone.utc)
    docs = [{"uuid": crash_id(n), "crash_id": crash_id(n), "product": "Crashme", "version": "1.0", "signature": signature,
             "date_processed": f"{day:%Y-%m-%dT%H:%M:%S}+00:00"} for n in numbers]
    folder = datil.var / "store" / f"{day:%Y%m%d}" / "raw_crash"
    folder.mkdir(parents=True, exist_ok=True)
    for doc in docs:
        (folder / f"{doc['uuid']}.json").write_text(json.dumps({"uuid": doc["uuid"], "ProductName": "Crashme", "Version": "1.0"}))
    datil.own(folder)
    datil.datil("crash", "load", stdin="".join(json.dumps(d) + "\n" for d in docs))
    return [d["uuid"] for d in docs]


def confirm(root, page):
    """Sends the form behind a preview as a browser would."""
    form = page.text.split('action="/siteadmin/reprocess/start/"')[1].split("</form>")[0]
    ids = html.unescape(re.search(r"<textarea[^>]*>(.*?)</textarea>", form, re.S)[1])
    rules = re.search(r'<option value="(\w+)" selected', form)
    return root.send("/siteadmin/reprocess/start/", csrf_token=csrf(page), what=html.unescape(re.search(r'name="what" value="([^"]*)"', form)[1]),
                     ruleset=rules[1] if rules else "default", crash_ids=ids)


@pytest.mark.parametrize("how", ["ids", "file", "signature", "search"])
def test_reprocess(datil, root, how):
    """A look tells how many there are and what changes; the second form queues them; the page shows how far they are."""
    base = {"ids": 100, "file": 200, "signature": 300, "search": 400}[how]
    wrong = f"wrong::{how}(int)"
    ids = load(datil, range(base, base + 6), wrong)
    fields = {"ids": {"crash_ids": "\n".join(["# a list", *ids[:3], ", ".join("bp-" + i for i in ids[3:]), crash_id(99)])},
              "file": {"file": "\r\n".join(ids)}, "signature": {"signature": wrong},
              "search": {"search": "https://x.example/search/?" + urllib.parse.urlencode({"signature": "=" + wrong, "_facets": "product"})}}[how]
    before = datil.sql("SELECT count(*) FROM reprocess_run")
    page = root.post("/siteadmin/reprocess/", ruleset="regenerate_signature", **fields)
    assert page.status == 200 and "6 crashes. This would change the signature of 6 of 6 sampled crashes." in page.text
    assert f"{wrong} -&gt; EMPTY: no frame data available" in page.text and datil.sql("SELECT count(*) FROM reprocess_run") == before
    assert ("1 have no raw crash" in page.text) == (how == "ids")
    assert datil.search(signature="=" + wrong)["total"] == 6  # nothing is changed yet
    assert confirm(root, page).status == 303
    wait_until(lambda: datil.search(signature="=" + wrong)["total"] == 0, 30, "the new signatures")
    run = wait_until(lambda: (p := root.get("/siteadmin/reprocess/progress/").json["runs"][0])["waiting"] == 0 and p, what="the end of the run")
    assert (run["total"], run["failed"]) == (6, 0)
    page = root.get("/siteadmin/reprocess/").text
    assert "6 of 6" in page and "chief@example.org" in page and "regenerate_signature" in page
    assert datil.sql("SELECT message FROM audit_log WHERE action = 'reprocess' ORDER BY id DESC LIMIT 1") == [("regenerate_signature, 6 crashes",)]


def test_reprocess_what_lists_affect(datil, root):
    load(datil, range(500, 503), "list::changed")
    page = root.post("/siteadmin/reprocess/affected/", ruleset="regenerate_signature")
    assert page.status == 200 and "list::changed -&gt; EMPTY: no frame data available" in page.text
    assert confirm(root, page).status == 303
    wait_until(lambda: datil.search(signature="=list::changed")["total"] == 0, 30, "the new signatures")


def test_reprocess_refuses(datil, root):
    before = datil.sql("SELECT count(*) FROM crash_queue WHERE queue = 2")
    for fields in ({}, {"crash_ids": "nothing"}, {"crash_ids": HOSTILE}, {"search": "nothing=1"}, {"search": "signature=@("}, {"signature": "x" * 2000},
                   {"crash_ids": crash_id(1), "ruleset": "other"}):
        answer = root.post("/siteadmin/reprocess/", **fields)
        assert answer.status == 400 and 'role="alert"' in answer.text and "<script>alert" not in answer.text, fields
    for ids in ("", "x", crash_id(98)):
        assert root.post("/siteadmin/reprocess/start/", crash_ids=ids, ruleset="default", what=HOSTILE).status == 400
    assert datil.sql("SELECT count(*) FROM crash_queue WHERE queue = 2") == before
