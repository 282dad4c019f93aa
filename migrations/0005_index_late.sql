-- Crashes that are processed and wait for the search index, because it could not be used when they were
-- finished: index_seq is NULL until the index keeper has put them.
CREATE INDEX crash_ledger_index_late ON crash_ledger (crash_id)
 WHERE state = 'processed' AND index_seq IS NULL;
