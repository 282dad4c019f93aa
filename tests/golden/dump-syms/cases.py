"""Files from the field that datil-dump-syms once read wrongly, with what it should say.

The inputs lie in cases/; those that a compiler of today makes as well are made here.
"""
import json
import os
import re
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
    check_accuracy()
