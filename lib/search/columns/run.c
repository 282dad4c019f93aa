#include "search/columns/run.h"

#include <assert.h>

#include "base/time.h"
#include "base/util.h"

enum { RUN_ARENA_BYTES = 256 << 20, UNIFY_BYTES_MAX = 256 << 20 };

/* ---- unified numberings ----------------------------------------------------------------- */

/* Numberings point into partitions: they go when one is closed, or when they grow too big. */
static void tidy_unify(struct reader *r)
{
    size_t bytes = 0;
    for (size_t i = 0; i < search_field_count; i++)
        bytes += r->unify[i] ? unify_bytes(r->unify[i]) : 0;
    if (r->parts_epoch == r->root->parts_epoch && bytes <= UNIFY_BYTES_MAX)
        return;
    for (size_t i = 0; i < search_field_count; i++) {
        unify_free(r->unify[i]);
        r->unify[i] = NULL;
    }
    r->parts_epoch = r->root->parts_epoch;
}

static struct unify *unify_of(struct run *run, const struct search_field *f)
{
    struct unify **u = &run->reader->unify[f - search_fields];
    if (!*u)
        *u = unify_new(run->root, f);
    return *u;
}

struct unify *run_unify(struct run *run, const struct search_field *f, struct err *err)
{
    struct unify *u = unify_of(run, f);
    for (size_t i = 0; i < run->root->part_count; i++)
        if (run->part_used[i] && !unify_add_part(u, i, run->deadline_ms)) {
            match_timed_out(err);
            return NULL;
        }
    return u;
}

/* ---- which partitions ------------------------------------------------------------------- */
static bool use_field(struct part *p, const struct search_field *f, struct err *err)
{
    struct column *c = p->by_field[f - search_fields];
    return !c || column_use(c, err);
}

static bool use_aggs(struct part *p, const struct agg *a, struct err *err)
{
    for (; a; a = a->next)
        if (!use_field(p, a->field, err) || !use_aggs(p, a->children, err))
            return false;
    return true;
}

/* Maps and checks all columns that the query needs. */
static bool use_part(const struct run *run, struct part *p, struct err *err)
{
    const struct search_query *q = run->query;
    if (!use_field(p, search_field_find(STR("date")), err) ||
        !use_field(p, search_field_find(STR("uuid")), err))
        return false;
    for (size_t i = 0; i < q->filter_count; i++)
        if (!use_field(p, q->filters[i].field, err))
            return false;
    for (size_t i = 0; i < q->column_count; i++)
        if (!use_field(p, q->columns[i], err))
            return false;
    for (size_t i = 0; i < q->sort_count; i++)
        if (!use_field(p, q->sort[i].field, err))
            return false;
    return use_aggs(p, q->aggs, err);
}

static void note_missing(struct run *run, int32_t week)
{
    char name[16];
    part_name(week, name);
    for (size_t i = 0; i < run->missing.n; i++)
        if (str_eq(run->missing.v[i], str_of(name)))
            return;
    run->missing.v[run->missing.n++] = str_of(arena_strdup(&run->arena, name));
}

/*
 * False: a partition of the snapshot was replaced before all its columns were mapped, and its files
 * are gone.  Nothing is missing then; the question is asked again over a new snapshot.
 */
static bool choose_parts(struct run *run)
{
    int64_t from, to;
    struct root *root = run->root;
    run->missing.v = arena_array(&run->arena, PARTS_MAX + 1, sizeof(struct str));
    if (!root->h || !query_weeks(run->query, &from, &to))
        return true;
    for (size_t i = 0; i < root->part_count; i++) {
        struct root_part *e = &root->h->parts[i];
        struct part *p = root->parts[i];
        int32_t week = p ? p->week : e->week;
        if (week < from || week > to)
            continue;
        if (root->is_damaged[i] || (e->flags & PART_DAMAGED))
            note_missing(run, week);
        if (!p || p->rows == 0)
            continue;
        struct err why = {0};
        run->part_used[i] = use_part(run, p, &why);
        if (run->part_used[i])
            continue;
        if (atomic_load(&e->revision) != p->revision)
            return false;
        note_missing(run, week);
    }
    return true;
}

/* ---- selection -------------------------------------------------------------------------- */
static size_t live_rows(const struct part *p, uint64_t from, uint64_t to, uint32_t *rows)
{
    const _Atomic uint64_t *dead = mfile_data(&p->dead);
    size_t n = 0;
    for (uint64_t row = from; row < to;) {
        uint64_t word = atomic_load_explicit(&dead[row / 64], memory_order_relaxed);
        uint64_t end = MIN(to, (row / 64 + 1) * 64);
        for (; row < end; row++) {
            rows[n] = (uint32_t)row;
            n += word == 0 || !part_is_dead(p, row);
        }
    }
    return n;
}

