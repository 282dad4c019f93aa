/*
 * Figures of a number field.  Sums are one small record for each slot.  Percentiles need the values
 * in order, and use what every aggregation counts anyway: how often each value occurs in each slot.
 * At the end the values of a slot are sorted, each once, and the counts are added up until the rank
 * is reached.
 *
 * Different values may be as many as rows.  Beyond a limit every value is therefore rounded to
 * eight significant bits before it is counted, those that were there likewise: no more than 128
 * values for each power of two are left.  This sketch was preferred to those of the literature
 * (t-digest, KLL) because rounding keeps the order of values: the rounded percentile is exactly the
 * rounding of the exact one, so the error has a bound instead of an expectation, and the answer
 * does not depend on the order in which rows came or threads were joined.
 */
#include "lib/search/columns/agg_numbers.h"

#include <stdlib.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/search/columns/agg_node.h"
#include "lib/search/columns/column_read.h"
#include "lib/search/columns/cost.h"
#include "lib/search/engine.h"
#include "lib/search/facet_kind.h"

union number {
    int64_t i;
    double d;
};

struct slot_sums {
    uint64_t count;
    union number min, max;
    union {
        __int128 i;
        long double d;
    } sum;
};

static bool is_double(const struct agg_node *node)
{
    return node->spec->field->index == INDEX_DOUBLE;
}

static size_t slots_of(const struct agg_node *node)
{
    return MAX(node->slot_count, (size_t)1);
}

size_t agg_sums_bytes(const struct agg_node *node)
{
    return node->sums ? slots_of(node) * sizeof *node->sums : 0;
}

bool agg_sums_begin(struct agg_node *node)
{
    /* what lanes count is shown once */
    size_t shown = node->lead == node ? node->slot_count * node->spec->number_count : 0;
    if (!cost_hold(node->cost, slots_of(node) * sizeof *node->sums) ||
        !cost_buckets(node->cost, shown))
        return false;
    node->sums = xcalloc(slots_of(node), sizeof *node->sums);
    return true;
}

static void add_int(struct slot_sums *s, int64_t v)
{
    s->min.i = s->count ? MIN(s->min.i, v) : v;
    s->max.i = s->count ? MAX(s->max.i, v) : v;
    s->sum.i += v;
    s->count++;
}

static void add_double(struct slot_sums *s, double v)
{
    s->min.d = s->count ? MIN(s->min.d, v) : v;
    s->max.d = s->count ? MAX(s->max.d, v) : v;
    s->sum.d += v;
    s->count++;
}

bool agg_sums_add(struct agg_node *node, const struct column *c, const uint32_t *rows,
                  const uint32_t *slots, size_t n)
{
    struct column_numbers numbers;
    if (n > 0)
        numbers_read(&numbers, c, rows, n);
    for (size_t i = 0; i < n; i++) {
        struct slot_sums *s = &node->sums[slots ? slots[i] : 0];
        if (!numbers_has(&numbers, rows[i]))
            continue;
        if (is_double(node))
            add_double(s, numbers_double(&numbers, rows[i]));
        else
            add_int(s, numbers_int(&numbers, rows[i]));
    }
    return true;
}

bool agg_sums_join(struct agg_node *lead, const struct agg_node *node)
{
    for (size_t i = 0; i < lead->slot_count; i++) {
        struct slot_sums *to = &lead->sums[i];
        const struct slot_sums *from = &node->sums[i];
        if (from->count == 0)
            continue;
        if (to->count == 0) {
            *to = *from;
            continue;
        }
        to->count += from->count;
        if (is_double(lead)) {
            to->sum.d += from->sum.d;
            to->min.d = MIN(to->min.d, from->min.d);
            to->max.d = MAX(to->max.d, from->max.d);
        } else {
            to->sum.i += from->sum.i;
            to->min.i = MIN(to->min.i, from->min.i);
            to->max.i = MAX(to->max.i, from->max.i);
        }
    }
    return cost_work(lead->cost, lead->slot_count);
}

enum { ROUNDED_BITS = 8 };

