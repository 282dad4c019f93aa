#include "lib/search/columns/run.h"

#include <math.h>

#include "lib/base/util.h"

/*
 * The first offset + number rows in the order asked for: a heap with the worst on top.  The
 * first key is kept as a number beside the row (texts by rank), so that nearly every row is
 * refused by one comparison.
 */
struct candidate {
    struct place at;
    bool is_missing; /* of the first key; last in both directions */
    int64_t first;   /* order of the first key, turned round for descending */
};

struct sorter {
    struct unify **unify; /* per key, NULL for numbers and uuid */
    size_t limit;
    struct candidate *heap;
    size_t n;
};

static bool is_string(const struct search_field *f)
{
    return column_kind_of(f) == COLUMN_DICT || column_kind_of(f) == COLUMN_LIST;
}

bool sort_prepare(struct run *run)
{
    const struct search_query *q = run->query;
    struct sorter *s = arena_alloc(&run->arena, sizeof *s);
    s->limit = q->number > 0 ? q->offset + q->number : 0;
    run->sorter = s;
    if (!cost_hold(&run->cost, (s->limit + 1) * sizeof *s->heap))
        return false;
    s->heap = xcalloc(s->limit + 1, sizeof *s->heap);
    s->unify = arena_array(&run->arena, q->sort_count + 1, sizeof(struct unify *));
    for (size_t i = 0; i < q->sort_count && s->limit > 0; i++) {
        const struct search_field *f = q->sort[i].field;
        if (!is_string(f) || f == q->fields->uuid)
            continue;
        s->unify[i] = run_unify(run, f);
        if (!s->unify[i] || !unify_rank(s->unify[i], &run->cost))
            return false;
    }
    return true;
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
    size_t n;
    const uint32_t *ids = unify_ids(u, part, column_code(c, row), &n);
    for (size_t i = 0; i < n; i++) {
        int64_t rank = u->ranks[ids[i]];
        if (i == 0 || (is_descending ? rank > *ret : rank < *ret))
            *ret = rank;
    }
    return n > 0;
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
static int compare(const struct run *run, const struct candidate *a, const struct candidate *b)
{
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

static struct candidate candidate_of(const struct run *run, struct place at)
{
    struct candidate c = {.at = at};
    if (run->query->sort[0].field == run->query->fields->uuid)
        return c; /* compared in full */
    c.is_missing = !key_of(run, 0, at, &c.first);
    if (c.is_missing)
        c.first = 0;
    else if (run->query->sort[0].is_descending)
        c.first = -1 - c.first; /* ~: no overflow */
    return c;
}

static void sift_down(const struct run *run, struct candidate *heap, size_t n, size_t at)
{
    for (;;) {
        size_t worst = at, left = 2 * at + 1, right = left + 1;
        if (left < n && compare(run, &heap[left], &heap[worst]) > 0)
            worst = left;
        if (right < n && compare(run, &heap[right], &heap[worst]) > 0)
            worst = right;
        if (worst == at)
            return;
        struct candidate t = heap[at];
        heap[at] = heap[worst];
        heap[worst] = t;
        at = worst;
    }
}

/* Work of moving a row through the heap: up to two comparisons of every key on 14 levels. */
static size_t move_units(const struct run *run)
{
    enum { KEY_UNITS = 64 };
    return KEY_UNITS * run->query->sort_count;
}

/* The work that it took. */
static size_t offer(const struct run *run, struct sorter *s, struct place at)
{
    enum { REFUSED_UNITS = 16 };
    struct candidate c = candidate_of(run, at);
    if (s->n == s->limit) {
        if (compare(run, &c, &s->heap[0]) >= 0)
            return REFUSED_UNITS;
        s->heap[0] = c;
        sift_down(run, s->heap, s->n, 0);
        return move_units(run);
    }
    size_t i = s->n++;
    s->heap[i] = c;
    for (; i > 0 && compare(run, &s->heap[i], &s->heap[(i - 1) / 2]) > 0; i = (i - 1) / 2) {
        struct candidate t = s->heap[i];
        s->heap[i] = s->heap[(i - 1) / 2];
        s->heap[(i - 1) / 2] = t;
    }
    return move_units(run);
}

bool sort_block(struct run *run, const struct block *b)
{
    if (run->sorter->limit == 0)
        return true;
    for (size_t i = 0; i < b->n; i++)
        if (!cost_work(&run->cost,
                       offer(run, run->sorter, (struct place){(uint32_t)b->part, b->rows[i]})))
            return false;
    return true;
}

bool sort_page(struct run *run, struct place **ret, size_t *ret_n)
{
    struct sorter *s = run->sorter;
    size_t found = s->n;
    for (size_t n = found; n > 1; n--) { /* heap sort: the worst goes to the end */
        struct candidate t = s->heap[0];
        s->heap[0] = s->heap[n - 1];
        s->heap[n - 1] = t;
        sift_down(run, s->heap, n - 1, 0);
        if (!cost_work(&run->cost, move_units(run)))
            return false;
    }
    size_t offset = run->query->offset;
    *ret_n = found > offset ? found - offset : 0;
    struct place *page = arena_array(&run->arena, *ret_n + 1, sizeof *page);
    for (size_t i = 0; i < *ret_n; i++)
        page[i] = s->heap[offset + i].at;
    *ret = page;
    return true;
}

void sort_release(struct run *run)
{
    if (run->sorter)
        free(run->sorter->heap);
}
