"""Upkeep of the symbol store: retention, verification, orphans, and the commands about symbols."""
import gzip
import os
import time
from pathlib import Path

import pytest

from harness import Installation

DAY_S = 86400


def sym(name, number, lines="FUNC 1000 20 0 work\n1000 10 7 0\n1010 10 8 0\nPUBLIC 2000 0 exported\n"):
    debug_id = f"{number:032X}0"
    return debug_id, f"MODULE Linux x86_64 {debug_id} {name}\nFILE 0 src/{name}.c\n{lines}"


@pytest.fixture(scope="module")
def datil():
    with Installation() as d:
        yield d


@pytest.fixture
def store(datil, tmp_path):
    """Adds modules of one test's own; gives their files and compiled files."""

    class Store:
        root = Path(datil.var) / "symbols"
        cache = Path(datil.var) / "symcache"

        def add(self, name, number, **kw):
            debug_id, text = sym(name, number, **kw)
            path = tmp_path / f"{name}.sym"
            path.write_text(text)
            datil.datil("symbols", "add", path)
            return debug_id

        def file(self, name, debug_id, area="v1"):
            return self.root / area / name / debug_id / f"{name}.sym.gz"

        def csym(self, name, debug_id):
            return self.cache / name / f"{debug_id}.csym"

        def age(self, name, days, used_days=None, area="v1", downloaded_days=None):
            """As if it had been stored, used and downloaded so many days ago."""
            for file in (self.root / area / name).glob("*/*"):
                then = time.time() - days * DAY_S
                os.utime(file, (then, then))
            datil.sql("UPDATE symbol_object SET last_modified = now() - %s * interval '1 day',"
                      " last_download = now() - %s * interval '1 day' WHERE key LIKE %s",
                      days, downloaded_days, f"{name}/%")
            for csym in (self.cache / name).glob("*.csym"):
                used = time.time() - (days if used_days is None else used_days) * DAY_S
                os.utime(csym, (used, used))

    return Store()


def keys(datil, like="%"):
    return {k for (k,) in datil.sql("SELECT key FROM symbol_object WHERE key LIKE %s", like)}


def run_job(datil, name, *args):
    job_args = [x for a in args for x in ("--job-arg", a)]
    return datil.datil("cron", "run", name, *job_args).stdout


def test_old_symbols_expire_unless_in_use(datil, store):
    ids = {name: store.add(name, 0x1000 + i) for i, name in
           enumerate(("e_fresh", "e_young", "e_old", "e_walked", "e_loaded", "e_reloaded"))}
    store.age("e_young", 729)
    store.age("e_old", 731, downloaded_days=91)
    store.age("e_walked", 3000, used_days=89)
    store.age("e_loaded", 731, downloaded_days=89)
    store.age("e_reloaded", 731)  # the row is old, the file was replaced a moment ago
    os.utime(store.file("e_reloaded", ids["e_reloaded"]))

    dry = datil.datil("symbols", "expire", "--dry-run").stdout
    assert f"expired: regular e_old/{ids['e_old']}/e_old.sym" in dry
    assert f"old, but in use: regular e_walked/{ids['e_walked']}/e_walked.sym" in dry
    assert "2 symbols files would be removed" in dry  # e_reloaded: its file is looked at only when it goes
    assert store.file("e_old", ids["e_old"]).exists()

    done = datil.datil("symbols", "expire").stdout
    assert "1 symbols files removed" in done and "2 old ones kept because they are in use" in done
    assert {k.split("/")[0] for k in keys(datil, "e\\_%")} == {"e_fresh", "e_young", "e_walked", "e_loaded", "e_reloaded"}
    assert not (store.root / "v1" / "e_old").exists(), "folders that are empty go, too"
    assert not (store.cache / "e_old").exists()
    assert not list((store.root / "ids").rglob(ids["e_old"]))
    assert datil.get(f"/symbols/e_old/{ids['e_old']}/e_old.sym").status == 404
    assert datil.get(f"/symbols/e_walked/{ids['e_walked']}/e_walked.sym").status == 302
    assert "0 symbols files removed" in datil.datil("symbols", "expire").stdout
    audit = datil.sql("SELECT count(*) FROM audit_log WHERE object = 'symbols' AND action = 'expire'")
    assert audit == [(2,)]


def test_a_killed_expiry_is_finished_by_the_next(datil, store):
    store.add("k_fresh", 0x2001)
    debug_id = store.add("k_half", 0x2000)
    store.age("k_half", 1000)
    store.file("k_half", debug_id).unlink()  # as after a kill between file and row
    assert "1 symbols files removed" in datil.datil("symbols", "expire").stdout
    assert keys(datil, "k\\_half/%") == set()


def test_clock_far_ahead_removes_nothing(datil, store):
    debug_id = store.add("c_only", 0x3000)
    shift = "UPDATE symbol_object SET last_modified = last_modified + %s * interval '1 day'"
    datil.sql(shift, -1000)  # as if the clock had jumped
    try:
        for command in ("expire-symbols", "clear-uploads"):
            far = datil.datil("cron", "run", command, check=False)
            assert far.returncode == 1 and "check the clock" in far.stdout + far.stderr
        assert store.file("c_only", debug_id).exists()
    finally:
        datil.sql(shift, 1000)


