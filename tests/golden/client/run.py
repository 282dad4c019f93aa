#!/usr/bin/env python3
"""The example program crashes for real, in every way it knows, against a small collector.

Checks the exit status, the request, every byte of the minidump that has a meaning, what lies in
the database before and after, and what happens when handler or collector are missing, slow or
killed.  With datil-stackwalk built, also the functions on the stack.
Prints `ok LABEL` or `FAIL LABEL: why`.
"""
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from minidump import Minidump  # noqa: E402

ROOT = HERE.parents[2]
BIN = ROOT / os.environ.get("BUILD", "build") / "bin"
CRASHME, HANDLER = BIN / "crashme", BIN / "datil-client-handler"
CRASH_ID = "bp-de1bb258-cbbf-4589-a673-34f800160918"

SEGV_MAPERR, SEGV_ACCERR, SI_TKILL, SI_USER, SI_KERNEL = 1, 2, -6, 0, 0x80
# way: signal, si_codes, function that crashed, functions below it
WAYS = {
    "null": (signal.SIGSEGV, {SEGV_MAPERR}, "account_balance", ["settle_account", "settle_day", "crash_null", "main"]),
    "stack-overflow": (signal.SIGSEGV, {SEGV_MAPERR, SEGV_ACCERR}, None, ["even", "odd", "even", "odd"]),
    "abort": (signal.SIGABRT, {SI_TKILL}, None, ["check_sum", "close_books", "main"]),
    "illegal": (signal.SIGILL, {1, 2}, "crash_illegal", ["main"]),
    "div-zero": (signal.SIGFPE, {1}, "percentage", ["share_of", "crash_div_zero", "main"]),
    "use-after-free": (signal.SIGSEGV, {SEGV_MAPERR, SI_KERNEL}, "shape_area", ["total_area", "crash_use_after_free", "main"]),
    "thread": (signal.SIGSEGV, {SEGV_ACCERR}, "scribble", ["process_job", "worker_main"]),
}


class Collector(ThreadingHTTPServer):
    """Keeps requests; answers as told."""

    def __init__(self):
        self.requests, self.status, self.answer, self.delay_s = [], 200, f"CrashID={CRASH_ID}\n", 0
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers, body))
        time.sleep(self.server.delay_s)
        text = self.server.answer.encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


def parts(headers, body):
    """{name: (filename, type, bytes)} of a multipart body; strict about its form."""
    boundary = re.match(r"multipart/form-data; boundary=(\S+)$", headers["Content-Type"])[1].encode()
    assert body.endswith(b"--" + boundary + b"--\r\n"), "no end mark"
    out = {}
    for piece in body.split(b"--" + boundary + b"\r\n")[1:]:
        head, data = piece.split(b"\r\n\r\n", 1)
        data = data.removesuffix(b"--" + boundary + b"--\r\n").removesuffix(b"\r\n")
        name = re.search(rb'; name="([^"]*)"', head)[1].decode()
        filename = re.search(rb'filename="([^"]*)"', head)
        kind = re.search(rb"Content-Type: (\S+)", head)
        out[name] = (filename and filename[1].decode(), kind and kind[1].decode(), data)
    return out


def crash(server, folder, way, *options, **kw):
    url = ["--url", server.url + "/submit"] if server else []
    return subprocess.run([str(CRASHME), way, *url, "--database", str(folder / "db"), *options],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, **kw)


def report(label, why=""):
    print(f"FAIL {label}: {why}" if why else f"ok {label}", flush=True)


def case(label, check, *args):
    """A fresh collector and folder for each case."""
    server = Collector()
    with tempfile.TemporaryDirectory(prefix="client-", ignore_cleanup_errors=True) as name:
        try:
            check(server, Path(name), *args)
            report(label)
        except (AssertionError, OSError, KeyError, IndexError, TypeError, ValueError,
                subprocess.TimeoutExpired) as why:
            report(label, f"{type(why).__name__} {why}".replace("\n", " ")[:600])
        try:
            wait_until(lambda: not handler_of(os.path.join(name, "db").encode()), "the handler to end")
        except AssertionError as why:
            report(f"{label}: afterwards", str(why))
    server.shutdown()
    server.server_close()


