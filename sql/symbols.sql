-- Uploads of symbols, stored files, missing symbols.

-- name: symbol_upload_add
-- Before anything is stored; completed_at stays empty until all of it is.
-- $1 user_id bigint
-- $2 filename text
-- $3 size bigint
-- $4 content_hash text
-- $5 try_symbols boolean
-- $6 api_version int
-- $7 download_url text
-- $8 redirect_urls text[]
INSERT INTO symbol_upload (user_id, filename, size, content_hash, try_symbols, api_version,
                           download_url, redirect_urls)
VALUES ($1::bigint, left($2, 100), $3::bigint, $4, $5::boolean, $6::int, left($7, 500), $8::text[])
RETURNING id, (extract(epoch FROM created_at) * 1000000)::bigint AS created_us;

-- name: symbol_upload_complete
-- $1 id bigint
-- $2 skipped_keys text[]
-- $3 ignored_keys text[]
-- $4 warnings json
UPDATE symbol_upload
   SET completed_at = clock_timestamp(), skipped_keys = $2::text[], ignored_keys = $3::text[],
       warnings = $4::jsonb
 WHERE id = $1::bigint
RETURNING (extract(epoch FROM completed_at) * 1000000)::bigint AS completed_us;

-- name: symbol_upload_skips
-- $1 id bigint
-- $2 skipped_keys text[]
UPDATE symbol_upload SET skipped_keys = $2::text[] WHERE id = $1::bigint;

-- name: symbol_upload_lock
-- Whoever ends a part of an upload looks whether it was the last: one at a time.
-- $1 id bigint
SELECT id FROM symbol_upload WHERE id = $1::bigint FOR UPDATE;

-- name: symbol_upload_complete_if_done
-- Once the last of its sessions is gone.
-- $1 id bigint
UPDATE symbol_upload SET completed_at = clock_timestamp()
 WHERE id = $1::bigint AND completed_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM symbol_session WHERE upload_id = $1::bigint);

-- name: symbol_upload_warn
-- $1 id bigint
-- $2 warning text
UPDATE symbol_upload SET warnings = warnings || to_jsonb($2::text) WHERE id = $1::bigint;

-- name: symbol_object_same
-- Which of these files an area has with exactly this content: positions in the arrays, from 1.
-- $1 key text[]
-- $2 size bigint[]
-- $3 md5 text[]
-- $4 with_try boolean
SELECT DISTINCT f.at
  FROM unnest($1::text[], $2::bigint[], $3::text[]) WITH ORDINALITY AS f (key, size, md5, at)
  JOIN symbol_object o ON o.key = f.key AND o.original_size = f.size AND o.original_md5 = f.md5
 WHERE o.area = 'regular' OR ($4::boolean AND o.area = 'try');

-- name: symbol_session_add
-- Arrays of equal length; '' is no encoding.
-- $1 upload_id bigint
-- $2 area text
-- $3 days int
-- $4 id_hash text[]
-- $5 key text[]
-- $6 size bigint[]
-- $7 md5 text[]
-- $8 content_encoding text[]
INSERT INTO symbol_session (upload_id, area, expires_at, id_hash, key, size, md5, content_encoding)
SELECT $1::bigint, $2, now() + make_interval(days => $3::int), s.id_hash, s.key, s.size, s.md5,
       nullif(s.content_encoding, '')
  FROM unnest($4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[])
       AS s (id_hash, key, size, md5, content_encoding);

-- name: symbol_session_find
-- $1 id_hash text
SELECT upload_id, area, key, size, md5, content_encoding, total, received
  FROM symbol_session
 WHERE id_hash = $1 AND expires_at > now();

-- name: symbol_session_received
-- $1 id_hash text
-- $2 received bigint
-- $3 total bigint
UPDATE symbol_session SET received = $2::bigint, total = $3::bigint WHERE id_hash = $1;

-- name: symbol_session_remove
-- $1 id_hash text
DELETE FROM symbol_session WHERE id_hash = $1;

-- name: symbol_session_over
SELECT count(*) AS count FROM symbol_session WHERE expires_at < now();

-- name: symbol_session_forget
-- Those that nobody has ended in time.
DELETE FROM symbol_session WHERE expires_at < now() RETURNING id_hash;

-- name: symbol_object_known
-- Which of these files have rows: positions in the arrays, from 1.
-- $1 area text[]
-- $2 key text[]
SELECT f.at
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS f (area, key, at)
  JOIN symbol_object o ON o.area = f.area AND o.key = f.key;

