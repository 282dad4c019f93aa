-- What rules look up.

-- name: version_strings
-- Versions of one build, in a stable order.
-- $1 product text
-- $2 channel text
-- $3 build_id text
SELECT version_string FROM product_version
 WHERE product_name = $1 AND release_channel = $2 AND build_id = $3
 ORDER BY id;
