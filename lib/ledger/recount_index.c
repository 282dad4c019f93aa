/*
 * Counting from the index: one walk over its rows, of fifteen columns, where documents would be
 * read and parsed whole.  A row becomes again what is counted of a document, by the
 * same function that counts (counted_json), so there is no second opinion about what a build or an
 * installation is.
 *
 * The walk sees the index as of one moment while crashes go on being processed, and rows that are
 * older than a field lack it; so what does not agree is only a doubt.
 */
#include "lib/ledger/recount_index.h"

#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/ledger/counted.h"
#include "lib/search/query.h"
#include "lib/search/search.h"
#include "queries.h"

/* Rows of one statement: some 400 bytes each as JSON. */
enum { INDEX_PAGE = 1000 };

/* Which key of a document a column is. */
static const struct {
    const char *column, *key;
} columns[] = {
    {"uuid", "uuid"},
    {"date", "date_processed"},
    {"product", "product"},
    {"release_channel", "release_channel"},
    {"version", "version"},
    {"build_id", "build"},
    {"platform", "os_name"},
    {"process_type", "process_type"},
    {"signature", "signature"},
    {"startup_crash", "startup_crash"},
    {"oom_allocation_size", "oom_allocation_size"},
    {"is_duplicate", "is_duplicate"},
    {"install_time", "install_time"},
    {"glean_client_id", "glean_client_id"},
    {"throttle_rate", "throttle_rate"},
};

struct index_page {
    struct recount *r;
    size_t total, n;
    json_t *docs[INDEX_PAGE];
    const char *ids[INDEX_PAGE];
    struct arena arena;
    struct err *err;
    bool has_failed;
};

static void add_row(struct index_page *p, const json_t *hit)
{
    json_t *doc = json_object(), *rate = json_object_get(hit, "throttle_rate");
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        json_object_set(doc, columns[i].key, json_object_get(hit, columns[i].column));
    json_object_set_new(doc, "collector_metadata", json_pack("{s:O?}", "throttle_rate", rate));
    p->docs[p->n] = doc;
    p->ids[p->n++] = jget_str(doc, "uuid");
}

static bool doubt(struct index_page *p, const struct db_rows *wrong)
{
    size_t before = p->r->differ + p->r->without_document;
    struct strs ids = {.v = arena_array(&p->arena, (size_t)wrong->count + 1, sizeof(struct str))};
    for (int i = 0; i < wrong->count; i++)
        ids.v[ids.n++] =
            str_of(arena_strdup(&p->arena, db_col(wrong, i, Q_COUNTED_COMPARE_COL_CRASH_ID)));
    if (!recount_by_documents(p->r, ids, p->err))
        return false;
    p->r->otherwise_indexed += ids.n - (p->r->differ + p->r->without_document - before);
    return true;
}

static bool compare_rows(struct index_page *p)
{
    DB_ROWS wrong = {0};
    FREE_LATER char *counted = counted_json((const json_t *const *)p->docs, p->ids, p->n);
    bool ok = DB_RUN(p->r->db, &q_counted_compare, &wrong, p->err, counted,
                     p->r->days ? db_int(&p->arena, p->r->days) : NULL) &&
              (wrong.count == 0 || doubt(p, &wrong));
    p->r->looked += p->n;
    for (size_t i = 0; i < p->n; i++)
        json_decref(p->docs[i]);
    p->n = 0;
    arena_reset(&p->arena);
    if (ok)
        p->r->on_progress(p->r->arg, p->r->looked, p->total);
    return ok;
}

static bool take_hit(void *arg, const json_t *hit)
{
    struct index_page *p = arg;
    add_row(p, hit);
    p->has_failed = p->n == INDEX_PAGE && !compare_rows(p);
    return !p->has_failed;
}

bool recount_by_index(struct recount *r, int64_t from_us, size_t total, struct err *err)
{
    const struct search_field *fields[ARRAY_LEN(columns)];
    const struct search_context ctx = {.now_us = now_us(), .reader = PERM_PROTECTED};
    struct search_query q = {
        .fields = r->fields,
        .from_us = from_us,
        /* The end of the year 9999, behind which there is no date. */
        .to_us = days_of_civil(10000, 1, 1) * DAY_US,
        .columns = fields,
        .column_count = ARRAY_LEN(columns),
    };
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        fields[i] = search_field_find(r->fields, str_of(columns[i].column));
    struct index_page *p = xcalloc(1, sizeof *p);
    struct err why = {0};
    p->r = r;
    p->total = total;
    p->err = err;
    arena_init(&p->arena, 1 << 20); /* the ids of a page, and a number */
    bool ok = search_each(r->index, &ctx, &q, take_hit, p, &r->missing_weeks, &why);
    if (!ok && !p->has_failed)
        *err = why;
    ok = ok && compare_rows(p);
    for (size_t i = 0; i < p->n; i++)
        json_decref(p->docs[i]);
    arena_release(&p->arena);
    free(p);
    return ok;
}
