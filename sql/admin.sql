-- Lists and actions of /siteadmin/ (fcgi/webapp/admin_subjects.c).
--
-- Every list has the same first parameters: a part of a text that is looked for (empty: all), how many rows,
-- from where.  Ids are compared as texts, so that what a form sends need not be looked at before.  An action
-- answers the name of what it changed, and nothing when that is gone or in another state by now.  Numbers in
-- texts are looked at in a CASE: the planner reads the other casts before any WHERE.

-- name: admin_missing_list
-- $1 part text
-- $2 limit integer
-- $3 offset integer
-- $4 is_processed text: 'yes', 'no' or ''
SELECT crash_id, CASE WHEN is_processed THEN 'processed since' ELSE 'missing' END AS state,
       NOT is_processed AS is_open, to_char(created, 'YYYY-MM-DD HH24:MI') AS created
  FROM missing_processed_crash
 WHERE strpos(crash_id, lower($1)) > 0 AND ($4 = '' OR is_processed = ($4 = 'yes'))
 ORDER BY missing_processed_crash.created DESC, crash_id LIMIT $2::integer OFFSET $3::integer;

-- name: admin_missing_find
-- $1 crash_id text
SELECT crash_id FROM missing_processed_crash WHERE crash_id = $1;

-- name: admin_queue_list
-- $1 part text
-- $2 limit integer
-- $3 offset integer
-- $4 state text: 'waiting', 'running', 'failed' or ''
-- $5 queue text: 'priority', 'standard', 'reprocessing' or ''
WITH q AS (
    SELECT id, crash_id, ruleset, attempts, worker_deaths, last_error, crash_queue.created AS at,
           CASE queue WHEN 0 THEN 'priority' WHEN 1 THEN 'standard' ELSE 'reprocessing' END AS name,
           CASE state WHEN 0 THEN 'waiting' WHEN 1 THEN 'running' ELSE 'failed' END AS state
      FROM crash_queue WHERE strpos(crash_id, lower($1)) > 0
)
SELECT id, crash_id, ruleset, name AS queue, state, state = 'failed' AS is_failed, attempts, worker_deaths,
       to_char(at, 'YYYY-MM-DD HH24:MI:SS') AS created, last_error
  FROM q
 WHERE ($4 = '' OR state = $4) AND ($5 = '' OR name = $5)
 ORDER BY state = 'failed' DESC, id LIMIT $2::integer OFFSET $3::integer;

-- name: admin_queue_put_back
-- As queue_retry_failed, of one message.
-- $1 id text
WITH back AS (
    UPDATE crash_queue q SET state = 0, attempts = 0, worker_deaths = 0, not_before = now()
     WHERE state = 2 AND id::text = $1
       AND NOT EXISTS (SELECT 1 FROM crash_queue w
                        WHERE w.crash_id = q.crash_id AND w.ruleset = q.ruleset AND w.state = 0)
    RETURNING crash_id
)
SELECT crash_id AS name, pg_notify('crash_queue', '') AS notified FROM back;

-- name: admin_audit_list
-- $1 part text: of which or message
-- $2 limit integer
-- $3 offset integer
-- $4 who text
-- $5 object text
-- $6 action text
-- $7 first_day text: YYYY-MM-DD or ''
-- $8 last_day text
SELECT to_char(at, 'YYYY-MM-DD HH24:MI:SS') AS time, user_name, object, object_id, action, message
  FROM audit_log
 WHERE strpos(lower(object_id || ' ' || message), lower($1)) > 0 AND strpos(lower(user_name), lower($4)) > 0
   AND ($5 = '' OR lower(object) = lower($5)) AND strpos(lower(action), lower($6)) > 0
   AND coalesce(at >= nullif($7, '')::date, true) AND coalesce(at < nullif($8, '')::date + 1, true)
 ORDER BY at DESC, id DESC LIMIT $2::integer OFFSET $3::integer;

-- name: admin_audit_last
-- What this account did last to such an object, if that was just now.
-- $1 user_id bigint
-- $2 object text
SELECT action, object_id, message FROM audit_log
 WHERE user_id = $1::bigint AND object = $2 AND at > now() - interval '2 minutes'
 ORDER BY id DESC LIMIT 1;

