/*
 * telemetry_rollup - public records of the day before become files of that day; lib/export has the
 * order in which that happens.  A day that has files already is left as it is.  `--job-arg
 * run-time=2026-01-05T01:00` makes the day before that time.
 */
#include <stdio.h>

#include "cron/job_context.h"
#include "cron/jobs/job_functions.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/time.h"
#include "lib/export/export.h"

bool job_telemetry_rollup(struct job_context *x, struct err *err)
{
    struct export_rolled r;
    int64_t run_time_us;
    if (!job_arg_time(x, "run-time", x->run_time_us, &run_time_us, err))
        return false;
    struct civil c = civil_of_us(run_time_us - INT64_C(86400) * 1000000);
    const char *day = arena_printf(x->arena, "%04d%02d%02d", c.year, c.month, c.day);
    if (!export_roll(conf_text(x->conf, CONF_DATIL_VAR), x->store, day, &r, err))
        return false;
    job_did(x, r.rows);
    if (r.was_there)
        printf("%s has files already\n", day);
    else
        printf("%s: %zu records in %zu files\n", day, r.rows, r.files);
    return true;
}
