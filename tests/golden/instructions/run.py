#!/usr/bin/env python3
"""What is concluded from the instruction that crashed: dumps made here -> datil-stackwalk --json.

The code bytes are those of glibc's memmove and strlen for AVX2 and AVX-512 (the variants that a
program runs today), of 32-bit programs, and of the plain cases beside them.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests/golden/walks"))
from synth import MODULE, STACK, Dump  # noqa: E402

STACKWALK = Path(os.environ.get("BUILD", ROOT / "build")) / "bin/datil-stackwalk"
BAD, GOOD = 0x7F0012340000, 0x7F00AAAA0000
PC = MODULE + 0x1000

# label, CPU, code, registers, address of the fault, wanted members of crash_info
CASES = [
    ("memmove, AVX2: source", "amd64", "c5fe6f06", {"rsi": BAD, "rdi": GOOD}, BAD,
     {"instruction": "vmovdqu ymm0, ymmword [rsi]", "memory_accesses": [(BAD, 32, "read")]}),
    ("memmove, AVX2: destination", "amd64", "c5fe7f4417e0", {"rdi": BAD, "rdx": 0x100}, BAD + 0xE0,
     {"instruction": "vmovdqu ymmword [rdi + rdx * 1 - 0x20], ymm0", "memory_accesses": [(BAD + 0xE0, 32, "write")]}),
    ("memmove, AVX-512: source", "amd64", "62e1fe286f06", {"rsi": BAD}, BAD,
     {"instruction": "vmovdqu64 ymm16, ymmword [rsi]", "memory_accesses": [(BAD, 32, "read")]}),
    ("memmove, AVX-512: source, displacement in units of the vector", "amd64", "62e1fe486f4e01", {"rsi": BAD}, BAD + 0x40,
     {"instruction": "vmovdqu64 zmm17, zmmword [rsi + 0x40]", "memory_accesses": [(BAD + 0x40, 64, "read")]}),
    ("memmove, AVX-512: destination null", "amd64", "62e1fe287f07", {"rdi": 0}, 0,
     {"instruction": "vmovdqu64 ymmword [rdi], ymm16", "memory_accesses": [(0, 32, "write")],
      "adjusted_address": {"kind": "null-pointer", "offset": "0x0000000000000000"}}),
    ("memmove, rep movsb", "amd64", "f3a4", {"rsi": GOOD, "rdi": BAD}, BAD,
     {"memory_accesses": [(BAD, 1, "write"), (GOOD, 1, "read")]}),
    ("strlen, AVX2", "amd64", "c5fd740f", {"rdi": BAD}, BAD,
     {"instruction": "vpcmpeqb ymm1, ymm0, ymmword [rdi]", "memory_accesses": [(BAD, 32, "read")]}),
    ("strlen, AVX-512 of null", "amd64", "62f37d203f0700", {"rdi": 0}, 0,
     {"memory_accesses": [(0, 32, "read")], "adjusted_address": {"kind": "null-pointer", "offset": "0x0000000000000000"}}),
    ("a gather has no one address", "amd64", "c4e26d900488", {"rax": BAD}, BAD, {"memory_accesses": None}),
    ("a prefetch touches nothing", "amd64", "0f180f", {"rdi": 0}, 0, {"memory_accesses": []}),
    ("x86: member of a null pointer", "x86", "8b4018", {"eax": 0}, 0x18,
     {"instruction": "mov eax, dword [eax + 0x18]", "memory_accesses": [(0x18, 4, "read")],
      "adjusted_address": {"kind": "null-pointer", "offset": "0x00000018"}}),
    ("x86: call through a table", "x86", "ff5008", {"eax": 0x12340000}, 0x12340008,
     {"instruction": "call dword [eax + 0x8]",
      "memory_accesses": [(0x12340008, 4, "read"), ((STACK & 0xFFFFFFFF) - 4, 4, "write")]}),
    ("x86: address wraps at 32 bits", "x86", "8b4310", {"ebx": 0xFFFFFFF8}, 8, {"memory_accesses": [(8, 4, "read")]}),
]


def make(cpu, code, registers, address):
    names = {"amd64": ("rip", "rsp"), "x86": ("eip", "esp")}[cpu]
    stack = STACK if cpu == "amd64" else STACK & 0xFFFFFFFF
    dump = Dump(cpu, "linux", {names[0]: PC, names[1]: stack, **registers}, [0] * 32)
    dump.exception = (11, 1, address, ())
    dump.memory = [(PC, bytes.fromhex(code) + b"\x90" * 16)]
    return dump.bytes()


def problem(info, want):
    for key, value in want.items():
        got = info[key]
        if key == "memory_accesses" and got is not None:
            got = [(int(a["address"], 16), a["size"], a.get("access_type")) for a in got]
        if got != value:
            return f"{key} is {got!r}"
    return None


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.dmp"
        for label, cpu, code, registers, address, want in CASES:
            path.write_bytes(make(cpu, code, registers, address))
            done = subprocess.run([STACKWALK, "--json", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
            why = done.stderr.strip() if done.returncode else problem(json.loads(done.stdout)["crash_info"], want)
            print(f"FAIL {label}: {why}" if why else f"ok {label}")
            failed += bool(why)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
