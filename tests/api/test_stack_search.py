"""Searches by what is in the stack: on the API, of crashes that were processed here and of made-up ones."""
import json
from datetime import datetime, timedelta, timezone

import pytest

DAY = datetime.now(timezone.utc) - timedelta(days=2)
HOSTILE = '<script>alert(1)</script>"&\'; DROP TABLE x; -- =cmd|\u202e'
LONG = "very::" * 5000


def crash_id(n):
    return f"{n:08x}-57ac-4000-8000-000000{DAY:%y%m%d}"


def frame(function=None, module="app.dll", file=None, inlines=()):
    return {"function": function, "module": module, "file": file, "registers": {"rax": "0xsecretregister"},
            "inlines": [{"function": f, "file": f + ".h", "line": 1} for f in inlines] or None}


def document(n, frames, others=(), modules=(("app.dll", "1.2.3"),)):
    threads = [{"frames": frames}, *({"frames": f} for f in others)]
    return {"uuid": crash_id(n), "product": "Stacks", "version": "1.0", "signature": f"stack {n}", "date_processed": f"{DAY:%Y-%m-%dT%H:%M:%S}+00:00",
            "json_dump": {"crashing_thread": {"frames": frames}, "threads": threads,
                          "modules": [{"filename": f, "version": v} for f, v in modules]}}


DOCUMENTS = [
    document(1, [frame("abort", "libc.so"), frame("grow", inlines=["check"]), frame("main")], [[frame("poll", "libc.so"), frame("loop", file="loop.c")]]),
    document(2, [frame("grow", file="grow.c"), frame("abort"), frame("main")], modules=[("app.dll", "1.10"), ("xul.dll", "128.0.0.1")]),
    document(3, [frame(None, "jit.so"), frame("grow"), {"truncated": {"msg": "9 frames truncated"}}, frame("main")], modules=[("xul.dll", "9.0")]),
    document(4, [frame(HOSTILE, HOSTILE, HOSTILE), frame(LONG)], modules=[(HOSTILE, HOSTILE)]),
    {**document(5, []), "json_dump": {"crashing_thread": {"frames": [{"function": 7}, 3, None]}, "threads": "x", "modules": {}}},
]


@pytest.fixture(scope="module")
def stacks(datil):
    datil.datil("product", "add", "Stacks", "--description", "x")
    datil.datil("crash", "load", stdin="".join(json.dumps(d) + "\n" for d in DOCUMENTS))
    return datil


def found(datil, headers=None, **params):
    answer = datil.search(headers, product="Stacks", _columns=["uuid"], _sort="uuid", **params)
    assert answer["errors"] == []
    return [int(h["uuid"][:8], 16) for h in answer["hits"]]


@pytest.mark.parametrize("params, want", [
    ({"frame_function": "=main"}, [1, 2, 3]),
    ({"frame_function": "!=main"}, [4, 5]),
    ({"frame_function": "^che"}, [1]),
    ({"frame_function": "~bor"}, [1, 2]),
    ({"frame_function": "$ow"}, [1, 2, 3]),
    ({"frame_function": "@(abort|check)"}, [1, 2]),
    ({"frame_function": "__null__"}, [5]),
    ({"frame_function": "=abort @0"}, [1]),
    ({"frame_function": "=grow @0-1"}, [2, 3]),
    ({"frame_function": "=check <- =grow"}, [1]),
    ({"frame_function": "=abort <- =main"}, [2]),
    ({"frame_function": "=abort <-- =main"}, [1, 2]),
    ({"frame_function": "=grow <- =main"}, [1]),
    ({"frame_function": "!=grow <- =main"}, [2, 3, 4, 5]),
    ({"frame_function": "=grow <- !=main"}, [2, 3]),
    ({"frame_module": "=jit.so <- =app.dll"}, [3]),
    ({"frame_file": "=grow.c"}, [2]),
    ({"frame_file": "=loop.c"}, []),
    ({"thread_file": "=loop.c"}, [1]),
    ({"thread_function": "=poll"}, [1]),
    ({"thread_module": "^libc"}, [1]),
    ({"modules": "xul.dll<128"}, [3]),
    ({"modules": "xul.dll<=128.0.0.1"}, [2, 3]),
    ({"modules": ["xul.dll>9", "xul.dll<=128.0.0.1"]}, [2]),
    ({"modules": "app.dll>1.9"}, [2]),
    ({"frame_function": "=" + HOSTILE}, [4]),
    ({"frame_function": "=" + LONG[:1000]}, [4]),
    ({"frame_function": "=" + LONG[:1001]}, []),
])
def test_conditions(stacks, params, want):
    assert found(stacks, **params) == want


