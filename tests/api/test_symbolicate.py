"""Symbolication: checks, answers and errors of /symbolicate/v5 and v4, as clients of Eliot read them."""
import gzip
import http.client
import json
import random
import re
import socket
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import fastcgi  # noqa: E402
from harness import Installation, wait_until  # noqa: E402

DATA = Path(__file__).resolve().parent.parent / "data/symbols"
MAIN, TRY_ID = "BBA6FA10B8AAB33D00000000000000000", "A" * 32 + "0"
NTDLL = "F86EB934B42FBB79B2595AA25907695C1"
NTDLL_SYM = f"""MODULE windows x86_64 {NTDLL} ntdll.pdb
INFO CODE_ID 0532197720E000 ntdll.dll
FUNC 1008 106 0 LdrpGetModuleName
PUBLIC 1120 0 LdrQueryNextListEntry
PUBLIC 1140 0 LdrQueryModuleInfoFromLdrEntry
FUNC 1260 4a 0 LdrpReadMemory
"""
WIDE = "C" * 32 + "0"
WRONG, JUNK = "D" * 32 + "0", "E" * 32 + "0"
M = [["xul.pdb", "ABC0"]]


@pytest.fixture(scope="module")
def it():
    with Installation() as it:
        it.sym = it.dir / "sym"
        put(it, "ntdll.pdb", NTDLL, NTDLL_SYM)
        put(it, "wide.so", WIDE, f"MODULE Linux x86_64 {WIDE} wide.so\nFUNC fffffffffffff000 fff 0 last\n")
        it.datil("symbols", "add", it.sym, DATA)
        for name, debug_id, text in (("wrong.so", WRONG, NTDLL_SYM), ("junk.so", JUNK, "this is junk\n")):
            folder = it.var / "symbols/v1" / name / debug_id
            folder.mkdir(parents=True)
            (folder / f"{name}.sym.gz").write_bytes(gzip.compress(text.encode()))
        it.own(it.var / "symbols/v1")
        yield it


def put(it, debug_file, debug_id, text):
    name = debug_file[:-4] + ".sym" if debug_file.endswith(".pdb") else debug_file + ".sym"
    folder = it.sym / debug_file / debug_id
    folder.mkdir(parents=True)
    (folder / name).write_text(text)


