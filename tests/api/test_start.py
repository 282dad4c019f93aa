"""FastCGI programs that cannot start, or lose what they need while they run: never a socket on which
nobody answers.  No database and no web server are needed here."""
import json
import os
import shutil
import signal
import subprocess
import time

import fastcgi
import pytest
from harness import BIN, wait_until

KINDS = {"CONTENT_TYPE": "multipart/form-data; boundary=b"}
REPORT = (b"--b\r\nContent-Disposition: form-data; name=ProductName\r\n\r\nCrashme\r\n"
          b"--b\r\nContent-Disposition: form-data; name=Version\r\n\r\n1\r\n--b--\r\n")
GOOD = '{"rules": [\n {"name": "all", "key": "*", "if": {"op": "always"}, "then": "ACCEPT"}\n]}'
BAD = ('{"rules": [\n {"name": "all", "key": "*", "if": {"op": "always"}, "then": "ACCEPT"},\n\n'
       ' {"name": "bad", "key": "*", "if": {"op": "sometimes"}, "then": "ACCEPT"}\n]}')


class Program:
    """One FastCGI program with its own configuration."""

    def __init__(self, folder, name, **env):
        self.run = folder / "run"
        self.log = folder / "log"
        if os.geteuid() == 0:  # a program started as root works as the owner of its data
            for each in (folder, *folder.rglob("*")):
                shutil.chown(each, "nobody")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([str(BIN / name)], stdout=log, stderr=log, env={
                "PATH": os.environ["PATH"], "DATIL_VAR": str(folder), "DATIL_RUN": str(self.run),
                "DATABASE_URL": f"host={folder} connect_timeout=1", "CRASHMOVER_CRASHPUBLISH_CLASS": "noop", **env})

    def socket(self):
        return next(iter(self.run.rglob("*.sock")), None)

    def ask(self, method="GET", path="/__lbheartbeat__", body=b"", **env):
        """(status, headers, body), and never late; None while nobody listens."""
        begun = time.monotonic()
        try:
            return fastcgi.request(self.socket(), method, path, body, **env)
        except (FileNotFoundError, ConnectionError, TypeError):
            return None
        finally:
            assert time.monotonic() - begun < 10

    def post(self):
        return self.ask("POST", "/submit", REPORT, **KINDS)

    def accepts(self):
        answer = self.post()
        return answer and answer[0] == 200 and answer[2].startswith(b"CrashID=")

    def workers(self):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return {int(pid) for pid in children.read().split()}

    def kill_workers(self):
        for pid in self.workers():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)


def test_a_broken_rules_file_is_named_with_its_line(tmp_path):
    rules = tmp_path / "rules.json"
    for text, line in ((BAD, "line 4"), (GOOD[:-1] + ",", "line 3")):
        rules.write_text(text)
        with Program(tmp_path, "datil-collector", BREAKPAD_THROTTLER_RULES=str(rules)) as collector:
            assert collector.process.wait(20) == 1
            message = collector.log.read_text()
            assert str(rules) in message and line in message
            assert collector.socket() is None


def test_a_broken_product_file_is_named(tmp_path):
    products = tmp_path / "config/products"
    products.mkdir(parents=True)
    (products / "bad.json").write_text("{")
    with Program(tmp_path, "datil-collector") as collector:
        assert collector.process.wait(20) == 1
        assert "bad.json" in collector.log.read_text() and collector.socket() is None


def problems(collector):
    _, _, body = collector.ask(path="/__heartbeat__")
    return {e["name"] for e in json.loads(body).get("errors", [])}


def test_old_rules_stay_when_the_file_breaks(tmp_path):
    """Also for workers that are started again meanwhile."""
    rules = tmp_path / "rules.json"
    rules.write_text(GOOD)
    with Program(tmp_path, "datil-collector", BREAKPAD_THROTTLER_RULES=str(rules), COLLECTOR_WORKERS="1") as collector:
        wait_until(collector.accepts, what="the first report")
        assert "rules" not in problems(collector)
        rules.write_text(BAD)
        collector.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "rules" in problems(collector), what="a word in the heartbeat")
        assert collector.accepts() and "line 4" in collector.log.read_text()
        before = collector.workers()
        collector.kill_workers()
        wait_until(lambda: collector.workers() and not collector.workers() & before, what="another worker")
        wait_until(collector.accepts, what="a report with the old rules")
        wait_until(lambda: "rules" in problems(collector), what="a word of the new worker")
        rules.write_text(GOOD.replace("ACCEPT", "REJECT"))
        collector.process.send_signal(signal.SIGHUP)
        wait_until(lambda: collector.post()[2] == b"Discarded=rule_all", what="the new rules")
        assert "rules" not in problems(collector)


def test_a_mended_product_file_ends_the_warning(tmp_path):
    with Program(tmp_path, "datil-collector", COLLECTOR_WORKERS="1") as collector:
        wait_until(collector.accepts, what="the first report")
        bad = tmp_path / "config/products/bad.json"
        bad.write_text("{")
        wait_until(lambda: "products" in problems(collector), what="a word in the heartbeat")
        assert collector.accepts()
        bad.unlink()
        wait_until(lambda: "products" not in problems(collector), what="no word any more")


def test_a_collector_whose_workers_die_answers_503(tmp_path):
    """The spool is gone: 503 at once and not a word of a decision, until it is back."""
    spool, aside = tmp_path / "spool", tmp_path / "aside"
    with Program(tmp_path, "datil-collector", COLLECTOR_WORKERS="2") as collector:
        wait_until(collector.accepts, what="the first report")
        spool.rename(aside)
        spool.write_text("in the way")
        collector.kill_workers()

        def unavailable():
            answer = collector.post()
            return answer and answer[0] == 503 and answer
        for _ in range(20):
            _, headers, body = wait_until(unavailable, what="an answer")
            assert body == b"" and int(headers["Retry-After"]) >= 1 and headers["Content-Length"] == "0"
        spool.unlink()
        aside.rename(spool)
        wait_until(collector.accepts, 30, what="a report")


@pytest.mark.parametrize("name,path", [
    ("datil-webapp", "/"), ("datil-webapp", "/api/SuperSearch/"), ("datil-symbols", "/__lbheartbeat__")])
def test_workers_that_never_start_leave_no_silent_socket(tmp_path, name, path):
    """A product file of the web application is bad; a file lies where the symbol server keeps its own."""
    products = tmp_path / "config/products"
    products.mkdir(parents=True)
    bad = products / "bad.json" if name == "datil-webapp" else tmp_path / "in-the-way"
    bad.write_text("{")
    with Program(tmp_path, name, SYMBOLS_DIR=str(tmp_path / "in-the-way/symbols")) as program:
        status, headers, body = wait_until(lambda: program.ask(path=path), what="an answer")
        assert status == 503 and headers["Retry-After"]
        assert str(tmp_path).encode() not in body
        bad.unlink()
        wait_until(lambda: (program.ask() or [0])[0] == 200, 30, what="a worker")
