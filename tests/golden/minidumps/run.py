#!/usr/bin/env python3
"""Sample minidumps -> datil-stackwalk --json, compared with the facts in NAME.expected.json.

Samples of our own lie in tests/data/minidumps (symbols in tests/data/symbols); a larger
collection beside the project is used when it is there.  Frames marked `certain` must come
out exactly; where `frames_by_rules` is given the whole stack must.

    run.py [NAME]...   only these samples
    VERBOSE=1          also tells which uncertain frames differ
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("BUILD", ROOT / "build"))
STACKWALK = BUILD / "bin/datil-stackwalk"
VERBOSE = os.environ.get("VERBOSE") == "1"
COLLECTIONS = [ROOT / "tests/data", ROOT.parent / "shared/testdata", ROOT.parent.parent / "shared/testdata"]
# Text forms of which two are right.
EQUIVALENT = {"unknown 0x43506e78 / 0x00000000": "Uncaught NSException"}
FRAME_KEYS = ("trust", "offset", "module", "module_offset", "function", "function_offset", "file", "line")
INSTRUCTION_KEYS = ("instruction", "memory_accesses", "adjusted_address")  # of the samples that say so
MODULE_KEYS = ("filename", "base_addr", "end_addr", "debug_file", "debug_id", "code_id", "version")


def walk(dump, symbols, cache):
    done = subprocess.run([STACKWALK, "--json", "--symbols-cache", cache, "--symbols", symbols, dump],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def frame_diff(got, want):
    keys = list(FRAME_KEYS)
    out = [f"{k} is {got.get(k)!r}, not {want[k]!r}" for k in keys if got.get(k) != want[k]]
    inlines = [{k: i[k] for k in ("function", "file", "line")} for i in got.get("inlines") or []]
    if inlines != (want.get("inlines") or []):
        out.append(f"inlines are {inlines}")
    return out


def thread_problems(got, want):
    problems = []
    if got["thread_id"] != want["thread_id"]:
        problems.append(f"thread id {got['thread_id']}")
    if (got["thread_name"] or None) != (want["thread_name"] or None):
        problems.append(f"thread name {got['thread_name']!r}")
    by_rules = "frames_by_rules" in want
    frames = want["frames_by_rules" if by_rules else "frames"]
    total = len(frames) if by_rules else want.get("frames_total", len(frames))
    for i, frame in enumerate(frames):
        certain = by_rules or frame["certain"]
        if i >= len(got["frames"]):
            diff = ["is missing"]
        else:
            diff = frame_diff(got["frames"][i], frame)
        if diff and certain:
            problems.append(f"frame {i}: {'; '.join(diff)}")
        elif diff and VERBOSE:
            print(f"  thread {want['index']} frame {i} (uncertain): {'; '.join(diff)}")
    if (by_rules or all(f["certain"] for f in frames)) and len(got["frames"]) != total:
        problems.append(f"{len(got['frames'])} frames, not {total}")
    return [f"thread {want['index']}: {p}" for p in problems]


def problems_of(got, want):
    info, system = got["crash_info"], got["system_info"]
    facts = {
        "os": system["os"], "os_ver": system["os_ver"], "cpu_arch": system["cpu_arch"],
        "cpu_info": system["cpu_info"], "cpu_count": system["cpu_count"], "pid": got["pid"],
        "process_uptime": got["process_uptime"], "crash_reason": info["type"],
        "crash_address": info["address"], "crashing_thread": info["crashing_thread"],
        "module_count": len(got["modules"]), "thread_count": got["thread_count"],
        "unloaded_module_count": len(got["unloaded_modules"]),
    }
    problems = []
    for key, value in facts.items():
        right = want[key]
        if value != right and EQUIVALENT.get(right, right) != value:
            problems.append(f"{key} is {value!r}, not {right!r}")
    for key in INSTRUCTION_KEYS:
        if key in want and info[key] != want[key]:
            problems.append(f"{key} is {info[key]!r}, not {want[key]!r}")
    modules = [{k: m[k] for k in MODULE_KEYS} for m in got["modules"]]
    for i, (m, w) in enumerate(zip(modules, want["modules"])):
        if m != {k: w[k] for k in MODULE_KEYS}:
            problems.append(f"module {i} is {m}")
    if "crashpad_info" in want:
        mine = dict(got["crashpad_info"])
        theirs = {k: v for k, v in want["crashpad_info"].items() if k in mine}
        theirs["modules"] = [{k: v for k, v in m.items() if k != "version"} for m in theirs["modules"]]
        if mine != theirs:
            problems.append(f"crashpad_info is {mine}")
    for g, w in zip(got["threads"], want["threads"]):
        problems += thread_problems(g, w)
    return problems


def check(expected, symbols, cache):
    want = json.loads(expected.read_text())
    status, out, log = walk(expected.parent / want["dump"], symbols, cache)
    if not want["readable"]:
        named = status == 1 and log.startswith("ERROR ") and " - " in log
        return [] if named else [f"not refused with a name: exit {status}, {log!r}"]
    if status != 0:
        return [f"exit {status}: {log.strip()}"]
    got = json.loads(out)
    if out.strip() != json.dumps(got, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode():
        return ["output is not compact JSON with sorted keys"]
    return problems_of(got, want)


def main():
    seen, failed = set(), 0
    with tempfile.TemporaryDirectory() as cache:
        for collection in COLLECTIONS:
            samples = sorted((collection / "minidumps").glob("*.expected.json"))
            for expected in samples:
                name = expected.name[: -len(".expected.json")]
                if name in seen or (sys.argv[1:] and name not in sys.argv[1:]):
                    continue
                seen.add(name)
                problems = check(expected, collection / "symbols", cache)
                failed += bool(problems)
                print(f"FAIL {name}: {' | '.join(problems[:6])}" if problems else f"ok {name}")
    if not any((c / "minidumps").is_dir() for c in COLLECTIONS[1:]):
        print("skipped: the larger collection is not here")
    return 1 if failed or not seen else 0


sys.exit(main())
