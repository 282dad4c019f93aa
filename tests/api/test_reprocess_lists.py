"""Crashes from lists: reprocessing in groups that goes on after a kill, previews, deletion with a report."""

import json
import os
import signal
import subprocess
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import BIN, wait_until
from test_core import NOW, crash_id, document, load, put_raw


def listed(tmp_path, ids, name="ids"):
    path = tmp_path / name
    path.write_text("# what to do\n\n" + "".join(f"{i}  # {n}\n" for n, i in enumerate(ids)))
    path.chmod(0o644)
    tmp_path.chmod(0o755)
    return path


def processed_all(datil, ids):
    return all(datil.processed(i) for i in ids)


def test_a_list_from_standard_input_and_from_a_search(datil):
    ids = [crash_id(50000 + i) for i in range(5)]
    for crash in ids:
        put_raw(datil, crash, ReleaseChannel="listchannel")
    said = datil.datil("reprocess", stdin="".join(i + "\n" for i in ids)).stdout
    assert said.startswith("5 crashes queued")
    wait_until(lambda: datil.search(release_channel="listchannel")["total"] == 5, 60, "processing")
    day = f"{NOW:%Y-%m-%d}"
    found = datil.datil("fetch_crashids", "--url", "https://example.org/search/?release_channel=listchannel").stdout
    assert sorted(found.split()) == sorted(ids)
    found = datil.datil("fetch_crashids", "--product", "Crashme", "--date", day, "--num", "3").stdout.split()
    assert len(found) == 3
    found = datil.datil("fetch_crashids", "--product", "all", "--date", day, "--num", "all").stdout.split()
    assert set(ids) <= set(found)
    assert datil.datil("fetch_crashids", "--product", "Nobody's & own", "--date", day).stdout == ""


