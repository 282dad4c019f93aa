"""The questions of bench/search, beside DuckDB over the same documents: a table in a file that it has read once, two threads; and what
both take on the disk.

Totals are compared; a ratio above 1 says how many times as long DuckDB takes.  Both have been asked before and have everything in
memory.  Needs npm and the network for @duckdb/node-api; without them our numbers stand alone.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(os.environ.get("BUILD", "build")).resolve()
CRASHES = sys.argv[1] if len(sys.argv) > 1 else "1000000"
PACKAGE = "@duckdb/node-api@1.5.6-r.1"

A = "FROM c WHERE d180 AND product = 'Firefox' AND release_channel = 'release'"
TOP = "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50"
F = "FROM c JOIN top USING (signature) WHERE d7 AND product = 'Firefox'"
# label of bench/search: what is counted, and the statements that give the answer; {"d7", "d180"}: conditions on the stored date
QUESTIONS = {
    "180 days, product and channel, three facets":
        [f"SELECT count(*) AS n {A}"] + [f"SELECT {f}, count(*) {A} {TOP}" for f in ("signature", "version", "os_name")],
    "7 days, one facet": ["SELECT count(*) AS n FROM c WHERE d7", f"SELECT signature, count(*) FROM c WHERE d7 {TOP}"],
    "regular expression over all":
        ["SELECT count(*) AS n FROM c WHERE d180 AND regexp_full_match(signature, '.*Function1.*Thing.*')"],
    "one signature, 100 hits":
        ["SELECT count(*) AS n FROM c WHERE d180 AND starts_with(signature, 'OOM')",
         "SELECT uuid, date, signature, product, version FROM c WHERE d180 AND starts_with(signature, 'OOM') ORDER BY uptime DESC LIMIT 100"],
    "top crashers, 7 days":
        ["SELECT count(*) AS n FROM c WHERE d7 AND product = 'Firefox'",
         f"CREATE OR REPLACE TEMP TABLE top AS SELECT signature, count(*) FROM c WHERE d7 AND product = 'Firefox' {TOP}",
         f"SELECT signature, os_name, count(*) {F} GROUP BY ALL", f"SELECT signature, startup_crash, count(*) {F} GROUP BY ALL",
         f"SELECT signature, uptime // 60, count(*) {F} GROUP BY ALL", f"SELECT signature, count(DISTINCT install_time) {F} GROUP BY ALL"],
    "by day and version, 180 days":
        ["SELECT count(*) AS n FROM c WHERE d180",
         "SELECT date_trunc('day', date), version, count(*) FROM c WHERE d180 GROUP BY ALL ORDER BY 1, 3 DESC, 2"],
    "percentiles in each version, 180 days":
        ["SELECT count(*) AS n FROM c WHERE d180",
         f"SELECT version, count(*), quantile_disc(uptime, [0.5, 0.95]), avg(uptime) FROM c WHERE d180 {TOP}"],
    "signatures by installations, 180 days":
        ["SELECT count(*) AS n FROM c WHERE d180",
         "SELECT signature, count(DISTINCT install_time), count(*) FROM c WHERE d180 GROUP BY 1 ORDER BY 2 DESC, 3 DESC, 1 LIMIT 50"],
    "installations over all": ["SELECT count(DISTINCT install_time) AS n FROM c WHERE d180"],
}

SCRIPT = """
const { DuckDBInstance } = require("@duckdb/node-api");
(async () => {
  const [lines, questions] = [process.argv[2], JSON.parse(process.argv[3])];
  const db = await (await DuckDBInstance.create("crashes.db", { threads: "2" })).connect();
  const run = async (sql) => (await db.runAndReadAll(sql)).getRowObjects();
  await run(`CREATE TABLE c AS SELECT * REPLACE (date_processed::TIMESTAMPTZ AS date_processed), date_processed::TIMESTAMPTZ AS date
             FROM read_json('${lines}', format = 'newline_delimited')`);
  await run("CHECKPOINT");
  const out = { bytes: require("fs").statSync("crashes.db").size };
  for (const [label, statements] of Object.entries(questions)) {
    let best = Infinity, n = 0;
    for (let i = 0; i < 7; i++) {
      const start = performance.now();
      for (const sql of statements) {
        const rows = await run(sql);
        if (rows.length === 1 && rows[0].n !== undefined) n = Number(rows[0].n);
      }
      best = Math.min(best, performance.now() - start);
    }
    out[label] = [n, best];
  }
  console.log(JSON.stringify(out));
})();
"""


def dated(sql):
    """The week and the half year that the questions ask for."""
    for days in ("180", "7"):
        sql = re.sub(rf"\bd{days}\b", f"date >= to_timestamp(1790000000 - {days} * 86400) AND date < to_timestamp(1790000000)", sql)
    return sql


def ours(lines):
    """{label: (count, ms on one thread, ms on all)} of a run that leaves the documents in `lines`, and the bytes when packed."""
    done = subprocess.run([str(BUILD / "bench/search"), CRASHES, "-", str(lines)], check=True, capture_output=True, text=True)
    print(done.stdout, end="")
    found = {}
    for line in done.stdout.splitlines():
        parts = line[46:].split()
        if line[:46].rstrip() in QUESTIONS and len(parts) >= 4:
            found[line[:46].rstrip()] = (int(parts[0]), float(parts[2]), float(parts[3]))
    return found, float(re.search(r"([\d.]+) MB packed", done.stdout)[1]) * 1e6


def theirs(tmp, lines):
    """{label: [count, ms]}, or None with the reason printed."""
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", tmp, PACKAGE],
                          capture_output=True, text=True)
    if done.returncode:
        print(f"  no {PACKAGE} ({done.stderr.strip().splitlines()[-1:]}): no comparison")
        return None
    Path(tmp, "ask.js").write_text(SCRIPT)
    questions = {label: [dated(sql) for sql in statements] for label, statements in QUESTIONS.items()}
    done = subprocess.run(["node", "ask.js", str(lines), json.dumps(questions)], cwd=tmp, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        print(f"  DuckDB failed: {done.stderr[-400:]}")
        return None
    return json.loads(done.stdout)


def main():
    with tempfile.TemporaryDirectory(prefix="datil-duckdb-") as tmp:
        lines = Path(tmp, "crashes.ndjson")
        mine, packed = ours(lines)
        other = theirs(tmp, lines)
        if other is None:
            return 0
        print(f"\n{'against DuckDB, two threads':46} {'count':>10} {'ms':>10} {'ms on 2':>10} {'DuckDB':>10} {'ratio':>8}")
        for label, (count, one, all_threads) in mine.items():
            n, ms = other[label]
            same = "" if n == count else f"   DuckDB counts {n}"
            print(f"{label:46} {count:10} {one:10.1f} {all_threads:10.1f} {ms:10.1f} {ms / min(one, all_threads):8.1f}{same}")
        size = other["bytes"]
        print(f"{'on disk, DuckDB':46} {size / 1e6:10.1f} MB, {size / int(CRASHES):.1f} bytes a crash; ours packed to it {packed / size:.2f}")
        return 0


if __name__ == "__main__":
    sys.exit(main())
