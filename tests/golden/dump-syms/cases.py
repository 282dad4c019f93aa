"""Files from the field that datil-dump-syms once read wrongly, with what it should say.

The inputs lie in cases/; those that a compiler of today makes as well are made here.
"""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import accuracy

HERE = Path(__file__).resolve().parent
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


def check_accuracy():
    for binary in accuracy.LIBRARIES:
        if not os.path.exists(binary):
            continue
        text = run(DUMP, "--debug-dir", "/nonexistent", binary).stdout
        total, right, _, foreign = accuracy.measure(binary, text)
        report(f"{os.path.basename(binary)}: {total} addresses without a foreign name",
               f"{len(foreign)} foreign: {foreign[:5]}" if foreign else "" if right else "no name at all")


def check_all(folder):
    check_plt(folder)
    check_names_of_modules(folder)
    check_accuracy()
