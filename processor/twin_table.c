/*
 * Who was first, out of the database: the one place that all workers on all machines see.  While it
 * is away the crash counts as no duplicate, and since it cannot be finished either, it is processed
 * again.
 */
#include "processor/twin_table.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "queries.h"

static bool find_original(void *ctx, const struct twin_question *q, struct twin_original *ret)
{
    struct arena a;
    struct err err = {0};
    DB_ROWS rows = {0};
    arena_init(&a, 4096); /* one number */
    bool ok = DB_RUN(ctx, &q_crash_original, &rows, &err, q->fingerprint, q->crash_id,
                     db_int(&a, q->crash_time));
    arena_release(&a);
    if (!ok)
        log_event(LOG_WARN, "twin_lookup_failed", "duplicates are unknown", LOG_E(&err));
    if (!ok || rows.count == 0)
        return false;
    snprintf(ret->crash_id, sizeof ret->crash_id, "%s",
             db_col(&rows, 0, Q_CRASH_ORIGINAL_COL_CRASH_ID));
    ret->crash_time = db_col_int(&rows, 0, Q_CRASH_ORIGINAL_COL_CRASH_TIME, 0);
    return true;
}

struct twin_source twin_table_source(struct db *db)
{
    return (struct twin_source){.find = find_original, .ctx = db};
}
