-- Accounts, the work queue and the ledger of crashes, bookkeeping tables, scheduled jobs.
-- Times are UTC.  No table here holds annotation values.

-- Accounts

CREATE TABLE app_permission (
    name  text PRIMARY KEY,
    label text NOT NULL
);
INSERT INTO app_permission (name, label) VALUES
    ('view_pii',           'View Personal Identifiable Information'),
    ('view_rawdump',       'View Raw Dumps'),
    ('run_custom_queries', 'Run Custom Queries in Super Search'),
    ('run_long_queries',   'Run Long Queries'),
    ('reprocess_crashes',  'Reprocess Crashes'),
    ('upload_symbols',     'Upload Symbols Files'),
    ('upload_try_symbols', 'Upload Try Symbols Files'),
    ('view_all_uploads',   'View All Symbols Uploads'),
    ('manage_tokens',      'Manage Your API Tokens');

CREATE TABLE app_user (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email         text NOT NULL CHECK (email <> '' AND length(email) <= 254),
    name          text NOT NULL DEFAULT '',
    password_hash text,               -- argon2id, encoded; null: cannot log in with a password
    is_active     boolean NOT NULL DEFAULT true,
    is_staff      boolean NOT NULL DEFAULT false,
    is_superuser  boolean NOT NULL DEFAULT false,
    date_joined   timestamptz NOT NULL DEFAULT now(),
    last_login    timestamptz
);
CREATE UNIQUE INDEX app_user_email ON app_user (lower(email));

CREATE TABLE app_group (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name <> '')
);

CREATE TABLE app_group_permission (
    group_id   bigint NOT NULL REFERENCES app_group ON DELETE CASCADE,
    permission text NOT NULL REFERENCES app_permission,
    PRIMARY KEY (group_id, permission)
);

CREATE TABLE app_user_group (
    user_id  bigint NOT NULL REFERENCES app_user ON DELETE CASCADE,
    group_id bigint NOT NULL REFERENCES app_group ON DELETE CASCADE,
    PRIMARY KEY (user_id, group_id)
);
CREATE INDEX app_user_group_group ON app_user_group (group_id);

CREATE TABLE app_user_permission (
    user_id    bigint NOT NULL REFERENCES app_user ON DELETE CASCADE,
    permission text NOT NULL REFERENCES app_permission,
    PRIMARY KEY (user_id, permission)
);

-- What a user may do by groups and directly.  Superusers: every permission; inactive ones: none.
CREATE VIEW app_user_effective AS
    SELECT u.id AS user_id, p.name AS permission
      FROM app_user u CROSS JOIN app_permission p
     WHERE u.is_active
       AND (u.is_superuser
            OR EXISTS (SELECT 1 FROM app_user_permission d
                        WHERE d.user_id = u.id AND d.permission = p.name)
            OR EXISTS (SELECT 1 FROM app_user_group ug
                         JOIN app_group_permission gp USING (group_id)
                        WHERE ug.user_id = u.id AND gp.permission = p.name));

INSERT INTO app_group (name) VALUES
    ('Hackers'), ('Hackers Plus'), ('Uploaders'), ('Upload Auditors');
INSERT INTO app_group_permission (group_id, permission)
SELECT g.id, p.permission
  FROM app_group g
  JOIN (VALUES ('Hackers', 'reprocess_crashes'), ('Hackers', 'run_long_queries'),
               ('Hackers', 'view_pii'), ('Hackers', 'view_rawdump'),
               ('Hackers Plus', 'reprocess_crashes'), ('Hackers Plus', 'run_long_queries'),
               ('Hackers Plus', 'view_pii'), ('Hackers Plus', 'view_rawdump'),
               ('Hackers Plus', 'run_custom_queries'),
               ('Uploaders', 'upload_symbols'), ('Uploaders', 'upload_try_symbols'),
               ('Uploaders', 'manage_tokens'),
               ('Upload Auditors', 'view_all_uploads'), ('Upload Auditors', 'manage_tokens')
       ) AS p (group_name, permission) ON p.group_name = g.name;

