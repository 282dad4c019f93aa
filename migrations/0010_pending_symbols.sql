-- Symbols that a source was still sending when the walk had to go on: how many passes in a row found
-- them so.  Nothing need arrive for these to be looked for again, and not for ever.
ALTER TABLE crash_lacks_symbols ADD COLUMN pending_passes smallint NOT NULL DEFAULT 0;
CREATE INDEX crash_lacks_symbols_pending ON crash_lacks_symbols (walked) WHERE pending_passes > 0;

-- Lists name rows by a number, and pages go through them in an order that does not change.
ALTER TABLE missing_symbol ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX missing_symbol_id ON missing_symbol (id);
