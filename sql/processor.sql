-- What rules look up.

-- name: version_strings
-- Versions of one build, in a stable order.
-- $1 product text
-- $2 channel text
-- $3 build_id text
SELECT version_string FROM product_version
 WHERE product_name = $1 AND release_channel = $2 AND build_id = $3
 ORDER BY id;

-- name: crash_original
-- The crash that has this fingerprint: the caller's, if nobody had it before.  Two that ask at once
-- wait for each other.  No row: the caller was deleted meanwhile.
-- $1 fingerprint text: hexadecimal
-- $2 crash_id text
-- $3 crash_time bigint
INSERT INTO crash_original AS o (fingerprint, crash_id, crash_time)
SELECT decode($1, 'hex'), l.crash_id, $3::bigint FROM crash_ledger l WHERE l.crash_id = $2
ON CONFLICT (fingerprint) DO UPDATE SET crash_id = o.crash_id
RETURNING crash_id, crash_time;
