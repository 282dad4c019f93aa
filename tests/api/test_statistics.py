"""What crashes add to the statistics, against a recount by brute force after random steps: processed by workers and
loaded, processed again, deleted, purged, removed by age, with whoever does it killed in the middle.
STATISTICS_STEPS and STATISTICS_SEED make the walk longer and another one."""
import json
import os
import random
import re
import subprocess
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from harness import BIN, Installation, wait_until
from victims import victims

STEPS = int(os.environ.get("STATISTICS_STEPS", "6"))
SEED = int(os.environ.get("STATISTICS_SEED", "12"))
CLIENT = "0f0e0d0c-0b0a-4908-8706-050403020100"
TODAY = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
# In the order of their releases.
VERSIONS = ["9.0", "10.0a1", "10.0b2", "10.0b10", "10.0", "10.0esr", "10.0.1"]
OURS = "product IN ('Editor', 'Viewer')"
KEYS = ("product", "release_channel", "version", "build", "os_name", "process_type", "signature")


def uuid(number, day=TODAY):
    return f"57a70000-0000-4000-8000-{number:06x}{day:%y%m%d}"


def make(rng, number, days=3):
    date = TODAY - timedelta(days=rng.randint(1, days), hours=rng.randint(-23, 0))
    return {
        "uuid": uuid(number), "date_processed": f"{date:%Y-%m-%d %H}:59:59+00:00",
        "product": rng.choice(["Editor", "Viewer"]), "version": rng.choice(VERSIONS),
        "release_channel": rng.choice(["beta", "release"]), "build": rng.choice(["20261101000000", "20261102000000"]),
        "os_name": rng.choice(["Linux", "Windows NT"]), "process_type": "parent",
        "signature": f"statistics | {rng.choice('ab')}",
        "collector_metadata": {"throttle_rate": rng.choice([1, 0.5, 0.1, None])},
        "startup_crash": rng.random() < 0.3, "is_duplicate": rng.random() < 0.2,
        "install_time": rng.randint(1, 4), "glean_client_id": rng.choice([CLIENT, CLIENT[::-1]]),
        **({"oom_allocation_size": 4096} if rng.random() < 0.3 else {}),
    }


def load(datil, docs):
    datil.datil("crash", "load", "-", stdin="".join(json.dumps(d) + "\n" for d in docs))


def key_of(d):
    return tuple(str(d.get(k) or "") for k in KEYS)


def rate_of(d):
    return (d.get("collector_metadata") or {}).get("throttle_rate") or 1


def recount(docs):
    """hourly and daily sums, installations by day and by build."""
    hourly, daily, installs, builds = Counter(), Counter(), defaultdict(set), defaultdict(set)
    youngest_old_hour = f"{datetime.now(timezone.utc) - timedelta(days=35):%Y-%m-%d %H}"
    for d in docs:
        key = key_of(d)
        without_build = key[:3] + key[4:]
        date = d["date_processed"]
        for sums, at in ((hourly, (date[:13], *key)), (daily, (date[:10], *without_build))):
            if sums is hourly and date[:13] < youngest_old_hour:
                continue
            if d.get("is_duplicate"):
                sums[at, "duplicates"] += 1
                continue
            sums[at, "count"] += 1
            sums[at, "estimate"] += 1 / rate_of(d)
            sums[at, "startup"] += d.get("startup_crash") or False
            sums[at, "oom"] += d.get("oom_allocation_size") is not None
        if not d.get("is_duplicate") and d.get("install_time") is not None:
            who = (d["install_time"], d.get("glean_client_id"))
            installs[date[:10], *without_build].add(who)
            if int(d.get("build") or 0):
                builds[d["product"], d["release_channel"], d["build"], d["signature"]].add(who)
    tidy = [{k: round(v, 6) for k, v in sums.items() if v} for sums in (hourly, daily)]
    return tidy + [{k: len(v) for k, v in each.items()} for each in (installs, builds)]


