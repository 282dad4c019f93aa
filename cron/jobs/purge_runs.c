/*
 * purge - purges that a page has asked for: previews first look and count, and what somebody has
 * said yes to is deleted.  Also purges of the command line that were killed (lib/purge).
 */
#include <stdio.h>

#include "cron/job_context.h"
#include "cron/jobs/job_functions.h"
#include "lib/base/err.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/purge/purge.h"

enum { JOB_PROGRESS_MS = 10000 };

static void print_job_progress(void *arg, const struct purge_progress *p)
{
    int64_t *told_ms = arg;
    if (mono_ms() - *told_ms < JOB_PROGRESS_MS)
        return;
    *told_ms = mono_ms();
    printf("%zu crashes looked at, %zu found, %zu deleted\n", p->seen, p->found, p->deleted);
}

bool job_purge(struct job_context *x, struct err *err)
{
    struct purge_progress p;
    size_t runs;
    int64_t told_ms = mono_ms();
    struct err why = {0};
    const struct purge_tools t = {.conf = x->conf,
                                  .fields = x->fields,
                                  .db = x->db,
                                  .store = x->store,
                                  .progress = print_job_progress,
                                  .arg = &told_ms};
    if (!purge_work(&t, true, &p, &runs, &why)) {
        if (why.code != ERR_BUSY)
            return err_set(err, why.code, "%s", why.msg);
        puts("a purge is at work already");
        return true;
    }
    printf("%zu purges and previews: %zu crashes looked at, %zu found, %zu deleted\n", runs, p.seen,
           p.found, p.deleted);
    return true;
}