def test_unmounted_store_loses_no_rows(datil, store):
    store.add("u_fresh", 0x4001)
    store.add("u_one", 0x4000)
    store.age("u_one", 1000)
    away = store.root.with_name("symbols-away")
    store.root.rename(away)
    store.root.mkdir()
    try:
        before = keys(datil)
        for command in (("symbols", "expire"), ("symbols", "verify", "--fix")):
            done = datil.datil(*command, check=False)
            assert done.returncode == 1, done
        assert keys(datil) == before
    finally:
        store.root.rmdir()
        away.rename(store.root)
    assert "1 symbols files removed" in datil.datil("symbols", "expire").stdout


def test_history_of_old_uploads_goes(datil, store):
    debug_id = store.add("h_kept", 0x5000)
    datil.sql("INSERT INTO symbol_upload (filename, size, try_symbols, created_at) VALUES"
              " ('h_old.zip', 1, false, now() - interval '731 days'),"
              " ('h_new.zip', 1, false, now() - interval '729 days'),"
              " ('h_try.zip', 1, true, now() - interval '31 days')")
    datil.sql("UPDATE symbol_file SET created_at = now() - interval '800 days' WHERE debug_id = %s", debug_id)
    datil.sql("INSERT INTO symbol_file (area, key, \"update\", compressed, size, created_at) VALUES"
              " ('regular', 'h_gone/00/h_gone.sym', false, true, 1, now() - interval '731 days')")
    assert "1 rows of files and 2 of uploads would be deleted" in run_job(datil, "clear-uploads", "dry-run=1")
    assert "1 rows of files and 2 of uploads deleted" in run_job(datil, "clear-uploads")
    assert datil.sql("SELECT filename FROM symbol_upload WHERE filename LIKE 'h\\_%%'") == [("h_new.zip",)]
    assert datil.sql("SELECT count(*) FROM symbol_file WHERE debug_id = %s", debug_id) == [(1,)]


def test_announced_files_that_never_came_go_with_their_bytes(datil):
    upload = datil.sql("INSERT INTO symbol_upload (filename, size, try_symbols) VALUES ('s.zip', 1, false) RETURNING id")[0][0]
    folder = datil.var / "symbols/sessions"
    folder.mkdir(exist_ok=True)
    for at, end in enumerate(("-1 second", "1 hour")):
        name = f"{at}" * 64
        datil.sql("INSERT INTO symbol_session (id_hash, upload_id, area, key, size, md5, expires_at) VALUES"
                  " (%s, %s, 'regular', %s, 9, %s, now() + %s::interval)", name, upload, f"s{at}/00/s.sym", "0" * 32, end)
        (folder / name).write_bytes(b"half")
    datil.own(folder)
    assert "1 announced files would be forgotten" in run_job(datil, "clear-uploads", "dry-run=1")
    assert "1 announced files forgotten" in run_job(datil, "clear-uploads")
    assert not (folder / ("0" * 64)).exists() and (folder / ("1" * 64)).exists()
    datil.sql("DELETE FROM symbol_upload WHERE id = %s", upload)


def test_tokens_go_90_days_after_their_end(datil):
    datil.add_user("tokens@example.org", "a long password", "--group", "Uploaders")
    for days in (89, 91):
        datil.sql("INSERT INTO api_token (user_id, key_hash, key_start, notes, expires_at) SELECT id, %s, 'x', %s,"
                  " now() - %s * interval '1 day' FROM app_user WHERE email = 'tokens@example.org'", f"{days}" * 32, f"ended {days}", days)
    assert "1 expired API tokens would be deleted" in run_job(datil, "clear-tokens", "dry-run")
    assert "1 expired API tokens deleted" in run_job(datil, "clear-tokens")
    assert datil.sql("SELECT notes FROM api_token WHERE notes LIKE 'ended%%'") == [("ended 89",)]


def test_missing_symbols_are_forgotten(datil):
    datil.sql("INSERT INTO missing_symbol (hash, symbol, debugid, filename, modified_at) VALUES"
              " (md5('m1'), 'm_old', '00', 'm_old.sym', now() - interval '31 days'),"
              " (md5('m2'), 'm_new', '00', 'm_new.sym', now() - interval '29 days')")
    assert "1 missing symbols forgotten" in run_job(datil, "clear-missing-symbols")
    assert datil.sql("SELECT symbol FROM missing_symbol WHERE symbol LIKE 'm\\_%%'") == [("m_new",)]


def test_orphans_that_nobody_has_open(datil):
    temp = Path(datil.var) / "tmp" / "uploads"
    temp.mkdir(parents=True, exist_ok=True)
    old = time.time() - 16 * 60
    files = {name: temp / name for name in ("o_dead", "o_open", "o_young")}
    for file in files.values():
        file.write_bytes(b"x")
    for name in ("o_dead", "o_open"):
        os.utime(files[name], (old, old))
    datil.own(temp)
    with files["o_open"].open("rb"):
        assert "1 orphaned files of uploads would be removed" in run_job(datil, "clear-orphans", "dry-run")
        assert "1 orphaned files of uploads removed" in run_job(datil, "clear-orphans")
        assert {n for n, f in files.items() if f.exists()} == {"o_open", "o_young"}
    assert "1 orphaned files" in run_job(datil, "clear-orphans")


