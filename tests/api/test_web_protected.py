"""Protected data stays inside: every page and every endpoint, asked by people without view_pii.

The markers stand in every protected place of a report that was collected and processed for real;
no answer to a stranger may hold one of them.
"""
import re

import pytest

PASSWORD = "correct horse battery staple"
MARK = "Zq7protected"
SIGNATURE_FREE = {"Version": "3.1"}

PROTECTED = {
    "Comments": f"{MARK} comment", "URL": f"http://{MARK.lower()}.example/page",
    "RemoteType": f"webIsolated={MARK}", "Email": f"{MARK}@example.org",
    "NobodyKnowsThis": f"{MARK} unknown annotation",
}
SEEN = re.compile(MARK, re.I)


@pytest.fixture(scope="module")
def crash(datil, minidump):
    crash_id = datil.post({**PROTECTED, **SIGNATURE_FREE}, minidump)
    doc = datil.wait_processed(crash_id)
    datil.add_user("plain@example.org", PASSWORD)
    datil.add_user("hacker@example.org", PASSWORD, "--group", "Hackers")
    return {"id": crash_id, "signature": doc["signature"],
            "plain": datil.token("plain@example.org"),
            "pii": datil.token("hacker@example.org", "view_pii"),
            "raw": datil.token("hacker@example.org", "view_rawdump")}


def pages(crash):
    signature = {"signature": crash["signature"]}
    protected = ["user_comments", "url", "remote_type"]
    return [
        ("/", {}), ("/home/product/Crashme", {}),
        ("/report/index/" + crash["id"], {}),
        ("/search/", {"product": "Crashme", "_columns": protected, "_facets": protected, "_sort": "url"}),
        ("/search/", {"user_comments": "~" + MARK, "_facets": ["_cardinality.url", "_histogram.date"]}),
        ("/search/results/", {"product": "Crashme", "_columns": protected, "_facets": protected}),
        ("/search/fields/", {}),
        ("/topcrashers/", {"product": "Crashme", "version": "3.1", "process_type": "any"}),
        ("/signature/", {**signature, "_columns": protected, "_aggregations": ",".join(protected), "_graph": "remote_type"}),
        ("/signature/summary/", signature), ("/signature/reports/", {**signature, "_columns": protected}),
        ("/signature/bugzilla/", signature), ("/signature/comments/", signature),
        ("/signature/graphs/remote_type/", signature), ("/signature/aggregation/user_comments/", signature),
        ("/signature/", {**signature, "_correlations": "page"}), ("/signature/correlations/", {**signature, "_correlations": "page"}),
        ("/api/Correlations/", {"product": "Crashme", **signature}),
        ("/api/Correlations/", {"group": "product=Crashme&url=!__null__", "reference": "product=Crashme", "format": "text"}),
        ("/api/SignatureStats/", signature), ("/api/SignatureStats/", {"product": "Crashme", "measure": "installs"}),
        ("/api/SuperSearch/", {"product": "Crashme", "_columns": protected + ["uuid"], "_facets": protected}),
        ("/api/SuperSearch/", {"_aggs.product": protected, "_histogram.date": protected}),
        ("/api/SuperSearchUnredacted/", {"product": "Crashme", "_columns": protected}),
        ("/api/ProcessedCrash/", {"crash_id": crash["id"]}),
        ("/api/ProcessedCrash/", {"crash_id": crash["id"], "pretty": "print"}),
        ("/api/RawCrash/", {"crash_id": crash["id"]}),
        ("/api/RawCrash/", {"crash_id": crash["id"], "format": "meta"}),
        ("/api/RawCrash/", {"crash_id": crash["id"], "format": "raw"}),
        ("/api/RawCrash/", {"crash_id": crash["id"], "format": "raw", "name": "raw_crash"}),
        ("/api/CrashVerify/", {"crash_id": crash["id"]}),
    ]


def reader(crash, who):
    return {"Auth-Token": crash[who]} if who else {}


@pytest.mark.parametrize("who", [None, "plain", "raw"])
def test_no_answer_holds_protected_data(datil, crash, who):
    leaks = []
    for path, params in pages(crash):
        if who == "raw" and params.get("format") == "raw" and "name" not in params:
            continue  # this reader may have the minidump itself
        answer = datil.get(path, params, reader(crash, who))
        assert answer.status < 500, (path, answer)
        if SEEN.search(answer.text) and not ("user_comments" in params and "/search/" == path):
            leaks.append((path, params))
    assert not leaks


