/*
 * Installations and estimates of buckets.  Which buckets are shown may depend on them, so they are
 * counted for every pair of slot and id that occurs, in the same pass as the reports: one hash
 * look-up for the pair, one for the pair and the install time together.
 *
 * Install times are seconds and nearly always below 2^31, so they are their own codes; what a
 * stranger's client sends instead (zero is one of them, negative or longer numbers) is numbered.
 */
#include "lib/search/columns/agg_marks.h"

#include <stdlib.h>

#include "lib/base/map.h"
#include "lib/base/util.h"
#include "lib/search/columns/agg_node.h"
#include "lib/search/columns/column_read.h"
#include "lib/search/columns/cost.h"
#include "lib/search/columns/part.h"
#include "lib/search/query.h"

enum {
    OWN_CODES = INT32_MAX, /* install times below it need no number */
    WEIGHT_ONE = 1000,
    /* A report that stands for more than a million others is a mistake of its rate. */
    WEIGHT_MAX = 1000000,
};

static uint64_t pair_key(uint32_t slot, uint32_t id)
{
    return (uint64_t)slot << 32 | id;
}

uint32_t agg_mark_of(const struct agg_node *node, uint32_t slot, uint32_t id)
{
    return map_get(&node->marks.pairs.ids, pair_key(slot, id));
}

/* 0: no room. */
static uint32_t new_mark(struct agg_node *node, uint32_t slot, uint32_t id)
{
    struct marks *m = &node->marks;
    uint32_t mark = interner_id(&m->pairs, pair_key(slot, id), node->cost);
    if (mark <= m->weight_cap || !m->wants_weights)
        return mark;
    size_t cap = MAX(m->weight_cap * 2, (size_t)256);
    if (!cost_hold(node->cost, (cap - m->weight_cap) * sizeof *m->weights))
        return 0;
    m->weights = xrealloc(m->weights, cap * sizeof *m->weights);
    memset(m->weights + m->weight_cap, 0, (cap - m->weight_cap) * sizeof *m->weights);
    m->weight_cap = cap;
    return mark;
}

static bool see_code(struct agg_node *node, uint32_t mark, uint32_t code)
{
    struct map *seen = &node->marks.seen;
    if (map_must_grow(seen) && !agg_grow_map(seen, node->cost))
        return false;
    *map_at(seen, pair_key(mark, code)) = 1;
    return true;
}

static bool see_time(struct agg_node *node, uint32_t mark, int64_t time)
{
    if (time >= 0 && time < OWN_CODES)
        return see_code(node, mark, (uint32_t)time);
    uint32_t number = interner_id(&node->marks.others, (uint64_t)time, node->cost);
    return number != 0 && number < OWN_CODES && see_code(node, mark, OWN_CODES + number);
}

/* Without a rate, or with one that is none, a report stands for itself. */
static uint64_t weight_of(const struct column_numbers *rates, uint64_t row)
{
    if (!numbers_has(rates, row))
        return WEIGHT_ONE;
    double rate = numbers_double(rates, row);
    if (!(rate > 0 && rate < 1))
        return WEIGHT_ONE;
    return (uint64_t)(WEIGHT_ONE * MIN(1 / rate, (double)WEIGHT_MAX) + 0.5);
}

uint64_t agg_weight_of_rows(const struct search_query *q, const struct part *p,
                            const uint32_t *rows, size_t n)
{
    const struct column *c = p->by_field[q->rate->id];
    struct column_numbers rates;
    uint64_t sum = 0;
    if (!c || n == 0)
        return n * WEIGHT_ONE;
    numbers_read(&rates, c, rows, n);
    for (size_t i = 0; i < n; i++)
        sum += weight_of(&rates, rows[i]);
    return sum;
}

static bool add_times(struct agg_node *node, const struct part *p)
{
    const struct pairs *pairs = &node->pairs;
    const struct column *c = p->by_field[node->query->installation->id];
    struct column_numbers times;
    if (c)
        numbers_read(&times, c, pairs->rows, pairs->n);
    for (size_t i = 0; i < pairs->n; i++) {
        uint32_t mark = new_mark(node, pairs->slots[i], pairs->ids[i]);
        if (mark == 0)
            return false;
        if (c && numbers_has(&times, pairs->rows[i]) &&
            !see_time(node, mark, numbers_int(&times, pairs->rows[i])))
            return false;
    }
    return true;
}

