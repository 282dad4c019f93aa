/*
 * Each crash is compared by itself: what its document adds, against its row.  Sums then agree
 * because they are sums of these rows and of nothing else, and a difference names the crash that is
 * wrong instead of an hour.
 *
 * A worker stores the document first and writes the row in its last statement, so between the two
 * they differ.  That takes milliseconds, and LOOKS with a pause between them outlast it.  Mending
 * takes a crash only if it was not processed since its page was read (counted_again).
 */
#include "lib/ledger/recount_documents.h"

#include <stdlib.h>
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
enum { PAGE = 100, LOOKS = 4, PAUSE_MS = 500 };

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

/* Documents are read after their processed_at, so they are not older than it says.  A crash that
 * was never processed, or is gone, has neither. */
static bool read_page(struct recount *r, struct recount_page *p, struct strs ids, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(r->db, &q_counted_rows, &rows, err, db_text_array(&p->arena, ids)))
        return false;
    p->ids = (struct strs){.v = arena_array(&p->arena, PAGE, sizeof(struct str))};
    p->processed_at = (struct strs){.v = arena_array(&p->arena, PAGE, sizeof(struct str))};
    for (int i = 0; i < rows.count; i++) {
        char *id = arena_strdup(&p->arena, db_col(&rows, i, Q_COUNTED_ROWS_COL_CRASH_ID));
        const char *at = db_col(&rows, i, Q_COUNTED_ROWS_COL_PROCESSED_AT);
        p->ids.v[p->ids.n++] = str_of(id);
        p->processed_at.v[p->processed_at.n++] = str_of(arena_strdup(&p->arena, at));
        if (!read_doc(r, p, id, err))
            return false;
    }
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
        if (!DB_RUN(r->db, &q_counted_compare, &wrong, err, counted,
                    r->days ? db_int(&p->arena, r->days) : NULL))
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

bool recount_by_documents(struct recount *r, struct strs ids, struct err *err)
{
    struct recount_page *p = xcalloc(1, sizeof *p);
    bool ok = true;
    arena_init(&p->arena, 16 << 20); /* a page of ids, and lines of differences */
    for (size_t i = 0; ok && i < ids.n; i += PAGE) {
        struct strs some = {ids.v + i, MIN(ids.n - i, (size_t)PAGE)};
        ok = read_page(r, p, some, err) && compare_page(r, p, err);
        release_docs(p);
        arena_reset(&p->arena);
    }
    arena_release(&p->arena);
    free(p);
    return ok;
}
