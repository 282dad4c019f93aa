-- What db_migrate needs.

-- name: migration_lock
-- One migrating process at a time; held by the session.
-- $1 key bigint
SELECT pg_advisory_lock($1::bigint) AS locked;

-- name: migration_unlock
-- $1 key bigint
SELECT pg_advisory_unlock($1::bigint) AS was_locked;

-- name: migration_table_exists
SELECT to_regclass('schema_migration') IS NOT NULL AS is_there;

-- name: migration_list
SELECT name, sha256 FROM schema_migration ORDER BY name;

-- name: migration_add
-- $1 name text
-- $2 sha256 text
INSERT INTO schema_migration (name, sha256) VALUES ($1, $2);

-- name: db_ping
SELECT now() AS now, current_setting('server_version') AS version,
       extract(epoch FROM now())::bigint AS now_s;
