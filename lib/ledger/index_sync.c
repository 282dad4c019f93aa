#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/base/util.h"
#include "lib/ledger/ledger.h"
#include "queries.h"

/*
 * Keeping the index and the ledger in step, whatever happens to the index.
 *
 * A crash's ledger row takes the next number of crash_index_seq after its append to the index was
 * published.  So whatever has a number up to N was appended before N was given out: read the last
 * number, flush the index, and every row up to that number is safe, including those whose
 * transaction was still open.  The index carries that number; crash_index_state is the witness
 * outside, by which an older copy of the directory put in its place is noticed.  Rows behind the
 * number are appended again after the machine failed; an append replaces.
 *
 * A row that is processed and has no number could not be appended: it is late, and tried again
 * here.
 */
enum { REPLAY_PAGE = 500, LATE_PAGE = 200, PROCESSED_BYTES_MAX = JSON_BYTES_MAX };

static bool seq_state(struct db *db, int64_t *ret_last, int64_t *ret_synced, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_index_seq_state, &rows, err))
        return false;
    if (rows.count != 1)
        return err_set(err, ERR_INTERNAL, "crash_index_state has %d rows", rows.count);
    *ret_last = db_col_int(&rows, 0, Q_INDEX_SEQ_STATE_COL_LAST, 0);
    *ret_synced = db_col_int(&rows, 0, Q_INDEX_SEQ_STATE_COL_SYNCED_SEQ, 0);
    return true;
}

bool ledger_sync(struct db *db, struct index_writer *index, struct err *err)
{
    int64_t last, synced;
    if (!seq_state(db, &last, &synced, err))
        return err_wrap(err, "index position");
    char seq[24];
    snprintf(seq, sizeof seq, "%lld", (long long)last);
    return index_sync_to(index, last, err) &&
           (last <= synced || DB_EXEC(db, &q_index_seq_synced, err, seq));
}

static bool put_again(struct store *store, struct index_writer *index, const char *crash_id,
                      struct err *err)
{
    struct err why = {0};
    json_auto_t *doc =
        store_get_json(store, crash_id, "processed_crash", PROCESSED_BYTES_MAX, &why);
    if (doc && index_put(index, doc, &why))
        return true;
    /* The store has none or a broken one, or the index refuses it: doctor reports what is left out.
     * Damage of the index itself comes as ERR_UNAVAILABLE. */
    if (why.code == ERR_NOT_FOUND || why.code == ERR_DAMAGED || why.code == ERR_INVALID) {
        log_event(LOG_WARN, "replay_skipped", "not appended to the index again",
                  LOG_S("crash_id", crash_id), LOG_E(&why));
        return true;
    }
    *err = why;
    return err_wrap(err, "appending %s again", crash_id);
}

/* One page of rows behind *seq, which moves on. */
static bool replay_page(struct db *db, struct store *store, struct index_writer *index,
                        int64_t *seq, size_t *ret_count, struct err *err)
{
    char after[24], limit[16];
    snprintf(after, sizeof after, "%lld", (long long)*seq);
    snprintf(limit, sizeof limit, "%d", REPLAY_PAGE);
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_index_seq_after, &rows, err, after, limit))
        return false;
    for (int i = 0; i < rows.count; i++) {
        if (!put_again(store, index, db_col(&rows, i, Q_INDEX_SEQ_AFTER_COL_CRASH_ID), err))
            return false;
        *seq = db_col_int(&rows, i, Q_INDEX_SEQ_AFTER_COL_INDEX_SEQ, *seq);
    }
    *ret_count = (size_t)rows.count;
    return true;
}

/* From which number on the index may lack what the ledger says; < 0: from none. */
static bool replay_from(struct db *db, struct index_writer *index, int64_t *ret, struct err *err)
{
    int64_t last, synced, has;
    bool is_rolled_back;
    if (!seq_state(db, &last, &synced, err) || !index_ledger_seq(index, &has, &is_rolled_back, err))
        return err_wrap(err, "index position");
    *ret = -1;
    if (is_rolled_back && has < 0)
        *ret = synced;
    else if (is_rolled_back || (has >= 0 && has < synced))
        *ret = MIN(has, synced);
    return true;
}

bool ledger_replay(struct db *db, struct store *store, struct index_writer *index,
                   size_t *ret_replayed, struct err *err)
{
    int64_t seq = -1;
    size_t total = 0, got;
    if (!replay_from(db, index, &seq, err))
        return false;
    *ret_replayed = 0;
    if (seq < 0)
        return true;
    do {
        if (!replay_page(db, store, index, &seq, &got, err))
            return false;
        total += got;
    } while (got == REPLAY_PAGE);
    if (!index_replayed(index, err) || !ledger_sync(db, index, err))
        return false;
    *ret_replayed = total;
    return true;
}

bool ledger_put_late(struct db *db, struct store *store, struct index_writer *index,
                     size_t *ret_put, struct err *err)
{
    char limit[16];
    snprintf(limit, sizeof limit, "%d", LATE_PAGE);
    DB_ROWS rows = {0};
    *ret_put = 0;
    if (!DB_RUN(db, &q_index_late, &rows, err, limit))
        return false;
    for (int i = 0; i < rows.count; i++) {
        const char *id = db_col(&rows, i, Q_INDEX_LATE_COL_CRASH_ID);
        if (!put_again(store, index, id, err) ||
            !DB_EXEC(db, &q_index_late_done, err, id,
                     db_col(&rows, i, Q_INDEX_LATE_COL_PROCESSED_AT)))
            return false;
        ++*ret_put;
    }
    return true;
}
