#!/usr/bin/env python3
"""Stacks that went wrong: dumps made here -> datil-stackwalk --json, compared frame by frame.

Where a stack ends, who called through a bad pointer, what a frame outside of every module is
called, and text in a dump that JSON does not like.

    run.py [LABEL]...   only the cases whose label contains one of these
"""
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from synth import DEBUG_ID, Dump, MODULE, STACK

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("BUILD", ROOT / "build"))
STACKWALK = BUILD / "bin/datil-stackwalk"

# Three functions; B calls through the bad pointer, C called B.
FUNCTIONS = "FUNC 1000 100 0 A\nFUNC 2000 100 0 B\nFUNC 3000 100 0 C\nFUNC 4000 100 0 _start\n"
IN_A, IN_B, IN_C, IN_START = (MODULE + 0x1010, MODULE + 0x2010, MODULE + 0x3020, MODULE + 0x4030)
CFI = {
    "none": "",
    "amd64": "STACK CFI INIT 2000 100 .cfa: $rsp 32 + .ra: .cfa 8 - ^\nSTACK CFI INIT 3000 100 .cfa: $rsp 16 + .ra: .cfa 8 - ^\n",
    "x86": "STACK CFI INIT 2000 100 .cfa: $esp 16 + .ra: .cfa 4 - ^\nSTACK CFI INIT 3000 100 .cfa: $esp 8 + .ra: .cfa 4 - ^\n",
    "arm": "STACK CFI INIT 2000 100 .cfa: sp 16 + .ra: .cfa 4 - ^\nSTACK CFI INIT 3000 100 .cfa: sp 8 + .ra: .cfa 4 - ^\n",
    "arm64": "STACK CFI INIT 2000 100 .cfa: sp 32 + .ra: .cfa 8 - ^\nSTACK CFI INIT 3000 100 .cfa: sp 16 + .ra: .cfa 8 - ^\n",
    "undef": "STACK CFI INIT 2000 100 .cfa: $rsp 8 + .ra: .undef\n",
    "undef-arm64": "STACK CFI INIT 2000 100 .cfa: sp 0 + .ra: .undef\n",
    "undef-arm": "STACK CFI INIT 2000 100 .cfa: sp 0 + .ra: .undef\n",
    "undef-x86": "STACK CFI INIT 2000 100 .cfa: $esp 4 + .ra: .undef\n",
    "zero": "STACK CFI INIT 2000 100 .cfa: $rsp 8 + .ra: 0\n",
}
REGISTERS = {  # pc, sp, fp, link
    "amd64": ("rip", "rsp", "rbp", None), "x86": ("eip", "esp", "ebp", None), "arm": ("pc", "sp", "fp", "lr"),
    "arm64": ("pc", "sp", "fp", "lr"), "arm64-old": ("pc", "sp", "fp", "lr"), "mips": ("pc", "sp", None, "ra"),
}


def make(cpu, system, pc, stack, fp=None, link=None, sp_word=0, **rest):
    """fp: index of a word of the stack, or a plain number as text."""
    width = 4 if cpu in ("x86", "arm", "mips") else 8
    base = STACK & 0xFFFFFFFF if width == 4 else STACK
    words = [base + int(w[1:]) * width if isinstance(w, str) else w for w in stack]
    pc_name, sp_name, fp_name, link_name = REGISTERS[cpu]
    registers = {pc_name: pc, sp_name: base + sp_word * width}
    if fp is not None and fp_name:
        registers[rest.pop("fp_register", fp_name)] = base + fp * width if isinstance(fp, int) else int(fp, 0)
    if link is not None:
        registers[link_name] = link
    dump = Dump(cpu, system, registers, words)
    dump.module = rest.pop("module", dump.module)
    dump.exception = rest.pop("exception", (11, 1, pc, ()))
    for kind, data in rest.pop("streams", []):
        dump.extra.append((kind, data))
    assert not rest, rest
    return dump


def maps(*lines):
    return (0x47670009, "".join(line + "\n" for line in lines).encode())


# A stack of 32 words with old return addresses in it: a scan always finds something.
STALE = [IN_A] * 32


def bad_call(cpu, pc=0, **rest):
    """B called through a bad pointer, C called B: the frame of B is three words, that of C one."""
    on_stack = cpu in ("amd64", "x86")
    words = ([IN_B] if on_stack else []) + [0, 0, 0, IN_C, 0, IN_A] + [0] * 24
    fp = words.index(IN_C) - 1  # as if B kept a frame pointer: following it skips B
    words[fp] = "@%d" % (fp + 2)
    return make(cpu, rest.pop("system", "linux"), pc, words, fp=fp, link=None if on_stack else IN_B, **rest)


