"""The JSON API: statuses, words and shapes that clients rely on."""
import json

import pytest

from harness import wait_until

UNKNOWN = "11111111-2222-4333-8444-555550260101"


@pytest.fixture(scope="module")
def crash(datil, minidump):
    crash_id = datil.post({"Version": "4.0", "Notes": "</script><b>"}, minidump)
    datil.wait_processed(crash_id)
    return crash_id


@pytest.mark.parametrize("path, params, status, body", [
    ("/api/ProcessedCrash/", {}, 400, {"errors": {"crash_id": ["This field is required."]}}),
    ("/api/RawCrash/", {}, 400, {"errors": {"crash_id": ["This field is required."]}}),
    ("/api/ProcessedCrash/", {"crash_id": UNKNOWN}, 404, {"error": f"Not found: CrashIDNotFound {UNKNOWN}"}),
    ("/api/RawCrash/", {"crash_id": UNKNOWN}, 404, {"error": f"Not found: CrashIDNotFound {UNKNOWN}"}),
    ("/api/CrashVerify/", {"crash_id": "nonsense"}, 400, {"error": "unknown crash id"}),
    ("/api/CrashVerify/", {"crash_id": UNKNOWN}, 200, {"uuid": UNKNOWN, "raw_crash": False, "processed_crash": False, "elasticsearch_crash": False, "telemetry_crash": False}),
    ("/api/NoSuchThing/", {}, 404, {"error": "No service called 'NoSuchThing'"}),
    ("/api/NoOp/", {"product": "x"}, 200, {"hits": [], "total": 0}),
    ("/api/NoOp/", {"product": "bad"}, 400, {"error": "Bad request: BadArgumentError: Bad value for parameter(s) 'Bad product'"}),
    ("/api/Bugs/", {}, 400, {"errors": {"signatures": ["This field is required."]}}),
    ("/api/Bugs/", {"signatures": "none such"}, 200, {"hits": [], "total": 0}),
    ("/api/SignatureFirstDate/", {"signatures": "none such"}, 200, {"hits": [], "total": 0}),
    ("/api/SignaturesByBugs/", {"bug_ids": "x"}, 400, {"error": "Bad request: BadArgumentError: Bad value for parameter(s) 'bug_ids'"}),
    ("/api/MissingProcessedCrash/", {"page": "0"}, 400, {"error": "invalid page number"}),
    ("/api/SuperSearch/", {"_facets_size": "x"}, 400, {"errors": {"_facets_size": ["Enter a whole number."]}}),
    ("/api/SuperSearch/", {"_results_number": "1001"}, 400, {"error": "Bad request: BadArgumentError: _results_number cannot be greater than 1,000"}),
    ("/api/SuperSearch/", {"_columns": "nope"}, 400, {"error": "Bad request: BadArgumentError: Unknown field 'nope'"}),
    ("/api/SuperSearchUnredacted/", {}, 403, {"error": "Use of this endpoint requires the 'View Personal Identifiable Information' permission"}),
    ("/nowhere", {}, 404, {"error": "Page not found", "path": "/nowhere", "query_string": ""}),
])
def test_words(datil, path, params, status, body):
    answer = datil.get(path, params, {"Accept": "application/json"})
    assert (answer.status, answer.json) == (status, body)


def test_methods_and_options(datil):
    answer = datil.request("POST", "/api/ProcessedCrash/", "", {"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status, answer.json) == (405, {"error": "Method not allowed"})
    answer = datil.request("OPTIONS", "/api/SuperSearch/")
    assert (answer.status, answer.json) == (200, {})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_tokens(datil):
    answer = datil.get("/api/SuperSearch/", headers={"Auth-Token": "0" * 32})
    assert (answer.status, answer.json) == (403, {"error": "API Token not matched"})


def test_answers_cannot_close_a_script(datil, crash):
    answer = datil.get("/api/ProcessedCrash/", {"crash_id": crash})
    assert "</" not in answer.text and answer.json["app_notes"] == "</script><b>"
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"


def test_verify_and_search_agree(datil, crash):
    def verify():
        return datil.get("/api/CrashVerify/", {"crash_id": "bp-" + crash}).json

    wait_until(lambda: verify()["elasticsearch_crash"], what="the index")
    seen = verify()
    assert seen["uuid"] == crash and seen["raw_crash"] and seen["processed_crash"]
    found = datil.search(uuid=crash, _columns=["uuid", "version"])
    assert found["hits"] == [{"uuid": crash, "version": "4.0"}]


def test_search_answers_may_be_kept_for_five_minutes(datil):
    answer = datil.get("/api/SuperSearch/", {"product": "Crashme"})
    assert answer.headers["Cache-Control"] == "private, max-age=300"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_fields_are_a_table(datil):
    fields = datil.get("/api/SuperSearchFields/").json
    assert fields["signature"]["name"] == "signature" and len(fields) > 100


def test_reprocessing(datil, crash):
    datil.add_user("again@example.org", "a long password", "--group", "Hackers")
    headers = {"Auth-Token": datil.token("again@example.org", "reprocess_crashes"),
               "Content-Type": "application/x-www-form-urlencoded"}

    def post(body):
        answer = datil.request("POST", "/api/Reprocessing/", body, headers)
        return answer.status, answer.json

    assert post(f"crash_ids={crash}&crash_ids={crash}:regenerate_signature") == (200, True)
    assert post("crash_ids=nonsense") == (400, {"error": "Bad request: BadArgumentError: Crash id 'nonsense' is not valid."})
    assert post(f"crash_ids={crash}:other") == (400, {"error": "Bad request: BadArgumentError: Ruleset 'other' is not valid."})
    del headers["Auth-Token"]
    assert post(f"crash_ids={crash}")[0] == 403


def test_a_post_reads_its_body_alone(datil):
    """A link with parameters must not be a form that somebody else has filled in."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body, head in [("", form), ("x=1", form), ("{}", {"Content-Type": "application/json"})]:
        answer = datil.request("POST", "/api/Bugs/?signatures=a", body, head)
        assert (answer.status, answer.json) == (400, {"errors": {"signatures": ["This field is required."]}}), body
    answer = datil.request("POST", "/api/Bugs/?signatures=a%00&pretty=print", "signatures=none+such", form)
    assert (answer.status, answer.text) == (200, '{"hits":[],"total":0}')


def test_crash_signature(datil):
    def post(body, kind="application/json"):
        answer = datil.request("POST", "/api/CrashSignature/", body, {"Content-Type": kind})
        return answer.status, answer.json

    assert post("{}") == (400, {"error": "no jobs specified"})
    assert post("not json")[0] == 400
    assert post("{}", "text/plain")[0] == 415
    job = {"crashing_thread": 0, "os": "Linux", "threads": [{"frames": [{"frame": 0, "function": "fun(int)", "module": "m"}]}]}
    status, answer = post(json.dumps({"jobs": [job]}))
    assert status == 200 and answer["results"][0]["signature"] == "fun"


def test_bugs(datil):
    datil.sql("INSERT INTO bug_association (bug_id, signature) VALUES (7, 'OOM | small'), (7, 'other'), (8, 'other')")
    both = {"hits": [{"id": 7, "signature": "OOM | small"}, {"id": 7, "signature": "other"}], "total": 2}
    assert datil.get("/api/Bugs/", {"signatures": "OOM | small"}).json == both
    posted = datil.request("POST", "/api/Bugs/", "signatures=OOM+%7C+small", {"Content-Type": "application/x-www-form-urlencoded"})
    assert posted.json == both
    assert datil.get("/api/SignaturesByBugs/", {"bug_ids": ["7", "8"]}).json["total"] == 3
