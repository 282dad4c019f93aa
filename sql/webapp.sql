-- What the pages and the JSON API read.

-- name: web_notices
-- Status notices for every page, newest first.
SELECT message, severity FROM status_message WHERE is_enabled ORDER BY created DESC LIMIT 20;

-- name: web_account
-- For log-in.  Inactive accounts are not found.
-- $1 email text
SELECT id, password_hash FROM app_user WHERE lower(email) = lower($1) AND is_active;

-- name: web_permissions
-- Every permission there is, and whether this user has it.
-- $1 user_id bigint
SELECT p.name, p.label,
       EXISTS (SELECT 1 FROM app_user_effective e
                WHERE e.user_id = $1::bigint AND e.permission = p.name) AS has_it
  FROM app_permission p ORDER BY p.label;

-- name: web_groups
-- $1 user_id bigint
SELECT g.name FROM app_group g JOIN app_user_group ug ON ug.group_id = g.id
 WHERE ug.user_id = $1::bigint ORDER BY g.name;

-- name: web_bugs
-- Bugs that name one of these signatures, newest first.
-- $1 signatures text[]
-- $2 sees_all boolean: also bugs that the tracker shows to few
SELECT bug_id, signature FROM bug_association
 WHERE signature = ANY($1::text[]) AND (is_public OR $2::boolean) ORDER BY bug_id DESC, signature;

-- name: web_bugs_related
-- All signatures of all bugs of these signatures.
-- $1 signatures text[]
-- $2 sees_all boolean
SELECT bug_id, signature FROM bug_association
 WHERE bug_id IN (SELECT bug_id FROM bug_association WHERE signature = ANY($1::text[]))
   AND (is_public OR $2::boolean)
 ORDER BY bug_id, signature;

-- name: web_signatures_by_bugs
-- $1 bug_ids bigint[]
-- $2 sees_all boolean
SELECT bug_id, signature FROM bug_association
 WHERE bug_id = ANY($1::bigint[]) AND (is_public OR $2::boolean) ORDER BY bug_id, signature;

-- name: web_first_dates
-- When each of these signatures was first seen; unknown ones have no row.
-- $1 signatures text[]
SELECT signature, first_build,
       to_char(first_date AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS first_date
  FROM signature WHERE signature = ANY($1::text[]) ORDER BY signature;

-- name: web_graphics
-- Names of graphics devices of these vendors.
-- $1 vendors text[]
SELECT vendor_hex, adapter_hex, vendor_name, adapter_name FROM graphics_device
 WHERE vendor_hex = ANY($1::text[]);

-- name: web_platforms
SELECT name, short_name FROM platform ORDER BY id;

-- name: web_version_string
-- $1 product text
-- $2 channel text
-- $3 build_id text
SELECT version_string FROM product_version
 WHERE product_name = $1 AND lower(release_channel) = lower($2) AND build_id = $3
 ORDER BY id;

-- name: web_missing_processed
-- One page of crashes whose processed crash was found missing.
-- $1 limit int
-- $2 offset int
SELECT crash_id, is_processed,
       to_char(created AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS created
  FROM missing_processed_crash ORDER BY created, crash_id LIMIT $1::int OFFSET $2::int;

-- name: web_missing_processed_count
SELECT count(*) AS n FROM missing_processed_crash;

-- name: web_ledger
-- Where a crash is: received, processed, rejected or failed.
-- $1 crash_id text
SELECT state, product FROM crash_ledger WHERE crash_id = $1;

-- name: web_cron_health
-- Latest run of any job; the jobs in error and those that are overdue.
SELECT to_char(max(last_run) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS last_run,
       coalesce(max(last_run) < now() - interval '2 hours', true) AS is_stale,
       array_to_string(array_agg(app_name ORDER BY app_name) FILTER (WHERE error_count > 0), ',')
         AS broken,
       array_to_string(array_agg(app_name ORDER BY app_name) FILTER (WHERE is_overdue), ',') AS overdue,
       array_to_string(array_agg(app_name ORDER BY app_name) FILTER (WHERE lacks <> ''), ',') AS unconfigured
  FROM cron_health;

-- name: web_cron_jobs
-- Those that fail first, then those that are late, then by their next run.
SELECT app_name, help, lacks, every IS NULL AS is_off, is_overdue, ongoing IS NOT NULL AS is_running, error_count,
       (extract(epoch FROM last_run) * 1000000)::bigint AS last_run,
       (extract(epoch FROM last_success) * 1000000)::bigint AS last_success,
       (extract(epoch FROM next_run) * 1000000)::bigint AS next_run,
       last_duration, last_items, last_error ->> 'type' AS error_type, last_error ->> 'value' AS error_text
  FROM cron_health ORDER BY error_count > 0 DESC, is_overdue DESC, every IS NULL, next_run, app_name;

-- name: web_tokens
-- Tokens of a user, newest first.
-- $1 user_id bigint
SELECT t.id, t.key_start, t.notes, t.expires_at < now() AS is_expired,
       to_char(t.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS created,
       to_char(t.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS expires,
       coalesce((SELECT string_agg(p.label, ', ' ORDER BY p.label)
                   FROM api_token_permission tp JOIN app_permission p ON p.name = tp.permission
                  WHERE tp.token_id = t.id), '') AS permissions
  FROM api_token t WHERE t.user_id = $1::bigint ORDER BY t.created_at DESC, t.id DESC;

-- name: web_token_remove
-- Only one's own.
-- $1 user_id bigint
-- $2 id bigint
DELETE FROM api_token WHERE user_id = $1::bigint AND id = $2::bigint;

-- name: web_admin_queue
-- Reports in the queue by kind (0 priority, 1 standard, 2 reprocessing) and state.
SELECT CASE queue WHEN 0 THEN 'priority' WHEN 1 THEN 'standard' ELSE 'reprocessing' END AS queue,
       count(*) FILTER (WHERE state = 0) AS waiting,
       count(*) FILTER (WHERE state = 1) AS running,
       count(*) FILTER (WHERE state = 2) AS failed,
       coalesce(to_char(min(created) FILTER (WHERE state = 0) AT TIME ZONE 'UTC',
                        'YYYY-MM-DD HH24:MI:SS'), '') AS oldest
  FROM crash_queue GROUP BY queue ORDER BY crash_queue.queue;

-- name: web_admin_ledger
-- Reports of the last 7 days by product and state.
SELECT product, count(*) AS received,
       count(*) FILTER (WHERE state = 'processed') AS processed,
       count(*) FILTER (WHERE state = 'rejected') AS rejected,
       count(*) FILTER (WHERE state = 'failed') AS failed
  FROM crash_ledger WHERE received > now() - interval '7 days'
 GROUP BY product ORDER BY count(*) DESC, product LIMIT 100;