def chain_end(cpu, system, fp="0", **rest):
    return make(cpu, system, IN_B, STALE, fp=fp, **rest)


EXECUTABLE = maps("00400000-00500000 r-xp 00000000 08:01 1 /data/app/libapp.so")
DATA = maps("00400000-00500000 r-xp 00000000 08:01 1 /data/app/libapp.so",
            "00700000-00800000 rw-p 00000000 00:00 0 [heap]")
JIT = maps("00400000-00500000 r-xp 00000000 08:01 1 /data/app/libapp.so",
           "00700000-00800000 r-xp 00000000 00:00 0                          [anon:dalvik-jit-code-cache /a b]")
MEMORY_INFO = (16, struct.pack("<IIQ", 16, 48, 2)
               + struct.pack("<QQIIQIIII", MODULE, MODULE, 0x20, 0, 0x100000, 0x1000, 0x20, 0x1000000, 0)
               + struct.pack("<QQIIQIIII", 0x700000, 0x700000, 0x20, 0, 0x100000, 0x1000, 0x20, 0x20000, 0))
NO_EXEC_TEXT = maps("00400000-00408000 r-xp 00000000 08:01 1 /data/app/libapp.so",
                    "00408000-00500000 rw-p 00000000 08:01 1 /data/app/libapp.so")

# label, dump, symbols, frames as "trust function" (function "-": none, "+": there are more)
CASES = []


def case(label, dump, cfi, *frames):
    CASES.append((label, dump, cfi, frames))


for cpu in ("amd64", "x86", "arm", "arm64", "arm64-old"):
    rules = cpu.split("-")[0]
    case(f"{cpu}: call of null with CFI", bad_call(cpu), rules, "context -", "cfi B", "cfi C", "+")
    case(f"{cpu}: call of null without CFI", bad_call(cpu), "none", "context -", "cfi B", "+")
    case(f"{cpu}: call of the first page", bad_call(cpu, 0x18), "none", "context -", "cfi B", "+")
    case(f"{cpu}: call of an address that is not mapped", bad_call(cpu, 0x66660000, streams=[EXECUTABLE]), "none",
         "context -", "cfi B", "+")
    case(f"{cpu}: call of an address that faults, no map", bad_call(cpu, 0x66660000), "none", "context -", "cfi B", "+")
    case(f"{cpu}: call of data", bad_call(cpu, 0x700010, streams=[DATA]), "none", "context -", "cfi B", "+")
    case(f"{cpu}: call of data of a module", bad_call(cpu, MODULE + 0x9000, streams=[NO_EXEC_TEXT]), "none",
         "context +", "cfi B", "+")
case("mips: call of null", make("mips", "linux", 0, [0] * 32, link=IN_B), "none", "context -", "cfi B")
case("amd64: call of an address that is not canonical", bad_call("amd64", 0x5A5A5A5A5A5A5A5A), "none",
     "context -", "cfi B", "+")
case("windows amd64: call of null", bad_call("amd64", system="windows", exception=(0xC0000005, 0, 0, (8, 0))), "none",
     "context -", "cfi B", "+")
case("windows amd64: call of a wild pointer",
     bad_call("amd64", 0x12345678, system="windows", exception=(0xC0000005, 0, 0x12345678, (8, 0x12345678))), "none",
     "context -", "cfi B", "+")
case("windows x86: call of null", bad_call("x86", system="windows", exception=(0xC0000005, 0, 0, (8, 0))), "none",
     "context -", "cfi B", "+")
case("mac arm64: call of a wild pointer",
     bad_call("arm64", 0x12345678, system="mac", exception=(1, 1, 0x12345678, ())), "none", "context -", "cfi B", "+")
case("mac arm64: signed return address",
     make("arm64", "mac", 0, [0] * 32, fp=4, link=IN_B | 0x3A << 48, exception=(1, 1, 0, ())), "none",
     "context -", "cfi B")
# What must not be taken for a bad pointer.
case("amd64: code of a JIT is no bad pointer", bad_call("amd64", 0x700010, streams=[JIT]), "none",
     "context [anon:dalvik-jit-code-cache /a b]", "frame_pointer C", "+")
