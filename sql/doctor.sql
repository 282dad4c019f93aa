-- What `datil doctor` looks at besides the statements of the programs themselves.

-- name: doctor_processors
SELECT count(*) AS count FROM pg_stat_activity
 WHERE application_name = 'datil-processor' AND datname = current_database();

-- name: doctor_failed
SELECT count(*) AS count FROM crash_queue WHERE state = 2;

-- name: doctor_cron
-- Jobs that fail again and again, those that refuse to do harm, at once, and those that are overdue.
-- $1 errors integer
SELECT app_name, error_count, coalesce(last_error ->> 'value', '') AS last_error, is_overdue,
       coalesce(to_char(last_success AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'never') AS last_success
  FROM cron_health
 WHERE is_overdue OR error_count >= $1::integer
    OR (error_count > 0 AND last_error ->> 'value' LIKE 'refused:%')
 ORDER BY app_name;

-- name: doctor_queued
-- Which of these have a message.
-- $1 crash_ids text[]
SELECT DISTINCT crash_id FROM crash_queue WHERE crash_id = ANY($1::text[]);

-- name: doctor_unfinished
-- Crashes with a message that the ledger does not call processed.
SELECT count(DISTINCT q.crash_id) AS count
  FROM crash_queue q JOIN crash_ledger l ON l.crash_id = q.crash_id
 WHERE l.state <> 'processed';

-- name: doctor_dates
-- Whether the newest reports come from the future: the clock was set back, or somebody makes ids.
-- $1 tomorrow_yymmdd text
SELECT count(*) FILTER (WHERE right(crash_id, 6) > $1::text) AS ahead,
       to_char(max(received), 'YYYY-MM-DD HH24:MI:SS') AS newest,
       coalesce(max(received) > now() + interval '1 day', false) AS is_clock_behind
  FROM crash_ledger WHERE right(crash_id, 6) >= $1::text OR received > now();
