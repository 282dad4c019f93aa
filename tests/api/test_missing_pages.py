"""Missing symbols as page, JSON and CSV: what most crashes would get better by, on both hosts."""
import csv
import io
import re
from pathlib import Path

import pytest
from harness import Installation, wait_until

HOST = {"Host": "symbols.example.org"}
WHERE = [("", HOST), ("/symbols", {})]
IDS = [f"{n:032X}0" for n in range(1, 60)]


@pytest.fixture(scope="module")
def datil():
    with Installation() as d:
        # lib0 is lacked by one crash, lib1 by two, …; all of Editor, the odd ones of version 2.
        for n in range(1, 6):
            d.sql("INSERT INTO missing_symbol (hash, symbol, debugid, filename, code_file, code_id, count, created_at, "
                  "modified_at) VALUES (md5(%s), %s, %s, %s, %s, 'abc', %s, now() - %s * interval '1 day', "
                  "now() - %s * interval '1 minute')", f"{n}", f"lib{n}.so", IDS[n], f"lib{n}.so.sym", f"lib{n}.so.1",
                  1000 - n, n, 10 - n)
            for c in range(n):
                d.sql("INSERT INTO crash_lacks_symbols VALUES (%s, %s, now(), current_date, 'Editor', %s)",
                      f"00000000-0000-4000-8000-{c:012d}", IDS[n], "=2" if c % 2 else "1.0")
        yield d


def symbols(answer):
    assert answer.status == 200, answer
    return [r["symbol"] for r in answer.json["records"]]


@pytest.mark.parametrize("prefix,host", WHERE)
def test_json(datil, prefix, host):
    def ask(**params):
        return datil.get(prefix + "/missingsymbols/", params, headers=host)
    first = ask().json
    assert first["order_by"] == {"sort": "modified_at", "reverse": False} and first["total_count"] == 5
    assert first["batch_size"] == 40 and first["page"] == 1
    assert symbols(ask()) == [f"lib{n}.so" for n in (5, 4, 3, 2, 1)]
    record = first["records"][0]
    assert {"id", "symbol", "debugid", "filename", "code_file", "code_id", "count", "modified_at", "created_at"} <= set(record)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["modified_at"])
    assert record["crashes"] == 5 and [(v["version"], v["crashes"]) for v in record["crashes_by_version"]] == [
        ("1.0", 3), ("=2", 2)]
    assert symbols(ask(reverse="true"))[0] == "lib1.so"
    assert symbols(ask(sort="count"))[0] == "lib1.so" and symbols(ask(sort="symbol"))[0] == "lib1.so"
    assert symbols(ask(sort="symbol", reverse="true"))[0] == "lib5.so"
    assert symbols(ask(sort="created_at"))[0] == "lib1.so" and symbols(ask(sort="crashes"))[0] == "lib5.so"
    assert symbols(ask(symbol="IB3")) == ["lib3.so"] and symbols(ask(symbol="%")) == []
    assert symbols(ask(debugid=IDS[2][-4:])) == ["lib2.so"] and symbols(ask(code_file="lib4.so.1")) == ["lib4.so"]
    assert symbols(ask(code_id="xyz")) == [] and symbols(ask(filename="5.so.sym")) == ["lib5.so"]
    assert symbols(ask(modified_at="<2001-01-01")) == [] and len(symbols(ask(created_at=">2001-01-01"))) == 5
    assert symbols(ask(product="Editor", version="=2", sort="crashes")) == [f"lib{n}.so" for n in (5, 4, 3, 2)]
    assert [r["crashes"] for r in ask(version="=2", sort="crashes").json["records"]] == [2, 2, 1, 1]
    assert symbols(ask(product="Other")) == [] and ask(product="Other").json["total_count"] == 0
    assert symbols(ask(page=2)) == [] and ask(page=2).json["total_count"] == 5


@pytest.mark.parametrize("field,value,text", [
    ("sort", "size", "Invalid sort 'size'"), ("modified_at", "soon", "Unable to parse 'soon'"),
    ("page", "x", "Not a number 'x'")])
def test_wrong_filters(datil, field, value, text):
    answer = datil.get("/missingsymbols/", {field: value})
    assert answer.status == 400 and answer.json == {"errors": {field: [text]}}
    page = datil.get("/symbols/missing", {field: value})
    assert page.status == 400 and field in page.text and value in page.text


