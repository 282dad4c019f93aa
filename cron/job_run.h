#ifndef CRON_JOB_RUN_H
#define CRON_JOB_RUN_H

#include "cron/jobs.h"
#include "lib/base/metrics.h"

/*
 * job_run - one run of one job in a child process: output goes to the log line by line, a job that
 * takes too long or is asked to stop is killed.
 */
struct run_result {
    bool ok;
    int64_t duration_ms;
    int64_t items;   /* of job_did; -1: the job does not count */
    char type[32];   /* class of the error: "timeout", "invalid", "killed by signal 9", … */
    char value[256]; /* its message */
    char tail[2048]; /* last lines of the output */
};

struct run_request {
    const struct conf *conf;
    struct metrics *metrics;
    const struct field_table *fields;
    const struct cron_job *job;
    int64_t run_time_us, last_success_us;
    const char *const *args;
    bool is_interactive;           /* output to standard output instead of the log */
    bool (*keep_alive)(void *arg); /* called every minute, or NULL; false ends the job */
    void *arg;
    int64_t *items; /* run_job's own */
};

/* False only when no child could be started. */
bool run_job(const struct run_request *q, struct run_result *ret, struct err *err);

#endif
