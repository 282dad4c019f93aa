-- The work queue: how a crash gets from "accepted" to "processed".
-- queue: 0 priority, 1 standard, 2 reprocessing.  state: 0 waiting, 1 running, 2 failed for good.

-- name: queue_publish
-- Ledger rows for reports that have none, queue rows, one notification; all or nothing.  A message
-- that waits already stays one message, in the higher of both queues.  The arrays run in parallel.
-- $1 crash_ids text[]
-- $2 rulesets text[]
-- $3 queues smallint[]
-- $4 products text[]
-- $5 submitted text[]
WITH entry AS (
    SELECT DISTINCT ON (crash_id, ruleset) *
      FROM unnest($1::text[], $2::text[], $3::smallint[], $4::text[], $5::text[])
           AS e (crash_id, ruleset, queue, product, submitted)
     ORDER BY crash_id, ruleset, queue
), noted AS (
    INSERT INTO crash_ledger (crash_id, product, received)
    SELECT DISTINCT ON (crash_id) crash_id, product,
           coalesce(nullif(submitted, '')::timestamptz, now())
      FROM entry
     ORDER BY crash_id
    ON CONFLICT (crash_id) DO UPDATE SET state = 'received'
        WHERE crash_ledger.state IN ('rejected', 'failed')
), queued AS (
    INSERT INTO crash_queue (crash_id, ruleset, queue)
    SELECT crash_id, ruleset, queue FROM entry
    ON CONFLICT (crash_id, ruleset) WHERE state = 0
    DO UPDATE SET queue = least(crash_queue.queue, excluded.queue),
                  not_before = least(crash_queue.not_before, now())
    RETURNING id
)
SELECT count(*) AS queued, pg_notify('crash_queue', '') AS notified FROM queued;

-- name: queue_claim
-- The oldest message of one queue that is due and whose crash nobody else has in work.  Losing
-- this commit in a failure of the server only gives the message back: no need to wait for the disk.
-- $1 queue smallint
-- $2 locked_by text
-- $3 lease_s integer
UPDATE crash_queue
   SET state = 1, locked_by = $2, locked_until = now() + $3::integer * interval '1 second'
 WHERE id = (SELECT w.id
               FROM crash_queue w
              WHERE w.state = 0 AND w.queue = $1::smallint AND w.not_before <= now()
                AND NOT EXISTS (SELECT 1 FROM crash_queue r
                                 WHERE r.crash_id = w.crash_id AND r.state = 1)
              ORDER BY w.id
              LIMIT 1
                FOR UPDATE SKIP LOCKED)
RETURNING id, crash_id, ruleset, queue, attempts, worker_deaths,
          extract(epoch FROM now() - created)::bigint AS age_s,
          set_config('synchronous_commit', 'off', true) AS synchronous_commit;

-- name: queue_extend
-- $1 id bigint
-- $2 locked_by text
-- $3 lease_s integer
UPDATE crash_queue SET locked_until = now() + $3::integer * interval '1 second'
 WHERE id = $1::bigint AND locked_by = $2 AND state = 1;

-- name: queue_finish
-- The crash is stored: its message goes and the ledger says so.  index_seq stays NULL when the index could
-- not be used; the index keeper puts it later.  No row comes back when
-- the crash was deleted meanwhile.  A commit lost in a failure of the server means the crash is
-- processed once more.
-- $1 id bigint
-- $2 locked_by text
-- $3 crash_id text
-- $4 product text
-- $5 is_indexed boolean
-- $6 lacking text[]: debug ids that symbols were missing for; NULL: as before, for it was not walked
-- $7 walk_age_ms bigint: since the walk may have looked for the first
-- $8 version text
-- $9 day text: of the report, or NULL: too old to be improved
-- $10 pending text[]: those of $6 that a source was still sending
-- $11 counted jsonb: what it adds to the statistics (lib/ledger/counted.h)
WITH done AS (
    DELETE FROM crash_queue WHERE id = $1::bigint AND locked_by = $2 AND state = 1
), ledger AS (
    UPDATE crash_ledger
       SET state = 'processed', processed_at = now(), product = coalesce($4, product),
           index_seq = CASE WHEN $5::boolean THEN nextval('crash_index_seq') END
     WHERE crash_id = $3
    RETURNING crash_id::uuid AS crash_id
), counted AS (
    SELECT count_crashes($11::jsonb, array_agg(crash_id::text)) AS n FROM ledger HAVING count(*) > 0
), has_now AS (
    DELETE FROM crash_lacks_symbols l USING ledger
     WHERE l.crash_id = ledger.crash_id AND l.debug_id <> ALL ($6::text[])
), lacks AS (
    INSERT INTO crash_lacks_symbols AS l (crash_id, debug_id, walked, day, product, version,
                                          pending_passes)
    SELECT ledger.crash_id, d.debug_id, now() - $7::bigint * interval '1 millisecond',
           $9::text::date, $4, $8, CASE WHEN d.debug_id = ANY ($10::text[]) THEN 1 ELSE 0 END
      FROM ledger, (SELECT DISTINCT unnest($6::text[])) AS d (debug_id)
     WHERE $9::text IS NOT NULL
    ON CONFLICT (crash_id, debug_id) DO UPDATE
       SET walked = excluded.walked, product = excluded.product, version = excluded.version,
           pending_passes = CASE WHEN excluded.pending_passes > 0 THEN l.pending_passes + 1 ELSE 0 END
)
SELECT set_config('synchronous_commit', 'off', true) AS synchronous_commit FROM counted;

