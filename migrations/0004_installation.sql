-- The id of this installation.  The roots of its store and of its symbols carry it in a file, so
-- that a file system that is not mounted, or a foreign one, is noticed.

CREATE TABLE installation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id       text NOT NULL CHECK (id ~ '^[0-9a-f]{32}$'),
    created  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO installation (id) VALUES (replace(gen_random_uuid()::text, '-', ''));

-- Which directories got their mark once; from then on a missing one is an alarm.
CREATE TABLE installation_mark (
    what   text PRIMARY KEY CHECK (what IN ('store', 'symbols')),
    marked timestamptz NOT NULL DEFAULT now()
);