case("amd64: memory with a label, beside Windows' list of regions",
     bad_call("amd64", 0x700010, streams=[JIT, MEMORY_INFO]), "none",
     "context [anon:dalvik-jit-code-cache /a b]", "frame_pointer C", "+")
case("amd64: a heap is no module", bad_call("amd64", 0x700010, streams=[DATA]), "none", "context -", "cfi B", "+")
case("amd64: a module that is called by a label",
     bad_call("amd64", MODULE + 0x9000, module="[anon:dalvik-/system/framework/boot.art]"), "none",
     "context [anon:dalvik-/system/framework/boot.art]", "frame_pointer +", "+")
case("amd64: an unknown region that was read from is no bad pointer",
     bad_call("amd64", 0x700010, exception=(11, 1, 0x18, ())), "none", "context -", "frame_pointer C", "+")
case("amd64: a jump to null without a return address",
     make("amd64", "linux", 0, [7, 7, IN_C] + [0] * 29), "none", "context -", "scan C")

case("arm64: frame pointer 0 ends the stack", chain_end("arm64", "linux"), "none", "context B")
case("old arm64: frame pointer 0 ends the stack", chain_end("arm64-old", "android"), "none", "context B")
case("mac arm64: frame pointer 0 ends the stack", chain_end("arm64", "mac"), "none", "context B")
case("iOS arm: frame pointer 0 ends the stack", chain_end("arm", "ios"), "none", "context B")
case("iOS arm: r7 of 0 ends the stack", chain_end("arm", "ios", fp_register="r7"), "none", "context B")
case("arm64: the second frame has frame pointer 0",
     make("arm64", "linux", IN_B, [0, IN_C] + STALE, fp=0), "none", "context B", "frame_pointer C")
case("arm64: a frame record of zeros ends the stack",
     make("arm64", "linux", IN_B, ["@2", IN_C, 0, 0] + STALE, fp=0), "none", "context B", "frame_pointer C")
case("iOS arm: a frame record of zeros ends the stack",
     make("arm", "ios", IN_B, ["@2", IN_C, 0, 0] + STALE, fp=0), "none", "context B", "frame_pointer C")
case("x86: a saved frame pointer of 0 ends the stack",
     make("x86", "linux", IN_B, [0, IN_C] + STALE, fp=0), "none", "context B", "frame_pointer C")
for cpu, rules in (("amd64", "undef"), ("x86", "undef-x86"), ("arm", "undef-arm"), ("arm64", "undef-arm64")):
    case(f"{cpu}: an undefined return address ends the stack", make(cpu, "linux", IN_B, STALE, fp=4), rules, "context B")
case("amd64: a return address of 0 by CFI ends the stack", make("amd64", "linux", IN_B, STALE), "zero", "context B")
case("amd64: nothing called _start", make("amd64", "linux", IN_B, [0, 0, IN_START] + STALE), "none",
     "context B", "scan _start")
case("arm: nothing called _start", make("arm", "linux", IN_B, [0, 0, IN_START] + STALE), "none",
     "context B", "scan _start")


# Dumps of people: file, frames.  Their symbols lie with the others.
FILES = [
    ("arm64_null_call.dmp", ("context -", "cfi B_calls_null", "cfi C")),
    ("arm64_null_call_mac.dmp", ("context -", "cfi B_calls_null", "frame_pointer C")),
]


