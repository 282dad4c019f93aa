"""The counts behind correlations of a signature against a week, beside the same question asked of DuckDB.

DuckDB only counts (single properties, then pairs of the frequent ones) over a table that is in memory already; ours reads the index,
counts, tests and orders.  Needs npm and the network for @duckdb/node-api; without them our numbers stand alone.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(os.environ.get("BUILD", "build")).resolve()
CRASHES = sys.argv[1] if len(sys.argv) > 1 else "200000"
DAYS = "9"
PACKAGE = "@duckdb/node-api@1.5.6-r.1"

SCRIPT = """
const { DuckDBInstance } = require("@duckdb/node-api");
const FIELDS = ["os_name", "os_version", "cpu_arch", "cpu_info", "adapter_vendor_id", "adapter_device_id", "adapter_driver_version",
  "reason", "useragent_locale", "moz_crash_reason", "startup_crash", "safe_mode", "dom_ipc_enabled", "build", "version"];
(async () => {
  const db = await (await DuckDBInstance.create(":memory:")).connect();
  const run = async (sql) => (await db.runAndReadAll(sql)).getRowObjects();
  const time = async (sql) => { const start = performance.now(); await run(sql); return performance.now() - start; };
  await run(`CREATE TABLE week AS SELECT row_number() OVER () AS id, signature = 'mozilla::Thing::method7' AS g, *
             FROM read_json(${JSON.stringify(process.argv[2]).replace(/"/g, "'")}, format = 'newline_delimited')`);
  const out = {};
  for (const max of [20000, 100000000]) {
    await run(`CREATE OR REPLACE TABLE crashes AS SELECT * FROM (SELECT * FROM week WHERE NOT g) USING SAMPLE reservoir(${max} ROWS)`);
    await run(`INSERT INTO crashes SELECT * FROM week WHERE g`);
    const scalar = FIELDS.map((f) => `SELECT id, g, '${f}' AS name, CAST(${f} AS VARCHAR) AS value FROM crashes`);
    const items = scalar.concat([`SELECT DISTINCT id, g, 'module ' || m.filename, 'true' FROM (SELECT id, g, unnest(json_dump.modules) AS m FROM crashes)`,
      `SELECT DISTINCT id, g, 'addon ' || split_part(a, ':', 1), 'true' FROM (SELECT id, g, unnest(addons) AS a FROM crashes)`]).join(" UNION ALL ");
    let singles = Infinity, pairs = Infinity, n = 0;
    for (let i = 0; i < 3; i++) {
      singles = Math.min(singles, await time(`CREATE OR REPLACE TABLE items AS ${items}`) + await time(`CREATE OR REPLACE TABLE singles AS
        SELECT row_number() OVER () AS item, name, value FROM (SELECT name, value, count(*) FILTER (g) AS cg, count(*) AS cr FROM items GROUP BY ALL)
        WHERE cg >= 5 AND (cg >= 0.15 * (SELECT count(*) FROM crashes WHERE g) OR cr >= 0.15 * (SELECT count(*) FROM crashes))`));
      pairs = Math.min(pairs, await time(`CREATE OR REPLACE TABLE pairs AS WITH s AS (SELECT id, g, item, name FROM items JOIN singles USING (name, value))
        SELECT a.item AS a, b.item AS b, count(*) FILTER (a.g) AS cg, count(*) AS cr FROM s a JOIN s b ON a.id = b.id AND a.item < b.item AND a.name <> b.name
        GROUP BY ALL`));
    }
    n = Number((await run(`SELECT count(*) AS n FROM crashes`))[0].n);
    out[n] = { singles, pairs };
  }
  console.log(JSON.stringify(out));
})();
"""


def main():
    with tempfile.TemporaryDirectory(prefix="datil-duckdb-") as tmp:
        week = Path(tmp, "week.ndjson")
        subprocess.run([str(BUILD / "bench/correlate"), CRASHES, DAYS, str(week)], check=True)
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", tmp, PACKAGE],
                              capture_output=True, text=True)
        if done.returncode:
            print(f"  no {PACKAGE} ({done.stderr.strip().splitlines()[-1:]}): no comparison")
            return
        Path(tmp, "count.js").write_text(SCRIPT)
        done = subprocess.run(["node", "count.js", str(week)], cwd=tmp, capture_output=True, text=True, timeout=600)
        if done.returncode:
            print(f"  DuckDB failed: {done.stderr[-400:]}")
            return
        for n, took in json.loads(done.stdout).items():
            print(f"DuckDB, {int(n):,} crashes: single properties {took['singles']:.1f} ms, pairs {took['pairs']:.1f} ms, "
                  f"together {took['singles'] + took['pairs']:.1f} ms")


main()
