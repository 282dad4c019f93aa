"""Servers with the layout of Microsoft's symbol stores: PDB and program, plain, in cabinets, or where file.ptr says."""
import json
import lzma
import struct
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "golden/walks")]
from cabinet import cabinet  # noqa: E402
from harness import Installation, wait_until  # noqa: E402
from synth import MODULE, STACK, Dump  # noqa: E402
from test_symbol_sources import (MALFORMED, NOT_FOUND, REFUSED, UNREACHABLE, WRONG_ID, Upstream, answers,  # noqa: E402
                                 download, fetch, stored)

CASES = TESTS / "golden/dump-syms/cases/native"
PDB_ID = "6B1416155BF95DFE4C4C44205044422E1"
CODE_ID = "DF67A4825000"
NAME = "frames-arm64.pdb"
CODE = ("C:\\Program Files\\frames-arm64.dll", CODE_ID)
DLL = (CASES / "frames-arm64.dll").read_bytes()
PDB = lzma.decompress((CASES / "frames-arm64.pdb.xz").read_bytes())
PDB_AT, DLL_AT = f"/{NAME}/{PDB_ID}/", f"/frames-arm64.dll/{CODE_ID}/"
OTHER_DLL = (CASES / "frames.dll").read_bytes()


def page(body, status=200, **headers):
    return lambda h: h.say(status, body, **headers)


@pytest.fixture
def up():
    with Upstream() as server:
        yield server
        server.shutdown()


def fetch_frames(cache, server, **more):
    return fetch(cache, ["microsoft+" + server.url], name=NAME, debug_id=PDB_ID, code=CODE, **more)


def text_of(cache):
    return stored(cache, NAME, PDB_ID, "frames-arm64.sym").decode()


PLACES = [
    ("plain", {PDB_AT + NAME: page(PDB), DLL_AT + "frames-arm64.dll": page(DLL)}, 2),
    ("in cabinets", {PDB_AT + "frames-arm64.pd_": page(cabinet(NAME, PDB)),
                     DLL_AT + "frames-arm64.dl_": page(cabinet("frames-arm64.dll", DLL, "mszip"))}, 4),
    ("cabinets under the plain names", {PDB_AT + NAME: page(cabinet(NAME, PDB, "mszip")),
                                        DLL_AT + "frames-arm64.dll": page(cabinet("frames-arm64.dll", DLL))}, 2),
    ("redirected", {PDB_AT + NAME: page(b"", 302, Location="/blob/1?sig=secret"), "/blob/1": page(PDB),
                    DLL_AT + "frames-arm64.dll": page(b"", 301, Location="/blob/2"), "/blob/2": page(DLL)}, 4),
    ("elsewhere", {PDB_AT + "file.ptr": lambda h: h.say(200, f"PATH:{h.server_url}/share/x.pdb\r\n".encode()),
                   "/share/x.pdb": page(PDB), DLL_AT + "frames-arm64.dll": page(DLL)}, 5),
]


@pytest.mark.parametrize("case", PLACES, ids=lambda c: c[0])
def test_program_and_pdb_become_one_text(up, tmp_path, case):
    _, pages, requests = case
    for path, answer in pages.items():
        up.pages[path] = lambda h, answer=answer: (setattr(h, "server_url", up.url), answer(h))
    log = fetch_frames(tmp_path, up)
    text = text_of(tmp_path)
    assert text.startswith(f"MODULE windows arm64 {PDB_ID} {NAME}\nINFO CODE_ID {CODE_ID} frames-arm64.dll\n")
    assert "many_registers\n" in text and "frames.c\n" in text and "STACK CFI INIT 106c 64" in text, log
    assert text.endswith(f"\nINFO URL {up.url}{PDB_AT}{NAME}\n")
    assert (tmp_path / f"{NAME}/{PDB_ID}.csym").exists()
    assert len(up.asked) == requests, up.paths()
    before = len(up.asked)
    fetch_frames(tmp_path, up)
    assert len(up.asked) == before
    assert not list(tmp_path.glob(".tmp.*"))


