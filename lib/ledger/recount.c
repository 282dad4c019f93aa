/*
 * First the index is walked (recount_index.c), then the ledger for crashes that the index does not
 * have.  What either doubts is settled by the documents, of which the index is a copy
 * (recount_documents.c).
 *
 * Sums of days whose crashes retention took cannot be compared with anything any more, and are left
 * alone, as are rows without a document: `datil doctor` knows what to do with those.
 */
#include "lib/ledger/recount.h"

#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/ledger/recount_index.h"
#include "lib/search/index.h"
#include "queries.h"

/* Each of a page is a statement of milliseconds. */
enum { SIGNATURES = 500, LEDGER_PAGE = 1000 };

/* Since when crashes count, as counted_page has it. */
static int64_t begin_us(const struct recount *r)
{
    if (!r->days)
        return days_of_civil(1, 1, 1) * DAY_US;
    int64_t now = now_us();
    return now - now % DAY_US - r->days * DAY_US;
}

/* Of a page of the ledger what the index does not have. */
static bool recount_absent(struct recount *r, struct arena *a, const struct db_rows *rows,
                           struct err *err)
{
    struct strs absent = {.v = arena_array(a, LEDGER_PAGE, sizeof(struct str))};
    for (int i = 0; i < rows->count; i++) {
        bool has = false;
        const char *id = db_col(rows, i, Q_COUNTED_PAGE_COL_CRASH_ID);
        if (!db_col(rows, i, Q_COUNTED_PAGE_COL_PROCESSED_AT))
            continue;
        if (r->index && !index_has(r->index, id, &has, err))
            return false;
        if (!has)
            absent.v[absent.n++] = str_of(arena_strdup(a, id));
    }
    r->looked += absent.n;
    return recount_by_documents(r, absent, err);
}

static bool recount_ledger(struct recount *r, struct arena *a, size_t total, struct err *err)
{
    char last[64] = "";
    int got;
    do {
        DB_ROWS rows = {0};
        if (!DB_RUN(r->db, &q_counted_page, &rows, err, last, r->days ? db_int(a, r->days) : NULL,
                    db_int(a, LEDGER_PAGE)))
            return false;
        got = rows.count;
        if (got)
            snprintf(last, sizeof last, "%s", db_col(&rows, got - 1, Q_COUNTED_PAGE_COL_CRASH_ID));
        if (!recount_absent(r, a, &rows, err))
            return false;
        r->on_progress(r->arg, r->looked, total);
        arena_reset(a);
    } while (got == LEDGER_PAGE);
    return true;
}

static bool recount_crashes(struct recount *r, struct arena *a, struct err *err)
{
    DB_ROWS size = {0};
    if (!DB_RUN(r->db, &q_counted_page_size, &size, err, r->days ? db_int(a, r->days) : NULL))
        return false;
    size_t total = (size_t)db_col_int(&size, 0, Q_COUNTED_PAGE_SIZE_COL_N, 0);
    return (!r->index || recount_by_index(r, begin_us(r), total, err)) &&
           recount_ledger(r, a, total, err);
}

/* One page of signatures behind `last`. */
static bool recount_signatures(struct recount *r, struct arena *a, struct str *last, int *ret_rows,
                               struct err *err)
{
    DB_ROWS rows = {0};
    struct strs late = {.v = arena_array(a, SIGNATURES, sizeof(struct str))};
    if (!DB_RUN(r->db, &q_signature_late, &rows, err, str_adup(a, *last), db_int(a, SIGNATURES)))
        return false;
    for (int i = 0; i < rows.count; i++) {
        char *name = arena_strdup(a, db_col(&rows, i, Q_SIGNATURE_LATE_COL_SIGNATURE));
        *last = str_of(name);
        if (!*name || !db_col_bool(&rows, i, Q_SIGNATURE_LATE_COL_IS_LATE))
            continue;
        late.v[late.n++] = str_of(name);
        r->differ++;
        r->on_difference(r->arg, arena_printf(a, "signature %s: seen before its first date", name));
    }
    *ret_rows = rows.count;
    return !late.n || !r->is_mending ||
           DB_EXEC(r->db, &q_signature_mend, err, db_text_array(a, late));
}

bool ledger_recount(struct recount *r, struct err *err)
{
    struct arena a;
    arena_init(&a, 64 << 20); /* a page of the ledger; lines and names of a page of signatures */
    bool ok = recount_crashes(r, &a, err);
    struct str last = STR("");
    int got = SIGNATURES;
    arena_reset(&a);
    while (ok && got == SIGNATURES) {
        char name[2048]; /* above the longest that is counted */
        ok = recount_signatures(r, &a, &last, &got, err);
        snprintf(name, sizeof name, STR_FMT, STR_ARG(last));
        arena_reset(&a);
        last = str_of(arena_strdup(&a, name));
    }
    arena_release(&a);
    return ok || err_wrap(err, "recounting");
}