-- name: symbol_file_add
-- Files that were stored just now; arrays of equal length, '' is unknown.
-- $1 upload_id bigint
-- $2 area text[]
-- $3 key text[]
-- $4 debug_filename text[]
-- $5 debug_id text[]
-- $6 code_file text[]
-- $7 code_id text[]
-- $8 generator text[]
-- $9 update boolean[]
-- $10 compressed boolean[]
-- $11 size bigint[]
-- $12 started_us bigint[]
INSERT INTO symbol_file (upload_id, area, key, debug_filename, debug_id, code_file, code_id,
                         generator, "update", compressed, size, created_at, completed_at)
SELECT $1::bigint, f.area, f.key, nullif(f.debug_filename, ''), nullif(f.debug_id, ''),
       nullif(f.code_file, ''), nullif(f.code_id, ''), nullif(left(f.generator, 100), ''),
       f."update", f.compressed, f.size, to_timestamp(f.started_us / 1000000.0), clock_timestamp()
  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
              $9::boolean[], $10::boolean[], $11::bigint[], $12::bigint[])
       AS f (area, key, debug_filename, debug_id, code_file, code_id, generator, "update",
             compressed, size, started_us);

-- name: symbol_object_put
-- Arrays of equal length; '' is no encoding.
-- $1 area text[]
-- $2 key text[]
-- $3 stored_size bigint[]
-- $4 original_size bigint[]
-- $5 original_md5 text[]
-- $6 content_type text[]
-- $7 content_encoding text[]
INSERT INTO symbol_object (area, key, stored_size, original_size, original_md5, content_type,
                           content_encoding)
SELECT o.area, o.key, o.stored_size, o.original_size, o.original_md5, o.content_type,
       nullif(o.content_encoding, '')
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[],
              $7::text[])
       AS o (area, key, stored_size, original_size, original_md5, content_type, content_encoding)
 ORDER BY o.area, o.key
ON CONFLICT (area, key) DO UPDATE
   SET stored_size = excluded.stored_size, original_size = excluded.original_size,
       original_md5 = excluded.original_md5, content_type = excluded.content_type,
       content_encoding = excluded.content_encoding, last_modified = now();

-- name: symbol_download
-- Where a name leads: the file itself; or its module under another name, by the debug id in keys (a
-- library is known by its file name and by its SONAME).  Regular symbols before those of experimental
-- builds.  All keys with this id are looked at, which are a few, so that a miss is one look-up in one
-- index.
-- $1 key text
-- $2 debug_file text
-- $3 id text
-- $4 with_try boolean
-- $5 is_of_module boolean: the name is that of a module's .sym file
SELECT o.area, o.key = $1 AS is_file, split_part(o.key, '/', 1) AS debug_filename,
       split_part(o.key, '/', 3) AS file,
       extract(epoch FROM now() - o.last_modified)::bigint / 86400 AS age_days
  FROM symbol_object o
 WHERE split_part(o.key, '/', 2) = $3
   AND (o.area = 'regular' OR (o.area = 'try' AND $4::boolean))
   AND (o.key = $1
        OR ($5::boolean AND split_part(o.key, '/', 1) <> $2
            AND split_part(o.key, '/', 3)
                = regexp_replace(split_part(o.key, '/', 1), '\.pdb$', '') || '.sym'))
 ORDER BY o.key = $1 DESC, o.area, o.key
 LIMIT 1;

-- name: symbol_download_code
-- The same for an id that may be a code id; behind these ways its module by the code file and id of its
-- header, the latest.  None that leads to the name itself.
-- $1 key text
-- $2 debug_file text
-- $3 id text
-- $4 with_try boolean
-- $5 is_of_module boolean
SELECT w.area, w.is_file, w.is_code_id, w.debug_filename, w.debug_id, w.file, w.age_days
  FROM (SELECT o.area, o.key = $1 AS is_file, false AS is_code_id,
               split_part(o.key, '/', 1) AS debug_filename, $3 AS debug_id,
               split_part(o.key, '/', 3) AS file, 0::bigint AS id,
               extract(epoch FROM now() - o.last_modified)::bigint / 86400 AS age_days
          FROM symbol_object o
         WHERE split_part(o.key, '/', 2) = $3
           AND (o.area = 'regular' OR (o.area = 'try' AND $4::boolean))
           AND (o.key = $1
                OR ($5::boolean AND split_part(o.key, '/', 1) <> $2
                    AND split_part(o.key, '/', 3)
                        = regexp_replace(split_part(o.key, '/', 1), '\.pdb$', '') || '.sym'))
        UNION ALL
        SELECT f.area, false, true, f.debug_filename, f.debug_id, '', f.id, 0::bigint
          FROM symbol_file f
         WHERE f.code_file = $2 AND f.code_id = $3
           AND f.debug_filename IS NOT NULL AND f.debug_id IS NOT NULL
           AND NOT (f.debug_filename = $2 AND f.debug_id = $3)
           AND (f.area = 'regular' OR (f.area = 'try' AND $4::boolean))) w
 ORDER BY w.is_file DESC, w.is_code_id, w.area, w.id DESC, w.debug_filename
 LIMIT 1;

