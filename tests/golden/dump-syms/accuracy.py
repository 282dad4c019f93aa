#!/usr/bin/env python3
"""How many addresses of a stripped library get the name of another function.

Asked are addresses of code that unwind tables cover, at equal distances.  Right is a name that
the dynamic symbol table (`nm -DS`) gives to just that address, or that of the PLT section there; no
name is no fault.  Anything else is foreign.  Alone it prints the numbers:

    accuracy.py    made with $DUMP, or $BUILD/bin/datil-dump-syms
"""
import os
import re
import subprocess
import sys
from bisect import bisect_right
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DUMP = os.environ.get("DUMP") or ROOT / os.environ.get("BUILD", "build") / "bin/datil-dump-syms"
LIBS = "/usr/lib/x86_64-linux-gnu"
LIBRARIES = [f"{LIBS}/libc.so.6", f"{LIBS}/libstdc++.so.6", f"{LIBS}/libssl.so.3",
             f"{LIBS}/libcurl.so.4", "/usr/bin/bash"]
SAMPLES = 20000  # addresses per library


def output(*cmd):
    return subprocess.run([str(c) for c in cmd], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, errors="replace", timeout=120).stdout


def unwind_ranges(binary):
    out = output("readelf", "--wide", "--debug-dump=frames", binary)
    return sorted({(int(a, 16), int(b, 16)) for a, b in
                   re.findall(r" FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)$", out, re.M)})


def plt_ranges(binary):
    out = output("readelf", "-SW", binary)
    return [(int(a, 16), int(a, 16) + int(n, 16), name) for name, a, n in
            re.findall(r"\] (\.plt[.\w]*) +PROGBITS +([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)", out)]


def true_names(binary):
    """[(start, end, name)] of the dynamic symbols, without versions, in both spellings."""
    symbols = []
    for option in ("-DS", "-DSC"):
        for line in output("nm", option, "--defined-only", binary).splitlines():
            m = re.match(r"([0-9a-f]{8,16}) (?:([0-9a-f]{8,16}) )?[TtWwiVv] (.*)$", line)
            if m:
                start, size = int(m[1], 16), int(m[2] or "0", 16)
                symbols.append((start, start + size, re.sub(r"@@?[\w.]+$", "", m[3])))
    return symbols


class Names:
    """FUNC and PUBLIC records, looked up as Breakpad and rust-minidump do it."""

    def __init__(self, text):
        self.funcs, self.publics = [], []
        for line in text.splitlines():
            if line.startswith("FUNC "):
                p = line.replace("FUNC m ", "FUNC ", 1).split(" ", 4)
                self.funcs.append((int(p[1], 16), int(p[2], 16), p[4]))
            elif line.startswith("PUBLIC "):
                p = line.replace("PUBLIC m ", "PUBLIC ", 1).split(" ", 3)
                self.publics.append((int(p[1], 16), p[3]))
        self.funcs.sort()
        self.publics.sort()

    def at(self, addr):
        i = bisect_right(self.funcs, (addr, 1 << 64)) - 1
        start, size, name = self.funcs[i] if i >= 0 else (-1, 0, None)
        if addr < start + size:
            return name
        k = bisect_right(self.publics, (addr, "\U0010ffff")) - 1
        return self.publics[k][1] if k >= 0 and self.publics[k][0] > start else None


def load_base(binary):
    out = output("readelf", "-lW", binary)
    return min(int(m, 16) for m in re.findall(r"^\s+LOAD\s+\S+\s+(\S+)", out, re.M)) & ~0xFFF


def measure(binary, text):
    """(addresses, right, unnamed, [foreign])"""
    names, base, plts = Names(text), load_base(binary), plt_ranges(binary)
    ranges = unwind_ranges(binary)
    step = max(1, sum(b - a for a, b in ranges) // SAMPLES)
    symbols = sorted(true_names(binary))
    reach = 0  # the longest symbol: how far back one that covers an address may start
    for start, end, _ in symbols:
        reach = max(reach, end - start)
    total = right = unnamed = ahead = 0
    foreign = []
    for a, b in ranges:
        for addr in range(a + ahead, b, step):
            total += 1
            have = names.at(addr - base)
            if have is None:
                unnamed += 1
                continue
            i = bisect_right(symbols, (addr, 1 << 64))
            ok = any(p <= addr < q and f"<{n} ELF section in " in have for p, q, n in plts)
            while not ok and i > 0 and symbols[i - 1][0] >= addr - reach:
                i -= 1
                start, end, name = symbols[i]
                # One without size may name the entry that it stands in.
                ok = name == have and (addr < end or a <= start == end)
            if ok:
                right += 1
            else:
                foreign.append((addr, have))
        ahead = (ahead - (b - a)) % step
    return total, right, unnamed, foreign


def main():
    for binary in LIBRARIES:
        total, right, unnamed, foreign = measure(binary, output(DUMP, "--debug-dir", "/nonexistent", binary))
        print(f"{os.path.basename(binary):16} {total} addresses: {100 * right / total:.1f} % right, "
              f"{100 * unnamed / total:.1f} % unnamed, {100 * len(foreign) / total:.2f} % foreign")


if __name__ == "__main__":
    sys.exit(main())
