-- Statistics of signatures: what each crash adds, and the tables that are sums of it.

-- One row per processed crash, written with its ledger row.  That makes the sums exact without a
-- counter that many workers would wait for: a crash that is processed again replaces its row (but not
-- the time), one that is deleted takes it along.  Retention only cuts the tie to the ledger
-- (crash_id NULL), so the sums stay.  installation is a hash; no protected value is in here.
CREATE TABLE crash_counted (
    crash_id     text UNIQUE REFERENCES crash_ledger ON DELETE CASCADE,
    processed    timestamptz NOT NULL, -- date_processed of the first processing
    product      text NOT NULL,
    channel      text NOT NULL,
    version      text NOT NULL,
    build        bigint NOT NULL,      -- 0: unknown
    platform     text NOT NULL,
    process_type text NOT NULL,
    signature    text NOT NULL,
    estimate     double precision NOT NULL, -- crashes this one stands for: 1/throttle_rate
    is_startup   boolean NOT NULL,
    is_oom       boolean NOT NULL,
    is_duplicate boolean NOT NULL,
    installation bytea                 -- 8 bytes; NULL: unknown
);
CREATE INDEX crash_counted_signature ON crash_counted (signature, processed);
CREATE INDEX crash_counted_processed ON crash_counted (processed);

CREATE VIEW signature_hourly AS
    SELECT date_trunc('hour', processed, 'UTC') AS hour, product, channel, version, build, platform,
           process_type, signature,
           count(*) FILTER (WHERE NOT is_duplicate) AS count,
           count(*) FILTER (WHERE is_duplicate) AS duplicates,
           coalesce(sum(estimate) FILTER (WHERE NOT is_duplicate), 0) AS estimate,
           count(*) FILTER (WHERE is_startup AND NOT is_duplicate) AS startup,
           count(*) FILTER (WHERE is_oom AND NOT is_duplicate) AS oom
      FROM crash_counted
     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;

CREATE VIEW signature_daily AS
    SELECT (processed AT TIME ZONE 'UTC')::date AS day, product, channel, version, platform,
           process_type, signature,
           count(*) FILTER (WHERE NOT is_duplicate) AS count,
           count(*) FILTER (WHERE is_duplicate) AS duplicates,
           coalesce(sum(estimate) FILTER (WHERE NOT is_duplicate), 0) AS estimate,
           count(*) FILTER (WHERE is_startup AND NOT is_duplicate) AS startup,
           count(*) FILTER (WHERE is_oom AND NOT is_duplicate) AS oom,
           count(DISTINCT installation) FILTER (WHERE NOT is_duplicate) AS installs
      FROM crash_counted
     GROUP BY 1, 2, 3, 4, 5, 6, 7;

CREATE VIEW signature_build AS
    SELECT product, channel, build, signature,
           count(*) FILTER (WHERE NOT is_duplicate) AS count,
           count(*) FILTER (WHERE is_duplicate) AS duplicates,
           count(DISTINCT installation) FILTER (WHERE NOT is_duplicate) AS installs,
           min(processed) AS first_seen, max(processed) AS last_seen
      FROM crash_counted
     WHERE build > 0
     GROUP BY 1, 2, 3, 4;

-- The form in which a program hands over what crashes add.
CREATE TYPE counted_crash AS (
    crash_id text, processed timestamptz, product text, channel text, version text, build bigint,
    platform text, process_type text, signature text, estimate double precision, is_startup boolean,
    is_oom boolean, is_duplicate boolean, installation text
);
