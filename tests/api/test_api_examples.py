"""The examples of docs/api.md, as they stand there: each is run by a shell, and what comes back has the shape that is shown."""
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs/api.md").read_text()
ALL = re.findall(r"^### ([^\n]*)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
SECTIONS = [(title, text) for title, text in ALL if "```sh" in text]


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
    yield tmp_path_factory.mktemp("examples"), {
        "PATH": os.environ["PATH"], "DATIL": datil.base, "KEY": key, "ID": crash_id, "PRODUCT": "Crashme",
        "SIGNATURE": signature, "PERMISSION_ID": str(upload)}
    # Other tests share the installation.
    datil.sql("DELETE FROM bug_association WHERE bug_id = 7 AND signature = %s", signature)
    datil.sql("DELETE FROM product_version WHERE product_name = 'Firefox' AND version_string = '128.0b3'")


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
    assert len(SECTIONS) >= 24
    assert not [title for title, text in ALL if re.search(r" /api/.*/$", title) and "```sh" not in text]


@pytest.mark.parametrize("name, text", SECTIONS, ids=[name for name, _ in SECTIONS])
def test_example(shell, name, text):
    folder, env = shell
    command = re.search(r"^```sh\n(.*?)^```", text, re.M | re.S)[1]
    shown = re.search(r"^```json\n(.*?)^```", text, re.M | re.S)
    done = subprocess.run(["bash", "-euc", command.replace("curl ", "curl --fail ", 1)], cwd=folder, env=env,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    if shown:
        same_shape(json.loads(shown[1]), json.loads(done.stdout), name)
    else:
        assert (folder / "crash.dmp").read_bytes()[:4] == b"MDMP"