def ask(it, body, version=5, headers=None, method="POST", tail=""):
    """Past nginx, whose limits would count so many requests."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, headers, answer = fastcgi.request(it.var / "run/web/datil-symbols.sock", method,
                                              f"/symbolicate/v{version}{tail}", data, headers)
    assert headers["Access-Control-Allow-Origin"] == "*"
    return status, json.loads(answer)


def results(it, *jobs, **more):
    status, answer = ask(it, {"jobs": list(jobs)}, **more)
    assert status == 200, answer
    return answer["results"]


def job(modules, *stacks):
    return {"memoryMap": modules, "stacks": [list(s) for s in stacks]}


def bad_frame(frame, modules=M):
    return {"memoryMap": modules, "stacks": [[], [[0, 1], frame]]}


INDEX, OFFSET = "an invalid module_index", "an invalid module_offset"
NOT_THERE = "a module_index that isn't in modules"
TITLES = [
    (b"", "Payload is not valid JSON"), (b"{", "Payload is not valid JSON"), (b"{}x", "Payload is not valid JSON"),
    (b'{"jobs": [01]}', "Payload is not valid JSON"), (b'"\xff"', "Payload is not valid JSON"),
    (b"[" * 200000, "Payload is not valid JSON"), (b"NaN", "Payload is not valid JSON"),
    (b"stacks=1", "Payload is not valid JSON"),
    ({"jobs": [7] * 11}, "please limit number of jobs in a single request to <= 10"),
    ({"jobs": {"0": 1}}, "jobs must be a list"), ({"jobs": None}, "jobs must be a list"), ({"jobs": "x"}, "jobs must be a list"),
    ([], "job 0 is invalid"), (7, "job 0 is invalid"), (None, "job 0 is invalid"), ("text", "job 0 is invalid"),
    ({"jobs": [job(M, []), 5]}, "job 1 is invalid"), ({"jobs": [[]]}, "job 0 is invalid"),
    ({}, "job 0 is invalid: no stacks specified"), ({"memoryMap": 5}, "job 0 is invalid: no stacks specified"),
    ({"stacks": 5}, "job 0 is invalid: no memoryMap specified"),
    ({"memoryMap": {}, "stacks": 5}, "job 0 has invalid modules: modules must be a list"),
    ({"memoryMap": None, "stacks": 5}, "job 0 has invalid modules: modules must be a list"),
    *[({"memoryMap": [["a", "AB"], entry], "stacks": 5},
       "job 0 has invalid modules: module index 1 does not have a debug_filename and debug_id")
      for entry in (5, "ab", {}, [], ["a"], ["a", "b", "c"], None)],
    *[({"memoryMap": [[name, "AB"]], "stacks": 5}, "job 0 has invalid modules: module index 0 has an invalid debug_filename")
      for name in ("(", "[abc.so", "a/b", "a\\b", "a\0", "ü", "\ud800", None, 5, "a\n", "a:b")],
    *[({"memoryMap": [["a", value]], "stacks": 5}, "job 0 has invalid modules: module index 0 has an invalid debug_id")
      for value in ("xyz", "  abc", "ab-c", 5, None, [], "AB\n")],
    ({"memoryMap": M, "stacks": "abc"}, "job 0 has invalid stacks: stacks must be a list of lists"),
    ({"memoryMap": M, "stacks": {}}, "job 0 has invalid stacks: stacks must be a list of lists"),
    ({"memoryMap": M, "stacks": []}, "job 0 has invalid stacks: no stacks specified"),
    ({"memoryMap": M, "stacks": [[], "abc"]}, "job 0 has invalid stacks: stack 1 is not a list"),
    *[(bad_frame(frame), "job 0 has invalid stacks: stack 1 frame 1 is not a list of two items")
      for frame in (0, "01", [], [0], [0, 1, 2], {}, None)],
    *[(bad_frame([index, 0]), f"job 0 has invalid stacks: stack 1 frame 1 has {INDEX}")
      for index in ("0", None, 0.0, 1e2, True, False, [], {})],
    *[(bad_frame([index, "x"]), f"job 0 has invalid stacks: stack 1 frame 1 has {NOT_THERE}")
      for index in (-2, 1, 100, 2**32, 2**64, -2**64, 2**64 - 1, 10**400)],
    *[(bad_frame([0, offset]), f"job 0 has invalid stacks: stack 1 frame 1 has {OFFSET}")
      for offset in ("0", None, 0.0, True, [], -2, -2**63, 2**64, -2**64 + 1, 10**400)],
    ({"jobs": [job(M, []), job([], [[0, 0]])]}, f"job 1 has invalid stacks: stack 0 frame 0 has {NOT_THERE}"),
    (job(M, [[0, 1]] * 200001), "too many frames"),
    ({"jobs": [job(M, [[0, 1]] * 100001), job(M, [[0, 1]] * 100000)]}, "too many frames"),
    ({"jobs": [job(M, [[0, 1]] * 200001), 5]}, "job 1 is invalid"),
]


@pytest.mark.parametrize("n", range(len(TITLES)))
def test_titles_in_their_order(it, n):
    body, title = TITLES[n]
    assert ask(it, body) == (400, {"title": title})
    if not (isinstance(body, dict) and "jobs" in body):
        assert ask(it, body, 4) == (400, {"title": title})


def test_version_4_knows_no_jobs(it):
    assert ask(it, {"jobs": []}, 4) == (400, {"title": "job 0 is invalid: no stacks specified"})


def test_what_is_valid(it):
    assert results(it) == []
    assert results(it, job([], [])) == [{"stacks": [[]], "found_modules": {}}]
    names = ["", "<unknown>", "IAccessible2proxy.dll.pdb", "libstdc++.so.6", "{e8-48}.xpi", "Font Awesome 5 Free-Solid.otf",
             "libgallium-24.2.8-1~bpo12+rpt1.so", "a@b"]
    modules = [[name, "abCD"] for name in names]
    assert results(it, job(modules, []))[0]["found_modules"] == {f"{name}/abCD": None for name in names}
    escaped = b'{"memoryMap": [["\\u0078ul.pdb", "AB"]], "stacks": [[[0, 18446744073709551615], [-1, -1], [-0, 0]]], ' \
              b'"stacks": [[[0, 18446744073709551615]]], "version": 99, "deep": ' + b"[" * 60 + b"]" * 60 + b"}"
    status, answer = ask(it, escaped, tail="/")
    assert status == 200 and answer["results"] == [{
        "stacks": [[{"frame": 0, "module": "xul.pdb", "module_offset": "0xffffffffffffffff"}]],
        "found_modules": {"xul.pdb/AB": False}}]


def test_offsets_have_64_bits(it):
    frame = results(it, job([["wide.so", WIDE]], [[0, 0xfffffffffffff010]]))[0]["stacks"][0][0]
    assert frame == {"frame": 0, "module": "wide.so", "module_offset": "0xfffffffffffff010",
                     "function": "last", "function_offset": "0x10"}


def test_code_file_publics_and_gaps(it):
    """A module is called after its code file; a gap behind a FUNC belongs to no earlier PUBLIC."""
    offsets = [0x1008, 0x110d, 0x110e, 0x1120, 0x1150, 0x1260, 0x12aa, 0x1007, -1]
    frames = results(it, job([["ntdll.pdb", NTDLL.lower()]], [[0, o] for o in offsets]))
    assert frames[0]["found_modules"] == {f"ntdll.pdb/{NTDLL.lower()}": True}
    got = [(f.get("function"), f.get("function_offset")) for f in frames[0]["stacks"][0]]
    assert got == [("LdrpGetModuleName", "0x0"), ("LdrpGetModuleName", "0x105"), (None, None),
                   ("LdrQueryNextListEntry", "0x0"), ("LdrQueryModuleInfoFromLdrEntry", "0x10"),
                   ("LdrpReadMemory", "0x0"), (None, None), (None, None), (None, None)]
    assert {f["module"] for f in frames[0]["stacks"][0]} == {"ntdll.dll"}
    assert frames[0]["stacks"][0][-1] == {"frame": 8, "module": "ntdll.dll", "module_offset": "-0x1"}


def test_inlined_calls(it):
    """Innermost first; the file and line of each are where it stood, and the function's are the call site."""
    frame = results(it, job([["linux_inline", MAIN]], [[0, 0x15b83]]))[0]["stacks"][0][0]
    assert frame == {
        "frame": 0, "module": "linux_inline", "module_offset": "0x15b83", "function": "main", "function_offset": "0x53",
        "file": "a.cpp", "line": 42, "inlines": [
            {"function": "func()", "file": "linux_inline.cpp", "line": 9},
            {"function": "bar()", "file": "c.cpp", "line": 32}, {"function": "foo()", "file": "b.cpp", "line": 39}]}
    line_0 = results(it, job([["linux_inline", MAIN]], [[0, 0x15b6b]]))[0]["stacks"][0][0]
    assert line_0["inlines"] == [{"function": "foo()", "file": "linux_inline.cpp"}] and line_0["line"] == 42


