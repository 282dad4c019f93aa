"""Files from the field that datil-dump-syms once read wrongly, with what it should say.

The inputs lie in cases/; those that a compiler of today makes as well are made here.
"""
import bz2
import difflib
import io
import json
import lzma
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import accuracy

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
from cabinet import cabinet  # noqa: E402

CASES = HERE / "cases"
BUILD = HERE.parents[2] / os.environ.get("BUILD", "build")
DUMP = BUILD / "bin/datil-dump-syms"
WALK = BUILD / "bin/datil-stackwalk"


def run(*cmd, **kw):
    return subprocess.run([str(c) for c in cmd], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="replace", timeout=120, **kw)


def report(label, why=""):
    print(f"FAIL {label}: {why}" if why else f"ok {label}", flush=True)


def expect(label, done, *patterns, status=0):
    """The text has a line that each pattern matches; one that starts with ! must match none."""
    missing = [p for p in patterns
               if bool(re.search(p.lstrip("!"), done.stdout, re.M)) == p.startswith("!")]
    bad = f"status {done.returncode}: {done.stderr}" if done.returncode != status else ""
    if missing:
        bad += f"against {missing}: {done.stdout[:1500]}"
    report(label, bad)


def crashing_frames(dump, store):
    done = run(WALK, "--json", "--symbols", store, dump)
    return json.loads(done.stdout)["crashing_thread"]["frames"]


def check_plt(folder):
    expect("sections of the linkage table have names", run(DUMP, CASES / "plt_elf"),
           r"^PUBLIC 1020 0 <\.plt ELF section in plt_elf>$",
           r"^PUBLIC 1060 0 <\.plt\.got ELF section in plt_elf>$")
    store = folder / "plt-store"
    run(DUMP, "--store", store, "--name", "plt", CASES / "plt_elf")
    frame = crashing_frames(CASES / "plt.dmp", store)[0]
    report("a crash in the linkage table is not in _init",
           "" if frame["function"] == "<.plt ELF section in plt>" else str(frame))


def check_cut_files(folder):
    """A file whose end is missing is not one without debug information."""
    source, whole, cut = folder / "cut.c", folder / "cut.so", folder / "short.so"
    source.write_text("int crash_here(int *p) { return *p; }\n")
    run("gcc", "-g", "-shared", "-fPIC", "-o", whole, source)
    bytes_of = whole.read_bytes()
    cut.write_bytes(bytes_of[:-100])
    done = run(DUMP, cut)
    report("a file cut short is said to be", "" if "cut short" in done.stderr and done.returncode == 3
           else f"status {done.returncode}: {done.stderr}")
    # The table of sections is there, one of the sections is not: .debug_info ends behind the file.
    header = int.from_bytes(bytes_of[40:48], "little")
    sections = run("readelf", "-SW", whole).stdout
    index = int(re.search(r"\[ *(\d+)\] \.debug_info ", sections)[1])
    size_at = header + 64 * index + 32
    cut.write_bytes(bytes_of[:size_at] + (1 << 40).to_bytes(8, "little") + bytes_of[size_at + 8:])
    done = run(DUMP, cut)
    report("a section of the debug information that is lost is named",
           "" if ".debug_info" in done.stderr and done.returncode == 3 else f"status {done.returncode}: {done.stderr}")


def check_path_of_store(folder):
    done = run(DUMP, "--store", f"{folder}/slash//", CASES / "libfoo.so.1.2.3")
    report("a store's folder may end in slashes", "" if done.stdout.startswith(f"{folder}/slash/libfoo.so.1/")
           else done.stdout)


def check_names_of_modules(folder):
    """Dumps carry the SONAME of a library, so its symbols lie under that name."""
    store = folder / "soname-store"
    done = run(DUMP, "--store", store, CASES / "libfoo.so.1.2.3")
    file = store / "libfoo.so.1/DE5749C6BAA111A49033161D90DF84F10/libfoo.so.1.sym"
    head = file.read_text().splitlines()[0] if file.exists() else done.stdout + done.stderr
    report("a module is called by its SONAME", "" if head.endswith(" libfoo.so.1") else head)
    frame = crashing_frames(CASES / "soname.dmp", store)[0]
    report("a dump with the SONAME finds the symbols", "" if frame["function"] == "crash_here" else str(frame))
    shutil.copy(CASES / "plt_elf", folder / "plt_elf.debug")
    expect("a module is never called .debug", run(DUMP, folder / "plt_elf.debug"), r"^MODULE .* plt_elf$")
    run("objcopy", "--only-keep-debug", CASES / "libfoo.so.1.2.3", folder / "libfoo.so.1.debug")
    expect("nor after a file of debug information", run(DUMP, folder / "libfoo.so.1.debug"),
           r"^MODULE .* libfoo\.so\.1$", r"^FUNC 1109 3 0 crash_here$")


