"""What statistics cost where crashes are finished, and how quickly they answer.

Finishing: the same crashes through the workers (reprocessing) and from a file (`datil crash load`: store, index, ledger,
no walk), in turns with the database function count_crashes as it is and with one that does nothing.  Answers:
/api/SignatureStats/ over BENCH_COUNTED counted crashes of 180 days; baseline: count(*) over the same rows."""
import json
import os
import statistics
import time

from sample import Installation, add_symbols, real_dumps, wait_until

REPORTS = int(os.environ.get("BENCH_REPORTS", 300))
COUNTED = int(os.environ.get("BENCH_COUNTED", 1_000_000))
ROUNDS = 5
NOTHING = """CREATE OR REPLACE FUNCTION count_crashes(counted jsonb, crash_ids text[]) RETURNS bigint
LANGUAGE plpgsql AS 'BEGIN RETURN 0; END'"""

# Signatures and keys as unequal as in life: the k-th of n has about 1/k of the crashes of the first.
FILL = """
INSERT INTO counted_key (signature, product, channel, version, build, platform, process_type, version_key)
SELECT 'bench | ' || s, 'Bench', 'release', b || '.0', 20260101000000 + b, p, 'parent', '0003' || (100 + b)
  FROM generate_series(1, 2000) s, generate_series(1, 10) b, unnest(ARRAY['Linux', 'Windows NT']) p;
INSERT INTO crash_counted (key_id, processed, estimate, installation, is_startup, is_oom, is_duplicate)
SELECT k.key_id, now() - mod(g.n, 180) * interval '1 day' - random() * interval '23 hours', 1, (random() * 200000)::bigint,
       false, false, false
  FROM (SELECT n, floor(exp(random() * ln(2000)))::int AS s, 1 + mod(n / 180, 20) AS of_signature FROM generate_series(1, :count) n) g
  JOIN (SELECT key_id, split_part(signature, ' | ', 2)::int AS s, row_number() OVER (PARTITION BY signature) AS i
          FROM counted_key WHERE product = 'Bench') k ON k.s = g.s AND k.i = g.of_signature;
"""


def timed(what):
    start = time.monotonic()
    what()
    return time.monotonic() - start


def reprocess(datil, ids):
    before = datil.sql("SELECT now()")[0][0]
    datil.datil("reprocess", *ids)
    wait_until(lambda: datil.sql("SELECT count(*) FROM crash_ledger WHERE processed_at > %s", before)[0][0] >= len(ids),
               300, "the crashes", 0.01)


def alternate(datil, steps):
    """step -> median seconds with and without."""
    with_all = datil.sql("SELECT pg_get_functiondef('count_crashes'::regproc)")[0][0]
    seconds = {(step, counts): [] for step in steps for counts in (True, False)}
    for _ in range(ROUNDS):
        for counts in (True, False):
            datil.sql(with_all if counts else NOTHING)
            for step, what in steps.items():
                seconds[step, counts].append(timed(what))
    datil.sql(with_all)
    return {step: [statistics.median(seconds[step, counts]) for counts in (True, False)] for step in steps}


with Installation() as datil:
    add_symbols(datil)
    dumps = real_dumps(datil)
    ids = [datil.post({"CrashTime": str(1700000000 + i)}, dumps[i % len(dumps)]) for i in range(REPORTS)]
    docs = [datil.wait_processed(i) for i in ids]
    lines = "".join(json.dumps(d) + "\n" for d in docs)
    cost = alternate(datil, {"reprocessed by workers": lambda: reprocess(datil, ids),
                             "loaded from a file": lambda: datil.datil("crash", "load", "-", stdin=lines)})
    for step, (counted, bare) in cost.items():
        print(f"{REPORTS} crashes {step}: {REPORTS / counted:8.1f}/s with statistics, {REPORTS / bare:8.1f}/s without; "
              f"time {100 * (counted / bare - 1):+.1f} %")
    print(f"stats verify: {REPORTS / timed(lambda: datil.datil('stats', 'verify')):.0f} crashes/s")

    datil.sql(FILL.replace(":count", str(COUNTED)))
    datil.sql("ANALYZE")
    count = min(timed(lambda: datil.sql("SELECT count(*) FROM crash_counted")) for _ in range(3))
    n = datil.sql("SELECT count(*), pg_total_relation_size('crash_counted') FROM crash_counted")[0]
    print(f"{n[0]} crashes counted, {n[1] / n[0]:.0f} bytes each with indexes; baseline: count(*) {1000 * count:.0f} ms")
    one, fifty = "bench | 1", [f"bench | {i}" for i in range(1, 51)]
    for label, params in (
            ("one signature (the commonest), 7 days", {"signature": one}),
            ("one signature, 180 days", {"signature": one, "date": ">=-180d"}),
            ("one signature, 35 days by the hour", {"signature": one, "date": ">=-35d", "interval": "hour"}),
            ("one signature by build", {"signature": one, "date": ">=-180d", "interval": "build"}),
            ("installations, 180 days", {"signature": one, "date": ">=-180d", "measure": "installs"}),
            ("50 signatures, 7 days", {"signature": fifty}),
            ("50 signatures, 180 days", {"signature": fifty, "date": ">=-180d"}),
            ("everything, 7 days", {"product": "Bench"}),
            ("everything, 180 days", {"product": "Bench", "date": ">=-180d"})):
        times = []
        for _ in range(ROUNDS):
            times.append(timed(lambda: datil.get("/api/SignatureStats/", params)))
            assert datil.get("/api/SignatureStats/", params).json["stats"][0]["total"] > 0
        took = statistics.median(times)
        print(f"{label:42} {1000 * took:7.0f} ms; ratio to the baseline {took / count:6.2f}")
    datil.sql("UPDATE crash_counted SET processed = processed - interval '40 days' WHERE crash_id IS NULL")
    folding = timed(lambda: datil.datil("cron", "run", "retention", "--job-arg", "force=1"))
    sums = datil.sql("SELECT count(*), pg_total_relation_size('counted_day') FROM counted_day")[0]
    print(f"folding {COUNTED} crashes into {sums[0]} sums of days: {folding:.1f} s; "
          f"{sums[1] / COUNTED:.0f} bytes a crash instead of {n[1] / n[0]:.0f}")
