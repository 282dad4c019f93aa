#!/usr/bin/env python3
"""A base name of C files stands in one room (folder) of the tree: whoever reads `report.c` in a trace
or a comment knows which one it is.  A .c and its .h are one name; benchmarks are called after what they measure.
"""
import subprocess
import sys
from pathlib import PurePath

EXCEPTIONS = {
    "main": "each program has one, without a header; nothing else may be called so",
    "routes": "the table of addresses of a FastCGI program, at the same place in each",
}


def main():
    rooms = {}
    for path in subprocess.check_output(["git", "ls-files", "*.c", "*.h", ":!tests/bench"], text=True).split():
        name = PurePath(path)
        rooms.setdefault(name.stem, {}).setdefault(name.parent, path)
    twice = {stem: paths.values() for stem, paths in rooms.items() if len(paths) > 1 and stem not in EXCEPTIONS}
    for stem, paths in sorted(twice.items()):
        print(f"{stem}: one name in several rooms: {', '.join(paths)}")
    return 1 if twice else 0


sys.exit(main())
