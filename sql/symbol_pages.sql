-- What the pages and the JSON API of the symbol server read and change.

-- name: symbol_stats
-- Uploads of today, yesterday and the last 30 days (UTC): how many, and bytes of archives.
-- $1 user_id bigint: whose; NULL: everybody's
SELECT p.name, count(u.id) AS n, coalesce(sum(u.size), 0)::bigint AS bytes
  FROM (VALUES (1, 'today', 0, -1), (2, 'yesterday', 1, 0), (3, 'last_30_days', 30, -1))
       AS p (place, name, first_day, end_day)
  LEFT JOIN symbol_upload u
    ON u.created_at >= (date_trunc('day', now() AT TIME ZONE 'UTC')
                        - make_interval(days => p.first_day)) AT TIME ZONE 'UTC'
   AND u.created_at < (date_trunc('day', now() AT TIME ZONE 'UTC')
                       - make_interval(days => p.end_day)) AT TIME ZONE 'UTC'
   AND ($1::bigint IS NULL OR u.user_id = $1::bigint)
 GROUP BY p.place, p.name ORDER BY p.place;

-- name: symbol_user_matching
-- Accounts with this text in their address, in any case.
-- $1 part text
SELECT id FROM app_user WHERE position(lower($1) IN lower(email)) > 0;

-- name: symbol_upload_newest
-- One page of uploads; the filters are those of the function.
-- $1 users bigint[]
-- $2 not_users bigint[]
-- $3 size_least bigint
-- $4 size_most bigint
-- $5 created_from bigint
-- $6 created_end bigint
-- $7 completed_from bigint
-- $8 completed_end bigint
-- $9 completed_is_null boolean
-- $10 limit bigint
-- $11 offset bigint
SELECT symbol_upload_record(p.u) #- '{user,id}' AS record
  FROM (SELECT u FROM symbol_upload_matching($1::bigint[], $2::bigint[], $3::bigint, $4::bigint,
               $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::boolean) u
         ORDER BY (u).created_at DESC, (u).id DESC LIMIT $10::bigint OFFSET $11::bigint) p;

-- name: symbol_upload_oldest
-- The same the other way round.
-- $1 users bigint[]
-- $2 not_users bigint[]
-- $3 size_least bigint
-- $4 size_most bigint
-- $5 created_from bigint
-- $6 created_end bigint
-- $7 completed_from bigint
-- $8 completed_end bigint
-- $9 completed_is_null boolean
-- $10 limit bigint
-- $11 offset bigint
SELECT symbol_upload_record(p.u) #- '{user,id}' AS record
  FROM (SELECT u FROM symbol_upload_matching($1::bigint[], $2::bigint[], $3::bigint, $4::bigint,
               $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::boolean) u
         ORDER BY (u).created_at, (u).id LIMIT $10::bigint OFFSET $11::bigint) p;

-- name: symbol_upload_largest
-- $1 users bigint[]
-- $2 not_users bigint[]
-- $3 size_least bigint
-- $4 size_most bigint
-- $5 created_from bigint
-- $6 created_end bigint
-- $7 completed_from bigint
-- $8 completed_end bigint
-- $9 completed_is_null boolean
-- $10 limit bigint
-- $11 offset bigint
SELECT symbol_upload_record(p.u) #- '{user,id}' AS record
  FROM (SELECT u FROM symbol_upload_matching($1::bigint[], $2::bigint[], $3::bigint, $4::bigint,
               $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::boolean) u
         ORDER BY (u).size DESC, (u).id DESC LIMIT $10::bigint OFFSET $11::bigint) p;

-- name: symbol_upload_smallest
-- $1 users bigint[]
-- $2 not_users bigint[]
-- $3 size_least bigint
-- $4 size_most bigint
-- $5 created_from bigint
-- $6 created_end bigint
-- $7 completed_from bigint
-- $8 completed_end bigint
-- $9 completed_is_null boolean
-- $10 limit bigint
-- $11 offset bigint
SELECT symbol_upload_record(p.u) #- '{user,id}' AS record
  FROM (SELECT u FROM symbol_upload_matching($1::bigint[], $2::bigint[], $3::bigint, $4::bigint,
               $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::boolean) u
         ORDER BY (u).size, (u).id LIMIT $10::bigint OFFSET $11::bigint) p;

-- name: symbol_upload_count
-- $1 users bigint[]
-- $2 not_users bigint[]
-- $3 size_least bigint
-- $4 size_most bigint
-- $5 created_from bigint
-- $6 created_end bigint
-- $7 completed_from bigint
-- $8 completed_end bigint
-- $9 completed_is_null boolean
SELECT count(*) AS total
  FROM symbol_upload_matching($1::bigint[], $2::bigint[], $3::bigint, $4::bigint, $5::bigint,
                              $6::bigint, $7::bigint, $8::bigint, $9::boolean);

