#ifndef CRON_SCHEDULER_H
#define CRON_SCHEDULER_H

#include "cron/job.h"

/*
 * scheduler - runs the jobs that are due, with their state in the table cron_job.
 *
 * Locks      A job runs on one machine at a time: its row carries the time it began; the mark
 *            is renewed every minute and taken over after two hours.
 * Errors     A failing job is a result (its state says so); false means that the database or the
 *            table of jobs cannot be used.
 */
struct scheduler {
    const struct conf *conf;
    struct db *db;
};

/* One look at every job.  *ret_failed counts runs that failed. */
bool scheduler_run_due(struct scheduler *s, size_t *ret_failed, struct err *err);
/* One job, if it is due. */
bool scheduler_run_one(struct scheduler *s, const struct cron_job *job, size_t *ret_failed,
                       struct err *err);
/* One job now, without looking at its state or changing it; output to standard output. */
bool scheduler_force(struct scheduler *s, const struct cron_job *job, const char *const *args,
                     struct err *err);
bool scheduler_list(struct scheduler *s, struct err *err);
/* Forgets the state of a job (NULL: of all), or makes it as after a success now. */
bool scheduler_reset(struct scheduler *s, const char *name, struct err *err);
bool scheduler_mark_success(struct scheduler *s, const struct cron_job *job, struct err *err);

#endif
