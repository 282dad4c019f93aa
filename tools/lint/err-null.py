#!/usr/bin/env python3
"""Nobody passes NULL where a function takes `struct err *`: lib/base/err.h aborts on it when something fails."""
import re
import subprocess
import sys

PARAMETER = re.compile(r"struct err \*\s*\w*")


def blanked(text):
    """The text without comments and literals, every other character at its place."""
    literal = r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    return re.sub(literal, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)


def arguments(text, at):
    """What stands between the parenthesis at `at` and its partner, split at the commas."""
    depth, start, found = 0, at + 1, []
    for i in range(at, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0 or (depth == 1 and text[i] == ","):
            found.append(text[start:i].strip())
            start = i + 1
        if depth == 0:
            break
    return found


def calls(text):
    for m in re.finditer(r"(\w+)\)?\s*\(", text):
        yield m[1], arguments(text, m.end() - 1), m.start()


files = subprocess.check_output(["git", "ls-files", "*.c", "*.h"], text=True).split()
texts = {f: blanked(open(f, encoding="utf-8").read()) for f in files}
# Names of static functions repeat, so what is declared in a file counts there alone; headers count everywhere.
takers = {f: {(name, i) for name, args, _ in calls(text) for i, a in enumerate(args) if PARAMETER.fullmatch(a)}
          for f, text in texts.items()}
shared = set().union(*(t for f, t in takers.items() if f.endswith(".h")), {("DB_RUN", 3), ("DB_EXEC", 2)})  # macros
bad = 0
for f, text in texts.items():
    for name, args, at in calls(text):
        for i, a in enumerate(args):
            if a == "NULL" and ((name, i) in shared or (name, i) in takers[f]):
                print(f"{f}:{text.count(chr(10), 0, at) + 1}: {name} gets NULL for an err: say ERR_IGNORED")
                bad = 1
sys.exit(bad)