-- name: symbol_upload_get
-- $1 id bigint
SELECT u.user_id, symbol_upload_record(u) AS record, u.warnings
  FROM symbol_upload u WHERE u.id = $1::bigint;

-- name: symbol_upload_files
-- Oldest first.
-- $1 upload_id bigint
SELECT symbol_file_record(f) - 'upload' AS record
  FROM symbol_file f WHERE f.upload_id = $1::bigint ORDER BY f.created_at, f.id;

-- name: symbol_upload_related
-- Other uploads of the same user that look like the same archive, newest first.
-- $1 id bigint
SELECT symbol_upload_record(o) AS record
  FROM symbol_upload u JOIN symbol_upload o
    ON o.id <> u.id AND o.user_id = u.user_id AND o.size = u.size
   AND CASE WHEN u.content_hash IS NULL THEN o.filename = u.filename
            ELSE o.content_hash = u.content_hash END
 WHERE u.id = $1::bigint ORDER BY o.created_at DESC, o.id DESC LIMIT 100;

-- name: symbol_file_newest
-- One page of files without a filter of their keys, newest first.
-- $1 size_least bigint
-- $2 size_most bigint
-- $3 created_from bigint
-- $4 created_end bigint
-- $5 completed_from bigint
-- $6 completed_end bigint
-- $7 completed_is_null boolean
-- $8 areas text[]
-- $9 buckets text[]
-- $10 not_buckets text[]
-- $11 limit bigint
-- $12 offset bigint
SELECT symbol_file_record(p.f) AS record
  FROM (SELECT f FROM symbol_file_matching($1::bigint, $2::bigint, $3::bigint, $4::bigint, $5::bigint,
               $6::bigint, $7::boolean, $8::text[], $9::text[], $10::text[]) f
         ORDER BY (f).created_at DESC, (f).id DESC LIMIT $11::bigint OFFSET $12::bigint) p;

-- name: symbol_file_count
-- $1 size_least bigint
-- $2 size_most bigint
-- $3 created_from bigint
-- $4 created_end bigint
-- $5 completed_from bigint
-- $6 completed_end bigint
-- $7 completed_is_null boolean
-- $8 areas text[]
-- $9 buckets text[]
-- $10 not_buckets text[]
SELECT count(*) AS total
  FROM symbol_file_matching($1::bigint, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint,
                            $7::boolean, $8::text[], $9::text[], $10::text[]);

-- name: symbol_file_by_key
-- One page of files whose key fits a pattern, and how many there are in all.  The pattern that the
-- index is asked for stands alone; matches are collected first, so that the order of the page cannot
-- talk the planner into reading the table from its end.  At least one row, without a record when the
-- page is empty.
-- $1 size_least bigint
-- $2 size_most bigint
-- $3 created_from bigint
-- $4 created_end bigint
-- $5 completed_from bigint
-- $6 completed_end bigint
-- $7 completed_is_null boolean
-- $8 areas text[]
-- $9 buckets text[]
-- $10 not_buckets text[]
-- $11 limit bigint
-- $12 offset bigint
-- $13 pattern text
-- $14 other_patterns text[]
WITH hit AS MATERIALIZED (
    SELECT f.id, f.created_at
      FROM symbol_file_matching($1::bigint, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint,
                                $7::boolean, $8::text[], $9::text[], $10::text[]) f
     WHERE f.key ILIKE $13 AND f.key ILIKE ALL($14::text[])
)
SELECT t.total, CASE WHEN p.created_at IS NOT NULL THEN symbol_file_record(p.f) END AS record
  FROM (SELECT count(*) AS total FROM hit) t
  LEFT JOIN (SELECT h.created_at, f
               FROM (SELECT id, created_at FROM hit
                      ORDER BY created_at DESC, id DESC LIMIT $11::bigint OFFSET $12::bigint) h
               JOIN symbol_file f ON f.id = h.id) p ON true
 ORDER BY p.created_at DESC, (p.f).id DESC;

-- name: symbol_file_get
-- $1 id bigint
SELECT u.user_id, f.upload_id, f.area, f.key,
       symbol_file_record(f) || jsonb_build_object(
           'debug_filename', f.debug_filename, 'debug_id', f.debug_id, 'code_file', f.code_file,
           'code_id', f.code_id, 'generator', f.generator,
           'upload', CASE WHEN u.id IS NULL THEN NULL ELSE symbol_upload_record(u) END) AS record,
       EXISTS (SELECT 1 FROM symbol_object o WHERE o.area = f.area AND o.key = f.key) AS exists
  FROM symbol_file f LEFT JOIN symbol_upload u ON u.id = f.upload_id
 WHERE f.id = $1::bigint;

-- name: symbol_permission_ids
-- Numbers of permissions, which the JSON API names them by.
SELECT id, name, label FROM app_permission ORDER BY id;

