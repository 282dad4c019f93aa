/*
 * updatesignatures: the first build and date of each signature (table signature), from what was
 * counted in a window of time.
 *
 * Counting a crash does the same at once (count_crashes, migrations/0013_statistics_by_key.sql), so
 * this job only mends what somebody changed by hand or restored from elsewhere.  The window begins
 * ten minutes before the last success, because a crash may be counted some time after its
 * date_processed; whole minutes, so that windows of several runs join.  Crashes without a build say
 * nothing here.  A slot that was missed is made up for with a window of its own.
 */
#include <stdio.h>

#include "cron/job_context.h"
#include "cron/jobs/job_functions.h"
#include "cron/schedule.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/time.h"
#include "lib/db/db.h"
#include "queries.h"

enum {
    OVERLAP_MIN = 10,     /* as the head says; the worst queues of a restart take some minutes */
    FIRST_WINDOW_MIN = 90 /* an hour between runs, and room for a late one */
};

bool job_updatesignatures(struct job_context *x, struct err *err)
{
    int64_t last, to;
    bool is_dry = job_arg(x, "dry-run") != NULL;
    if (!job_arg_time(x, "run-time", x->run_time_us, &to, err) ||
        !job_arg_time(x, "last-success", x->last_success_us, &last, err))
        return false;
    int64_t from =
        last == TIME_NEVER ? to - FIRST_WINDOW_MIN * MINUTE_US : last - OVERLAP_MIN * MINUTE_US;
    from -= from % MINUTE_US;
    to -= to % MINUTE_US;
    if (from >= to)
        return err_set(err, ERR_INVALID, "the window ends before it begins");
    DB_ROWS rows = {0};
    if (!DB_RUN(x->db, &q_signature_update, &rows, err, db_int(x->arena, from),
                db_int(x->arena, to), db_bool(is_dry)))
        return false;
    job_did(x, (size_t)rows.count);
    for (int i = 0; i < rows.count; i++)
        printf("%s: first build %s, first date %s\n",
               db_col(&rows, i, Q_SIGNATURE_UPDATE_COL_SIGNATURE),
               db_col(&rows, i, Q_SIGNATURE_UPDATE_COL_FIRST_BUILD),
               db_col(&rows, i, Q_SIGNATURE_UPDATE_COL_FIRST_DATE));
    printf("%d signatures %s\n", rows.count, is_dry ? "would be changed" : "changed");
    return true;
}
