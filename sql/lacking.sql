-- Crashes that lack symbols, and what becomes of them when these arrive.  docs/symbols.md.

-- name: lacking_due
-- Crashes whose symbols came after they were walked: the newest first, of one module at most $3 a day,
-- of all at most $2.  Theirs count as walked now, and the numbers of the day grow; the caller
-- publishes them in the same transaction.  `due` are all that wait, `taken` those of this call, and
-- for each of these there is a row.  A module that came $4 seconds ago or later waits, so that an
-- upload of hundreds takes a crash once; but not longer than $5 seconds for others.
-- $1 days integer
-- $2 max_of_day bigint
-- $3 max_of_module bigint
-- $4 quiet_s integer
-- $5 patience_s integer
-- $6 page integer
-- $7 fetched_ids text[]: files of other servers, which have no rows
-- $8 fetched_s bigint[]: when each was stored
-- $9 pending_s integer: after that time what was still being sent is here or will not come
-- $10 pending_passes integer: in a row, then nobody waits any more
WITH arrived AS MATERIALIZED (
    SELECT debug_id, max(at) AS at
      FROM (SELECT split_part(key, '/', 2) AS debug_id, completed_at AS at
              FROM symbol_file
             WHERE completed_at > now() - ($1::integer + 1) * interval '1 day'
               AND lower(key) LIKE '%.sym'
             UNION ALL
            SELECT f.debug_id, to_timestamp(f.at_s)
              FROM unnest($7::text[], $8::bigint[]) AS f (debug_id, at_s)) s
     GROUP BY debug_id
), crash AS (
    SELECT crash_id, min(debug_id) AS debug_id, max(day) AS day
      FROM (SELECT l.crash_id, l.debug_id, l.day, a.at
              FROM arrived a
              JOIN crash_lacks_symbols l ON l.debug_id = a.debug_id AND l.walked < a.at
             UNION ALL
            SELECT l.crash_id, l.debug_id, l.day, l.walked
              FROM crash_lacks_symbols l
             WHERE l.pending_passes BETWEEN 1 AND $10::integer
               AND l.walked < now() - $9::integer * interval '1 second') s
     WHERE day >= current_date - $1::integer
     GROUP BY crash_id
    HAVING max(at) <= now() - $4::integer * interval '1 second'
        OR min(at) <= now() - $5::integer * interval '1 second'
), ranked AS (
    SELECT c.*, count(*) OVER () AS due,
           row_number() OVER (PARTITION BY debug_id ORDER BY day DESC, crash_id) AS place
      FROM crash c
), allowed AS (
    SELECT r.crash_id, r.debug_id, r.due
      FROM ranked r
     WHERE r.place <= $3::bigint - coalesce((SELECT s.crashes FROM symbols_reprocessed s
                                              WHERE s.day = current_date
                                                AND s.debug_id = r.debug_id), 0)
     ORDER BY r.day DESC, r.place, r.crash_id
     LIMIT least($6::bigint, greatest(0, $2::bigint - coalesce((SELECT s.crashes
                                                                   FROM symbols_reprocessed s
                                                                  WHERE s.day = current_date
                                                                    AND s.debug_id = ''), 0)))
), locked AS (
    SELECT l.crash_id AS id, a.crash_id, a.debug_id
      FROM allowed a
      JOIN crash_ledger l ON l.crash_id = a.crash_id::text
     WHERE l.state = 'processed'
       FOR NO KEY UPDATE OF l SKIP LOCKED
), taken AS (
    UPDATE crash_lacks_symbols l SET walked = now()
      FROM locked k
     WHERE l.crash_id = k.crash_id
), counted AS (
    INSERT INTO symbols_reprocessed AS s (day, debug_id, crashes)
    SELECT current_date, debug_id, count(*) FROM locked GROUP BY debug_id
     UNION ALL
    SELECT current_date, '', count(*) FROM locked HAVING count(*) > 0
    ON CONFLICT (day, debug_id) DO UPDATE SET crashes = s.crashes + excluded.crashes
)
SELECT k.id AS crash_id, (SELECT count(*) FROM crash) AS due
  FROM (SELECT 1) AS one LEFT JOIN locked k ON true;

-- name: lacking_forget
-- $1 crash_ids text[]
DELETE FROM crash_lacks_symbols WHERE crash_id = ANY($1::uuid[]);

-- name: lacking_expire
-- Reports of more than so many days ago, and numbers of days before.
-- $1 days integer
WITH numbers AS (
    DELETE FROM symbols_reprocessed WHERE day < current_date - 30
)
DELETE FROM crash_lacks_symbols WHERE day < current_date - $1::integer;

-- name: lacking_today
-- What was queued again today and yesterday.
SELECT coalesce(sum(crashes) FILTER (WHERE day = current_date), 0)::bigint AS today,
       coalesce(sum(crashes) FILTER (WHERE day = current_date - 1), 0)::bigint AS yesterday
  FROM symbols_reprocessed WHERE debug_id = '';
