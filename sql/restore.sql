-- What `datil restore` asks of a database and mends in one that comes out of a dump.

-- name: restore_tables
SELECT count(*) AS count FROM pg_tables WHERE schemaname = 'public';

-- name: restore_forget_claims
-- The workers of then are gone without having died: their messages wait again.
WITH twin AS (
    DELETE FROM crash_queue r WHERE r.state = 1
       AND EXISTS (SELECT 1 FROM crash_queue w WHERE w.state = 0 AND w.crash_id = r.crash_id
                                                 AND w.ruleset = r.ruleset)
    RETURNING r.id
)
UPDATE crash_queue SET state = 0, not_before = now(), locked_by = NULL, locked_until = NULL
 WHERE state = 1 AND id NOT IN (SELECT id FROM twin);

-- name: restore_forget_locks
UPDATE cron_job SET ongoing = NULL WHERE ongoing IS NOT NULL;