-- name: admin_token_list
-- $1 part text
-- $2 limit integer
-- $3 offset integer
SELECT t.id, t.key_start, u.email, t.notes, to_char(t.created_at, 'YYYY-MM-DD') AS created,
       to_char(t.expires_at, 'YYYY-MM-DD') || CASE WHEN t.expires_at < now() THEN ' (expired)' ELSE '' END AS expires,
       true AS is_there,
       coalesce((SELECT string_agg('crashstats.' || tp.permission, ', ' ORDER BY tp.permission)
                   FROM api_token_permission tp WHERE tp.token_id = t.id), '') AS permissions
  FROM api_token t JOIN app_user u ON u.id = t.user_id
 WHERE strpos(lower(u.email || ' ' || t.key_start || ' ' || t.notes), lower($1)) > 0
 ORDER BY t.created_at DESC, t.id DESC LIMIT $2::integer OFFSET $3::integer;

-- name: admin_token_delete
-- $1 id text
DELETE FROM api_token t USING app_user u WHERE u.id = t.user_id AND t.id::text = $1
RETURNING t.key_start || ' of ' || u.email AS name;

-- name: admin_notice_list
-- $1 part text
-- $2 limit integer
-- $3 offset integer
SELECT id, message, severity, is_enabled, NOT is_enabled AS is_hidden, CASE WHEN is_enabled THEN 'yes' ELSE '' END AS shown,
       to_char(created, 'YYYY-MM-DD HH24:MI') AS created
  FROM status_message WHERE strpos(lower(message), lower($1)) > 0
 ORDER BY status_message.created DESC, id DESC LIMIT $2::integer OFFSET $3::integer;

-- name: admin_notice_add
-- $1 message text
-- $2 severity text
INSERT INTO status_message (message, severity) VALUES ($1, $2) RETURNING id::text AS name;

-- name: admin_notice_show
-- $1 id text
UPDATE status_message SET is_enabled = true WHERE id::text = $1 AND NOT is_enabled RETURNING id::text AS name;

-- name: admin_notice_hide
-- $1 id text
UPDATE status_message SET is_enabled = false WHERE id::text = $1 AND is_enabled RETURNING id::text AS name;

-- name: admin_graphics_list
-- $1 part text
-- $2 limit integer
-- $3 offset integer
SELECT id, vendor_hex, adapter_hex, vendor_name, adapter_name, true AS is_there FROM graphics_device
 WHERE strpos(lower(vendor_hex || ' ' || coalesce(adapter_hex, '') || ' ' || vendor_name || ' ' || adapter_name), lower($1)) > 0
 ORDER BY vendor_hex, adapter_hex NULLS FIRST LIMIT $2::integer OFFSET $3::integer;

-- name: admin_graphics_add
-- Ids as reports have them: 0x and four digits.
-- $1 vendor_hex text
-- $2 adapter_hex text
-- $3 vendor_name text
-- $4 adapter_name text
INSERT INTO graphics_device (vendor_hex, adapter_hex, vendor_name, adapter_name)
SELECT '0x' || right(lower($1), 4), nullif('0x' || right(lower($2), 4), '0x'), $3, $4
 WHERE $1 ~* '^(0x)?[0-9a-f]{4}$' AND $2 ~* '^((0x)?[0-9a-f]{4})?$'
ON CONFLICT DO NOTHING RETURNING vendor_hex || coalesce(' ' || adapter_hex, '') AS name;

-- name: admin_graphics_delete
-- $1 id text
DELETE FROM graphics_device WHERE id::text = $1 RETURNING vendor_hex || coalesce(' ' || adapter_hex, '') AS name;

-- name: admin_platform_list
-- $1 part text
-- $2 limit integer
-- $3 offset integer
SELECT id, name, short_name, true AS is_there FROM platform WHERE strpos(lower(name || ' ' || short_name), lower($1)) > 0
 ORDER BY id LIMIT $2::integer OFFSET $3::integer;

-- name: admin_platform_add
-- $1 name text
-- $2 short_name text
INSERT INTO platform (name, short_name) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING name;

-- name: admin_platform_delete
-- $1 id text
DELETE FROM platform WHERE id::text = $1 RETURNING name;

