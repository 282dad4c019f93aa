#!/usr/bin/env python3
"""Runs crashsig over each folder: `args`, `input` -> `expected` (standard output)."""
import os
import shlex
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
PROGRAM = ROOT / os.environ.get("BUILD", "build") / "bin" / "crashsig"

for case in sorted(p for p in HERE.iterdir() if p.is_dir()):
    args = [a.replace("@CASE@", str(case)) for a in shlex.split((case / "args").read_text())]
    done = subprocess.run([PROGRAM, *args], input=(case / "input").read_bytes(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, check=False)
    want = (case / "expected").read_bytes()
    if done.returncode == 0 and done.stdout == want:
        print(f"ok {case.name}")
    else:
        print(f"FAIL {case.name}: exit {done.returncode}, got {done.stdout!r} {done.stderr!r}")
