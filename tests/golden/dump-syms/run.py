#!/usr/bin/env python3
"""datil-dump-syms against independent readers of the same files.

A C and C++ program is compiled in several ways; each function, line and inlined call is
compared with llvm-symbolizer or eu-addr2line, whichever is installed, and each unwind row with
readelf.  Then damaged files: they must end in a message, never in a signal.
Prints `ok LABEL` or `FAIL LABEL: why`.
"""
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from bisect import bisect_right
from pathlib import Path

import cases

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
DUMP = BUILD / "bin/datil-dump-syms"
SAMPLES = 400  # addresses per program


def run(*cmd, **kw):
    return subprocess.run([str(c) for c in cmd], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="replace", timeout=120, **kw)


class Symbols:
    """A Breakpad file, looked up by the rules every reader of the format follows."""

    def __init__(self, text):
        self.files, self.origins, self.funcs, self.publics, self.cfi = {}, {}, [], [], []
        self.head = []
        for line in text.splitlines():
            word = line.split(" ", 1)[0]
            if word in ("MODULE", "INFO"):
                self.head.append(line)
            elif word == "FILE":
                _, n, name = line.split(" ", 2)
                self.files[int(n)] = name
            elif word == "INLINE_ORIGIN":
                _, n, name = line.split(" ", 2)
                self.origins[int(n)] = name
            elif word == "FUNC":
                parts = line.replace("FUNC m ", "FUNC ").split(" ", 4)
                self.funcs.append({"addr": int(parts[1], 16), "size": int(parts[2], 16),
                                   "name": parts[4], "lines": [], "inlines": []})
            elif word == "INLINE":
                p = line.split()
                ranges = [(int(p[i], 16), int(p[i + 1], 16)) for i in range(5, len(p), 2)]
                self.funcs[-1]["inlines"].append((int(p[1]), int(p[2]), int(p[3]), int(p[4]), ranges))
            elif word == "PUBLIC":
                parts = line.replace("PUBLIC m ", "PUBLIC ").split(" ", 3)
                self.publics.append((int(parts[1], 16), parts[3]))
            elif word == "STACK":
                self.add_cfi(line)
            else:
                a, size, number, file = line.split()
                self.funcs[-1]["lines"].append((int(a, 16), int(size, 16), int(number), int(file)))
        self.starts = [f["addr"] for f in self.funcs]

    def add_cfi(self, line):
        p = line.split(" ")
        if p[2] == "INIT":
            self.cfi.append((int(p[3], 16), int(p[4], 16), [(int(p[3], 16), " ".join(p[5:]))]))
        else:
            self.cfi[-1][2].append((int(p[2], 16), " ".join(p[3:])))

    def func(self, addr):
        i = bisect_right(self.starts, addr) - 1
        f = self.funcs[i] if i >= 0 else None
        return f if f and addr < f["addr"] + f["size"] else None

    def frames(self, addr):
        """[(function, file, line)], innermost first."""
        f = self.func(addr)
        if not f:
            return []
        place = (None, 0)
        for a, size, number, file in f["lines"]:
            if a <= addr < a + size:
                place = (self.files[file], number)
        calls = []
        for depth, line, file, origin, ranges in f["inlines"]:
            if any(a <= addr < a + n for a, n in ranges):
                calls.append((depth, self.files.get(file), line, self.origins[origin]))
        calls.sort()
        out = []
        for _, file, line, name in reversed(calls):
            out.append((name, *place))
            place = (file, line)
        out.append((f["name"], *place))
        return out

    def rules(self, addr):
        """Register -> expression, after INIT and all deltas up to addr."""
        for start, size, rows in self.cfi:
            if start <= addr < start + size:
                rules = {}
                for at, text in rows:
                    if at <= addr:
                        for m in re.finditer(r"(\S+): (.*?)(?= \S+: |$)", text):
                            rules[m[1]] = m[2]
                return rules
        return None


def find_reader():
    for name, args in (("llvm-symbolizer", ["--inlines", "--functions=linkage", "--demangle", "--obj="]),
                       ("eu-addr2line", ["-i", "-f", "-C", "-a", "-e"])):
        if shutil.which(name) and os.environ.get("READER", name) == name:
            return name, args
    return None, None


READER, READER_ARGS = find_reader()


def read_frames(binary, addrs):
    """What the other reader says: {addr: [(function, file, line)]}."""
    hexes = [hex(a) for a in addrs]
    if READER == "llvm-symbolizer":
        done = run(READER, *READER_ARGS[:-1], READER_ARGS[-1] + str(binary), *hexes)
        blocks = done.stdout.strip("\n").split("\n\n")
    else:
        done = run(READER, *READER_ARGS, binary, *hexes)
        blocks = [b.split("\n", 1)[1] for b in re.split(r"(?m)^(?=0x)", done.stdout) if b]
    answer = {}
    for addr, block in zip(addrs, blocks):
        lines = block.strip("\n").split("\n")
        frames = []
        for name, where in zip(lines[::2], lines[1::2]):
            m = re.match(r"(.*?):(\d+|\?)", where)
            frames.append((name.replace(" (inlined by) ", ""), m[1], 0 if m[2] == "?" else int(m[2])))
        answer[addr] = frames
    return answer


