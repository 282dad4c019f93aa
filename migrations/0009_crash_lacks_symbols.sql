-- Which crashes lacked which symbols when they were walked last, so that they can be processed again
-- when these arrive, and so that it is known how many crashes an upload would improve.

-- Written with the result of a crash (queue_finish), so it is as exact as the ledger.  A crash that is
-- processed again replaces its rows; with the crash they go; after SYMBOLS_REPROCESS_DAYS as well.
CREATE TABLE crash_lacks_symbols (
    crash_id uuid NOT NULL,
    debug_id text NOT NULL CHECK (length(debug_id) <= 40), -- a file of this id, whatever its name, will do
    walked   timestamptz NOT NULL, -- symbols that came later were not looked at, or are being looked at now
    day      date NOT NULL,        -- of the report
    product  text,
    version  text,
    PRIMARY KEY (crash_id, debug_id)
);
CREATE INDEX crash_lacks_symbols_wanted ON crash_lacks_symbols (debug_id, walked);
-- Rows come nearly in the order of their days.
CREATE INDEX crash_lacks_symbols_day ON crash_lacks_symbols USING brin (day);

-- How many crashes were queued again because symbols arrived: a row for each of the modules, and the
-- sum of a day under ''.
CREATE TABLE symbols_reprocessed (
    day      date NOT NULL,
    debug_id text NOT NULL,
    crashes  bigint NOT NULL,
    PRIMARY KEY (day, debug_id)
);

CREATE INDEX missing_symbol_debugid ON missing_symbol (debugid);
CREATE INDEX symbol_file_completed ON symbol_file (completed_at);