def test_facets_and_columns(stacks):
    answer = stacks.search(product="Stacks", frame_function="=main", _facets=["frame_function", "thread_function", "frame_module", "_cardinality.frame_function"],
                           _columns=["uuid", "frame_function", "frame_file"], _sort="uuid")
    counts = {b["term"]: b["count"] for b in answer["facets"]["frame_function"]}
    assert counts == {"grow": 3, "main": 3, "abort": 2, "check": 1}
    assert {b["term"] for b in answer["facets"]["thread_function"]} == {"grow", "main", "abort", "check", "poll", "loop"}
    assert answer["facets"]["cardinality_frame_function"]["value"] == 4
    assert answer["hits"][2]["frame_function"] == ["", "grow", "", "main"] and answer["hits"][2]["frame_file"] is None
    assert answer["hits"][0]["frame_file"] == ["", "check.h", "", ""]


@pytest.mark.parametrize("value, why", [
    ("=a @5-2", "frames 5-2"), ("=a <- __null__", "a frame that does not exist"), (" <- ".join("123456789"), "more than 8 frames in a row"), ("@(", "Malformed"),
])
def test_what_is_refused(stacks, value, why):
    answer = stacks.get("/api/SuperSearch/", {"frame_function": value})
    assert answer.status == 400 and why in answer.json["error"]
    answer = stacks.get("/api/SuperSearch/", {"thread_function": "=a <- =b"})
    assert answer.status == 400 and "crashing thread alone" in answer.json["error"]


def test_registers_stay_where_they_are(stacks):
    """What is public of a frame may be searched by anybody; the rest of it is in no field."""
    columns = [f"{a}_{b}" for a in ("frame", "thread") for b in ("function", "file", "module")]
    public = stacks.get("/api/SuperSearch/", {"product": "Stacks", "_columns": columns, "_facets": columns})
    assert public.status == 200 and "secretregister" not in public.text
    fields = stacks.get("/api/SuperSearchFields/").json
    assert all(fields[c]["permissions_needed"] == ["public"] and fields[c]["query_type"] == "frames" for c in columns)
    assert "frame_registers" not in fields
    assert stacks.get("/api/SuperSearch/", {"frame_registers": "~secret", "product": "Stacks"}).json["total"] == len(DOCUMENTS)


def test_a_real_crash(datil, minidump):
    crash = datil.post({"ProductName": "Crashme"}, minidump)
    frames = datil.wait_processed(crash)["json_dump"]["crashing_thread"]["frames"]
    modules = [f["module"] for f in frames]
    assert any(modules)
    first = next(i for i, m in enumerate(modules) if m)
    for value, want in ((f"={modules[first]}", 1), (f"={modules[first]} @{first}", 1), ("=no such module", 0)):
        assert datil.search(uuid=crash, frame_module=value, _results_number=0)["total"] == want
    hit = datil.search(uuid=crash, _columns=["frame_module"])["hits"][0]["frame_module"]
    assert (hit if isinstance(hit, list) else [hit]) == [m or "" for m in modules]


def names(*functions):
    return [frame(f) for f in functions]