def test_store_of_two_levels(up, tmp_path):
    """With index2.txt: a folder more, of the first two letters; for PDB and program, and in what is said of the text."""
    up.pages[f"/fr{PDB_AT}{NAME}"] = page(PDB)
    up.pages[f"/fr{DLL_AT}frames-arm64.dl_"] = page(cabinet("frames-arm64.dll", DLL))
    fetch(tmp_path, ["microsoft2+" + up.url], name=NAME, debug_id=PDB_ID, code=CODE)
    text = text_of(tmp_path)
    assert "many_registers" in text and "STACK CFI INIT" in text and text.endswith(f"\nINFO URL {up.url}/fr{PDB_AT}{NAME}\n")
    assert up.paths() == [f"/fr{PDB_AT}{NAME}", f"/fr{DLL_AT}frames-arm64.dll", f"/fr{DLL_AT}frames-arm64.dl_"]


def test_either_alone_is_better_than_nothing(up, tmp_path):
    up.pages[PDB_AT + NAME] = page(PDB)
    fetch_frames(tmp_path / "a", up)
    assert "many_registers" in text_of(tmp_path / "a") and "STACK CFI" not in text_of(tmp_path / "a")
    assert up.paths() == [PDB_AT + NAME] + [DLL_AT + n for n in ("frames-arm64.dll", "frames-arm64.dl_", "file.ptr")]
    up.pages[DLL_AT + "frames-arm64.dll"] = page(OTHER_DLL)  # of another build: not used
    fetch_frames(tmp_path / "b", up)
    assert "many_registers" in text_of(tmp_path / "b") and "STACK CFI" not in text_of(tmp_path / "b")
    del up.pages[PDB_AT + NAME]
    up.pages[DLL_AT + "frames-arm64.dll"] = page(DLL)
    fetch_frames(tmp_path / "c", up)
    assert "STACK CFI INIT" in text_of(tmp_path / "c") and "many_registers" not in text_of(tmp_path / "c")


NOTHING = [
    # label, pages, answer, whether the other file is asked for
    ("nothing there", {}, NOT_FOUND),
    ("a share of somebody's network", {PDB_AT + "file.ptr": page(b"PATH:\\\\builds\\symbols\\frames.pdb")}, NOT_FOUND),
    ("a message", {PDB_AT + "file.ptr": page(b"MSG: not for you")}, NOT_FOUND),
    ("a pointer to a local file", {PDB_AT + "file.ptr": page(b"PATH:file:///etc/passwd")}, NOT_FOUND),
    ("garbage", {PDB_AT + NAME: page(b"<html>log in first</html>" * 9)}, MALFORMED),
    ("a damaged cabinet", {PDB_AT + "frames-arm64.pd_": page(cabinet(NAME, PDB)[:30000])}, MALFORMED),
    ("another build", {DLL_AT + "frames-arm64.dll": page(OTHER_DLL)}, WRONG_ID),
    ("the program cannot be had now", {PDB_AT + NAME: page(PDB), DLL_AT + "frames-arm64.dll": page(b"", 503)}, UNREACHABLE),
    ("forbidden", {PDB_AT + NAME: page(b"", 403)}, REFUSED),
]


@pytest.mark.parametrize("case", NOTHING, ids=lambda c: c[0])
def test_what_is_no_answer(up, tmp_path, case):
    _, pages, answer = case
    up.pages.update(pages)
    fetch_frames(tmp_path, up)
    assert answers(tmp_path, f"{NAME}/{PDB_ID}") == [answer]
    assert not (tmp_path / f"{NAME}/{PDB_ID}.csym").exists() and not list(tmp_path.glob(".tmp.*"))


def test_private_addresses_are_refused_behind_a_pointer_too(up, tmp_path):
    fetch_frames(tmp_path, up, may_reach_reserved=False)
    assert answers(tmp_path, f"{NAME}/{PDB_ID}") == [REFUSED] and up.asked == []


def test_modules_of_other_systems_are_not_asked_for(up, tmp_path):
    fetch(tmp_path, ["microsoft+" + up.url], name="libxul.so", code=("libxul.so", "0123456789abcdef0123456789abcdef01234567"))
    fetch(tmp_path, ["microsoft+" + up.url], name="XUL")
    assert up.asked == []


