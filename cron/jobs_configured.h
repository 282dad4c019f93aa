#ifndef CRON_JOBS_CONFIGURED_H
#define CRON_JOBS_CONFIGURED_H

#include "cron/jobs.h"
#include "lib/base/arena.h"

/*
 * jobs_configured - the table of jobs as an installation has it (CRON_JOBS).
 *
 * Ownership  The list and its texts lie in the arena.
 * Errors     ERR_INVALID names the word that is wrong.
 */
struct job_list {
    struct cron_job *v; /* in the order of cron_jobs */
    size_t n;
};
/*
 * "NAME [every=2h] [time=03:00|time=none] [limit=90m] [off]; NAME …": what of a job's row is
 * otherwise.  A job that is off runs when it is asked for by name, and not by itself.
 */
bool jobs_configure(struct arena *a, const char *text, struct job_list *ret, struct err *err);

#endif
