-- Purges: what is wanted, how far it is, and what is still to be deleted.

-- name: purge_begin
-- $1 annotation text
-- $2 product text
-- $3 first_day text
-- $4 last_day text
-- $5 salt text
-- $6 digest text
-- $7 state text
-- $8 asked_by text
-- $9 names text[]: annotations to take out; empty: the crashes go
-- $10 drops_dumps boolean
INSERT INTO purge_run (annotation, product, first_day, last_day, salt, digest, state, asked_by, names, drops_dumps)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text[], $10::boolean) RETURNING run_id;

-- name: purge_lock
-- One purge at a time (1886745447 is "purg"): the server lets the lock go when the session ends.
SELECT pg_try_advisory_lock(1886745447, 0) AS is_locked;

-- name: purge_unlock
SELECT pg_advisory_unlock(1886745447, 0) AS was_locked;

-- name: purge_next
-- The oldest that is to be worked on; without_previews leaves those to the scheduler.
-- $1 without_previews boolean
SELECT run_id, annotation, product, first_day, last_day, salt, digest, state, scan_day, deleted, drops_dumps
  FROM purge_run
 WHERE finished_at IS NULL AND (state = 'running' OR (state = 'preview' AND NOT $1::boolean))
 ORDER BY run_id LIMIT 1;

-- name: purge_names
-- $1 run_id bigint
SELECT unnest(names) AS name FROM purge_run WHERE run_id = $1::bigint;

-- name: purge_state
-- $1 run_id bigint
SELECT state FROM purge_run WHERE run_id = $1::bigint;

-- name: purge_note
-- Before the first of them is touched.  A crash that an earlier run has noted stays with it.
-- $1 run_id bigint
-- $2 crash_ids text[]
WITH noted AS (
    INSERT INTO purge_item (crash_id, run_id)
    SELECT crash_id, $1::bigint FROM unnest($2::text[]) AS c (crash_id)
    ON CONFLICT DO NOTHING RETURNING crash_id
)
UPDATE purge_run SET found = found + (SELECT count(*) FROM noted), moved_at = now() WHERE run_id = $1::bigint;

-- name: purge_scanned
-- Everything of the day was looked at, and what was found is noted or counted.
-- $1 run_id bigint
-- $2 day text
-- $3 seen integer
UPDATE purge_run SET scan_day = $2, seen = seen + $3::integer, moved_at = now() WHERE run_id = $1::bigint;

-- name: purge_counted
-- A preview: crashes of one day, and where they are.
-- $1 run_id bigint
-- $2 day text
-- $3 seen integer
-- $4 found integer
-- $5 in_processed integer
-- $6 in_index integer
-- $7 in_statistics integer
-- $8 in_export integer
UPDATE purge_run
   SET scan_day = $2, seen = seen + $3::integer, found = found + $4::integer,
       in_processed = in_processed + $5::integer, in_index = in_index + $6::integer,
       in_statistics = in_statistics + $7::integer, in_export = in_export + $8::integer, moved_at = now()
 WHERE run_id = $1::bigint;

-- name: purge_in_statistics
-- $1 crash_ids text[]
SELECT count(*) AS n FROM crash_counted WHERE crash_id = ANY($1::text[]);

-- name: purge_left
-- $1 limit integer
SELECT crash_id FROM purge_item ORDER BY right(crash_id, 6), crash_id LIMIT $1::integer;

-- name: purge_done
-- $1 crash_ids text[]
WITH gone AS (
    DELETE FROM purge_item WHERE crash_id = ANY($1::text[]) RETURNING run_id
), of_run AS (
    SELECT run_id, count(*) AS n FROM gone GROUP BY run_id
)
UPDATE purge_run r SET deleted = r.deleted + g.n, moved_at = now() FROM of_run g WHERE r.run_id = g.run_id;

-- name: purge_strip_note
-- Before the first of them is changed.
-- $1 run_id bigint
-- $2 crash_ids text[]
WITH noted AS (
    INSERT INTO purge_strip (run_id, crash_id)
    SELECT $1::bigint, crash_id FROM unnest($2::text[]) AS c (crash_id)
    ON CONFLICT DO NOTHING RETURNING crash_id
)
UPDATE purge_run SET found = found + (SELECT count(*) FROM noted), moved_at = now() WHERE run_id = $1::bigint;

-- name: purge_strip_left
-- $1 run_id bigint
-- $2 limit integer
SELECT crash_id FROM purge_strip WHERE run_id = $1::bigint AND NOT is_queued
 ORDER BY right(crash_id, 6), crash_id LIMIT $2::integer;

