"""Metrics of a whole installation: every program is scraped, a real socket takes what goes to statsd, and every name is one of
the table."""
import os
import re
import socket
import threading

import pytest
from harness import ROOT, Installation, wait_until

PAGES = {"collector": "/collector/__metrics__", "webapp": "/__metrics__", "symbols": "/symbols/__metrics__", "pings": "/pings/__metrics__",
         "processor": "/processor/__metrics__", "cron": "/cron/__metrics__"}
SERIES = re.compile(r'(\w+?)(_bucket|_sum|_count)?(\{[^{}]*\})? (\S+)')
LINE = re.compile(r"([a-z0-9_.]+):([0-9.]+)\|(c|g|ms|h)(\|@[0-9.e-]+)?\|#(.*)")
KINDS = {"count": ("counter", "c"), "gauge": ("gauge", "g"), "timing": ("histogram", "ms"), "histogram": ("histogram", "h")}


def declared():
    """name -> (kind, labels, programs) of docs/metrics.md."""
    table, programs = {}, []
    for line in (ROOT / "docs/metrics.md").read_text().splitlines():
        if line.startswith("## Of "):
            programs = line[6:].split(", ")
        if found := re.match(r"\| `([\w.]+)` \| (\w+), \w+ \| (.*?) \|", line):
            table[found[1]] = found[2], {part.split(":")[0].strip(" `") for part in found[3].split(";") if part.strip()}, programs
    return table


TABLE = declared()
BY_PAGE = {name.replace(".", "_"): name for name in TABLE}


