"""What somebody who hunts a crash clicks on: links and headings lead where they say."""
import json
import re
from datetime import datetime, timedelta, timezone

import pytest

from test_web_runner import Browser

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def hunted(datil):
    """Sixty reports of a product of their own: more than one page of them."""
    datil.datil("product", "add", "Hunted")
    ids = [datil.post({"ProductName": "Hunted", "Version": f"{n % 3 + 1}.0", "InstallTime": str(1767225600 + n)})
           for n in range(60)]
    for crash_id in ids:
        datil.wait_processed(crash_id)
    return ids


def page(datil, path, params=None, headers=None):
    answer = datil.get(path, params, headers)
    assert answer.status == 200, answer
    return answer.text


def test_crash_ids_in_upper_case(datil, hunted):
    crash_id = hunted[0]
    for path in (f"/report/index/{crash_id.upper()}", f"/report/index/BP-{crash_id.upper()}",
                 f"/search/quick/?query={crash_id.upper()}", f"/search/quick/?query=bp-{crash_id.upper()}"):
        answer = datil.get(path)
        assert (answer.status, answer.headers["Location"][-51:]) == (302, f"/report/index/{crash_id}"), path
    assert datil.get("/api/RawCrash/", {"crash_id": crash_id.upper()}).status == 400


def test_top_crashers_of_a_platform(datil):
    """By its first word: crashes of Windows say "Windows NT"."""
    datil.datil("product", "add", "Panes")
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    systems = ["Windows NT"] * 3 + ["Mac OS X"] * 2 + ["Linux"]
    docs = [{"uuid": f"9a9e0000-0000-4000-8000-{n:06x}{yesterday:%y%m%d}", "date_processed": yesterday.isoformat(),
             "product": "Panes", "version": "1.0", "signature": "panes", "os_name": system, "process_type": "parent"}
            for n, system in enumerate(systems)]
    datil.datil("crash", "load", "-", stdin="".join(json.dumps(d) + "\n" for d in docs))
    for name, count in (("Windows", 3), ("Mac OS X", 2), ("Linux", 1), ("Android", 0)):
        top = datil.get("/topcrashers/", {"product": "Panes", "version": "1.0", "platform": name, "_format": "json",
                                           "process_type": "any", "_report_type": "any"}).json
        assert (name, top["total"]) == (name, count)
        assert [list(row["platforms"].values()) for row in top["signatures"]] == [[count]] * (count > 0)


def test_two_versions_are_both_named(datil, hunted):
    text = page(datil, "/topcrashers/?product=Hunted&version=2.0&version=1.0")
    assert '<p class="lead">2.0, 1.0</p>' in text
    assert "product=Hunted&amp;version=2.0&amp;version=1.0" in text  # the menu stays with both
    many = page(datil, "/topcrashers/?product=Hunted" + "".join(f"&version={n}.0" for n in range(1, 6)))
    assert '<p class="lead">1.0, 2.0, 3.0 and 2 more</p>' in many
    assert '<p class="lead">All versions</p>' in page(datil, "/topcrashers/?product=Hunted&version=")


def test_pages_and_headings_of_a_signature_stay_on_their_tab(datil, hunted):
    signature = datil.processed(hunted[0])["signature"]
    text = page(datil, "/signature/", {"signature": signature, "product": "Hunted"})
    next_url = re.search(r'rel="next" href="([^"]*)"', text)[1]
    assert "page=2" in next_url and next_url.endswith("#tab-reports")
    assert 'action="/signature/#tab-aggregations"' in text
    heads = dict(re.findall(r'<a class="sort-button" href="([^"]*)">([^<]*)', text))
    by_name = {name: url.replace("&amp;", "&") for url, name in heads.items()}
    assert by_name["version"].endswith("_sort=version#tab-reports")
    assert by_name["date"].endswith("_sort=-date#tab-reports")
    down = page(datil, by_name["install_time"].split("#")[0])
    assert re.search(r'<th scope="col"[^>]* aria-sort="descending"><a [^>]*href="[^"]*_sort=install_time#', down)
    rows = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", down[down.index("<tbody>", down.index("tab-reports")):])
    assert "2026-01-01 00:00:59" in rows[:2]