-- name: purge_strip_queued
-- $1 run_id bigint
-- $2 crash_ids text[]
WITH queued AS (
    UPDATE purge_strip SET is_queued = true
     WHERE run_id = $1::bigint AND crash_id = ANY($2::text[]) AND NOT is_queued RETURNING crash_id
)
UPDATE purge_run SET deleted = deleted + (SELECT count(*) FROM queued), moved_at = now() WHERE run_id = $1::bigint;

-- name: purge_strip_wait
-- All is changed and queued.
-- $1 run_id bigint
UPDATE purge_run SET state = 'processing', moved_at = now()
 WHERE run_id = $1::bigint AND NOT EXISTS (SELECT 1 FROM purge_strip s WHERE s.run_id = purge_run.run_id AND NOT s.is_queued);

-- name: purge_strip_ready
-- Those whose crashes were all processed again.  One that failed for good still has its old processed
-- crash: it is waited for until somebody queues it again or deletes it.
SELECT run_id FROM purge_run r
 WHERE state = 'processing'
   AND NOT EXISTS (SELECT 1 FROM purge_strip s
                    WHERE s.run_id = r.run_id
                      AND (EXISTS (SELECT 1 FROM crash_queue q WHERE q.crash_id = s.crash_id AND q.state <> 2)
                           OR EXISTS (SELECT 1 FROM crash_ledger l WHERE l.crash_id = s.crash_id AND l.state = 'failed')))
 ORDER BY run_id;

-- name: purge_strip_end
-- $1 run_ids bigint[]
WITH gone AS (
    DELETE FROM purge_strip WHERE run_id = ANY($1::bigint[])
)
UPDATE purge_run SET state = 'done', finished_at = now(), moved_at = now()
 WHERE run_id = ANY($1::bigint[]) AND state = 'processing';

-- name: purge_previewed
-- Somebody decides now; until then the digest stays.
-- $1 run_id bigint
UPDATE purge_run SET state = 'previewed', moved_at = now() WHERE run_id = $1::bigint AND state = 'preview';

-- name: purge_end
-- $1 run_id bigint
UPDATE purge_run SET state = 'done', finished_at = now(), salt = '', digest = '', moved_at = now()
 WHERE run_id = $1::bigint AND NOT EXISTS (SELECT 1 FROM purge_item i WHERE i.run_id = purge_run.run_id);

-- name: purge_correlations_due
-- What is special about crashes is counted again without those that are gone.
UPDATE cron_job SET next_run = now() WHERE app_name = 'correlations';

-- name: purge_last
-- Changes with every purge that has ended: what is kept from before it is to be made anew.
SELECT coalesce(max(finished_at)::text, '') AS last_purge FROM purge_run;

-- name: web_purge_due
-- Somebody waits: the job is due when the scheduler looks next.
UPDATE cron_job SET next_run = now() WHERE app_name = 'purge';

-- name: web_purge_start
-- What was previewed, from the first day on.
-- $1 run_id bigint
UPDATE purge_run
   SET state = 'running', scan_day = '', seen = 0, found = 0, moved_at = now()
 WHERE run_id = $1::bigint AND state = 'previewed' AND finished_at IS NULL
RETURNING annotation;

-- name: web_purge_cancel
-- $1 run_id bigint
UPDATE purge_run
   SET state = 'cancelled', finished_at = now(), salt = '', digest = '', moved_at = now()
 WHERE run_id = $1::bigint AND state IN ('preview', 'previewed')
RETURNING annotation;

-- name: web_purge_list
SELECT run_id, annotation,
       CASE product WHEN '' THEN 'all products' ELSE product END AS product,
       CASE WHEN first_day = '' AND last_day = '' THEN 'all days'
            ELSE coalesce(to_char(to_date(nullif(first_day, ''), 'YYYYMMDD'), 'YYYY-MM-DD'), '') || ' to ' ||
                 coalesce(to_char(to_date(nullif(last_day, ''), 'YYYYMMDD'), 'YYYY-MM-DD'), '')
       END AS days,
       asked_by, to_char(started_at, 'YYYY-MM-DD HH24:MI') AS started_at,
       to_char(moved_at, 'YYYY-MM-DD HH24:MI:SS') AS moved_at,
       state, state = 'previewed' AS is_previewed, state IN ('preview', 'previewed') AS is_cancellable,
       CASE scan_day WHEN '' THEN '' ELSE to_char(to_date(scan_day, 'YYYYMMDD'), 'YYYY-MM-DD') END AS scan_day,
       seen, found, deleted, in_processed, in_index, in_statistics, in_export, names <> '{}' AS is_of_names,
       in_processed + in_index + in_statistics + in_export > 0 AS has_places
  FROM purge_run ORDER BY run_id DESC LIMIT 50;