def test_module_without_debug_id(up, tmp_path):
    """Dumps written in want of memory: the program says which PDB is its own."""
    up.pages[PDB_AT + "frames-arm64.pd_"] = page(cabinet(NAME, PDB))
    up.pages[DLL_AT + "frames-arm64.dl_"] = page(cabinet("frames-arm64.dll", DLL))
    for debug_id in ("", "0" * 33):
        fetch(tmp_path, ["microsoft+" + up.url], name="", debug_id=debug_id, code=(CODE[0], CODE_ID.lower()))
        text = text_of(tmp_path)
        assert "many_registers" in text and "STACK CFI INIT" in text
    assert len(up.asked) == 4, "known by its code id from then on"


@pytest.fixture(scope="module")
def behind():
    with Upstream() as server:
        with Installation(SYMBOLS_UPSTREAM_URLS=f"microsoft+{server.url}", SYMBOLS_UPSTREAM_RESERVED="on",
                          PROCESSOR_SYMBOLS_WAIT_S="30") as datil:
            yield datil, server
        server.shutdown()


class WindowsDump(Dump):
    """One module, frames-arm64.dll: the debug record and the time and size of its headers."""

    def module_list(self):
        guid = struct.pack("<IHH", 0x6B141615, 0x5BF9, 0x5DFE) + bytes.fromhex("4C4C44205044422E")
        record = b"RSDS" + guid + struct.pack("<I", 1) + NAME.encode() + b"\0"
        name = self.string("C:\\Windows\\frames-arm64.dll")
        entry = struct.pack("<QIIII", MODULE, int(CODE_ID[8:], 16), 0, int(CODE_ID[:8], 16), name) + bytes(52) + \
            self.location(record)
        return struct.pack("<I", 1) + entry + bytes(108 - len(entry))


def test_names_in_a_crash(behind):
    """Two frames: the second is found with the unwind data of arm64, the return address being where that says."""
    datil, server = behind
    server.pages[PDB_AT + "frames-arm64.pd_"] = page(cabinet(NAME, PDB))
    server.pages[DLL_AT + "frames-arm64.dll"] = page(DLL)
    stack = [0] * 6 + [MODULE + 0x1030, 0] + [0] * 200
    dump = WindowsDump("arm64", "windows", {"pc": MODULE + 0x1094, "sp": STACK, "lr": 0, "fp": 0}, stack)
    dump.exception = (0xC0000005, 0, 0, (0, 0))
    crash = datil.wait_processed(datil.post(dump=dump.bytes()))
    frames = crash["json_dump"]["crashing_thread"]["frames"]
    assert [(f["function"], f["trust"]) for f in frames[:2]] == [("many_registers", "context"), ("exported", "cfi")]
    assert frames[0]["file"].endswith("frames.c") and frames[0]["line"] == 20
    module = crash["json_dump"]["modules"][0]
    assert module["loaded_symbols"] and module["symbol_url"] == f"{server.url}{PDB_AT}{NAME}"
    assert crash["signature"] == "many_registers"
    key = f"{NAME}/{PDB_ID}/frames-arm64.sym"
    wait_until(lambda: datil.sql(f"SELECT 1 FROM symbol_object WHERE area = 'cache' AND key = '{key}'"), what="its rows")
    rows = datil.sql(f"SELECT debug_id, code_file, code_id, generator FROM symbol_file WHERE key = '{key}'")
    assert len(rows) == 1 and PDB_ID in str(rows) and CODE_ID in str(rows) and "with debug information" in str(rows)
    assert not list((datil.var / "symbols/cache/new").iterdir())
    info = datil.get(f"/symbols/api/syminfo/frames-arm64.dll/{CODE_ID}")
    assert info.status == 200 and info.json["debug_id"] == PDB_ID


def test_names_in_symbolication_and_downloads(behind):
    datil, server = behind
    server.pages[PDB_AT + NAME] = page(PDB)
    server.pages[DLL_AT + "frames-arm64.dll"] = page(DLL)
    body = json.dumps({"memoryMap": [[NAME, PDB_ID]], "stacks": [[[0, 0x1094]]]}).encode()

    def names():
        got = datil.request("POST", "/symbolicate/v5", body).json["results"][0]
        return got["found_modules"][f"{NAME}/{PDB_ID}"] and got["stacks"][0][0]["function"] == "many_registers"
    wait_until(names, what="the names")
    answer = download(datil, f"/{NAME}/{PDB_ID}/frames-arm64.sym")
    assert answer.status == 302 and "/cache/v1/" in answer.headers["Location"]
    assert download(datil, f"/frames-arm64.dll/{CODE_ID}/frames-arm64.sym").status == 302
