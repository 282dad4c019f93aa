#!/usr/bin/env python3
"""Two units (a .c with its .h) do not include each other: one of them is below the other.

Allowed are the internal header of a module and the unit that stands in front of it.
"""
import re
import subprocess
import sys
from pathlib import PurePath

INTERNAL = {
    "client/annotations": "of client/datil_client, whose public types it stores",
    "lib/search/engine": "what an engine offers to the front door lib/search/index, in its types",
    "lib/store/back": "what a back end offers to lib/store/store, in its types",
    "lib/tpl/tpl_internal": "of lib/tpl",
    "lib/web/internal": "of lib/web",
    "tools/dump-syms/module_kinds": "of tools/dump-syms/module_symbols",
}


def main():
    known = {}
    for path in subprocess.check_output(["git", "ls-files", "*.c", "*.h", ":!tests"], text=True).split():
        with open(path, encoding="utf-8") as f:
            includes = re.findall(r'^#include "([^"]+)"', f.read(), flags=re.M)
        unit = str(PurePath(path).with_suffix(""))
        known.setdefault(unit, set()).update(str(PurePath(i).with_suffix("")) for i in includes)
    bad = [(a, b) for a in sorted(known) for b in sorted(known[a]) if a < b and a in known.get(b, ())
           and not {a, b} & INTERNAL.keys()]
    for a, b in bad:
        print(f"{a} and {b} include each other")
    return 1 if bad else 0


sys.exit(main())
