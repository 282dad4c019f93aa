#!/usr/bin/env python3
"""A name of a struct, enum or union means one thing in the whole tree, or a reader who looks it up finds the wrong one.

Prints those that are defined in several files and exits 1. Tests are left out.
"""
import collections
import re
import subprocess
import sys


def main():
    files = collections.defaultdict(list)
    for path in subprocess.check_output(["git", "ls-files", "*.c", "*.h", ":!tests"], text=True).split():
        with open(path, encoding="utf-8") as f:
            for name in re.findall(r"^(?:typedef )?(?:struct|enum|union) (\w+) \{", f.read(), flags=re.M):
                files[name].append(path)
    bad = {name: paths for name, paths in files.items() if len(paths) > 1}
    for name, paths in sorted(bad.items()):
        print(f"{name}: one name in several files: {', '.join(paths)}")
    return 1 if bad else 0


sys.exit(main())