-- name: queue_reject
-- There is no raw crash for this message.
-- $1 id bigint
-- $2 locked_by text
-- $3 crash_id text
WITH done AS (
    DELETE FROM crash_queue WHERE id = $1::bigint AND locked_by = $2 AND state = 1
)
UPDATE crash_ledger SET state = 'rejected' WHERE crash_id = $3 AND state <> 'processed';

-- name: queue_drop
-- A message that is none of ours (its crash id is not one).
-- $1 id bigint
-- $2 locked_by text
DELETE FROM crash_queue WHERE id = $1::bigint AND locked_by = $2 AND state = 1;

-- name: queue_give_back
-- Claims of a worker wait again after a pause, or have failed for good after the last attempt.  When
-- the same message was published again meanwhile, that one takes over.  Without an attempt they are
-- as if they had not been claimed.
-- $1 locked_by text
-- $2 id bigint: this one; NULL: all of the worker
-- $3 held_id bigint: but not this one; 0: none is left out
-- $4 attempts integer: 1 or 0
-- $5 deaths integer: 1 or 0
-- $6 pause_s bigint
-- $7 max_attempts integer
-- $8 error_class text: NULL keeps what was there
WITH mine AS (
    SELECT id, crash_id, ruleset, $4::integer > 0 AND attempts + 1 >= $7::integer AS is_last
      FROM crash_queue
     WHERE state = 1 AND locked_by = $1 AND ($2::bigint IS NULL OR id = $2::bigint)
       AND id <> $3::bigint
       FOR UPDATE
), twin AS (
    SELECT m.id FROM mine m
      JOIN crash_queue w ON w.crash_id = m.crash_id AND w.ruleset = m.ruleset AND w.state = 0
), gone AS (
    DELETE FROM crash_queue WHERE id IN (SELECT id FROM twin)
), failed AS (
    UPDATE crash_ledger SET state = 'failed'
     WHERE crash_id IN (SELECT crash_id FROM mine WHERE is_last AND id NOT IN (SELECT id FROM twin))
       AND state = 'received'
), back AS (
    UPDATE crash_queue q
       SET state = CASE WHEN m.is_last THEN 2 ELSE 0 END,
           attempts = q.attempts + $4::integer, worker_deaths = q.worker_deaths + $5::integer,
           not_before = now() + $6::bigint * interval '1 second',
           locked_by = NULL, locked_until = NULL, last_error = coalesce($8, q.last_error)
      FROM mine m
     WHERE q.id = m.id AND q.id NOT IN (SELECT id FROM twin)
)
SELECT crash_id, pg_notify('crash_queue', '') AS notified FROM mine;

-- name: queue_running
-- Messages in work, for the search after dead workers.
SELECT id, crash_id, locked_by, attempts, locked_until < now() AS is_expired
  FROM crash_queue WHERE state = 1;

-- name: queue_summary
-- One row per queue and state: how many, how old the oldest is.
SELECT queue, state, count(*) AS count,
       extract(epoch FROM now() - min(created))::bigint AS oldest_s
  FROM crash_queue GROUP BY queue, state ORDER BY queue, state;

-- name: queue_due
-- Messages a worker could take now.
SELECT count(*) AS due, coalesce(extract(epoch FROM now() - min(created))::bigint, 0) AS oldest_s
  FROM crash_queue WHERE state = 0 AND not_before <= now();

-- name: queue_failed
-- Failed for good, newest first.
-- $1 limit integer
SELECT crash_id, ruleset, attempts, worker_deaths, last_error,
       to_char(created, 'YYYY-MM-DD HH24:MI:SS') AS created
  FROM crash_queue WHERE state = 2 ORDER BY created DESC LIMIT $1::integer;

-- name: queue_retry_failed
-- Puts failed messages back: all, or those of one crash.
-- $1 crash_id text
WITH back AS (
    UPDATE crash_queue q SET state = 0, attempts = 0, worker_deaths = 0, not_before = now()
     WHERE state = 2 AND ($1::text IS NULL OR crash_id = $1)
       AND NOT EXISTS (SELECT 1 FROM crash_queue w
                        WHERE w.crash_id = q.crash_id AND w.ruleset = q.ruleset AND w.state = 0)
       AND id = (SELECT max(id) FROM crash_queue t
                  WHERE t.crash_id = q.crash_id AND t.ruleset = q.ruleset AND t.state = 2)
    RETURNING id
)
SELECT count(*) AS count, pg_notify('crash_queue', '') AS notified FROM back;

-- name: queue_forget
-- Messages of a crash that is being deleted.
-- $1 crash_id text
DELETE FROM crash_queue WHERE crash_id = $1;
