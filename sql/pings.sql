-- Crash pings as they come in (docs/crash-pings.md; tables in migrations/0030_crash_pings.sql).

-- name: ping_journal_read
-- How far a file of a journal was read.
-- $1 file text
SELECT read_to FROM ping_journal WHERE file = $1;

-- name: ping_journal_step
-- The file was read further; no row: somebody else has read it meanwhile.
-- $1 file text
-- $2 from bigint
-- $3 to bigint
INSERT INTO ping_journal AS j (file, read_to)
SELECT $1, $3::bigint WHERE $2::bigint = 0 OR EXISTS (SELECT 1 FROM ping_journal WHERE file = $1)
ON CONFLICT (file) DO UPDATE SET read_to = excluded.read_to, read_at = now() WHERE j.read_to = $2::bigint
RETURNING read_to;

-- name: ping_journal_forget
-- Files that are gone for long.
DELETE FROM ping_journal WHERE read_at < now() - interval '7 days';

-- name: ping_month
-- $1 day text
SELECT make_ping_month($1::date)::text AS made;

-- name: ping_salt
-- $1 day text
WITH made AS (
    INSERT INTO ping_salt (day) VALUES ($1::date) ON CONFLICT DO NOTHING RETURNING salt
)
SELECT salt FROM made UNION ALL SELECT salt FROM ping_salt WHERE day = $1::date;

-- name: ping_arrive
-- Counts pings that were not seen before and says which share of their kind is kept; cell_id is NULL
-- for those that can have no signature.  Rows are locked in the order of their keys.
-- $1 pings jsonb: n, document_id, day, product, version, channel, os, arch, process_type, has_content;
--    of the cell: major, cell_channel, cell_os, cell_process, actor, target
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb)
        AS g (n integer, document_id uuid, day date, product text, version text, channel text, os text,
              arch text, process_type text, has_content boolean, major text, cell_channel text,
              cell_os text, cell_process text, actor text, target double precision)
), fresh AS (
    INSERT INTO ping_seen (document_id, day)
    SELECT DISTINCT ON (document_id) document_id, (now() AT TIME ZONE 'UTC')::date FROM given g
     WHERE NOT EXISTS (SELECT 1 FROM crash_ping p WHERE p.day = g.day AND p.document_id = g.document_id)
     ORDER BY document_id
    ON CONFLICT DO NOTHING
    RETURNING document_id
), arrived AS (
    SELECT DISTINCT ON (g.document_id) g.* FROM given g JOIN fresh USING (document_id)
     ORDER BY g.document_id, g.n
), totals AS (
    INSERT INTO ping_total_daily AS t (day, product, version, channel, os, arch, process_type, received)
    SELECT day, product, version, channel, os, arch, process_type, count(*) FROM arrived
     GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (day, product, version, channel, os, arch, process_type)
    DO UPDATE SET received = t.received + excluded.received
), cell AS (
    INSERT INTO ping_cell AS c (day, product, major, channel, os, process_type, utility_actor, target,
                                expected, received)
    SELECT a.day, a.product, a.major, a.cell_channel, a.cell_os, a.cell_process, a.actor, max(a.target),
           coalesce((SELECT y.received FROM ping_cell y
                      WHERE y.day = a.day - 1 AND y.product = a.product AND y.major = a.major
                        AND y.channel = a.cell_channel AND y.os = a.cell_os
                        AND y.process_type = a.cell_process AND y.utility_actor = a.actor), 1),
           count(*)
      FROM arrived a WHERE a.has_content
     GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (day, product, major, channel, os, process_type, utility_actor)
    DO UPDATE SET received = c.received + excluded.received,
                  target = excluded.target,
                  expected = CASE WHEN c.revised_at < now() - interval '1 hour'
                                  THEN greatest(c.expected, c.received) ELSE c.expected END,
                  revised_at = CASE WHEN c.revised_at < now() - interval '1 hour'
                                    THEN now() ELSE c.revised_at END
    RETURNING id, day, product, major, channel, os, process_type, utility_actor, probability
)
SELECT a.n, c.id AS cell_id, c.probability
  FROM arrived a
  LEFT JOIN cell c ON a.has_content AND c.day = a.day AND c.product = a.product AND c.major = a.major
                  AND c.channel = a.cell_channel AND c.os = a.cell_os AND c.process_type = a.cell_process
                  AND c.utility_actor = a.actor
 ORDER BY a.n;

-- name: ping_keep
-- Rows and work for the pings that are kept.
-- $1 pings jsonb: document_id, day, received_at, weight, cell_id, doc
WITH kept AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb)
        AS k (document_id uuid, day date, received_at timestamptz, weight double precision,
              cell_id bigint, doc jsonb)
), put AS (
    INSERT INTO crash_ping (document_id, day, received_at, product, version, channel, build_id, os, os_version,
                            arch, process_type, startup, weight, cell_id, crash_type, doc)
    SELECT document_id, day, received_at, doc->>'product', doc->>'version', doc->>'channel', doc->>'build_id',
           doc->>'os', doc->>'os_version', doc->>'arch', doc->>'process_type',
           coalesce((doc->>'startup_crash')::boolean, false), weight, cell_id, doc->>'crash_type', doc
      FROM kept ORDER BY day, document_id
), counted AS (
    UPDATE ping_cell c SET sampled = c.sampled + s.n
      FROM (SELECT cell_id, count(*) AS n FROM kept GROUP BY cell_id) s
     WHERE c.id = s.cell_id
), queued AS (
    INSERT INTO ping_queue (day, document_id, product, build_id, os)
    SELECT day, document_id, doc->>'product', doc->>'build_id', doc->>'os' FROM kept
     ORDER BY doc->>'product', doc->>'build_id', doc->>'os'
    RETURNING id
)
SELECT count(*) AS queued, pg_notify('crash_ping', '') AS notified FROM queued;

-- name: ping_expire
-- How many single pings went.
-- $1 ping_days integer
-- $2 counter_days integer
SELECT expire_pings($1::integer, $2::integer) AS gone;

-- name: ping_show
-- One ping as it is kept, with its signature and stack; what the document has under its names comes from there.
-- $1 document_id text
SELECT doc || jsonb_build_object(
           'day', day, 'received_at', to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ'),
           'state', state, 'weight', weight, 'crash_type', crash_type, 'crash_address', doc->'crash_address',
           'signature', signature, 'proto_signature', proto_signature, 'stack', stack, 'error', error) AS body
  FROM crash_ping WHERE document_id = $1::uuid ORDER BY day DESC LIMIT 1;
