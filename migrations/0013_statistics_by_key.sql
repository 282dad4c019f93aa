-- Statistics of signatures: a key per combination, a narrow row per crash, sums of days that are over.
--
-- counted_key      what crashes are counted by, once per combination
-- crash_counted    one row per crash that is kept; the memory that makes every sum exact
-- counted_day      sums of crashes that retention has removed, which cannot change any more
-- counted_seen     first and last of a signature in those, kept for good
--
-- Everything that people read (signature_hourly, _daily, _build, _seen) is a view over these.

DROP VIEW signature_hourly, signature_daily, signature_build;
ALTER TABLE crash_counted RENAME TO crash_counted_wide;
ALTER INDEX crash_counted_signature RENAME TO crash_counted_wide_signature;
ALTER INDEX crash_counted_processed RENAME TO crash_counted_wide_processed;

CREATE TABLE counted_key (
    key_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signature    text NOT NULL,
    product      text NOT NULL,
    channel      text NOT NULL,
    version      text NOT NULL,
    build        bigint NOT NULL, -- 0: unknown
    platform     text NOT NULL,
    process_type text NOT NULL,
    version_key  text COLLATE "C", -- sorts as versions do; NULL: is none
    UNIQUE (signature, product, channel, version, build, platform, process_type)
);

CREATE TABLE crash_counted (
    crash_id     text UNIQUE REFERENCES crash_ledger ON DELETE CASCADE, -- NULL: retention took it
    key_id       bigint NOT NULL REFERENCES counted_key,
    processed    timestamptz NOT NULL,      -- date_processed of the first processing
    estimate     double precision NOT NULL, -- crashes this one stands for: 1/throttle_rate
    installation bigint,                    -- a salted hash; NULL: unknown
    is_startup   boolean NOT NULL,
    is_oom       boolean NOT NULL,
    is_duplicate boolean NOT NULL
);
CREATE INDEX crash_counted_key ON crash_counted (key_id, processed);
CREATE INDEX crash_counted_processed ON crash_counted (processed);
CREATE INDEX crash_counted_over ON crash_counted (processed) WHERE crash_id IS NULL;

CREATE TABLE counted_day (
    day           date NOT NULL,
    key_id        bigint NOT NULL REFERENCES counted_key,
    count         bigint NOT NULL,
    duplicates    bigint NOT NULL,
    estimate      double precision NOT NULL,
    startup       bigint NOT NULL,
    oom           bigint NOT NULL,
    first_seen    timestamptz NOT NULL,
    last_seen     timestamptz NOT NULL,
    installations bigint[] NOT NULL, -- distinct, of crashes that are no duplicates
    PRIMARY KEY (key_id, day)
);
CREATE INDEX counted_day_day ON counted_day (day);

CREATE TABLE counted_seen (
    signature         text NOT NULL,
    product           text NOT NULL,
    channel           text NOT NULL,
    first_date        timestamptz NOT NULL,
    last_date         timestamptz NOT NULL,
    first_build       bigint, -- NULL: no crash had one
    last_build        bigint,
    first_version_key text COLLATE "C",
    first_version     text,
    last_version_key  text COLLATE "C",
    last_version      text,
    PRIMARY KEY (signature, product, channel)
);

-- Times of installation can be guessed, and hashed one by one until a hash fits.  So what programs
-- hash is hashed again with a secret of this installation, 244 random bits, which no page shows.
-- It lies in the database, so that whoever restores a backup counts on with the same hashes.
CREATE TABLE counted_salt (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    salt    text NOT NULL
);
INSERT INTO counted_salt (salt) VALUES (gen_random_uuid()::text || gen_random_uuid()::text);

CREATE FUNCTION salted_installation(hash text) RETURNS bigint LANGUAGE sql STABLE STRICT AS $$
    SELECT ('x' || substr(encode(sha256(convert_to(s.salt || hash, 'UTF8')), 'hex'), 1, 16))::bit(64)::bigint
      FROM counted_salt s
$$;

INSERT INTO counted_key (signature, product, channel, version, build, platform, process_type)
    SELECT DISTINCT signature, product, channel, version, build, platform, process_type FROM crash_counted_wide;
INSERT INTO crash_counted (crash_id, key_id, processed, estimate, installation, is_startup, is_oom, is_duplicate)
    SELECT w.crash_id, k.key_id, w.processed, w.estimate, salted_installation(encode(w.installation, 'hex')),
           w.is_startup, w.is_oom, w.is_duplicate
      FROM crash_counted_wide w
      JOIN counted_key k USING (signature, product, channel, version, build, platform, process_type);
DROP TABLE crash_counted_wide;

ALTER TYPE counted_crash ADD ATTRIBUTE version_key text;