-- The key itself is shown once and never stored.
CREATE TABLE api_token (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    bigint NOT NULL REFERENCES app_user ON DELETE CASCADE,
    key_hash   text NOT NULL UNIQUE CHECK (length(key_hash) = 64), -- SHA-256, hexadecimal
    key_start  text NOT NULL,                                      -- first 12 characters
    notes      text NOT NULL DEFAULT '' CHECK (length(notes) <= 2000),
    preferred_upload_api_version smallint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX api_token_user ON api_token (user_id);

-- What the token was given; what it may do is this, as long as its owner may.
CREATE TABLE api_token_permission (
    token_id   bigint NOT NULL REFERENCES api_token ON DELETE CASCADE,
    permission text NOT NULL REFERENCES app_permission,
    PRIMARY KEY (token_id, permission)
);

CREATE TABLE web_session (
    id_hash    text PRIMARY KEY CHECK (length(id_hash) = 64), -- SHA-256 of the cookie's value
    user_id    bigint NOT NULL REFERENCES app_user ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen  timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX web_session_user ON web_session (user_id);
CREATE INDEX web_session_expires ON web_session (expires_at);

CREATE TABLE audit_log (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT now(),
    user_id   bigint REFERENCES app_user ON DELETE SET NULL,
    user_name text NOT NULL,             -- e-mail or job name, kept when the account goes
    object    text NOT NULL,             -- "user", "group", "token", …
    object_id text NOT NULL DEFAULT '',
    action    text NOT NULL,             -- "add", "change", "delete", …
    message   text NOT NULL DEFAULT ''
);
CREATE INDEX audit_log_at ON audit_log (at);

CREATE TABLE policy_exception (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    bigint NOT NULL UNIQUE REFERENCES app_user ON DELETE CASCADE,
    comment    text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Queue and ledger

-- queue: 0 priority, 1 standard, 2 reprocessing.  state: 0 waiting, 1 running, 2 failed for good.
CREATE TABLE crash_queue (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    crash_id      text NOT NULL CHECK (length(crash_id) = 36),
    ruleset       text NOT NULL DEFAULT 'default' CHECK (length(ruleset) BETWEEN 1 AND 63),
    queue         smallint NOT NULL CHECK (queue BETWEEN 0 AND 2),
    state         smallint NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    not_before    timestamptz NOT NULL DEFAULT now(),
    attempts      smallint NOT NULL DEFAULT 0,
    worker_deaths smallint NOT NULL DEFAULT 0,
    locked_by     text,                        -- "host:pid" while running
    locked_until  timestamptz,
    created       timestamptz NOT NULL DEFAULT now(),
    last_error    text                         -- class of error, never its text
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);
CREATE UNIQUE INDEX crash_queue_waiting ON crash_queue (crash_id, ruleset) WHERE state = 0;
CREATE INDEX crash_queue_next ON crash_queue (queue, id) WHERE state = 0;
CREATE INDEX crash_queue_running ON crash_queue (crash_id) WHERE state = 1;
CREATE INDEX crash_queue_failed ON crash_queue (created) WHERE state = 2;

-- rejected: there is no raw crash.  failed: for good, after the last attempt.
CREATE TYPE crash_state AS ENUM ('received', 'processed', 'rejected', 'failed');

-- One narrow row per accepted report.  index_seq: place in the order of index appends (see
-- crash_index_state).
CREATE TABLE crash_ledger (
    crash_id     text PRIMARY KEY CHECK (length(crash_id) = 36),
    product      text NOT NULL DEFAULT '',
    state        crash_state NOT NULL DEFAULT 'received',
    received     timestamptz NOT NULL DEFAULT now(),
    processed_at timestamptz,
    index_seq    bigint
);
CREATE INDEX crash_ledger_day ON crash_ledger (right(crash_id, 6)); -- date of the id, for retention
CREATE INDEX crash_ledger_unfinished ON crash_ledger (received) WHERE state <> 'processed';
CREATE INDEX crash_ledger_index_seq ON crash_ledger (index_seq) WHERE index_seq IS NOT NULL;

-- Appends up to synced_seq survive a crash of the machine; later ones are repeated at start.
CREATE SEQUENCE crash_index_seq CACHE 1;
CREATE TABLE crash_index_state (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    synced_seq bigint NOT NULL
);
INSERT INTO crash_index_state (synced_seq) VALUES (0);

CREATE TABLE missing_processed_crash (
    crash_id     text PRIMARY KEY CHECK (length(crash_id) = 36),
    is_processed boolean NOT NULL DEFAULT false,
    created      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX missing_processed_crash_open ON missing_processed_crash (created) WHERE NOT is_processed;

-- Bookkeeping

CREATE TABLE signature (
    signature   text PRIMARY KEY,
    first_build bigint,
    first_date  timestamptz NOT NULL
);

CREATE TABLE bug_association (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bug_id    bigint NOT NULL,
    signature text NOT NULL,
    UNIQUE (bug_id, signature)
);
CREATE INDEX bug_association_signature ON bug_association (signature);

CREATE TABLE product_version (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_name    text NOT NULL,
    release_channel text NOT NULL,
    major_version   integer NOT NULL,
    release_version text NOT NULL,
    version_string  text NOT NULL,
    build_id        text NOT NULL CHECK (length(build_id) <= 50),
    archive_url     text,
    UNIQUE (product_name, release_channel, build_id, version_string)
);

CREATE TABLE graphics_device (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    vendor_hex   text NOT NULL,
    adapter_hex  text,
    vendor_name  text NOT NULL DEFAULT '',
    adapter_name text NOT NULL DEFAULT '',
    UNIQUE NULLS NOT DISTINCT (vendor_hex, adapter_hex)
);

CREATE TABLE platform (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    short_name text NOT NULL
);
INSERT INTO platform (name, short_name) VALUES
    ('Windows', 'win'), ('Mac OS X', 'mac'), ('Linux', 'lin'), ('Android', 'and'),
    ('Unknown', 'unknown');

CREATE TABLE status_message (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message    text NOT NULL,
    severity   text NOT NULL DEFAULT 'info' CHECK (severity IN ('info', 'warning', 'critical')),
    is_enabled boolean NOT NULL DEFAULT true,
    created    timestamptz NOT NULL DEFAULT now()
);

-- Scheduled jobs

CREATE TABLE cron_job (
    app_name     text PRIMARY KEY CHECK (length(app_name) <= 100),
    next_run     timestamptz,
    first_run    timestamptz,
    last_run     timestamptz,
    last_success timestamptz,
    ongoing      timestamptz,
    error_count  integer NOT NULL DEFAULT 0,
    last_error   jsonb NOT NULL DEFAULT '{}',
    depends_on   text NOT NULL DEFAULT ''
);

CREATE TABLE cron_log (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app_name      text NOT NULL,
    log_time      timestamptz NOT NULL DEFAULT now(),
    duration      double precision NOT NULL,
    success       timestamptz,
    exc_type      text,
    exc_value     text,
    exc_traceback text
);
CREATE INDEX cron_log_app ON cron_log (app_name, log_time);
CREATE INDEX cron_log_time ON cron_log (log_time);
