"""Symbols of other servers: servers that are slow, wrong, enormous, gone, or answer garbage; and a real debuginfod."""
import contextlib
import gzip
import http.server
import io
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "golden/walks")]
from harness import BIN, Installation, free_port, multipart, wait_until  # noqa: E402
from synth import MODULE, MODULE_SIZE, STACK, Dump  # noqa: E402

DATA = Path(__file__).resolve().parent.parent / "data"
ID = "0123456789ABCDEF0123456789ABCDEF0"
OTHER = "1123456789ABCDEF0123456789ABCDEF0"
FOUND, NOT_FOUND, MALFORMED, WRONG_ID, TIMED_OUT, UNREACHABLE, REFUSED, TOO_LARGE, PAUSED = range(9)


def text(name="prog", debug_id=ID, code=None):
    code = f"INFO CODE_ID {code}\n" if code else ""
    return f"MODULE windows x86_64 {debug_id} {name}\n{code}FUNC 1000 10 0 function_of_{name}\n".encode()


class Upstream(http.server.ThreadingHTTPServer):
    """Answers by path, and counts: `pages` maps a path to a function of the handler."""
    daemon_threads = True

    def __init__(self):
        self.pages, self.asked = {}, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self):
                path, _, query = self.path.partition("?")
                outer.asked.append((self.command, path, query))
                try:
                    outer.pages.get(path, lambda h: h.say(404))(self)
                except (BrokenPipeError, ConnectionResetError):
                    pass
            do_HEAD = do_GET

            def say(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def paths(self):
        return [path for _, path, _ in self.asked]


@pytest.fixture
def up():
    with Upstream() as server:
        yield server
        server.shutdown()


def task(cache, urls, name="prog", debug_id=ID, code=("", ""), **more):
    return {"cache_dir": str(cache), "cache_max_bytes": 1 << 30, "store_dir": None, "sym_dirs": [],
            "urls": urls, "may_reach_reserved": True, "first_byte_ms": 1000, "retry_ms": 5,
            "parent": os.getpid(), "log_level": "info", "store_wants_mark": False, "debug_file": name,
            "debug_id": debug_id, "code_file": code[0], "code_id": code[1]} | more


def start(*args, **more):
    p = subprocess.Popen([BIN / "datil-symfetch"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True)
    p.stdin.write(json.dumps(task(*args, **more)))
    p.stdin.close()
    return p


def fetch(cache, *args, **more):
    p = start(cache, *args, **more)
    log = p.stderr.read()
    assert p.wait(60) == 0, log
    return log


def answers(cache, folder=f"prog/{ID}"):
    lines = (Path(cache) / f"{folder}.asked").read_text().splitlines()
    return [int(line.split()[0]) for line in lines[1:]]


def stored(cache, name="prog", debug_id=ID, file="prog.sym"):
    return gzip.decompress((Path(cache) / f"upstream/cache/v1/{name}/{debug_id}/{file}.gz").read_bytes())


SYM = f"/prog/{ID}/prog.sym"


def later(seconds, then):
    def page(handler):
        time.sleep(seconds)
        then(handler)
    return page


def in_turn(*pages):
    left = list(pages)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


BOMB = gzip.compress(b"\0" * (30 << 20))
FAILING = [
    # label, page, options, answer, requests
    ("nothing there", lambda h: h.say(404), {}, NOT_FOUND, 1),
    ("an odd status", lambda h: h.say(418), {}, NOT_FOUND, 1),
    ("garbage", lambda h: h.say(200, b"<html>not here</html>"), {}, MALFORMED, 1),
    ("nothing in it", lambda h: h.say(200, b""), {}, MALFORMED, 1),
    ("damaged gzip", lambda h: h.say(200, gzip.compress(text())[:-9]), {}, MALFORMED, 1),
    ("another build", lambda h: h.say(200, text(debug_id=OTHER)), {}, WRONG_ID, 1),
    ("a bomb", lambda h: h.say(200, BOMB, Content_Encoding="gzip"), {}, MALFORMED, 1),
    ("enormous", lambda h: h.say(200, text() + b"\n" * 3000), {"max_bytes": 1000}, TOO_LARGE, 1),
    ("forbidden", lambda h: h.say(403), {}, REFUSED, 1),
    ("an error that may pass", lambda h: h.say(503), {}, UNREACHABLE, 5),
    ("an error that stays", lambda h: h.say(501), {}, UNREACHABLE, 1),
    ("too often", lambda h: h.say(429, Retry_After="3600"), {}, UNREACHABLE, 1),
    ("hangs up", lambda h: h.connection.shutdown(socket.SHUT_RDWR), {}, UNREACHABLE, 5),
    ("to itself", lambda h: h.say(302, Location=h.path), {}, NOT_FOUND, 6),
    ("a local file", lambda h: h.say(302, Location="file:///etc/passwd"), {}, None, 1),
    ("private addresses", lambda h: h.say(200, text()), {"may_reach_reserved": False}, REFUSED, 0),
]


@pytest.mark.parametrize("case", FAILING, ids=lambda c: c[0])
def test_what_is_no_answer(up, tmp_path, case):
    _, page, options, answer, requests = case
    up.pages[SYM] = page
    fetch(tmp_path, [up.url], **options)
    got = answers(tmp_path)
    assert len(got) == 1 and (got[0] != FOUND if answer is None else got == [answer])
    assert len(up.asked) == requests or answer is None
    assert not (tmp_path / f"prog/{ID}.csym").exists()
    assert not list(tmp_path.glob(".tmp.*"))
    before = len(up.asked)
    fetch(tmp_path, [up.url], **options)
    assert len(up.asked) == before, "it is remembered"
    fetch(tmp_path, [up.url, up.url + "/second"], **options)
    assert len(answers(tmp_path)) == 2, "another list of servers is asked anew"


GOOD = [
    ("plain", lambda h: h.say(200, text())),
    ("gzip as encoding", lambda h: h.say(200, gzip.compress(text()), Content_Encoding="gzip")),
    ("gzip as file", lambda h: h.say(200, gzip.compress(text()))),
    ("without an end of line", lambda h: h.say(200, text()[:-1])),
    ("after an error", in_turn(lambda h: h.say(500), lambda h: h.say(503), lambda h: h.say(200, text()))),
    ("elsewhere", lambda h: h.say(302, Location="/bucket/some%20where.sym")),
]


@pytest.mark.parametrize("case", GOOD, ids=lambda c: c[0])
def test_what_is_found(up, tmp_path, case):
    up.pages[SYM] = case[1]
    up.pages["/bucket/some%20where.sym"] = lambda h: h.say(200, text())
    secret = up.url.replace("://", "://user:secret@")
    log = fetch(tmp_path, [secret + "/?key=hidden"], code=("prog.exe", "652DE0ED706D000"))
    assert (tmp_path / f"prog/{ID}.csym").exists()
    assert stored(tmp_path).endswith(f"\nINFO URL {up.url}{SYM}\n".encode())
    assert "secret" not in log and "hidden" not in log
    assert log.count(f'"source":"{up.url}"') >= 1
    assert up.asked[0][2] == "key=hidden&code_file=prog.exe&code_id=652DE0ED706D000"
    before = len(up.asked)
    fetch(tmp_path, [up.url])
    assert len(up.asked) == before


def test_servers_are_asked_in_order(up, tmp_path):
    up.pages["/b" + SYM] = lambda h: h.say(200, text(debug_id=OTHER))
    up.pages["/c" + SYM] = lambda h: h.say(200, text())
    fetch(tmp_path, [up.url + "/a", up.url + "/b/", "breakpad+" + up.url + "/c", up.url + "/d"])
    assert up.paths() == ["/a" + SYM, "/b" + SYM, "/c" + SYM]
    assert (tmp_path / f"prog/{ID}.csym").exists()


def test_slow_server_is_left_in_time_and_then_alone(up, tmp_path):
    names = ["one", "two", "three", "four"]
    for name in names:
        up.pages[f"/{name}/{ID}/{name}.sym"] = later(4, lambda h: h.say(200, text()))
    up.pages[f"/fast/four/{ID}/four.sym"] = lambda h: h.say(200, text("four"))
    processes = [start(tmp_path, [up.url], name=n, first_byte_ms=300) for n in names[:3]]
    assert [p.wait(60) for p in processes] == [0, 0, 0]
    assert [answers(tmp_path, f"{n}/{ID}") for n in names[:3]] == [[TIMED_OUT]] * 3
    before = len(up.asked)
    fetch(tmp_path, [up.url, up.url + "/fast"], name="four")
    assert up.paths()[before:] == [f"/fast/four/{ID}/four.sym"], "the failing one is paused"
    assert (tmp_path / f"four/{ID}.csym").exists()


def test_module_that_is_known_by_its_code_id(up, tmp_path):
    by_code = "/xul.dll/652DE0ED706D000/xul.sym"
    key = f"/xul.pdb/{ID}/xul.sym"
    up.pages[by_code] = lambda h: h.say(302, Location=key)
    up.pages[key] = lambda h: h.say(200, text("xul.pdb", code="652DE0ED706D000 xul.dll"))
    code = ("C:\\Program Files\\xul.dll", "652de0ed706d000")
    fetch(tmp_path, [up.url], name="", debug_id="", code=code)
    assert (tmp_path / f"xul.pdb/{ID}.csym").exists()
    before = len(up.asked)
    fetch(tmp_path, [up.url], name="", debug_id="0" * 33, code=code)
    assert len(up.asked) == before, "the code id is known now"

    up.pages["/a.dll/652DE0ED706D000/a.sym"] = lambda h: h.say(302, Location=f"/a.pdb/{OTHER}/a.sym")
    up.pages[f"/a.pdb/{OTHER}/a.sym"] = lambda h: h.say(200, text("a.pdb"))
    fetch(tmp_path, [up.url], name="", debug_id="", code=("a.dll", "652DE0ED706D000"))
    assert answers(tmp_path, "a.dll/652DE0ED706D000") == [WRONG_ID]


def test_two_that_want_one_module_make_one_download(up, tmp_path):
    up.pages[SYM] = later(0.5, lambda h: h.say(200, text()))
    processes = [start(tmp_path, [up.url]) for _ in range(4)]
    assert [p.wait(60) for p in processes] == [0] * 4
    assert len(up.asked) == 1
    assert (tmp_path / f"prog/{ID}.csym").exists()


def test_killed_fetcher_leaves_nothing_and_the_next_one_finds_it(up, tmp_path):
    go_on = threading.Event()

    def half(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(text()[:20])
        handler.wfile.flush()
        go_on.wait(20)
    up.pages[SYM] = half
    p = start(tmp_path, [up.url])
    wait_until(lambda: up.asked, what="the request")
    p.kill()
    assert p.wait(20) == -signal.SIGKILL
    go_on.set()
    assert not [f for f in tmp_path.rglob("*") if f.is_file() and ".lock" not in f.parts]
    up.pages[SYM] = lambda h: h.say(200, text())
    fetch(tmp_path, [up.url])
    assert (tmp_path / f"prog/{ID}.csym").exists()


def test_fetcher_ends_with_who_started_it(up, tmp_path):
    up.pages[SYM] = later(20, lambda h: h.say(404))
    code = ("import json,os,subprocess,sys,time\n"
            "t = json.load(sys.stdin) | {'parent': os.getpid()}\n"
            "p = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE)\n"
            "p.stdin.write(json.dumps(t).encode()); p.stdin.close()\n"
            "print(p.pid, flush=True); time.sleep(60)\n")
    parent = subprocess.Popen([sys.executable, "-c", code, BIN / "datil-symfetch"], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    parent.stdin.write(json.dumps(task(tmp_path, [up.url], first_byte_ms=20000)))
    parent.stdin.close()
    child = int(parent.stdout.readline())
    wait_until(lambda: up.asked, what="the request")
    parent.kill()
    parent.wait(20)

    def is_gone():
        try:
            return Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True
    wait_until(is_gone, what="the end of the fetcher")


def stackwalk(cache, dump, *options):
    p = subprocess.run([BIN / "datil-stackwalk", "--json", "--symbols-cache", cache, *options, dump],
                       capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stderr
    return json.loads(p.stdout)


def test_stackwalk_fetches_symbols(up, tmp_path):
    folder = "linux_inline/BBA6FA10B8AAB33D00000000000000000/linux_inline.sym"
    up.pages["/" + folder] = lambda h: h.say(200, (DATA / "symbols" / folder).read_bytes())
    dump = DATA / "minidumps/linux_inline.dmp"
    local = stackwalk(tmp_path / "local", dump, "--symbols", DATA / "symbols")
    remote = stackwalk(tmp_path / "remote", dump, "--symbols-url", up.url + "/nothing", "--symbols-url", up.url)
    assert remote["crashing_thread"] == local["crashing_thread"]
    assert any(f["function"] for f in remote["crashing_thread"]["frames"])
    module = next(m for m in remote["modules"] if m["filename"] == "linux_inline")
    assert module["symbol_url"] == f"{up.url}/{folder}" and module["loaded_symbols"]
    before = len(up.asked)
    assert stackwalk(tmp_path / "remote", dump, "--symbols-url", up.url + "/nothing", "--symbols-url",
                     up.url)["threads"] == remote["threads"]
    assert len(up.asked) == before
    p = subprocess.run([BIN / "datil-stackwalk", "--symbols-url", "ftp://x", dump], capture_output=True, text=True)
    assert p.returncode == 1 and "http" in p.stderr


def test_stackwalk_resolves_a_module_without_debug_id(up, tmp_path):
    """Windows leaves the debug record out when it is short of memory."""
    dump = tmp_path / "a.dmp"
    whole = (DATA / "minidumps/null_read_av.dmp").read_bytes()
    assert whole.count(b"crashme.pdb") == 1
    at = whole.rindex(b"RSDS", 0, whole.index(b"crashme.pdb"))
    dump.write_bytes(whole[:at] + b"\0\0\0\0" + whole[at + 4:])
    debug_id = "1B5043085F174DA385521DD4740D173015"
    key = "/crashme.pdb/1B5043085F174DA385521DD4740D173015/crashme.sym"
    up.pages["/crashme.exe/4CA3B58A1A000/crashme.exe.sym"] = lambda h: h.say(302, Location=key)
    up.pages[key] = lambda h: h.say(200, text("crashme.pdb", debug_id))
    walked = stackwalk(tmp_path / "c", dump, "--symbols-url", up.url)
    module = next(m for m in walked["modules"] if m["filename"] == "crashme.exe")
    assert (module["debug_file"], module["debug_id"]) == ("crashme.pdb", debug_id)
    assert module["loaded_symbols"]


@pytest.mark.parametrize("kind", ["tree", "packed tree", "file"])
def test_module_without_debug_id_in_a_folder(up, tmp_path, kind):
    """A copy of a server's tree by code file and id, or one file whose INFO CODE_ID line says it."""
    dump = tmp_path / "a.dmp"
    whole = (DATA / "minidumps/null_read_av.dmp").read_bytes()
    at = whole.rindex(b"RSDS", 0, whole.index(b"crashme.pdb"))
    dump.write_bytes(whole[:at] + b"\0\0\0\0" + whole[at + 4:])
    debug_id = "1B5043085F174DA385521DD4740D173015"
    symbols = text("crashme.pdb", debug_id, "4CA3B58A1A000 crashme.exe")
    other = tmp_path / "other.sym"
    other.write_bytes(text("crashme.pdb", OTHER, "4CA3B58A1A001 crashme.exe"))
    place = tmp_path / "tree/crashme.exe/4CA3B58A1A000/crashme.exe.sym"
    place.parent.mkdir(parents=True)
    if kind == "packed tree":
        place.with_name("crashme.exe.sym.gz").write_bytes(gzip.compress(symbols))
    else:
        place.write_bytes(symbols)
    named = place if kind == "file" else tmp_path / "tree"
    walked = stackwalk(tmp_path / "c", dump, "--symbols", other, "--symbols", named)
    module = next(m for m in walked["modules"] if m["filename"] == "crashme.exe")
    assert (module["debug_file"], module["debug_id"]) == ("crashme.pdb", debug_id) and module["loaded_symbols"]
    walked = stackwalk(tmp_path / "d", dump, "--symbols", named, "--symbols-url", up.url)
    assert next(m for m in walked["modules"] if m["filename"] == "crashme.exe")["loaded_symbols"]
    assert not any("crashme" in path for path in up.paths())


def test_questions_go_through_a_proxy(up, tmp_path):
    """The proxy resolves names, so it gets the whole address; its own address may be a reserved one."""
    host = "http://symbols.example.org"
    up.pages[host + SYM] = lambda h: h.say(200, text())
    fetch(tmp_path, [host], proxy=up.url)
    assert up.paths() == [host + SYM] and (tmp_path / f"prog/{ID}.csym").exists()
    assert stored(tmp_path).endswith(f"\nINFO URL {host}{SYM}\n".encode())


def build_id_of(lib):
    notes = subprocess.run(["readelf", "-n", lib], capture_output=True, text=True, check=True).stdout
    return notes.split("Build ID:")[1].split()[0]


@contextlib.contextmanager
def serve(folder, build_id):
    """Debian's debuginfod over folder/served, when it knows this file."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with open(folder / "log", "w") as log:
        p = subprocess.Popen(["debuginfod", "-F", "-p", str(port), "-d", ":memory:", folder / "served"],
                             stdout=log, stderr=log, env={"HOME": str(folder), "PATH": os.environ["PATH"]})

    def is_served():
        p2 = subprocess.run(["curl", "-fsS", "-o", "/dev/null", f"{url}/buildid/{build_id}/executable"],
                            stderr=subprocess.DEVNULL)
        return p2.returncode == 0
    try:
        wait_until(is_served, what="the index of debuginfod")
        yield url
    finally:
        p.terminate()
        p.wait(20)


@pytest.fixture(scope="module")
def debuginfod(tmp_path_factory):
    """A real one, over a library that was just built and stripped into its two files."""
    folder = tmp_path_factory.mktemp("debuginfod")
    source = folder / "real.c"
    source.write_text("static int inner(int x) { return x * 3; }\nint outer(int x) { return inner(x) + 1; }\n")
    lib = folder / "served/libreal.so.1"
    lib.parent.mkdir()
    subprocess.run(["gcc", "-g", "-O1", "-fno-inline", "-shared", "-fPIC", "-Wl,--build-id=sha1",
                    "-Wl,-soname,libreal.so.1", "-o", lib, source], check=True)
    build_id = build_id_of(lib)
    subprocess.run(["objcopy", "--only-keep-debug", lib, f"{lib}.debug"], check=True)
    subprocess.run(["objcopy", "--strip-debug", "--strip-unneeded", lib], check=True)
    with serve(folder, build_id) as url:
        yield url, build_id


def guid_of(build_id):
    b = bytes.fromhex(build_id)
    return (b[3::-1] + b[5:3:-1] + b[7:5:-1] + b[8:16]).hex().upper() + "0"


@pytest.mark.skipif(not shutil.which("debuginfod"), reason="no debuginfod")
def test_debuginfod_gives_names_and_lines(debuginfod, tmp_path):
    url, build_id = debuginfod
    debug_id = guid_of(build_id)
    fetch(tmp_path, ["debuginfod+" + url], name="libreal.so.1", debug_id=debug_id, code=("libreal.so.1", build_id))
    got = stored(tmp_path, "libreal.so.1", debug_id, "libreal.so.1.sym").decode()
    assert got.startswith(f"MODULE Linux x86_64 {debug_id} libreal.so.1\n")
    functions = {line.split()[-1] for line in got.splitlines() if line.startswith("FUNC ")}
    assert {"inner", "outer"} <= functions
    assert "real.c" in got and "STACK CFI" in got, "lines of one file, unwind rules of the other"
    assert (tmp_path / f"libreal.so.1/{debug_id}.csym").exists()
    # Not an ELF id, and one that it does not have.
    fetch(tmp_path, ["debuginfod+" + url], name="xul.pdb", code=("xul.dll", "652DE0ED706D000"))
    assert answers(tmp_path, f"xul.pdb/{ID}") == [NOT_FOUND]
    missing = "00" + build_id[2:]
    fetch(tmp_path, ["debuginfod+" + url], name="libz.so", debug_id=guid_of(missing), code=("libz.so", missing))
    assert answers(tmp_path, f"libz.so/{guid_of(missing)}") == [NOT_FOUND]


@pytest.mark.skipif(not shutil.which("debuginfod"), reason="no debuginfod")
def test_a_crash_in_the_system_library_has_its_names(tmp_path):
    """abort() of Debian's libc, of which nobody uploaded symbols: exported names out of the library itself, static
    functions and lines where its debug file (libc6-dbg) is on this machine."""
    ldd = subprocess.run(["ldd", BIN / "crashme"], capture_output=True, text=True, check=True).stdout
    libc = re.search(r"=> (\S*/libc\.so\.6)", ldd)[1]
    build_id = build_id_of(libc)
    debug = Path(f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug")
    (tmp_path / "served").mkdir()
    for file in (Path(libc), debug):
        if file.exists():
            shutil.copy(file, tmp_path / "served")
    with serve(tmp_path, build_id) as url, \
            Installation(SYMBOLS_UPSTREAM_URLS="debuginfod+" + url, SYMBOLS_UPSTREAM_RESERVED="on",
                         PROCESSOR_SYMBOLS_WAIT_S="60") as datil:
        done = subprocess.run([BIN / "crashme", "abort", "--url", f"{datil.base}/submit", "--database", tmp_path / "db"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        crash = datil.wait_processed(re.search(r"bp-([0-9a-f-]{36})", done.stdout)[1])
        frames = [f for f in crash["json_dump"]["crashing_thread"]["frames"] if f["module"] == "libc.so.6"]
        names = [f["function"] for f in frames]
        assert "abort" in names and {"cfi"} >= {f["trust"] for f in frames[1:names.index("abort") + 1]}, frames
        assert "abort" in crash["signature"]
        if debug.exists():
            assert "__pthread_kill_implementation" in names, frames
            assert any(f["file"] and f["file"].endswith("/abort.c") and f["line"] for f in frames), frames
        module = next(m for m in crash["json_dump"]["modules"] if m["filename"] == "libc.so.6")
        assert module["loaded_symbols"] and module["symbol_url"].startswith(f"{url}/buildid/{build_id}/")


# The same in an installation: downloads of the symbol server, and crashes.

@pytest.fixture(scope="module")
def behind():
    """An installation and the server behind it."""
    with Upstream() as server:
        with Installation(SYMBOLS_UPSTREAM_URLS=server.url, SYMBOLS_UPSTREAM_RESERVED="on",
                          PROCESSOR_SYMBOLS_WAIT_S="1", SYMBOLICATE_WAIT_S="1") as datil:
            yield datil, server
        server.shutdown()


@pytest.fixture(scope="module")
def datil_of_uploads(behind):
    behind[0].add_user("uploader@example.org", "a long password", "--group", "Uploaders")
    return behind[0], behind[0].token("uploader@example.org", "upload_symbols")


def download(datil, path):
    """What comes at the end; while it is being fetched, the server says so."""
    answers = []

    def is_there():
        answers.append(datil.get(path))
        return answers[-1].status != 503 or not answers[-1].headers["Retry-After"]
    wait_until(is_there, what=path)
    return answers[-1]


def test_download_is_fetched_kept_and_served(behind):
    datil, server = behind
    server.pages[SYM] = later(0.8, lambda h: h.say(200, text()))
    first = datil.get(SYM)
    assert first.status == 503 and first.headers["Retry-After"], "nobody waits for long"
    answer = download(datil, SYM)
    assert answer.status == 302 and answer.headers["Location"].endswith(f"/symbols-files/cache/v1{SYM}")
    assert text() in datil.get(f"/symbols-files/cache/v1{SYM}").body
    assert datil.request("HEAD", SYM).status == 200
    assert server.paths().count(SYM) == 1


def test_download_that_nobody_has_is_asked_for_once(behind):
    datil, server = behind
    missing = f"/none/{ID}/none.sym"
    assert download(datil, missing).status == 404
    assert datil.get(missing).status == 404
    assert server.paths().count(missing) == 1
    assert datil.get(f"/none/{'0' * 33}/none.sym").status == 404
    assert not any("0" * 33 in path for path in server.paths())


def test_download_by_code_id(behind):
    datil, server = behind
    key = f"/xul.pdb/{OTHER}/xul.sym"
    server.pages["/xul.dll/652DE0ED706D000/xul.sym"] = lambda h: h.say(302, Location=key)
    server.pages[key] = lambda h: h.say(200, text("xul.pdb", OTHER))
    answer = download(datil, "/xul.dll/652DE0ED706D000/xul.sym")
    assert answer.status == 302 and answer.headers["Location"].endswith(key)
    assert download(datil, key).headers["Location"].endswith(f"/symbols-files/cache/v1{key}")


def test_other_files_are_where_they_are(behind):
    datil, server = behind
    path = f"/xul.pdb/{OTHER}/xul.pd_"
    server.pages[path] = lambda h: h.say(200, b"MSCF")
    for _ in range(2):
        answer = datil.get(path)
        assert answer.status == 302 and answer.headers["Location"] == server.url + path
    assert [c for c, p, _ in server.asked if p == path] == ["HEAD"]
    assert datil.get(f"/xul.pdb/{ID}/xul.pd_").status == 404


def test_slow_server_does_not_hold_up_a_crash(behind):
    datil, server = behind
    folder = "linux_inline/BBA6FA10B8AAB33D00000000000000000/linux_inline.sym"
    symbols = (DATA / "symbols" / folder).read_bytes()
    go_on = threading.Event()
    server.pages["/" + folder] = lambda h: (go_on.wait(20), h.say(200, symbols))
    dump = (DATA / "minidumps/linux_inline.dmp").read_bytes()
    crash = datil.wait_processed(datil.post(dump=dump))
    module = next(m for m in crash["json_dump"]["modules"] if m["filename"] == "linux_inline")
    assert module["missing_symbols"] and not crash["json_dump"]["crashing_thread"]["frames"][0]["function"]
    go_on.set()
    cached = Path(datil.var) / "symcache" / folder.rpartition("/")[0]
    wait_until(lambda: cached.with_suffix(".csym").exists(), what="the symbols, fetched all the same")
    crash = datil.wait_processed(datil.post(dump=dump))
    assert any(f["function"] for f in crash["json_dump"]["crashing_thread"]["frames"])
    module = next(m for m in crash["json_dump"]["modules"] if m["filename"] == "linux_inline")
    assert module["loaded_symbols"] and module["symbol_url"] == f"{server.url}/{folder}"
    assert server.paths().count("/" + folder) == 1


def test_slow_server_does_not_hold_up_symbolication(behind):
    """A bounded wait, then an answer without what is on its way; others are not kept waiting meanwhile."""
    datil, server = behind
    there, slow = f"{8:032X}0", f"{9:032X}0"
    go_on = threading.Event()
    server.pages[f"/there.pdb/{there}/there.sym"] = lambda h: h.say(200, text("there.pdb", there))
    server.pages[f"/slow.pdb/{slow}/slow.sym"] = lambda h: (go_on.wait(20), h.say(200, text("slow.pdb", slow)))

    def ask(*modules):
        job = {"memoryMap": [list(m) for m in modules], "stacks": [[[i, 0x1004] for i in range(len(modules))]]}
        begun = time.monotonic()
        answer = datil.request("POST", "/symbolicate/v5", json.dumps({"jobs": [job]}))
        assert answer.status == 200, answer
        result = answer.json["results"][0]
        found = [result["found_modules"]["/".join(m)] for m in modules]
        return found, [f.get("function") for f in result["stacks"][0]], time.monotonic() - begun
    quick, late = ("there.pdb", there), ("slow.pdb", slow)
    wait_until(lambda: ask(quick)[0] == [True], what="symbols that come at once")
    held = []
    waiting = threading.Thread(target=lambda: held.append(ask(quick, late)))
    waiting.start()
    wait_until(lambda: f"/slow.pdb/{slow}/slow.sym" in server.paths(), what="the slow server to be asked")
    found, functions, _ = ask(quick)
    assert waiting.is_alive() and (found, functions) == ([True], ["function_of_there.pdb"])
    waiting.join(15)
    found, functions, took = held[0]
    assert found == [True, False] and functions == ["function_of_there.pdb", None] and 1 <= took < 10
    go_on.set()
    wait_until(lambda: ask(late)[0] == [True], what="the symbols, fetched all the same")
    assert server.paths().count(f"/slow.pdb/{slow}/slow.sym") == 1


def test_code_ids_of_an_older_store_are_indexed(datil_of_uploads):
    datil, token = datil_of_uploads
    out = io.BytesIO()
    debug_id = f"{7:032X}0"
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(f"old.pdb/{debug_id}/old.sym", text("old.pdb", debug_id, "A1B2C3D4E5F6 Old.dll"))
    kind, body = multipart({}, {"a.zip": out.getvalue()})
    assert datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": token}).status == 201
    codes = datil.var / "symbols/codes"
    entry = codes / "v1/A1/A1B2C3D4E5F6_old.dll"
    assert entry.read_text() == f"old.pdb/{debug_id}"
    shutil.rmtree(codes)
    for pid in datil.program_pids("datil-symbols")[1]:
        datil.kill(pid)
    wait_until((codes / "complete").exists, what="the index")
    assert entry.read_text() == f"old.pdb/{debug_id}"


def test_debuggers_find_what_was_uploaded_beside_symbols(datil_of_uploads):
    """As a debuginfod: gdb and others ask by build id."""
    datil, token = datil_of_uploads
    build_id = "c0ffee0102030405060708090a0b0c0d0e0f1011"
    debug_id = guid_of(build_id)
    members = {"libk.so.sym": text("libk.so", debug_id), "libk.so.dbg.gz": gzip.compress(b"\x7fELF debug"),
               "libk.so": b"\x7fELF program"}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, data in members.items():
            z.writestr(f"libk.so/{debug_id}/{name}", data)
    kind, body = multipart({}, {"a.zip": out.getvalue()})
    assert datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": token}).status == 201
    for place in ("", "/symbols"):
        assert datil.get(f"{place}/buildid/{build_id}/debuginfo").body == b"\x7fELF debug"
        assert datil.get(f"{place}/buildid/{build_id}/executable").body == b"\x7fELF program"
        for path in (f"{build_id}/source", f"00{build_id[2:]}/debuginfo", f"{build_id[:7]}/debuginfo",
                     f"{build_id}/debuginfo/x", "..%2F..%2Fetc/debuginfo"):
            assert datil.get(f"{place}/buildid/{path}").status in (400, 404)


class ManyModules(Dump):
    """So many libraries, each with a name and an id, and a return address into each on the stack."""

    def __init__(self, names):
        self.names = names
        stack = [MODULE + n * MODULE_SIZE + 0x100 for n in range(len(names))]
        super().__init__("amd64", "linux", {"rip": MODULE + 0x200, "rsp": STACK, "rbp": 0}, stack)

    def debug_id(self, n):
        return f"{n + 0xFACE00:032X}0"

    def module_list(self):
        entries = b""
        for n, name in enumerate(self.names):
            record = b"LEpB" + struct.pack("<IHH", 0, 0, 0) + struct.pack(">Q", n + 0xFACE00)
            entry = struct.pack("<QIIII", MODULE + n * MODULE_SIZE, MODULE_SIZE, 0, 1, self.string(name)) + bytes(52) + \
                self.location(record)
            entries += entry + bytes(108 - len(entry))
        return struct.pack("<I", len(self.names)) + entries


def test_what_each_server_said_stands_in_the_crash(behind):
    datil, server = behind
    dump = ManyModules(["libnone.so", "libother.so", "libgarbage.so", "libgood.so"])
    pages = {1: text("libother.so", OTHER), 2: b"<html>log in first</html>",
             3: f"MODULE Linux x86_64 {dump.debug_id(3)} libgood.so\nFUNC 0 1000 0 good\n".encode()}
    for n, body in pages.items():
        server.pages[f"/{dump.names[n]}/{dump.debug_id(n)}/{dump.names[n]}.sym"] = lambda h, body=body: h.say(200, body)
    wanted = []

    def is_complete():
        crash = datil.wait_processed(datil.post(dump=dump.bytes()))
        wanted[:] = crash["symbols_wanted"]
        return all(a["answer"] != "pending" for w in wanted for a in w["asked"])
    wait_until(is_complete, what="the answers of all")
    said = {w["filename"]: (w["state"], [a["answer"] for a in w["asked"] if a["source"] == server.url]) for w in wanted}
    assert said == {"libnone.so": ("missing", ["not found"]), "libother.so": ("missing", ["wrong id"]),
                    "libgarbage.so": ("missing", ["malformed"])}, said
    assert all(w["debug_id"] and f"add {w['debug_file']}.sym" in w["command"] for w in wanted), wanted


def test_a_hundred_modules_and_a_server_that_hangs(behind):
    """The crash waits for all of them together as long as for one; the last test, for the server is paused behind it."""
    datil, server = behind
    dump = ManyModules([f"libhang{n}.so" for n in range(100)])
    go_on = threading.Event()
    for n, name in enumerate(dump.names):
        server.pages[f"/{name}/{dump.debug_id(n)}/{name}.sym"] = lambda h: (go_on.wait(60), h.say(404))
    started = time.monotonic()
    crash = datil.wait_processed(datil.post(dump=dump.bytes()))
    took = time.monotonic() - started
    asked = [p for p in server.paths() if p.startswith("/libhang")]
    go_on.set()
    assert took < 20, f"{took} s"  # the wait of one second, and a busy machine
    assert 0 < len(set(asked)) <= 8, "four at a time beside one worker"
    states = {w["state"] for w in crash["symbols_wanted"]}
    assert len(crash["symbols_wanted"]) == 100 and states == {"pending"}
    assert all(a["answer"] == "pending" for w in crash["symbols_wanted"] for a in w["asked"] if a["source"] == server.url)