def test_modules_found_missing_and_not_looked_for(it):
    modules = [["linux_inline", MAIN], ["nothing.so", MAIN], ["wrong.so", WRONG], ["junk.so", JUNK], ["short.so", "AB"],
               ["", MAIN], ["app", ""], ["unused.so", MAIN], ["zeros.so", "0" * 33], ["linux_inline", MAIN]]
    unused = job([["unused.so", MAIN], ["elsewhere", MAIN]], [])
    used = job([["elsewhere", MAIN]], [[0, 5]])
    first, second, third = results(it, job(modules, [[n, 0x1000] for n in (0, 1, 2, 3, 4, 5, 6, 8)], [[-1, 5]]), unused, used)
    assert first["found_modules"] == {
        f"linux_inline/{MAIN}": True, f"nothing.so/{MAIN}": True, f"wrong.so/{WRONG}": False, f"junk.so/{JUNK}": False,
        "short.so/AB": False, f"/{MAIN}": None, "app/": None, f"unused.so/{MAIN}": None, "zeros.so/" + "0" * 33: False}
    assert [f["module"] for f in first["stacks"][0]] == ["linux_inline", "nothing.so", "wrong.so", "junk.so", "short.so",
                                                         "<unknown>", "app", "zeros.so"]
    assert first["stacks"][1] == [{"frame": 0, "module": "<unknown>", "module_offset": "0x5"}]
    assert second["found_modules"] == {f"unused.so/{MAIN}": None, f"elsewhere/{MAIN}": True}  # another job needs it
    assert third["found_modules"] == {f"elsewhere/{MAIN}": True}


