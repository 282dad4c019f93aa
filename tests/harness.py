"""One complete Datil for tests: real PostgreSQL, real nginx, real programs, in a throw-away
directory and on a free port.

    with Installation() as datil:
        crash_id = datil.post(annotations, dump)
        datil.wait_processed(crash_id)

Nothing here sleeps to wait: wait_until() polls a condition with a deadline.
"""
import contextlib
import copy
import http.client
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("BUILD", ROOT / "build"))
BIN = BUILD / "bin"

ANNOTATIONS = {
    "ProductName": "Crashme", "Version": "1.0", "ReleaseChannel": "release",
    "BuildID": "20260101000000", "Vendor": "Datil", "InstallTime": "1767225600",
}


def wait_until(condition, timeout_s=20.0, what="condition", pause_s=0.02):
    """The first true value of condition(); AssertionError with `what` after timeout_s."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(pause_s)


def free_port():
    """Below the ports that the system gives to connections (32768 and above): one of those may be
    taken between this look and the start of nginx, all the more with two processes of tests."""
    while True:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", random.randrange(12000, 32000)))
            except OSError:
                continue
            return s.getsockname()[1]


def multipart(fields, files=None, boundary="datil-test-boundary-0123456789"):
    """(content type, body) of a report: fields name -> text, files name -> bytes."""
    out = []
    for name, value in fields.items():
        data = value if isinstance(value, bytes) else str(value).encode()
        out.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
                   + data + b"\r\n")
    for name, data in (files or {}).items():
        out.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; '
                   f'filename="{name}.dmp"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode()
                   + data + b"\r\n")
    out.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(out)


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Installation:
    def __init__(self, **env):
        self.dir = Path(tempfile.mkdtemp(prefix="dt-", dir="/tmp"))
        self.dir.chmod(0o755)  # the database and web server users pass through
        self.var = self.dir / "var"
        self.port = free_port()
        self.address = "127.0.0.1"  # from which requests come
        self.base = f"http://127.0.0.1:{self.port}"
        # Nothing of the caller's own configuration reaches the installation.
        self.env = {k: os.environ[k] for k in ("PATH", "HOME", "LANG", "TERM", "USER", "TMPDIR") if k in os.environ}
        self.env.update(DATIL_VAR=str(self.var), DATIL_PORT=str(self.port), DATIL_BIND="127.0.0.1",
                        DATILCTL_BIN=str(BIN), RATE_LIMIT_API_ANONYMOUS="0", RATE_LIMIT_API_USER="0",
                        RATE_LIMIT_SEARCH_ANONYMOUS="0", RATE_LIMIT_SEARCH_USER="0",
                        RATE_LIMIT_PAGES_ANONYMOUS="0", RATE_LIMIT_PAGES_USER="0",
                        SEARCH_MAX_PER_ADDRESS="0", RATE_LIMIT_PING="0",
                        CRASHMOVER_RETRY_SLEEP_SECONDS="0")
        self.env.update(env)
        self.running = False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def ctl(self, *args, check=True):
        done = subprocess.run([str(ROOT / "tools/run/datilctl"), *args], env=self.env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        if check and done.returncode:
            raise AssertionError(f"datilctl {args}: {done.stdout}\n{self.logs()}")
        return done.stdout

    def start(self):
        self.ctl("up", "--no-demo")
        self.running = True

    def stop(self):
        if self.running:
            self.ctl("down")
            self.running = False

    def close(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def logs(self, lines=15):
        out = []
        for path in sorted((self.var / "log").glob("*.log")):
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            out.append(f"== {path.name}\n" + "\n".join(tail))
        return "\n".join(out)

    def log_lines(self, program):
        """Parsed log lines of a program (those that are JSON)."""
        text = (self.var / "log" / f"{program.removeprefix('datil-')}.log").read_text(errors="replace")
        lines = []
        for line in text.splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                pass
        return lines

    def own(self, path):
        """Gives what a test made below var to the user that the programs run as."""
        owner = (self.var / "spool").stat()
        for each in (path, *path.rglob("*")):
            with contextlib.suppress(FileNotFoundError):  # a worker's temporary file
                os.chown(each, owner.st_uid, owner.st_gid)
                each.chmod(0o750 if each.is_dir() else 0o640)

    def datil(self, *args, stdin=None, check=True):
        done = subprocess.run([str(BIN / "datil"), *map(str, args)], env=self.env, text=True, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        if check and done.returncode:
            raise AssertionError(f"datil {args}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        done.output = done.stdout + done.stderr
        return done

    def processes(self):
        """pid -> (parent pid, command line) of every process below the supervisor."""
        try:
            top = int((self.var / "run/datilctl.pid").read_text())
        except (OSError, ValueError):
            return {}
        table = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            comm = stat[stat.index("(") + 1:stat.rindex(")")]
            state, parent = stat[stat.rindex(")") + 2:].split()[:2]
            if state != "Z":
                table[int(entry.name)] = (int(parent), comm, command)
        below, grew = {top}, True
        while grew:
            more = {pid for pid, (parent, _, _) in table.items() if parent in below} - below
            below |= more
            grew = bool(more)
        return {pid: table[pid] for pid in below if pid in table and pid != top}

    def program_pids(self, program):
        """(parent pids, child pids) of a program such as datil-collector."""
        table = self.processes()
        own = {pid for pid, (_, _, command) in table.items()
               if command.split(" ")[0].endswith("/" + program)}
        parents = {pid for pid in own if table[pid][0] not in own}
        return parents, own - parents

    def kill(self, pid, sig=signal.SIGKILL):
        try:
            os.kill(pid, sig)
            return True
        except ProcessLookupError:
            return False

    _clients = itertools.count(1)

    def new_client(self):
        """The same installation asked from an address that nobody has used: its limits of requests count from zero."""
        other = copy.copy(self)
        number = next(self._clients)
        other.address = f"127.1.{number // 250}.{number % 250 + 1}"
        return other

    def request(self, method, path, body=None, headers=None, timeout_s=60):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s, source_address=(self.address, 0))
        try:
            conn.request(method, path, body=body, headers=headers or {})
            answer = conn.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        finally:
            conn.close()

    def get(self, path, params=None, headers=None):
        if params:
            path += "?" + urllib.parse.urlencode(params, doseq=True)
        return self.request("GET", path, headers=headers)

    def raw(self, data, timeout_s=20):
        """Sends bytes as they are, half-closes, returns what comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as s:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            out = b""
            while True:
                try:
                    chunk = s.recv(65536)
                except OSError:
                    return out
                if not chunk:
                    return out
                out += chunk

    def local(self, path):
        """Status and text of a GET through the operators' door."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(self.var / "run/nginx/local.sock"))
            s.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
            data = b""
            while piece := s.recv(65536):
                data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def submit(self, fields=None, files=None, headers=None):
        kind, body = multipart({**ANNOTATIONS, **(fields or {})}, files)
        return self.request("POST", "/submit", body, {"Content-Type": kind, **(headers or {})})

    def post(self, fields=None, dump=None, files=None):
        """Submits a report and returns its crash id."""
        files = dict(files or {})
        if dump is not None:
            files["upload_file_minidump"] = dump
        answer = self.submit(fields, files)
        found = re.fullmatch(rb"CrashID=bp-([0-9a-f-]{36})\n", answer.body)
        assert answer.status == 200 and found, answer
        return found[1].decode()

    def processed(self, crash_id, headers=None):
        answer = self.get("/api/ProcessedCrash/", {"crash_id": crash_id}, headers)
        return answer.json if answer.status == 200 else None

    def wait_processed(self, crash_id, timeout_s=30):
        """The processed crash, once it is stored and in the index (which comes a moment later)."""
        def ready():
            return self.search(uuid=crash_id, _facets_size=0)["total"] and self.processed(crash_id)
        try:
            return wait_until(ready, timeout_s, f"crash {crash_id}")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.logs()}") from None

    def search(self, headers=None, **params):
        answer = self.get("/api/SuperSearch/", params, headers)
        assert answer.status == 200, answer
        return answer.json

    def add_user(self, email, password="a long password", *options):
        self.datil("user", "add", email, *options, "--password-stdin", stdin=password + "\n")

    def token(self, email, *permissions):
        options = [x for p in permissions for x in ("--permission", p)]
        return self.datil("token", "create", email, *options).stdout.strip()

    def sql(self, query, *args):
        """Rows of one statement (tests look, programs do not come this way)."""
        import psycopg2
        with psycopg2.connect(f"host={self.var}/run/pg user=datil dbname=datil") as conn:
            with conn.cursor() as cur:
                cur.execute(query, args)
                return cur.fetchall() if cur.description else []