-- name: admin_signature_list
-- $1 part text
-- $2 limit integer
-- $3 offset integer
SELECT signature, first_build, to_char(first_date, 'YYYY-MM-DD HH24:MI') AS first_date, true AS is_there FROM signature
 WHERE strpos(lower(signature), lower($1)) > 0
 ORDER BY signature.first_date DESC, signature LIMIT $2::integer OFFSET $3::integer;

-- name: admin_signature_add
-- $1 signature text
-- $2 first_build text
-- $3 first_date text
INSERT INTO signature (signature, first_build, first_date)
SELECT $1, CASE WHEN $2::text ~ '^[0-9]{1,18}$' THEN $2::text::bigint END, $3::timestamptz WHERE $2::text ~ '^[0-9]{0,18}$'
ON CONFLICT DO NOTHING RETURNING signature AS name;

-- name: admin_signature_delete
-- $1 signature text
DELETE FROM signature WHERE signature = $1 RETURNING signature AS name;

-- name: admin_version_list
-- $1 part text
-- $2 limit integer
-- $3 offset integer
SELECT id, product_name, release_channel, version_string, build_id, release_version, major_version, true AS is_there
  FROM product_version
 WHERE strpos(lower(product_name || ' ' || release_channel || ' ' || version_string || ' ' || build_id), lower($1)) > 0
 ORDER BY id DESC LIMIT $2::integer OFFSET $3::integer;

-- name: admin_version_delete
-- $1 id text
DELETE FROM product_version WHERE id::text = $1
RETURNING product_name || ' ' || release_channel || ' ' || version_string || ' ' || build_id AS name;

-- name: admin_bug_list
-- $1 part text
-- $2 limit integer
-- $3 offset integer
SELECT id, bug_id, signature, true AS is_there FROM bug_association
 WHERE strpos(lower(bug_id::text || ' ' || signature), lower($1)) > 0
 ORDER BY bug_id DESC, signature LIMIT $2::integer OFFSET $3::integer;

-- name: admin_bug_add
-- $1 bug_id text
-- $2 signature text
INSERT INTO bug_association (bug_id, signature) SELECT CASE WHEN $1::text ~ '^[1-9][0-9]{0,17}$' THEN $1::text::bigint END, $2
 WHERE $1::text ~ '^[1-9][0-9]{0,17}$'
ON CONFLICT DO NOTHING RETURNING bug_id || ' ' || signature AS name;

-- name: admin_bug_delete
-- $1 id text
DELETE FROM bug_association WHERE id::text = $1 RETURNING bug_id || ' ' || signature AS name;

-- name: admin_exception_list
-- $1 part text
-- $2 limit integer
-- $3 offset integer
SELECT e.id, u.email, e.comment, to_char(e.created_at, 'YYYY-MM-DD') AS created, true AS is_there
  FROM policy_exception e JOIN app_user u ON u.id = e.user_id
 WHERE strpos(lower(u.email || ' ' || e.comment), lower($1)) > 0
 ORDER BY lower(u.email) LIMIT $2::integer OFFSET $3::integer;

-- name: admin_exception_add
-- $1 email text
-- $2 comment text
WITH added AS (
    INSERT INTO policy_exception (user_id, comment) SELECT id, $2 FROM app_user WHERE lower(email) = lower($1)
    ON CONFLICT DO NOTHING RETURNING user_id
)
SELECT u.email AS name FROM added JOIN app_user u ON u.id = added.user_id;

-- name: admin_exception_delete
-- $1 id text
DELETE FROM policy_exception e USING app_user u WHERE u.id = e.user_id AND e.id::text = $1 RETURNING u.email AS name;

-- name: admin_account_list
-- $1 part text
-- $2 limit integer
-- $3 offset integer
SELECT u.email, u.name, CASE WHEN u.is_active THEN 'yes' ELSE '' END AS active, CASE WHEN u.is_superuser THEN 'yes' ELSE '' END AS superuser,
       to_char(u.date_joined, 'YYYY-MM-DD') AS joined, coalesce(to_char(u.last_login, 'YYYY-MM-DD'), 'never') AS last_login,
       coalesce((SELECT string_agg(g.name, ', ' ORDER BY g.name)
                   FROM app_user_group ug JOIN app_group g ON g.id = ug.group_id
                  WHERE ug.user_id = u.id), '') AS groups,
       CASE WHEN EXISTS (SELECT 1 FROM policy_exception e WHERE e.user_id = u.id) THEN 'yes' ELSE '' END AS excepted
  FROM app_user u WHERE strpos(lower(u.email || ' ' || u.name), lower($1)) > 0
 ORDER BY lower(u.email) LIMIT $2::integer OFFSET $3::integer;

