-- What lists of uploads and files are searched by and made of, and look-ups of downloads by table alone.

-- Numbers of permissions: the JSON API of the symbol server names them so.
ALTER TABLE app_permission ADD COLUMN id integer GENERATED ALWAYS AS IDENTITY UNIQUE;

-- Any part of a key, in any case.  pg_trgm is a trusted extension: the owner of the database may add it.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX symbol_file_key_trigram ON symbol_file USING gin (key gin_trgm_ops);

-- A library that is asked for under another name than it is stored under: by the id in the key.
CREATE INDEX symbol_object_id ON symbol_object (split_part(key, '/', 2));

-- 2026-01-05T09:37:36.766Z
CREATE FUNCTION symbol_time(t timestamptz) RETURNS text LANGUAGE sql STABLE AS
$$ SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- Uploads that fit all filters that are not null.  Times are microseconds since 1970, the end excluded.
CREATE FUNCTION symbol_upload_matching(
    users bigint[], not_users bigint[], size_least bigint, size_most bigint,
    created_from bigint, created_end bigint, completed_from bigint, completed_end bigint,
    completed_is_null boolean
) RETURNS SETOF symbol_upload LANGUAGE sql STABLE AS $$
    SELECT u.* FROM symbol_upload u
     WHERE (users IS NULL OR u.user_id = ANY(users))
       AND (not_users IS NULL OR u.user_id IS NULL OR u.user_id <> ALL(not_users))
       AND (size_least IS NULL OR u.size >= size_least)
       AND (size_most IS NULL OR u.size <= size_most)
       AND (created_from IS NULL OR u.created_at >= to_timestamp(created_from / 1000000.0))
       AND (created_end IS NULL OR u.created_at < to_timestamp(created_end / 1000000.0))
       AND (completed_from IS NULL OR u.completed_at >= to_timestamp(completed_from / 1000000.0))
       AND (completed_end IS NULL OR u.completed_at < to_timestamp(completed_end / 1000000.0))
       AND (completed_is_null IS NULL OR (u.completed_at IS NULL) = completed_is_null)
$$;

-- One upload as the JSON API shows it; pages show the same values.
CREATE FUNCTION symbol_upload_record(u symbol_upload) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', u.id,
        'user', (SELECT jsonb_build_object('id', a.id, 'email', a.email) FROM app_user a
                  WHERE a.id = u.user_id),
        'filename', u.filename, 'size', u.size, 'bucket_name', u.bucket_name,
        'skipped_keys', to_jsonb(u.skipped_keys), 'ignored_keys', to_jsonb(u.ignored_keys),
        'try_symbols', u.try_symbols, 'download_url', u.download_url,
        'redirect_urls', to_jsonb(u.redirect_urls),
        'completed_at', symbol_time(u.completed_at), 'created_at', symbol_time(u.created_at),
        'files_count', (SELECT count(*) FROM symbol_file f
                         WHERE f.upload_id = u.id AND f.completed_at IS NOT NULL),
        'files_incomplete_count', (SELECT count(*) FROM symbol_file f
                                    WHERE f.upload_id = u.id AND f.completed_at IS NULL))
$$;

-- Files that fit all filters that are not null; see symbol_upload_matching.
CREATE FUNCTION symbol_file_matching(
    size_least bigint, size_most bigint, created_from bigint, created_end bigint,
    completed_from bigint, completed_end bigint, completed_is_null boolean,
    areas text[], buckets text[], not_buckets text[]
) RETURNS SETOF symbol_file LANGUAGE sql STABLE AS $$
    SELECT f.* FROM symbol_file f
     WHERE (size_least IS NULL OR f.size >= size_least)
       AND (size_most IS NULL OR f.size <= size_most)
       AND (created_from IS NULL OR f.created_at >= to_timestamp(created_from / 1000000.0))
       AND (created_end IS NULL OR f.created_at < to_timestamp(created_end / 1000000.0))
       AND (completed_from IS NULL OR f.completed_at >= to_timestamp(completed_from / 1000000.0))
       AND (completed_end IS NULL OR f.completed_at < to_timestamp(completed_end / 1000000.0))
       AND (completed_is_null IS NULL OR (f.completed_at IS NULL) = completed_is_null)
       AND (areas IS NULL OR f.area = ANY(areas))
       AND (buckets IS NULL
            OR coalesce((SELECT u.bucket_name FROM symbol_upload u WHERE u.id = f.upload_id), 'local')
               = ANY(buckets))
       AND (not_buckets IS NULL
            OR coalesce((SELECT u.bucket_name FROM symbol_upload u WHERE u.id = f.upload_id), 'local')
               <> ALL(not_buckets))
$$;

-- One stored file as the JSON API shows it.
CREATE FUNCTION symbol_file_record(f symbol_file) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', f.id, 'key', f.key, 'update', f."update", 'compressed', f.compressed, 'size', f.size,
        'bucket_name', coalesce(u.bucket_name, 'local'),
        'completed_at', symbol_time(f.completed_at), 'created_at', symbol_time(f.created_at),
        'upload', CASE WHEN u.id IS NULL THEN NULL ELSE jsonb_build_object(
            'id', u.id, 'upload_type', CASE WHEN u.try_symbols THEN 'try' ELSE 'regular' END,
            'try_symbols', u.try_symbols, 'created_at', symbol_time(u.created_at),
            'user', (SELECT jsonb_build_object('id', a.id, 'email', a.email) FROM app_user a
                      WHERE a.id = u.user_id)) END)
      FROM (SELECT 1) AS one LEFT JOIN symbol_upload u ON u.id = f.upload_id
$$;
