/*
 * queue …: what waits, what is in work, what has failed for good, and putting that back.
 */
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "queries.h"
#include "tools/datil/app.h"

/* More lines than anybody acts on one by one; `queue retry` without an id takes all. */
enum { FAILED_SHOWN = 100 };

/*
 * Both sides: what waits in the queue, by kind and state, and what the ledger counts in each state.
 */
static bool run_queue(struct app *app, struct args args, struct err *err)
{
    static const char *const states[] = {"waiting", "in work", "failed"};
    DB_ROWS queue = {0}, ledger = {0};
    if (!NO_OPTS(&args, 0, 0, err) || !app_db(app, err) ||
        !DB_RUN(app->db, &q_queue_summary, &queue, err) ||
        !DB_RUN(app->db, &q_ledger_count_by_state, &ledger, err))
        return false;
    for (int i = 0; i < queue.count; i++) {
        int64_t state = db_col_int(&queue, i, Q_QUEUE_SUMMARY_COL_STATE, 0);
        printf(
            "%-13s %-8s %8s, the oldest for %s s\n",
            queue_kind_name((enum queue_kind)db_col_int(&queue, i, Q_QUEUE_SUMMARY_COL_QUEUE, 0)),
            states[state >= 0 && state < 3 ? state : 0],
            db_col(&queue, i, Q_QUEUE_SUMMARY_COL_COUNT),
            db_col(&queue, i, Q_QUEUE_SUMMARY_COL_OLDEST_S));
    }
    if (queue.count == 0)
        puts("the queue is empty");
    for (int i = 0; i < ledger.count; i++)
        printf("crashes %-14s %8s\n", db_col(&ledger, i, Q_LEDGER_COUNT_BY_STATE_COL_STATE),
               db_col(&ledger, i, Q_LEDGER_COUNT_BY_STATE_COL_COUNT));
    return true;
}

static bool run_queue_failed(struct app *app, struct args args, struct err *err)
{
    DB_ROWS rows = {0};
    if (!NO_OPTS(&args, 0, 0, err) || !app_db(app, err) ||
        !DB_RUN(app->db, &q_queue_failed, &rows, err, db_int(&app->arena, FAILED_SHOWN)))
        return false;
    for (int i = 0; i < rows.count; i++)
        printf("%s %s since %s: %s attempts, %s of them killed the worker; %s\n",
               db_col(&rows, i, Q_QUEUE_FAILED_COL_CRASH_ID),
               db_col(&rows, i, Q_QUEUE_FAILED_COL_RULESET),
               db_col(&rows, i, Q_QUEUE_FAILED_COL_CREATED),
               db_col(&rows, i, Q_QUEUE_FAILED_COL_ATTEMPTS),
               db_col(&rows, i, Q_QUEUE_FAILED_COL_WORKER_DEATHS),
               db_col(&rows, i, Q_QUEUE_FAILED_COL_LAST_ERROR)
                   ? db_col(&rows, i, Q_QUEUE_FAILED_COL_LAST_ERROR)
                   : "no error noted");
    if (rows.count == 0)
        puts("no crash has failed for good");
    return true;
}

/*
 * Attempts and deaths are counted anew (sql/queue.sql), or the next failure would be the last
 * again.
 */
static bool run_queue_retry(struct app *app, struct args args, struct err *err)
{
    char id[CRASH_ID_SIZE];
    DB_ROWS rows = {0};
    if (!NO_OPTS(&args, 0, 1, err) || !app_db(app, err))
        return false;
    if (args.n && !crash_id_parse(str_of(args.v[0]), id))
        return err_set(err, ERR_INVALID, "'%.60s' is not a crash id", args.v[0]);
    if (!DB_RUN(app->db, &q_queue_retry_failed, &rows, err, args.n ? id : NULL))
        return false;
    if (!app_audit(app, "crash", args.n ? id : "", "retry", "", err))
        return false;
    printf("%s crashes put back\n",
           rows.count ? db_col(&rows, 0, Q_QUEUE_RETRY_FAILED_COL_COUNT) : "0");
    return true;
}

const struct command work_commands[] = {
    {"queue", "", "Shows what waits, what is in work and what has failed.", run_queue},
    {"queue failed", "", "Lists crashes that failed for good, with the class of the error.",
     run_queue_failed},
    {"queue retry", "[ID]", "Puts failed crashes back, all or one.", run_queue_retry},
    {0},
};