def names_and_lines(text):
    return sorted(line for line in text.splitlines() if not line.startswith(("MODULE", "INFO", "STACK", "PUBLIC")))


def same_symbols(label, done, want, status=0):
    """Functions, files and lines as in `want`, unwind rows included."""
    have, other = names_and_lines(done.stdout), names_and_lines(want.stdout)
    rows = done.stdout.count("STACK CFI"), want.stdout.count("STACK CFI")
    ok = done.returncode == status and have == other and rows[0] == rows[1] and any(h.startswith("FUNC") for h in have)
    report(label, "" if ok else f"status {done.returncode} {done.stderr} {rows}: "
           f"{sorted(set(have) ^ set(other))[:8]}")


def check_compressed(folder, binary, frames):
    expect("sections packed with zstd", run(DUMP, CASES / "zstd_debug.so"),
           r"^FUNC 1109 3 0 crash_here\n1109 3 1 0$", r"^FUNC 110c 11 0 outer\n110c 11 2 0$")
    for form in ("zlib", "zlib-gnu", "zstd"):
        for label, plain in (("", binary), (" and call frames", frames)):
            packed = folder / f"packed-{form}"
            done = run("objcopy", f"--compress-debug-sections={form}", plain, packed)
            if done.returncode:
                report(f"sections packed with {form}{label}", done.stderr)
                continue
            same_symbols(f"sections packed with {form}{label}", run(DUMP, packed), run(DUMP, plain))

    broken = bytearray((CASES / "zstd_debug.so").read_bytes())
    at = broken.index(b"\x28\xb5\x2f\xfd")
    broken[at + 8:at + 60] = bytes(52)
    (folder / "broken.so").write_bytes(broken)
    done = run(DUMP, folder / "broken.so")
    expect("a packed section that is damaged: said so, names stay", done, r"^FUNC 1109 3 0 crash_here$", status=3)
    report("and it names the section", "" if re.search(r"broken\.so: section \.debug_\w+: ", done.stderr) else done.stderr)


def check_debug_files(folder, binary):
    bad = CASES / "wrong_debug"
    done = run(DUMP, "--debug-file", bad / "other.debug", bad / "stripped.so")
    report("a debug file of another build is refused",
           "" if done.returncode == 1 and "build ids differ" in done.stderr and not done.stdout else done.stderr)
    done = run(DUMP, "--debug-dir", "dbg", "bs.so", cwd=CASES / "reldbg")
    expect("a relative --debug-dir", done, r"^FUNC 1109 3 0 crash_here\n1109 ", r"^FUNC 110c 11 0 outer\n110c ")

    want = run(DUMP, "--name", "prog", binary)
    folder = folder / "links"
    (folder / "lib/.debug").mkdir(parents=True)
    prog, debug = folder / "lib/prog", folder / "lib/prog.debug"
    run("objcopy", "--only-keep-debug", binary, debug)
    run("objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", binary, prog)
    for form in ("zlib", "zstd"):
        run("objcopy", f"--compress-debug-sections={form}", debug)
        same_symbols(f"a debug link to a file packed with {form}", run(DUMP, prog), want)
    for tool, end in (("gzip", ".gz"), ("xz", ".xz"), ("zstd", ".zst")):
        with open(debug, "rb") as plain, open(str(debug) + end, "wb") as packed:
            subprocess.run([tool, "-c"], stdin=plain, stdout=packed, check=True)
        hidden = debug.rename(folder / "hidden")
        same_symbols(f"a debug link to a whole file packed with {tool}", run(DUMP, prog), want)
        os.unlink(str(debug) + end)
        hidden.rename(debug)
    debug.rename(folder / "lib/.debug/prog.debug")
    same_symbols("a debug link into .debug", run(DUMP, prog), want)
    elsewhere = folder / "dir" / str(folder / "lib").lstrip("/")
    elsewhere.mkdir(parents=True)
    (folder / "lib/.debug/prog.debug").rename(elsewhere / "prog.debug")
    same_symbols("a debug link below the debug folder", run(DUMP, "--debug-dir", folder / "dir", prog), want)

    no_id, debug = folder / "no-id", folder / "no-id.debug"
    run("objcopy", "--remove-section=.note.gnu.build-id", binary, no_id)
    run("objcopy", "--only-keep-debug", no_id, debug)
    run("objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", no_id)
    same_symbols("without build id the checksum decides", run(DUMP, no_id), want)
    with open(debug, "ab") as f:
        f.write(b"more")
    done = run(DUMP, no_id)
    report("and refuses another file", "" if done.returncode == 3 and "checksum differs" in done.stderr else f"{done.returncode} {done.stderr}")