def test_headings_of_a_whole_table_are_sorted_by_the_browser(datil, hunted):
    text = page(datil, "/search/", {"product": "Hunted", "uuid": hunted[3], "_columns": "version"})
    assert "sort-button" not in text and 'aria-label="Crash reports"><table class="data" data-sortable>' in text
    many = page(datil, "/search/", {"product": "Hunted", "_sort": "version"})
    assert 'aria-label="Crash reports"><table class="data">' in many and 'aria-sort="ascending"' in many


def test_default_columns_come_back(datil, hunted):
    text = page(datil, "/search/", {"product": "Hunted", "_columns": "url", "_facets": "email"})
    assert "Ignored without permission" in text
    heads = re.findall(r'<a class="sort-button"[^>]*>([^<]*)', text)
    assert heads == ["date", "signature", "product", "version", "build_id", "platform"]
    assert 'href="#tab-facet-signature"' in text or ">Signature" in text or "signature</a>" in text


def test_partial_days_are_marked(datil, hunted):
    home, product = page(datil, "/"), page(datil, "/home/product/Hunted")
    assert re.search(r"Reports of Hunted per day, last 7 days \(partial: \d{4}-\d\d-\d\d, \d{4}-\d\d-\d\d\)", home)
    assert re.search(r"<title>Reports of Hunted per day \(partial: ", product)
    signature = datil.processed(hunted[0])["signature"]
    report = page(datil, "/signature/", {"signature": signature, "product": "Hunted"})
    assert re.search(r"<title>Crashes per day \(partial: ", report) and ">partial</text>" in report


def test_a_week_is_the_same_on_all_pages(datil, hunted):
    card = re.search(r'Hunted</a></h2>.*?<div class="count">([^<]*)<small>([^<]*)', page(datil, "/"), re.S)
    assert card.groups() == ("60", "reports in 7 days")
    top = datil.get("/topcrashers/", {"product": "Hunted", "version": "", "_format": "json"}).json
    assert top["total"] == 60
    assert datil.search(product="Hunted")["total"] == 60


def test_reprocess_says_what_it_did(datil, hunted):
    datil.add_user("hunter@example.org", PASSWORD, "--superuser")
    browser = Browser(datil)
    browser.log_in("hunter@example.org", PASSWORD)
    path = f"/report/index/{hunted[0]}"
    done = browser.request("POST", "/report/reprocess/", {"crash_id": hunted[0], "csrf_token": browser.csrf(path)})
    assert (done.status, done.headers["Location"]) == (303, path + "?queued=1"), done
    assert "Queued to be processed again" in browser.request("GET", path + "?queued=1").text
    assert "Queued to be processed again" not in browser.request("GET", path).text


def test_a_mistaken_colleague_locks_nobody_out(datil):
    """The limit is for one account from one address."""
    datil.add_user("typing@example.org", PASSWORD)
    datil.add_user("colleague@example.org", PASSWORD)
    office, elsewhere = datil.new_client(), datil.new_client()
    states = [Browser(office).log_in("typing@example.org", "wrong").status for _ in range(12)]
    assert states[0] == 400 and states[-1] == 429
    assert Browser(office).log_in("typing@example.org", PASSWORD).status == 429
    assert Browser(office).log_in("colleague@example.org", PASSWORD).status == 303
    assert Browser(elsewhere).log_in("typing@example.org", PASSWORD).status == 303