static size_t in_dates(const struct run *run, const struct part *p, uint32_t *rows, size_t n,
                       uint64_t block)
{
    const struct search_query *q = run->query;
    const struct zone *z = (const struct zone *)mfile_data(&p->zones) + block;
    if (z->min_us >= q->from_us && z->max_us < q->to_us)
        return n;
    const struct column *c = p->by_field[search_field_find(STR("date")) - search_fields];
    size_t kept = 0;
    for (size_t i = 0; c && i < n; i++) {
        int64_t date = column_int(c, rows[i]);
        rows[kept] = rows[i];
        kept += date >= q->from_us && date < q->to_us;
    }
    return kept;
}

static bool is_outside(const struct run *run, const struct part *p, uint64_t block)
{
    const struct zone *z = (const struct zone *)mfile_data(&p->zones) + block;
    return z->max_us < run->query->from_us || z->min_us >= run->query->to_us;
}

typedef bool block_function(struct run *run, size_t level, const struct block *b, struct err *err);

static bool select_part(struct run *run, size_t part, size_t level, block_function *take,
                        struct err *err)
{
    struct part *p = run->root->parts[part];
    const struct search_query *q = run->query;
    uint32_t rows[BLOCK_ROWS];
    for (size_t i = 0; i < q->filter_count; i++) {
        if (!ready_filter_part(&run->filters[i], run->root, part, err))
            return false;
        if (run->filters[i].matches_nothing)
            return true;
    }
    for (uint64_t from = 0; from < p->rows; from += BLOCK_ROWS) {
        uint64_t block = from / BLOCK_ROWS;
        if (is_outside(run, p, block))
            continue;
        if (mono_ms() >= run->deadline_ms)
            return match_timed_out(err);
        size_t n = live_rows(p, from, MIN(p->rows, from + BLOCK_ROWS), rows);
        n = in_dates(run, p, rows, n, block);
        for (size_t i = 0; i < q->filter_count && n > 0; i++)
            n = ready_filter_rows(&run->filters[i], rows, n);
        struct block b = {part, rows, n};
        if (n > 0 && !take(run, level, &b, err))
            return false;
    }
    return true;
}

static bool take_block(struct run *run, size_t level, const struct block *b, struct err *err)
{
    if (level == 0) {
        run->total += b->n;
        sort_block(run, b);
    }
    return agg_block(run, level, b, err);
}

static bool pass(struct run *run, size_t level, struct err *err)
{
    for (size_t i = 0; i < run->root->part_count; i++) {
        if (!run->part_used[i])
            continue;
        if (!select_part(run, i, level, take_block, err))
            return false;
        agg_end_part(run, level, i);
    }
    return agg_end_level(run, level, err);
}

static void prepare_filters(struct run *run)
{
    const struct search_query *q = run->query;
    run->filters = arena_array(&run->arena, q->filter_count + 1, sizeof *run->filters);
    for (size_t i = 0; i < q->filter_count; i++) {
        const struct search_field *f = q->filters[i].field;
        enum column_kind kind = column_kind_of(f);
        struct unify *u = kind == COLUMN_DICT || kind == COLUMN_LIST ? unify_of(run, f) : NULL;
        ready_filter_init(&run->arena, &run->filters[i], &q->filters[i], u, run->deadline_ms);
    }
}

/* ---- the answer ------------------------------------------------------------------------- */
static json_t *hits_json(struct run *run)
{
    size_t n;
    struct place *page = sort_page(run, &n);
    json_t *hits = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(hits, hit_json(run, page[i]));
    return hits;
}

static json_t *errors_json(const struct run *run)
{
    json_t *errors = json_array();
    for (size_t i = 0; i < run->missing.n; i++)
        json_array_append_new(
            errors, json_pack("{s:s, s:s}", "type", "missing_index", "index", run->missing.v[i].p));
    return errors;
}

static bool execute(struct run *run, bool *ret_outdated, json_t **ret, struct err *err)
{
    if (!choose_parts(run)) {
        *ret_outdated = true;
        return false;
    }
    prepare_filters(run);
    if (!sort_prepare(run, err) || !agg_prepare(run, err))
        return false;
    size_t levels = MAX(agg_depth(run), (size_t)1);
    for (size_t level = 0; level < levels; level++)
        if (!pass(run, level, err))
            return false;
    json_t *answer =
        json_pack("{s:o, s:I, s:o, s:o}", "hits", hits_json(run), "total", (json_int_t)run->total,
                  "facets", agg_json(run), "errors", errors_json(run));
    if (!answer)
        return err_set(err, ERR_INTERNAL, "cannot build the answer");
    *ret = answer;
    return true;
}

bool run_query(struct reader *r, const struct search_query *q, int64_t deadline_ms,
               bool *ret_outdated, json_t **ret, struct err *err)
{
    tidy_unify(r);
    struct run *run = xcalloc(1, sizeof *run);
    run->reader = r;
    run->root = r->root;
    run->query = q;
    run->deadline_ms = deadline_ms > 0 ? deadline_ms : INT64_MAX;
    arena_init(&run->arena, RUN_ARENA_BYTES);
    bool ok = execute(run, ret_outdated, ret, err);
    for (size_t i = 0; run->filters && i < q->filter_count; i++)
        ready_filter_release(&run->filters[i]);
    agg_release(run);
    sort_release(run);
    arena_release(&run->arena);
    free(run);
    return ok;
}