def test_version_4(it):
    modules = [["ntdll.pdb", NTDLL], ["gone.so", "A" * 33], ["unused", "AB"]]
    body = {"version": 4, **job(modules, [[0, 0x1010], [0, 0x1110], [1, 255], [-1, 16], [0, -1]], [])}
    for tail in ("", "/"):
        assert ask(it, body, 4, tail=tail) == (200, {
            "symbolicatedStacks": [["LdrpGetModuleName (in ntdll.dll)", "0x1110 (in ntdll.dll)", "0xff (in gone.so)",
                                    "0x10 (in <unknown>)", "-0x1 (in ntdll.dll)"], []],
            "knownModules": [True, False, None]})


def test_debug_statistics(it):
    name = "fresh.so"
    put(it, name, TRY_ID, f"MODULE Linux x86_64 {TRY_ID} {name}\nFUNC 10 10 0 f\n")
    it.datil("symbols", "add", it.sym / name)
    (it.var / f"symcache/{name}/{TRY_ID}.csym").unlink()
    jobs = {"jobs": [job([[name, TRY_ID], ["gone.so", MAIN[:-1] + "1"], ["unused", "AB"]], [[0, 16], [1, 16]]),
                     job([[name, TRY_ID]], [[0, 17]])]}
    key = f"{name}/{TRY_ID}"
    for hits in (0, 1):
        _, answer = ask(it, jobs, headers={"Debug": "1"})
        debug = answer["debug"]
        assert set(debug) == {"time", "cache_lookups", "downloads", "parse_sym", "save_symcache", "modules"}
        assert debug["cache_lookups"]["count"] == 2 and debug["cache_lookups"]["hits"] == hits
        assert debug["downloads"]["count"] == 1 - hits and set(debug["parse_sym"]["time_per_module"]) == ({key} if not hits else set())
        assert debug["downloads"]["size_per_module"] == ({key: 78} if not hits else {})
        assert debug["modules"] == {"count": 3, "stacks_per_module": {key: 2, "gone.so/" + MAIN[:-1] + "1": 1}}
        assert debug["time"] > debug["cache_lookups"]["time"] >= 0 and debug["time"] > debug["parse_sym"]["time"]
    for value in ("", "0", "false", "No"):
        assert "debug" not in ask(it, jobs, headers={"Debug": value})[1]


def test_replaced_symbols_count_at_once(it):
    """Every worker looks again whether what it has mapped is still what is stored."""
    name, debug_id = "changes.so", "F" * 32 + "0"
    for n in range(3):
        folder = it.sym / name / debug_id
        if n == 0:
            folder.mkdir(parents=True)
        (folder / f"{name}.sym").write_text(f"MODULE Linux x86_64 {debug_id} {name}\nFUNC 10 10 0 version_{n}\n")
        it.datil("symbols", "add", it.sym / name)
        for _ in range(12):
            frame = results(it, job([[name, debug_id]], [[0, 16]]))[0]["stacks"][0][0]
            assert frame["function"] == f"version_{n}"