class Server:
    """Answers one status after another, and notes what it was asked."""

    def __init__(self, statuses):
        outer = self
        self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.asked.append((self.path, self.headers["Auth-Token"], urllib.parse.parse_qs(body)["crash_ids"]))
                status = statuses.pop(0)
                text = b"true" if status == 200 else json.dumps({"error": f"said {status}"}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_another_installation(datil, tmp_path):
    """By its API, as this one's is: in groups, with a token from the environment, which no one prints."""
    datil.add_user("remote@example.org", "correct horse battery staple", "--group", "Hackers")
    token = datil.token("remote@example.org", "reprocess_crashes")
    ids = [crash_id(50020 + i) for i in range(3)]
    for crash in ids:
        put_raw(datil, crash)
    env = datil.env | {"DATIL_VAR": str(tmp_path / "none"), "AUTH_TOKEN": token}

    def run(*args, stdin="", **more):
        return subprocess.run([str(BIN / "datil"), "reprocess", *args], env=env | more, input=stdin, text=True, capture_output=True,
                              timeout=60)

    server = Server([503, 200])
    patient = subprocess.Popen([str(BIN / "datil"), "reprocess", "--host", server.url + "/", "--ruleset", "regenerate_signature", ids[0]],
                               env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    done = run("--host", datil.base, "--group", "2", "--sleep", "0", stdin="\n".join(ids))
    assert (done.returncode, done.stdout) == (0, "3 crashes queued for processing\n"), done.stderr
    wait_until(lambda: processed_all(datil, ids), 30, "the crashes of another")
    refused = run("--host", datil.base, ids[0], AUTH_TOKEN="0" * 32)
    assert refused.returncode == 1 and "the server answers 403: API Token not matched" in refused.stderr
    strict = Server([400])
    done = run("--host", strict.url, *ids)
    assert done.returncode == 1 and "said 400" in done.stderr and "0 crashes queued" in done.stdout
    strict.server.shutdown()
    for wrong in (["--search", "product=X"], ["--preview", ids[0]]):
        assert "--host takes ids" in run("--host", datil.base, *wrong).stderr
    assert "in AUTH_TOKEN" in subprocess.run([str(BIN / "datil"), "reprocess", "--host", datil.base, ids[0]], env=datil.env,
                                             text=True, capture_output=True).stderr
    _, said = patient.communicate(timeout=60)
    assert patient.returncode == 0 and "said 503; again in 10 s" in said and token not in said
    assert server.asked == [("/api/Reprocessing/", token, [f"{ids[0]}:regenerate_signature"])] * 2
    server.server.shutdown()


def test_wrong_lines_change_nothing(datil, tmp_path):
    ids = [crash_id(50100)]
    put_raw(datil, ids[0])
    path = listed(tmp_path, [*ids, "nonsense"])
    for command in (["reprocess", "--file"], ["permadelete"]):
        done = datil.datil(*command, str(path), check=False)
        assert done.returncode == 1 and "line 4: 'nonsense' is not a crash id" in done.stderr, done.stderr
    assert not datil.processed(ids[0])
    for wrong in (["--ruleset", "other", ids[0]], ["--search", "product=X", "--note", str(tmp_path / "n")]):
        assert datil.datil("reprocess", *wrong, check=False).returncode != 0
    datil.datil("crash", "delete", ids[0])


def test_a_killed_run_goes_on_where_it_was(datil, tmp_path):
    ids = [crash_id(50200 + i) for i in range(6)]
    for crash in ids:
        put_raw(datil, crash)
    path, note = listed(tmp_path, ids), tmp_path / "note"
    tmp_path.chmod(0o777)  # root gives itself up
    command = [str(BIN / "datil"), "reprocess", "--file", str(path), "--note", str(note), "--group", "2"]
    first = subprocess.Popen([*command, "--sleep", "3600"], env=datil.env, stdout=subprocess.PIPE)
    wait_until(note.exists, 20, "the first group")
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert note.read_text() == f"2 {ids[1]}\n"
    wait_until(lambda: processed_all(datil, ids[:2]), 30, "the first group's crashes")
    other = datil.datil("reprocess", "--file", "-", "--note", str(note), stdin="\n".join(ids[2:]), check=False)
    assert other.returncode == 1 and "no note of this list" in other.stderr
    said = datil.datil(*command[1:]).stdout
    assert "2 of 6 were done by an earlier run" in said and "4 crashes queued" in said
    assert not note.exists()
    wait_until(lambda: processed_all(datil, ids), 30, "the others")


def test_a_preview_says_what_would_change(datil):
    docs = [document(50300 + i, release_channel="preview", signature="old::name") for i in range(3)]
    load(datil, *docs)
    ids = "".join(d["uuid"] + "\n" for d in docs)
    said = datil.datil("reprocess", "--file", "-", "--ruleset", "regenerate_signature", "--preview", stdin=ids).stdout
    assert "this would change the signature of 3 of 3 sampled crashes:" in said
    assert "3  old::name -> EMPTY: no frame data available" in said
    assert json.loads(datil.datil("crash", "show", docs[0]["uuid"]).stdout)["signature"] == "old::name"


def test_what_a_change_of_lists_affects(datil):
    """Signatures that the lists as they are would not give any more, with all of their crashes."""
    docs = [document(50600 + i, signature="affected::old") for i in range(7)] + [document(50610, signature="EMPTY: no frame data available")]
    load(datil, *docs)
    for d in docs:
        put_raw(datil, d["uuid"])
    said = datil.datil("reprocess", "--affected", "--preview").stdout
    assert "7 crashes  affected::old -> EMPTY: no frame data available" in said
    assert "to queue them: datil reprocess --affected" in said and docs[7]["uuid"] not in said
    assert datil.search(signature="=affected::old")["total"] == 7
    assert "EMPTY: no frame data available ->" not in said
    said = datil.datil("reprocess", "--affected", "--sleep", "0").stdout
    assert "crashes queued for processing" in said
    wait_until(lambda: datil.search(signature="=affected::old")["total"] == 0, 60, "the new signatures")
    assert datil.datil("reprocess", "--affected", "--file", "-", check=False).returncode == 1


def test_permadelete_says_what_there_was(datil):
    docs = [document(50400 + i) for i in range(2)]
    load(datil, *docs)
    ids = [d["uuid"] for d in docs] + [crash_id(50499)]
    said = datil.datil("permadelete", "-", stdin="\n".join(ids)).stdout
    assert f"{ids[0]}: 2 objects, ledger, index deleted" in said
    assert f"{ids[2]}: 0 objects; there was nothing to delete" in said
    assert "3 crashes listed: 2 deleted, 1 were nowhere, 0 are still there" in said
    assert datil.search(uuid=ids[0])["total"] == 0
