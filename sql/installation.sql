-- Which installation this database belongs to, and which of its directories carry its mark.

-- name: installation_id
SELECT id FROM installation;

-- name: installation_marks
SELECT what FROM installation_mark ORDER BY what;

-- name: installation_marked
-- $1 what text
INSERT INTO installation_mark (what) VALUES ($1) ON CONFLICT (what) DO UPDATE SET marked = now();

-- name: installation_holds
SELECT EXISTS (SELECT 1 FROM crash_ledger WHERE state = 'processed') AS processed,
       EXISTS (SELECT 1 FROM symbol_object) AS symbols;
