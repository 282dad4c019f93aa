-- What of crash pings is old goes: single ones, and long after them what was counted of them.
-- Answers how many pings went.  Months that are over are dropped as a whole.
CREATE FUNCTION expire_pings(ping_days integer, counter_days integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
    part  record;
    n     bigint;
    gone  bigint := 0;
BEGIN
    FOR part IN
        SELECT c.relname AS name, to_date(right(c.relname, 6), 'YYYYMM') AS month
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'crash_ping'::regclass
    LOOP
        IF part.month + interval '1 month' <= today - ping_days THEN
            EXECUTE format('SELECT count(*) FROM %I', part.name) INTO n;
            EXECUTE format('DROP TABLE %I', part.name);
            gone := gone + n;
        END IF;
    END LOOP;
    DELETE FROM crash_ping WHERE day < today - ping_days;
    GET DIAGNOSTICS n = ROW_COUNT;
    DELETE FROM ping_queue WHERE day < today - ping_days;
    DELETE FROM ping_seen WHERE day < today - 7;
    DELETE FROM ping_salt WHERE day < today - ping_days;
    DELETE FROM ping_signature_build WHERE day < today - 90;
    DELETE FROM ping_total_daily WHERE day < today - counter_days;
    DELETE FROM ping_signature_daily WHERE day < today - counter_days;
    DELETE FROM ping_cell WHERE day < today - counter_days;
    RETURN gone + n;
END
$$;
