#ifndef CRON_SCHEDULE_H
#define CRON_SCHEDULE_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * schedule - when a job is due, for which moments it runs, and when it runs next.  Pure functions
 * of a job's plan, its state and the time; nothing here looks at a clock or a database.
 *
 * Times are microseconds since 1970, UTC.  TIME_NEVER stands for "not yet".
 */
#define TIME_NEVER INT64_MIN

struct plan {
    int64_t every_us;
    int hour, minute;  /* -1, -1: no fixed time of day */
    bool has_backfill; /* runs once for each missed slot */
};

struct job_state {
    int64_t next_run_us, first_run_us, last_run_us, last_success_us;
    int error_count;
    bool is_overdue; /* as the database has it (cron_health); a success ends it */
};

/* frequency "30m", "1h", "7d"; time "HH:MM" or NULL. */
bool plan_parse(const char *frequency, const char *time, bool has_backfill, struct plan *ret,
                struct err *err);

/* Also when next_run lies further ahead than any plan: the clock was ahead when it was made. */
bool plan_is_due(const struct plan *p, const struct job_state *s, int64_t now_us);

/*
 * The moments to run for, oldest first, at most max of them.  One, now, for a job without
 * backfill or without a success so far; else one for each missed one, perhaps none.
 */
size_t plan_slots(const struct plan *p, const struct job_state *s, int64_t now_us, int64_t *slots,
                  size_t max);

/* The state after a run for a slot.  A failure never moves last_success. */
void plan_success(const struct plan *p, struct job_state *s, int64_t slot_us, int64_t now_us);
void plan_failure(struct job_state *s, int64_t now_us);

#endif