def test_verify_finds_and_mends_each_kind(datil, store):
    ids = {name: store.add(name, 0x6000 + i) for i, name in
           enumerate(("v_good", "v_lost", "v_bare", "v_other", "v_damaged", "v_csym"))}
    clean = datil.datil("symbols", "verify", "--content")
    assert "0 differences" in clean.stdout, clean.stdout

    store.file("v_lost", ids["v_lost"]).unlink()
    datil.sql("DELETE FROM symbol_object WHERE key LIKE 'v\\_bare/%%'")
    datil.sql("DELETE FROM symbol_file WHERE key LIKE 'v\\_bare/%%'")
    with gzip.open(store.file("v_other", ids["v_other"]), "wb") as out:
        out.write(sym("v_other", 0x6003, lines="FUNC 10 10 0 another_and_longer\n")[1].encode())
    damaged = store.file("v_damaged", ids["v_damaged"])
    body = bytearray(damaged.read_bytes())
    body[len(body) // 2] ^= 0x55
    damaged.write_bytes(body)
    csym = store.csym("v_csym", ids["v_csym"])
    csym.write_bytes(csym.read_bytes().replace(b"exported", b"exporteD"))

    def findings(*args):
        out = datil.datil("symbols", "verify", *args, check=False)
        return out.returncode, {line.split(": ")[0].split("/")[0].split(" ")[-1]: line.split(": ", 1)[1]
                                for line in out.stdout.splitlines() if ": " in line}

    status, found = findings("--content")
    assert status == 1
    assert found == {
        "v_lost": "in the database, not on disk",
        "v_bare": "on disk, not in the database",
        "v_other": "on disk with another size",
        "v_damaged": "damaged: its bytes are not those that were stored",
        "v_csym": "compiled symbols are damaged",
    }
    status, found = findings("--content", "--fix")
    assert status == 1, "the damaged file is left"
    assert {n for n, f in found.items() if f.endswith("(mended)")} == {"v_lost", "v_bare", "v_other", "v_csym"}
    status, found = findings("--content")
    assert (status, set(found)) == (1, {"v_damaged"})
    bare = datil.sql("SELECT debug_filename, debug_id FROM symbol_file WHERE key LIKE 'v\\_bare/%%'")
    assert bare == [("v_bare", ids["v_bare"])]
    assert not csym.exists()
    assert "work" in datil.datil("symbols", "lookup", f"v_csym/{ids['v_csym']}", "1000").stdout
    assert csym.exists(), "made again when it was wanted"
    damaged.unlink()
    assert "1 differences, 1 mended" in run_job(datil, "verify-storage")


def test_lookup(datil, store, tmp_path):
    debug_id = store.add("l_mod", 0x7000)
    stored = datil.datil("symbols", "lookup", f"l_mod/{debug_id}", "0x1004", "1013", "2001", "9", check=False)
    assert stored.stdout.splitlines() == [
        "0x1004  work + 0x4  src/l_mod.c:7",
        "1013  work + 0x13  src/l_mod.c:8",
        "2001  exported + 0x1  (public symbol: no size, no lines)",
        "9  no function",
    ]
    other = datil.datil("symbols", "lookup", f"renamed/{debug_id}", "1013")
    assert "work + 0x13" in other.stdout and other.stderr == "by its id, from the symbols of l_mod\n"
    path = tmp_path / "some.sym.gz"
    path.write_bytes(gzip.compress(sym("elsewhere", 0x7001)[1].encode() + b"nonsense\n"))
    alone = datil.datil("symbols", "lookup", path, "1000")
    assert alone.stdout == "1000  work + 0x0  src/elsewhere.c:7\n"
    assert "1 lines are no records" in alone.stderr
    assert not (store.cache / "elsewhere").exists(), "a file that is tried out stays out of the cache"
    for args, words in ((("l_mod", "1"), "neither a file nor"), ((f"l_mod/{'A' * 33}", "1"), "not in the store"),
                        ((f"l_mod/{debug_id}", "1g"), "hexadecimal")):
        bad = datil.datil("symbols", "lookup", *args, check=False)
        assert bad.returncode == 1 and words in bad.stderr, bad


def test_compile_makes_what_a_lost_cache_lacks(datil, store):
    ids = {name: store.add(name, 0x8000 + i) for i, name in enumerate(("p_one", "p_two"))}
    for name, debug_id in ids.items():
        store.csym(name, debug_id).unlink()
    assert "modules have compiled symbols" in datil.datil("symbols", "compile", check=False).stdout
    assert all(store.csym(name, debug_id).exists() for name, debug_id in ids.items())


def test_janitor(datil, store):
    store.add("j_one", 0x9000)
    assert "compiled symbols take" in run_job(datil, "symcache-janitor")
