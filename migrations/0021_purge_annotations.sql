-- Taking annotations out of crashes goes through the same rows as deleting crashes (0017, 0020).
--
-- A raw crash without the annotation is not found again, so a crash stands in purge_strip before the
-- first change to it and until it was processed again and the index was rewritten behind that.

ALTER TABLE purge_run
    ADD COLUMN names       text[] NOT NULL DEFAULT '{}', -- annotations to take out; empty: crashes are deleted
    ADD COLUMN drops_dumps boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT purge_run_state_check,
    ADD CONSTRAINT purge_run_state_check
        CHECK (state IN ('preview', 'previewed', 'running', 'processing', 'done', 'cancelled'));

CREATE TABLE purge_strip (
    run_id    bigint NOT NULL REFERENCES purge_run,
    crash_id  text NOT NULL CHECK (length(crash_id) = 36),
    is_queued boolean NOT NULL DEFAULT false, -- changed, and queued for processing
    PRIMARY KEY (run_id, crash_id)
);
