"""Reports of products that nobody has configured: refused, counted, shown with what accepts them."""
import html

import pytest

from harness import Installation, wait_until
from test_web_pages import PASSWORD, Browser

EVIL = "x'; touch /tmp/datil-owned; echo '<b>"


@pytest.fixture(scope="module")
def refusing():
    with Installation() as it:
        for name, times in (("Frobnicator", 3), (EVIL, 1), ("\x1b[2Jcls", 1), ("y" * 5000, 1)):
            for _ in range(times):
                assert it.submit({"ProductName": name}).text == "Discarded=rule_unsupported_product"
        wait_until(lambda: count(it, "Frobnicator") == 3, what="the counts in the database")
        yield it


def count(datil, name):
    rows = datil.sql("SELECT count FROM rejected_product WHERE product = %s", name)
    return rows[0][0] if rows else 0


def refused(datil):
    return datil.datil("product", "list").stdout.partition("Refused (not configured)")[2]


def test_names_are_clean_and_short(refusing):
    names = {row[0] for row in refusing.sql("SELECT product FROM rejected_product")}
    assert names == {"Frobnicator", EVIL, "\ufffd[2Jcls", "y" * 100 + "\ufffd"}


def test_list_shows_the_commands(refusing):
    said = refused(refusing)
    first = said.splitlines()[1]
    assert first.split()[0] == "3" and first.endswith("  datil product add Frobnicator")
    assert """datil product add 'x'\\''; touch /tmp/datil-owned; echo '\\''<b>'""" in said
    assert "add y" not in said and "\x1b" not in said, "only what can be a name gets a command"


def test_doctor_and_home_page_tell(refusing):
    told = refusing.datil("doctor", check=False).stdout
    assert "note     products: reports of 4 that are not configured" in told
    refusing.add_user("root@example.org", PASSWORD, "--superuser")
    root = Browser(refusing)
    root.login("root@example.org", PASSWORD)
    page = root.send("GET", "/").text
    assert "<code>datil product add Frobnicator</code>" in page
    assert "<b>" not in page.split("Frobnicator")[1][:600] and "touch /tmp/datil-owned" in html.unescape(page)
    assert "Frobnicator" not in refusing.get("/").text, "strangers' words are for superusers alone"


def test_an_added_product_is_no_longer_listed(refusing):
    refusing.datil("product", "add", "Frobnicator")
    assert "Frobnicator" not in refused(refusing)
    wait_until(lambda: refusing.submit({"ProductName": "Frobnicator"}).text.startswith("CrashID="),
               what="reports of the new product")


def test_the_table_is_bounded(refusing):
    """Fails when more than the thousand names stay that are kept, or the newest is not among the counted."""
    refusing.sql("INSERT INTO rejected_product (product, count, last_seen) "
                 "SELECT 'old ' || n, 5, now() - interval '1 day' FROM generate_series(1, 1500) AS n")
    refusing.submit({"ProductName": "Newcomer"})
    wait_until(lambda: count(refusing, "Newcomer") == 1, what="the count")
    wait_until(lambda: refusing.sql("SELECT count(*) FROM rejected_product")[0][0] == 1000, what="the bound")


def test_without_the_table_reports_go_on(refusing):
    """As with a database that is away: a refusal is a refusal, an accepted report is processed."""
    refusing.sql("ALTER TABLE rejected_product RENAME TO elsewhere")
    try:
        assert refusing.submit({"ProductName": "Nobody"}).text == "Discarded=rule_unsupported_product"
        wait_until(lambda: any(line.get("event") == "refused_not_counted"
                               for line in refusing.log_lines("datil-collector")), what="the warning")
        refusing.wait_processed(refusing.post())
    finally:
        refusing.sql("ALTER TABLE elsewhere RENAME TO rejected_product")
