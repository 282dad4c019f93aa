-- Crash pings (docs/crash-pings.md): what was received, what of it is kept, what is to be done.
--
-- ping_journal          how far the files of the receivers' journals have been read
-- ping_seen             document ids of the last days, so that no ping counts twice
-- ping_total_daily      every ping, by what it says of itself
-- ping_cell             one row per kind and day: how many came, which share of them is kept
-- crash_ping            those that are kept, by month
-- ping_queue            those that have no signature yet
-- ping_signature_daily  sums of those that have one; ping_signature_build the same by build
--
-- Nothing here says who sent a ping.

CREATE TABLE ping_journal (
    file    text PRIMARY KEY CHECK (length(file) <= 40),
    read_to bigint NOT NULL,
    read_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE ping_seen (
    document_id uuid PRIMARY KEY,
    day         date NOT NULL
);
CREATE INDEX ping_seen_day ON ping_seen USING brin (day);

-- Drawn anew for each day, so that nobody can choose ids that are kept.
CREATE TABLE ping_salt (
    day  date PRIMARY KEY,
    salt text NOT NULL DEFAULT gen_random_uuid()::text
);

CREATE TABLE ping_total_daily (
    day          date NOT NULL,
    product      text NOT NULL,
    version      text NOT NULL,
    channel      text NOT NULL,
    os           text NOT NULL,
    arch         text NOT NULL,
    process_type text NOT NULL,
    received     bigint NOT NULL,
    PRIMARY KEY (day, product, version, channel, os, arch, process_type)
);

-- Texts are '*' in the cell that all versions share which are not active.
CREATE TABLE ping_cell (
    id            bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    day           date NOT NULL,
    product       text NOT NULL,
    major         text NOT NULL,
    channel       text NOT NULL,
    os            text NOT NULL,
    process_type  text NOT NULL,
    utility_actor text NOT NULL, -- '': none
    target        double precision NOT NULL,
    expected      double precision NOT NULL,
    probability   double precision NOT NULL GENERATED ALWAYS AS (least(1, target / greatest(expected, 1))) STORED,
    received      bigint NOT NULL,
    sampled       bigint NOT NULL DEFAULT 0,
    revised_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (day, product, major, channel, os, process_type, utility_actor)
);

CREATE TYPE ping_state AS ENUM ('new', 'waiting', 'done', 'failed');

CREATE TABLE crash_ping (
    document_id     uuid NOT NULL,
    day             date NOT NULL,
    received_at     timestamptz NOT NULL,
    product         text NOT NULL,
    version         text NOT NULL,
    channel         text NOT NULL,
    build_id        text NOT NULL,
    os              text NOT NULL,
    os_version      text,
    arch            text NOT NULL,
    process_type    text NOT NULL,
    startup         boolean NOT NULL,
    weight          double precision NOT NULL, -- pings it stands for
    cell_id         bigint,
    state           ping_state NOT NULL DEFAULT 'new',
    crash_type      text,
    signature       text,
    proto_signature text,
    doc             jsonb NOT NULL,
    stack           jsonb,
    error           text,
    PRIMARY KEY (day, document_id)
) PARTITION BY RANGE (day);
CREATE INDEX crash_ping_id ON crash_ping (document_id);
CREATE INDEX crash_ping_signature ON crash_ping (signature, day);
CREATE INDEX crash_ping_unfinished ON crash_ping (state) WHERE state <> 'done';

-- The partition of a day's month, made when its first ping comes.
CREATE FUNCTION make_ping_month(wanted date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', wanted)::date;
    name  text := 'crash_ping_' || to_char(first, 'YYYYMM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('make_ping_month'));
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF crash_ping FOR VALUES FROM (%L) TO (%L)',
                   name, first, (first + interval '1 month')::date);
END
$$;

-- Work: one row per ping without a signature.  state: 0 waiting, 1 running.
CREATE TABLE ping_queue (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day         date NOT NULL,
    document_id uuid NOT NULL,
    product     text NOT NULL,
    build_id    text NOT NULL,
    os          text NOT NULL,
    state       smallint NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 1),
    not_before  timestamptz NOT NULL DEFAULT now(),
    attempts    smallint NOT NULL DEFAULT 0,
    locked_by   text, -- "host:process" while running
    locked_until timestamptz,
    UNIQUE (document_id, day)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX ping_queue_next ON ping_queue (id) WHERE state = 0;
CREATE INDEX ping_queue_running ON ping_queue (locked_by) WHERE state = 1;

CREATE TABLE ping_signature_daily (
    day          date NOT NULL,
    product      text NOT NULL,
    version      text NOT NULL,
    channel      text NOT NULL,
    os           text NOT NULL,
    process_type text NOT NULL,
    signature    text NOT NULL,
    sampled      bigint NOT NULL,           -- pings
    estimate     double precision NOT NULL, -- sum of their weights
    squares      double precision NOT NULL, -- and of the squares of those, for the interval
    startup      double precision NOT NULL, -- sum of weights of start-up crashes
    oom          double precision NOT NULL,
    PRIMARY KEY (day, product, version, channel, os, process_type, signature)
);
CREATE INDEX ping_signature_daily_signature ON ping_signature_daily (signature, day);
CREATE INDEX ping_signature_daily_product ON ping_signature_daily (day, product, channel);

-- Of channels with builds every day.
CREATE TABLE ping_signature_build (
    product   text NOT NULL,
    channel   text NOT NULL,
    signature text NOT NULL,
    build_id  text NOT NULL,
    day       date NOT NULL,
    sampled   bigint NOT NULL,
    PRIMARY KEY (signature, product, channel, build_id, day)
);