def check_packed_symbols(folder, binary):
    """What Fedora puts into its stripped programs."""
    local = folder / "mini"
    run("objcopy", "--strip-debug", binary, local)
    want = run(DUMP, "--name", "mini", local)
    run("objcopy", "--only-keep-debug", local, folder / "mini-symbols")
    subprocess.run(["xz", "-f", folder / "mini-symbols"], check=True)
    stripped = folder / "mini-stripped"
    run("objcopy", "--strip-all", f"--add-section=.gnu_debugdata={folder / 'mini-symbols.xz'}", local, stripped)
    same_symbols("symbols packed into .gnu_debugdata", run(DUMP, "--name", "mini", stripped), want)


def check_common_strings(folder):
    """Two programs with nothing but strings in common: libdw opens no file without a unit."""
    for name, text in (("a", "long first(long n) { return n * 3; }"), ("b", "float second(float f) { return f + 1; }")):
        (folder / f"{name}.c").write_text(text + "\n")
        subprocess.run(["gcc", "-g", "-O1", "-shared", "-fPIC", "-o", f"{name}.so", f"{name}.c"], cwd=folder, check=True)
    want = run(DUMP, folder / "a.so")
    done = run("dwz", "-m", "strings.debug", "-r", "a.so", "b.so", cwd=folder)
    if done.returncode or not (folder / "strings.debug").exists():
        return report("dwz of strings", done.stderr or "made no common file")
    sections = run("readelf", "-SW", folder / "strings.debug").stdout
    if ".debug_info" in sections:
        return report("dwz of strings", "the common file has more than strings")
    same_symbols("a common file of strings alone", run(DUMP, folder / "a.so"), want)
    return None


def check_common_file(folder, binary):
    """dwz moves what several files have in common into one more file."""
    if not shutil.which("dwz"):
        return report("skipped: dwz is not installed")
    folder = folder / "dwz"
    folder.mkdir()
    for name in ("one", "two"):
        shutil.copy(binary, folder / name)
    want = run(DUMP, folder / "one")
    done = run("dwz", "-m", "common.debug", "-r", "one", "two", cwd=folder)
    if done.returncode:
        return report("dwz", done.stderr)
    same_symbols("debug information that dwz has shared", run(DUMP, folder / "one"), want)
    check_common_strings(folder)
    (folder / "common.debug").rename(folder / "hidden")
    done = run(DUMP, folder / "one")
    report("without the common file: said so", "" if done.returncode == 3 and "common.debug" in done.stderr
           else f"{done.returncode} {done.stderr}")
    return None


def check_closed_pipe():
    """`datil-dump-syms FILE | head -1`: quiet, and ended as other tools are."""
    left, right = os.pipe()
    process = subprocess.Popen([DUMP, "/usr/bin/bash"], stdout=right, stderr=subprocess.PIPE)
    os.close(right)
    os.read(left, 16)
    os.close(left)
    _, said = process.communicate(timeout=60)
    said = said.replace(b"no debug information", b"")
    report("a closed pipe is not damage", "" if process.returncode == -signal.SIGPIPE and b"damaged" not in said
           else f"{process.returncode} {said}")


