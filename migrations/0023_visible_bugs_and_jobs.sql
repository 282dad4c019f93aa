-- Bugs that the tracker shows to few are for people who are logged in; and what a job cannot work without.
ALTER TABLE bug_association ADD COLUMN is_public boolean NOT NULL DEFAULT true;

ALTER TABLE cron_job ADD COLUMN lacks text NOT NULL DEFAULT ''; -- the configuration key that is not set

-- j.* of a view is what the table had when it was made.
DROP VIEW cron_health;
CREATE VIEW cron_health AS
    SELECT j.*,
           coalesce(least(coalesce(last_success, added) + every, next_run)
                    < now() - greatest(3 * every, interval '1 hour'), false) AND every IS NOT NULL AS is_overdue
      FROM cron_job j;