def simple(name):
    """Without parameters, clone suffixes and spelling differences of demanglers."""
    name = re.sub(r" \[clone .*?\]| \(\.[\w.]+\)|\.(cold|part|isra|constprop)[.\w]*", "", name)
    name = re.sub(r"( const|\[abi:\w+\])+$", "", name)
    name = re.sub(r"\(anonymous namespace\)", "<anon>", name)
    name = re.sub(r"\[abi:\w+\]", "", name)
    depth, out = 0, ""
    for c in name:
        if c in "(<" and not out.endswith("operator"):
            depth += 1
        if depth == 0:
            out += c
        if c in ")>" and depth:
            depth -= 1
    return out.split("::")[-1].split(" ")[-1].strip()


def base(path):
    return os.path.basename(path or "??")


def comparable(frames):
    """A file without a line is a guess of the reader's: not compared."""
    return [(simple(n), base(f) if line else "??", line) for n, f, line in frames]


def less_exact(want, have):
    """eu-addr2line calls the innermost frame by the symbol table, and knows no inlined calls of
    split or link-time optimised units."""
    if len(want) == 1:
        return want[0][1:], have[0][1:]
    return [want[0][1:], *want[1:]], [have[0][1:], *have[1:]]


def compare_frames(sym, binary, load_base):
    addrs = []
    for f in sym.funcs:
        addrs += range(f["addr"], f["addr"] + f["size"])
    rng = random.Random(1)
    addrs = sorted(rng.sample(addrs, min(SAMPLES, len(addrs))))
    theirs = read_frames(binary, [a + load_base for a in addrs])
    bad = []
    for a in addrs:
        want, have = comparable(theirs[a + load_base]), comparable(sym.frames(a))
        for i, frame in enumerate(want):
            if frame[0].startswith("_Z") and i < len(have):  # a name that this reader gives up on
                want[i] = (have[i][0], *frame[1:])
        if READER == "eu-addr2line":
            want, have = less_exact(want, have)
        if want != have:
            bad.append(f"{a + load_base:x}: have {have}, {READER} says {want}")
    return len(addrs), bad


def readelf_rows(binary):
    """[(loc, {column: cell})] of readelf's interpreted tables."""
    out = run("readelf", "--wide", "--debug-dump=frames-interp", binary).stdout
    rows, columns = [], None
    in_fde, end = False, 0
    for line in out.splitlines():
        m = re.match(r"[0-9a-f]+ [0-9a-f]+ [0-9a-f]+ (CIE|FDE)(.*pc=([0-9a-f]+)\.\.([0-9a-f]+))?", line)
        if m:
            in_fde = m[1] == "FDE"
            start, end = (int(m[3], 16), int(m[4], 16)) if in_fde else (0, 0)
        elif line.strip().startswith("LOC"):
            columns = line.split()
        elif in_fde and columns and re.match(r"[0-9a-f]{8,16} ", line):
            cells = line.split()
            if len(cells) == len(columns) and start <= int(cells[0], 16) < end:
                rows.append((int(cells[0], 16), dict(zip(columns[1:], cells[1:]))))
    return rows


def as_rule(name, cell):
    """The text our file must have for a cell of readelf."""
    if cell == "u":
        return None if name != ".ra" else ".undef"
    if cell.startswith("c"):
        return f".cfa {int(cell[1:])} + ^"
    if cell == "s":
        return None
    return "?"


def compare_cfi(sym, binary, load_base):
    rows, bad = readelf_rows(binary), []
    for loc, cells in rows:
        rules = sym.rules(loc - load_base)
        if rules is None:
            bad.append(f"{loc:x}: no rules")
            continue
        m = re.match(r"(r\w+)([+-]\d+)$", cells["CFA"])
        if m and rules.get(".cfa") != f"${m[1]} {int(m[2])} +":
            bad.append(f"{loc:x}: .cfa {rules.get('.cfa')}, readelf {cells['CFA']}")
        for column, cell in cells.items():
            name = ".ra" if column == "ra" else "$" + column
            want = as_rule(name, cell)
            if column == "CFA" or want == "?":
                continue
            have = rules.get(name)
            if have != want and not (want is None and have in (None, name, ".undef")):
                bad.append(f"{loc:x}: {name} {have}, readelf {cell}")
    return len(rows), bad