def named(done, record):
    """Names of FUNC or INLINE_ORIGIN records, without the type that a template returns."""
    return {re.sub(r"^(auto|int|double) ", "", m) for m in
            re.findall(rf"^{record} (?:m )?(?:[0-9a-f]+ [0-9a-f]+ 0|\d+) (.*)$", done.stdout, re.M)}


def check_names_without_linkage(folder):
    """An inlined copy has no symbol, a copy that is called has one: both get the same name."""
    done = {}
    for level in ("-O0", "-O2", "-O2 -g1"):
        binary = folder / f"lambdas{level.replace(' ', '')}"
        built = run("g++", "-g", *level.split(), HERE / "input/lambdas.cc", "-o", binary)
        if built.returncode:
            return report("names without linkage", built.stderr)
        done[level] = run(DUMP, binary)
    called, inlined = named(done["-O0"], "FUNC"), named(done["-O2"], "INLINE_ORIGIN")
    wanted = {"main::{lambda(int)#1}::operator()(int) const", "main::{lambda(int)#2}::operator()(int) const",
              "main::{lambda(auto:1)#3}::operator()<double>(double) const",
              "main::{lambda(int)#4}::operator()(int) const",
              "main::{lambda(int)#4}::operator()(int) const::{lambda(long)#1}::operator()(long) const",
              "outer::method(int)::Local::inlined(int)",
              "outer::method(int)::{lambda(outer::method(int)::Local*)#1}::operator()(outer::method(int)::Local*) const",
              "(anonymous namespace)::Hidden::divided(unsigned long, char const*, void (*)(short)) const"}
    report("inlined lambdas and local functions have names of their own",
           "" if wanted <= inlined else f"missing {wanted - inlined} in {sorted(inlined)}")
    report("the same as when they are called", "" if wanted <= called else f"missing {wanted - called}")
    odd = {n for n in inlined | called if "(anonymous)" in n or " [clone" in n or "{unnamed}" in n}
    report("and none is without a name", str(odd) if odd else "")

    bare = folder / "lambdas-bare"
    run("objcopy", "--strip-debug", folder / "lambdas-O2", bare)
    clones = re.findall(r" \S+\.(?:cold|part|isra|constprop)\S*$", run("nm", bare).stdout, re.M)
    symbols = named(run(DUMP, "--debug-dir", "/nonexistent", bare), "FUNC")
    cloned = {n for n in symbols if re.search(r"\.(cold|part|isra|constprop)|\[clone", n)}
    report("symbols of compilers' clones are called as their functions",
           "no clone was made" if not clones else str(cloned) if cloned or "main" not in symbols else "")

    few = done["-O2 -g1"]
    report("with -g1 functions are called as their symbols are",
           "" if named(few, "FUNC") == named(done["-O2"], "FUNC")
           else str(named(few, "FUNC") ^ named(done["-O2"], "FUNC")))
    lines = [re.findall(r"^[0-9a-f]+ [0-9a-f]+ \d+ \d+$", d.stdout, re.M) for d in (few, done["-O2"])]
    report("and have lines", "" if len(lines[0]) > 50 and len(lines[0]) > 0.9 * len(lines[1])
           else f"{len(lines[0])} of {len(lines[1])}")
    return None


def check_lines():
    expect("lines without functions in the debug information", run(DUMP, CASES / "gline_tables_only.so"),
           r"^FUNC 1100 4 0 ns::helper_function_with_long_name\(int\)\n1100 4 1 0$",
           r"^FUNC 1110 7 0 ns::another_long_function\(int\)\n1110 7 1 0$",
           r"^FUNC 1120 7 0 entry_point_a\(int\)\n1120 7 2 0$")
    expect("relative source names are joined", run(DUMP, CASES / "relative_source.so"),
           r"^FILE 0 /src/demo/case/rel/so\.c$")


