-- What `datil doctor` looks at besides the statements of the programs themselves.

-- name: doctor_processors
SELECT count(*) AS count FROM pg_stat_activity
 WHERE application_name = 'datil-processor' AND datname = current_database();

-- name: doctor_failed
SELECT count(*) AS count FROM crash_queue WHERE state = 2;

-- name: doctor_cron
-- $1 errors integer
SELECT app_name, error_count, coalesce(last_error ->> 'value', '') AS last_error
  FROM cron_job WHERE error_count >= $1::integer ORDER BY app_name;

-- name: doctor_queued
-- Which of these have a message.
-- $1 crash_ids text[]
SELECT DISTINCT crash_id FROM crash_queue WHERE crash_id = ANY($1::text[]);
