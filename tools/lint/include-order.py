#!/usr/bin/env python3
"""A module of lib/ includes only from itself and from modules before it in this chain."""
import re
import sys
from pathlib import Path

CHAIN = [["base"], ["json", "db", "tpl", "http", "store"], ["crash", "symfile", "minidump"],
         ["unwind", "signature", "search", "spool"], ["sandbox", "ledger", "correlations", "export", "ping"], ["purge"], ["web"]]
rank = {module: level for level, modules in enumerate(CHAIN) for module in modules}
bad = 0
for path in sorted(Path("lib").rglob("*.[ch]")):
    module = path.parts[1]
    if module not in rank:
        print(f"{path}: module {module} has no place in the chain")
        bad = 1
        continue
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        found = re.match(r'#include "lib/([a-z_]+)/', line)
        if found and found[1] in rank and found[1] != module and rank[found[1]] > rank[module]:
            print(f"{path}:{number}: {module} may not include from {found[1]}")
            bad = 1
sys.exit(bad)
