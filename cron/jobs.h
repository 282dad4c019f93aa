#ifndef CRON_JOBS_H
#define CRON_JOBS_H

#include "lib/base/conf.h"
#include "cron/schedule.h"
#include "lib/db/db.h"
#include "lib/search/index.h"
#include "lib/store/store.h"

/*
 * jobs - one scheduled job: a row of the table in jobs.c and a function.
 *
 * A job runs in a child process of its own, prints what it did to standard output (the scheduler
 * logs it line by line) and returns true, or false with the reason.  It may be killed at any
 * moment and run again: everything it does can be repeated.
 *
 * Ownership  Everything in a struct job_context lives until the job returns.
 */
struct job_context {
    const struct conf *conf;
    const struct field_table *fields;
    struct arena *arena;
    struct db *db;       /* connects on first use */
    struct store *store; /* NULL unless the job's row says JOB_STORE */
    int64_t run_time_us;
    int64_t last_success_us; /* or TIME_NEVER */
    const char *const *args; /* "key=value" from --job-arg; NULL-ended */
};

enum job_flag { JOB_BACKFILL = 1, JOB_LAST_SUCCESS = 2, JOB_STORE = 4 };

struct cron_job {
    const char *name;
    const char *frequency; /* "1d" */
    const char *time;      /* "HH:MM" or NULL */
    unsigned flags;
    int timeout_s;
    bool (*run)(struct job_context *x, struct err *err);
    const char *depends_on; /* names separated by commas, or NULL */
    const char *help;
};
extern const struct cron_job cron_jobs[];
extern const size_t cron_job_count;
const struct cron_job *cron_job_find(const char *name);

/* Value of "--job-arg key=value", or NULL; a key alone gives "". */
const char *job_arg(const struct job_context *x, const char *key);

#endif