def test_large_answers_and_hostile_bodies_stay_small(it):
    """An answer of many pieces comes out whole, and no worker grows by what bodies hold."""
    name, debug_id = "long.so", "1" * 32 + "0"
    put(it, name, debug_id, f"MODULE Linux x86_64 {debug_id} {name}\nFUNC 0 100 0 " + "n" * 1000 + "\n")
    it.datil("symbols", "add", it.sym / name)
    status, answer = ask(it, job([[name, debug_id]], [[0, n % 256] for n in range(12000)]))
    assert status == 200 and len(answer["results"][0]["stacks"][0]) == 12000
    assert answer["results"][0]["stacks"][0][-1]["function"] == "n" * 1000
    modules = b",".join(b'["m%d","A%d"]' % (n, n) for n in range(40000))
    many = b'{"jobs":[' + b",".join([b'{"stacks":[[]],"memoryMap":[' + modules + b"]}"] * 10) + b"]}"
    status, answer = ask(it, many)
    assert status == 200 and len(answer["results"][9]["found_modules"]) == 40000
    assert ask(it, b'{"stacks":[' + b"[]," * 5000000 + b'5],"memoryMap":[]}')[0] == 400
    assert ask(it, b"[" + b"0," * 10000000 + b"0]") == (400, {"title": "job 0 is invalid"})
    _, workers = it.program_pids("datil-symbols")
    peaks = [int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) for pid in workers]
    assert max(peaks) < 400 << 10, peaks


def test_other_statuses(it):
    for path in ("", "/v5"):
        for prefix in ("", "/symbols"):
            for method in ("GET", "PUT", "DELETE", "HEAD"):
                answer = it.request(method, f"{prefix}/symbolicate{path}")
                status = 405 if path or method == "DELETE" else 404
                assert answer.status == status and answer.headers["Access-Control-Allow-Origin"] == "*"
                text = "405 Method Not Allowed" if status == 405 else "404 Not Found"
                assert method == "HEAD" or answer.json == {"title": text}
    assert it.request("POST", "/symbolicate/v6", b"{}").json == {"title": "404 Not Found"}
    assert it.request("POST", "/symbolicate/v5", b"{}", {"Auth-Token": "wrong"}).status == 400  # nobody is asked who he is
    assert "POST" in it.request("GET", "/symbolicate/v5").headers["Allow"]


@pytest.mark.parametrize("prefix", ["", "/symbols"])
def test_preflight_and_errors_of_nginx(it, prefix):
    path = f"{prefix}/symbolicate/v5"
    asked = {"Origin": "https://profiler.firefox.com", "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "content-type,x-own"}
    for tail in ("", "/"):
        answer = it.request("OPTIONS", path + tail, headers=asked)
        assert answer.status == 200 and answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Methods"] == "POST"
        assert answer.headers["Access-Control-Allow-Headers"] == "content-type,x-own"
        assert answer.headers["Access-Control-Expose-Headers"] == \
            "accept, accept-encoding, authorization, content-type, dnt, origin, user-agent, x-csrftoken, x-requested-with"
    large = it.request("POST", path, b"x" * ((30 << 20) + 1))
    assert (large.status, large.json) == (413, {"title": "413 Payload Too Large"})
    assert large.headers["Access-Control-Allow-Origin"] == "*" and large.headers["Content-Type"] == "application/json"
    assert it.request("POST", path, b" " * (30 << 20)).json == {"title": "Payload is not valid JSON"}


def test_busy(it):
    """So many as SYMBOLICATE_MAX_CONCURRENT hold a worker; others are told to come again, and downloads go on."""
    held = []
    try:
        for _ in range(3):
            held.append(slow_request(it))
        wait_until(lambda: ask(it, job([], []))[0] == 503, what="all turns taken")
        status, headers, body = fastcgi.request(it.var / "run/web/datil-symbols.sock", "POST", "/symbolicate/v5", b"{}")
        assert (status, json.loads(body)) == (503, {"title": "503 Service Unavailable"})
        assert int(headers["Retry-After"]) > 0 and headers["Access-Control-Allow-Origin"] == "*"
        assert it.get("/symbols/__lbheartbeat__").status == 200
    finally:
        for s in held:
            s.close()
    wait_until(lambda: ask(it, job([], []))[0] == 200, what="a free turn")


def slow_request(it):
    """A body that does not come."""
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(it.var / "run/web/datil-symbols.sock"))
    env = {"REQUEST_METHOD": "POST", "PATH_INFO": "/symbolicate/v5", "QUERY_STRING": "", "REMOTE_ADDR": "127.0.0.1",
           "CONTENT_LENGTH": "100"}
    s.sendall(fastcgi.record(fastcgi.BEGIN, fastcgi.RESPONDER) + fastcgi.stream(fastcgi.PARAMS, fastcgi.pairs(env)))
    return s


