/*
 * Each crash is compared by itself: what its document adds, against its row.  Sums then agree
 * because they are sums of these rows and of nothing else, and a difference names the crash that
 * is wrong instead of an hour.  Documents, not the search index, are what is read: the index is a
 * copy of them that lacks the throttle rate, without which there is no estimate.
 *
 * A worker stores the document first and writes the row in its last statement, so between the two
 * they differ.  That takes milliseconds, and LOOKS with a pause between them outlast it.  Mending
 * takes a crash only if it was not processed since its page was read (counted_again).
 *
 * Sums of days whose crashes retention took cannot be compared with anything any more, and are left
 * alone, as are rows without a document: `datil doctor` knows what to do with those.
 */
#include "lib/ledger/recount.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/ledger/counted.h"
#include "queries.h"

/*
 * PAGE documents are in memory at once, 100 kB of JSON each, and some ten times that as a tree.
 * PAUSE_MS is far above the time of one statement, and verifying a machine at work waits seldom.
 */
enum { PAGE = 100, LOOKS = 4, PAUSE_MS = 500, SIGNATURES = 500 };

struct recount_page {
    struct arena arena;
    struct strs ids, processed_at;
    json_t *docs[PAGE];
    const char *doc_ids[PAGE];
    size_t doc_count;
};

static void release_docs(struct recount_page *p)
{
    for (size_t i = 0; i < p->doc_count; i++)
        json_decref(p->docs[i]);
    p->doc_count = 0;
}

/* False only when the store cannot be read; a document that is broken counts as none. */
static bool read_doc(struct recount *r, struct recount_page *p, const char *id, struct err *err)
{
    struct err why = {0};
    json_t *doc = store_get_json(r->store, id, "processed_crash", JSON_BYTES_MAX, &why);
    if (!doc && err_is_retryable(why.code)) {
        *err = why;
        return err_wrap(err, "crash %s", id);
    }
    if (!doc) {
        r->without_document++;
        return true;
    }
    p->docs[p->doc_count] = doc;
    p->doc_ids[p->doc_count++] = id;
    return true;
}

/* Documents are read after their processed_at, so they are not older than it says. */
static bool read_page(struct recount *r, struct recount_page *p, char last[64], int *ret_rows,
                      struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(r->db, &q_counted_page, &rows, err, last,
                r->days ? db_int(&p->arena, r->days) : NULL, db_int(&p->arena, PAGE)))
        return false;
    p->ids = (struct strs){.v = arena_array(&p->arena, PAGE, sizeof(struct str))};
    p->processed_at = (struct strs){.v = arena_array(&p->arena, PAGE, sizeof(struct str))};
    for (int i = 0; i < rows.count; i++) {
        const char *at = db_col(&rows, i, Q_COUNTED_PAGE_COL_PROCESSED_AT);
        char *id = arena_strdup(&p->arena, db_col(&rows, i, Q_COUNTED_PAGE_COL_CRASH_ID));
        if (i == rows.count - 1)
            snprintf(last, 64, "%s", id);
        if (!at) /* never processed */
            continue;
        p->ids.v[p->ids.n++] = str_of(id);
        p->processed_at.v[p->processed_at.n++] = str_of(arena_strdup(&p->arena, at));
        if (!read_doc(r, p, id, err))
            return false;
    }
    *ret_rows = rows.count;
    return true;
}

static bool mend(struct recount *r, struct recount_page *p, const char *counted,
                 const struct db_rows *wrong, struct err *err)
{
    struct strs ids = {.v = arena_array(&p->arena, (size_t)wrong->count, sizeof(struct str))};
    struct strs at = {.v = arena_array(&p->arena, (size_t)wrong->count, sizeof(struct str))};
    for (int i = 0; i < wrong->count; i++)
        for (size_t k = 0; k < p->ids.n; k++)
            if (str_eq(p->ids.v[k], str_of(db_col(wrong, i, Q_COUNTED_COMPARE_COL_CRASH_ID)))) {
                ids.v[ids.n++] = p->ids.v[k];
                at.v[at.n++] = p->processed_at.v[k];
            }
    return DB_EXEC(r->db, &q_counted_again, err, db_text_array(&p->arena, ids),
                   db_text_array(&p->arena, at), counted);
}

