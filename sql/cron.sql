-- State of scheduled jobs and what the jobs themselves do to tables.

-- name: cron_state
-- Times as microseconds since 1970.
-- $1 app_name text
SELECT (extract(epoch FROM next_run) * 1000000)::bigint AS next_run,
       (extract(epoch FROM first_run) * 1000000)::bigint AS first_run,
       (extract(epoch FROM last_run) * 1000000)::bigint AS last_run,
       (extract(epoch FROM last_success) * 1000000)::bigint AS last_success,
       error_count, coalesce(last_error ->> 'value', '') AS last_error, is_overdue
  FROM cron_health WHERE app_name = $1;

-- name: cron_add
-- A row for each job of the table, with what others want to know of it.  every_s NULL: switched off.
-- $1 app_name text
-- $2 depends_on text
-- $3 every_s bigint
-- $4 help text
-- $5 lacks text: a configuration key, or nothing
INSERT INTO cron_job AS j (app_name, depends_on, every, help, lacks)
VALUES ($1, $2, $3::bigint * interval '1 second', $4, $5)
ON CONFLICT (app_name) DO UPDATE
   SET depends_on = excluded.depends_on, every = excluded.every, help = excluded.help, lacks = excluded.lacks
 WHERE (j.depends_on, j.every, j.help, j.lacks)
       IS DISTINCT FROM (excluded.depends_on, excluded.every, excluded.help, excluded.lacks);

-- name: cron_overdue
SELECT app_name, coalesce(to_char(last_success AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'never') AS last_success
  FROM cron_health WHERE is_overdue ORDER BY app_name;

-- name: cron_lock
-- A lock of this session (1668444014 is "cron"): the server lets it go when the session ends, however
-- the scheduler died.
-- $1 app_name text
SELECT pg_try_advisory_lock(1668444014, hashtext($1)) AS is_locked;

-- name: cron_mark
-- Since when it runs, for people.
-- $1 app_name text
UPDATE cron_job SET ongoing = now() WHERE app_name = $1;

-- name: cron_unlock
-- $1 app_name text
WITH marked AS (UPDATE cron_job SET ongoing = NULL WHERE app_name = $1)
SELECT pg_advisory_unlock(1668444014, hashtext($1)) AS was_locked;

-- name: cron_keep_lock
-- While a job runs: is the lock still ours?  A new session, after a restart of the server, takes it
-- again unless another scheduler was faster.
-- $1 app_name text
SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_locks
                          WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
                            AND classid = 1668444014
                            AND objid::bigint = (hashtext($1)::bigint & 4294967295))
            THEN true
            ELSE pg_try_advisory_lock(1668444014, hashtext($1)) END AS is_locked;

-- name: cron_save
-- Empty texts are NULL.
-- $1 app_name text
-- $2 next_run text
-- $3 first_run text
-- $4 last_run text
-- $5 last_success text
-- $6 error_count integer
-- $7 last_error jsonb
-- $8 duration double precision: NULL: there was no run
-- $9 items bigint
UPDATE cron_job
   SET next_run = nullif($2, '')::timestamptz, first_run = nullif($3, '')::timestamptz,
       last_run = nullif($4, '')::timestamptz, last_success = nullif($5, '')::timestamptz,
       error_count = $6::integer, last_error = $7::jsonb,
       last_duration = coalesce($8::double precision, last_duration),
       last_items = CASE WHEN $8::double precision IS NULL THEN last_items ELSE $9::bigint END
 WHERE app_name = $1;

-- name: cron_log_add
-- success: the slot, empty after a failure; the last three are NULL after a success.
-- $1 app_name text
-- $2 duration double precision
-- $3 success text
-- $4 exc_type text
-- $5 exc_value text
-- $6 exc_traceback text
-- $7 items bigint
INSERT INTO cron_log (app_name, duration, success, exc_type, exc_value, exc_traceback, items)
VALUES ($1, $2::double precision, nullif($3, '')::timestamptz, $4, $5, $6, $7::bigint);

-- name: cron_dependencies_met
-- Whether each named job succeeded after this job's last success.
-- $1 app_name text
-- $2 names text[]
SELECT NOT EXISTS (
    SELECT 1 FROM unnest($2::text[]) AS d (name)
      LEFT JOIN cron_job j ON j.app_name = d.name
      LEFT JOIN cron_job me ON me.app_name = $1
     WHERE j.last_success IS NULL
        OR (me.last_success IS NOT NULL AND j.last_success <= me.last_success)) AS is_met;

-- name: cron_reset
-- Forgets the state of one job, or of all.
-- $1 app_name text
DELETE FROM cron_job WHERE $1::text IS NULL OR app_name = $1;

-- name: cron_clear_sessions
DELETE FROM web_session WHERE expires_at < now();

-- name: cron_tokens_old
-- API tokens that expired so long ago that nobody extends them any more.
SELECT count(*) AS count FROM api_token WHERE expires_at < now() - interval '90 days';

-- name: cron_tokens_clear
DELETE FROM api_token WHERE expires_at < now() - interval '90 days';

-- name: cron_log_old
SELECT count(*) AS count FROM cron_log WHERE log_time < now() - interval '180 days';

-- name: cron_log_cleanse
DELETE FROM cron_log WHERE log_time < now() - interval '180 days';

-- name: missing_add
-- $1 crash_ids text[]
INSERT INTO missing_processed_crash (crash_id) SELECT DISTINCT unnest($1::text[])
ON CONFLICT (crash_id) DO UPDATE SET is_processed = false;

-- name: missing_open
SELECT crash_id FROM missing_processed_crash WHERE NOT is_processed ORDER BY created;

-- name: missing_done
-- $1 crash_id text
UPDATE missing_processed_crash SET is_processed = true WHERE crash_id = $1;