def loaded(datil, number, **facts):
    """A processed crash with these members, as it is: what the page makes of it is what is tested."""
    day = datetime.now(timezone.utc)
    crash_id = f"f1de0000-0000-4000-8000-{number:06x}{day:%y%m%d}"
    doc = {"uuid": crash_id, "date_processed": day.isoformat(), "product": "Panes", "version": "1.0",
           "signature": "found", "os_name": "Linux", "cpu_arch": "amd64", **facts}
    datil.datil("crash", "load", "-", stdin=json.dumps(doc) + "\n")
    return datil.get(f"/report/index/{crash_id}").text


def access(address, reason="SIGSEGV / SEGV_MAPERR", **more):
    return {"reason": reason, "crashing_thread": 0, **more, "json_dump": {
        "crash_info": {"address": address, "memory_accesses": [{"address": address, "size": 8}]},
        "modules": [{"filename": "app"}],
        "threads": [{"frames": [{"frame": 0, "module": "app", "function": "f", "trust": "context"}]}]}}


FINDINGS = [
    (access("0x0000000000000018"), ["Null pointer, at offset 0x18"]),
    (access("0x0000000000000000", "EXCEPTION_ACCESS_VIOLATION_READ"), ["Null pointer"]),
    (access("0x0000000000010000"), []),
    (access("0x0000000000000018", "EXCEPTION_BREAKPOINT"), ["The program stopped itself"]),
    (access("0xe5e5e5e5e5e5e5f5"), ["Memory that was freed"]),
    (access("0xe5e5e5f5"), ["Memory that was freed"]),
    (access("0xe5e5000000000010"), ["A pointer that is none"]),
    (access("0xfffff80000000010"), []),  # the kernel's half exists
    (access("0x00007f0000000010", possible_bit_flips_max_confidence=66), ["Probably a flipped bit"]),
    (access("0x00007f0000000010", possible_bit_flips_max_confidence=25), []),
    ({"oom_allocation_size": 4096}, ["Out of memory"]),
    ({"signature": "OOM | small"}, ["Out of memory"]),
    ({"signature": "shutdownhang | f"}, ["Hang while ending"]),
    ({"reason": "SIGILL / ILL_ILLOPN"}, ["An instruction that the processor does not have"]),
    ({"reason": "SIGFPE / FPE_INTDIV"}, ["Division by zero"]),
    ({"startup_crash": True}, ["Crashed while starting"]),
    ({"uptime": 3}, ["Crashed while starting"]),
    ({"uptime": 0}, []),  # unknown
    ({"reason": "SIGABRT", "abort_message": "<b>no"}, ["The program stopped itself"]),
    ({"system_memory_use_percentage": 97}, ["The machine was nearly out of memory"]),
    ({"reason": 7, "json_dump": {"crash_info": [], "threads": {}}, "uptime": "x"}, []),
]


def test_findings_in_words(datil):
    for number, (facts, expected) in enumerate(FINDINGS):
        text = loaded(datil, number, **facts)
        found = re.findall(r"<li><strong>(.*?)\.</strong>", text)
        assert found == expected, (facts, found)
        assert ("<h2>Findings</h2>" in text) == bool(expected) and "<b>no" not in text


def frames(*functions, trust="cfi"):
    return {"frames": [{"frame": n, "module": "app", "function": f, "module_offset": f"0x{n}", "trust": trust}
                       for n, f in enumerate(functions)]}


def test_threads_with_one_stack_are_shown_once(datil):
    threads = [frames("main"), *[frames("wait", "run", trust="scan")] * 40, {**frames("<draw>"), "thread_name": "GPU"},
               {"frames": []}, {"frames": "none"}, {}]
    text = loaded(datil, 900, crashing_thread=0, reason="SIGSEGV", json_dump={"threads": threads})
    heads = [re.sub(r"\s+", " ", re.sub("<[^>]*>", "", head)) for head in re.findall(r"<summary><strong>.*?</summary>", text)]
    numbers = ", ".join(str(n) for n in range(1, 21))
    assert heads == [f"40 threads wait {numbers} …", "Thread 41 GPU &lt;draw&gt;", "3 threads no frames 42, 43, 44"]
    assert 'id="thread-1-0" class="scan"' in text and '<a href="#thread-1-1">1</a>' in text
    assert 'id="thread-0-0" class="top-frame"' in text and text.count('class="scan"') == 2


