-- What a purge still has to delete.
--
-- The raw crash, by which a crash is found, goes with the first step of its deletion; so that a
-- purge that is killed can go on, the ids stand here from before the first step until behind the
-- last.  Values that were looked for stand nowhere.

CREATE TABLE purge_run (
    run_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    annotation  text NOT NULL,             -- its name
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,               -- NULL: at work, or killed
    found       integer NOT NULL DEFAULT 0 -- crashes, until now
);

CREATE TABLE purge_item (
    crash_id text PRIMARY KEY CHECK (length(crash_id) = 36),
    run_id   bigint NOT NULL REFERENCES purge_run
);