def check_split(folder):
    """-gsplit-dwarf: debug information in .dwo files, then in one package, then nowhere."""
    expect("a package beside the file", run(DUMP, CASES / "dwp/split.so"),
           r"^FUNC 1100 4 0 ns::helper_function_with_long_name\(int\)\n1100 4 1 0$",
           r"^FUNC 1110 7 0 ns::another_long_function\(int\)\n(INLINE.*\n)?1110 7 1 0$",
           r"^FUNC 1120 7 0 entry_point_a\(int\)\n(INLINE.*\n)*1120 7 2 0$")
    done = run(DUMP, shutil.copy(CASES / "dwp/split.so", folder / "alone.so"))
    expect("no package: said so, names stay", done, r"^FUNC 1120 7 0 entry_point_a\(int\)$", status=3)
    report("and it names the unit", "" if "a1.dwo" in done.stderr else done.stderr)
    for version in ("4", "5"):
        build = folder / f"split-{version}"
        build.mkdir()
        # The same sources, so the same code: only the place of the debug information differs.
        for flags, name in (([], "plain"), (["-gsplit-dwarf"], "split")):
            options = ["-g", f"-gdwarf-{version}", "-O2", *flags]
            run("g++", *options, "-c", HERE / "input/sample.cc", "-o", f"{name}-1.o", cwd=build)
            run("gcc", *options, "-c", HERE / "input/plain.c", "-o", f"{name}-2.o", cwd=build)
            run("g++", *options, f"{name}-1.o", f"{name}-2.o", "-o", name, cwd=build)
        want = run(DUMP, "--name", "x", build / "plain")
        same_symbols(f"split DWARF {version}", run(DUMP, "--name", "x", build / "split"), want)
        # binutils' dwp of Debian 12 knows no DWARF 5.
        made = [tool for tool in ("llvm-dwp", "dwp") if shutil.which(tool) and
                run(tool, "-e", "split", "-o", "split.dwp", cwd=build).returncode == 0][:1]
        for dwo in build.glob("*.dwo"):
            dwo.unlink()
        if not made:
            report(f"skipped: no tool for packages of DWARF {version}")
            continue
        same_symbols(f"split DWARF {version} in a package", run(DUMP, "--name", "x", build / "split"), want)
        run("objcopy", "--compress-debug-sections=zlib", build / "split.dwp")
        same_symbols(f"split DWARF {version} in a compressed package",
                     run(DUMP, "--name", "x", build / "split"), want)
        (build / "split.dwp").unlink()
        done = run(DUMP, "--name", "x", build / "split")
        report(f"split DWARF {version} gone: status 3", "" if done.returncode == 3 and "split debug" in done.stderr
               else f"{done.returncode} {done.stderr}")


def native(folder, *names):
    """Copies of the inputs for Windows and macOS, unpacked."""
    folder.mkdir()
    for name in names:
        packed = CASES / "native" / f"{name}.xz"
        (folder / name).write_bytes(lzma.decompress(packed.read_bytes()) if packed.exists()
                                    else (CASES / "native" / name).read_bytes())
    return folder


