-- Runs of /siteadmin/reprocess/.

-- name: reprocess_begin
-- Before anything is queued.  Answers the run; lists older than a week are forgotten.
-- $1 asked_by text
-- $2 ruleset text
-- $3 what text
-- $4 crash_ids text[]
WITH old AS (
    DELETE FROM reprocess_item USING reprocess_run r
     WHERE r.run_id = reprocess_item.run_id AND r.started_at < now() - interval '7 days'
), run AS (
    INSERT INTO reprocess_run (asked_by, ruleset, what, total)
    VALUES ($1, $2, $3, cardinality($4::text[])) RETURNING run_id
), items AS (
    INSERT INTO reprocess_item (run_id, crash_id) SELECT run_id, unnest($4::text[]) FROM run
)
SELECT run_id FROM run;

-- name: reprocess_runs
-- What of each run still waits or is in work, and what failed for good since.
SELECT r.run_id, r.asked_by, to_char(r.started_at, 'YYYY-MM-DD HH24:MI') AS started, r.ruleset, r.what, r.total,
       count(q.crash_id) FILTER (WHERE q.state < 2) AS waiting, count(q.crash_id) FILTER (WHERE q.state = 2) AS failed
  FROM (SELECT * FROM reprocess_run ORDER BY run_id DESC LIMIT 20) r
  LEFT JOIN reprocess_item i ON i.run_id = r.run_id
  LEFT JOIN LATERAL (SELECT w.crash_id, min(w.state) AS state FROM crash_queue w
                      WHERE w.crash_id = i.crash_id AND w.ruleset = r.ruleset GROUP BY w.crash_id) q ON true
 GROUP BY r.run_id, r.asked_by, r.started_at, r.ruleset, r.what, r.total
 ORDER BY r.run_id DESC;