def test_counters(it):
    def counter(line):
        status, text = it.local("/symbols/__metrics__")
        assert status == 200
        return int(re.search(rf"^symbolication_{re.escape(line)} (\d+)$", text, re.M)[1])
    names = ['symbolicate_request{version="v5"}', "symbolicate_jobs_count_sum", "symbolicate_stacks_count_sum", "symbolicate_frames_count_sum",
             'symbolicate_request_error{reason="invalid_stacks"}', 'symbolicate_request_error{reason="bad_json"}',
             'diskcache_get_count{result="hit"}', 'diskcache_get_count{result="miss"}']
    before = [counter(name) for name in names]
    results(it, job([["ntdll.pdb", NTDLL], ["gone.so", MAIN[:-1] + "1"]], [[0, 1], [1, 1]], []), job([], [[-1, 5]]))
    ask(it, b"{")
    ask(it, job([], [], [], [], [], []))
    ask(it, {"memoryMap": [], "stacks": 5})
    assert [counter(name) - b for name, b in zip(names, before)] == [4, 3, 8, 3, 1, 1, 1, 1]
    assert it.get("/symbols/__metrics__").status == 404


class Naive:
    """Symbol text read as it stands: everything is looked through for every address."""

    def __init__(self, text):
        self.files, self.origins, self.funcs, self.publics = {}, {}, [], []
        for line in text.splitlines():
            word, *rest = line.split(" ")
            if word == "FILE":
                self.files[rest[0]] = rest[1]
            elif word == "INLINE_ORIGIN":
                self.origins[rest[0]] = rest[1]
            elif word == "FUNC":
                rest = rest[rest[0] == "m":]
                self.funcs.append((int(rest[0], 16), int(rest[1], 16), rest[3], [], []))
            elif word == "PUBLIC":
                rest = rest[rest[0] == "m":]
                self.publics.append((int(rest[0], 16), rest[2]))
            elif word == "INLINE":
                level, line_no, file, origin, *ranges = rest
                for start, size in zip(ranges[::2], ranges[1::2]):
                    self.funcs[-1][4].append((int(level), int(start, 16), int(size, 16), int(line_no), file, origin))
            elif word != "MODULE":
                self.funcs[-1][3].append((int(word, 16), int(rest[0], 16), int(rest[1]), rest[2]))
        self.funcs = self.apart(f for f in self.funcs if f[1])

    @staticmethod
    def apart(ranges):
        kept = []
        for one in sorted(ranges, key=lambda r: r[:2]):
            if not kept or one[0] >= kept[-1][0] + kept[-1][1]:
                kept.append(one)
        return kept

    def line(self, lines, at):
        kept = []
        for start, size, *what in sorted((x for x in lines if x[1]), key=lambda r: (r[0], r[0] + r[1])):
            if kept and kept[-1][2] == what and start <= kept[-1][1]:
                kept[-1][1] = max(kept[-1][1], start + size)
            elif not kept or start >= kept[-1][1]:
                kept.append([start, start + size, what])
        return next((what for start, end, what in kept if start <= at < end), None)

    def place(self, call):
        return None if call is None else (self.files.get(call[1], ""), call[0])

    def lookup(self, at):
        before = -1
        for start, size, name, lines, inlines in self.funcs:
            before = start if start <= at else before
            if start <= at < start + size:
                return self.show(at, start, name, self.line(lines, at), inlines)
        below = [p for p in self.publics if p[0] <= at]
        best = max(below, default=None)
        return {"function": best[1], "function_offset": hex(at - best[0])} if best and before < best[0] else {}

    def show(self, at, start, name, line, inlines):
        calls = []
        while True:
            level = sorted((i for i in inlines if i[0] == len(calls) and i[2] and i[1] <= at), key=lambda i: i[1])
            if not level or at >= level[-1][1] + level[-1][2]:
                break
            calls.append(level[-1])
        places = [self.place(c[3:5]) for c in calls] + [self.place(line)]
        out = {"function": name, "function_offset": hex(at - start)}
        if places[0] and places[0][0]:
            out.update({"file": places[0][0], **({"line": places[0][1]} if places[0][1] else {})})
        shown = []
        for call, place in reversed(list(zip(calls, places[1:]))):
            if call[5] in self.origins:
                file, number = place or ("", 0)
                shown.append({"function": self.origins[call[5]], **({"file": file} if file else {}),
                              **({"line": number} if number else {})})
        return {**out, **({"inlines": shown} if shown else {})}


