-- What people and monitors want to know of a job besides its state: how long it took, how much it did, and
-- whether it is late.  The scheduler writes period and help from its table of jobs, so that other programs
-- need not know that table.
ALTER TABLE cron_job
    ADD COLUMN added         timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN every         interval, -- NULL: no job of this version, or switched off
    ADD COLUMN help          text NOT NULL DEFAULT '',
    ADD COLUMN last_duration double precision, -- seconds
    ADD COLUMN last_items    bigint;           -- what the last run dealt with; NULL: it does not count
ALTER TABLE cron_log ADD COLUMN items bigint;

-- Overdue: by more than three periods, be it that it did not run or that it never succeeds.  At least an hour,
-- because jobs run one after another, and some of them for long.
CREATE VIEW cron_health AS
    SELECT j.*,
           coalesce(least(coalesce(last_success, added) + every, next_run)
                    < now() - greatest(3 * every, interval '1 hour'), false) AND every IS NOT NULL AS is_overdue
      FROM cron_job j;
