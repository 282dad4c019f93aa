#ifndef CRON_SCHEDULER_H
#define CRON_SCHEDULER_H

#include <sys/types.h>

#include "cron/jobs_configured.h"
#include "lib/base/metrics.h"

/*
 * scheduler - runs the jobs that are due, with their state in the table cron_job.
 *
 * Locks      A job runs on one machine at a time: an advisory lock of the scheduler's database
 *            session, which ends with it however it dies.  Looked at every minute; a job whose
 *            lock went to another (the server was restarted) is ended.
 * Errors     A failing job is a result (its state says so); false means that the database or the
 *            table of jobs cannot be used.
 */
enum {
    RUNNERS_MAX = 3, /* jobs at once: they share a machine that has other work */
    SCHEDULER_STATEMENT_MS = 60000,
};

/* A process that runs one job (side_by_side.h). */
struct runner {
    const struct cron_job *job;
    pid_t pid;
    int exit; /* readable when it has ended (pidfd) */
    int64_t begun_ms;
};

struct scheduler {
    const struct conf *conf;
    const struct field_table *fields;
    struct metrics *metrics;
    struct db *db;
    struct job_list jobs;
    int64_t alerted_ms; /* when overdue jobs were told last; 0: never */
    /* Of side_by_side alone: who runs, who is not yet asked in this look, who is asked first. */
    struct runner runners[RUNNERS_MAX];
    size_t runner_count, first_asked;
    bool *is_to_ask; /* one for each job */
};

/* By plan, state and what the job depends on; also sets the gauges of the job. */
bool scheduler_is_due(struct scheduler *s, const struct cron_job *job, bool *ret, struct err *err);
/* One job, if it is due, in this process and its child.  *ret_failed counts runs that failed. */
bool scheduler_run_one(struct scheduler *s, const struct cron_job *job, size_t *ret_failed,
                       struct err *err);
/* Writes the failure of a run whose process was killed before it could. */
bool scheduler_note_death(struct scheduler *s, const struct cron_job *job, int signal,
                          int64_t duration_ms, struct err *err);
/* Overdue jobs, to the log; once an hour.  Behind a look: what was just made up for is not told. */
bool scheduler_tell_overdue(struct scheduler *s, struct err *err);
/* One job now, without looking at its state or changing it; output to standard output.
 * Waits up to a minute for a run that goes on; ERR_CONFLICT after it. */
bool scheduler_force(struct scheduler *s, const struct cron_job *job, const char *const *args,
                     struct err *err);
bool scheduler_list(struct scheduler *s, struct err *err);
/* Forgets the state of a job (NULL: of all), or makes it as after a success now. */
bool scheduler_reset(struct scheduler *s, const char *name, struct err *err);
bool scheduler_mark_success(struct scheduler *s, const struct cron_job *job, struct err *err);

#endif