static bool add_weights(struct agg_node *node, const struct part *p)
{
    const struct pairs *pairs = &node->pairs;
    const struct column *c = p->by_field[node->query->rate->id];
    struct column_numbers rates;
    if (c)
        numbers_read(&rates, c, pairs->rows, pairs->n);
    for (size_t i = 0; i < pairs->n; i++) {
        uint32_t mark = new_mark(node, pairs->slots[i], pairs->ids[i]);
        if (mark == 0)
            return false;
        node->marks.weights[mark - 1] += c ? weight_of(&rates, pairs->rows[i]) : WEIGHT_ONE;
    }
    return true;
}

bool agg_marks_add(struct agg_node *node, const struct part *p)
{
    enum { PAIR_UNITS = 16 }; /* two places of tables that are larger than the caches */
    if (node->pairs.n == 0)
        return true;
    if (!cost_work(node->cost, node->pairs.n * PAIR_UNITS))
        return false;
    return (!node->marks.wants_times || add_times(node, p)) &&
           (!node->marks.wants_weights || add_weights(node, p));
}

/* A code of the other node as one of the lead. */
static bool join_code(struct agg_node *lead, const struct agg_node *n, uint32_t mark, uint32_t code)
{
    if (code < OWN_CODES)
        return see_code(lead, mark, code);
    return see_time(lead, mark, (int64_t)interner_value(&n->marks.others, code - OWN_CODES));
}

bool agg_marks_join(struct agg_node *lead, const struct agg_node *n)
{
    const struct marks *m = &n->marks;
    size_t count = m->pairs.ids.n, bytes = (count + 1) * sizeof(uint32_t);
    if (!cost_hold(lead->cost, bytes))
        return false;
    uint32_t *to = xcalloc(count + 1, sizeof *to);
    bool ok = true;
    for (uint32_t mark = 1; ok && mark <= count; mark++) {
        uint64_t pair = interner_value(&m->pairs, mark);
        uint32_t id = agg_lead_id(lead, n, (uint32_t)pair);
        to[mark] = id ? new_mark(lead, (uint32_t)(pair >> 32), id) : 0;
        ok = to[mark] != 0;
        if (ok && m->wants_weights)
            lead->marks.weights[to[mark] - 1] += m->weights[mark - 1];
    }
    for (size_t i = 0; ok && i < m->seen.cap; i++)
        if (m->seen.values[i])
            ok = join_code(lead, n, to[m->seen.keys[i] >> 32], (uint32_t)m->seen.keys[i]);
    free(to);
    cost_give_back(lead->cost, bytes);
    return ok && cost_work(lead->cost, count + m->seen.cap);
}

bool agg_marks_end(struct agg_node *node)
{
    struct marks *m = &node->marks;
    size_t bytes = (m->pairs.ids.n + 1) * sizeof *m->installations;
    if (!m->wants_times)
        return true;
    if (!cost_hold(node->cost, bytes) || !cost_work(node->cost, m->seen.cap))
        return false;
    m->installations = xcalloc(m->pairs.ids.n + 1, sizeof *m->installations);
    for (size_t i = 0; i < m->seen.cap; i++)
        if (m->seen.values[i])
            m->installations[(m->seen.keys[i] >> 32) - 1]++;
    return true;
}

size_t agg_marks_bytes(const struct agg_node *node)
{
    const struct marks *m = &node->marks;
    return map_bytes(&m->pairs.ids) + map_bytes(&m->others.ids) + map_bytes(&m->seen) +
           (m->pairs.cap + m->others.cap) * sizeof(uint64_t) + m->weight_cap * sizeof *m->weights;
}

void agg_marks_release(struct agg_node *node)
{
    struct marks *m = &node->marks;
    interner_release(&m->pairs);
    interner_release(&m->others);
    map_release(&m->seen);
    free(m->weights);
    free(m->installations);
    m->weights = NULL;
    m->installations = NULL;
    m->weight_cap = 0;
}