static void tell(struct recount *r, struct recount_page *p, const struct db_rows *wrong)
{
    for (int i = 0; i < wrong->count; i++) {
        const char *found = db_col(wrong, i, Q_COUNTED_COMPARE_COL_FOUND);
        bool is_other = db_col_bool(wrong, i, Q_COUNTED_COMPARE_COL_IS_OTHER_INSTALLATION);
        r->differ++;
        r->on_difference(r->arg,
                         arena_printf(&p->arena, "%s: is %s, counted %s%s",
                                      db_col(wrong, i, Q_COUNTED_COMPARE_COL_CRASH_ID),
                                      db_col(wrong, i, Q_COUNTED_COMPARE_COL_WANTED),
                                      *found ? found : "not at all",
                                      *found && is_other ? " (and for another installation)" : ""));
    }
}

/* Only those that differ are left on the page; they are read again for the next look. */
static bool keep_wrong(struct recount *r, struct recount_page *p, const struct db_rows *wrong,
                       struct err *err)
{
    release_docs(p);
    for (int i = 0; i < wrong->count; i++)
        if (!read_doc(r, p,
                      arena_strdup(&p->arena, db_col(wrong, i, Q_COUNTED_COMPARE_COL_CRASH_ID)),
                      err))
            return false;
    return true;
}

static bool compare_page(struct recount *r, struct recount_page *p, struct err *err)
{
    for (int look = 1; p->doc_count; look++) {
        FREE_LATER char *counted =
            counted_json((const json_t *const *)p->docs, p->doc_ids, p->doc_count);
        DB_ROWS wrong = {0};
        if (!DB_RUN(r->db, &q_counted_compare, &wrong, err, counted))
            return false;
        if (wrong.count == 0)
            return true;
        if (r->is_mending || look == LOOKS) {
            tell(r, p, &wrong);
            return !r->is_mending || mend(r, p, counted, &wrong, err);
        }
        usleep(PAUSE_MS * 1000);
        if (!keep_wrong(r, p, &wrong, err))
            return false;
    }
    return true;
}

static bool recount_crashes(struct recount *r, struct recount_page *p, struct err *err)
{
    char last[64] = "";
    int got;
    DB_ROWS size = {0};
    if (!DB_RUN(r->db, &q_counted_page_size, &size, err,
                r->days ? db_int(&p->arena, r->days) : NULL))
        return false;
    size_t total = (size_t)db_col_int(&size, 0, Q_COUNTED_PAGE_SIZE_COL_N, 0);
    do {
        arena_reset(&p->arena);
        bool ok = read_page(r, p, last, &got, err) && compare_page(r, p, err);
        r->looked += p->ids.n;
        release_docs(p);
        if (!ok)
            return false;
        r->on_progress(r->arg, r->looked, total);
    } while (got == PAGE);
    return true;
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
    struct recount_page *p = xcalloc(1, sizeof *p);
    arena_init(&p->arena, 64 << 20); /* lines of a page, and all names of signatures */
    bool ok = recount_crashes(r, p, err);
    struct str last = STR("");
    int got = SIGNATURES;
    arena_reset(&p->arena);
    while (ok && got == SIGNATURES) {
        char name[2048]; /* above the longest that is counted */
        ok = recount_signatures(r, &p->arena, &last, &got, err);
        snprintf(name, sizeof name, STR_FMT, STR_ARG(last));
        arena_reset(&p->arena);
        last = str_of(arena_strdup(&p->arena, name));
    }
    arena_release(&p->arena);
    free(p);
    return ok || err_wrap(err, "recounting");
}
