-- Which report of a crash came first: one row per fingerprint, that is, client facts and hash of the
-- dump (processor/rules_twin.c).  Whoever comes first has the row for as long as it exists.

CREATE TABLE crash_original (
    fingerprint bytea PRIMARY KEY, -- SHA-256
    crash_id    text NOT NULL REFERENCES crash_ledger ON DELETE CASCADE,
    crash_time  bigint NOT NULL -- by the client's clock, seconds since 1970
);
CREATE INDEX crash_original_crash_id ON crash_original (crash_id);