-- name: symbol_by_ids
-- The latest file with this debug file and id, or this code file and id; what is tried out stands
-- behind every regular one.
-- $1 file text
-- $2 id text
SELECT f.area, f.debug_filename, f.debug_id, f.code_file, f.code_id, f.generator
  FROM symbol_file f
 WHERE ((f.debug_filename = $1 AND f.debug_id = $2) OR (f.code_file = $1 AND f.code_id = $2))
   AND f.debug_filename IS NOT NULL AND f.debug_id IS NOT NULL
   AND (f.area IN ('regular', 'try')
        OR EXISTS (SELECT 1 FROM symbol_object o WHERE o.area = f.area AND o.key = f.key))
 ORDER BY (f.area = 'regular') DESC, (f.area = 'try') DESC, f.id DESC LIMIT 1;

-- name: symbol_downloaded
-- Files that were asked for; arrays of equal length.  To the hour: what is asked for all the time is
-- not written all the time.
-- $1 area text[]
-- $2 key text[]
UPDATE symbol_object o SET last_download = now()
  FROM (SELECT x.area, x.key FROM symbol_object x
          JOIN unnest($1::text[], $2::text[]) AS f (area, key) ON f.area = x.area AND f.key = x.key
         WHERE x.last_download IS NULL OR x.last_download < now() - interval '1 hour'
         ORDER BY x.area, x.key FOR UPDATE OF x) l
 WHERE o.area = l.area AND o.key = l.key;

-- name: symbol_file_codes
-- Which module has which code file and id, oldest first, a page behind `after`.
-- $1 after bigint
SELECT id, area, debug_filename, debug_id, code_file, code_id
  FROM symbol_file
 WHERE code_file IS NOT NULL AND code_id IS NOT NULL AND debug_filename IS NOT NULL
   AND debug_id IS NOT NULL AND id > $1::bigint
 ORDER BY id
 LIMIT 5000;

-- name: missing_symbol_add
-- Many sightings at once; arrays of equal length, one element per different symbol.
-- $1 symbol text[]
-- $2 debugid text[]
-- $3 filename text[]
-- $4 code_file text[]
-- $5 code_id text[]
-- $6 count bigint[]
-- $7 product text[]
-- $8 version text[]
INSERT INTO missing_symbol (hash, symbol, debugid, filename, code_file, code_id, count, product,
                            version)
SELECT md5(m.symbol || E'\n' || m.debugid || E'\n' || m.filename || E'\n' || m.code_file || E'\n' ||
           m.code_id),
       m.symbol, m.debugid, m.filename, m.code_file, m.code_id, m.count, nullif(m.product, ''),
       nullif(m.version, '')
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
              $8::text[])
       AS m (symbol, debugid, filename, code_file, code_id, count, product, version)
ON CONFLICT (hash) DO UPDATE
   SET count = missing_symbol.count + excluded.count, modified_at = now(),
       version = CASE WHEN excluded.product IS NULL THEN missing_symbol.version
                      ELSE excluded.version END,
       product = coalesce(excluded.product, missing_symbol.product);

-- name: missing_symbol_found
-- Arrays of equal length: files that are here now.
-- $1 symbol text[]
-- $2 debugid text[]
DELETE FROM missing_symbol
 WHERE (symbol, debugid) IN (SELECT f.symbol, f.debugid
                               FROM unnest($1::text[], $2::text[]) AS f (symbol, debugid));

-- name: missing_symbol_recent
-- For the CSV of symbols somebody should look for: seen since `since_us`, a page behind the row
-- (symbol, debugid, hash), which is three empty texts at first.
-- $1 since_us bigint
-- $2 symbol text
-- $3 debugid text
-- $4 hash text
-- $5 limit bigint
SELECT symbol, debugid, code_file, code_id, hash
  FROM missing_symbol
 WHERE modified_at >= to_timestamp($1::bigint / 1000000.0) AND lower(filename) LIKE '%.sym'
   AND (symbol, debugid, hash) > ($2::text, $3::text, $4::text)
 ORDER BY symbol, debugid, hash
 LIMIT $5::bigint;