def wait_until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


def pending(folder):
    return sorted(p.name for p in (folder / "db/pending").iterdir())


def check_extra(extra, way, now):
    assert all(isinstance(v, str) for v in extra.values()), "a value is no string"
    assert extra["ProductName"] == "Crashme" and re.match(r"\d+\.\d+", extra["Version"])
    assert extra["ReleaseChannel"] == "nightly" and re.fullmatch(r"20\d{12}", extra["BuildID"])
    assert extra["Vendor"] and extra["useragent_locale"] and way in extra["Notes"]
    assert abs(int(extra["CrashTime"]) - now) < 60 and int(extra["StartupTime"]) <= int(extra["CrashTime"])
    assert 0 < int(extra["InstallTime"]) <= now
    assert 0 <= float(extra["UptimeTS"]) < 60
    for key in ("TotalPhysicalMemory", "AvailablePhysicalMemory", "AvailableVirtualMemory",
                "TotalPageFile", "AvailablePageFile"):
        assert int(extra[key]) >= 0
    assert int(extra["TotalPhysicalMemory"]) > 1 << 24
    assert extra["Custom"] == 'quo"te \u00e4\u2603'


def check_dump(dump, way, now):
    sig, codes, _, _ = WAYS[way]
    assert abs(dump.time - now) < 60
    e = dump.exception()
    assert e["code"] == sig and e["flags"] in codes, e
    misc = dump.misc()
    assert misc["flags"] & 3 == 3 and abs(misc["created"] - now) < 60, misc
    ids = [t["tid"] for t in dump.threads]
    assert misc["pid"] in ids and e["tid"] in ids
    crashed = next(t for t in dump.threads if t["tid"] == e["tid"])
    assert crashed["context"] == e["context"]
    if way == "thread":
        assert len(dump.threads) == 9 and crashed["name"] == "worker-7", [t["name"] for t in dump.threads]
        assert sorted(t["name"] for t in dump.threads) == ["crashme"] + [f"worker-{i}" for i in range(1, 9)]
    else:
        assert len(dump.threads) == 1 and crashed["name"] == "crashme"
    if way == "null":
        assert e["address"] < 4096
    check_memory(dump, crashed, e, way)
    check_modules(dump, e, way)
    check_texts(dump, misc)


def check_memory(dump, crashed, exception, way):
    for t in dump.threads:
        start, data = t["stack"]
        assert data, f"thread {t['name']} has no stack"
        if t is not crashed or way != "stack-overflow":
            assert start <= t["context"]["rsp"] < start + len(data)
    start, data = crashed["stack"]
    assert (start, data) in dump.regions, "stack is not in the memory list"
    assert len(data) <= 1 << 20
    if way == "stack-overflow":  # both ends: what recurs, and who began it
        assert len(data) == 768 << 10
        end = max(int(line.split("-")[1].split()[0], 16) for line in dump.body("maps").decode().splitlines()
                  if line.endswith("[stack]"))
        oldest = [(a, d) for a, d in dump.regions if a + len(d) == end]
        assert oldest and len(oldest[0][1]) == 256 << 10 and oldest[0][0] > start + len(data)
    pc = exception["context"]["rip"]
    if way != "use-after-free":
        code = dump.read(pc - 8, 24)
        assert code, "no code around the crash"
    spans = sorted((a, a + len(d)) for a, d in dump.regions)
    assert all(b <= c for (_, b), (c, _) in zip(spans, spans[1:])), "memory regions overlap"


