-- Purges: what is still to be deleted.

-- name: purge_begin
-- $1 annotation text
INSERT INTO purge_run (annotation) VALUES ($1) RETURNING run_id;

-- name: purge_note
-- Before the first of them is touched.  A crash that an earlier run has noted stays with it.
-- $1 run_id bigint
-- $2 crash_ids text[]
WITH noted AS (
    INSERT INTO purge_item (crash_id, run_id)
    SELECT crash_id, $1::bigint FROM unnest($2::text[]) AS c (crash_id)
    ON CONFLICT DO NOTHING RETURNING crash_id
)
UPDATE purge_run SET found = found + (SELECT count(*) FROM noted) WHERE run_id = $1::bigint;

-- name: purge_left
-- $1 limit integer
SELECT crash_id FROM purge_item ORDER BY right(crash_id, 6), crash_id LIMIT $1::integer;

-- name: purge_done
-- $1 crash_ids text[]
DELETE FROM purge_item WHERE crash_id = ANY($1::text[]);

-- name: purge_end
-- Of this run, and of earlier ones that were killed: nothing of them is left.
UPDATE purge_run SET finished_at = now()
 WHERE finished_at IS NULL AND NOT EXISTS (SELECT 1 FROM purge_item i WHERE i.run_id = purge_run.run_id);