/* Numbers of up to eight bits stay; others move to the middle of what is rounded to the same. */
static int64_t rounded_int(int64_t v)
{
    uint64_t m = v < 0 ? -(uint64_t)v : (uint64_t)v;
    if (m < 1 << ROUNDED_BITS || v == INT64_MIN)
        return v;
    int shift = 64 - __builtin_clzll(m) - ROUNDED_BITS;
    m = (m >> shift << shift) + ((uint64_t)1 << shift) / 2;
    return v < 0 ? -(int64_t)m : (int64_t)m;
}

/* A double has one bit of the eight in its exponent.  The smallest, which have fewer, become 0. */
static uint64_t rounded_double(uint64_t bits)
{
    enum { MANTISSA = 52, DROPPED = MANTISSA - (ROUNDED_BITS - 1) };
    uint64_t low = ((uint64_t)1 << DROPPED) - 1;
    if (!(bits >> MANTISSA & 0x7ff))
        return 0;
    return bits & low ? (bits & ~low) | (uint64_t)1 << (DROPPED - 1) : bits;
}

uint64_t agg_rounded(const struct search_field *f, uint64_t bits)
{
    return f->index == INDEX_DOUBLE ? rounded_double(bits) : (uint64_t)rounded_int((int64_t)bits);
}

/* Counts again under rounded values: a slot and an id of before. */
static bool move_pair(struct agg_node *node, const struct interner *before, uint32_t slot,
                      uint32_t id, uint32_t count)
{
    uint64_t value = agg_rounded(node->spec->field, interner_value(before, id));
    uint32_t to = interner_id(&node->values, value, node->cost);
    return to != 0 && agg_count_pair(node, slot, to, count);
}

static size_t interner_bytes(const struct interner *in)
{
    return map_bytes(&in->ids) + in->cap * sizeof *in->values;
}

bool agg_percentiles_round(struct agg_node *node)
{
    if (node->is_rounded)
        return true;
    struct interner values = node->values;
    struct map pairs = node->sparse;
    bool ok = true;
    node->is_rounded = true;
    node->values = (struct interner){0};
    map_init(&node->values.ids, UINT32_MAX);
    map_init(&node->sparse, SIZE_MAX);
    for (size_t i = 0; ok && i < pairs.cap; i++)
        if (pairs.values[i])
            ok = move_pair(node, &values, (uint32_t)(pairs.keys[i] >> 32), (uint32_t)pairs.keys[i],
                           pairs.values[i]);
    ok = cost_work(node->cost, pairs.cap) && ok;
    cost_give_back(node->cost, interner_bytes(&values) + map_bytes(&pairs));
    interner_release(&values);
    map_release(&pairs);
    return ok;
}

bool agg_percentiles_bound(struct agg_node *node)
{
    return node->sparse.n <= node->cost->limits->exact_values || agg_percentiles_round(node);
}

/* A value of a slot with what makes it sort as the number does. */
struct value_rank {
    uint64_t order; /* unsigned order of these is the order of the values */
    uint32_t slot, count;
};

static uint64_t order_of(const struct agg_node *node, uint64_t bits)
{
    uint64_t sign = (uint64_t)1 << 63;
    if (is_double(node) && bits & sign)
        return ~bits;
    return bits ^ sign;
}

static uint64_t value_of_order(const struct agg_node *node, uint64_t order)
{
    uint64_t sign = (uint64_t)1 << 63;
    if (is_double(node) && !(order & sign))
        return ~order;
    return order ^ sign;
}

static int by_slot_and_value(const void *pa, const void *pb)
{
    const struct value_rank *a = pa, *b = pb;
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* The values of one slot, in order. */
static void rank_slot(struct agg_node *node, const struct value_rank *v, size_t n, size_t slot)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += v[i].count;
    for (size_t k = 0; k < node->spec->number_count; k++) {
        struct percentile *out = &node->percentiles[slot * node->spec->number_count + k];
        uint64_t percent = node->spec->numbers[k].what->percent;
        uint64_t rank = MAX((total * percent + 99) / 100, (uint64_t)1), seen = 0;
        for (size_t i = 0; i < n && !out->has_value; i++) {
            seen += v[i].count;
            if (seen >= rank)
                *out = (struct percentile){value_of_order(node, v[i].order), true};
        }
    }
}

