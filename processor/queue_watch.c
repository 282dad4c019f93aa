/*
 * How long the queues are, as gauges.  They are the same for all processors of an installation, so
 * alerts take the largest of what several say.  It has a process of its own, since what they are to
 * show is a queue that grows while every worker is busy for minutes.
 *
 * The database counts rows for this, and a queue that is long is so when the database has much to
 * do.  The pause is therefore at least a hundred times what counting took: one percent of one of
 * its processes, however long the queue is.  While the database is away the gauges keep what was
 * true last.
 */
#include <stdlib.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "processor/worker.h"
#include "queries.h"

enum { PAUSE_MS = 10000, PAUSE_TO_WORK = 100, PAUSE_MAX_MS = 600000, STATEMENT_TIMEOUT_MS = 30000 };

/* By the numbers that rows of crash_queue have: what waits, runs, has failed. */
static const enum metric counts[] = {METRIC_QUEUE_DEPTH, METRIC_QUEUE_RUNNING, METRIC_QUEUE_FAILED};

/* A queue without rows in a state has no line, and 0 messages. */
static bool look(struct db *db, struct metrics *m, struct err *err)
{
    int64_t count[QUEUE_KINDS][ARRAY_LEN(counts)] = {0}, oldest_s[QUEUE_KINDS] = {0};
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_queue_summary, &rows, err))
        return false;
    for (int i = 0; i < rows.count; i++) {
        int64_t queue = db_col_int(&rows, i, Q_QUEUE_SUMMARY_COL_QUEUE, -1);
        int64_t state = db_col_int(&rows, i, Q_QUEUE_SUMMARY_COL_STATE, -1);
        if (queue < 0 || queue >= QUEUE_KINDS || state < 0 || state >= (int64_t)ARRAY_LEN(counts))
            continue;
        count[queue][state] = db_col_int(&rows, i, Q_QUEUE_SUMMARY_COL_COUNT, 0);
        if (state == 0)
            oldest_s[queue] = db_col_int(&rows, i, Q_QUEUE_SUMMARY_COL_OLDEST_S, 0);
    }
    for (enum queue_kind queue = 0; queue < QUEUE_KINDS; queue++) {
        const char *name = queue_kind_name(queue);
        for (size_t state = 0; state < ARRAY_LEN(counts); state++)
            metric_set(m, counts[state], count[queue][state], name);
        metric_set(m, METRIC_QUEUE_OLDEST, oldest_s[queue], name);
    }
    metrics_flush(m);
    return true;
}

int queue_watch_run(void *processor, int index)
{
    const struct processor *p = processor;
    struct db *db = db_new(conf_text(p->conf, CONF_DATABASE_URL), "datil-processor queue watch",
                           STATEMENT_TIMEOUT_MS);
    bool is_failing = false;
    (void)index;
    while (!proc_stopping()) {
        struct err err = {0};
        int64_t begun_ms = mono_ms();
        bool ok = look(db, p->metrics, &err);
        if (!ok && !is_failing)
            log_event(LOG_WARN, "queue_not_counted", "the gauges of the queues stand still",
                      LOG_E(&err));
        is_failing = !ok;
        int64_t pause_ms = MAX((mono_ms() - begun_ms) * PAUSE_TO_WORK, (int64_t)PAUSE_MS);
        proc_wait(NULL, 0, (int)MIN(pause_ms, (int64_t)PAUSE_MAX_MS));
        proc_take_hangup();
    }
    db_free(db);
    return EXIT_SUCCESS;
}