def random_symbols(rng, debug_id):
    out = [f"MODULE Linux x86_64 {debug_id} r.so", "FILE 0 a.c", "FILE 1 b.c", "FILE 7 c.c",
           "INLINE_ORIGIN 0 o0", "INLINE_ORIGIN 1 o1", "INLINE_ORIGIN 9 o9"]  # file 3 and origin 4 are unknown
    for n in range(rng.randrange(12)):
        start, size = 0x1000 + rng.randrange(0x400), rng.randrange(200)
        out.append(f"FUNC {rng.choice(['', '', 'm '])}{start:x} {size:x} 0 f{n}")
        at = start
        for _ in range(rng.randrange(30)):
            at = rng.choice([at, at, at, start + rng.randrange(200)])
            length = rng.randrange(12)
            out.append(f"{at:x} {length:x} {rng.randrange(5)} {rng.choice([0, 1, 7, 3])}")
            at += length
        for _ in range(rng.randrange(15)):
            ranges = " ".join(f"{start + rng.randrange(200):x} {rng.randrange(60):x}" for _ in range(rng.randrange(1, 4)))
            out.append(f"INLINE {rng.randrange(4)} {rng.randrange(90)} {rng.choice([0, 1, 7, 3])} {rng.choice([0, 1, 9, 4])} {ranges}")
    out += [f"PUBLIC {rng.choice(['', '', 'm '])}{0x1000 + rng.randrange(0x500):x} 0 p{rng.randrange(9)}" for _ in range(rng.randrange(10))]
    return "\n".join(out) + "\n"


def test_answers_are_those_of_a_naive_reader(it):
    rng = random.Random(141)
    modules, texts = [], []
    for n in range(40):
        debug_id = f"{0x7A1E0000 + n:032X}0"
        modules.append([f"r{n}.so", debug_id])
        texts.append(random_symbols(rng, debug_id))
        put(it, f"r{n}.so", debug_id, texts[-1])
    assert any("PUBLIC m " in t for t in texts)
    it.datil("symbols", "add", *(it.sym / m[0] for m in modules))
    frames = [[n, 0xff0 + rng.randrange(0x530)] for n in range(40) for _ in range(250)]
    stack = results(it, job(modules, frames))[0]["stacks"][0]
    readers, seen = [Naive(t) for t in texts], set()
    for (n, at), frame in zip(frames, stack):
        want = {"frame": frame["frame"], "module": modules[n][0], "module_offset": hex(at), **readers[n].lookup(at)}
        assert frame == want, (texts[n], at)
        seen.add((len(want.get("inlines", [])), "function" in want, "file" in want, "line" in want))
    assert len(seen) >= 12  # the random files reach all of it