-- Counts crashes, or counts them anew; the time of the first counting stays.  The caller holds the
-- ledger rows of crash_ids; others in `counted` are left out.  Callers with many take turns, since
-- rows of signatures are locked in the order in which crashes leave them.
CREATE FUNCTION count_crashes(counted jsonb, crash_ids text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    IF cardinality(crash_ids) > 1 THEN
        PERFORM pg_advisory_xact_lock('crash_counted'::regclass::bigint);
    END IF;
    INSERT INTO counted_key AS k (signature, product, channel, version, build, platform, process_type, version_key)
    SELECT DISTINCT c.signature, c.product, c.channel, c.version, c.build, c.platform, c.process_type, c.version_key
      FROM jsonb_populate_recordset(NULL::counted_crash, counted) c
     WHERE c.crash_id = ANY (crash_ids)
       AND NOT EXISTS (SELECT 1 FROM counted_key o
                        WHERE o.signature = c.signature AND o.product = c.product AND o.channel = c.channel
                          AND o.version = c.version AND o.build = c.build AND o.platform = c.platform
                          AND o.process_type = c.process_type
                          AND o.version_key IS NOT DISTINCT FROM c.version_key)
     ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (signature, product, channel, version, build, platform, process_type)
    DO UPDATE SET version_key = excluded.version_key;

    INSERT INTO crash_counted AS c (crash_id, key_id, processed, estimate, installation, is_startup, is_oom,
                                    is_duplicate)
    SELECT DISTINCT ON (d.crash_id) d.crash_id, k.key_id, coalesce(d.processed, now()), d.estimate,
           salted_installation(d.installation), d.is_startup, d.is_oom, d.is_duplicate
      FROM jsonb_populate_recordset(NULL::counted_crash, counted) d
      JOIN counted_key k ON k.signature = d.signature AND k.product = d.product AND k.channel = d.channel
                        AND k.version = d.version AND k.build = d.build AND k.platform = d.platform
                        AND k.process_type = d.process_type
     WHERE d.crash_id = ANY (crash_ids)
     ORDER BY d.crash_id
    ON CONFLICT (crash_id) DO UPDATE
       SET key_id = excluded.key_id, estimate = excluded.estimate, installation = excluded.installation,
           is_startup = excluded.is_startup, is_oom = excluded.is_oom, is_duplicate = excluded.is_duplicate;
    GET DIAGNOSTICS n = ROW_COUNT;

    INSERT INTO signature AS s (signature, first_build, first_date)
    SELECT k.signature, min(nullif(k.build, 0)), min(c.processed)
      FROM crash_counted c JOIN counted_key k USING (key_id)
     WHERE c.crash_id = ANY (crash_ids) AND k.signature <> ''
       AND NOT EXISTS (SELECT 1 FROM signature o
                        WHERE o.signature = k.signature AND o.first_date <= c.processed
                          AND (k.build = 0 OR o.first_build <= k.build))
     GROUP BY k.signature
     ORDER BY k.signature
    ON CONFLICT (signature) DO UPDATE
       SET first_build = least(s.first_build, excluded.first_build),
           first_date = least(s.first_date, excluded.first_date);
    RETURN n;
END
$$;

-- Sums of crashes that retention has taken and that are older than the hourly table goes back; at
-- most max_rows of them, answers how many.  All or nothing, so a sum is here or there.
CREATE FUNCTION fold_counted(before timestamptz, max_rows integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    WITH gone AS (
        DELETE FROM crash_counted
         WHERE ctid = ANY (ARRAY(SELECT ctid FROM crash_counted
                                  WHERE crash_id IS NULL AND processed < before
                                  ORDER BY processed LIMIT max_rows FOR UPDATE SKIP LOCKED))
        RETURNING *
    ), seen AS (
        INSERT INTO counted_seen AS s
        SELECT k.signature, k.product, k.channel, min(g.processed), max(g.processed),
               min(nullif(k.build, 0)), max(nullif(k.build, 0)),
               min(k.version_key), (array_agg(k.version ORDER BY k.version_key) FILTER (WHERE k.version_key IS NOT NULL))[1],
               max(k.version_key), (array_agg(k.version ORDER BY k.version_key DESC) FILTER (WHERE k.version_key IS NOT NULL))[1]
          FROM gone g JOIN counted_key k USING (key_id)
         GROUP BY 1, 2, 3
        ON CONFLICT (signature, product, channel) DO UPDATE
           SET first_date = least(s.first_date, excluded.first_date),
               last_date = greatest(s.last_date, excluded.last_date),
               first_build = least(s.first_build, excluded.first_build),
               last_build = greatest(s.last_build, excluded.last_build),
               first_version = CASE WHEN s.first_version_key <= excluded.first_version_key THEN s.first_version
                                    ELSE coalesce(excluded.first_version, s.first_version) END,
               first_version_key = least(s.first_version_key, excluded.first_version_key),
               last_version = CASE WHEN s.last_version_key >= excluded.last_version_key THEN s.last_version
                                   ELSE coalesce(excluded.last_version, s.last_version) END,
               last_version_key = greatest(s.last_version_key, excluded.last_version_key)
    ), summed AS (
        INSERT INTO counted_day AS d
        SELECT (processed AT TIME ZONE 'UTC')::date, key_id, count(*) FILTER (WHERE NOT is_duplicate),
               count(*) FILTER (WHERE is_duplicate),
               coalesce(sum(estimate) FILTER (WHERE NOT is_duplicate), 0),
               count(*) FILTER (WHERE is_startup AND NOT is_duplicate),
               count(*) FILTER (WHERE is_oom AND NOT is_duplicate), min(processed), max(processed),
               coalesce(array_agg(DISTINCT installation)
                            FILTER (WHERE installation IS NOT NULL AND NOT is_duplicate), '{}')
          FROM gone
         GROUP BY 1, 2
        ON CONFLICT (key_id, day) DO UPDATE
           SET count = d.count + excluded.count, duplicates = d.duplicates + excluded.duplicates,
               estimate = d.estimate + excluded.estimate, startup = d.startup + excluded.startup,
               oom = d.oom + excluded.oom, first_seen = least(d.first_seen, excluded.first_seen),
               last_seen = greatest(d.last_seen, excluded.last_seen),
               installations = ARRAY(SELECT unnest(d.installations) UNION SELECT unnest(excluded.installations))
    )
    SELECT count(*) INTO n FROM gone;
    RETURN n;
END
$$;

-- One row per crash or sum, in the same columns.  `at` of a sum is its day.
CREATE VIEW counted_part AS
    SELECT key_id, processed AS at, processed AS first_seen, processed AS last_seen,
           (NOT is_duplicate)::int::bigint AS count, is_duplicate::int::bigint AS duplicates,
           CASE WHEN is_duplicate THEN 0 ELSE estimate END AS estimate,
           (is_startup AND NOT is_duplicate)::int::bigint AS startup,
           (is_oom AND NOT is_duplicate)::int::bigint AS oom
      FROM crash_counted
    UNION ALL
    SELECT key_id, day::timestamp AT TIME ZONE 'UTC', first_seen, last_seen, count, duplicates, estimate, startup, oom
      FROM counted_day;

-- One row per crash or distinct installation of a sum: for distinct counts over any choice of rows.
CREATE VIEW counted_installation AS
    SELECT key_id, processed AS at, installation FROM crash_counted
     WHERE installation IS NOT NULL AND NOT is_duplicate
    UNION ALL
    SELECT key_id, day::timestamp AT TIME ZONE 'UTC', unnest(installations) FROM counted_day;

-- The keys that a question selects; without signatures all, under the name ''.  NULL: any.
CREATE FUNCTION counted_keys(signatures text[], products text[], channels text[], versions text[], platforms text[],
                             process_types text[])
    RETURNS TABLE (key_id bigint, signature text, build bigint) LANGUAGE sql STABLE AS $$
    SELECT k.key_id, CASE WHEN signatures IS NULL THEN '' ELSE k.signature END, k.build FROM counted_key k
     WHERE (signatures IS NULL OR k.signature = ANY (signatures))
       AND (products IS NULL OR k.product = ANY (products))
       AND (channels IS NULL OR k.channel = ANY (channels))
       AND (versions IS NULL OR k.version = ANY (versions))
       AND (platforms IS NULL OR k.platform = ANY (platforms))
       AND (process_types IS NULL OR k.process_type = ANY (process_types))
$$;

CREATE VIEW signature_hourly AS
    SELECT date_trunc('hour', c.processed, 'UTC') AS hour, k.product, k.channel, k.version, k.build, k.platform,
           k.process_type, k.signature,
           count(*) FILTER (WHERE NOT is_duplicate) AS count,
           count(*) FILTER (WHERE is_duplicate) AS duplicates,
           coalesce(sum(estimate) FILTER (WHERE NOT is_duplicate), 0) AS estimate,
           count(*) FILTER (WHERE is_startup AND NOT is_duplicate) AS startup,
           count(*) FILTER (WHERE is_oom AND NOT is_duplicate) AS oom
      FROM crash_counted c JOIN counted_key k USING (key_id)
     WHERE c.processed >= date_trunc('hour', now(), 'UTC') - interval '35 days'
     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;

CREATE VIEW signature_daily AS
    SELECT s.*, coalesce(i.installs, 0) AS installs
      FROM (SELECT (p.at AT TIME ZONE 'UTC')::date AS day, k.product, k.channel, k.version, k.platform,
                   k.process_type, k.signature, sum(p.count)::bigint AS count,
                   sum(p.duplicates)::bigint AS duplicates, sum(p.estimate) AS estimate,
                   sum(p.startup)::bigint AS startup, sum(p.oom)::bigint AS oom
              FROM counted_part p JOIN counted_key k USING (key_id)
             GROUP BY 1, 2, 3, 4, 5, 6, 7) s
      LEFT JOIN (SELECT (p.at AT TIME ZONE 'UTC')::date AS day, k.product, k.channel, k.version, k.platform,
                        k.process_type, k.signature, count(DISTINCT p.installation) AS installs
                   FROM counted_installation p JOIN counted_key k USING (key_id)
                  GROUP BY 1, 2, 3, 4, 5, 6, 7) i
        USING (day, product, channel, version, platform, process_type, signature);

CREATE VIEW signature_build AS
    SELECT s.*, coalesce(i.installs, 0) AS installs
      FROM (SELECT k.product, k.channel, k.build, k.signature, sum(p.count)::bigint AS count,
                   sum(p.duplicates)::bigint AS duplicates, min(p.first_seen) AS first_seen,
                   max(p.last_seen) AS last_seen
              FROM counted_part p JOIN counted_key k USING (key_id)
             WHERE k.build > 0
             GROUP BY 1, 2, 3, 4) s
      LEFT JOIN (SELECT k.product, k.channel, k.build, k.signature, count(DISTINCT p.installation) AS installs
                   FROM counted_installation p JOIN counted_key k USING (key_id)
                  GROUP BY 1, 2, 3, 4) i
        USING (product, channel, build, signature);

-- Two looks into an index per key, however many crashes it has.
CREATE VIEW signature_seen AS
    WITH part AS NOT MATERIALIZED (
        SELECT k.signature, k.product, k.channel, c.first AS first_date, c.last AS last_date,
               nullif(k.build, 0) AS first_build, nullif(k.build, 0) AS last_build,
               k.version_key AS first_version_key, k.version AS first_version,
               k.version_key AS last_version_key, k.version AS last_version
          FROM counted_key k
         CROSS JOIN LATERAL (SELECT min(processed) AS first, max(processed) AS last FROM crash_counted
                              WHERE key_id = k.key_id) c
         WHERE c.first IS NOT NULL
        UNION ALL
        SELECT signature, product, channel, first_date, last_date, first_build, last_build,
               first_version_key, first_version, last_version_key, last_version
          FROM counted_seen
    )
    SELECT signature, product, channel, min(first_date) AS first_date, max(last_date) AS last_date,
           min(first_build) AS first_build, max(last_build) AS last_build,
           (array_agg(first_version ORDER BY first_version_key) FILTER (WHERE first_version_key IS NOT NULL))[1]
               AS first_version,
           (array_agg(last_version ORDER BY last_version_key DESC) FILTER (WHERE last_version_key IS NOT NULL))[1]
               AS last_version,
           min(first_version_key) AS first_version_key, max(last_version_key) AS last_version_key
      FROM part
     GROUP BY signature, product, channel;

-- The table signature has first_build and first_date over all products, for lists of many
-- signatures.  Counting a crash lowers them; a crash that goes, or changes its signature, makes
-- them anew if it was the first.  What came from before crashes were counted stays.
CREATE FUNCTION signature_lost_crash() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    known signature%ROWTYPE;
    lost_build bigint;
    build bigint;
    seen timestamptz;
BEGIN
    SELECT nullif(k.build, 0) INTO lost_build FROM counted_key k WHERE k.key_id = old.key_id;
    SELECT s.* INTO known FROM signature s JOIN counted_key k USING (signature) WHERE k.key_id = old.key_id;
    IF known IS NULL OR NOT (old.processed <= known.first_date OR coalesce(lost_build <= known.first_build, false)) THEN
        RETURN NULL;
    END IF;
    SELECT min(v.first_build), min(v.first_date) INTO build, seen
      FROM signature_seen v WHERE v.signature = known.signature;
    IF seen IS NULL AND old.processed <= known.first_date THEN
        DELETE FROM signature WHERE signature = known.signature;
    ELSE
        UPDATE signature
           SET first_date = CASE WHEN old.processed <= known.first_date THEN seen ELSE known.first_date END,
               first_build = CASE WHEN lost_build <= known.first_build THEN build ELSE known.first_build END
         WHERE signature = known.signature;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER signature_lost_by_delete AFTER DELETE ON crash_counted
    FOR EACH ROW WHEN (old.crash_id IS NOT NULL) EXECUTE FUNCTION signature_lost_crash();
CREATE TRIGGER signature_lost_by_update AFTER UPDATE OF key_id ON crash_counted
    FOR EACH ROW WHEN (old.key_id <> new.key_id) EXECUTE FUNCTION signature_lost_crash();
