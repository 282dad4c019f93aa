-- Signatures of crash pings (docs/crash-pings.md; tables in migrations/0030_crash_pings.sql).

-- name: ping_claim
-- The oldest work, in an order in which neighbours have the same symbols.  Pings whose workers died
-- twice come alone.  Losing this commit in a failure of the server only gives them back.
-- $1 locked_by text
-- $2 lease_s integer
-- $3 limit integer
-- $4 is_suspect boolean: those that were tried twice, or the others
WITH due AS (
    SELECT id FROM ping_queue
     WHERE state = 0 AND not_before <= now() AND (attempts >= 2) = $4::boolean
     ORDER BY id LIMIT $3::integer
       FOR UPDATE SKIP LOCKED
), mine AS (
    UPDATE ping_queue q
       SET state = 1, locked_by = $1, locked_until = now() + $2::integer * interval '1 second'
      FROM due WHERE q.id = due.id
    RETURNING q.*
)
SELECT m.document_id, m.day, m.attempts, extract(epoch FROM now() - m.created)::bigint AS age_s, p.doc,
       set_config('synchronous_commit', 'off', true) AS synchronous_commit
  FROM mine m JOIN crash_ping p USING (day, document_id)
 ORDER BY m.product, m.build_id, m.os;

-- name: ping_finish
-- The results of a batch: rows, counters and work in one statement.  A ping that is not the worker's
-- any more is left alone.  A row that has a signature is counted under it, so what is done again
-- moves from its old place to the new one; rows of counters are locked in the order of their keys.
-- $1 results jsonb: document_id, day, signature, proto_signature, stack
-- $2 locked_by text
WITH result AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb)
        AS r (document_id uuid, day date, signature text, proto_signature text, stack jsonb)
), mine AS (
    DELETE FROM ping_queue q USING result r
     WHERE q.document_id = r.document_id AND q.day = r.day AND q.state = 1 AND q.locked_by = $2
    RETURNING q.document_id, q.day
), ping AS (
    SELECT p.day, p.product, p.version, p.channel, p.build_id, p.os, p.process_type, p.startup, p.weight,
           p.received_at, p.signature AS old_signature, r.signature
      FROM crash_ping p JOIN mine USING (day, document_id) JOIN result r USING (day, document_id)
), written AS (
    UPDATE crash_ping p
       SET state = 'done', signature = r.signature, proto_signature = r.proto_signature, stack = r.stack,
           error = NULL
      FROM mine m JOIN result r USING (day, document_id)
     WHERE p.day = m.day AND p.document_id = m.document_id
), change AS (
    SELECT day, product, version, channel, build_id, os, process_type, signature, 1 AS n, weight, startup FROM ping
    UNION ALL
    SELECT day, product, version, channel, build_id, os, process_type, old_signature, -1, weight, startup FROM ping
     WHERE old_signature IS NOT NULL
), daily AS (
    INSERT INTO ping_signature_daily AS s (day, product, version, channel, os, process_type, signature, sampled,
                                           estimate, squares, startup, oom)
    SELECT day, product, version, channel, os, process_type, signature, sum(n), sum(n * weight),
           sum(n * weight * weight), coalesce(sum(n * weight) FILTER (WHERE startup), 0),
           coalesce(sum(n * weight) FILTER (WHERE signature LIKE 'OOM |%'), 0)
      FROM change GROUP BY 1, 2, 3, 4, 5, 6, 7
    HAVING sum(n) <> 0 OR abs(sum(n * weight)) > 1e-9
     ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (day, product, version, channel, os, process_type, signature) DO UPDATE
       SET sampled = s.sampled + excluded.sampled,
           estimate = CASE WHEN s.sampled + excluded.sampled = 0 THEN 0 ELSE s.estimate + excluded.estimate END,
           squares = CASE WHEN s.sampled + excluded.sampled = 0 THEN 0 ELSE s.squares + excluded.squares END,
           startup = CASE WHEN s.sampled + excluded.sampled = 0 THEN 0 ELSE s.startup + excluded.startup END,
           oom = CASE WHEN s.sampled + excluded.sampled = 0 THEN 0 ELSE s.oom + excluded.oom END
), builds AS (
    INSERT INTO ping_signature_build AS s (product, channel, signature, build_id, day, sampled)
    SELECT product, channel, signature, build_id, day, sum(n) FROM change
     WHERE channel IN ('nightly', 'aurora') GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0 ORDER BY 3, 1, 2, 4, 5
    ON CONFLICT (signature, product, channel, build_id, day) DO UPDATE SET sampled = s.sampled + excluded.sampled
), seen AS (
    INSERT INTO signature AS s (signature, first_build, first_date, source)
    SELECT signature, min(CASE WHEN build_id ~ '^[0-9]{1,18}$' THEN build_id::bigint END), min(received_at), 'ping'
      FROM ping WHERE signature <> '' GROUP BY 1 ORDER BY 1
    ON CONFLICT (signature) DO UPDATE
       SET first_build = least(s.first_build, excluded.first_build),
           first_date = least(s.first_date, excluded.first_date)
     WHERE s.first_date > excluded.first_date
        OR s.first_build IS DISTINCT FROM least(s.first_build, excluded.first_build)
)
SELECT count(*) AS done, set_config('synchronous_commit', 'off', true) AS synchronous_commit FROM ping;

