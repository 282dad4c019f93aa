-- Statistics of signatures (docs/statistics.md; the tables are in migrations/0013_statistics_by_key.sql).

-- name: counted_fold
-- Sums of crashes that retention took and that are older than so many days; how many there were.
-- $1 days integer
-- $2 limit integer
SELECT fold_counted(date_trunc('day', now(), 'UTC') - $1::integer * interval '1 day', $2::integer) AS n;

-- name: counted_expire
-- $1 days integer
DELETE FROM counted_day WHERE day < (now() AT TIME ZONE 'UTC')::date - $1::integer;

-- name: counted_page
-- Crashes in the order of their ids, after one; processed_at tells whether somebody has processed
-- one again meanwhile.
-- $1 after text
-- $2 days integer: counted within so many days, or never; NULL: all
-- $3 limit integer
SELECT l.crash_id, l.processed_at FROM crash_ledger l LEFT JOIN crash_counted c USING (crash_id)
 WHERE l.crash_id > $1
   AND ($2::integer IS NULL OR c.processed IS NULL
        OR c.processed >= date_trunc('day', now(), 'UTC') - $2::integer * interval '1 day')
 ORDER BY l.crash_id LIMIT $3::integer;

-- name: counted_rows
-- Those of these crashes that were processed.
-- $1 crash_ids text[]
SELECT crash_id, processed_at FROM crash_ledger
 WHERE crash_id = ANY ($1::text[]) AND processed_at IS NOT NULL ORDER BY crash_id;

-- name: counted_page_size
-- $1 days integer
SELECT count(*) AS n FROM crash_ledger l LEFT JOIN crash_counted c USING (crash_id)
 WHERE $1::integer IS NULL OR c.processed IS NULL
    OR c.processed >= date_trunc('day', now(), 'UTC') - $1::integer * interval '1 day';

-- name: counted_compare
-- Which of these crashes are counted differently, and how; "" where one is missing.
-- $1 counted jsonb (lib/ledger/counted.h)
-- $2 days integer: counted within so many days, or not at all; NULL: all
WITH wanted AS (
    SELECT d.crash_id,
           concat_ws(' | ', d.product, d.channel, d.version, d.build, d.platform, d.process_type, d.signature)
           || ' | ' || concat_ws(', ', 'estimate ' || round(d.estimate::numeric, 6),
                                 CASE WHEN d.is_startup THEN 'startup' END, CASE WHEN d.is_oom THEN 'oom' END,
                                 CASE WHEN d.is_duplicate THEN 'duplicate' END) AS shown,
           salted_installation(d.installation) AS installation, d.version_key
      FROM jsonb_populate_recordset(NULL::counted_crash, $1::jsonb) d
), found AS (
    SELECT c.crash_id,
           concat_ws(' | ', k.product, k.channel, k.version, k.build, k.platform, k.process_type, k.signature)
           || ' | ' || concat_ws(', ', 'estimate ' || round(c.estimate::numeric, 6),
                                 CASE WHEN c.is_startup THEN 'startup' END, CASE WHEN c.is_oom THEN 'oom' END,
                                 CASE WHEN c.is_duplicate THEN 'duplicate' END) AS shown,
           c.installation, k.version_key, c.processed
      FROM crash_counted c JOIN counted_key k USING (key_id)
     WHERE c.crash_id IN (SELECT crash_id FROM wanted)
)
SELECT w.crash_id, w.shown AS wanted, coalesce(f.shown, '') AS found,
       (w.installation IS DISTINCT FROM f.installation) AS is_other_installation
  FROM wanted w LEFT JOIN found f USING (crash_id)
 WHERE f.crash_id IS NULL
    OR ((w.shown, w.installation, w.version_key) IS DISTINCT FROM (f.shown, f.installation, f.version_key)
        AND ($2::integer IS NULL OR f.processed >= date_trunc('day', now(), 'UTC') - $2::integer * interval '1 day'))
 ORDER BY w.crash_id;

-- name: counted_again
-- Counts crashes from their documents, but for those that somebody has processed since the page
-- was read: then the statistics have something newer.
-- $1 crash_ids text[]
-- $2 processed_at text[]: as counted_page told it
-- $3 counted jsonb
WITH same AS (
    SELECT l.crash_id FROM crash_ledger l
      JOIN unnest($1::text[], $2::text[]) AS p (crash_id, processed_at) USING (crash_id)
     WHERE l.processed_at = p.processed_at::timestamptz
     ORDER BY l.crash_id FOR UPDATE OF l
)
SELECT coalesce(count_crashes($3::jsonb, array_agg(crash_id)), 0) AS n FROM same;

-- name: signature_late
-- Which of the next signatures were seen earlier than their rows say; those are earlier where
-- crashes of the time before statistics are no longer known.
-- $1 after text
-- $2 limit integer
SELECT k.signature,
       (v.first_date IS NOT NULL
        AND (s.signature IS NULL OR s.first_date > v.first_date OR coalesce(s.first_build > v.first_build, false)
             OR (s.first_build IS NULL AND v.first_build IS NOT NULL))) AS is_late
  FROM (SELECT DISTINCT signature FROM counted_key WHERE signature > $1 ORDER BY signature LIMIT $2::integer) k
  LEFT JOIN signature s USING (signature)
  LEFT JOIN LATERAL (SELECT min(first_build) AS first_build, min(first_date) AS first_date
                       FROM signature_seen WHERE signature = k.signature) v ON true
 ORDER BY k.signature;

-- name: signature_mend
-- $1 signatures text[]
INSERT INTO signature AS s (signature, first_build, first_date)
SELECT signature, min(first_build), min(first_date) FROM signature_seen
 WHERE signature = ANY ($1::text[]) GROUP BY signature ORDER BY signature