def counted(datil):
    names = ("count", "duplicates", "estimate", "startup", "oom")
    out = []
    for view, at, build in (("signature_hourly", "to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24')", "build::text,"),
                            ("signature_daily", "day::text", "")):
        sums = {}
        for *key, a, b, c, d, e in datil.sql(
                f"SELECT {at}, product, channel, version, {build} platform, process_type, signature,"
                f" {', '.join(names)} FROM {view} WHERE {OURS}"):
            sums |= {(tuple(key), name): round(float(v), 6) for name, v in zip(names, (a, b, c, d, e)) if v}
        out.append(sums)
    for view, at in (("signature_daily", "day::text, product, channel, version, platform, process_type, signature"),
                     ("signature_build", "product, channel, build::text, signature")):
        rows = datil.sql(f"SELECT {at}, installs FROM {view} WHERE {OURS} AND installs > 0")
        out.append({tuple(key): n for *key, n in rows})
    return out


def seen(docs):
    """signature, product and channel -> first and last by date, build and version."""
    groups = defaultdict(list)
    for d in docs:
        groups[d["signature"], d["product"], d["release_channel"]].append(d)
    def ends(pick, key=None):
        return lambda group: tuple(f((pick(d) for d in group), key=key) for f in (min, max))
    fields = (ends(lambda d: d["date_processed"]), ends(lambda d: d["build"]),
              ends(lambda d: d["version"], VERSIONS.index))
    return {k: tuple(f(group) for f in fields) for k, group in groups.items()}


def seen_there(datil):
    rows = datil.sql("SELECT signature, product, channel, to_char(first_date AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
                     " || '+00:00', to_char(last_date AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00:00',"
                     " first_build::text, last_build::text, first_version, last_version FROM signature_seen"
                     f" WHERE {OURS}")
    return {tuple(r[:3]): ((r[3], r[4]), (r[5], r[6]), (r[7], r[8])) for r in rows}


def firsts(docs):
    groups = defaultdict(list)
    for d in docs:
        groups[d["signature"]].append((int(d["build"]), d["date_processed"]))
    return {s: tuple(map(min, zip(*group))) for s, group in groups.items()}


def check(datil, docs, step):
    for name, there, wanted in zip(("hours", "days", "installs", "builds"), counted(datil), recount(docs)):
        assert dict(there.items() - wanted.items()) == dict(wanted.items() - there.items()), f"{step}: {name}"
    assert seen_there(datil) == seen(docs), step
    there = datil.sql("SELECT signature, first_build, to_char(first_date AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
                      " || '+00:00' FROM signature WHERE signature = ANY (%s)", [d["signature"] for d in docs])
    assert {s: (b, d) for s, b, d in there} == firsts(docs), step


def pass_time(seconds):
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, 5, "the moment")


