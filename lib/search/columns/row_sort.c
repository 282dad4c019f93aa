/*
 * The first offset + number rows in the order asked for.  The first key is kept as a number beside
 * the row (texts by rank), so that nearly every row is refused by one comparison.
 */
#include "lib/search/columns/row_sort.h"

#include <math.h>

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/topk.h"
#include "lib/base/util.h"
#include "lib/search/columns/column_read.h"
#include "lib/search/columns/cost.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/texts.h"
#include "lib/search/columns/unify.h"

/* One row as the heap keeps it. */
struct row_candidate {
    struct place at;
    bool is_missing; /* of the first key; last in both directions */
    int64_t first;   /* order of the first key, turned round for descending */
};

struct sorter {
    struct unify **unify; /* per key, NULL for numbers and uuid */
    struct topk best;     /* of struct row_candidate */
};

static bool is_string(const struct search_field *f)
{
    return column_kind_of(f) == COLUMN_DICT || column_kind_of(f) == COLUMN_LIST;
}

/* A double as an integer of the same order. */
static int64_t order_of_double(double d)
{
    int64_t bits;
    d = d == 0 ? 0 : d; /* no negative zero */
    memcpy(&bits, &d, sizeof bits);
    return bits < 0 ? INT64_MIN - bits : bits;
}

/* The rank that counts: of several values the smallest ascending, the largest descending. */
static bool string_key(const struct unify *u, size_t part, const struct column *c, uint64_t row,
                       bool is_descending, int64_t *ret)
{
    struct unify_ids ids = unify_ids(u, part, column_code(c, row));
    bool has_one = false;
    for (size_t i = 0; i < ids.n; i++) {
        uint32_t id = unify_id_at(&ids, i);
        if (id == 0)
            continue;
        int64_t rank = u->ranks[id];
        if (!has_one || (is_descending ? rank > *ret : rank < *ret))
            *ret = rank;
        has_one = true;
    }
    return has_one;
}

/* False: the row has no value. */
static bool key_of(const struct run *run, size_t key, struct place at, int64_t *ret)
{
    const struct sort_key *k = &run->query->sort[key];
    const struct column *c = run->root->parts[at.part]->by_field[k->field->id];
    if (!c)
        return false;
    if (run->sorter->unify[key])
        return string_key(run->sorter->unify[key], at.part, c, at.row, k->is_descending, ret);
    if (c->kind == COLUMN_NUMBER) {
        *ret = c->h->index == INDEX_DOUBLE ? order_of_double(column_double(c, at.row))
                                           : column_int(c, at.row);
        return column_has(c, at.row);
    }
    *ret = column_code(c, at.row); /* false before true */
    return *ret != 0;
}

static int compare_uuid(const struct run *run, struct place a, struct place b)
{
    const struct column *ca = part_ids(run->root->parts[a.part]);
    const struct column *cb = part_ids(run->root->parts[b.part]);
    uint32_t x = ca ? column_code(ca, a.row) : 0, y = cb ? column_code(cb, b.row) : 0;
    if (x == 0 || y == 0)
        return (x == 0) - (y == 0);
    return str_cmp(dict_entry(&ca->dict, x), dict_entry(&cb->dict, y));
}

static int compare_key(const struct run *run, size_t key, struct place a, struct place b)
{
    const struct sort_key *k = &run->query->sort[key];
    int64_t x = 0, y = 0;
    if (k->field == run->query->fields->uuid) {
        int by_uuid = compare_uuid(run, a, b);
        return k->is_descending ? -by_uuid : by_uuid;
    }
    bool has_x = key_of(run, key, a, &x), has_y = key_of(run, key, b, &y);
    if (!has_x || !has_y)
        return has_y - has_x;
    int by_value = x < y ? -1 : x > y;
    return k->is_descending ? -by_value : by_value;
}

/* Negative: a comes before b. */
static int compare_candidates(const void *pa, const void *pb, void *arg)
{
    const struct row_candidate *a = pa, *b = pb;
    const struct run *run = arg;
    if (a->is_missing != b->is_missing)
        return a->is_missing ? 1 : -1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    for (size_t key = 0; key < run->query->sort_count; key++) {
        int by_key = compare_key(run, key, a->at, b->at);
        if (by_key != 0)
            return by_key;
    }
    return 0;
}

/* Room for offset and page; without hits nothing is sorted. */
static bool make_sorter(struct run *run)
{
    const struct search_query *q = run->query;
    struct sorter *s = arena_alloc(&run->arena, sizeof *s);
    size_t limit = q->number > 0 ? q->offset + q->number : 0;
    run->sorter = s;
    topk_init(&s->best, sizeof(struct row_candidate), limit, compare_candidates, run);
    return cost_hold(&run->cost, (limit + 1) * sizeof(struct row_candidate));
}

bool sort_prepare_lane(struct run *run)
{
    if (!make_sorter(run))
        return false;
    run->sorter->unify = run->lead->sorter->unify;
    return true;
}

void sort_join(struct run *lead, struct run *lane)
{
    const struct row_candidate *kept = lane->sorter->best.v;
    for (size_t i = 0; i < lane->sorter->best.n; i++)
        topk_offer(&lead->sorter->best, &kept[i]);
    topk_reset(&lane->sorter->best);
}