class Statsd:
    """What programs send, by name: [(value, kind, tags)]."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.events, self.bad, self.longest = {}, [], 0
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self):
        while True:
            data = self.socket.recv(65536)
            self.longest = max(self.longest, len(data))
            for line in data.decode().split("\n"):
                if not (found := LINE.fullmatch(line)):
                    self.bad.append(line)
                    continue
                tags = dict(tag.split(":", 1) for tag in found[5].split(","))
                self.events.setdefault(found[1], []).append((float(found[2]), found[3], tags))


@pytest.fixture(scope="module")
def statsd():
    return Statsd()


@pytest.fixture(scope="module")
def it(statsd):
    with Installation(STATSD_HOST="127.0.0.1", STATSD_PORT=str(statsd.port), HOSTNAME="test-host", CRON_INTERVAL_S="1") as running:
        yield running


def scrape(it, program):
    """(name, suffix, labels) -> value, with the kinds that TYPE says."""
    status, text = it.local(PAGES[program])
    assert status == 200, text
    series, types, block = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, block, types[block] = line.split(" ")
            continue
        found = SERIES.fullmatch(line)
        assert found, line
        name, suffix = found[1], found[2] or ""
        if name + suffix in types:
            name, suffix = name + suffix, ""
        assert name == block, f"{line} stands behind {block}"
        key = name, suffix, found[3] or ""
        assert key not in series, line
        series[key] = float(found[4])
    return series, types


@pytest.fixture(scope="module")
def worked(it, minidump):
    """Something of everything has happened."""
    crash = it.post({"Comments": "x", "Throttleable": "0"}, dump=minidump)
    it.wait_processed(crash)
    assert it.submit(None, None, {"Content-Type": "text/plain"}).body == b"Discarded=malformed_wrong_content_type"
    assert it.get("/report/index/" + crash, headers={"Referer": it.base + "/"}).status == 200
    assert it.get("/no/such/page").status == 404
    assert it.get("/symbols/none.so/ABCDEF1/none.so.sym").status == 404
    return crash


@pytest.mark.parametrize("program", PAGES)
def test_page(it, worked, program):
    """A page has what the table says of its program, all of it and nothing else, with its kinds and labels."""
    series, types = scrape(it, program)
    for name, kind in types.items():
        assert name in BY_PAGE, f"{name} is not in the table"
        assert kind == KINDS[TABLE[BY_PAGE[name]][0]][0]
        assert program in TABLE[BY_PAGE[name]][2], name
    for (name, _, labels) in series:
        assert set(re.findall(r'(\w+)="', labels)) - {"le"} == TABLE[BY_PAGE[name]][1], name + labels
    shown = {name for name, _, _ in series}
    always = {page for page, name in BY_PAGE.items() if program in TABLE[name][2] and not TABLE[name][1]}
    assert not always - shown
    assert series["datil_program_up", "", f'{{program="{program}"}}'] == 1
    for (name, suffix, labels), value in series.items():
        if suffix == "_count":
            assert series[name, "_bucket", (labels[:-1] + "," if labels else "{") + 'le="+Inf"}'] == value


def test_numbers(it, worked):
    collector, _ = scrape(it, "collector")
    page = "socorro_collector_breakpad_resource_"
    assert collector[page + "incoming_crash", "", ""] == 1
    assert collector[page + "malformed", "", '{reason="wrong_content_type"}'] == 1
    assert collector[page + "throttle", "", '{result="accept"}'] == 1
    assert collector[page + "throttle_rule", "", '{rule="throttleable_0"}'] == 1
    assert collector[page + "crash_size", "_count", '{payload="uncompressed"}'] == 1
    assert collector["socorro_collector_inflight", "", ""] == 1  # this question itself
    assert collector["socorro_collector_crashmover_crash_handling_time", "_count", ""] == 1
    processor, _ = scrape(it, "processor")
    assert processor["socorro_processor_process_crash", "_count", '{ruleset="default"}'] == 1
    assert processor["socorro_processor_minidumpstackwalk_run", "", '{outcome="success",exitcode="0"}'] == 1
    assert processor["socorro_processor_rule_act_timing", "_count", '{rule="SignatureGenerator"}'] == 1
    for step in ("signature_timing", "index_save_processed_crash", "store_save_processed_crash", "ledger_save_processed_crash",
                 "export_save_processed_crash", "ingestion_timing"):
        assert processor["socorro_processor_" + step, "_count", ""] == 1, step
    webapp, _ = scrape(it, "webapp")
    assert webapp["socorro_webapp_view_pageview", "_count", '{ajax="true",api="false",path="/report/index/",status="200"}'] == 1
    assert webapp["socorro_webapp_view_pageview", "_count", '{ajax="false",api="false",path="-",status="404"}'] >= 1
    symbols, _ = scrape(it, "symbols")
    assert symbols["symbols_download_symbol", "_count", ""] == 1


def test_queue_is_seen(it, worked):
    """Also while no worker takes anything."""
    _, children = it.program_pids("datil-processor")
    waiting = "socorro_processor_queue_depth", "", '{queue="standard"}'
    it.sql("INSERT INTO crash_queue (crash_id, ruleset, queue, not_before, created)"
           " VALUES (%s, 'default', 1, now() + interval '1 hour', now() - interval '500 s')", worked)
    try:
        wait_until(lambda: scrape(it, "processor")[0][waiting] == 1, 30, "the depth of the queue")
        assert scrape(it, "processor")[0]["socorro_processor_queue_oldest_age_s", "", '{queue="standard"}'] >= 500
    finally:
        it.sql("DELETE FROM crash_queue WHERE crash_id = %s", worked)


def test_jobs(it, worked):
    def ran():
        series, _ = scrape(it, "cron")
        return any(name == "socorro_cron_job_run" and suffix == "_count" and value > 0 and 'result="success"' in labels
                   for (name, suffix, labels), value in series.items())
    wait_until(ran, 60, "a job")


def test_jobs_of_symbols(it, worked, statsd):
    temp = it.var / "tmp/uploads"
    temp.mkdir(parents=True, exist_ok=True)
    (temp / "dead").write_bytes(b"x")
    os.utime(temp / "dead", (0, 0))
    it.own(temp)
    (it.dir / "put.sym").write_text(f"MODULE Linux x86_64 {9:032X}0 put.so\nFUNC 0 10 0 put\n")
    it.datil("symbols", "add", it.dir / "put.sym")
    for job in ("clear-orphans", "symcache-janitor", "clear-uploads"):
        it.datil("cron", "run", job)

    def sent(name):
        return list(statsd.events.get("symbols." + name, []))
    wait_until(lambda: sum(n for n, _, _ in sent("remove_orphaned_files.delete_file")) == 1, 20, "the orphan")
    wait_until(lambda: "symbolication.diskcache.usage" in statsd.events, 20, "the size of the cache")
    wait_until(lambda: "symbolication.diskcache.set" in statsd.events, 20, "what was put there, by whomever")
    for name in ("clearuploads.record_count", "clearuploads.records_deleted"):
        wait_until(lambda name=name: {tags["model"] for _, _, tags in sent(name)} == {"upload", "fileupload"}, 20, name)


def test_lines(it, worked, statsd):
    """What goes to statsd has names, kinds and tags of the table, and every program sends."""
    prefixes = ("socorro.collector.", "socorro.processor.", "socorro.webapp.", "socorro.cron.", "symbols.")
    wait_until(lambda: all(any(n.startswith(p) for n in list(statsd.events)) for p in prefixes), 60, "lines of every program")
    assert not statsd.bad and statsd.longest <= 1432
    for name, events in list(statsd.events.items()):
        kind, labels, _ = TABLE[name]
        assert {k for _, k, _ in events} == {KINDS[kind][1]}, name
        assert all(set(tags) == labels | {"host"} and tags["host"] == "test-host" for _, _, tags in events), name
    assert statsd.events["socorro.collector.breakpad_resource.incoming_crash"] == [(1.0, "c", {"host": "test-host"})]


def test_nothing_of_a_stranger_is_a_label(it, worked):
    canary = "canary4711"
    for field in ("ProductName", "ReleaseChannel", "Version", "BuildID"):
        assert it.submit({field: canary}).status == 200
    it.submit(None, None, {"Content-Type": canary + "/x"})
    it.get(f"/{canary}/?{canary}={canary}", headers={"Referer": f"http://{canary}/"})
    it.get(f"/search/?product={canary}")
    it.get(f"/symbols/{canary}/ABCDEF1/{canary}.sym")
    it.request("POST", "/symbolicate/v5", canary.encode())
    for program in PAGES:
        assert canary not in it.local(PAGES[program])[1]


def test_not_for_strangers(it):
    for path in PAGES.values():
        assert it.get(path, headers={"Datil-Local": "1"}).status == 404
    assert it.local("/__metrics__?program=../../etc/passwd")[0] == 404


def test_command(it, worked):
    out = it.datil("metrics", "processor").stdout
    assert 'socorro_processor_process_crash_count{ruleset="default"}' in out
    assert it.datil("metrics", "nothing", check=False).returncode == 1


def test_program_that_is_away(it, worked):
    """A program that ended has no numbers; killed and started again, it begins at 0."""
    parents, _ = it.program_pids("datil-cron")
    started = "datil_program_start_time_seconds", "", '{program="cron"}'
    before = scrape(it, "cron")[0][started]
    ups = []
    it.kill(*parents)

    def is_new():
        series, _ = scrape(it, "cron")
        ups.append(series["datil_program_up", "", '{program="cron"}'])
        return series.get(started, 0) > before
    wait_until(is_new, 30, "the scheduler")
    assert set(ups) <= {0, 1} and ups[-1] == 1
