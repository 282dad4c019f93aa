/*
 * Filling an index that has lost something: the ledger's processed crashes, the newest first, each
 * looked up in the index and put from the store when it is not there.  It needs no list of what was
 * lost, may stop and begin again anywhere, and goes on beside the workers.
 *
 * A worker may put a newer version of a crash, or delete it, between our look and our put.  So we
 * put only what is absent, which the index decides under its lock; and take it back when the
 * store has nothing of it any more.
 */
#include <stdlib.h>

#include "lib/base/err.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "queries.h"

enum { FILL_PAGE = 200 }; /* crashes between two looks at the clock and at the wish to stop */

void ledger_fill_init(struct ledger_fill *f)
{
    *f = (struct ledger_fill){.before = INT64_MAX};
}

static bool count_rows(struct db *db, uint64_t *ret, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_ledger_count_by_state, &rows, err))
        return false;
    *ret = 0;
    for (int i = 0; i < rows.count; i++)
        if (strcmp(db_col(&rows, i, Q_LEDGER_COUNT_BY_STATE_COL_STATE), "processed") == 0)
            *ret = (uint64_t)db_col_int(&rows, i, Q_LEDGER_COUNT_BY_STATE_COL_COUNT, 0);
    return true;
}

bool ledger_fill_begin(struct ledger_fill *f, struct db *db, struct index_writer *index,
                       struct err *err)
{
    uint64_t losses;
    ledger_fill_init(f);
    if (!count_rows(db, &f->total, err) || !index_fill_begin(index, f->total, &losses, err))
        return false;
    f->losses = losses;
    return true;
}

bool ledger_fill_one(struct store *store, struct index_writer *index, const char *crash_id,
                     bool *ret_put, struct err *err)
{
    bool was_there = false, ignored;
    *ret_put = false;
    json_auto_t *doc = store_get_json(store, crash_id, "processed_crash", JSON_BYTES_MAX, err);
    if (!doc || !index_put_absent(index, doc, &was_there, err))
        return false;
    *ret_put = !was_there;
    return was_there || store_exists(store, crash_id, "processed_crash") ||
           index_delete(index, crash_id, &ignored, err);
}

/* What the index or the store refuses for good is left out; doctor names it. */
static bool fill_unless_there(struct ledger_fill *f, struct store *store,
                              struct index_writer *index, struct index_reader *reader,
                              const char *crash_id, struct err *err)
{
    bool is_there, put = false;
    struct err why = {0};
    if (!index_has(reader, crash_id, &is_there, err))
        return false;
    if (!is_there && !ledger_fill_one(store, index, crash_id, &put, &why) &&
        err_is_retryable(why.code))
        return err_set(err, why.code, "crash %s: %s", crash_id, why.msg);
    f->looked++;
    f->put += put;
    return true;
}

bool ledger_fill_page(struct ledger_fill *f, struct db *db, struct store *store,
                      struct index_writer *index, struct index_reader *reader, bool *ret_done,
                      struct err *err)
{
    char before[24], limit[16];
    DB_ROWS rows = {0};
    snprintf(before, sizeof before, "%lld", (long long)f->before);
    snprintf(limit, sizeof limit, "%d", FILL_PAGE);
    *ret_done = false;
    if (!DB_RUN(db, &q_index_seq_before, &rows, err, before, limit))
        return false;
    for (int i = 0; i < rows.count; i++) {
        if (!fill_unless_there(f, store, index, reader,
                               db_col(&rows, i, Q_INDEX_SEQ_BEFORE_COL_CRASH_ID), err))
            return false;
        f->before = db_col_int(&rows, i, Q_INDEX_SEQ_BEFORE_COL_INDEX_SEQ, f->before);
    }
    *ret_done = rows.count < FILL_PAGE;
    return *ret_done ? index_filled(index, f->losses, err)
                     : index_fill_progress(index, f->looked, f->put, err);
}