def check_modules(dump, exception, way):
    names = [os.path.basename(m["name"]) for m in dump.modules]
    assert names[0] == "crashme" and dump.modules[0]["name"] == str(CRASHME.resolve()), names
    assert any(n.startswith("libc") for n in names) and "linux-gate.so" in names, names
    build_id = re.search(r"Build ID: (\w+)", subprocess.run(["readelf", "-n", str(CRASHME)], text=True,
                                                           stdout=subprocess.PIPE, check=True).stdout)[1]
    assert dump.modules[0]["id"] == build_id
    assert all(len(m["id"]) >= 32 for m in dump.modules), [(m["name"], m["id"]) for m in dump.modules]
    pc = exception["context"]["rip"]
    if way not in ("use-after-free", "abort", "stack-overflow"):
        assert dump.module_at(pc)["name"].endswith("/crashme")


def check_texts(dump, misc):
    assert f"Pid:\t{misc['pid']}".encode() in dump.body("status")
    assert b"/crashme" in dump.body("maps") and b"processor" in dump.body("cpuinfo")
    assert b"Max stack size" in dump.body("limits") and b"ID=" in dump.body("lsb")
    assert "environ" not in dump.streams and "cmdline" not in dump.streams, "they are private"
    system = dump.body("system")
    assert len(system) == 56 and system[:2] == b"\x09\0" and system[20:24] == b"\x01\x82\0\0"
    words = dump.string(int.from_bytes(system[24:28], "little")).split(" ")
    uname = os.uname()
    assert words[0] == uname.sysname and words[1] == uname.release and words[-1] == uname.machine, words


def check_way(server, folder, way):
    now = time.time()
    done = crash(server, folder, way, "--annotation", 'Custom=quo"te \u00e4\u2603')
    assert done.returncode == -WAYS[way][0], f"status {done.returncode}: {done.stdout}"
    assert f"datil: crash report sent: {CRASH_ID}\n" in done.stdout, done.stdout
    assert len(server.requests) == 1
    path, headers, body = server.requests[0]
    assert path == "/submit" and headers["User-Agent"].startswith("datil-client/")
    form = parts(headers, body)
    assert sorted(form) == ["extra", "upload_file_minidump"], form.keys()
    assert form["extra"][:2] == ("extra.json", "application/json")
    assert form["upload_file_minidump"][1] == "application/octet-stream"
    check_extra(json.loads(form["extra"][2]), way, now)
    check_dump(Minidump(form["upload_file_minidump"][2]), way, now)
    assert pending(folder) == [] and (folder / "db/submitted" / CRASH_ID).exists()
    if (BIN / "datil-stackwalk").exists() and (BIN / "datil-dump-syms").exists():
        check_stack(folder, way, form["upload_file_minidump"][2])


