-- Who asks: sessions of browsers and API tokens.

-- name: session_find
-- The user of a session that is still good.  is_stale: last_seen should be brought up to date.
-- $1 id_hash text
SELECT u.id, u.email, u.is_superuser, u.is_staff,
       s.last_seen < now() - interval '1 minute' AS is_stale,
       array_to_string(ARRAY(SELECT e.permission FROM app_user_effective e
                              WHERE e.user_id = u.id), ',') AS permissions
  FROM web_session s JOIN app_user u ON u.id = s.user_id
 WHERE s.id_hash = $1 AND s.expires_at > now() AND u.is_active;

-- name: session_touch
-- A session lives `days` days from the last time it was seen.
-- $1 id_hash text
-- $2 days int
UPDATE web_session
   SET last_seen = now(), expires_at = now() + make_interval(days => $2::int)
 WHERE id_hash = $1;

-- name: session_add
-- Also the moment to forget sessions that have run out.
-- $1 id_hash text
-- $2 user_id bigint
-- $3 days int
WITH login AS (UPDATE app_user SET last_login = now() WHERE id = $2::bigint),
     old AS (DELETE FROM web_session WHERE expires_at < now())
INSERT INTO web_session (id_hash, user_id, expires_at)
VALUES ($1, $2::bigint, now() + make_interval(days => $3::int));

-- name: session_remove
-- $1 id_hash text
DELETE FROM web_session WHERE id_hash = $1;

-- name: token_find
-- A token and what it may do: what it was given, as long as its owner may.
-- $1 key_hash text
SELECT t.id AS token_id, u.id, u.email, u.is_active, t.expires_at < now() AS is_expired,
       array_to_string(ARRAY(SELECT tp.permission FROM api_token_permission tp
                               JOIN app_user_effective e USING (permission)
                              WHERE tp.token_id = t.id AND e.user_id = u.id), ',') AS permissions
  FROM api_token t JOIN app_user u ON u.id = t.user_id
 WHERE t.key_hash = $1;

-- name: token_upload_facts
-- What a client that uploads symbols asks about its token.
-- $1 id bigint
SELECT extract(epoch FROM expires_at)::bigint AS expires_s, preferred_upload_api_version
  FROM api_token WHERE id = $1::bigint;

-- name: token_owner_seen
-- $1 user_id bigint
UPDATE app_user SET last_login = now()
 WHERE id = $1::bigint AND (last_login IS NULL OR last_login < now() - interval '1 minute');
