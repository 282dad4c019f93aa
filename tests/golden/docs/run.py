#!/usr/bin/env python3
"""docs/changing.md: every file that a recipe names is there, and what stands in backticks beside it is in one of those files.

A path with a word in capitals, as in cron/jobs/NAME.c, is a file to be made: its folder must be there.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
PATH = re.compile(r"[\w.$-]+(/[\w.-]+)+/?|Makefile")
# A name of the source: no commands, no shapes of files, nothing that stands for something else.
NAME = re.compile(r"[A-Za-z_]{3,}\w*")
TO_BE_MADE = re.compile(r"NAME|NNNN|…|\$")


def problems(item):
    quoted = re.findall(r"`([^`]+)`", item)
    paths = [q for q in quoted if PATH.fullmatch(q)]
    for path in paths:
        to_be_made = TO_BE_MADE.search(path)
        there = ROOT / (path[:to_be_made.start()].rsplit("/", 1)[0] if to_be_made else path)
        if not there.exists():
            yield f"{path} is not there"
    files = [ROOT / p for p in paths if (ROOT / p).is_file()]
    if not files:
        return
    text = "\n".join(f.read_text(errors="replace") for f in files)
    for name in quoted:
        if name not in paths and NAME.fullmatch(name) and not TO_BE_MADE.search(name) and not re.search(rf"\b{name}\b", text):
            yield f"no {name} in {', '.join(str(f.relative_to(ROOT)) for f in files)}"


def main():
    page = (ROOT / "docs/changing.md").read_text()
    failed = 0
    for recipe in re.findall(r"^## .*?(?=^## |\Z)", page, re.M | re.S):
        title, *items = re.split(r"\n(?=\d+\. )", recipe)
        label = title.splitlines()[0][3:]
        found = [p for item in items for p in problems(item)]
        if not items:
            found = ["no list of files"]
        print(f"FAIL {label}: {'; '.join(found)}" if found else f"ok {label}")
        failed += bool(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