/* Lists of packed weeks that are looked at stay unpacked until the search ends. */
static bool hold_lists(struct run *run, const struct search_field *f)
{
    for (size_t i = 0; i < run->root->part_count; i++) {
        const struct column *c = run->part_used[i] ? run->root->parts[i]->by_field[f->id] : NULL;
        if (c && c->kind == COLUMN_LIST && !cost_hold(&run->cost, texts_bytes_left(c->dict.texts)))
            return false;
    }
    return true;
}

bool sort_prepare(struct run *run)
{
    const struct search_query *q = run->query;
    if (!make_sorter(run))
        return false;
    struct sorter *s = run->sorter;
    size_t limit = s->best.limit;
    s->unify = arena_array(&run->arena, q->sort_count + 1, sizeof(struct unify *));
    for (size_t i = 0; i < q->sort_count && limit > 0; i++) {
        const struct search_field *f = q->sort[i].field;
        if (!is_string(f) || f == q->fields->uuid)
            continue;
        s->unify[i] = run_unify(run, f);
        if (!s->unify[i] || !unify_rank(s->unify[i], &run->cost) || !hold_lists(run, f))
            return false;
    }
    return true;
}

static struct row_candidate candidate_of(const struct run *run, struct place at)
{
    struct row_candidate c = {.at = at};
    if (run->query->sort[0].field == run->query->fields->uuid)
        return c; /* compared in full */
    c.is_missing = !key_of(run, 0, at, &c.first);
    if (c.is_missing)
        c.first = 0;
    else if (run->query->sort[0].is_descending)
        c.first = -1 - c.first; /* ~: no overflow */
    return c;
}

/* Work of moving a row through the heap: up to two comparisons of every key on 14 levels, and some
 * for what a comparison does. */
static size_t move_units(const struct run *run)
{
    enum { KEY_UNITS = 64 }; /* 2 * 14 comparisons, each of about two units */
    return KEY_UNITS * run->query->sort_count;
}

/* The work that it took. */
static size_t offer(const struct run *run, struct sorter *s, struct place at)
{
    enum { REFUSED_UNITS = 16 }; /* one comparison, most often of the first key alone */
    struct row_candidate c = candidate_of(run, at);
    return topk_offer(&s->best, &c) ? move_units(run) : REFUSED_UNITS;
}

/* The column of the first key if it is one of whole numbers; NULL: not. */
static const struct column *first_numbers(const struct run *run, size_t part)
{
    const struct search_field *f = run->query->sort_count ? run->query->sort[0].field : NULL;
    const struct column *c = f ? run->root->parts[part]->by_field[f->id] : NULL;
    return c && c->kind == COLUMN_NUMBER && c->h->index != INDEX_DOUBLE ? c : NULL;
}

/*
 * Rows that are no worse than the last one kept, by the first key alone.  Without them a page of
 * the largest of a million numbers would ask every row for its candidate.
 */
static size_t keep_promising(const struct run *run, const struct column *c, int64_t worst,
                             const struct block *b, uint32_t *kept)
{
    bool is_descending = run->query->sort[0].is_descending;
    size_t n = 0;
    struct column_numbers numbers;
    numbers_read(&numbers, c, b->rows, b->n);
    for (size_t i = 0; i < b->n; i++) {
        int64_t v = numbers_int(&numbers, b->rows[i]);
        kept[n] = b->rows[i];
        n += (is_descending ? -1 - v : v) <= worst && numbers_has(&numbers, b->rows[i]);
    }
    return n;
}

bool sort_block(struct run *run, const struct block *b)
{
    struct topk *best = &run->sorter->best;
    const struct row_candidate *worst = best->v;
    uint32_t kept[BLOCK_ROWS];
    const uint32_t *rows = b->rows;
    size_t n = b->n;
    if (best->limit == 0)
        return true;
    const struct column *c = first_numbers(run, b->part);
    if (c && best->n == best->limit && !worst->is_missing) {
        n = keep_promising(run, c, worst->first, b, kept);
        rows = kept;
    }
    if (!cost_work(&run->cost, b->n))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!cost_work(&run->cost,
                       offer(run, run->sorter, (struct place){(uint32_t)b->part, rows[i]})))
            return false;
    return true;
}

bool sort_page(struct run *run, struct place **ret, size_t *ret_n)
{
    struct sorter *s = run->sorter;
    size_t found = s->best.n;
    const struct row_candidate *sorted = s->best.v;
    while (s->best.n > 1) {
        topk_pop(&s->best);
        if (!cost_work(&run->cost, move_units(run)))
            return false;
    }
    size_t offset = run->query->offset;
    *ret_n = found > offset ? found - offset : 0;
    struct place *page = arena_array(&run->arena, *ret_n + 1, sizeof *page);
    for (size_t i = 0; i < *ret_n; i++)
        page[i] = sorted[offset + i].at;
    *ret = page;
    return true;
}

void sort_release(struct run *run)
{
    if (run->sorter)
        topk_release(&run->sorter->best);
}