LIKE = [*"abcdefgh"]
SIMILAR = {10: names(*LIKE), 11: names(*LIKE), 12: names(*LIKE[:6], "other", "more"), 13: names("a", "zz", "yy", "xx", "ww"), 14: names("q", "r"),
           15: [frame(None), {"function": "libutils.so"}], 16: names(*(f"f{i}" for i in range(400)))}


@pytest.fixture(scope="module")
def similar(stacks):
    docs = [document(n, frames) for n, frames in SIMILAR.items()]
    docs[0]["cluster_key"] = docs[1]["cluster_key"] = "0123456789abcdef0123456789abcdef"
    docs[2]["signature"] = HOSTILE
    docs[1]["url"] = "https://secret.example.org/"
    stacks.datil("crash", "load", stdin="".join(json.dumps(d) + "\n" for d in docs))
    return stacks


def test_similar_crashes(similar):
    answer = similar.get("/api/SimilarCrashes/", {"crash_id": crash_id(10)})
    assert answer.status == 200 and "secret" not in answer.text
    found = answer.json
    assert (found["crash_id"], found["functions"], found["in_cluster"], found["errors"]) == (crash_id(10), 8, 2, [])
    assert found["candidates"] == found["compared"] == 4
    assert [(int(h["uuid"][:8], 16), h["shared"], h["overlap"]) for h in found["hits"]] == [(11, 8, 1.0), (12, 6, 0.6)]
    assert found["hits"][0]["cluster_key"] == found["cluster_key"] and found["hits"][0]["signature"] == "stack 11"
    assert [(s["signature"], s["count"], s["overlap"]) for s in found["signatures"]] == [("stack 11", 1, 1.0), (HOSTILE, 1, 0.6)]
    assert len(similar.get("/api/SimilarCrashes/", {"crash_id": crash_id(10), "number": "1"}).json["hits"]) == 1


def test_a_crash_with_nothing_to_compare(similar):
    for n, functions in ((15, 0), (5, 0), (14, 2)):
        found = similar.get("/api/SimilarCrashes/", {"crash_id": crash_id(n)}).json
        assert (found["functions"], found["hits"], found["signatures"]) == (functions, [], [])
    assert similar.get("/api/SimilarCrashes/", {"crash_id": crash_id(16)}).json["functions"] == 400


def test_what_similar_crashes_refuses(similar):
    assert similar.get("/api/SimilarCrashes/").json == {"errors": {"crash_id": ["This field is required."]}}
    unknown = "11111111-2222-4333-8444-555550260101"
    answer = similar.get("/api/SimilarCrashes/", {"crash_id": unknown})
    assert (answer.status, answer.json) == (404, {"error": f"Not found: CrashIDNotFound {unknown}"})
    assert similar.get("/report/similar/", {"crash_id": unknown}).status == 404
    assert similar.get("/api/SimilarCrashes/", {"crash_id": crash_id(10), "number": "101"}).status == 400


def test_the_page_of_similar_crashes(similar):
    report = similar.get("/report/index/" + crash_id(10)).text
    assert "#tab-similar" in report and f"/report/similar/?crash_id={crash_id(10)}" in report
    assert "#tab-similar" not in similar.get("/report/index/" + crash_id(5)).text
    page = similar.get("/report/similar/", {"crash_id": crash_id(10)}).text
    part = similar.get("/report/similar/", {"crash_id": crash_id(10), "part": "1"}).text
    assert "<h1>Similar crashes</h1>" in page and "<html" in page and "<html" not in part
    for text in (page, part):
        assert crash_id(11) in text and crash_id(13) not in text and "same frames" in text
        assert "<script>alert" not in text and "&lt;script&gt;alert" in text


def test_processing_makes_the_key_of_a_cluster(datil, minidump):
    crash = datil.post({"ProductName": "Crashme"}, minidump)
    doc = datil.wait_processed(crash)
    key = doc.get("cluster_key")
    assert key is None or datil.search(cluster_key="=" + key)["total"] >= 1
    assert datil.get("/api/SimilarCrashes/", {"crash_id": crash}).json["cluster_key"] == key