def walk(path, symbols, cache):
    done = subprocess.run([STACKWALK, "--json", "--symbols-cache", cache, "--symbols", symbols, path],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return (json.loads(done.stdout) if done.returncode == 0 else None), done.stderr.decode(errors="replace")


def label_of(frame):
    module = frame["module"] or ""
    return module if module.startswith("[") else "-"


def frames_problem(frames, want):
    is_open = want[-1] == "+"
    want = want[:-1] if is_open else want
    got = [f"{f['trust']} {f['function'] or label_of(f)}" for f in frames]
    if len(got) < len(want) or (not is_open and len(got) != len(want)):
        return f"frames are {got}"
    for g, w in zip(got, want):
        if g != w and not (w.endswith(" +") and g.split()[0] == w.split()[0]):
            return f"frames are {got}"
    return None


def symbols_with(cfi, scratch):
    """A directory of symbols and a cache of its own: the id is the same for all sets of rules."""
    sym = scratch / cfi / "libapp.so" / DEBUG_ID / "libapp.so.sym"
    if not sym.exists():
        sym.parent.mkdir(parents=True)
        sym.write_text(f"MODULE Linux x86_64 {DEBUG_ID} libapp.so\n{FUNCTIONS}{CFI[cfi]}")
    return scratch / cfi, scratch / f"cache-{cfi}"


def report(label, why):
    print(f"FAIL {label}: {why}" if why else f"ok {label}")
    return bool(why)


def stacks(scratch, chosen):
    failed = 0
    path = scratch / "case.dmp"
    for label, dump, cfi, want in CASES:
        if chosen(label):
            path.write_bytes(dump.bytes())
            got, log = walk(path, *symbols_with(cfi, scratch))
            failed += report(label, frames_problem(got["crashing_thread"]["frames"], want) if got else log.strip())
    for name, want in FILES:
        if chosen(name):
            got, log = walk(ROOT / "tests/data/minidumps" / name, ROOT / "tests/data/symbols", scratch / "cache")
            failed += report(name, frames_problem(got["crashing_thread"]["frames"], want) if got else log.strip())
    label = "a folder of symbols that is not there is named"
    if chosen(label):
        got, log = walk(ROOT / "tests/data/minidumps" / FILES[0][0], scratch / "nowhere", scratch / "cache")
        failed += report(label, "" if got and str(scratch / "nowhere") in log else log or "not a word")
    return failed


# Text that JSON does not like, in every place of a dump that has text.
ODD = [b"na\0me", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b'"\\', b"\x01\x7f", b""]
ODD_UTF16 = "na\0me\ufffe\u0001"


def dump_with_odd_text():
    dump = bad_call("amd64")
    dump.module = "/data/" + ODD_UTF16
    dump.crashpad([(name, value) for name in ODD for value in ODD[:2]], [(name, b"v\0\xff") for name in ODD])
    thread_name = dump.string(ODD_UTF16)
    field = (ODD_UTF16 + "x" * 128)[:128].encode("utf-16-le")
    lone = b"\x00\xd8" * 128
    dump.extra += [
        (24, struct.pack("<IIQ", 1, 1, thread_name)),
        (0x47670002, field + lone + field + struct.pack("<II", 7, 1)),
        (0x47670003, b"microcode\t: 0x1\0\xff\n"),
        (0x47670004, b"Pid:\t7\nName:\t\xff\0\n"),
        (0x47670005, b"DISTRIB_ID=\xff\0x\nDISTRIB_DESCRIPTION=\"\xc3\"\n"),
        maps("00400000-00500000 r-xp 00000000 08:01 1 /a\0b", "00700000-00800000 rw-p 00000000 00:00 0 [anon:\0\x01]"),
        (0x4D7A0003, b"Limit  Soft  Hard  Units\nMax \xff\0  1  \xff  \0\n"),
        (0x4D7A0004, b'[{"a\\u0000b": "\\u0000", "\\u0000": {"\\u0000x": 1}}]'),
    ]
    return dump


def odd_text_problem(scratch):
    """The walk survives, and so does what the processor makes of it."""
    folder = scratch / "odd"
    folder.mkdir()
    (folder / "raw_crash.json").write_text("{}")
    (folder / "upload_file_minidump").write_bytes(dump_with_odd_text().bytes())
    done = subprocess.run([BUILD / "bin/datil-processor", "--offline", folder, "--jsonl"], text=True,
                          capture_output=True, timeout=60,
                          env={**os.environ, "DATIL_VAR": str(scratch / "var"), "LOGGING_LEVEL": "error"})
    if done.returncode != 0:
        return done.stderr
    crash = json.loads(done.stdout)
    if crash["mdsw_status_string"] != "OK" or not crash["json_dump"].get("threads"):
        return f"{crash['mdsw_status_string']}: {crash['processor_notes']}"
    info = crash["json_dump"]["crashpad_info"]
    if "name" not in info["simple_annotations"] or len(info["modules"][0]["annotation_objects"]) != len(ODD):
        return f"annotations are {info}"
    if not crash["json_dump"]["soft_errors"] or crash["json_dump"]["threads"][0]["thread_name"] != ODD_UTF16:
        return "soft errors or the name of the thread are missing"
    return None


def main():
    labels = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        failed = stacks(Path(folder), lambda label: not labels or any(part in label for part in labels))
        if not labels:
            failed += report("odd text everywhere in a dump", odd_text_problem(Path(folder)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
