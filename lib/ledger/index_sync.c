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
 *
 * What is put here was read from the store before, and a worker may process the same crash between
 * the two: it puts its result into the index, then into the store, then ends its claim and writes
 * the ledger row.  So after each put the database is asked whether the row is still of the same
 * moment and nobody has the crash in work.  If so, no worker came in between, and one that comes
 * now puts over ours.  Else the crash stays noted as unsettled and is put once more, from what is
 * stored then, until that is so.  The note is in memory: a keeper that is killed while it has one
 * leaves the older document in the index until the crash is processed or replayed the next time.
 */
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "queries.h"

/*
 * Rows of one statement.  A page of late ones is smaller, because each is looked at alone, with
 * questions to the database around it, and the wish to stop is looked at between pages.
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

static bool put_from_store(struct store *store, struct index_writer *index, const char *crash_id,
                           struct err *err)
{
    struct err why = {0};
    json_auto_t *doc =
        store_get_json(store, crash_id, "processed_crash", PROCESSED_BYTES_MAX, &why);
    if (doc && index_put(index, doc, &why))
        return true;
    /* The store has none or a broken one, or the index refuses it: doctor reports what is left out.
     * Damage of the index itself comes as ERR_UNAVAILABLE. */
    if (why.code == ERR_NOT_FOUND || why.code == ERR_DAMAGED || why.code == ERR_INVALID ||
        why.code == ERR_TOO_LARGE) {
        log_event(LOG_WARN, "replay_skipped", "not appended to the index again",
                  LOG_S("crash_id", crash_id), LOG_E(&why));
        return true;
    }
    *err = why;
    return err_wrap(err, "appending %s again", crash_id);
}

static size_t find_unsettled(const struct ledger_unsettled *u, const char *crash_id)
{
    size_t i = 0;
    while (i < u->list.n && strcmp(u->list.v[i].crash_id, crash_id) != 0)
        i++;
    return i;
}

static void note_unsettled(struct ledger_unsettled *u, const char *crash_id, bool is_settled)
{
    size_t i = find_unsettled(u, crash_id);
    if (is_settled && i < u->list.n) {
        u->list.v[i] = u->list.v[--u->list.n];
    } else if (!is_settled && i == u->list.n) {
        struct ledger_unsettled_crash c;
        snprintf(c.crash_id, sizeof c.crash_id, "%s", crash_id);
        VEC_PUSH(&u->list, c);
    }
}

void ledger_unsettled_release(struct ledger_unsettled *u)
{
    VEC_RELEASE(&u->list);
}

/* Puts a crash as it is stored; processed_at: what the ledger said before. */
static bool put_and_check(struct db *db, struct store *store, struct index_writer *index,
                          struct ledger_unsettled *u, const char *crash_id,
                          const char *processed_at, bool is_late, struct err *err)
{
    DB_ROWS rows = {0};
    note_unsettled(u, crash_id, false); /* also if the rest fails */
    if (!put_from_store(store, index, crash_id, err) ||
        !DB_RUN(db, &q_index_put_again, &rows, err, crash_id, processed_at, db_bool(is_late)))
        return false;
    note_unsettled(u, crash_id, rows.count > 0);
    return true;
}

/* One page of rows behind *seq, which moves on. */
static bool replay_page(struct db *db, struct store *store, struct index_writer *index,
                        struct ledger_unsettled *u, int64_t *seq, size_t *ret_count,
                        struct err *err)
{
    char after[24], limit[16];
    snprintf(after, sizeof after, "%lld", (long long)*seq);
    snprintf(limit, sizeof limit, "%d", REPLAY_PAGE);
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_index_seq_after, &rows, err, after, limit))
        return false;
    for (int i = 0; i < rows.count; i++) {
        if (!put_and_check(db, store, index, u, db_col(&rows, i, Q_INDEX_SEQ_AFTER_COL_CRASH_ID),
                           db_col(&rows, i, Q_INDEX_SEQ_AFTER_COL_PROCESSED_AT), false, err))
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
                   struct ledger_unsettled *u, size_t *ret_replayed, struct err *err)
{
    int64_t seq = -1;
    size_t total = 0, got;
    if (!replay_from(db, index, &seq, err))
        return false;
    *ret_replayed = 0;
    if (seq < 0)
        return true;
    do {
        if (!replay_page(db, store, index, u, &seq, &got, err))
            return false;
        total += got;
    } while (got == REPLAY_PAGE);
    if (!index_replayed(index, err) || !ledger_sync(db, index, err))
        return false;
    *ret_replayed = total;
    return true;
}

static bool find_late(struct db *db, const struct ledger_unsettled *u, struct db_rows *ret,
                      struct err *err)
{
    char limit[16];
    struct arena a;
    arena_init(&a, 1 << 20);
    struct strs ids = {.v = arena_array(&a, LATE_PAGE, sizeof(struct str))};
    for (; ids.n < MIN(u->list.n, (size_t)LATE_PAGE); ids.n++)
        ids.v[ids.n] = str_of(u->list.v[ids.n].crash_id);
    snprintf(limit, sizeof limit, "%d", LATE_PAGE);
    bool ok = DB_RUN(db, &q_index_late, ret, err, limit, db_text_array(&a, ids));
    arena_release(&a);
    return ok;
}

/* Of the first n that were asked for, those without a row: somebody has deleted the crash, perhaps
 * before our put brought it back into the index. */
static bool drop_deleted(struct index_writer *index, struct ledger_unsettled *u, size_t n,
                         const struct db_rows *rows, struct err *err)
{
    while (n-- > 0) {
        const char *id = u->list.v[n].crash_id;
        bool was_there;
        int i = 0;
        while (i < rows->count && strcmp(db_col(rows, i, Q_INDEX_LATE_COL_CRASH_ID), id) != 0)
            i++;
        if (i < rows->count)
            continue;
        if (!index_delete(index, id, &was_there, err))
            return false;
        u->list.v[n] = u->list.v[--u->list.n];
    }
    return true;
}

bool ledger_put_late(struct db *db, struct store *store, struct index_writer *index,
                     struct ledger_unsettled *u, size_t *ret_put, struct err *err)
{
    DB_ROWS rows = {0};
    *ret_put = 0;
    if (!find_late(db, u, &rows, err))
        return false;
    if (!drop_deleted(index, u, MIN(u->list.n, (size_t)LATE_PAGE), &rows, err))
        return false;
    for (int i = 0; i < rows.count; i++) {
        const char *id = db_col(&rows, i, Q_INDEX_LATE_COL_CRASH_ID);
        if (db_col_bool(&rows, i, Q_INDEX_LATE_COL_IN_WORK))
            continue; /* an unsettled one: when its worker is done */
        if (!put_and_check(db, store, index, u, id, db_col(&rows, i, Q_INDEX_LATE_COL_PROCESSED_AT),
                           true, err))
            return false;
        *ret_put += find_unsettled(u, id) == u->list.n;
    }
    return true;
}