def check_native(folder):
    """PE, PDB, Mach-O and dSYM against what is stored beside them (cases/native/make.txt)."""
    folder = folder / "native"
    folder.mkdir()
    pair = native(folder / "pair", "frames.dll", "frames.pdb")
    alone = native(folder / "alone", "frames.dll")
    other = native(folder / "other", "frames.pdb")
    arm = native(folder / "arm", "frames-arm64.dll", "frames-arm64.pdb")
    mac = native(folder / "mac", "frames.dylib", "frames.dsym")
    x86 = native(folder / "x86", "inlined-x86.dll", "inlined-x86.pdb")
    amd64 = native(folder / "amd64", "inlined-amd64.dll", "inlined-amd64.pdb")
    for name, want, args in (
            ("a program and its PDB beside it", "frames.dll", [pair / "frames.dll"]),
            ("a PDB and its program beside it", "frames.dll", [pair / "frames.pdb"]),
            ("a packed PDB that is named", "frames.dll",
             ["--debug-file", CASES / "native/frames.pdb.xz", alone / "frames.dll"]),
            ("a program alone: exports and unwind table", "frames-alone.dll", [alone / "frames.dll"]),
            ("a PDB alone", "frames.pdb", [other / "frames.pdb"]),
            ("arm64 of Windows", "frames-arm64.dll", [arm / "frames-arm64.dll"]),
            ("inlined calls and frames of x86", "inlined-x86.dll", [x86 / "inlined-x86.dll"]),
            ("inlined calls of amd64", "inlined-amd64.dll", [amd64 / "inlined-amd64.dll"]),
            ("a universal file with a dSYM", "frames-x86_64.dylib",
             ["--arch", "x86_64", "--debug-file", mac / "frames.dsym", mac / "frames.dylib"]),
            ("the other half", "frames-arm64.dylib", ["--arch", "arm64", mac / "frames.dylib"])):
        done = run(DUMP, *args)
        text = re.sub(r"(?m)^(INFO GENERATOR datil-dump-syms) \S+", r"\1 VERSION", done.stdout)
        wanted = (CASES / "native" / f"{want}.txt").read_text()
        diff = [line for line in difflib.unified_diff(wanted.splitlines(), text.splitlines(), lineterm="", n=0)]
        report(name, f"status {done.returncode} {done.stderr} {diff[:20]}" if diff or done.returncode else "")
    done = run(DUMP, mac / "frames.dylib")
    report("a universal file wants a choice", "" if done.returncode == 1 and "--arch" in done.stderr else str(done))
    done = run(DUMP, "--store", folder / "store", mac / "frames.dylib")
    report("a store takes all of it", "" if len(list((folder / "store").rglob("frames.dylib.sym"))) == 2 else str(done))
    (pair / "frames.pdb").write_bytes((pair / "frames.pdb").read_bytes()[:30000])
    done = run(DUMP, pair / "frames.dll")
    report("a damaged PDB costs its names only",
           "" if done.returncode == 3 and "STACK CFI" in done.stdout and "PDB" in done.stderr else str(done))
    (alone / "text.txt").write_text("hello")
    done = run(DUMP, alone / "text.txt")
    report("a text is none of these", "" if done.returncode == 1 and "ELF, PE, PDB, Mach-O" in done.stderr else str(done))
    check_unwind_tables(alone / "frames.dll", mac / "frames.dylib")


def dsym_archive(name, dwarf, compression):
    """A dSYM folder as it is sent: its list of properties first, the debug file below a long name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compression}") as tar:
        for path, data in (("x.dSYM/Contents/Info.plist", b"<plist>"),
                           (f"{'long/' * 30}x.dSYM/Contents/Resources/DWARF/{name}", dwarf)):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def dsym_zip(name, dwarf, method=zipfile.ZIP_DEFLATED):
    """As the Finder packs it: with notes of its own beside each file, which have the file's name behind "._"."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for path, data in ((f"__MACOSX/x.dSYM/Contents/Resources/DWARF/._{name}", b"\0\5\x16\7"),
                           ("x.dSYM/Contents/Info.plist", b"<plist>"), (f"x.dSYM/Contents/Resources/DWARF/{name}", dwarf)):
            z.writestr(path, data)
    return out.getvalue()


def spanning(name, data):
    """A cabinet that says to go on in another: a flag in its head, then the names of file and disk."""
    whole, more = bytearray(cabinet(name, data)), b"next.cab\0disk 2\0"
    start = struct.unpack_from("<I", whole, 16)[0]
    struct.pack_into("<I", whole, 8, len(whole) + len(more))
    struct.pack_into("<I", whole, 16, start + len(more))
    struct.pack_into("<H", whole, 30, 2)
    struct.pack_into("<I", whole, 36, struct.unpack_from("<I", whole, 36)[0] + len(more))
    return bytes(whole[:36]) + more + bytes(whole[36:])