-- name: ping_wait
-- Put back until symbols that are being made are there.
-- $1 pings jsonb: document_id, day
-- $2 locked_by text
-- $3 pause_s integer
WITH later AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS l (document_id uuid, day date)
), back AS (
    UPDATE ping_queue q
       SET state = 0, locked_by = NULL, locked_until = NULL,
           not_before = now() + $3::integer * interval '1 second'
      FROM later l
     WHERE q.document_id = l.document_id AND q.day = l.day AND q.state = 1 AND q.locked_by = $2
    RETURNING q.document_id, q.day
)
UPDATE crash_ping p SET state = 'waiting' FROM back b
 WHERE p.day = b.day AND p.document_id = b.document_id AND p.state = 'new';

-- name: ping_give_back
-- After a failure: again after 1, 10 and 60 minutes, then failed for good.
-- $1 document_id text
-- $2 day text
-- $3 locked_by text
-- $4 error text
WITH mine AS (
    SELECT id, document_id, day, attempts FROM ping_queue
     WHERE document_id = $1::uuid AND day = $2::date AND state = 1 AND locked_by = $3
       FOR UPDATE
), gone AS (
    DELETE FROM ping_queue q USING mine m WHERE q.id = m.id AND m.attempts >= 3
    RETURNING q.document_id, q.day
), back AS (
    UPDATE ping_queue q
       SET state = 0, locked_by = NULL, locked_until = NULL, attempts = q.attempts + 1,
           not_before = now() + CASE m.attempts WHEN 0 THEN 1 WHEN 1 THEN 10 ELSE 60 END * interval '1 minute'
      FROM mine m WHERE q.id = m.id AND m.attempts < 3
)
UPDATE crash_ping p SET state = 'failed', error = $4 FROM gone g
 WHERE p.day = g.day AND p.document_id = g.document_id;

-- name: ping_release
-- What stands under this worker's name although it does not work on it: its connection broke.
-- $1 locked_by text
UPDATE ping_queue SET state = 0, locked_by = NULL, locked_until = NULL WHERE state = 1 AND locked_by = $1;

-- name: ping_workers
-- Who has pings in work.
SELECT locked_by, bool_or(locked_until < now()) AS is_expired FROM ping_queue WHERE state = 1 GROUP BY locked_by;

-- name: ping_bury
-- What a worker held that died, or whose lease has ended.  The fourth worker does not die of it.
-- $1 locked_by text
WITH mine AS (
    SELECT id, attempts FROM ping_queue WHERE state = 1 AND locked_by = $1 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM ping_queue q USING mine m WHERE q.id = m.id AND m.attempts >= 3 RETURNING q.document_id, q.day
), back AS (
    UPDATE ping_queue q
       SET state = 0, locked_by = NULL, locked_until = NULL, attempts = q.attempts + 1
      FROM mine m WHERE q.id = m.id AND m.attempts < 3
), failed AS (
    UPDATE crash_ping p SET state = 'failed', error = 'its workers died' FROM gone g
     WHERE p.day = g.day AND p.document_id = g.document_id
)
SELECT count(*) AS buried, pg_notify('crash_ping', '') AS notified FROM mine;

-- name: ping_requeue
-- Again: those of a signature, a day, a build, a module (of their stack).  What is not asked for is NULL.
-- $1 signature text
-- $2 day text
-- $3 build_id text
-- $4 module text
WITH chosen AS (
    SELECT day, document_id, product, build_id, os FROM crash_ping
     WHERE ($1::text IS NULL OR signature = $1)
       AND ($2::text IS NULL OR day = $2::date)
       AND ($3::text IS NULL OR build_id = $3)
       AND ($4::text IS NULL OR doc @? format('$.stack_traces.modules[*] ? (@.filename == %s || @.debug_file == %s)',
                                              to_json($4::text)::text, to_json($4::text)::text)::jsonpath)
), queued AS (
    INSERT INTO ping_queue (day, document_id, product, build_id, os)
    SELECT * FROM chosen ORDER BY product, build_id, os
    ON CONFLICT (document_id, day) DO NOTHING
    RETURNING day, document_id
), marked AS (
    UPDATE crash_ping p SET state = 'new', error = NULL FROM queued q
     WHERE p.day = q.day AND p.document_id = q.document_id
)
SELECT count(*) AS queued, pg_notify('crash_ping', '') AS notified FROM queued;

-- name: ping_pending
-- Of these pings those that are not done: what `datil ping load` waits for.
-- $1 document_ids text[]
SELECT count(*) AS pending FROM ping_queue WHERE document_id = ANY ($1::text[]::uuid[]);

-- name: ping_due_ms
-- Until a ping that was put back is due.
SELECT greatest(0, ceil(extract(epoch FROM min(not_before) - now()) * 1000))::bigint AS ms
  FROM ping_queue WHERE state = 0;
