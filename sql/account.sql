-- Accounts, groups and tokens as the administrator's command handles them.

-- name: account_add
-- $1 email text
-- $2 name text
-- $3 password_hash text
-- $4 is_superuser boolean
-- $5 is_staff boolean
INSERT INTO app_user (email, name, password_hash, is_superuser, is_staff)
VALUES ($1, $2, $3, $4::boolean, $5::boolean)
RETURNING id;

-- name: account_find
-- $1 email text
SELECT id, is_active, is_superuser FROM app_user WHERE lower(email) = lower($1);

-- name: account_list
SELECT u.email, u.is_active, u.is_superuser,
       coalesce(to_char(u.last_login, 'YYYY-MM-DD'), 'never') AS last_login,
       coalesce((SELECT string_agg(g.name, ', ' ORDER BY g.name)
                   FROM app_user_group ug JOIN app_group g ON g.id = ug.group_id
                  WHERE ug.user_id = u.id), '') AS groups
  FROM app_user u ORDER BY lower(u.email);

-- name: account_set_active
-- Switching an account off also ends its sessions; its tokens are refused while it is off.
-- $1 email text
-- $2 is_active boolean
WITH changed AS (
    UPDATE app_user SET is_active = $2::boolean WHERE lower(email) = lower($1) RETURNING id
), ended AS (
    DELETE FROM web_session WHERE NOT $2::boolean AND user_id IN (SELECT id FROM changed)
)
SELECT id FROM changed;

-- name: account_set_password
-- A new password ends every session.
-- $1 email text
-- $2 password_hash text
WITH changed AS (
    UPDATE app_user SET password_hash = $2 WHERE lower(email) = lower($1) RETURNING id
), ended AS (
    DELETE FROM web_session WHERE user_id IN (SELECT id FROM changed)
)
SELECT id FROM changed;

-- name: group_list
SELECT g.name,
       (SELECT count(*) FROM app_user_group ug WHERE ug.group_id = g.id) AS members,
       coalesce((SELECT string_agg(gp.permission, ', ' ORDER BY gp.permission)
                   FROM app_group_permission gp WHERE gp.group_id = g.id), '') AS permissions
  FROM app_group g ORDER BY g.name;

-- name: group_find
-- $1 name text
SELECT id FROM app_group WHERE name = $1;

-- name: group_join
-- $1 user_id bigint
-- $2 group_id bigint
INSERT INTO app_user_group (user_id, group_id) VALUES ($1::bigint, $2::bigint)
ON CONFLICT DO NOTHING;

-- name: group_leave
-- $1 user_id bigint
-- $2 group_id bigint
DELETE FROM app_user_group WHERE user_id = $1::bigint AND group_id = $2::bigint;

-- name: permission_list
SELECT name, label FROM app_permission ORDER BY name;

-- name: account_may
-- Which of these permissions an account does not hold.
-- $1 user_id bigint
-- $2 permissions text[]
SELECT wanted.name,
       EXISTS (SELECT 1 FROM app_permission p WHERE p.name = wanted.name) AS is_known
  FROM unnest($2::text[]) AS wanted (name)
 WHERE NOT EXISTS (SELECT 1 FROM app_user_effective e
                    WHERE e.user_id = $1::bigint AND e.permission = wanted.name)
 ORDER BY wanted.name;

-- name: account_token_add
-- $1 user_id bigint
-- $2 key_hash text
-- $3 key_start text
-- $4 notes text
-- $5 days integer
-- $6 permissions text[]
-- $7 upload_api integer
WITH added AS (
    INSERT INTO api_token (user_id, key_hash, key_start, notes, expires_at,
                           preferred_upload_api_version)
    VALUES ($1::bigint, $2, $3, $4, now() + $5::integer * interval '1 day', $7::integer)
    RETURNING id
)
INSERT INTO api_token_permission (token_id, permission)
SELECT added.id, p.name FROM added, unnest($6::text[]) AS p (name);

-- name: account_token_list
SELECT t.id, t.key_start, u.email, to_char(t.expires_at, 'YYYY-MM-DD') AS expires,
       t.expires_at < now() AS is_expired, t.notes,
       coalesce((SELECT string_agg(tp.permission, ', ' ORDER BY tp.permission)
                   FROM api_token_permission tp WHERE tp.token_id = t.id), '') AS permissions
  FROM api_token t JOIN app_user u ON u.id = t.user_id
 ORDER BY lower(u.email), t.id;

-- name: account_token_remove
-- $1 id bigint
DELETE FROM api_token WHERE id = $1::bigint;

-- name: audit_add
-- user_name is kept when the account goes; commands write the name of the program.
-- $1 user_id bigint
-- $2 user_name text
-- $3 object text
-- $4 object_id text
-- $5 action text
-- $6 message text
INSERT INTO audit_log (user_id, user_name, object, object_id, action, message)
VALUES ($1::bigint, $2, $3, $4, $5, $6);
