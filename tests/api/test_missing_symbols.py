"""Symbols that processed crashes wanted in vain, as `datil symbols missing` tells them."""
import re
import subprocess

from harness import BIN, Installation, wait_until


def missing(datil):
    """file -> (count, debug id, when last)"""
    lines = datil.datil("symbols", "missing").stdout.splitlines()
    found = (re.fullmatch(r" *(\d+)  ([^/]+)/([0-9A-F]+)/([^/]+\.sym)  last (\S+)", line) for line in lines)
    return {m[2]: (int(m[1]), m[3], m[5]) for m in found if m}


def test_missing_symbols_of_crashes(minidump, tmp_path):
    with Installation() as datil:
        assert "no symbols were looked for in vain" in datil.datil("symbols", "missing").stdout
        crashes = [datil.post(dump=minidump) for _ in range(3)]
        docs = [datil.wait_processed(c) for c in crashes]
        # Each worker writes its counts by itself, some seconds later.
        wait_until(lambda: missing(datil).get("sleep", [0])[0] == 3, 40, "the counts")
        table = missing(datil)
        wanted = {m["debug_file"]: m["debug_id"] for m in docs[0]["json_dump"]["modules"] if m["missing_symbols"]}
        assert {name: row[1] for name, row in table.items()}.items() <= wanted.items()
        assert any(name.startswith("libc.so") for name in table)
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", table["sleep"][2])

        assert datil.sql("SELECT product, version FROM missing_symbol WHERE symbol = 'sleep'") == [
            (docs[0]["product"], docs[0]["version"])]

        sym = tmp_path / "sleep.sym"
        with sym.open("wb") as out:
            subprocess.run([str(BIN / "datil-dump-syms"), "/usr/bin/sleep"], stdout=out, check=True)
        datil.datil("symbols", "add", sym)
        assert "sleep" not in missing(datil)
        assert datil.sql("SELECT count(*) FROM missing_symbol WHERE symbol = 'sleep'") == [(0,)]