bool agg_percentiles_end(struct agg_node *node)
{
    enum { SORT_UNITS = 64 }; /* some twenty comparisons of each */
    const struct map *t = &node->sparse;
    size_t outs = slots_of(node) * node->spec->number_count, n = 0;
    size_t bytes = t->n * sizeof(struct value_rank);
    if (!cost_hold(node->cost, bytes + outs * sizeof *node->percentiles) ||
        !cost_buckets(node->cost, node->slot_count * node->spec->number_count) ||
        !cost_work(node->cost, t->cap + t->n * SORT_UNITS))
        return false;
    node->percentiles = xcalloc(outs, sizeof *node->percentiles);
    struct value_rank *v = xmalloc((t->n + 1) * sizeof *v);
    for (size_t i = 0; i < t->cap; i++)
        if (t->values[i])
            v[n++] = (struct value_rank){
                order_of(node, interner_value(&node->values, (uint32_t)t->keys[i])),
                (uint32_t)(t->keys[i] >> 32), t->values[i]};
    qsort(v, n, sizeof *v, by_slot_and_value);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from; to < n && v[to].slot == v[from].slot; to++)
            ;
        rank_slot(node, v + from, to - from, v[from].slot);
    }
    free(v);
    cost_give_back(node->cost, bytes);
    return cost_work(node->cost, outs * n / slots_of(node));
}

/* A double without a JSON form, as a sum beyond all doubles, is null. */
static json_t *real_json(double d)
{
    json_t *real = json_real(d);
    return real ? real : json_null();
}

static json_t *number_json(const struct agg_node *node, union number v)
{
    return is_double(node) ? real_json(v.d) : json_integer(v.i);
}

static json_t *sum_json(const struct agg_node *node, const struct slot_sums *s)
{
    if (is_double(node))
        return real_json((double)s->sum.d);
    if (s->sum.i < INT64_MIN || s->sum.i > INT64_MAX)
        return real_json((double)s->sum.i);
    return json_integer((json_int_t)s->sum.i);
}

static json_t *figure_json(const struct agg_node *node, enum agg_figure figure,
                           const struct slot_sums *s)
{
    if (s->count == 0)
        return json_null();
    switch (figure) {
    case FIGURE_SUM:
        return sum_json(node, s);
    case FIGURE_MIN:
        return number_json(node, s->min);
    case FIGURE_MAX:
        return number_json(node, s->max);
    case FIGURE_AVG:
        break;
    }
    long double sum = is_double(node) ? s->sum.d : (long double)s->sum.i;
    return real_json((double)(sum / (long double)s->count));
}

static json_t *percentile_json(const struct agg_node *node, const struct percentile *p)
{
    union number v = {.i = (int64_t)p->value};
    if (is_double(node))
        memcpy(&v.d, &p->value, sizeof v.d);
    return p->has_value ? number_json(node, v) : json_null();
}

void agg_numbers_json(const struct agg_node *node, size_t slot, json_t *out)
{
    const struct agg *spec = node->spec;
    /* a level that was never reached has no slots */
    bool has_slot = slot < node->slot_count;
    for (size_t k = 0; k < spec->number_count; k++) {
        json_t *value = NULL;
        if (has_slot && node->sums)
            value = figure_json(node, spec->numbers[k].what->figure, &node->sums[slot]);
        else if (has_slot && node->percentiles)
            value = percentile_json(node, &node->percentiles[slot * spec->number_count + k]);
        json_t *one = json_pack("{s:o}", "value", value ? value : json_null());
        if (node->is_rounded)
            json_object_set_new(one, "relative_error", json_real(ROUNDED_ERROR));
        json_object_set_new(out, spec->numbers[k].key, one);
    }
}