def check_stack(folder, way, dump):
    (folder / "dump").write_bytes(dump)
    libs = re.findall(r"(/\S+\.so\S*)", subprocess.run(["ldd", str(CRASHME)], text=True,
                                                      stdout=subprocess.PIPE, check=True).stdout)
    subprocess.run([str(BIN / "datil-dump-syms"), "--store", str(folder / "symbols"), str(CRASHME), *libs],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    done = subprocess.run([str(BIN / "datil-stackwalk"), "--json", "--symbols", str(folder / "symbols"), str(folder / "dump")],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    doc = json.loads(done.stdout)
    frames = []
    for f in doc["crashing_thread"]["frames"]:
        frames += [i["function"] for i in f.get("inlines") or []] + [f["function"]]
    _, _, first, below = WAYS[way]
    shown = [f for f in frames if f][:40]
    if first:
        assert shown[0] == first, shown
    at = 0
    for name in below:
        assert name in shown[at:], f"{name} is not behind {shown[:at]} in {shown}"
        at = shown.index(name, at) + 1


def no_wait(server, folder):
    """Without waiting the program is dead before the slow collector has answered."""
    server.delay_s = 1
    start = time.monotonic()
    process = subprocess.Popen([str(CRASHME), "null", "--no-wait", "--url", server.url, "--database",
                                str(folder / "db")], stderr=subprocess.DEVNULL)
    assert process.wait(timeout=30) == -signal.SIGSEGV
    assert time.monotonic() - start < 0.9
    wait_until(lambda: (folder / "db/submitted" / CRASH_ID).exists(), "the report to be sent")
    assert server.requests[0][0] == "/submit", "no path: /submit"


def collector_away(server, folder):
    """The report stays on disk and goes out when the program starts the next time."""
    server.status, server.answer = 503, ""
    done = crash(server, folder, "abort")
    assert done.returncode == -signal.SIGABRT and "kept for later" in done.stdout, done.stdout
    assert len(pending(folder)) == 1
    report_dir = folder / "db/pending" / pending(folder)[0]
    assert sorted(p.name for p in report_dir.iterdir()) == ["extra.json", "minidump.dmp"]
    assert report_dir.stat().st_mode & 0o077 == 0, "readable by others"
    kept = (report_dir / "minidump.dmp").read_bytes()
    server.status, server.answer = 200, f"CrashID={CRASH_ID}\n"
    done = crash(server, folder, "report")
    assert done.returncode == 0, done.stdout
    wait_until(lambda: pending(folder) == [], "the old report to be sent")
    dumps = [parts(h, b)["upload_file_minidump"][2] for _, h, b in server.requests[1:]]
    assert len(dumps) == 2 and kept in dumps
    extra = [json.loads(parts(h, b)["extra"][2]) for _, h, b in server.requests]
    assert any(int(e.get("SecondsSinceLastCrash", -1)) >= 0 for e in extra[1:])


def nobody_listens(server, folder):
    server.server_close()
    done = crash(server, folder, "illegal")
    assert done.returncode == -signal.SIGILL and len(pending(folder)) == 1, done.stdout


def not_wanted(server, folder):
    server.answer = "Discarded=rule_unsupported_product"
    done = crash(server, folder, "null")
    assert done.returncode == -signal.SIGSEGV and "not wanted" in done.stdout, done.stdout
    assert "rule_unsupported_product" in done.stdout and pending(folder) == []


def strange_answer(server, folder):
    server.answer = "CrashID=bp-../../etc/passwd\n"
    done = crash(server, folder, "null")
    assert done.returncode == -signal.SIGSEGV and len(pending(folder)) == 1, done.stdout
    assert "passwd" not in done.stdout


def too_many_pending(server, folder):
    """Old and surplus reports are removed, so that a broken network fills no disk."""
    for i in range(30):
        old = folder / "db/pending" / f"{i:016x}-{i:016x}"
        old.mkdir(parents=True)
        (old / "extra.json").write_text("{}")
    os.utime(folder / "db/pending" / f"{29:016x}-{29:016x}", (1, 1))
    server.status, server.answer = 500, ""
    crash(server, folder, "report")

    def tidied():
        left = pending(folder)
        return (len(left) <= 21 and f"{28:016x}-{28:016x}" in left
                and not {f"{0:016x}-{0:016x}", f"{29:016x}-{29:016x}"} & set(left))
    wait_until(tidied, "old reports to go, the youngest to stay")


def handler_missing(server, folder):
    done = crash(server, folder, "null", "--handler", "/nonexistent/handler")
    assert done.returncode == 1 and "cannot run /nonexistent/handler: No such file" in done.stdout, done.stdout


def handler_silent(server, folder):
    """A handler that never answers costs its time-out, and the exit status stays."""
    script = folder / "handler"
    script.write_text("#!/usr/bin/env python3\nimport os, struct, time\n"
                      "os.write(3, struct.pack('<Iii', 0x52494457, os.getpid(), 0))\ntime.sleep(2)\n")
    script.chmod(0o755)
    start = time.monotonic()
    done = crash(server, folder, "null", "--handler", str(script), "--timeout-ms", "300")
    assert done.returncode == -signal.SIGSEGV
    assert 0.25 < time.monotonic() - start < 8  # standard error stays open as long as the script


def handler_of(database):
    """Pids of the handlers with this database."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            args = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if args and args[0].endswith(b"datil-client-handler") and database in args:
            found.append(int(entry.name))
    return found


def handler_killed(server, folder):
    """The program notices at once that its handler is gone and dies as usual."""
    program = folder / "program.c"
    program.write_text(PROGRAM)
    binary = compile_program(folder, program)
    process = subprocess.Popen([str(binary), str(folder / "db"), str(HANDLER)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    handlers = handler_of(str(folder / "db").encode())
    assert len(handlers) == 1
    os.kill(handlers[0], signal.SIGKILL)
    start = time.monotonic()
    process.stdin.write(b"crash\n")
    process.stdin.close()
    assert process.wait(timeout=30) == -signal.SIGSEGV
    assert time.monotonic() - start < 3
    process.stdout.close()


def handler_ends_with_program(server, folder):
    program = folder / "program.c"
    program.write_text(PROGRAM)
    binary = compile_program(folder, program)
    for how in ("exit", "kill"):
        process = subprocess.Popen([str(binary), str(folder / "db"), str(HANDLER)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        only_handler_of(str(folder / "db").encode())
        if how == "kill":
            process.kill()
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()
        wait_until(lambda: not handler_of(str(folder / "db").encode()), f"the handler to end after {how}")


def own_signal_handler(server, folder):
    """A handler that the program had before is called afterwards; a forked child is reported too;
    used-up descriptors do not matter."""
    program = folder / "program.c"
    program.write_text(PROGRAM)
    binary = compile_program(folder, program)
    for mode, status in (("chain", 42), ("fork", 0), ("no-descriptors", -signal.SIGSEGV),
                         ("two-threads", -signal.SIGSEGV), ("kill", -signal.SIGABRT),
                         ("thread-overflow", -signal.SIGSEGV), ("not-dumpable", -signal.SIGSEGV)):
        before = len(server.requests)
        done = subprocess.run([str(binary), str(folder / "db"), str(HANDLER), server.url, mode],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert done.returncode == status, f"{mode}: status {done.returncode} {done.stdout}"
        assert len(server.requests) == before + 1, f"{mode}: {len(server.requests) - before} reports {done.stdout}"
        dump = Minidump(parts(*server.requests[-1][1:])["upload_file_minidump"][2])
        assert dump.exception()["code"] in (signal.SIGSEGV, signal.SIGABRT), mode


def closed_descriptors(server, folder):
    """Programs that close everything they did not open: nothing was sent, and the number of the lost
    socket belonged to a file of theirs."""
    program = folder / "program.c"
    program.write_text(PROGRAM)
    binary = compile_program(folder, program)
    for mode, status, reports in (("closefrom", -signal.SIGSEGV, 1), ("closefrom-reuse", -signal.SIGSEGV, 1),
                                  ("daemon", 0, 1), ("close-before", -signal.SIGSEGV, 1),
                                  ("close-and-report", 0, 3)):
        before = len(server.requests)
        done = subprocess.run([str(binary), str(folder / "db"), str(HANDLER), server.url, mode],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert done.returncode == status, f"{mode}: status {done.returncode} {done.stdout}"
        wait_until(lambda: len(server.requests) == before + reports, f"{mode}: {len(server.requests) - before} reports {done.stdout}")
        for _, headers, body in server.requests[before:]:
            form = parts(headers, body)
            assert Minidump(form["upload_file_minidump"][2]).threads[0]["stack"][1], mode
            assert json.loads(form["extra"][2])["Early"] == "before start", mode
        wait_until(lambda: not handler_of(str(folder / "db").encode()), f"the handler to end after {mode}")


def strangers_at_the_second_door(server, folder):
    """Who finds the abstract name gets nothing and holds nothing up."""
    program = folder / "program.c"
    program.write_text(PROGRAM)
    binary = compile_program(folder, program)
    process = subprocess.Popen([str(binary), str(folder / "db"), str(HANDLER), server.url, "wait"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    name = second_door_of(str(folder / "db").encode())
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(4)]
    for s in silent:
        s.connect(name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(name)
        ours, theirs = socket.socketpair()
        message = struct.pack("<IIIiQQQ", 0x52494457, 2, 0, os.getpid(), 0, 0, 12345)
        socket.send_fds(s, [message], [theirs.fileno()])
        theirs.close()
        ours.settimeout(20)
        assert ours.recv(100) == b"", "a wrong key was answered"
    process.stdin.write(b"crash\n")
    process.stdin.close()
    assert process.wait(timeout=30) == -signal.SIGSEGV
    process.stdout.close()
    wait_until(lambda: len(server.requests) == 1, "the report")
    for s in silent:
        s.close()


def only_handler_of(database):
    """One process and no more, once the one that sends old reports at the start has gone."""
    wait_until(lambda: len(handler_of(database)) == 1, "a single handler")
    return handler_of(database)[0]


def second_door_of(database):
    pid = only_handler_of(database)
    args = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return b"\0" + args[args.index(b"--listen") + 1]


def crowd_at_the_second_door(server, folder):
    """However many come and say nothing, they cost no process, and the program gets through."""
    program = folder / "program.c"
    program.write_text(PROGRAM)
    binary, database = compile_program(folder, program), str(folder / "db").encode()
    process = subprocess.Popen([str(binary), str(folder / "db"), str(HANDLER), server.url, "closefrom-wait"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    name, crowd = second_door_of(database), []
    for _ in range(100):
        crowd.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        crowd[-1].connect(name)
    crowd[0].settimeout(20)
    assert crowd[0].recv(1) == b"", "the first of a hundred still has a place"
    only_handler_of(database)  # visitors cost no processes
    process.stdin.write(b"crash\n")
    process.stdin.close()
    assert process.wait(timeout=30) == -signal.SIGSEGV
    process.stdout.close()
    wait_until(lambda: len(server.requests) == 1, "the report")
    wait_until(lambda: not handler_of(database), "the handler to end")
    for s in crowd:
        s.close()


def another_user_at_the_second_door(server, folder):
    """Shown out at once; only root can try it, for nobody else can be two people."""
    if os.geteuid() != 0:
        return
    program = folder / "program.c"
    program.write_text(PROGRAM)
    binary, database = compile_program(folder, program), str(folder / "db").encode()
    folder.chmod(0o777)
    process = subprocess.Popen([str(binary), str(folder / "db"), str(HANDLER), server.url, "wait"], user="nobody",
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    name = second_door_of(database)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:  # root is another user, too
        s.settimeout(20)
        s.connect(name)
        assert s.recv(1) == b""
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    process.stdout.close()


def plain_c_program(server, folder):
    """The library needs nothing but the C library, and its header is C++ as well."""
    program = folder / "program.c"
    program.write_text(PROGRAM)
    binary = compile_program(folder, program)
    needed = subprocess.run(["readelf", "-d", str(binary)], stdout=subprocess.PIPE, text=True, check=True).stdout
    libs = set(re.findall(r"Shared library: \[(.*?)\]", needed))
    assert all(re.match(r"libc\.|ld-linux|libasan|libubsan|libtsan|libm\.|libgcc|libgcov", lib) for lib in libs), libs
    header = folder / "use.cc"
    header.write_text('#include "datil_client.h"\nint main() { datil_client_stop(); }\n')
    if shutil.which("g++"):
        subprocess.run(["g++", "-I", str(ROOT / "client"), "-fsyntax-only", str(header)], check=True)


def private_texts(server, folder):
    """Arguments and environment go with a report only when asked for, not even in a stack."""
    argument, variable = "xyzzy-in-the-arguments", "plugh-in-the-environment"
    streams = {"--send-command-line": ("cmdline", argument), "--send-environment": ("environ", variable)}
    for flags in ([], ["--send-command-line"], ["--send-environment"], list(streams)):
        before = set(pending(folder)) if (folder / "db").exists() else set()
        crash(None, folder, "null", "--annotation", f"Empty{argument}", *flags, env={**os.environ, "SECRET": variable})
        name = (set(pending(folder)) - before).pop()
        data = (folder / "db/pending" / name / "minidump.dmp").read_bytes()
        dump = Minidump(data)
        assert dump.threads[0]["stack"][1], "no stack"
        for flag, (stream, text) in streams.items():
            assert (stream in dump.streams) == (flag in flags), (flags, stream)
            assert (text.encode() in data) == (flag in flags), (flags, text)


def dump_pid(server, folder):
    """A dump of a running process; it runs on."""
    process = subprocess.Popen(["sleep", "60"])
    out, status = folder / "out.dmp", Path(f"/proc/{process.pid}/status")
    try:
        wait_until(lambda: "Name:\tsleep" in status.read_text() and "State:\tS" in status.read_text(),
                   "sleep to sleep")
        done = subprocess.run([str(HANDLER), "--dump-pid", str(process.pid), "-o", str(out)],
                              stderr=subprocess.PIPE, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        dump = Minidump(out.read_bytes())
        assert "exception" not in dump.streams and dump.misc()["pid"] == process.pid
        assert dump.threads[0]["name"] == "sleep" and dump.threads[0]["stack"][1]
        assert process.poll() is None
        wait_until(lambda: "TracerPid:\t0" in status.read_text() and "State:\tS" in status.read_text(),
                   "sleep to sleep on")
    finally:
        process.kill()
        process.wait()
    done = subprocess.run([str(HANDLER), "--dump-pid", str(process.pid), "-o", str(out)],
                          stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 1 and "no process" in done.stderr, done.stderr


def bad_options(server, folder):
    for args in ([], ["--nonsense"], ["--dump-pid", "x", "-o", "y"], ["--serve"], ["--dump-pid"]):
        done = subprocess.run([str(HANDLER), *args], stderr=subprocess.PIPE, text=True, timeout=30)
        assert done.returncode == 2 and "usage" in done.stderr, args
    done = subprocess.run([str(CRASHME)], stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 2 and "usage" in done.stderr
    done = subprocess.run([str(CRASHME), "list"], stdout=subprocess.PIPE, text=True, timeout=30)
    assert done.stdout.split() == list(WAYS)


# A program that is not the example, for what the example does not do.
PROGRAM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "datil_client.h"

static volatile int *nowhere;
static void mine(int sig) { (void)sig; _exit(42); }

static void *crash_thread(void *gate)
{
    datil_client_protect_thread();
    pthread_barrier_wait(gate);
    *nowhere = 1;
    return NULL;
}

static int deeper(int n) { volatile char room[512]; room[0] = (char)n; return n == -1 ? 0 : deeper(n + 1) + room[0]; }

static void *overflow_thread(void *arg)
{
    (void)arg;
    datil_client_protect_thread();
    return (void *)(long)deeper(0);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 4 ? argv[4] : "";
    struct datil_client_options o = {.product = "P", .version = "1", .database = argv[1],
        .handler_path = argv[2], .url = argc > 3 ? argv[3] : NULL, .wait_for_upload = true};
    char why[256];
    datil_client_annotate("Early", "before start");
    if (strcmp(mode, "close-before") == 0)
        close_range(3, ~0U, 0);
    if (strcmp(mode, "chain") == 0)
        signal(SIGSEGV, mine);
    if (!datil_client_start(&o, why, sizeof why)) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    if (!mode[0] || strcmp(mode, "wait") == 0) {
        char line[16];
        puts("ready");
        fflush(stdout);
        if (!fgets(line, sizeof line, stdin))
            return 0;
    }
    if (strcmp(mode, "closefrom") == 0)
        closefrom(3);
    if (strcmp(mode, "closefrom-wait") == 0) {
        closefrom(3);
        char line[16];
        puts("ready");
        fflush(stdout);
        if (!fgets(line, sizeof line, stdin))
            return 0;
    }
    if (strcmp(mode, "closefrom-reuse") == 0) {
        closefrom(3);
        for (int i = 0; i < 64; i++)
            open("/dev/null", O_RDWR);
    }
    if (strcmp(mode, "daemon") == 0) {
        if (fork() > 0)
            return 0;
        setsid();
        closefrom(3);
        sleep(3); /* the first process and its sockets are long gone */
    }
    if (strcmp(mode, "close-and-report") == 0) {
        closefrom(3);
        int file = open("/dev/null", O_RDWR);
        if (!datil_client_report() || !datil_client_report())
            return 8;
        datil_client_stop();
        if (!datil_client_start(&o, why, sizeof why) || !datil_client_report())
            return 7;
        return fcntl(file, F_GETFD) >= 0 ? 0 : 6;
    }
    if (strcmp(mode, "fork") == 0) {
        int status;
        if (fork() == 0)
            *nowhere = 1;
        wait(&status);
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? 0 : 9;
    }
    if (strcmp(mode, "no-descriptors") == 0)
        while (open("/dev/null", O_RDONLY) >= 0)
            ;
    if (strcmp(mode, "two-threads") == 0) {
        pthread_barrier_t gate;
        pthread_t t[2];
        pthread_barrier_init(&gate, NULL, 2);
        for (int i = 0; i < 2; i++)
            pthread_create(&t[i], NULL, crash_thread, &gate);
        for (int i = 0; i < 2; i++)
            pthread_join(t[i], NULL);
    }
    if (strcmp(mode, "thread-overflow") == 0) {
        pthread_t t;
        pthread_create(&t, NULL, overflow_thread, NULL);
        pthread_join(t, NULL);
    }
    if (strcmp(mode, "kill") == 0) {
        kill(getpid(), SIGABRT);
        pause();
    }
    if (strcmp(mode, "not-dumpable") == 0)
        prctl(PR_SET_DUMPABLE, 0);
    *nowhere = 1;
    return 0;
}
"""


def compile_program(folder, source):
    binary = folder / "program"
    flags = os.environ.get("CLIENT_TEST_FLAGS", "").split()
    subprocess.run(["gcc", "-O0", "-g", "-w", *flags, "-I", str(ROOT / "client"), str(source),
                    str(BIN.parent / "libdatil-client.a"), "-pthread", "-o", str(binary)], check=True)
    return binary


def main():
    if b"__asan_init" in CRASHME.read_bytes() or b"__tsan_init" in CRASHME.read_bytes():
        print("ok skipped: a sanitizer takes the signals of a crash itself")
        return
    for way in WAYS:
        case(f"crashme {way}", check_way, way)
    for label, check in (
            ("dies without waiting for the collector", no_wait),
            ("collector says 503, then takes it", collector_away),
            ("nobody listens", nobody_listens),
            ("the collector does not want it", not_wanted),
            ("an answer that is no crash id", strange_answer),
            ("old and surplus reports are removed", too_many_pending),
            ("handler is not there", handler_missing),
            ("handler does not answer", handler_silent),
            ("handler was killed", handler_killed),
            ("handler ends with its program", handler_ends_with_program),
            ("other programs: chained handlers, fork, full tables", own_signal_handler),
            ("closed descriptors", closed_descriptors),
            ("strangers at the second door", strangers_at_the_second_door),
            ("a crowd at the second door", crowd_at_the_second_door),
            ("another user at the second door", another_user_at_the_second_door),
            ("links with libc alone", plain_c_program),
            ("dump of a running process", dump_pid),
            ("arguments and environment are private", private_texts),
            ("options", bad_options)):
        case(label, check)


sys.exit(main())