def check_containers(folder):
    """Cabinets of Microsoft's symbol stores, and dSYM folders as archives: the text is that of what is in them."""
    plain = native(folder / "sent", "frames.dll", "frames.pdb", "frames.dsym")
    packed = folder / "containers"
    packed.mkdir()
    pdb, dsym = (plain / "frames.pdb").read_bytes(), (plain / "frames.dsym").read_bytes()
    (packed / "frames.dl_").write_bytes(cabinet("frames.dll", (plain / "frames.dll").read_bytes(), "mszip"))
    (packed / "lzx.pd_").write_bytes(cabinet("frames.pdb", pdb))
    (packed / "mszip.pd_").write_bytes(cabinet("frames.pdb", pdb, "mszip"))
    (plain / "frames-x86_64.dylib").write_bytes(dsym)
    for compression in ("bz2", "gz", "xz"):
        (packed / f"dsym.{compression}").write_bytes(dsym_archive("frames-x86_64.dylib", dsym, compression))
    (packed / "dsym.zip").write_bytes(dsym_zip("frames-x86_64.dylib", dsym))
    (packed / "stored.zip").write_bytes(dsym_zip("frames-x86_64.dylib", dsym, zipfile.ZIP_STORED))
    want = run(DUMP, plain / "frames.dll").stdout
    for name in ("lzx.pd_", "mszip.pd_"):
        done = run(DUMP, "--debug-file", packed / name, packed / "frames.dl_")
        report(f"a program and {name} in cabinets", "" if done.stdout == want and want else str(done))
    for name, inside in (("lzx.pd_", "frames.pdb"), ("dsym.bz2", "frames-x86_64.dylib"),
                         ("dsym.gz", "frames-x86_64.dylib"), ("dsym.xz", "frames-x86_64.dylib"),
                         ("dsym.zip", "frames-x86_64.dylib"), ("stored.zip", "frames-x86_64.dylib")):
        (folder / inside).write_bytes((plain / inside).read_bytes())  # with no program beside it
        done, want = run(DUMP, packed / name), run(DUMP, folder / inside).stdout
        report(f"{name} alone", "" if done.stdout == want and want else f"{done} {want[:200]}")
    damaged = dsym_zip("x", dsym, zipfile.ZIP_STORED).replace(dsym[200:220], bytes(20))
    big = cabinet("frames.pdb", bytes(300 << 20), "mszip")
    none = dsym_archive("x", b"no binary at all, and longer than a head would be", "bz2")
    for label, data, message in (
            ("cut", cabinet("frames.pdb", pdb)[:20000], "damaged"),
            ("of nothing", b"MSCF" + bytes(60), "not a readable cabinet"),
            ("a bomb", big, "more than it may"),
            ("one of several", spanning("frames.pdb", pdb), "one of several that belong together"),
            ("cut bzip2", bz2.compress(pdb)[:-20], "bzip2 data is damaged"),
            ("cut ZIP", dsym_zip("x", dsym)[:-30], "not a zip file"),
            ("damaged ZIP", damaged, "Bad CRC-32"),
            ("ZIP of a bomb", dsym_zip("x", bytes(300 << 20)), "more than"),
            ("ZIP without a debug file", dsym_zip("x", dsym).replace(b"DWARF", b"dwarf"), "no debug file in the archive"),
            ("no debug file", none, "no debug file in the archive")):
        (packed / "bad").write_bytes(data)
        done = run(DUMP, packed / "bad")
        report(f"container {label}", "" if done.returncode == 1 and message in done.stderr else str(done))


