"""From a program that really crashes to its page, its signature and Super Search."""
import io
import re
import shutil
import signal
import subprocess
import zipfile

import pytest
from harness import BIN, multipart, wait_until

# way of dying -> (signal, crash reason, a function that must be on the stack)
WAYS = {
    "null": (signal.SIGSEGV, r"SIGSEGV / SEGV_MAPERR", None),
    "stack-overflow": (signal.SIGSEGV, r"SIGSEGV / SEGV_(MAPERR|ACCERR)", None),
    "abort": (signal.SIGABRT, r"SIGABRT / SI_TKILL", "abort"),
    "illegal": (signal.SIGILL, r"SIGILL / ILL_ILLOP[CN]", None),
    "div-zero": (signal.SIGFPE, r"SIGFPE / FPE_INTDIV", None),
    "use-after-free": (signal.SIGSEGV, r"SIGSEGV", None),
    "thread": (signal.SIGSEGV, r"SIGSEGV", None),
}


@pytest.fixture(scope="module")
def symbols(datil, tmp_path_factory):
    """The example's symbols, extracted from DWARF and uploaded the way a build machine does."""
    folder = tmp_path_factory.mktemp("symbols")
    libs = re.findall(r"(/\S+\.so\S*)", subprocess.run(["ldd", str(BIN / "crashme")], text=True,
                                                      stdout=subprocess.PIPE, check=True).stdout)
    for binary in [str(BIN / "crashme"), *libs]:
        subprocess.run([str(BIN / "datil-dump-syms"), "--store", str(folder), binary], check=True,
                       stderr=subprocess.DEVNULL)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in folder.rglob("*.sym"):
            out.write(path, path.relative_to(folder))
    datil.add_user("build@example.org", "a long password", "--group", "Uploaders")
    token = datil.token("build@example.org", "upload_symbols")
    kind, body = multipart({}, {"symbols.zip": archive.getvalue()})
    answer = datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": token})
    assert answer.status == 201, answer
    return folder