IGNORED = [  # path, parameters, what of them is protected
    ("/api/SuperSearch/", {"url": "~x", "_facets": ["user_comments", "product"], "_columns": ["uuid", "remote_type"]},
     "url, user_comments, remote_type"),
    ("/api/SuperSearch/", {"_sort": "-url", "_aggs.product": "_cardinality.user_comments", "_histogram.date": "remote_type"},
     "url, user_comments, remote_type"),
    ("/api/SuperSearch/", {"_facets": "_p95.phc_usable_size", "_aggs.product": "_avg.phc_usable_size", "_weights": "1", "_facets_sort": "installations"},
     "phc_usable_size, throttle_rate"),
    ("/search/", {"url": "~x", "_columns": "user_comments", "_facets": "remote_type", "_sort": "url"},
     "url, user_comments, remote_type"),
    ("/search/", {"url": "~x", "_dont_run": "1"}, "url"),
    ("/search/results/", {"product": "Crashme", "_facets": "_cardinality.url"}, "url"),
    ("/signature/", {"url": "~x", "_columns": "user_comments", "_aggregations": "product,remote_type", "_graph": "url"},
     "url, user_comments, remote_type"),
    ("/signature/summary/", {"url": "~x"}, "url"), ("/signature/reports/", {"_columns": "url"}, "url"),
    ("/signature/correlations/", {"url": "~x", "_correlations": "page"}, "url"),
    ("/signature/graphs/platform/", {"url": "~x"}, "url"), ("/signature/aggregation/platform/", {"url": "~x"}, "url"),
    ("/api/Correlations/", {"group": "product=Crashme&url=!__null__", "reference": "product=Crashme&user_comments=~x"},
     "url, user_comments"),
]


@pytest.mark.parametrize("path,params,names", IGNORED, ids=range(len(IGNORED)))
def test_what_was_dropped_is_named(datil, crash, path, params, names):
    """In a header, and in a line of pages; the JSON has the shape of any other answer."""
    if path.startswith("/signature/"):
        params = {"signature": crash["signature"], **params}
    for who, expected in ((None, names), ("plain", names), ("pii", None)):
        answer = datil.get(path, params, reader(crash, who))
        assert answer.status == 200, answer
        assert answer.headers.get("X-Datil-Ignored") == expected, who
        line = f"Ignored without permission: {names}"
        if answer.headers["Content-Type"].startswith("text/html"):
            assert (line in answer.text) == bool(expected)
        elif path == "/api/SuperSearch/":
            more = ["estimated_total"] if "_weights" in params and not expected else []
            assert sorted(answer.json) == sorted(["errors", "facets", "hits", "total"] + more)
    public = {k: v for k, v in params.items() if k in ("signature", "product")}
    assert datil.get(path, public).headers.get("X-Datil-Ignored") is None
    wide = datil.get(path, {**params, "no_such_field": "1", "_facets": "no_such"}, reader(crash, "pii"))
    assert wide.headers.get("X-Datil-Ignored") is None


def test_a_filter_on_a_protected_field_changes_nothing(datil, crash):
    """What a stranger may not see must not be guessable by searching for it either."""
    right = datil.search(product="Crashme", user_comments="~" + MARK)["total"]
    wrong = datil.search(product="Crashme", user_comments="~no such comment anywhere")["total"]
    assert right == wrong == datil.search(product="Crashme")["total"]


def test_sorting_by_a_protected_field_changes_nothing(datil, crash):
    up = datil.search(product="Crashme", _sort="url", _columns="uuid")["hits"]
    down = datil.search(product="Crashme", _sort="-url", _columns="uuid")["hits"]
    assert up == down


def test_permissions_open_exactly_their_part(datil, crash):
    with_pii, with_raw = reader(crash, "pii"), reader(crash, "raw")
    doc = datil.get("/api/ProcessedCrash/", {"crash_id": crash["id"]}, with_pii)
    assert doc.json["user_comments"] == PROTECTED["Comments"]
    raw = datil.get("/api/RawCrash/", {"crash_id": crash["id"]}, with_pii).json
    assert raw["NobodyKnowsThis"] == PROTECTED["NobodyKnowsThis"] and "metadata" in raw
    found = datil.get("/api/SuperSearchUnredacted/", {"user_comments": "~" + MARK, "_columns": ["uuid", "url"]}, with_pii)
    assert [hit["uuid"] for hit in found.json["hits"]] == [crash["id"]]

    refused = datil.get("/api/RawCrash/", {"crash_id": crash["id"], "format": "raw"}, with_pii)
    assert (refused.status, refused.json) == (403, {"error": "Binary response requires permissions: View Raw Dumps"})
    dump = datil.get("/api/RawCrash/", {"crash_id": crash["id"], "format": "raw"}, with_raw)
    assert dump.status == 200 and dump.body[:4] == b"MDMP"
    assert dump.headers["Content-Disposition"] == f'attachment; filename="{crash["id"]}.dmp"'


def test_documents_of_the_store_are_no_files(datil, crash):
    """raw_crash and processed_crash lie beside the dumps; a file name must not reach them."""
    for name in ("raw_crash", "processed_crash", "dump_names", "crash_report", "../raw_crash", "a/b", "x" * 31):
        answer = datil.get("/api/RawCrash/", {"crash_id": crash["id"], "format": "raw", "name": name}, reader(crash, "raw"))
        assert answer.status in (400, 404), name


def test_downloads_are_noted(datil, crash):
    datil.get("/api/RawCrash/", {"crash_id": crash["id"], "format": "raw"}, reader(crash, "raw"))
    rows = datil.sql("SELECT user_name, action, message FROM audit_log WHERE object_id = %s AND action = 'download'", crash["id"])
    assert ("hacker@example.org", "download", "upload_file_minidump") in rows


def test_answers_for_the_permitted_are_not_kept(datil, crash):
    for path in ("/api/ProcessedCrash/", "/api/RawCrash/"):
        answer = datil.get(path, {"crash_id": crash["id"]}, reader(crash, "pii"))
        assert "no-store" in answer.headers["Cache-Control"]
