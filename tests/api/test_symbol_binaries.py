"""Binaries and debug files in an archive or a folder become symbols."""
import gzip
import io
import lzma
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from cabinet import cabinet  # noqa: E402
from harness import BIN, Installation  # noqa: E402
from test_symbols import archive, upload  # noqa: E402

CASES = Path(__file__).resolve().parent.parent / "golden/dump-syms/cases/native"
SOURCE = "int twice(int n) { return n + n; }\nint thrice(int *p) { return twice(*p) + *p; }\n"


@pytest.fixture(scope="module")
def datil():
    with Installation(CHECK_SYMBOL_CONTENT="on", DISALLOWED_SYMBOLS_SNIPPETS="vendor/secret") as d:
        d.add_user("uploader@example.org", "a long password", "--group", "Uploaders")
        d.uploader = d.token("uploader@example.org", "upload_symbols")
        yield d


def library(folder, name, extra=(), source=SOURCE):
    """A stripped library, its separate debug file, and the debug id."""
    folder.mkdir(exist_ok=True)
    (folder / "x.c").write_text(source)
    whole, debug = folder / name, folder / f"{name}.debug"
    subprocess.run(["gcc", "-g", "-O1", "-shared", "-fPIC", *extra, "-o", str(whole), "x.c"], cwd=folder, check=True)
    subprocess.run(["objcopy", "--only-keep-debug", str(whole), str(debug)], check=True)
    shutil.copy(whole, folder / "whole")
    subprocess.run(["strip", str(whole)], check=True)
    subprocess.run(["objcopy", f"--add-gnu-debuglink={debug.name}", name], cwd=folder, check=True)
    text = subprocess.run([str(BIN / "datil-dump-syms"), "--name", name, str(folder / "whole")], check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout
    return whole, debug, text.split()[3]


def text_of(datil, name, debug_id, file=None):
    found = datil.get(f"/symbols/{name}/{debug_id}/{file or name + '.sym'}")
    return datil.get(found.headers["location"]).text if found.status == 302 else None


def warnings(datil, answer):
    return str(datil.sql(f"SELECT warnings FROM symbol_upload WHERE id = {answer.json['upload']['id']}"))


def test_program_and_debug_file_are_joined_by_build_id(datil, tmp_path):
    whole, debug, debug_id = library(tmp_path, "libjoin.so")
    keys = [(f"libjoin.so/{debug_id}/libjoin.so", whole.read_bytes()),
            (f"libjoin.so/{debug_id}/libjoin.so.dbg.gz", gzip.compress(debug.read_bytes()))]
    answer = upload(datil, archive(keys), datil.uploader)
    assert answer.status == 201 and answer.json["upload"]["skipped_keys"] == []
    text = text_of(datil, "libjoin.so", debug_id)
    assert re.search(r"^FUNC \w+ \w+ 0 thrice$", text, re.M) and "x.c" in text and "STACK CFI INIT" in text
    assert re.search(r"^INFO CODE_ID [0-9A-F]{40} libjoin.so$", text, re.M)
    assert text_of(datil, "libjoin.so", debug_id, "libjoin.so.dbg.gz") is not None  # the file itself
    assert answer.json["upload"]["derived_keys"] == [f"libjoin.so/{debug_id}/libjoin.so.sym"]
    assert "]" in warnings(datil, answer) and "libjoin" not in warnings(datil, answer)
    assert upload(datil, archive(keys), datil.uploader).json["upload"]["skipped_keys"] == [k for k, _ in keys]
    rows = datil.sql(f"SELECT key FROM symbol_file WHERE key = 'libjoin.so/{debug_id}/libjoin.so.sym'")
    assert "libjoin.so.sym" in str(rows)


def test_debug_file_that_comes_later_improves_the_symbols(datil, tmp_path):
    whole, debug, debug_id = library(tmp_path, "liblate.so")
    answer = upload(datil, archive([(f"liblate.so/{debug_id}/liblate.so", whole.read_bytes())]), datil.uploader)
    assert "no debug information" in warnings(datil, answer)
    first = text_of(datil, "liblate.so", debug_id)
    assert "thrice" in first and "x.c" not in first
    upload(datil, archive([(f"liblate.so/{debug_id}/liblate.so.debug.xz", lzma.compress(debug.read_bytes()))]),
           datil.uploader)
    second = text_of(datil, "liblate.so", debug_id)
    assert "x.c" in second and "STACK CFI INIT" in second
    upload(datil, archive([(f"liblate.so/{debug_id}/liblate.so", whole.read_bytes())]), datil.uploader)
    assert text_of(datil, "liblate.so", debug_id) == second


def test_symbols_that_were_uploaded_win(datil, tmp_path):
    whole, _, debug_id = library(tmp_path, "libown.so")
    own = f"MODULE Linux x86_64 {debug_id} libown.so\nFUNC 1000 10 0 written_by_hand\n"
    symbols = (f"libown.so/{debug_id}/libown.so.sym", own)
    binary = (f"libown.so/{debug_id}/libown.so", whole.read_bytes())
    assert upload(datil, archive([binary]), datil.uploader).status == 201
    assert "thrice" in text_of(datil, "libown.so", debug_id)
    for members in ([symbols], [binary], [binary, symbols]):
        assert upload(datil, archive(members), datil.uploader).status == 201
        assert text_of(datil, "libown.so", debug_id) == own, members[0][0]


def test_what_cannot_be_read_is_a_warning(datil, tmp_path):
    whole, _, debug_id = library(tmp_path, "libbroken.so")
    cut = (tmp_path / "whole").read_bytes()[:900]
    answer = upload(datil, archive([(f"libbroken.so/{debug_id}/libbroken.so", cut),
                                    ("x.pdb/ABC/x.pdb", b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0" + b"\xff" * 4000),
                                    ("x.dll/ABC/x.dll", b"MZ" + b"\0" * 100)]), datil.uploader)
    assert answer.status == 201
    said = warnings(datil, answer)
    assert "libbroken.so" in said and "not a readable PDB" in said and "x.dll" in said
    assert text_of(datil, "libbroken.so", debug_id) is None


def unpacked(name):
    path = CASES / name
    return path.read_bytes() if path.exists() else lzma.decompress((CASES / f"{name}.xz").read_bytes())


def dsym_archive(name, dwarf):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:bz2") as tar:
        entry = tarfile.TarInfo(f"{name}.dSYM/Contents/Resources/DWARF/{name}")
        entry.size = len(dwarf)
        tar.addfile(entry, io.BytesIO(dwarf))
    return out.getvalue()


def test_files_as_symbol_stores_have_them(datil, tmp_path):
    """xul.dl_ under its code id, xul.pd_ under its debug id, XUL.dSYM.tar.bz2: what gecko's build sends for debuggers."""
    dll, pdb = unpacked("frames-arm64.dll"), unpacked("frames-arm64.pdb")
    said = subprocess.run([str(BIN / "datil-dump-syms"), str(CASES / "frames-arm64.dll")], check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout
    debug_id, code_id = said.split()[3], re.search(r"INFO CODE_ID (\S+)", said)[1]
    uuid = "4C4C445A55553144A1F849FA8C626EC00"
    keys = [(f"frames-arm64.dll/{code_id}/frames-arm64.dl_", cabinet("frames-arm64.dll", dll, "mszip")),
            (f"frames-arm64.pdb/{debug_id}/frames-arm64.pd_", cabinet("frames-arm64.pdb", pdb)),
            (f"frames-x86_64.dylib/{uuid}/frames-x86_64.dylib.dSYM.tar.bz2",
             dsym_archive("frames-x86_64.dylib", unpacked("frames.dsym")))]
    answer = upload(datil, archive(keys), datil.uploader)
    assert answer.status == 201
    text = text_of(datil, "frames-arm64.pdb", debug_id, "frames-arm64.sym")
    assert re.search(r"^FUNC \w+ \w+ 0 many_registers$", text, re.M) and "STACK CFI INIT" in text
    assert f"INFO CODE_ID {code_id} frames-arm64.dll" in text
    text = text_of(datil, "frames-x86_64.dylib", uuid)
    assert re.search(r"^FUNC \w+ \w+ 0 many_registers$", text, re.M) and "frames.c" in text
    assert datil.get(f"/symbols/frames-arm64.pdb/{debug_id}/frames-arm64.pd_").status == 302
    derived = answer.json["upload"]["derived_keys"]
    assert derived == [f"frames-arm64.pdb/{debug_id}/frames-arm64.sym", f"frames-x86_64.dylib/{uuid}/frames-x86_64.dylib.sym"]
    damaged = upload(datil, archive([("cut.pdb/ABC/cut.pd_", cabinet("cut.pdb", pdb)[:30000])]), datil.uploader)
    assert damaged.status == 201 and "the cabinet is damaged" in warnings(datil, damaged)
    assert damaged.json["upload"]["derived_keys"] == []


def test_a_folder_that_the_finder_has_packed(datil, tmp_path):
    """XUL.dSYM.zip: a debug file, and no archive of symbols."""
    packed = tmp_path / "frames.dylib.dSYM.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("__MACOSX/frames.dylib.dSYM/Contents/Resources/DWARF/._frames.dylib", b"Finder")
        z.writestr("frames.dylib.dSYM/Contents/Resources/DWARF/frames.dylib", unpacked("frames.dylib"))
    done = datil.datil("symbols", "add", packed)
    assert "2 files added, 0 already there, 0 left out" in done.output, done.output
    text = datil.datil("symbols", "list").stdout
    ids = re.findall(r"frames\.dylib/(\w+)/frames\.dylib\.sym", text)
    assert len(ids) == 2, "one for each processor"
    answer = upload(datil, archive([(f"frames.dylib/{ids[0]}/frames.dylib.dSYM.zip", packed.read_bytes())]), datil.uploader)
    assert answer.status == 201
    assert {key.split("/")[1] for key in answer.json["upload"]["derived_keys"]} == set(ids)
    assert datil.get(f"/symbols/frames.dylib/{ids[0]}/frames.dylib.dSYM.zip").status == 404, "kept, and not offered"


@pytest.mark.parametrize("packaged", [False, True], ids=["dwo", "dwp"])
def test_split_debug_information(datil, tmp_path, packaged):
    """-gsplit-dwarf: lines are in the library, names and inlined calls in .dwo files or their package, found by id."""
    if packaged and not shutil.which("dwp"):
        pytest.skip("no dwp")
    name = "libpackaged.so" if packaged else "libsplit.so"
    (tmp_path / "b.c").write_text("static inline __attribute__((always_inline)) int inner(int n)\n"
                                  "{\n__asm__ volatile(\"nop\");\nreturn n * 7;\n}\n"
                                  "static __attribute__((noinline)) int hidden(int n) { return inner(n) + n; }\n"
                                  "int fourth(int n) { return hidden(n) + hidden(n + 1); }\n")
    (tmp_path / "a.c").write_text(SOURCE)
    version = "-gdwarf-4" if packaged else "-gdwarf-5"  # binutils' dwp dies of version 5
    subprocess.run(["gcc", "-g", version, "-O2", "-fPIC", "-gsplit-dwarf", "-c", "a.c", "b.c"], cwd=tmp_path, check=True)
    subprocess.run(["gcc", "-shared", "-Wl,-x", "-o", name, "a.o", "b.o"], cwd=tmp_path, check=True)
    if packaged:
        subprocess.run(["dwp", "-e", name, "-o", f"{name}.dwp"], cwd=tmp_path, check=True)
    whole = (tmp_path / name).read_bytes()
    said = subprocess.run([str(BIN / "datil-dump-syms"), str(tmp_path / name)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE).stdout
    debug_id = said.split()[3]
    files = [f"{name}.dwp"] if packaged else ["a.dwo", "b.dwo"]
    library_key = (f"{name}/{debug_id}/{name}", whole)
    split_keys = [(f"{name}/{debug_id}/{f}", (tmp_path / f).read_bytes()) for f in files]
    first = upload(datil, archive([library_key]), datil.uploader)
    assert "split debug information of 2 units is not found" in warnings(datil, first)
    answer = upload(datil, archive(split_keys), datil.uploader)
    assert answer.status == 201 and answer.json["upload"]["derived_keys"] == [f"{name}/{debug_id}/{name}.sym"]
    assert name not in warnings(datil, answer), warnings(datil, answer)
    text = text_of(datil, name, debug_id)
    assert re.search(r"^FUNC \w+ \w+ 0 hidden$", text, re.M) and re.search(r"^INLINE_ORIGIN \d+ inner$", text, re.M)
    assert [line for line in text.splitlines() if not line.startswith("INFO")] == \
        [line for line in said.splitlines() if not line.startswith("INFO")]


def test_what_dwz_has_moved_away(datil, tmp_path):
    """.gnu_debugaltlink: what two libraries have in common lies in a third file, which has a build id of its own."""
    common = "struct shared { int a, b, c; struct shared *next; };\nint %s(struct shared *s) { return s->a + s->b; }\n"
    ids = {}
    for name in ("libdwzone.so", "libdwztwo.so"):
        (tmp_path / "x.c").write_text(common % f"of_{name[3:9]}" + SOURCE)
        subprocess.run(["gcc", "-g", "-gdwarf-4", "-O1", "-shared", "-fPIC", "-o", name, "x.c"], cwd=tmp_path, check=True)
    subprocess.run(["dwz", "-m", "common.dwz", "libdwzone.so", "libdwztwo.so"], cwd=tmp_path, check=True)
    for name in ("libdwzone.so", "libdwztwo.so"):
        said = subprocess.run([str(BIN / "datil-dump-syms"), str(tmp_path / name)], text=True, check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout
        ids[name] = said
    keys = [(f"{n}/{s.split()[3]}/{n}", (tmp_path / n).read_bytes()) for n, s in ids.items()]
    keys.append(("common.dwz/ABC0/common.dwz", (tmp_path / "common.dwz").read_bytes()))
    answer = upload(datil, archive(keys), datil.uploader)
    assert len(answer.json["upload"]["derived_keys"]) == 2 and "dwz" not in warnings(datil, answer)
    for name, said in ids.items():
        text = text_of(datil, name, said.split()[3])
        assert [x for x in text.splitlines() if x[:4] != "INFO"] == [x for x in said.splitlines() if x[:4] != "INFO"]


def test_texts_made_here_obey_the_rule_for_file_names(datil, tmp_path):
    """CHECK_SYMBOL_CONTENT: what an uploaded text may not name, a text made of a binary may not either."""
    whole, _, debug_id = library(tmp_path, "libsecret.so", source=f'#line 1 "/src/vendor/secret/x.c"\n{SOURCE}')
    answer = upload(datil, archive([(f"libsecret.so/{debug_id}/libsecret.so", (tmp_path / "whole").read_bytes())]),
                    datil.uploader)
    assert answer.status == 201 and answer.json["upload"]["derived_keys"] == []
    assert "vendor/secret" in warnings(datil, answer)
    assert text_of(datil, "libsecret.so", debug_id) is None


def test_a_folder_needs_no_names(datil, tmp_path):
    """datil symbols add: identity is read from the files, joined by build id or by the link's checksum."""
    tree = tmp_path / "tree"
    tree.mkdir()
    ids = {}
    for name, extra in (("libone.so", ()), ("libtwo.so", ("-Wl,--build-id=none",))):
        whole, debug, ids[name] = library(tmp_path / name, name, extra, SOURCE.replace("thrice", name[3:6] + "_fold"))
        (tree / "bin").mkdir(exist_ok=True)
        (tree / "dbg").mkdir(exist_ok=True)
        shutil.copy(whole, tree / "bin" / name)
        shutil.copy(debug, tree / "dbg" / debug.name)
    (tree / "notes.txt").write_text("no symbols, and not looked at, although it is longer than a head")
    done = datil.datil("symbols", "add", tree)
    assert "2 files added, 0 already there, 0 left out" in done.output, done.output
    for name, debug_id in ids.items():
        text = text_of(datil, name, debug_id)
        assert text and name[3:6] + "_fold" in text and "x.c" in text and "STACK CFI INIT" in text, name
    none = tmp_path / "letter.txt"
    none.write_text("Dear reader\n")
    done = datil.datil("symbols", "add", none, check=False)
    assert done.returncode == 1 and "nor a program, library or debug file" in done.output


def test_windows_and_mac(datil, tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for path in CASES.glob("*"):
        if path.suffix != ".txt":
            shutil.copy(path, tree)
    for path in tree.glob("*.xz"):
        path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
        path.unlink()
    done = datil.datil("symbols", "add", tree)
    assert "left out" in done.output and ", 0 left out" in done.output, done.output
    dll = (tree / "frames.dll").read_bytes()
    code_id = re.search(r"^INFO CODE_ID (\S+) frames.dll$", subprocess.run(
        [str(BIN / "datil-dump-syms"), str(tree / "frames.dll")], check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout, re.M)[1]
    assert dll[:2] == b"MZ"
    found = datil.get(f"/symbols/frames.dll/{code_id}/frames.sym")
    assert found.status == 302 and "/frames.pdb/" in found.headers["location"]
    text = datil.get(datil.get(found.headers["location"]).headers["location"]).text
    assert re.search(r"^FUNC \w+ \w+ 0 exported$", text, re.M) and "STACK CFI INIT" in text and "frames.c" in text