def crash(datil, way, tmp_path, *options):
    done = subprocess.run([str(BIN / "crashme"), way, "--url", f"{datil.base}/submit",
                           "--database", str(tmp_path / "db"), *options],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    found = re.search(r"bp-([0-9a-f-]{36})", done.stdout)
    assert found, done.stdout
    return done.returncode, found[1]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_dying(datil, symbols, tmp_path, way):
    sig, reason, function = WAYS[way]
    status, crash_id = crash(datil, way, tmp_path)
    assert status == -sig
    doc = datil.wait_processed(crash_id)
    assert doc["mdsw_status_string"] == "OK" and doc["success"]
    assert re.search(reason, doc["reason"]), doc["reason"]
    thread = doc["json_dump"]["crashing_thread"]
    functions = [f.get("function") for f in thread["frames"]]
    if function:
        assert function in " ".join(filter(None, functions)), functions
    ours = [f for f in thread["frames"] if f.get("module") == "crashme" and f["function"]]
    assert ours and all("client/examples/" in f["file"] and f["line"] > 0 for f in ours
                        if f["file"]), ours
    assert any(f["file"] for f in ours)
    assert not doc["signature"].startswith("EMPTY"), doc["signature"]
    if way == "thread":
        assert doc["crashing_thread"] != 0 and doc["crashing_thread_name"]
    if way == "stack-overflow":
        assert thread["frame_count"] > 100
    hit = datil.search(uuid=crash_id, _columns=["uuid", "signature", "platform"])
    assert [h["uuid"] for h in hit["hits"]] == [crash_id]
    assert hit["hits"][0]["signature"] == doc["signature"] and hit["hits"][0]["platform"] == "Linux"
    page = datil.get(f"/report/index/{crash_id}")
    assert page.status == 200 and "client/examples/" in page.text


def test_same_death_same_signature(datil, symbols, tmp_path):
    first, second = (crash(datil, "null", tmp_path)[1] for _ in range(2))
    assert datil.wait_processed(first)["signature"] == datil.wait_processed(second)["signature"]


def test_symbols_that_come_late_are_used(datil, symbols, tmp_path):
    """A crash without symbols, then its symbols, then a reprocess: functions appear."""
    copy = tmp_path / "latecomer"
    shutil.copy(BIN / "crashme", copy)
    subprocess.run(["objcopy", "--remove-section", ".note.gnu.build-id", str(copy)], check=True)
    done = subprocess.run([str(copy), "null", "--url", f"{datil.base}/submit", "--database", str(tmp_path / "db"),
                           "--handler", str(BIN / "datil-client-handler")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    crash_id = re.search(r"bp-([0-9a-f-]{36})", done.stdout)[1]
    doc = datil.wait_processed(crash_id)
    top = doc["json_dump"]["crashing_thread"]["frames"][0]
    assert top["module"] == "latecomer" and top["function"] is None
    assert "latecomer" in doc["missing_symbols"]

    store = tmp_path / "symbols"
    subprocess.run([str(BIN / "datil-dump-syms"), "--store", str(store), str(copy)], check=True)
    datil.datil("symbols", "add", store)
    datil.datil("reprocess", crash_id)
    wait_until(lambda: datil.processed(crash_id)["json_dump"]["crashing_thread"]["frames"][0]["function"],
               what="functions after the symbols came")
    assert datil.processed(crash_id)["signature"] != doc["signature"]


def with_other_build_id(path, folder):
    """A copy of the example that is a build of its own."""
    note = folder / "note"
    subprocess.run(["objcopy", "-O", "binary", "--only-section=.note.gnu.build-id", str(path), str(note)], check=True)
    data = bytearray(note.read_bytes() or b"")
    if not data:  # objcopy writes nothing loadable here: ask for the section itself
        subprocess.run(["objcopy", f"--dump-section=.note.gnu.build-id={note}", str(path)], check=True)
        data = bytearray(note.read_bytes())
    data[-20:] = bytes(b ^ 0x5a for b in data[-20:])
    note.write_bytes(data)
    subprocess.run(["objcopy", f"--update-section=.note.gnu.build-id={note}", str(path)], check=True)


def test_an_uploaded_binary_is_enough(datil, symbols, tmp_path):
    """The stripped program and its debug file, as a build leaves them, in an archive: nobody runs a dump tool."""
    program, debug = tmp_path / "stripling", tmp_path / "stripling.debug"
    shutil.copy(BIN / "crashme", program)
    with_other_build_id(program, tmp_path)
    subprocess.run(["objcopy", "--only-keep-debug", str(program), str(debug)], check=True)
    subprocess.run(["strip", str(program)], check=True)
    subprocess.run(["gzip", str(debug)], check=True)
    done = subprocess.run([str(program), "null", "--url", f"{datil.base}/submit", "--database", str(tmp_path / "db"),
                           "--handler", str(BIN / "datil-client-handler")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    crash_id = re.search(r"bp-([0-9a-f-]{36})", done.stdout)[1]
    doc = datil.wait_processed(crash_id)
    module = [m for m in doc["json_dump"]["modules"] if m["filename"] == "stripling"][0]
    top = doc["json_dump"]["crashing_thread"]["frames"][0]
    assert top["module"] == "stripling" and top["function"] is None

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in (program, tmp_path / "stripling.debug.gz"):
            out.write(path, f"stripling/{module['debug_id']}/{path.name.replace('.debug.', '.dbg.')}")
    kind, body = multipart({}, {"symbols.zip": archive.getvalue()})
    token = datil.token("build@example.org", "upload_symbols")
    answer = datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": token})
    assert answer.status == 201, answer
    text = datil.get(f"/symbols/stripling/{module['debug_id']}/stripling.sym")
    assert text.status == 302, text
    datil.datil("reprocess", crash_id)
    wait_until(lambda: datil.processed(crash_id)["json_dump"]["crashing_thread"]["frames"][0]["function"],
               what="functions after the binary came")
    frame = datil.processed(crash_id)["json_dump"]["crashing_thread"]["frames"][0]
    assert frame["file"].endswith("crashes.c") and frame["line"] > 0
    frames = datil.processed(crash_id)["json_dump"]["crashing_thread"]["frames"]
    assert any(f["function"] == "main" for f in frames), frames
    assert all(f["trust"] in ("context", "cfi", "inlined") for f in frames if f["module"] == "stripling"), frames
