#!/usr/bin/env python3
"""Writes fault-*.dmp and their fault-*.expected.json into this folder.  They are stored; run it again
after a change here and look at the difference.

    make-faults.py            writes them
    make-faults.py --check    asks llvm-mc whether the bytes are the instructions they are said to be

Crashes inside the memmove and strlen that glibc picks on machines with AVX2 and AVX-512, and in a
32-bit program: made by hand, since which of them a machine runs depends on its processor.  The code
bytes are those of Debian 12's glibc 2.36 (`objdump -d libc.so.6`).  The wanted values are written
down here from the instruction set's manual, they are no output of the walker: an operand
`[rsi + 0x40]` of 64 bytes with rsi at BAD reads 64 bytes from BAD + 0x40.
"""
import hashlib
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parents[1] / "golden/walks"))
from synth import DEBUG_ID, Dump, GUID, MODULE, MODULE_SIZE, STACK  # noqa: E402

BAD, GOOD = 0x7F0012340000, 0x7F00AAAA0000
OFFSET = 0x1000  # of the instruction in its module

CASES = [
    dict(name="memmove-avx2", cpu="amd64", code="c5fe6f4c16e0", llvm="vmovdqu ymm1, ymmword ptr [rsi + rdx - 32]",
         registers={"rsi": BAD, "rdx": 0x1000, "rdi": GOOD}, address=BAD + 0xFE0,
         instruction="vmovdqu ymm1, ymmword [rsi + rdx * 1 - 0x20]", access=(BAD + 0xFE0, 32, "read"),
         note="The last 32 bytes of the source are read first: rsi + rdx - 0x20 with rsi 7f0012340000, rdx 1000; "
              "VEX.256 means 32 bytes, opcode 6f a load."),
    dict(name="strlen-avx2", cpu="amd64", code="c5fd740f", llvm="vpcmpeqb ymm1, ymm0, ymmword ptr [rdi]",
         registers={"rdi": BAD}, address=BAD,
         instruction="vpcmpeqb ymm1, ymm0, ymmword [rdi]", access=(BAD, 32, "read"),
         note="strlen compares 32 bytes at the text (rdi) with zeros in ymm0."),
    dict(name="memmove-avx512", cpu="amd64", code="62e1fe486f4e01", llvm="vmovdqu64 zmm17, zmmword ptr [rsi + 64]",
         registers={"rsi": BAD, "rdi": GOOD}, address=BAD + 0x40,
         instruction="vmovdqu64 zmm17, zmmword [rsi + 0x40]", access=(BAD + 0x40, 64, "read"),
         note="EVEX compresses the displacement: the byte 01 counts in vectors of 64 bytes (EVEX.512), so it is rsi + 0x40. "
              "Read as one byte it would be rsi + 1."),
    dict(name="strlen-avx512", cpu="amd64", code="62f37d203f0700", llvm="vpcmpeqb k0, ymm16, ymmword ptr [rdi]",
         registers={"rdi": 0}, address=0,
         instruction="vpcmpb k0, ymm16, ymmword [rdi], 0x0", access=(0, 32, "read"), null="0x0000000000000000",
         note="strlen of a null pointer: 32 bytes (EVEX.256) at rdi, which is 0. Opcode 3f is VPCMPB, whose "
              "predicate 0 other disassemblers write as vpcmpeqb."),
    dict(name="memmove-x86", cpu="x86", code="f30f6f00", llvm="movdqu xmm0, xmmword ptr [eax]",
         registers={"eax": 0xBAD00000, "edx": 0x1000}, address=0xBAD00000,
         instruction="movdqu xmm0, xmmword [eax]", access=(0xBAD00000, 16, "read"),
         note="A 32-bit program: the SSE2 copy reads 16 bytes at eax. Addresses have eight digits."),
]


def dump_of(case):
    is_wide = case["cpu"] == "amd64"
    pc, sp = ("rip", "rsp") if is_wide else ("eip", "esp")
    stack = STACK if is_wide else STACK & 0xFFFFFFFF
    dump = Dump(case["cpu"], "linux", {pc: MODULE + OFFSET, sp: stack, **case["registers"]}, [0] * 32)
    dump.module = "/lib/libc.so.6"
    dump.exception = (11, 1, case["address"], ())
    dump.memory = [(MODULE + OFFSET, bytes.fromhex(case["code"]) + b"\x90" * 16)]
    return dump.bytes()


def expected_of(case, data):
    digits = 16 if case["cpu"] == "amd64" else 8

    def hexadecimal(value):
        return f"0x{value:0{digits}x}"

    family = "family 8 model 0 stepping 0"
    if case["cpu"] == "x86":
        family = " " + family  # behind the vendor, which is empty here
    at, size, kind = case["access"]
    frame = {"frame": 0, "trust": "context", "offset": hexadecimal(MODULE + OFFSET), "module": "libc.so.6",
             "module_offset": hexadecimal(OFFSET), "function": None, "function_offset": None, "file": None, "line": None,
             "certain": True}
    return {
        "dump": f"fault-{case['name']}.dmp", "sha256": hashlib.sha256(data).hexdigest(), "size": len(data),
        "source": "written for this project (make-faults.py)", "licence": "same as this project", "readable": True,
        "os": "Linux", "os_ver": "6.1 #1 SMP", "cpu_arch": case["cpu"], "cpu_info": family,
        "cpu_count": 4, "pid": None, "process_uptime": None, "crash_reason": "SIGSEGV / SEGV_MAPERR",
        "crash_address": hexadecimal(case["address"]), "crashing_thread": 0,
        "instruction": case["instruction"],
        "memory_accesses": [{"access_type": kind, "address": hexadecimal(at), "size": size}],
        "adjusted_address": {"kind": "null-pointer", "offset": case["null"]} if "null" in case else None,
        "module_count": 1,
        "modules": [{"filename": "libc.so.6", "base_addr": hexadecimal(MODULE), "end_addr": hexadecimal(MODULE + MODULE_SIZE),
                     "debug_file": "libc.so.6", "debug_id": DEBUG_ID, "code_id": GUID.hex(), "version": None}],
        "unloaded_module_count": 0, "thread_count": 1,
        "threads": [{"index": 0, "thread_id": 1, "thread_name": None, "frames": [frame]}],
        "note": case["note"], "symbols": None,
    }


def disassembled(case):
    done = subprocess.run(["llvm-mc", "--disassemble", "--output-asm-variant=1", "-mattr=+avx2,+avx512f,+avx512bw,+avx512vl",
                           f"-triple={'x86_64' if case['cpu'] == 'amd64' else 'i386'}"],
                          input=" ".join(f"0x{b:02x}" for b in bytes.fromhex(case["code"])), capture_output=True, text=True, check=True)
    return " ".join(done.stdout.splitlines()[-1].split())


def main():
    for case in CASES:
        if sys.argv[1:] == ["--check"]:
            got = disassembled(case)
            print("ok  " if got == case["llvm"] else "FAIL", case["name"], got)
            continue
        data = dump_of(case)
        (HERE / f"fault-{case['name']}.dmp").write_bytes(data)
        text = json.dumps(expected_of(case, data), indent=1, ensure_ascii=False)
        (HERE / f"fault-{case['name']}.expected.json").write_text(text + "\n")


main()