-- name: symbol_token_list
-- Tokens of a user, newest first; permissions are names with commas between.
-- $1 user_id bigint
SELECT t.id, t.key_start, t.notes, t.expires_at < now() AS is_expired,
       (extract(epoch FROM t.expires_at) * 1000000)::bigint AS expires_us,
       (extract(epoch FROM t.created_at) * 1000000)::bigint AS created_us,
       coalesce((SELECT string_agg(tp.permission, ',' ORDER BY p.id)
                   FROM api_token_permission tp JOIN app_permission p ON p.name = tp.permission
                  WHERE tp.token_id = t.id), '') AS permissions
  FROM api_token t WHERE t.user_id = $1::bigint ORDER BY t.created_at DESC, t.id DESC;

-- name: symbol_token_remove
-- One's own, or anybody's.
-- $1 id bigint
-- $2 user_id bigint: NULL: whosever it is
DELETE FROM api_token WHERE id = $1::bigint AND ($2::bigint IS NULL OR user_id = $2::bigint);

-- name: symbol_token_extend
-- Not beyond a hundred years: no date of a page has five digits.
-- $1 id bigint
-- $2 user_id bigint
-- $3 days integer
UPDATE api_token
   SET expires_at = least(expires_at + make_interval(days => $3::integer),
                          greatest(expires_at, now() + interval '100 years'))
 WHERE id = $1::bigint AND user_id = $2::bigint;

-- name: symbol_users
-- Accounts as superusers see them; groups are names.
SELECT u.id, u.email, u.is_active, u.is_superuser, u.is_staff,
       to_char(u.date_joined AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS joined,
       coalesce(to_char(u.last_login AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), 'never') AS last_login,
       (SELECT count(*) FROM symbol_upload s WHERE s.user_id = u.id) AS uploads,
       (SELECT count(*) FROM api_token t WHERE t.user_id = u.id) AS tokens,
       coalesce((SELECT to_char(max(s.created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
                   FROM symbol_upload s WHERE s.user_id = u.id), '') AS last_upload,
       coalesce((SELECT string_agg(g.name, ', ' ORDER BY g.name)
                   FROM app_user_group ug JOIN app_group g ON g.id = ug.group_id
                  WHERE ug.user_id = u.id), '') AS groups
  FROM app_user u ORDER BY lower(u.email) LIMIT 2000;

-- name: symbol_user_get
-- $1 id bigint
SELECT id, email, is_active, is_superuser FROM app_user WHERE id = $1::bigint;

-- name: symbol_user_groups
-- Every group, and whether the account is in it.
-- $1 user_id bigint
SELECT g.id, g.name,
       EXISTS (SELECT 1 FROM app_user_group ug
                WHERE ug.group_id = g.id AND ug.user_id = $1::bigint) AS is_member
  FROM app_group g ORDER BY g.name;

-- name: symbol_user_set
-- Groups that are not named are left; an account that is switched off has no session any more.
-- $1 id bigint
-- $2 is_active boolean
-- $3 is_superuser boolean
-- $4 groups bigint[]
WITH changed AS (
    UPDATE app_user SET is_active = $2::boolean, is_superuser = $3::boolean
     WHERE id = $1::bigint RETURNING id
), ended AS (
    DELETE FROM web_session WHERE NOT $2::boolean AND user_id IN (SELECT id FROM changed)
), left_groups AS (
    DELETE FROM app_user_group
     WHERE user_id IN (SELECT id FROM changed) AND group_id <> ALL($4::bigint[])
), joined_groups AS (
    INSERT INTO app_user_group (user_id, group_id)
    SELECT c.id, g.id FROM changed c, app_group g WHERE g.id = ANY($4::bigint[])
    ON CONFLICT DO NOTHING
)
SELECT id FROM changed;

-- name: symbol_audit
-- What was changed of accounts and tokens, newest first.
-- $1 limit bigint
-- $2 offset bigint
SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS at, user_name, object, object_id,
       action, message
  FROM audit_log WHERE object IN ('user', 'group', 'token')
 ORDER BY audit_log.at DESC, id DESC LIMIT $1::bigint OFFSET $2::bigint;

-- name: symbol_area_sizes
-- What the store holds: files and bytes by area.
SELECT area, count(*) AS files, coalesce(sum(stored_size), 0)::bigint AS bytes
  FROM symbol_object GROUP BY area ORDER BY area;

-- name: symbol_count_uploads
SELECT count(*) AS n FROM symbol_upload;

-- name: symbol_count_files
SELECT count(*) AS n FROM symbol_file;

-- name: symbol_count_objects
SELECT count(*) AS n FROM symbol_object;

-- name: symbol_count_missing
SELECT count(*) AS n FROM missing_symbol;

-- name: symbol_count_tokens
SELECT count(*) AS n FROM api_token;

-- name: symbol_count_users
SELECT count(*) AS n FROM app_user;

-- name: symbol_migrations
SELECT name FROM schema_migration ORDER BY name;