class Walk:
    """Random steps on an installation, and the crashes that it should know after them."""

    def __init__(self, datil, rng, minidump):
        self.datil, self.rng, self.minidump = datil, rng, minidump
        self.known = {}  # by crash id
        self.aged = []  # whose sums stay when they are gone
        self.sent = []  # with a raw crash

    def docs(self):
        return [*self.known.values(), *self.aged]

    def note(self, docs):
        """Processing again does not move a crash in time."""
        for d in docs:
            self.known[d["uuid"]] = d | {"date_processed": self.known.get(d["uuid"], d)["date_processed"]}

    def some(self):
        docs = [make(self.rng, self.rng.randint(0, 60)) for _ in range(20)]
        for _ in range(5):  # of an age that retention will end
            n, doc = self.rng.randint(100, 120), make(self.rng, 0)
            date = TODAY - timedelta(days=self.rng.choice([2, 3, 40, 50]), hours=-5)
            docs.append(doc | {"uuid": uuid(n, datetime(2020, 1, 1)), "date_processed": f"{date:%Y-%m-%d %H}:59:59+00:00"})
        return list({d["uuid"]: d for d in docs}.values())

    def load(self):
        docs = self.some()
        with ThreadPoolExecutor() as pool:  # two at once, with the same keys
            list(pool.map(lambda part: load(self.datil, part), (docs[::2], docs[1::2])))
        self.note(docs)

    def load_killed(self):
        docs = self.some()
        self.killed("crash", "load", "-", stdin="".join(json.dumps(d) + "\n" for d in docs))
        load(self.datil, docs)
        self.note(docs)

    def killed(self, *command, stdin=""):
        """A command that is killed somewhere between its start and its end."""
        process = subprocess.Popen([str(BIN / "datil"), *command], env=self.datil.env, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process.stdin.write(stdin)
        process.stdin.flush()
        pass_time(self.rng.random() / 10)
        process.kill()
        process.wait()

    def kill_worker(self):
        pass_time(self.rng.random() / 5)
        self.datil.kill(self.rng.choice(sorted(victims(self.datil)["processor"])))

    def wait_for_workers(self):
        """What they have stored is what they have counted, once nothing waits any more."""
        wait_until(lambda: self.datil.sql("SELECT count(*) FROM crash_queue") == [(0,)], 60, "an empty queue")
        for crash in self.sent:
            path = next(self.datil.var.glob(f"store/*/processed_crash/{crash}*"))
            doc = json.loads(path.read_text())
            self.note([doc | {"date_processed": doc["date_processed"][:19].replace("T", " ") + "+00:00"}])

    def post(self):
        for n in range(6):
            fields = {"ProductName": "Editor", "Version": self.rng.choice(VERSIONS), "BuildID": "20261103000000",
                      "ReleaseChannel": self.rng.choice(["beta", "release"]), "InstallTime": str(self.rng.randint(1, 4)),
                      "GleanClientId": CLIENT, "StartupCrash": self.rng.choice("01"), "Notes": f"walk {n % 3}"}
            self.sent.append(self.datil.post(fields, self.minidump))
        self.kill_worker()
        self.wait_for_workers()

    def reprocess(self):
        # As if they had been called otherwise before, so that each moves from one key to another.
        self.datil.sql("UPDATE crash_counted c SET key_id = k.key_id FROM counted_key k"
                       " WHERE crash_id = ANY (%s) AND k.signature = 'statistics | a'", self.sent)
        self.datil.datil("reprocess", *self.sent)
        self.kill_worker()
        self.wait_for_workers()

    def delete(self):
        for gone in self.rng.sample(sorted(self.known), 2):
            self.datil.datil("crash", "delete", gone)
            self.forget(gone)

    def purge(self):
        path = "store/*/raw_crash/{}*"
        doomed = [c for c in self.sent if '"walk 1"' in next(self.datil.var.glob(path.format(c))).read_text()]
        self.killed("purge", "--where", "Notes=walk 1")
        self.datil.datil("purge", "--where", "Notes=walk 1")
        for gone in doomed:
            self.forget(gone)

    def retention(self):
        self.killed("purge", "retention", "--force")
        self.datil.datil("purge", "retention", "--force")
        for gone in [c for c in self.known if c.endswith("200101")]:
            self.aged.append(self.forget(gone))

    def forget(self, crash):
        if crash in self.sent:
            self.sent.remove(crash)
        return self.known.pop(crash)


def test_sums_are_those_of_a_recount(minidump):
    with Installation() as datil:
        datil.datil("product", "add", "Editor")
        walk = Walk(datil, random.Random(SEED), minidump)
        turns = [walk.post, walk.load_killed, walk.retention, walk.reprocess, walk.purge, walk.post]
        for step in range(STEPS):
            for action in (walk.load, turns[step % len(turns)], walk.delete):
                action()
                check(datil, walk.docs(), f"step {step}: {action.__name__}")
        ask_like_a_client(datil, walk.docs())
        assert "0 differences" in datil.datil("stats", "verify").stdout
        assert datil.sql("SELECT count(*) FROM crash_counted c WHERE c::text LIKE %s", f"%{CLIENT}%") == [(0,)]


def points_of(docs, interval, measure, since=None):
    groups = defaultdict(list)
    for d in docs:
        if d["date_processed"] < f"{since or TODAY - timedelta(days=775):%Y-%m-%d}":
            continue
        day = datetime.fromisoformat(d["date_processed"])
        at = {"hour": f"{day:%Y-%m-%dT%H}:00:00+00:00", "day": f"{day:%Y-%m-%d}", "build": d["build"],
              "week": f"{day - timedelta(days=day.weekday()):%Y-%m-%d}"}[interval]
        groups[at].append(d)
        groups["total"].append(d)
    def value(group):
        group = [d for d in group if not d.get("is_duplicate")]
        if measure == "installs":
            return len({(d["install_time"], d["glean_client_id"]) for d in group})
        if measure == "estimate":
            return round(sum(1 / rate_of(d) for d in group), 6)
        return sum(d.get("startup_crash") or False for d in group) if measure == "startup" else len(group)
    return {at: value(group) for at, group in groups.items()}


def ask_like_a_client(datil, docs):
    wanted = [d for d in docs if d["product"] == "Editor"]
    params = {"product": "Editor", "signature": ["statistics | a", "statistics | b", "statistics | none"],
              "date": f">={TODAY - timedelta(days=3):%Y-%m-%d}"}
    for interval in ("hour", "day", "week", "build"):
        for measure in ("count", "estimate", "installs", "startup"):
            answer = datil.get("/api/SignatureStats/", params | {"interval": interval, "measure": measure}).json["stats"]
            assert [line["signature"] for line in answer] == params["signature"]
            for line in answer:
                expected = points_of([d for d in wanted if d["signature"] == line["signature"]], interval, measure,
                                     TODAY - timedelta(days=3))
                got = {p["at"]: round(p["value"], 6) for p in line["points"]}
                label = (interval, measure, line["signature"])
                assert {at: v for at, v in got.items() if v} == \
                       {at: v for at, v in expected.items() if v and at != "total"}, label
                assert round(line["total"], 6) == expected.get("total", 0), label
                assert list(got) == sorted(got) and sum("partial" in p for p in line["points"]) == 1, label
            assert answer[2]["first_seen"] is None and answer[2]["last_seen"] is None
    days = datil.get("/api/SignatureStats/", params).json["stats"][0]["points"]
    assert [p["at"] for p in days] == [f"{TODAY - timedelta(days=n):%Y-%m-%d}" for n in (3, 2, 1, 0)]
    first = datil.get("/api/SignatureStats/", {"signature": "statistics | a"}).json["stats"][0]["first_seen"]
    a = [d for d in docs if d["signature"] == "statistics | a"]
    assert first == {"date": min(d["date_processed"] for d in a).replace(" ", "T"), "build": min(d["build"] for d in a),
                     "version": min((d["version"] for d in a), key=VERSIONS.index)}
    everything = datil.get("/api/SignatureStats/", {"product": "Editor", "version": ["=10.0", "10.0b10"]}).json["stats"]
    assert [(line["signature"], line["first_seen"]) for line in everything] == [(None, None)]


@pytest.mark.parametrize("params, text", [
    ({"interval": "minute"}, "Bad value for parameter(s) 'interval'"),
    ({"measure": "oom"}, "Bad value for parameter(s) 'measure'"),
    ({"date": ">=soon"}, "Bad value for parameter date: not a valid datetime"),
    ({"date": "2026-11-01"}, "date must have a prefix operator"),
    ({"date": ">=-800d"}, "Date range is bigger than 775 days"),
    ({"date": ">=-100d", "interval": "hour"}, "more than 2000 points; ask for fewer days or a wider interval"),
    ({"signature": [f"s{n}" for n in range(51)]}, "more than 50 signatures"),
])
def test_refused_questions(datil, params, text):
    answer = datil.get("/api/SignatureStats/", params)
    assert (answer.status, answer.json) == (400, {"error": f"Bad request: BadArgumentError: {text}"})


def test_age_subtracts_nothing(minidump):
    """A worker counts; sums stay when retention takes the crashes, and end after 775 days."""
    with Installation() as datil:
        crash = datil.post(dump=minidump)
        datil.wait_processed(crash)
        count = "SELECT count(*) FROM crash_counted WHERE crash_id = %s"
        wait_until(lambda: datil.sql(count, crash) == [(1,)], 20, "the count, which comes behind the document")
        rng = random.Random(1)
        old = [make(rng, n, 60) | {"uuid": uuid(n, datetime(2020, 1, 1))} for n in range(40)]
        load(datil, old)
        before = [*counted(datil)[1:], seen_there(datil)]
        assert before[:3] == recount(old)[1:]
        for _ in range(2):
            datil.datil("purge", "retention", "--force")
            assert [*counted(datil)[1:], seen_there(datil)] == before
        assert datil.sql("SELECT count(*) FROM crash_ledger") == [(1,)]
        folded = sum(d["date_processed"] < f"{TODAY - timedelta(days=35)}" for d in old)
        assert datil.sql("SELECT sum(count + duplicates) FROM counted_day") == [(folded,)]
        # What is folded and what is not yet is one sum; installations are not counted twice.
        more = [make(rng, n, 60) for n in range(100, 140)]
        load(datil, more)
        assert [*counted(datil)[1:], seen_there(datil)] == [*recount(old + more)[1:], seen(old + more)]
        for measure in ("count", "installs", "estimate"):
            line = datil.get("/api/SignatureStats/", {"signature": "statistics | a", "date": ">=-100d", "measure": measure}).json
            expected = points_of([d for d in old + more if d["signature"] == "statistics | a"], "day", measure)
            got = {p["at"]: round(p["value"], 6) for p in line["stats"][0]["points"] if p["value"]}
            assert got == {at: v for at, v in expected.items() if v and at != "total"}
            assert round(line["stats"][0]["total"], 6) == expected["total"]
        datil.sql("UPDATE counted_day SET day = day - 800")
        datil.datil("purge", "retention", "--force")
        assert datil.sql("SELECT count(*) FROM counted_day") == [(0,)]
        assert seen_there(datil) == seen(old + more)
        datil.datil("crash", "delete", crash)
        assert datil.sql(count, crash) == [(0,)]


def test_verify_and_rebuild(fresh):
    rng = random.Random(3)
    docs = [make(rng, n) for n in range(30)]
    load(fresh, docs)
    assert "30 crashes recounted, 0 differences" in fresh.datil("stats", "verify").stdout
    fresh.sql("DELETE FROM crash_counted WHERE crash_id = %s", docs[0]["uuid"])
    fresh.sql("UPDATE crash_counted SET is_oom = NOT is_oom, processed = processed - interval '30 days' WHERE crash_id = %s",
              docs[1]["uuid"])
    fresh.sql("UPDATE crash_counted SET installation = 1 WHERE crash_id = %s", docs[2]["uuid"])
    fresh.sql("UPDATE signature SET first_date = now() WHERE signature = 'statistics | a'")
    done = fresh.datil("stats", "verify", check=False)
    assert done.returncode == 1 and "4 differences" in done.stdout
    assert f"{docs[0]['uuid']}: is " in done.stdout and "counted not at all" in done.stdout
    assert "for another installation" in done.stdout and "signature statistics | a" in done.stdout
    recent = fresh.datil("stats", "verify", "--days", "10", check=False)
    assert recent.returncode == 1 and docs[1]["uuid"] not in recent.stdout and docs[0]["uuid"] in recent.stdout
    fresh.sql("UPDATE crash_counted SET processed = processed + interval '30 days' WHERE crash_id = %s", docs[1]["uuid"])
    assert "4 differences mended" in fresh.datil("stats", "rebuild").stdout
    fresh.datil("stats", "verify")
    check(fresh, docs, "rebuilt")
    # The job mends the table of signatures alone, and says what it would do.
    fresh.sql("DELETE FROM signature")
    late = "run-time=" + f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M}"
    window = ("--job-arg", late, "--job-arg", f"last-success={TODAY - timedelta(days=4):%Y-%m-%dT%H:%M}")
    assert "2 signatures would be changed" in fresh.datil("cron", "run", "updatesignatures", *window, "--job-arg", "dry-run=1").stdout
    assert "2 signatures changed" in fresh.datil("cron", "run", "updatesignatures", *window).stdout
    assert "0 signatures changed" in fresh.datil("cron", "run", "updatesignatures", *window).stdout
    check(fresh, docs, "repaired")
    # What the index says is a doubt, what the document says is a difference; a lost index is no difference at all.
    path = next(fresh.var.glob(f"store/*/processed_crash/{docs[3]['uuid']}*"))
    docs[3] = json.loads(path.read_text()) | {"signature": "statistics | other"}
    path.write_text(json.dumps(docs[3]))
    fresh.datil("stats", "verify")
    fresh.sql("UPDATE crash_counted SET estimate = 7 WHERE crash_id = %s", docs[3]["uuid"])
    assert "statistics | other" in fresh.datil("stats", "verify", check=False).stdout
    assert "1 differences mended" in fresh.datil("stats", "rebuild").stdout
    assert "1 crashes are counted as their documents say and indexed otherwise" in fresh.datil("stats", "verify").stdout
    fresh.datil("index", "rebuild")
    assert fresh.datil("stats", "verify").stdout == "30 crashes recounted, 0 differences\n"


