"""The pages in a real browser: console, accessibility, keyboard, dark mode, log-in."""
import base64
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from harness import multipart  # noqa: E402

PASSWORD = "correct horse battery staple"


def archive_of_symbols():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name in ("xul", "libmozglue-with-a-long-name-of-a-library-as-they-are"):
            debug_id = "44E4EC8C2F41492B9369D6B9A059577C2"
            z.writestr(f"{name}.pdb/{debug_id}/{name}.sym", f"MODULE windows x86_64 {debug_id} {name}.pdb\n")
        z.writestr("some-symbols.txt", "x")
    return out.getvalue()


def upload_symbols(datil):
    """One upload, so that the pages of symbols have something to show."""
    kind, body = multipart({}, {"symbols.zip": archive_of_symbols()})
    token = datil.token("admin@example.org", "upload_symbols")
    answer = datil.request("POST", "/upload/", body, {"Content-Type": kind, "Auth-Token": token})
    assert answer.status == 201, answer


@pytest.fixture(scope="module")
def seen(datil, minidump):
    crash_id = datil.post({"Comments": "typed by a person " * 40, "URL": "http://private.example/page"}, minidump)
    doc = datil.wait_processed(crash_id)
    datil.post({"Version": "2.0"})
    datil.add_user("admin@example.org", PASSWORD, "--superuser")
    upload_symbols(datil)
    datil.add_user("reader@example.org", PASSWORD, "--group", "Hackers")
    facts = {"crash_id": crash_id, "signature": doc["signature"], "email": "reader@example.org", "password": PASSWORD,
             "admin": "admin@example.org", "archive": base64.b64encode(archive_of_symbols()).decode()}
    shots = os.environ.get("SCREENSHOTS", "")
    if shots:
        Path(shots).mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["node", str(HERE / "visit.js"), datil.base, json.dumps(facts), shots],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + datil.logs()
    result = json.loads(done.stdout)
    result["facts"], result["host"] = facts, f"127.0.0.1:{datil.port}"
    return result


def test_pages_answer_without_console_errors(seen):
    bad = {k: v for k, v in seen["pages"].items() if not k.startswith("nothing") and (v["status"] != 200 or v["problems"])}
    assert not bad


def test_no_accessibility_violations(seen):
    bad = {k: v["violations"] for k, v in seen["pages"].items() if v["violations"]}
    assert not bad, json.dumps(bad, indent=1)


def test_columns_are_sorted_by_their_values(seen):
    for name, page in {**seen["pages"], **seen["symbols"]}.items():
        assert page["unsortable"] == [], name


def test_nothing_sticks_out_of_a_narrow_window(seen):
    bad = {k: v["overflow"] for k, v in seen["pages"].items() if v["overflow"] > 0}
    assert not bad


def test_error_page_of_nginx_looks_like_the_others(seen):
    page = seen["pages"]["nothing light 1300"]
    assert page["status"] == 404 and page["problems"] == [
        "Failed to load resource: the server responded with a status of 404 (Not Found)"]


def test_a_long_comment_does_not_widen_the_report(seen):
    assert seen["login"]["overflow"] <= 0


def test_no_other_hosts(seen):
    assert seen["hosts"] == [seen["host"]]


def test_keyboard(seen):
    assert "skip" in seen["keyboard"]["first"].lower()
    assert seen["keyboard"]["url"].endswith("/report/index/" + seen["facts"]["crash_id"])


def test_stack_and_modules_of_a_report(seen):
    report = seen["report"]
    lines = report["markdown"].splitlines()
    assert lines[0] == "| | Module | Function | Source |" and lines[2].startswith("| 0 | `libc.so.6` |"), lines
    assert report["modules"] and all("libc" in row.lower() for row in report["modules"])
    assert report["frame"]


def test_without_scripts(seen):
    assert seen["facts"]["crash_id"] in seen["noscript"]["search"]
    assert seen["facts"]["signature"] in seen["noscript"]["report"]


def test_log_in_and_out(seen):
    login, facts = seen["login"], seen["facts"]
    assert "password" in login["wrong"].lower()
    assert facts["email"] in login["right"] + login["profile"]
    assert "/login/" in login["out"]
    assert not [p for p in login["problems"] if "400" not in p and "403" not in p]


def test_symbol_pages(seen):
    """As all pages: good status, no console errors, nobody shut out, nothing that sticks out."""
    assert len(seen["symbols"]) == 3 * 18
    bad = {k: v for k, v in seen["symbols"].items()
           if v["status"] != 200 or v["problems"] or v["violations"] or v["overflow"] > 0}
    assert not bad, json.dumps(bad, indent=1)


def test_an_archive_is_uploaded_without_scripts(seen):
    refused, stored = seen["upload"]["refused"], seen["upload"]["stored"]
    assert refused["path"] == "/symbols/uploads/upload" and "File is not a zip file" in refused["text"]
    assert re.fullmatch(r"/symbols/uploads/upload/\d+", stored["path"])
    assert "by-hand.zip" in stored["text"] and "xul.sym" in stored["text"]


def test_protected_rows_only_after_log_in(seen):
    assert "typed by a person" not in seen["noscript"]["report"]
    assert "http://private.example/page" not in seen["noscript"]["report"]
    assert "typed by a person" in seen["login"]["report"]