class Msf:
    """A PDB whose streams can be written to in place (MSF 7.00: numbered streams of blocks)."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.block, _, _, size, _, where = struct.unpack_from("<6I", data, 32)
        blocks = struct.unpack_from(f"<{-(-size // self.block)}I", data, where * self.block)
        words = struct.unpack(f"<{size // 4}I", b"".join(self.data[b * self.block:(b + 1) * self.block] for b in blocks)[:size])
        self.sizes, at, self.blocks = words[1:1 + words[0]], 1 + words[0], []
        for n in self.sizes:
            count = 0 if n == 0xffffffff else -(-n // self.block)
            self.blocks.append(words[at:at + count])
            at += count

    def read(self, stream):
        return b"".join(self.data[b * self.block:(b + 1) * self.block] for b in self.blocks[stream])[:self.sizes[stream]]

    def write(self, stream, offset, data):
        for i, byte in enumerate(data, offset):
            self.data[self.blocks[stream][i // self.block] * self.block + i % self.block] = byte


def check_old_frames(folder):
    """FPO_DATA, which no compiler at hand writes: its records in the place of the other stream of a PDB, read as
    llvm-pdbutil reads them."""
    pdb = Msf(lzma.decompress((CASES / "native/inlined-x86.pdb.xz").read_bytes()))
    header = pdb.sizes[3] - struct.unpack_from("<I", pdb.read(3), 48)[0]  # DBI's optional one is at its end
    stream = struct.unpack_from("<H", pdb.read(3), header + 2 * 9)[0]
    pdb.write(3, header, struct.pack("<H", stream))
    pdb.write(3, header + 2 * 9, b"\xff\xff")
    records = [  # start, size, words of locals and parameters, prolog, registers, uses ebp, kind
        (0x1000, 0x10, 3, 2, 5, 1, 0, 0), (0x1010, 0x20, 0, 0, 1, 0, 1, 0), (0x1018, 4, 1, 1, 1, 1, 0, 0),  # inside of another
        (0x1030, 0x10, 9, 9, 9, 4, 0, 3), (0x1040, 0, 1, 1, 1, 1, 0, 0), (0x10000000, 4, 1, 1, 1, 1, 0, 0)]
    packed = b"".join(struct.pack("<IIIHH", start, size, words, params, prolog | regs << 8 | bp << 12 | kind << 14)
                      for start, size, words, params, prolog, regs, bp, kind in records)
    room = pdb.sizes[stream]
    pdb.write(stream, 0, (packed + bytes(room))[:room // 16 * 16])
    old = folder / "old-frames.pdb"
    old.write_bytes(pdb.data)
    done = run(DUMP, old)
    got = re.findall(r"^STACK WIN .*$", done.stdout, re.M)
    want = ["STACK WIN 0 1000 10 5 0 8 4 c 0 0 0", "STACK WIN 0 1010 20 1 0 0 0 0 0 0 1"]
    report("frame data of before 2002", "" if got == want and room >= len(packed) else f"{got} ({room}) {done.stderr}")
    if shutil.which("llvm-pdbutil"):
        rows = re.findall(r"^\s*([0-9A-F]{8}) \|\s*(\d+) \|\s*(\d+) \|\s*(\d+) \|\s*(\d+) \|\s*(\d+) \|\s*(\w+) \|",
                          run("llvm-pdbutil", "dump", "--fpo", old).stdout, re.M)
        seen = [f"STACK WIN 0 {int(rva, 16):x} {int(code):x}" for rva, code, *_ in rows[:2]]
        report("the same as llvm-pdbutil sees it", "" if seen == [" ".join(w.split()[:5]) for w in want] else
               run("llvm-pdbutil", "dump", "--fpo", old).stdout)


def check_unwind_tables(dll, dylib):
    """As many entries as LLVM sees, at the same addresses."""
    for label, cmd, pattern, base, args in (
            ("llvm-readobj", ["llvm-readobj", "--unwind", dll], r"StartAddress: \w*\s?\(?0x([0-9A-F]+)", 0x180000000, [dll]),
            ("llvm-objdump", ["llvm-objdump", "--arch=arm64", "--unwind-info", dylib],
             r"^ +\[\d+\]: function offset=0x(\w+), encoding\[\d+\]=0x0[24]", 0, ["--arch", "arm64", dylib])):
        if not shutil.which(cmd[0]):
            report(f"skipped: no {cmd[0]}")
            continue
        want = {int(a, 16) - base for a in re.findall(pattern, run(*cmd).stdout, re.M)}
        have = {int(a, 16) for a in re.findall(r"(?m)^STACK CFI INIT (\w+)", run(DUMP, *args).stdout)}
        report(f"unwind entries as {label} sees them", "" if want and want == have else f"{want} {have}")


def check_accuracy():
    for binary in accuracy.LIBRARIES:
        if not os.path.exists(binary):
            continue
        text = run(DUMP, "--debug-dir", "/nonexistent", binary).stdout
        total, right, _, foreign = accuracy.measure(binary, text)
        report(f"{os.path.basename(binary)}: {total} addresses without a foreign name",
               f"{len(foreign)} foreign: {foreign[:5]}" if foreign else "" if right else "no name at all")


def check_all(folder, binary, frames):
    """`binary` was built with debug information, `frames` has .debug_frame instead of .eh_frame."""
    check_plt(folder)
    check_names_of_modules(folder)
    check_compressed(folder, binary, frames)
    check_debug_files(folder, binary)
    check_packed_symbols(folder, binary)
    check_common_file(folder, binary)
    check_names_without_linkage(folder)
    check_lines()
    check_split(folder)
    check_closed_pipe()
    check_cut_files(folder)
    check_path_of_store(folder)
    check_native(folder)
    check_containers(folder)
    check_old_frames(folder)
    check_accuracy()
