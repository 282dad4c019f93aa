/*
 * Numbers for values that have no dictionary: integers, doubles and the starts of histogram
 * buckets, in the order in which they appear.  The hash is Fibonacci's (multiplication by 2^64
 * divided by the golden ratio, Knuth, The Art of Computer Programming, 6.4), which spreads
 * neighbouring numbers.
 */
#include "lib/search/columns/agg.h"

#include "lib/base/hash.h"
#include "lib/base/util.h"

static size_t place_of(uint64_t value, size_t slot_count)
{
    return (size_t)((value * 0x9e3779b97f4a7c15u) >> 20) & (slot_count - 1);
}

static bool grow_interner(struct interner *in, struct cost *cost)
{
    size_t n = MAX(in->slot_count * 2, (size_t)1024);
    if (!cost_hold(cost, (n - in->slot_count) * sizeof *in->slots) || !cost_work(cost, n))
        return false;
    free(in->slots);
    in->slots = xcalloc(n, sizeof *in->slots);
    in->slot_count = n;
    for (size_t id = 1; id <= in->n; id++) {
        size_t at = place_of(in->values[id - 1], n);
        while (in->slots[at].id)
            at = (at + 1) & (n - 1);
        in->slots[at] = (struct interner_slot){in->values[id - 1], (uint32_t)id};
    }
    return true;
}

static bool grow_values(struct interner *in, struct cost *cost)
{
    size_t cap = MAX(in->cap * 2, (size_t)256);
    if (!cost_hold(cost, (cap - in->cap) * sizeof *in->values))
        return false;
    in->cap = cap;
    in->values = xrealloc(in->values, in->cap * sizeof *in->values);
    return true;
}

/* 0: no room, the search must end. */
static uint32_t intern(struct interner *in, uint64_t value, struct cost *cost)
{
    if (in->last_id && in->last == value)
        return in->last_id;
    if ((in->n * 2 >= in->slot_count && !grow_interner(in, cost)) ||
        (in->n == in->cap && !grow_values(in, cost)))
        return 0;
    size_t at = place_of(value, in->slot_count);
    while (in->slots[at].id && in->slots[at].value != value)
        at = (at + 1) & (in->slot_count - 1);
    if (!in->slots[at].id) {
        in->values[in->n++] = value;
        in->slots[at] = (struct interner_slot){value, (uint32_t)in->n};
    }
    in->last = value;
    in->last_id = in->slots[at].id;
    return in->last_id;
}

void interner_release(struct interner *in)
{
    free(in->values);
    free(in->slots);
}

/* What is counted for a row's number: the value itself or the start of its bucket. */
static uint64_t number_of(const struct agg *spec, const struct column *c, uint64_t row)
{
    if (c->h->index == INDEX_DOUBLE) {
        double d = column_double(c, row);
        if (spec->kind == AGG_HISTOGRAM)
            d = interval_floor_double(&spec->interval, d);
        uint64_t bits;
        d = d == 0 ? 0 : d; /* no negative zero */
        memcpy(&bits, &d, sizeof bits);
        return bits;
    }
    int64_t v = column_int(c, row);
    if (spec->kind == AGG_HISTOGRAM)
        return (uint64_t)interval_floor(spec->field, &spec->interval, v);
    if (spec->kind == AGG_TERMS && c->h->index == INDEX_DATE)
        return (uint64_t)(v - (v % 1000000 + 1000000) % 1000000); /* shown in whole seconds */
    return (uint64_t)v;
}

static bool make_room(struct pairs *p, size_t n, struct cost *cost)
{
    if (p->n + n <= p->cap)
        return true;
    size_t cap = MAX(p->n + n, p->cap * 2);
    if (!cost_hold(cost, (cap - p->cap) * 3 * sizeof(uint32_t)))
        return false;
    p->cap = cap;
    p->rows = xrealloc(p->rows, p->cap * sizeof *p->rows);
    p->slots = xrealloc(p->slots, p->cap * sizeof *p->slots);
    p->ids = xrealloc(p->ids, p->cap * sizeof *p->ids);
    return true;
}

static void add_pair(struct pairs *p, uint32_t row, uint32_t slot, uint32_t id)
{
    p->rows[p->n] = row;
    p->slots[p->n] = slot;
    p->ids[p->n] = id;
    p->n += id != 0;
}

/* Leaves room for one pair of each of the rows that are left. */
static bool push_all(struct pairs *p, uint32_t row, uint32_t slot, const uint32_t *ids, size_t n,
                     size_t rows_left, struct cost *cost)
{
    if (!cost_work(cost, n) || !make_room(p, n + rows_left + 1, cost))
        return false;
    for (size_t i = 0; i < n; i++)
        add_pair(p, row, slot, ids[i]);
    return true;
}

void agg_pairs(struct agg_node *node, const struct part *p, size_t part, const uint32_t *rows,
               const uint32_t *slots, size_t n)
{
    const struct column *c = p->by_field[node->spec->field->id];
    struct pairs *out = &node->pairs;
    out->n = 0;
    if (!c || !make_room(out, n + 1, node->cost))
        return;
    bool is_plain = node->unify && !node->unify->is_several;
    const uint32_t *plain = is_plain ? node->unify->parts[part].starts : NULL;
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = slots ? slots[i] : 0, row = rows[i];
        if (is_plain) {
            add_pair(out, row, slot, plain[column_code(c, row)]);
        } else if (node->unify) {
            size_t id_count;
            const uint32_t *ids = unify_ids(node->unify, part, column_code(c, row), &id_count);
            if (!push_all(out, row, slot, ids, id_count, n - i, node->cost))
                return;
        } else if (c->kind == COLUMN_BOOL) {
            add_pair(out, row, slot, column_code(c, row));
        } else if (column_has(c, row)) {
            add_pair(out, row, slot,
                     intern(&node->values, number_of(node->spec, c, row), node->cost));
        }
    }
}
