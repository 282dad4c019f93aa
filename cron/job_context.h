#ifndef CRON_JOB_CONTEXT_H
#define CRON_JOB_CONTEXT_H

#include "cron/schedule.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/metrics.h"
#include "lib/db/db.h"
#include "lib/search/index.h"
#include "lib/store/store.h"

/*
 * job_context - what a job is given.
 *
 * Ownership  Everything in it lives until the job returns.
 */
struct job_context {
    const struct conf *conf;
    struct metrics *metrics; /* flushed when the job is over */
    const struct field_table *fields;
    struct arena *arena;
    struct db *db;       /* connects on first use */
    struct store *store; /* NULL unless the job's row says JOB_STORE */
    int64_t run_time_us;
    int64_t last_success_us; /* or TIME_NEVER */
    const char *const *args; /* "key=value" from --job-arg; NULL-ended */
    int64_t *items;          /* of job_did; -1: nothing was counted.  The parent reads it */
    int64_t said_ms;         /* private */
};

/* So many more crashes, bugs, files (whatever the job is about) are dealt with.  Says every half a
 * minute how many there have been, and a metric and the page of jobs tell it behind the run. */
void job_did(struct job_context *x, size_t n);

/* Value of "--job-arg key=value", or NULL; a key alone gives "". */
const char *job_arg(const struct job_context *x, const char *key);
/* The same as a time, "2026-01-05T01:00"; `planned` without the key or with nothing behind it. */
bool job_arg_time(const struct job_context *x, const char *key, int64_t planned, int64_t *ret,
                  struct err *err);

#endif
