-- Uploads of symbols file by file: what was announced and has not come completely.

-- The id that clients have in their address is a secret; stored is its hash.
CREATE TABLE symbol_session (
    id_hash          text PRIMARY KEY CHECK (length(id_hash) = 64), -- SHA-256, hexadecimal
    upload_id        bigint NOT NULL REFERENCES symbol_upload ON DELETE CASCADE,
    area             text NOT NULL CHECK (area IN ('regular', 'try')),
    key              text NOT NULL CHECK (length(key) <= 300),
    size             bigint NOT NULL CHECK (size >= 0),       -- of the file, uncompressed
    md5              text NOT NULL CHECK (length(md5) = 32),  -- of the file, uncompressed
    content_encoding text CHECK (content_encoding = 'gzip'),  -- what the client was told to send
    total            bigint CHECK (total >= 0),               -- bytes that will come; null: not said yet
    received         bigint NOT NULL DEFAULT 0,               -- of them, durable on disk
    expires_at       timestamptz NOT NULL
);
CREATE INDEX symbol_session_upload ON symbol_session (upload_id);
CREATE INDEX symbol_session_expires ON symbol_session (expires_at);
