-- Purges that a page asked for, and that go on where they were killed.
--
-- What is looked for stands here as a salted digest and only as long as somebody looks; the value
-- itself stands nowhere.  Everybody who can read this table can read the crashes as well.

ALTER TABLE purge_run
    ADD COLUMN product   text NOT NULL DEFAULT '',       -- empty: all
    ADD COLUMN first_day text NOT NULL DEFAULT '',       -- YYYYMMDD of crash ids; empty: no bound
    ADD COLUMN last_day  text NOT NULL DEFAULT '',
    ADD COLUMN salt      text NOT NULL DEFAULT '',
    ADD COLUMN digest    text NOT NULL DEFAULT '',       -- of salt and value; empty: nobody looks any more
    ADD COLUMN state     text NOT NULL DEFAULT 'running'
        CHECK (state IN ('preview', 'previewed', 'running', 'done', 'cancelled')),
    ADD COLUMN asked_by  text NOT NULL DEFAULT '',
    ADD COLUMN scan_day  text NOT NULL DEFAULT '',       -- the last day that was gone through
    ADD COLUMN seen      integer NOT NULL DEFAULT 0,     -- crashes looked at
    ADD COLUMN deleted   integer NOT NULL DEFAULT 0,
    ADD COLUMN in_processed  integer NOT NULL DEFAULT 0, -- of a preview: in how many places they are
    ADD COLUMN in_index      integer NOT NULL DEFAULT 0,
    ADD COLUMN in_statistics integer NOT NULL DEFAULT 0,
    ADD COLUMN in_export     integer NOT NULL DEFAULT 0,
    ADD COLUMN moved_at  timestamptz NOT NULL DEFAULT now();

UPDATE purge_run SET state = 'done' WHERE finished_at IS NOT NULL;
