-- Signatures of crash pings stand beside those of reports; who saw one first is noted.
ALTER TABLE signature ADD COLUMN source text NOT NULL DEFAULT 'report' CHECK (source IN ('report', 'ping'));

-- Since when a ping waits: symbols that are being made are waited for, but not for ever.
ALTER TABLE ping_queue ADD COLUMN created timestamptz NOT NULL DEFAULT now();
