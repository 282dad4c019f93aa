"""What crashes add to the statistics, against a recount by brute force after random steps."""
import json
import random
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor

from harness import Installation, wait_until

CLIENT = "0f0e0d0c-0b0a-4908-8706-050403020100"


def make(rng, number):
    return {
        "uuid": f"57a70000-0000-4000-8000-{number:06x}261101",
        "date_processed": f"2026-11-{rng.randint(1, 3):02} {rng.randint(0, 23):02}:59:59+00:00",
        "product": rng.choice(["Editor", "Viewer"]), "version": rng.choice(["1.0", "2.0b3"]),
        "release_channel": rng.choice(["beta", "release"]), "build": rng.choice(["20261101000000", "20261102000000"]),
        "os_name": "Linux", "process_type": "parent", "signature": f"statistics | {rng.choice('ab')}",
        "collector_metadata": {"throttle_rate": rng.choice([1, 0.5, 0.1, None])},
        "startup_crash": rng.random() < 0.3, "is_duplicate": rng.random() < 0.2,
        "install_time": rng.randint(1, 4), "glean_client_id": rng.choice([CLIENT, CLIENT[::-1]]),
        **({"oom_allocation_size": 4096} if rng.random() < 0.3 else {}),
    }


def load(datil, docs):
    datil.datil("crash", "load", "-", stdin="".join(json.dumps(d) + "\n" for d in docs))


def recount(docs):
    hourly, installs = Counter(), defaultdict(set)
    for d in docs:
        key = (d["date_processed"][:13], d["product"], d["release_channel"], d["version"], d["build"], d["signature"])
        if d["is_duplicate"]:
            hourly[key, "duplicates"] += 1
            continue
        hourly[key, "count"] += 1
        hourly[key, "estimate"] += 1 / (d["collector_metadata"]["throttle_rate"] or 1)
        hourly[key, "startup"] += d["startup_crash"]
        hourly[key, "oom"] += "oom_allocation_size" in d
        day = (d["date_processed"][:10], d["product"], d["release_channel"], d["version"], d["signature"])
        installs[day].add((d["install_time"], d["glean_client_id"]))
    return ({k: round(v, 6) for k, v in hourly.items() if v}, {k: len(v) for k, v in installs.items()})


def counted(datil):
    names = ("count", "duplicates", "estimate", "startup", "oom")
    hourly = {}
    for *key, count, duplicates, estimate, startup, oom in datil.sql(
            "SELECT to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24'), product, channel, version, build::text,"
            " signature, count, duplicates, estimate, startup, oom FROM signature_hourly"
            " WHERE signature LIKE 'statistics%%'"):
        values = zip(names, (count, duplicates, estimate, startup, oom))
        hourly |= {(tuple(key), name): round(float(value), 6) for name, value in values if value}
    daily = datil.sql("SELECT day::text, product, channel, version, signature, installs FROM signature_daily"
                      " WHERE signature LIKE 'statistics%%' AND installs > 0")
    return hourly, {tuple(row[:-1]): row[-1] for row in daily}


def test_sums_are_those_of_a_recount(datil):
    rng = random.Random(12)
    known = {}
    for step in range(4):
        docs = [make(rng, rng.randint(0, 60)) for _ in range(25)]
        docs = list({d["uuid"]: d for d in docs}.values())
        # Two at once, with the same keys; processing again does not move a crash in time.
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda part: load(datil, part), (docs[::2], docs[1::2])))
        for d in docs:
            known[d["uuid"]] = d | {"date_processed": known.get(d["uuid"], d)["date_processed"]}
        gone = rng.choice(sorted(known))
        datil.datil("crash", "delete", gone)
        del known[gone]
        assert counted(datil) == recount(known.values()), f"step {step}"
    assert datil.sql("SELECT count(*) FROM crash_counted c WHERE c::text LIKE %s", f"%{CLIENT}%") == [(0,)]


def test_a_worker_counts_and_age_subtracts_nothing(minidump):
    with Installation() as datil:
        crash = datil.post(dump=minidump)
        datil.wait_processed(crash)
        count = "SELECT count(*) FROM crash_counted WHERE crash_id = %s"
        wait_until(lambda: datil.sql(count, crash) == [(1,)], 20, "the count, which comes behind the document")
        old = make(random.Random(1), 1) | {"uuid": "57a70000-0000-4000-8000-000001200101", "is_duplicate": False}
        load(datil, [old])
        datil.datil("purge", "retention", "--force")
        assert datil.sql("SELECT count(*) FROM crash_ledger WHERE crash_id = %s", old["uuid"]) == [(0,)]
        rows = "SELECT crash_id FROM crash_counted WHERE signature = %s"
        assert datil.sql(rows, old["signature"]) == [(None,)]
        datil.sql("UPDATE crash_counted SET processed = now() - interval '776 days' WHERE crash_id IS NULL")
        datil.datil("purge", "retention", "--force")
        assert datil.sql(rows, old["signature"]) == []
        datil.datil("crash", "delete", crash)
        assert datil.sql("SELECT count(*) FROM crash_counted") == [(0,)]