def test_duplicates(minidump):
    """The same crash sent twice is kept, flagged and counted apart, whoever of the two is looked at or processed again."""
    with Installation(COLLECTOR_DEDUPLICATE="off") as datil:
        facts = {"CrashTime": "1795000000"}
        first = datil.post(facts, minidump)
        datil.wait_processed(first)
        twin = datil.post({"CrashTime": "1795000007"}, minidump)
        others = [datil.post(f, minidump) for f in (facts | {"InstallTime": "1767225601"}, {"CrashTime": "1795000011"}, {})]
        docs = {c: datil.wait_processed(c) for c in (first, twin, *others)}
        assert {c: d.get("is_duplicate") for c, d in docs.items()} == \
               {first: False, twin: True, others[0]: False, others[1]: False, others[2]: None}
        assert docs[twin]["duplicate_of"] == first
        assert [h["uuid"] for h in datil.search(is_duplicate="__true__", _columns="uuid")["hits"]] == [twin]
        assert [h["uuid"] for h in datil.search(duplicate_of=first, _columns="uuid")["hits"]] == [twin]
        page = datil.get(f"/report/index/{twin}").text
        assert "This is a duplicate" in page and f"/report/index/{first}" in page
        assert "This is a duplicate" not in datil.get(f"/report/index/{first}").text
        sums = "SELECT sum(count), sum(duplicates) FROM signature_hourly"
        wait_until(lambda: datil.sql(sums) == [(4, 1)], 20, "the sums")
        assert datil.get("/api/SignatureStats/").json["stats"][0]["total"] == 4
        # Pages count as the statistics do; a search has all hits.
        signature = docs[first]["signature"]
        assert datil.search(signature="=" + signature)["total"] == 5
        product = docs[first]["product"]
        ranked = datil.get("/topcrashers/", {"product": product, "process_type": "any", "_report_type": "any", "_format": "json", "days": "28", "version": docs[first]["version"]}).json
        assert [c["count"] for c in ranked["signatures"]] == [4], ranked
        report = {"signature": signature, "product": product}
        for path, asked, words in (("/", {}, r'class="count">4<'), (f"/home/product/{product}", {}, r"\b4 in the last 14 days"),
                                   ("/signature/", report, r'Reports <span class="count">4<.*<strong>4</strong> reports'),
                                   ("/signature/", report | {"is_duplicate": "__true__"}, r'Reports <span class="count">1<')):
            page = datil.get(path, asked).text
            assert re.search(words, page, re.S), (path, asked, page)
            assert ("counts once" in page) == (asked == report)
        # Processing again, the original too, changes nothing; without its original the twin stands for itself.
        before = datil.sql("SELECT max(processed_at) FROM crash_ledger")
        datil.datil("reprocess", first, twin)
        wait_until(lambda: datil.sql("SELECT count(*) FROM crash_ledger WHERE processed_at > %s", before[0][0]) == [(2,)], 30,
                   "both again")
        assert datil.sql(sums) == [(4, 1)]
        datil.datil("crash", "delete", first)
        datil.datil("reprocess", twin)
        wait_until(lambda: datil.sql(sums) == [(4, 0)], 30, "the twin")


def test_dumps_of_one_incident(datil, minidump):
    crash = datil.post({"additional_minidumps": "browser,content"}, minidump,
                       {"upload_file_minidump_browser": minidump, "upload_file_minidump_content": b"broken"})
    datil.wait_processed(crash)
    page = datil.get(f"/report/index/{crash}").text
    assert "3 minidumps of one incident" in page
    browser, content = page.index("Process “browser”"), page.index("Process “content”")
    assert "top-frame" in page[browser:content] and "No stack" in page[content:content + 2000]
    assert page.index("Crashing Thread (") < browser
