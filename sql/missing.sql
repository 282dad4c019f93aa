-- The list of missing symbols (symbols.md 9), with how many crashes each would improve: those of the
-- last SYMBOLS_REPROCESS_DAYS days that lacked a file of this debug id when they were walked last.  A
-- crash counts once for each id, however often it was processed, and not any more when it is deleted
-- or has got the symbols.

-- name: missing_page
-- One page; NULL is no filter.  Texts are patterns of ILIKE, product and version are exact and leave
-- what their crashes lack.  The first row of every answer has the number of all.
-- $1 symbol text
-- $2 debugid text
-- $3 filename text
-- $4 code_file text
-- $5 code_id text
-- $6 modified_from bigint
-- $7 modified_end bigint
-- $8 created_from bigint
-- $9 created_end bigint
-- $10 product text
-- $11 version text
-- $12 sort text: crashes, count, symbol, created_at, else modified_at
-- $13 reverse boolean: the least, the oldest, or Z first
-- $14 limit bigint
-- $15 offset bigint
WITH lacking AS MATERIALIZED (
    SELECT debug_id, count(*) AS crashes
      FROM crash_lacks_symbols
     WHERE ($10::text IS NULL OR product = $10) AND ($11::text IS NULL OR version = $11)
     GROUP BY debug_id
), hit AS MATERIALIZED (
    SELECT m.*, coalesce(l.crashes, 0) AS crashes,
           CASE $12::text WHEN 'crashes' THEN coalesce(l.crashes, 0) WHEN 'count' THEN m.count
                WHEN 'symbol' THEN 0
                WHEN 'created_at' THEN (extract(epoch FROM m.created_at) * 1000000)::bigint
                ELSE (extract(epoch FROM m.modified_at) * 1000000)::bigint END AS place,
           CASE WHEN $12::text = 'symbol' THEN m.symbol END AS name
      FROM missing_symbol m
      LEFT JOIN lacking l ON l.debug_id = m.debugid
     WHERE ($1::text IS NULL OR m.symbol ILIKE $1) AND ($2::text IS NULL OR m.debugid ILIKE $2)
       AND ($3::text IS NULL OR m.filename ILIKE $3) AND ($4::text IS NULL OR m.code_file ILIKE $4)
       AND ($5::text IS NULL OR m.code_id ILIKE $5)
       AND ($6::bigint IS NULL OR m.modified_at >= to_timestamp($6::bigint / 1000000.0))
       AND ($7::bigint IS NULL OR m.modified_at < to_timestamp($7::bigint / 1000000.0))
       AND ($8::bigint IS NULL OR m.created_at >= to_timestamp($8::bigint / 1000000.0))
       AND ($9::bigint IS NULL OR m.created_at < to_timestamp($9::bigint / 1000000.0))
       AND (($10::text IS NULL AND $11::text IS NULL) OR l.crashes > 0)
), page AS (
    SELECT * FROM hit
     ORDER BY CASE WHEN $13::boolean THEN -place ELSE place END DESC,
              CASE WHEN $13::boolean THEN name END DESC, name,
              CASE WHEN $13::boolean THEN -id ELSE id END DESC
     LIMIT $14::bigint OFFSET $15::bigint
)
SELECT p.id, p.symbol, p.debugid, p.filename, p.code_file, p.code_id, p.count, p.crashes,
       p.product, p.version,
       to_char(p.modified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS modified_at,
       to_char(p.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at,
       t.total
  FROM (SELECT count(*) AS total FROM hit) t LEFT JOIN page p ON true
 ORDER BY CASE WHEN $13::boolean THEN -p.place ELSE p.place END DESC,
          CASE WHEN $13::boolean THEN p.name END DESC, p.name,
          CASE WHEN $13::boolean THEN -p.id ELSE p.id END DESC;

-- name: missing_by_version
-- Crashes that lack these ids, by product and version, the most first.
-- $1 debug_ids text[]
-- $2 product text
-- $3 version text
SELECT debug_id, coalesce(product, '') AS product, coalesce(version, '') AS version,
       count(*) AS crashes, to_char(max(day), 'YYYY-MM-DD') AS last_day
  FROM crash_lacks_symbols
 WHERE debug_id = ANY($1::text[])
   AND ($2::text IS NULL OR product = $2) AND ($3::text IS NULL OR version = $3)
 GROUP BY debug_id, coalesce(product, ''), coalesce(version, '')
 ORDER BY debug_id, count(*) DESC, product, version;

-- name: missing_summary
-- Module, product and version with the number of crashes, the most first.  Of several names of one id
-- the one that was asked for last.
-- $1 product text
-- $2 version text
-- $3 limit bigint
SELECT m.symbol, s.debug_id, m.code_file, m.code_id, s.product, s.version, s.crashes, s.last_day
  FROM (SELECT debug_id, coalesce(product, '') AS product, coalesce(version, '') AS version,
               count(*) AS crashes, to_char(max(day), 'YYYY-MM-DD') AS last_day
          FROM crash_lacks_symbols
         WHERE ($1::text IS NULL OR product = $1) AND ($2::text IS NULL OR version = $2)
         GROUP BY debug_id, coalesce(product, ''), coalesce(version, '')
         ORDER BY count(*) DESC LIMIT $3::bigint) s
  JOIN LATERAL (SELECT symbol, code_file, code_id FROM missing_symbol
                 WHERE debugid = s.debug_id ORDER BY modified_at DESC LIMIT 1) m ON true
 ORDER BY s.crashes DESC, m.symbol, s.debug_id, s.product, s.version;
