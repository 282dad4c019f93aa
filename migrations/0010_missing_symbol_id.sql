-- Lists name rows by a number, and pages go through them in an order that does not change.
ALTER TABLE missing_symbol ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX missing_symbol_id ON missing_symbol (id);
