-- Symbols: uploads, the files that came with them, what is stored now, what was asked for in vain.

CREATE TABLE symbol_upload (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id       bigint REFERENCES app_user ON DELETE SET NULL,
    filename      text NOT NULL CHECK (length(filename) <= 100),
    bucket_name   text NOT NULL DEFAULT 'local',
    size          bigint NOT NULL,              -- of the archive
    content_hash  text CHECK (length(content_hash) <= 32),
    download_url  text CHECK (length(download_url) <= 500),
    redirect_urls text[] NOT NULL DEFAULT '{}',
    skipped_keys  text[] NOT NULL DEFAULT '{}', -- were stored already, names as in the archive
    ignored_keys  text[] NOT NULL DEFAULT '{}',
    warnings      jsonb NOT NULL DEFAULT '[]',
    try_symbols   boolean NOT NULL DEFAULT false,
    api_version   smallint NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT now(),
    completed_at  timestamptz                   -- null: storing did not come to its end
);
CREATE INDEX symbol_upload_created ON symbol_upload (created_at);
CREATE INDEX symbol_upload_user ON symbol_upload (user_id, created_at);
CREATE INDEX symbol_upload_related ON symbol_upload (user_id, size, content_hash);

-- History: one row for each time a file was stored.
CREATE TABLE symbol_file (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    upload_id      bigint REFERENCES symbol_upload ON DELETE SET NULL,
    area           text NOT NULL CHECK (area IN ('regular', 'try', 'cache')),
    key            text NOT NULL CHECK (length(key) <= 300),
    debug_filename text,                        -- these five from the header of a .sym file
    debug_id       text CHECK (length(debug_id) <= 40),
    code_file      text,
    code_id        text,
    generator      text,
    "update"       boolean NOT NULL,            -- a file of this key was there before
    compressed     boolean NOT NULL,
    size           bigint NOT NULL,             -- as stored
    created_at     timestamptz NOT NULL DEFAULT now(),
    completed_at   timestamptz
);
CREATE INDEX symbol_file_created ON symbol_file (created_at);
CREATE INDEX symbol_file_upload ON symbol_file (upload_id);
CREATE INDEX symbol_file_key ON symbol_file (key);
CREATE INDEX symbol_file_debug ON symbol_file (debug_filename, debug_id)
    WHERE debug_filename IS NOT NULL;
CREATE INDEX symbol_file_code ON symbol_file (code_file, code_id) WHERE code_file IS NOT NULL;

-- What uploads have left in the store, one row per file.
CREATE TABLE symbol_object (
    area             text NOT NULL CHECK (area IN ('regular', 'try', 'cache')),
    key              text NOT NULL CHECK (length(key) <= 300),
    stored_size      bigint NOT NULL,
    original_size    bigint NOT NULL,
    original_md5     text NOT NULL CHECK (length(original_md5) = 32),
    content_type     text NOT NULL,
    content_encoding text,
    last_modified    timestamptz NOT NULL DEFAULT now(),
    last_download    timestamptz,
    PRIMARY KEY (area, key)
);
CREATE INDEX symbol_object_age ON symbol_object (area, last_modified);

-- Symbols that somebody wanted and we do not have.
CREATE TABLE missing_symbol (
    hash        text PRIMARY KEY CHECK (length(hash) = 32), -- md5 of the five, see missing_symbol_add
    symbol      text NOT NULL,                  -- the debug file
    debugid     text NOT NULL,
    filename    text NOT NULL,
    code_file   text NOT NULL DEFAULT '',
    code_id     text NOT NULL DEFAULT '',
    count       bigint NOT NULL DEFAULT 1,
    product     text,
    version     text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX missing_symbol_modified ON missing_symbol (modified_at);
CREATE INDEX missing_symbol_symbol ON missing_symbol (symbol, debugid);
