-- Crashes that a page put into the queue once more, so that it can show how far they are.  The queue alone does
-- not know who asked for what; items are kept for a week.

CREATE TABLE reprocess_run (
    run_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked_by   text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    ruleset    text NOT NULL,
    what       text NOT NULL,              -- the search, or "a list"
    total      integer NOT NULL
);

CREATE TABLE reprocess_item (
    run_id   bigint NOT NULL REFERENCES reprocess_run ON DELETE CASCADE,
    crash_id text NOT NULL CHECK (length(crash_id) = 36),
    PRIMARY KEY (run_id, crash_id)
);
