#!/usr/bin/env python3
"""Each .c file includes the headers of ours whose functions, macros and types it uses.

What its own header (NAME.h beside NAME.c) includes counts as included; what comes by any other
header does not: that header may stop to need it.  Names are found by their look (a prototype at the
start of a line, #define, struct NAME {), which the format of the tree makes sure of.

    include-use.py          says what is missing; 1 if anything is
    include-use.py --fix    adds it
"""
import re
import subprocess
import sys
from pathlib import Path

ROOMS = ["fcgi/collector", "fcgi/webapp", "fcgi/symbols", "fcgi/pings", "processor", "cron", "client", "tools"]


def tracked(suffix):
    patterns = [f"{top}/*.{suffix}" for top in ["lib"] + ROOMS]
    return subprocess.check_output(["git", "ls-files", *patterns], text=True).split()


def room(path):
    if path.startswith("tools/"):
        return "/".join(path.split("/")[:2])
    return next((r for r in ROOMS if path.startswith(r + "/")), "lib")


def bare(text):
    """Without comments and the insides of texts."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def includes(text):
    return re.findall(r'^#include "([^"]+)"', text, flags=re.M)


def declared():
    """Name -> headers, for lib and for each program apart."""
    found = {}
    for header in tracked("h"):
        text = bare(Path(header).read_text())
        names = re.findall(r"^(?:static inline |extern )?[A-Za-z_][\w \*]*?[ \*](\w+)\(", text, flags=re.M)
        names += re.findall(r"^#define (\w+)", text, flags=re.M)
        names += ["struct " + n for n in re.findall(r"^struct (\w+) \{", text, flags=re.M)]
        for name in names:
            if not name.endswith("_H") and not name.startswith("__") and name not in ("_Static_assert", "static_assert"):
                found.setdefault((room(header), name), set()).add(header)
    return {key: headers.pop() for key, headers in found.items() if len(headers) == 1}


def missing(path, owner):
    text = Path(path).read_text()
    code = bare(text)
    have = set(includes(text)) | {path}
    own = path[:-2] + ".h"
    if own in have:
        have |= set(includes(Path(own).read_text()))
    defined = set(re.findall(r"^[A-Za-z_][\w \*]*?[ \*](\w+)\(", code, flags=re.M))
    defined |= {"struct " + n for n in re.findall(r"^(?:static |const )*struct (\w+) \{", code, flags=re.M)}
    used = set(re.findall(r"\b(\w+)\(", code)) | set(re.findall(r"\b[A-Z][A-Z0-9_]{2,}\b", code))
    used |= {"struct " + n for n in re.findall(r"\bstruct (\w+)\b(?! ?\*|;)", code)}
    wanted = {}
    for name in sorted(used - defined):
        header = owner.get((room(path), name)) or owner.get(("lib", name))
        if header and header not in have:
            wanted.setdefault(header, name)
    return wanted


def add(path, headers):
    text = Path(path).read_text()
    new = [f'#include "{h}"' for h in headers]
    blocks = list(re.finditer(r'(?:^#include "[^"]+"\n)+', text, flags=re.M))
    own = f'#include "{path[:-2]}.h"'
    lines = blocks[-1][0].splitlines() if blocks else []
    if blocks and not (len(blocks) == 1 and lines[0] == own):
        block = blocks[-1]
        text = text[:block.start()] + "\n".join(sorted(set(lines + new))) + "\n" + text[block.end():]
    else:  # the file's own header stands alone, before those of the system
        start = blocks[0].start() + len(own) + 1 if blocks else 0
        system = re.match(r"(\n*(?:#include <[^>]+>\n)+)?", text[start:])
        rest = [line for line in lines if line != own]
        end = blocks[0].end() if blocks and not system[0] else start
        at = start + system.end() if system[0] else end
        text = text[:at] + ("\n" if at else "") + "\n".join(sorted(set(rest + new))) + "\n" + text[at:]
        if rest and system[0]:
            text = text.replace("\n".join(lines), own, 1)
        elif rest:
            text = text[:start] + text[end:] if at != end else text.replace("\n".join(rest) + "\n", "", 1)
    Path(path).write_text(text)


def main():
    owner, bad = declared(), 0
    for path in tracked("c"):
        wanted = missing(path, owner)
        if wanted and "--fix" in sys.argv:
            add(path, wanted)
        elif wanted:
            bad += 1
            print(f"{path}: " + ", ".join(f"{h} ({n})" for h, n in sorted(wanted.items())))
    return 1 if bad else 0


sys.exit(main())
