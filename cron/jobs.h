#ifndef CRON_JOBS_H
#define CRON_JOBS_H

#include "cron/job_context.h"
#include "lib/base/conf.h"

/*
 * jobs - the scheduled jobs, each a row of the table in jobs.c and a function.
 *
 * A job runs in a child process of its own, prints what it did to standard output (the scheduler
 * logs it line by line) and returns true, or false with the reason.  It may be killed at any
 * moment and run again: everything it does can be repeated.
 */
enum job_flag { JOB_BACKFILL = 1, JOB_LAST_SUCCESS = 2, JOB_STORE = 4, JOB_OFF = 8 };

struct cron_job {
    const char *name;
    const char *frequency; /* "1d" */
    const char *time;      /* "HH:MM" or NULL */
    unsigned flags;
    int timeout_s;
    bool (*run)(struct job_context *x, struct err *err);
    const char *depends_on; /* names separated by commas, or NULL */
    const char *help;
    enum conf_name
        needs; /* the address it works with; DATIL_VAR, which is 0 and always set: none */
};
extern const struct cron_job cron_jobs[];
extern const size_t cron_job_count;

#endif