-- name: missing_symbol_top
-- What is missed most, for the administrator.
-- $1 limit bigint
SELECT symbol, debugid, filename, code_file, code_id, count,
       to_char(modified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS modified_at
  FROM missing_symbol
 ORDER BY count DESC, modified_at DESC
 LIMIT $1::bigint;

-- name: symbol_sign_of_life
-- When somebody last did anything here, as this server's rows know it: a clock that is far ahead of
-- all of it is wrong.  No row at all: NULL.
SELECT (extract(epoch FROM greatest(
            (SELECT max(last_modified) FROM symbol_object),
            (SELECT max(received) FROM crash_ledger),
            (SELECT max(last_seen) FROM web_session),
            (SELECT max(last_login) FROM app_user))) * 1000000)::bigint AS newest_us;

-- name: symbol_object_old_count
-- $1 area text
-- $2 before_us bigint
SELECT count(*) AS n FROM symbol_object
 WHERE area = $1 AND last_modified < to_timestamp($2::bigint / 1000000.0);

-- name: symbol_object_old
-- Files of an area that were stored before a moment, a page in the order of their keys.
-- $1 area text
-- $2 before_us bigint
-- $3 used_since_us bigint
-- $4 after text
-- $5 limit integer
SELECT key, stored_size,
       coalesce(last_download >= to_timestamp($3::bigint / 1000000.0), false) AS was_downloaded
  FROM symbol_object
 WHERE area = $1 AND last_modified < to_timestamp($2::bigint / 1000000.0) AND key > $4
 ORDER BY key
 LIMIT $5::integer;

-- name: symbol_object_forget
-- Files that are about to be removed; one that was stored anew meanwhile keeps its row.
-- $1 area text
-- $2 keys text[]
-- $3 before_us bigint
DELETE FROM symbol_object
 WHERE area = $1 AND key = ANY($2::text[]) AND last_modified < to_timestamp($3::bigint / 1000000.0);

-- name: symbol_file_clear
-- History of files that are not stored any more; rows of stored ones are looked up by code id.
-- $1 before_us bigint
-- $2 is_try boolean
-- $3 limit integer
DELETE FROM symbol_file
 WHERE id IN (SELECT f.id FROM symbol_file f
               WHERE f.created_at < to_timestamp($1::bigint / 1000000.0)
                 AND (f.area = 'try') = $2::boolean
                 AND NOT EXISTS (SELECT 1 FROM symbol_object o
                                  WHERE o.area = f.area AND o.key = f.key)
               LIMIT $3::integer);

-- name: symbol_upload_clear
-- $1 before_us bigint
-- $2 is_try boolean
-- $3 limit integer
DELETE FROM symbol_upload
 WHERE id IN (SELECT id FROM symbol_upload
               WHERE created_at < to_timestamp($1::bigint / 1000000.0)
                 AND try_symbols = $2::boolean
               LIMIT $3::integer);

-- name: symbol_history_old
-- What the two above would delete.
-- $1 before_us bigint
-- $2 is_try boolean
SELECT (SELECT count(*) FROM symbol_file f
         WHERE f.created_at < to_timestamp($1::bigint / 1000000.0)
           AND (f.area = 'try') = $2::boolean
           AND NOT EXISTS (SELECT 1 FROM symbol_object o
                            WHERE o.area = f.area AND o.key = f.key)) AS files,
       (SELECT count(*) FROM symbol_upload
         WHERE created_at < to_timestamp($1::bigint / 1000000.0)
           AND try_symbols = $2::boolean) AS uploads;

-- name: missing_symbol_clear
-- Nobody asked for them in a month.
DELETE FROM missing_symbol WHERE modified_at < now() - interval '30 days';

-- name: missing_symbol_old
SELECT count(*) AS count FROM missing_symbol WHERE modified_at < now() - interval '30 days';

-- name: symbol_object_page
-- Rows in the order of their keys, after one, for comparing with the store.
-- $1 area text
-- $2 after text
-- $3 limit integer
SELECT key, stored_size, original_md5 FROM symbol_object
 WHERE area = $1 AND key > $2
 ORDER BY key
 LIMIT $3::integer;

-- name: symbol_object_of
-- The rows of these files, in no particular order.
-- $1 area text
-- $2 keys text[]
SELECT key, stored_size, original_md5 FROM symbol_object WHERE area = $1 AND key = ANY($2::text[]);

-- name: symbol_object_drop
-- A row whose file is not there.
-- $1 area text
-- $2 key text
DELETE FROM symbol_object WHERE area = $1 AND key = $2;
