#!/usr/bin/env python3
"""The generator of queries.h: each case is a .sql file and what comes of it: `expected` in the
header or the C source, or the error that stops the build."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent

CASES = [
    # label, text, C that comes out or None, error
    ("a statement", "-- name: one\nDELETE FROM t;\n", '.text =\n    "DELETE FROM t",\n    .param_count = 0,\n    .index = 0,', None),
    ("parameters", "-- name: two\n-- $1 a text\n-- $2 b int\nDELETE FROM t WHERE a = $1\n  OR b = $2;\n",
     '    "DELETE FROM t WHERE a = $1\\n"\n    "  OR b = $2",\n    .param_count = 2,', None),
    ("quotes and backslashes", "-- name: q\nSELECT E'a\\n' AS a, \"b\" AS b;\n", r'''"SELECT E'a\\n' AS a, \"b\" AS b"''', None),
    ("a comment between lines", "-- name: c\nSELECT 1 AS a -- it's (one\n     , 2 AS b;\n", '"SELECT 1 AS a -- it\'s (one\\n"', None),
    ("semicolon inside a line", "-- name: s\nSELECT ';' AS a\n     , 2 AS b;\n", '"SELECT \';\' AS a\\n"', None),
    ("two in one file", "-- name: a\nSELECT 1 AS n;\n\n-- name: b\nSELECT 2 AS n;\n", ".index = 1,", None),
    ("columns", "-- name: x\nSELECT a, t.b, count(*) FILTER (WHERE c) AS d,\n  'x, FROM' AS e FROM t;\n",
     '(const char *const[]){"a", "b", "d", "e", NULL}', None),
    ("constants", "-- name: a\nDELETE FROM t;\n-- name: b_c\nSELECT DISTINCT a, extract(epoch FROM d) AS e;\n",
     "enum q_b_c_col {\n    Q_B_C_COL_A = 2 * DB_COLUMNS_MAX + 0,\n    Q_B_C_COL_E = 2 * DB_COLUMNS_MAX + 1,\n};",
     None),
    ("the outermost SELECT", "-- name: x\nWITH w AS (SELECT a FROM t)\nSELECT b FROM w;\n", '{"b", NULL}', None),
    ("RETURNING", "-- name: x\nINSERT INTO t (a) SELECT b FROM u\nRETURNING c;\n", '{"c", NULL}', None),
    ("no answer", "-- name: x\nINSERT INTO t (a) SELECT b FROM u;\n", 'FROM u",\n    .param_count', None),
    ("a column without a name", "-- name: x\nSELECT a, now() FROM t;\n", None, "a name (AS ...) for the column now()"),
    ("undeclared parameter", "-- name: x\nSELECT $1;\n", None, "declares 0 parameters and uses $1"),
    ("unused parameter", "-- name: x\n-- $1 a text\nSELECT 1;\n", None, "declares 1 parameters and uses $0"),
    ("parameters out of order", "-- name: x\n-- $2 a text\nSELECT $2;\n", None, "parameter $2 is out of order"),
    ("no end", "-- name: x\nSELECT 1\n", None, "has no semicolon"),
    ("no end before the next", "-- name: x\nSELECT 1\n-- name: y\nSELECT 2;\n", None, "has no semicolon"),
    ("text without a name", "SELECT 1;\n", None, "text outside of a statement"),
    ("twice", "-- name: x\nSELECT 1;\n-- name: x\nSELECT 1;\n", None, "defined twice"),
    ("bad name", "-- name: X-y\nSELECT 1;\n", None, "bad statement name"),
    ("long name", "-- name: " + "x" * 61 + "\nSELECT 1;\n", None, "bad statement name"),
]


def run(text, folder):
    source = folder / "in.sql"
    source.write_text(text)
    done = subprocess.run(["awk", "-v", f"header={folder}/q.h", "-v", f"source={folder}/q.c", "-f",
                           ROOT / "tools/gen/sql.awk", source], capture_output=True, text=True)
    return done.returncode, done.stderr, (folder / "q.h").read_text() + (folder / "q.c").read_text()


def main():
    failed = 0
    for label, text, expected, error in CASES:
        with tempfile.TemporaryDirectory() as folder:
            status, said, source = run(text, Path(folder))
        if error:
            good = status != 0 and error in said and "in.sql:" in said
        else:
            good = status == 0 and expected in source
        print(f"ok {label}" if good else f"FAIL {label}: status {status} {said!r} {source!r}")
        failed += not good
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    sys.exit(main())
