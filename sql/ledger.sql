-- The ledger: one row per accepted report.
-- state: received, processed, rejected (no raw crash), failed (for good).

-- name: ledger_row
-- $1 crash_id text
SELECT state, product, received, processed_at, index_seq FROM crash_ledger WHERE crash_id = $1;

-- name: ledger_forget
-- $1 crash_id text
WITH missing AS (
    DELETE FROM missing_processed_crash WHERE crash_id = $1
)
DELETE FROM crash_ledger WHERE crash_id = $1;

-- name: ledger_load
-- Rows of crashes that come as processed documents; the arrays run in parallel.
-- $1 crash_ids text[]
-- $2 products text[]
-- $3 received text[]
-- $4 is_indexed boolean
-- $5 counted jsonb: what they add to the statistics
WITH doc AS (
    SELECT DISTINCT ON (crash_id) * FROM unnest($1::text[], $2::text[], $3::text[])
           AS d (crash_id, product, received)
), ledger AS (
    INSERT INTO crash_ledger (crash_id, product, state, received, processed_at, index_seq)
    SELECT crash_id, product, 'processed', coalesce(nullif(received, '')::timestamptz, now()), now(),
           CASE WHEN $4::boolean THEN nextval('crash_index_seq') END
      FROM doc
    ON CONFLICT (crash_id) DO UPDATE
       SET product = excluded.product, state = 'processed', processed_at = excluded.processed_at,
           index_seq = excluded.index_seq
    RETURNING crash_id
)
SELECT count_crashes($5::jsonb, array_agg(crash_id)) AS count FROM ledger;

-- name: ledger_count_by_state
SELECT state, count(*) AS count FROM crash_ledger GROUP BY state ORDER BY state;

-- name: ledger_page
-- Rows in the order of their ids, after one, for comparing with store and index.
-- $1 after text
-- $2 limit integer
SELECT crash_id, state FROM crash_ledger WHERE crash_id > $1 ORDER BY crash_id LIMIT $2::integer;

-- name: ledger_known
-- Which of these ids have a row, in the order of their bytes.
-- $1 crash_ids text[]
SELECT crash_id, state FROM crash_ledger WHERE crash_id = ANY($1::text[])
 ORDER BY crash_id COLLATE "C";

-- name: ledger_stranded
-- Received long ago, not processed, and no message in the queue: somebody forgot them.
-- $1 older_than_s bigint
-- $2 limit integer
SELECT l.crash_id, l.product,
       to_char(l.received, 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS received
  FROM crash_ledger l
 WHERE l.state = 'received' AND l.received < now() - $1::bigint * interval '1 second'
   AND NOT EXISTS (SELECT 1 FROM crash_queue q WHERE q.crash_id = l.crash_id)
 ORDER BY l.received
 LIMIT $2::integer;

-- name: ledger_expired
-- Crashes whose id carries a date before that of their product, or before $1 (YYMMDD; the century is 20), a
-- page at a time, oldest first.
-- $1 before_yymmdd text
-- $2 products text[]
-- $3 befores_yymmdd text[]
-- $4 from_yymmdd text
-- $5 limit integer
SELECT l.crash_id
  FROM crash_ledger l LEFT JOIN unnest($2::text[], $3::text[]) AS p (product, before) USING (product)
 WHERE right(l.crash_id, 6) >= $4::text
   AND right(l.crash_id, 6) < greatest($1::text, (SELECT max(b) FROM unnest($3::text[]) AS b))
   AND right(l.crash_id, 6) < coalesce(p.before, $1::text)
 ORDER BY right(l.crash_id, 6), l.crash_id LIMIT $5::integer;

-- name: ledger_outlook
-- What a clean-up would do: rows in all, rows that ledger_expired would name, the newest date up to $4.
-- $1 before_yymmdd text
-- $2 products text[]
-- $3 befores_yymmdd text[]
-- $4 today_yymmdd text
SELECT count(*) AS total,
       count(*) FILTER (WHERE right(crash_id, 6) < coalesce(p.before, $1::text)) AS doomed,
       max(right(crash_id, 6)) FILTER (WHERE right(crash_id, 6) <= $4::text) AS newest
  FROM crash_ledger LEFT JOIN unnest($2::text[], $3::text[]) AS p (product, before) USING (product);

-- name: ledger_forget_all
-- Because of their age: what they added to the statistics stays.
-- $1 crash_ids text[]
WITH kept AS (
    UPDATE crash_counted SET crash_id = NULL WHERE crash_id = ANY($1::text[])
), messages AS (
    DELETE FROM crash_queue WHERE crash_id = ANY($1::text[])
), missing AS (
    DELETE FROM missing_processed_crash WHERE crash_id = ANY($1::text[])
)
DELETE FROM crash_ledger WHERE crash_id = ANY($1::text[]);

-- name: index_seq_state
-- Last place given out, and up to where the index is known to be on disk.
SELECT CASE WHEN q.is_called THEN q.last_value ELSE q.last_value - 1 END AS last, s.synced_seq
  FROM crash_index_seq q, crash_index_state s;

-- name: index_seq_synced
-- $1 seq bigint
UPDATE crash_index_state SET synced_seq = $1::bigint WHERE synced_seq < $1::bigint;

-- name: index_seq_after
-- Crashes appended after a place, in that order.
-- $1 seq bigint
-- $2 limit integer
SELECT crash_id, index_seq, processed_at FROM crash_ledger
 WHERE index_seq > $1::bigint ORDER BY index_seq LIMIT $2::integer;

-- name: index_seq_before
-- Crashes appended before a place, the newest first.
-- $1 seq bigint
-- $2 limit integer
SELECT crash_id, index_seq FROM crash_ledger
 WHERE index_seq < $1::bigint ORDER BY index_seq DESC LIMIT $2::integer;

-- name: index_late
-- Processed while the index could not be used, and not in work; and those that the caller names.
-- $1 limit integer
-- $2 crash_ids text[]
WITH late AS (
    SELECT crash_id FROM crash_ledger l
     WHERE state = 'processed' AND index_seq IS NULL
       AND NOT EXISTS (SELECT 1 FROM crash_queue q WHERE q.crash_id = l.crash_id AND q.state = 1)
     LIMIT $1::integer
)
SELECT l.crash_id, l.processed_at,
       EXISTS (SELECT 1 FROM crash_queue q WHERE q.crash_id = l.crash_id AND q.state = 1) AS in_work
  FROM crash_ledger l
 WHERE l.crash_id IN (SELECT crash_id FROM late UNION SELECT unnest($2::text[]))
   AND l.state = 'processed';

-- name: index_put_again
-- What was put is what is stored, unless the crash was processed meanwhile, or is in work: then no
-- row comes back.  A late one gets its place; so does one that lost it to the put.
-- $1 crash_id text
-- $2 processed_at timestamptz
-- $3 is_late boolean
UPDATE crash_ledger l
   SET index_seq = CASE WHEN $3::boolean THEN nextval('crash_index_seq') ELSE index_seq END
 WHERE crash_id = $1 AND processed_at = $2::timestamptz
   AND NOT EXISTS (SELECT 1 FROM crash_queue q WHERE q.crash_id = l.crash_id AND q.state = 1)
RETURNING crash_id;

-- name: index_late_count
SELECT count(*) AS count FROM crash_ledger WHERE state = 'processed' AND index_seq IS NULL;
