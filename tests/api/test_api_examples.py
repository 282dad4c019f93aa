"""The examples of docs/api.md, as they stand there: each is run by a shell, and what comes back has the shape that is shown."""
import hashlib
import io
import json
import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from harness import multipart, wait_until
from pings import native

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs/api.md").read_text()
ALL = re.findall(r"^### ([^\n]*)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
SECTIONS = [(title, text) for title, text in ALL if "```sh" in text]

DEBUG_ID, NEXT_DEBUG_ID = f"0010A3E7{0:025}", f"0020A3E7{0:025}"


def symbols(debug_id):
    return f"MODULE Linux x86_64 {debug_id} libexample.so\nFUNC 1000 10 0 f\n".encode()


def archive(debug_id):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(f"libexample.so/{debug_id}/libexample.so.sym", symbols(debug_id))
        z.writestr(f"libexample.so/{debug_id}/libexample.so", b"\x7fELF program")
    return out.getvalue()


def upload_all(datil, key, folder):
    """What the examples of the symbol server have at hand: files, an upload with its files, and an address to send to."""
    auth = {"Auth-Token": key}
    (folder / "symbols.zip").write_bytes(archive(DEBUG_ID))
    (folder / "libexample.so.sym").write_bytes(symbols(NEXT_DEBUG_ID))
    kind, body = multipart({}, {"symbols.zip": archive(DEBUG_ID)})
    answers = []

    def is_taken():  # nginx lets one address send two archives a second
        answers.append(datil.request("POST", "/upload/", body, {"Content-Type": kind, **auth}))
        return answers[-1].status != 429
    wait_until(is_taken, 60, "a place among the uploads")
    upload = answers[-1].json["upload"]["id"]
    files = datil.get(f"/symbols/api/uploads/upload/{upload}", headers=auth).json["upload"]["file_uploads"]
    text = symbols(NEXT_DEBUG_ID)
    announced = {"files": [{"key": f"libexample.so/{NEXT_DEBUG_ID}/libexample.so.sym", "size": len(text),
                            "md5_hash": hashlib.md5(text).hexdigest()}]}
    answer = datil.request("POST", "/upload/v2/", json.dumps(announced), auth).json
    return {"UPLOAD": str(upload), "FILE": str(files[0]["id"]), "ADDRESS": answer["files"][0]["action"]["url"],
            "LOCAL": str(datil.var / "run/nginx/local.sock")}


@pytest.fixture(scope="module")
def shell(datil, minidump, tmp_path_factory):
    """A folder and the variables of the examples."""
    crash_id = datil.post({"Version": "4.0"}, minidump)
    signature = datil.wait_processed(crash_id)["signature"]
    datil.sql("INSERT INTO bug_association (bug_id, signature) VALUES (7, %s) ON CONFLICT DO NOTHING", signature)
    datil.sql("INSERT INTO product_version (product_name, release_channel, major_version, release_version, "
              "version_string, build_id, archive_url) VALUES ('Firefox', 'beta', 128, '128.0', '128.0b3', "
              "'20260401000000', '') ON CONFLICT DO NOTHING")
    datil.add_user("examples@example.org", "correct horse battery staple", "--group", "Hackers",
                   "--group", "Uploaders", "--group", "Upload Auditors")
    key = datil.token("examples@example.org", "view_pii", "view_rawdump", "reprocess_crashes", "upload_symbols",
                      "view_all_uploads", "manage_tokens")
    offered = datil.get("/symbols/api/tokens/", headers={"Auth-Token": key}).json["permissions"]
    upload = next(p["id"] for p in offered if p["name"] == "Upload Symbols Files")
    datil.token("examples@example.org", "upload_symbols")  # the newest stands first
    tokens = datil.get("/symbols/api/tokens/", headers={"Auth-Token": key}).json["tokens"]
    folder = tmp_path_factory.mktemp("examples")
    ping = native(oom_size=None)
    datil.datil("ping", "load", stdin=json.dumps(ping))
    yield folder, {
        "PATH": os.environ["PATH"], "DATIL": datil.base, "KEY": key, "ID": crash_id, "PING": ping["document_id"], "PRODUCT": "Crashme",
        "SIGNATURE": signature, "PERMISSION_ID": str(upload), "TOKEN": str(tokens[0]["id"]),
        **upload_all(datil, key, folder)}
    # Other tests share the installation.
    datil.sql("DELETE FROM bug_association WHERE bug_id = 7 AND signature = %s", signature)
    datil.sql("DELETE FROM product_version WHERE version_string IN ('128.0b3', '4.1b3')")


def same_shape(shown, got, where=""):
    """What is shown is there and of the same type; null stands for any value, an empty list or object for any of its kind."""
    if shown is None:
        return
    assert type(shown) is type(got), f"{where}: {got!r}"
    if isinstance(shown, dict):
        for key, value in shown.items():
            assert key in got, f"{where}: no {key} in {got}"
            same_shape(value, got[key], f"{where}.{key}")
    elif isinstance(shown, list) and shown:
        assert got, f"{where} is empty"
        same_shape(shown[0], got[0], f"{where}[0]")


def test_every_endpoint_has_an_example():
    """What has none is a page or only refuses; tools/gen/api-page, which says so, does not write the page otherwise."""
    assert len(SECTIONS) >= 45
    assert not [title for title, text in ALL if "```sh" not in text and "\nA page.\n" not in text and
                not text.strip().startswith("404")]


@pytest.mark.parametrize("name, text", SECTIONS, ids=[name for name, _ in SECTIONS])
def test_example(shell, name, text):
    folder, env = shell
    command = re.search(r"^```sh\n(.*?)^```", text, re.M | re.S)[1]
    shown = re.search(r"^```json\n(.*?)^```", text, re.M | re.S)
    as_text = re.search(r"^```text\n(.*?)^```", text, re.M | re.S)
    if "%{http_code}" not in command:  # a retry: nginx lets one address send two archives a second
        command = command.replace("curl ", "curl --fail --retry 5 ", 1)
    done = subprocess.run(["bash", "-euc", command], cwd=folder, env=env,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    if shown:
        same_shape(json.loads(shown[1]), json.loads(done.stdout), name)
    elif as_text:
        assert re.sub(r" \d+$", " 0", done.stdout.strip()) == as_text[1].strip()
    else:
        assert (folder / "crash.dmp").read_bytes()[:4] == b"MDMP"
