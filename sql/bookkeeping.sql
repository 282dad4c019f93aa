-- What scheduled jobs keep: names of graphics devices, bugs of signatures, who may see what, versions.

-- name: graphics_device_put
-- Arrays of equal length.  Answers the rows that were added or changed.
-- $1 vendor_hex text[]
-- $2 adapter_hex text[]
-- $3 vendor_name text[]
-- $4 adapter_name text[]
INSERT INTO graphics_device AS g (vendor_hex, adapter_hex, vendor_name, adapter_name)
SELECT DISTINCT ON (d.vendor_hex, d.adapter_hex) d.vendor_hex, d.adapter_hex, d.vendor_name,
       d.adapter_name
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
       AS d (vendor_hex, adapter_hex, vendor_name, adapter_name, at)
 ORDER BY d.vendor_hex, d.adapter_hex, d.at DESC
ON CONFLICT (vendor_hex, adapter_hex) DO UPDATE
   SET vendor_name = excluded.vendor_name, adapter_name = excluded.adapter_name
 WHERE (g.vendor_name, g.adapter_name) IS DISTINCT FROM (excluded.vendor_name, excluded.adapter_name)
RETURNING g.xmax = 0 AS is_new;

-- name: bug_association_set
-- Makes the signatures of a bug these; answers what changed.
-- $1 bug_id bigint
-- $2 signatures text[]
-- $3 is_public boolean
WITH gone AS (
    DELETE FROM bug_association WHERE bug_id = $1::bigint AND NOT signature = ANY($2::text[])
    RETURNING signature
), added AS (
    INSERT INTO bug_association (bug_id, signature, is_public)
    SELECT DISTINCT $1::bigint, s.signature, $3::boolean FROM unnest($2::text[]) AS s (signature)
    ON CONFLICT (bug_id, signature) DO NOTHING
    RETURNING signature
), shown AS (
    UPDATE bug_association SET is_public = $3::boolean
     WHERE bug_id = $1::bigint AND is_public <> $3::boolean AND signature = ANY($2::text[])
)
SELECT signature, false AS is_new FROM gone
UNION ALL
SELECT signature, true FROM added
ORDER BY 2, 1;

-- name: audit_members
-- Members of the group that sees protected data, with what decides whether they stay.
SELECT u.id AS user_id, u.email, u.is_active,
       (extract(epoch FROM now() - u.last_login) / 86400)::bigint AS days_away,
       EXISTS (SELECT 1 FROM policy_exception e WHERE e.user_id = u.id) AS is_excepted,
       EXISTS (SELECT 1 FROM api_token t WHERE t.user_id = u.id AND t.expires_at > now()) AS has_token
  FROM app_user_group ug
  JOIN app_group g ON g.id = ug.group_id AND g.name = 'Hackers'
  JOIN app_user u ON u.id = ug.user_id
 ORDER BY lower(u.email);

-- name: audit_account
-- In whose name members are removed; it has no password and is switched off.
INSERT INTO app_user (email, name, is_active)
SELECT 'auditgroups', 'the job auditgroups', false
 WHERE NOT EXISTS (SELECT 1 FROM app_user WHERE email = 'auditgroups');

-- name: audit_remove
-- $1 user_id bigint
-- $2 reason text
WITH gone AS (
    DELETE FROM app_user_group ug USING app_group g
     WHERE g.id = ug.group_id AND g.name = 'Hackers' AND ug.user_id = $1::bigint
    RETURNING ug.user_id
)
INSERT INTO audit_log (user_id, user_name, object, object_id, action, message)
SELECT a.id, 'auditgroups', 'user', u.email, 'change',
       'Removed ' || u.email || ' from hackers--' || $2::text || '.'
  FROM gone JOIN app_user u ON u.id = gone.user_id
  LEFT JOIN app_user a ON a.email = 'auditgroups';

-- name: product_version_put
-- Arrays of equal length; what is there already is skipped.  Answers the number of new rows.
-- $1 product_name text[]
-- $2 release_channel text[]
-- $3 major_version integer[]
-- $4 release_version text[]
-- $5 version_string text[]
-- $6 build_id text[]
-- $7 archive_url text[]
WITH added AS (
    INSERT INTO product_version (product_name, release_channel, major_version, release_version,
                                 version_string, build_id, archive_url)
    SELECT v.product_name, v.release_channel, v.major_version, v.release_version, v.version_string,
           v.build_id, nullif(v.archive_url, '')
      FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[])
           WITH ORDINALITY AS v (product_name, release_channel, major_version, release_version,
                                 version_string, build_id, archive_url, at)
     ORDER BY v.at
    ON CONFLICT (product_name, release_channel, build_id, version_string) DO NOTHING
    RETURNING 1
)
SELECT count(*) AS count FROM added;

-- name: product_version_all
SELECT product_name, release_channel, major_version, release_version, version_string, build_id,
       coalesce(archive_url, '') AS archive_url
  FROM product_version;

-- name: product_version_newest_major
-- 0: no version of this product is known.
-- $1 product text
SELECT coalesce(max(major_version), 0) AS major FROM product_version WHERE product_name = $1;