ON CONFLICT (signature) DO UPDATE
   SET first_build = least(s.first_build, excluded.first_build),
       first_date = least(s.first_date, excluded.first_date);

-- name: signature_update
-- First build and date of the signatures of crashes in a window of time; answers those it changed.
-- $1 from_us bigint: since 1970
-- $2 to_us bigint
-- $3 dry_run boolean
WITH seen AS (
    SELECT k.signature, min(k.build) AS first_build, min(c.processed) AS first_date
      FROM crash_counted c JOIN counted_key k USING (key_id)
     WHERE c.processed >= to_timestamp($1::bigint / 1000000.0) AND c.processed < to_timestamp($2::bigint / 1000000.0)
       AND k.build > 0 AND k.signature <> ''
     GROUP BY k.signature
), change AS (
    SELECT n.* FROM seen n LEFT JOIN signature s USING (signature)
     WHERE s.signature IS NULL OR s.first_build IS NULL OR n.first_build < s.first_build
        OR n.first_date < s.first_date
), done AS (
    INSERT INTO signature AS s (signature, first_build, first_date)
    SELECT * FROM change WHERE NOT $3::boolean ORDER BY signature
    ON CONFLICT (signature) DO UPDATE
       SET first_build = least(s.first_build, excluded.first_build),
           first_date = least(s.first_date, excluded.first_date)
)
SELECT signature, first_build,
       to_char(first_date AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS first_date
  FROM change ORDER BY signature;

-- name: stats_sums
-- Sums of signatures, or of everything; a row without `at` is the sum over all of them.
-- $1 signatures text[]: NULL: all, as one
-- $2 products text[]: NULL: any; the same for the next four
-- $3 channels text[]
-- $4 versions text[]
-- $5 platforms text[]
-- $6 process_types text[]
-- $7 from_us bigint
-- $8 to_us bigint
-- $9 interval text: hour, day, week or build
-- $10 measure text: count, estimate or startup
WITH wanted AS (
    SELECT * FROM counted_keys($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
), part AS (
    SELECT w.signature,
           CASE WHEN $9::text = 'build' THEN w.build
                ELSE extract(epoch FROM date_trunc($9::text, p.at, 'UTC'))::bigint END AS at,
           CASE $10::text WHEN 'count' THEN p.count::double precision WHEN 'startup' THEN p.startup ELSE p.estimate END
               AS value
      FROM wanted w JOIN counted_part p USING (key_id)
     WHERE p.at >= to_timestamp($7::bigint / 1000000.0) AND p.at < to_timestamp($8::bigint / 1000000.0)
       AND ($9::text <> 'build' OR w.build > 0)
)
SELECT signature, at, sum(value) AS value FROM part
 GROUP BY GROUPING SETS ((signature, at), (signature))
 ORDER BY signature COLLATE "C", at NULLS FIRST;

-- name: stats_installs
-- Distinct installations over all rows that are selected, by point and in all.  Not over one view of
-- both tables: then the rows of a few keys would be looked for among all.
-- $1 signatures text[]
-- $2 products text[]
-- $3 channels text[]
-- $4 versions text[]
-- $5 platforms text[]
-- $6 process_types text[]
-- $7 from_us bigint
-- $8 to_us bigint
-- $9 interval text
WITH wanted AS (
    SELECT * FROM counted_keys($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
), part AS (
    SELECT w.signature, w.build, c.processed AS at, c.installation
      FROM wanted w JOIN crash_counted c USING (key_id)
     WHERE c.processed >= to_timestamp($7::bigint / 1000000.0) AND c.processed < to_timestamp($8::bigint / 1000000.0)
       AND c.installation IS NOT NULL AND NOT c.is_duplicate AND ($9::text <> 'build' OR w.build > 0)
    UNION ALL
    SELECT w.signature, w.build, d.day::timestamp AT TIME ZONE 'UTC', i
      FROM wanted w JOIN counted_day d USING (key_id) CROSS JOIN unnest(d.installations) AS i
     WHERE d.day::timestamp AT TIME ZONE 'UTC' >= to_timestamp($7::bigint / 1000000.0)
       AND d.day::timestamp AT TIME ZONE 'UTC' < to_timestamp($8::bigint / 1000000.0)
       AND ($9::text <> 'build' OR w.build > 0)
), point AS (
    SELECT signature, installation,
           CASE WHEN $9::text = 'build' THEN build
                ELSE extract(epoch FROM date_trunc($9::text, at, 'UTC'))::bigint END AS at
      FROM part
)
SELECT signature, at, count(DISTINCT installation) AS value FROM point
 GROUP BY GROUPING SETS ((signature, at), (signature))
 ORDER BY signature COLLATE "C", at NULLS FIRST;

-- name: stats_seen
-- First and last of signatures, each value for itself, over the products and channels asked for.
-- $1 signatures text[]
-- $2 products text[]
-- $3 channels text[]
SELECT signature,
       to_char(min(first_date) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS first_date,
       to_char(max(last_date) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS last_date,
       min(first_build) AS first_build, max(last_build) AS last_build,
       (array_agg(first_version ORDER BY first_version_key) FILTER (WHERE first_version_key IS NOT NULL))[1]
           AS first_version,
       (array_agg(last_version ORDER BY last_version_key DESC) FILTER (WHERE last_version_key IS NOT NULL))[1]
           AS last_version
  FROM signature_seen
 WHERE signature = ANY ($1::text[])
   AND ($2::text[] IS NULL OR product = ANY ($2::text[]))
   AND ($3::text[] IS NULL OR channel = ANY ($3::text[]))
 GROUP BY signature;
