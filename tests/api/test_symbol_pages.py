"""The pages of the symbol server: at the root of a host of its own and below /symbols, log-in, roles."""
import re
import sys
import urllib.parse
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import Installation  # noqa: E402

PASSWORD = "a long password"
HOST = {"Host": "symbols.example.org"}


@pytest.fixture(scope="module")
def datil():
    with Installation() as d:
        for name, group in [("uploader", "Uploaders"), ("other", "Uploaders"), ("auditor", "Upload Auditors"),
                            ("reader", "Hackers")]:
            d.add_user(f"{name}@example.org", PASSWORD, "--group", group)
        d.add_user("root@example.org", PASSWORD, "--superuser")
        yield d


def csrf(page):
    return re.search(r'name="csrf_token" value="(\w+)"', page.text)[1]


def cookies(answer):
    last = dict(c.split(";")[0].split("=", 1) for c in answer.headers.get_all("Set-Cookie") or [])
    return "; ".join(f"{name}={value}" for name, value in last.items())


def form(datil, path, fields, headers):
    return datil.request("POST", path, urllib.parse.urlencode(fields, doseq=True),
                         {"Content-Type": "application/x-www-form-urlencoded", **headers})


def log_in(datil, email, host=None, prefix=""):
    """Headers of a session."""
    page = datil.get(prefix + "/login/", headers=host)
    visitor = cookies(page)
    answer = form(datil, prefix + "/login/", {"email": email, "password": PASSWORD, "csrf_token": csrf(page),
                                              "next": prefix + "/"}, {**(host or {}), "Cookie": visitor})
    assert answer.status == 303 and answer.headers["Location"] == prefix + "/", answer
    return {**(host or {}), "Cookie": cookies(answer)}


WHERE = [("", HOST), ("/symbols", {})]


@pytest.mark.parametrize("prefix,host", WHERE)
def test_log_in_and_out(datil, prefix, host):
    page = datil.get(prefix + "/", headers=host)
    assert page.status == 200 and f'href="{prefix}/login/?next={urllib.parse.quote(prefix + "/", safe="")}"' in page.text
    assert "Uploads" not in re.findall(r"<nav.*?</nav>", page.text, re.S)[0]
    session = log_in(datil, "uploader@example.org", host, prefix)
    page = datil.get(prefix + "/", headers=session)
    nav = re.findall(r"<nav.*?</nav>", page.text, re.S)[0]
    for path in ("/", "/tokens", "/uploads", "/missing", "/help"):
        assert f'href="{prefix}{path}"' in nav
    assert "/users" not in nav and "uploader@example.org" in page.text
    out = form(datil, prefix + "/logout/", {"csrf_token": csrf(page)}, session)
    assert out.status == 303 and out.headers["Location"] == prefix + "/"
    assert "uploader@example.org" not in datil.get(prefix + "/", headers=session).text


def test_the_session_is_that_of_crash_stats(datil):
    session = log_in(datil, "uploader@example.org")
    page = datil.get("/symbols/", headers=session)
    assert "uploader@example.org" in page.text and "Your uploads" in page.text
    assert 'href="/symbols/"' in datil.get("/", headers=session).text
    assert 'href="/symbols/"' not in datil.get("/", headers=log_in(datil, "reader@example.org")).text


def test_static_files_of_the_host(datil):
    page = datil.get("/", headers=HOST)
    for path in set(re.findall(r'(?:href|src)="(/static/[^"#]+)', page.text)):
        assert datil.get(path, headers=HOST).status == 200, path