def test_endless_recursion(datil):
    deep = {"threads": [frames("a", *["again"] * 300, "main")], "crash_info": {"address": "0x7fff00000000"}}
    text = loaded(datil, 901, crashing_thread=0, reason="SIGSEGV", json_dump=deep)
    assert "again is 300 times in the stack" in text and "Endless recursion" in text


def test_top_crashers_say_more_than_counts(datil):
    """Badges, columns without anything, other processes, a list that is frozen, and as CSV."""
    datil.datil("product", "add", "Ranked")
    now = datetime.now(timezone.utc)
    docs = []

    def add(count, days, **facts):
        for _ in range(count):
            n = len(docs)
            day = now - timedelta(days=days)
            docs.append({"uuid": f"ba49e000-0000-4000-8000-{n:06x}{day:%y%m%d}", "date_processed": day.isoformat(),
                         "product": "Ranked", "version": "1.0", "os_name": "Linux", "process_type": "parent",
                         "report_type": "crash", "install_time": n, **facts})
    add(12, 1, signature="rises | =up")
    add(3, 9, signature="rises | =up")
    add(4, 1, signature="one", install_time=5)
    add(4, 2, signature="=starts", startup_crash=True)
    add(12, 2, signature="=starts")
    add(5, 2, signature="other", process_type="content")
    datil.datil("crash", "load", "-", stdin="".join(json.dumps(d) + "\n" for d in docs))
    asked = {"product": "Ranked", "version": "1.0"}
    text = page(datil, "/topcrashers/", asked)
    badges = {re.sub("<[^>]*>", "", name): re.findall(r'<span class="tag">([^<]*)', rest) for name, rest in
              re.findall(r'<a href="/signature/[^"]*">(.*?)</a>(.*?)</td>', text)}
    assert badges == {"rises | =up": ["rising"], "one": ["single machine"], "=starts": ["start-up 25 %"]}
    assert "parent process only (32 of 37)" in text and "process only" not in page(datil, "/topcrashers/", {**asked, "process_type": "any"})
    assert ">Lin</th>" in text and ">Win</th>" not in text and "Is GC" not in text
    assert ">Win</th>" in page(datil, "/topcrashers/", {**asked, "platform": "Windows"}) or "No crashes found" in page(
        datil, "/topcrashers/", {**asked, "platform": "Windows"})
    frozen = f"{now - timedelta(days=9):%Y-%m-%d}"
    past = datil.get("/topcrashers/", {**asked, "_end": frozen, "_format": "json"}).json
    assert (past["total"], past["to"][:10]) == (3, f"{now - timedelta(days=8):%Y-%m-%d}")
    assert f'value="{frozen}"' in page(datil, "/topcrashers/", {**asked, "_end": frozen})
    assert datil.get("/topcrashers/", {**asked, "_end": "never"}).status == 400
    csv = datil.get("/topcrashers/", {**asked, "_format": "csv"})
    lines = csv.text.split("\r\n")
    assert csv.headers["Content-Type"] == "text/csv; charset=utf-8" and lines[0].startswith("rank,signature,count,percent")
    assert lines[1].startswith("1,'=starts,16,50.00,,0,16,4,0,") and lines[1].endswith(",16") and len(lines) == 5


def test_what_is_unknown_has_no_row(datil):
    text = loaded(datil, 902, cpu_count=0, thread_count=None, last_crash=None, cpu_info=None)
    assert not [label for label in ("CPU Count", "Thread Count", "Last Crash", "CPU Info", ">null<") if label in text]
    assert "CPU Count" in loaded(datil, 903, cpu_count=8)