-- name: admin_group_list
-- $1 part text
-- $2 limit integer
-- $3 offset integer
SELECT g.name, (SELECT count(*) FROM app_user_group ug WHERE ug.group_id = g.id) AS members,
       coalesce((SELECT string_agg(gp.permission, ', ' ORDER BY gp.permission)
                   FROM app_group_permission gp WHERE gp.group_id = g.id), '') AS permissions
  FROM app_group g WHERE strpos(lower(g.name), lower($1)) > 0 ORDER BY g.name LIMIT $2::integer OFFSET $3::integer;

-- name: admin_protected_list
-- Active accounts that see protected data, and why.
-- $1 part text
-- $2 limit integer
-- $3 offset integer
SELECT u.email, coalesce(to_char(u.last_login, 'YYYY-MM-DD'), 'never') AS last_login,
       concat_ws(', ', CASE WHEN u.is_superuser THEN 'superuser' END,
                 (SELECT string_agg(g.name, ', ' ORDER BY g.name)
                    FROM app_user_group ug JOIN app_group g ON g.id = ug.group_id
                   WHERE ug.user_id = u.id AND EXISTS (SELECT 1 FROM app_group_permission gp
                          WHERE gp.group_id = g.id AND gp.permission IN ('view_pii', 'view_rawdump'))),
                 (SELECT 'by itself: ' || string_agg(up.permission, ', ' ORDER BY up.permission)
                    FROM app_user_permission up
                   WHERE up.user_id = u.id AND up.permission IN ('view_pii', 'view_rawdump'))) AS because
  FROM app_user u
 WHERE strpos(lower(u.email), lower($1)) > 0
   AND EXISTS (SELECT 1 FROM app_user_effective e WHERE e.user_id = u.id AND e.permission IN ('view_pii', 'view_rawdump'))
 ORDER BY lower(u.email) LIMIT $2::integer OFFSET $3::integer;

-- name: admin_job_list
-- $1 part text
-- $2 limit integer
-- $3 offset integer
SELECT app_name, help, CASE WHEN ongoing IS NOT NULL THEN 'running' WHEN every IS NULL THEN 'off' WHEN error_count > 0 THEN 'fails'
                            WHEN is_overdue THEN 'overdue' ELSE '' END AS state,
       ongoing IS NULL AND every IS NOT NULL AS is_idle,
       coalesce(to_char(last_success, 'YYYY-MM-DD HH24:MI:SS'), 'never') AS last_success,
       to_char(next_run, 'YYYY-MM-DD HH24:MI:SS') AS next_run, last_error ->> 'value' AS error
  FROM cron_health WHERE strpos(lower(app_name || ' ' || help), lower($1)) > 0
 ORDER BY app_name LIMIT $2::integer OFFSET $3::integer;

-- name: admin_job_run
-- Due when the scheduler looks next.
-- $1 app_name text
UPDATE cron_job SET next_run = now() WHERE app_name = $1 AND ongoing IS NULL RETURNING app_name AS name;

-- name: admin_table_sizes
SELECT relname AS name, n_live_tup AS rows, n_dead_tup AS dead, pg_total_relation_size(relid) AS bytes
  FROM pg_stat_user_tables ORDER BY pg_total_relation_size(relid) DESC, relname;

-- name: admin_database
SELECT current_setting('server_version') AS version, pg_database_size(current_database()) AS bytes;

-- name: admin_migrations
SELECT name, to_char(applied_at, 'YYYY-MM-DD HH24:MI') AS applied FROM schema_migration ORDER BY name DESC;

-- name: admin_crash_places
-- What the database has of a crash.
-- $1 crash_id text
SELECT 'Ledger' AS place, 'state: ' || state AS text FROM crash_ledger WHERE crash_id = $1
UNION ALL
SELECT 'Queue', CASE state WHEN 0 THEN 'waiting' WHEN 1 THEN 'running' ELSE 'failed' END FROM crash_queue WHERE crash_id = $1
UNION ALL
SELECT 'Statistics', 'it is counted' WHERE EXISTS (SELECT 1 FROM crash_counted WHERE crash_id = $1);