VARIANTS = {
    "O2": ["-O2"],
    "O0": ["-O0"],
    "O2-dwarf4": ["-O2", "-gdwarf-4"],
    "O3-sections-gc": ["-O3", "-ffunction-sections", "-Wl,--gc-sections"],
    "no-pie": ["-O2", "-no-pie", "-fno-pie"],
    "frame-pointer": ["-O2", "-fno-omit-frame-pointer"],
    "lto": ["-O2", "-flto"],
    "split-dwarf": ["-O2", "-gsplit-dwarf"],
    "debug-types": ["-O2", "-fdebug-types-section"],
    "compressed": ["-O2", "-gz"],
    "debug-frame": ["-O2", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"],
}


def report(label, why=""):
    print(f"FAIL {label}: {why}" if why else f"ok {label}", flush=True)


def build(folder, label, flags):
    out, objects = folder / f"sample-{label}", []
    c_only = label == "debug-frame"  # C++ needs tables for its exceptions
    for name, compiler in (("plain.c", "gcc"), ("sample.cc", "g++")):
        obj = folder / f"{label}-{name}.o"
        extra = flags if name == "plain.c" or not c_only else ["-O2"]
        done = run(compiler, "-g", *extra, "-c", HERE / "input" / name, "-o", obj, cwd=folder)
        if done.returncode:
            return None, done.stderr
        objects.append(obj)
    done = run("g++", "-g", *flags, *objects, "-o", out, cwd=folder)
    return (out, "") if done.returncode == 0 else (None, done.stderr)


def dump(*args):
    done = run(DUMP, *args)
    return Symbols(done.stdout), done


def load_base(binary):
    out = run("readelf", "-lW", binary).stdout
    return min(int(m, 16) for m in re.findall(r"^\s+LOAD\s+\S+\s+(\S+)", out, re.M)) & ~0xFFF


def check_variant(folder, label, flags):
    binary, why = build(folder, label, flags)
    if not binary:
        return report(label, "cannot compile: " + why[:500])
    sym, done = dump(binary)
    if done.returncode:
        return report(label, done.stderr)
    start = load_base(binary)
    count, bad = compare_frames(sym, binary, start)
    report(f"{label}: {count} addresses as {READER}", "; ".join(bad[:3]) + f" ({len(bad)} differ)" if bad else "")
    count, bad = compare_cfi(sym, binary, start)
    report(f"{label}: {count} unwind rows as readelf", "; ".join(bad[:5]) + f" ({len(bad)} differ)" if bad else "")
    return None


def check_separate(folder, binary):
    """Stripped, with debug information beside it by link, by build id and by option."""
    want = Symbols(run(DUMP, "--name", "sample-O2", binary).stdout)
    folder = folder / "separate"
    folder.mkdir()
    stripped, debug = folder / "sample-O2", folder / "sample-O2.debug"
    run("objcopy", "--only-keep-debug", binary, debug)
    run("objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", binary, stripped)
    build_id = re.search(r"Build ID: (\w+)", run("readelf", "-n", binary).stdout)[1]

    def same(label, sym, done):
        ok = done.returncode == 0 and [f["name"] for f in sym.funcs] == [f["name"] for f in want.funcs] \
            and sym.head == want.head and len(sym.cfi) == len(want.cfi)
        report(label, "" if ok else f"status {done.returncode} {done.stderr} {len(sym.funcs)} functions")

    same("debug file by .gnu_debuglink", *dump(stripped))
    hidden = folder / "elsewhere.debug"
    debug.rename(hidden)
    same("debug file by option", *dump("--debug-file", hidden, stripped))
    by_id = folder / "dir/.build-id" / build_id[:2] / (build_id[2:] + ".debug")
    by_id.parent.mkdir(parents=True)
    shutil.copy(hidden, by_id)
    same("debug file by build id", *dump("--debug-dir", folder / "dir", stripped))
    sym, done = dump("--debug-dir", "/nonexistent", stripped)
    report("without debug file: frames and a word about it",
           "" if done.returncode == 0 and len(sym.cfi) == len(want.cfi) and "no debug information" in done.stderr
           else done.stderr)
    done = run(DUMP, "--debug-file", HERE / "run.py", stripped)
    report("a debug file that is none", "" if done.returncode == 1 and done.stderr else "accepted")


def check_header(folder, binary):
    sym, _ = dump(binary)
    build_id = re.search(r"Build ID: (\w+)", run("readelf", "-n", binary).stdout)[1]
    b = bytes.fromhex(build_id)[:16]
    guid = (b[3::-1] + b[5:3:-1] + b[7:5:-1] + b[8:]).hex().upper()
    want = f"MODULE Linux x86_64 {guid}0 {binary.name}"
    report("MODULE line from the build id", "" if sym.head[0] == want else sym.head[0])
    report("INFO CODE_ID", "" if sym.head[1].startswith(f"INFO CODE_ID {build_id.upper()} ") else sym.head[1])
    names = {f["name"] for f in sym.funcs}
    wanted = {"plain_c", "geometry::point::norm() const", "geometry::grid<int>::at(unsigned long) const",
              "double geometry::point::scaled<double>(double) const", "main", "risky(geometry::grid<int>&, int)"}
    report("names of C and C++ functions", "" if wanted <= names else f"missing {wanted - names}")
    report("inlined names", "" if {"geometry::(anonymous namespace)::square(int)", "checked"} <= set(sym.origins.values())
           else str(sorted(sym.origins.values())[:20]))
    cold = [f["name"] for f in sym.funcs].count("risky(geometry::grid<int>&, int)")
    report("the cold part is a FUNC of its own", "" if cold == 2 else f"{cold} pieces")

    stripped = folder / "no-id"
    run("objcopy", "--remove-section=.note.gnu.build-id", binary, stripped)
    sym, done = dump(stripped)
    report("text hash without build id", "" if done.returncode == 0 and
           re.match(r"MODULE Linux x86_64 [0-9A-F]{32}0 no-id$", sym.head[0]) and
           not sym.head[0].split()[3].startswith("0" * 32) else str(sym.head))


def check_store(folder, binary):
    store = folder / "store"
    done = run(DUMP, "--store", store, binary)
    files = [p for p in store.rglob("*") if p.is_file()]
    text = files[0].read_text() if len(files) == 1 else ""
    ident = text.split(" ")[3] if text else ""
    want = store / binary.name / ident / (binary.name + ".sym")
    ok = done.returncode == 0 and files == [want] and done.stdout.strip() == str(want)
    report("--store writes name/id/name.sym", "" if ok else f"{files} {done.stderr}")
    out = folder / "out.sym"
    done = run(DUMP, "-o", out, binary)
    report("-o writes the same", "" if done.returncode == 0 and out.read_text() == text else done.stderr)


def check_libc():
    libc = Path("/lib/x86_64-linux-gnu/libc.so.6")
    if not libc.exists():
        return
    sym, done = dump(libc)
    count, bad = compare_cfi(sym, libc, load_base(libc))
    report(f"C library: {count} unwind rows as readelf", "; ".join(bad[:5]) + f" ({len(bad)} differ)" if bad else "")
    names = {name for _, name in sym.publics} | {f["name"] for f in sym.funcs}
    report("C library: names", "" if names & {"abort"} and done.returncode == 0 else str(sorted(names)[:20]))


def check_hostile(folder, binary):
    whole = binary.read_bytes()
    rng = random.Random(7)
    victims = [("empty", b""), ("text", b"hello\n"), ("header alone", whole[:64]),
               ("magic alone", whole[:4])]
    victims += [(f"cut at {n}", whole[:n]) for n in sorted(rng.sample(range(100, len(whole)), 12))]
    for i in range(60):
        damaged = bytearray(whole)
        # Mostly the headers and the tables behind them; sometimes anywhere.
        for _ in range(rng.choice((1, 3, 30, 300))):
            limit = rng.choice((64, 1024, len(whole)))
            damaged[rng.randrange(limit) if rng.random() < .6 else -rng.randrange(1, 4000)] = rng.choice(
                (0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)))
        victims.append((f"damaged {i}", bytes(damaged)))
    bad = []
    for label, data in victims:
        path = folder / "hostile"
        path.write_bytes(data)
        try:
            done = run(DUMP, "--seconds", "20", "--memory-gib", "4", path)
        except subprocess.TimeoutExpired:
            bad.append(f"{label}: hangs")
            continue
        if done.returncode not in (0, 1, 3) or (done.returncode and not done.stderr):
            bad.append(f"{label}: status {done.returncode} {done.stderr[-200:]}")
    report(f"{len(victims)} damaged files", "; ".join(bad[:4]))
    done = run(DUMP, folder / "missing")
    report("missing file", "" if done.returncode == 1 and "missing" in done.stderr else done.stderr)
    done = run(DUMP)
    report("no file: usage", "" if done.returncode == 2 and "usage" in done.stderr else done.stderr)


def main():
    if not READER or not shutil.which("g++") or not shutil.which("readelf"):
        print("ok skipped: no compiler or no reader to compare with")
        return
    with tempfile.TemporaryDirectory(prefix="dump-syms-") as name:
        if os.environ.get("KEEP"):
            name = os.environ["KEEP"]
        folder = Path(name)
        for label, flags in VARIANTS.items():
            check_variant(folder, label, flags)
        binary = folder / "sample-O2"
        check_header(folder, binary)
        check_separate(folder, binary)
        check_store(folder, binary)
        check_hostile(folder, binary)
        cases.check_all(folder, binary, folder / "sample-debug-frame")
    check_libc()


sys.exit(main())