@pytest.mark.parametrize("prefix,host", WHERE)
def test_page(datil, prefix, host):
    page = datil.get(prefix + "/missing", headers=host)
    assert page.status == 200
    assert re.findall(r"(lib\d\.so)<br>", page.text) == [f"lib{n}.so" for n in (5, 4, 3, 2, 1)]
    assert "Editor 1.0: 3" in page.text and "Editor =2: 2" in page.text
    assert (f"/search/?_facets=signature&amp;missing_symbols=~{IDS[5]}" in page.text) == bool(prefix)
    for link in re.findall(r'href="([^"]*missing[^"]*)"', page.text):
        if "/search/" not in link:
            assert datil.get(link.replace("&amp;", "&"), headers=host).status == 200, link
    empty = datil.get(prefix + "/missing", {"symbol": "<none>"}, headers=host)
    assert "Nothing fits these filters" in empty.text and "&lt;none&gt;" in empty.text


@pytest.mark.parametrize("prefix,host", WHERE)
def test_csv_by_version(datil, prefix, host):
    answer = datil.get(prefix + "/missing.csv", headers=host)
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert re.fullmatch(r'attachment; filename="missing-symbols-by-version-20\d\d-\d\d-\d\d\.csv"',
                        answer.headers["Content-Disposition"])
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert (rows[0]["debug_file"], rows[0]["version"], rows[0]["crashes"]) == ("lib5.so", "1.0", "3")
    assert {r["version"] for r in rows} == {"1.0", "'=2"}  # no formula
    assert sum(int(r["crashes"]) for r in rows) == 15
    only = list(csv.DictReader(io.StringIO(datil.get(prefix + "/missing.csv", {"version": "=2"}, headers=host).text)))
    assert {r["version"] for r in only} == {"'=2"}


def test_csv_at_the_root_of_both(datil):
    for host in ({}, HOST):
        lines = datil.get("/missingsymbols.csv", headers=host).text.split("\r\n")
        assert lines[0] == "debug_file,debug_id,code_file,code_id" and f"lib3.so,{IDS[3]},lib3.so.1,abc" in lines


def test_csv_of_any_length(datil):
    """The list comes whole and in order, and the worker that made it held a small part of it."""
    def peak_kib():
        return {pid: int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
                for pid in datil.program_pids("datil-symbols")[1]}
    count = 200_000
    before = peak_kib()
    datil.sql("INSERT INTO missing_symbol (hash, symbol, debugid, filename, code_file) SELECT md5('long' || n), "
              "'long' || n / 3 || '.so', lpad(to_hex(n / 2), 33, 'A'), 'long.sym', repeat('x', 200) || '\",' || n "
              "FROM generate_series(1, %s) n", count)
    try:
        answer = datil.get("/missingsymbols.csv")
        assert answer.status == 200 and len(answer.body) == int(answer.headers["Content-Length"])
        rows = [row for row in csv.reader(io.StringIO(answer.text)) if row[0].startswith("long")]
        assert {row[2] for row in rows} == {"x" * 200 + f'",{n}' for n in range(1, count + 1)}
        assert len(rows) == count and len(answer.body) > 48 << 20
        assert all(row[3] == "" for row in rows)
        after = peak_kib()
        assert set(after) == set(before)
        assert max(after[pid] - before[pid] for pid in after) < 24 << 10
    finally:
        datil.sql("DELETE FROM missing_symbol WHERE starts_with(symbol, 'long')")


def test_many_pages(datil):
    datil.sql("INSERT INTO missing_symbol (hash, symbol, debugid, filename) SELECT md5('m' || n), 'many.so', "
              "lpad(to_hex(n), 33, 'F'), 'many.so.sym' FROM generate_series(1, 90) n")
    seen = []
    path = "/symbols/missing?symbol=many"
    while path:
        page = datil.get(path).text
        seen += re.findall(r"many\.so<br>(F+[0-9a-f]+)", page)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        path = found and found[1].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 90


def test_counts_of_crashes_and_deletion(datil, minidump):
    """A crash counts once for each module, however often it is processed, and not when it is gone."""
    def count():
        found = [r for r in datil.get("/missingsymbols/", {"symbol": "sleep"}).json["records"] if r["symbol"] == "sleep"]
        return found[0]["crashes"] if found else 0
    others = [datil.post(dump=minidump) for _ in range(2)]  # other tests have such crashes as well
    for crash_id in others:
        doc = datil.wait_processed(crash_id)
    debug_id = next(m["debug_id"] for m in doc["symbols_wanted"] if m["filename"] == "sleep")
    datil.sql("INSERT INTO missing_symbol (hash, symbol, debugid, filename) "  # as the worker does some seconds later
              "VALUES (md5('sleep'), 'sleep', %s, 'sleep.sym') ON CONFLICT DO NOTHING", debug_id)
    before = count()
    crash_id = datil.post(dump=minidump)
    datil.wait_processed(crash_id)
    assert before >= 2 and count() == before + 1
    datil.datil("reprocess", crash_id)
    wait_until(lambda: len(datil.processed(crash_id)["processor_history"]) == 1, what="the second pass")
    assert count() == before + 1
    datil.datil("crash", "delete", crash_id)
    assert count() == before