def test_several_at_once(it):
    """Workers share the cache; nobody gets another's answer."""
    failures = []

    def one(n):
        for k in range(10):
            frame = results(it, job([["ntdll.pdb", NTDLL]], [[0, 0x1008 + (n * 10 + k) % 0x106]]))[0]["stacks"][0][0]
            if frame["function_offset"] != hex((n * 10 + k) % 0x106):
                failures.append(frame)
    threads = [threading.Thread(target=one, args=(n,)) for n in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_as_clients_send_it(it):
    """The Firefox Profiler (text/plain, several jobs), fx-crash-sig and scripts (JSON and gzip), curl -d (a form)."""
    body = json.dumps({"jobs": [job([["ntdll.pdb", NTDLL]], [[0, 0x1010]])]})
    for headers in ({"Content-Type": "text/plain;charset=UTF-8", "Origin": "https://profiler.firefox.com"},
                    {"Content-Type": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": "fx-crash-sig/1.0"},
                    {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "multipart/form-data"}, {}):
        connection = http.client.HTTPConnection("127.0.0.1", it.port, timeout=20)
        connection.request("POST", "/symbolicate/v5", body, headers)
        answer = connection.getresponse()
        data = answer.read()
        if answer.getheader("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        assert answer.status == 200 and answer.getheader("Access-Control-Allow-Origin") == "*"
        assert answer.getheader("Content-Type") == "application/json"
        assert json.loads(data)["results"][0]["stacks"][0][0]["function"] == "LdrpGetModuleName"


PROFILER = {"Origin": "https://profiler.firefox.com", "Content-Type": "text/plain;charset=UTF-8"}
REQUESTS = {"User-Agent": "python-requests/2.32.3", "Accept": "*/*", "Content-Type": "application/json"}


@pytest.mark.parametrize("version", (5, 4))
def test_bodies_of_clients(it, version):
    """The members and headers as each client writes them, through nginx."""
    modules, stacks = [["ntdll.pdb", NTDLL]], [[[0, 0x1010]], [[0, 0x1265], [0, 0x1120]]]
    if version == 4:  # scripts of the profiling tools
        answer = it.request("POST", "/symbolicate/v4", json.dumps({"stacks": stacks, "memoryMap": modules, "version": 4,
                                                                 "symbolSources": ["firefox", "windows"]}), REQUESTS)
        assert answer.status == 200 and answer.json == {
            "symbolicatedStacks": [["LdrpGetModuleName (in ntdll.dll)"],
                                   ["LdrpReadMemory (in ntdll.dll)", "LdrQueryNextListEntry (in ntdll.dll)"]],
            "knownModules": [True]}
        return
    # The Firefox Profiler: one job and one stack for each library, asked without content type of its own.
    jobs = [{"memoryMap": [m], "stacks": [[[0, 0x1010], [0, 0x1265]]]} for m in (modules[0], ["xul.pdb", "AB"])]
    found, missing = it.request("POST", "/symbolicate/v5", json.dumps({"jobs": jobs}), PROFILER).json["results"]
    assert found["found_modules"] == {f"ntdll.pdb/{NTDLL}": True} and missing["found_modules"] == {"xul.pdb/AB": False}
    assert [f["function"] for f in found["stacks"][0]] == ["LdrpGetModuleName", "LdrpReadMemory"]
    assert len(missing["stacks"][0]) == 2 and all({"module", "module_offset", "frame"} <= f.keys() for f in missing["stacks"][0])
    # fx-crash-sig: stacks before modules; what it could not read is an empty job, and refused as it always was.
    crash = {"stacks": stacks, "memoryMap": modules, "version": 5}
    answer = it.request("POST", "/symbolicate/v5", json.dumps({"jobs": [crash]}), REQUESTS)
    assert [f["function"] for f in answer.json["results"][0]["stacks"][1]] == ["LdrpReadMemory", "LdrQueryNextListEntry"]
    empty = {"memoryMap": [], "stacks": [], "version": 5}
    answer = it.request("POST", "/symbolicate/v5", json.dumps({"jobs": [crash, empty]}), REQUESTS)
    assert (answer.status, answer.json) == (400, {"title": "job 1 has invalid stacks: no stacks specified"})
