/*
 * Numbers for values that have no dictionary: integers, doubles and the starts of histogram
 * buckets, in the order in which they appear.  Reports say what the numbers are, so strangers do;
 * the map is seeded.
 */
#include "lib/search/columns/agg_node.h"

#include "lib/base/hash.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/columns/agg_numbers.h"
#include "lib/search/columns/column_read.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/cost.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/distinct.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/texts.h"
#include "lib/search/columns/unify.h"
#include "lib/search/query.h"

static bool grow_values(struct interner *in, struct cost *cost)
{
    size_t cap = MAX(in->cap * 2, (size_t)256);
    if (!cost_hold(cost, (cap - in->cap) * sizeof *in->values))
        return false;
    in->cap = cap;
    in->values = xrealloc(in->values, in->cap * sizeof *in->values);
    return true;
}

/* By way of map_restart: 200,000 install times are counted in 8 ms rather than 15
 * (tests/bench/search, 2 cores), which is the page faults of a heap that was given back. */
static bool grow_ids(struct interner *in, struct cost *cost)
{
    size_t n = in->ids.n;
    if (!cost_hold(cost, map_grown_bytes(&in->ids) - map_bytes(&in->ids)))
        return false;
    map_restart(&in->ids);
    for (size_t i = 0; i < n; i++)
        map_number(&in->ids, in->values[i]);
    return cost_work(cost, in->ids.cap);
}

/*
 * Rows come in the order of arrival, and
 * neighbours often have the same value (a build date, a truncated time), so the last one is tried
 * before the map.
 */
uint32_t interner_id(struct interner *in, uint64_t value, struct cost *cost)
{
    if (in->last_id && in->last == value)
        return in->last_id;
    if ((map_must_grow(&in->ids) && !grow_ids(in, cost)) ||
        (in->ids.n == in->cap && !grow_values(in, cost)))
        return 0;
    in->last = value;
    in->last_id = map_number(&in->ids, value);
    if (in->last_id)
        in->values[in->last_id - 1] = value;
    return in->last_id;
}

void interner_release(struct interner *in)
{
    free(in->values);
    map_release(&in->ids);
    *in = (struct interner){0};
}

/* What is counted for a row's number: the value itself or the start of its bucket. */
static uint64_t number_of(const struct agg *spec, const struct column_numbers *numbers,
                          uint64_t row)
{
    const struct column *c = numbers->c;
    if (c->h->index == INDEX_DOUBLE) {
        double d = numbers_double(numbers, row);
        if (spec->kind == AGG_HISTOGRAM)
            d = interval_floor_double(&spec->interval, d);
        uint64_t bits;
        d = d == 0 ? 0 : d; /* no negative zero */
        memcpy(&bits, &d, sizeof bits);
        return bits;
    }
    int64_t v = numbers_int(numbers, row);
    if (spec->kind == AGG_HISTOGRAM)
        return (uint64_t)interval_floor(spec->field, &spec->interval, v);
    if (spec->kind == AGG_TERMS && c->h->index == INDEX_DATE)
        return (uint64_t)(v - (v % 1000000 + 1000000) % 1000000); /* shown in whole seconds */
    return (uint64_t)v;
}

/*
 * Room for three arrays of one length; doubling, so a block costs no allocation after the first
 * ones.
 */
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

/* Written without a branch: an absent value is written, too, and overwritten by the next one. */
static void add_pair(struct pairs *p, uint32_t row, uint32_t slot, uint32_t id)
{
    p->rows[p->n] = row;
    p->slots[p->n] = slot;
    p->ids[p->n] = id;
    p->n += id != 0;
}

/* Leaves room for one pair of each of the rows that are left. */
static bool add_pairs(struct pairs *p, uint32_t row, uint32_t slot, const uint32_t *ids, size_t n,
                      size_t rows_left, struct cost *cost)
{
    if (!cost_work(cost, n) || !make_room(p, n + rows_left + 1, cost))
        return false;
    for (size_t i = 0; i < n; i++)
        add_pair(p, row, slot, ids[i]);
    return true;
}

/* Of a level that is over every value is known, and lanes may look at the same time. */
uint32_t agg_id_of_number(struct agg_node *node, uint64_t value)
{
    if (node->is_counted)
        return map_get(&node->lead->values.ids, value);
    return interner_id(&node->values, value, node->cost);
}

bool agg_distinct_numbers(struct agg_node *node, const struct column *c, const uint32_t *rows,
                          size_t n)
{
    bool is_whole = c->h->index != INDEX_DOUBLE;
    struct column_numbers numbers;
    if (n > 0)
        numbers_read(&numbers, c, rows, n);
    for (size_t i = 0; i < n; i++) {
        if (!numbers_has(&numbers, rows[i]))
            continue;
        bool ok = is_whole
                      ? distinct_add(&node->distinct, numbers_int(&numbers, rows[i]), node->cost)
                      : distinct_add_bits(&node->distinct, number_of(node->spec, &numbers, rows[i]),
                                          node->cost);
        if (!ok)
            return false;
    }
    return true;
}

/* A list counts by its elements, as a facet would. */
bool agg_distinct_texts(struct agg_node *node, struct column *c)
{
    bool goes_on = true;
    for (uint32_t code = 1; goes_on && code < node->local_n; code++) {
        size_t n = 1;
        const uint32_t *codes = &code;
        const struct dict *d = &c->dict;
        if (node->local[code] == 0)
            continue;
        if (c->kind == COLUMN_LIST) {
            codes = column_list(c, code, &n);
            d = &c->elements;
        }
        for (size_t i = 0; goes_on && i < n; i++) {
            struct str s = dict_entry(d, codes[i]);
            if (node->spec->field->frames != FRAMES_NONE && s.n == 0)
                continue; /* a frame without a text is no value */
            distinct_add_hash(&node->distinct, hash64(s.p, s.n));
            goes_on = cost_work(node->cost, s.n + 16);
        }
    }
    column_forget(c); /* all of them have been unpacked, and nobody needs them again */
    return goes_on;
}

static void number_pairs(struct agg_node *node, const struct column *c, const uint32_t *rows,
                         const uint32_t *slots, size_t n)
{
    struct column_numbers numbers;
    numbers_read(&numbers, c, rows, n);
    for (size_t i = 0; i < n; i++) {
        if (!numbers_has(&numbers, rows[i]))
            continue;
        uint64_t value = number_of(node->spec, &numbers, rows[i]);
        if (node->is_rounded)
            value = agg_rounded(node->spec->field, value);
        add_pair(&node->pairs, rows[i], slots ? slots[i] : 0, agg_id_of_number(node, value));
    }
}

/* One loop per width, and no branch in it: what has no value is written, too, and overwritten. */
#define PLAIN_PAIRS(type)                                                                          \
    do {                                                                                           \
        const type *codes = block;                                                                 \
        for (size_t i = 0; i < n; i++) {                                                           \
            uint32_t id = ids[codes[rows[i] - first]];                                             \
            out->rows[out->n] = rows[i];                                                           \
            out->slots[out->n] = slots ? slots[i] : 0;                                             \
            out->ids[out->n] = id;                                                                 \
            out->n += id != 0;                                                                     \
        }                                                                                          \
    } while (0)

/*
 * For a field of single texts the numbering is one array from code to id, read directly here: this
 * is the inner loop of nested facets.
 */
static void plain_pairs(struct pairs *out, const struct column *c, const uint32_t *ids,
                        const uint32_t *rows, const uint32_t *slots, size_t n)
{
    struct code_room room;
    const void *block = column_codes(c, rows, n, &room);
    uint32_t first = rows[0] / BLOCK_ROWS * BLOCK_ROWS;
    if (c->width == 1)
        PLAIN_PAIRS(uint8_t);
    else if (c->width == 2)
        PLAIN_PAIRS(uint16_t);
    else
        PLAIN_PAIRS(uint32_t);
}

/*
 * Rows lie in the order of arrival, so most blocks lie within one day: what the dates of all of
 * them have in common the zone says, and no date is read.  Every row has one.
 */
bool agg_block_value(const struct agg_node *node, const struct part *p, const uint32_t *rows,
                     size_t n, uint64_t *ret)
{
    const struct search_field *f = node->spec->field;
    if (node->spec->kind != AGG_HISTOGRAM || f != p->fields->date || n == 0 ||
        rows[0] / BLOCK_ROWS != rows[n - 1] / BLOCK_ROWS)
        return false;
    const struct zone *z = (const struct zone *)mfile_data(&p->zones) + rows[0] / BLOCK_ROWS;
    int64_t first = interval_floor(f, &node->spec->interval, zone_min(z));
    if (interval_floor(f, &node->spec->interval, zone_max(z)) != first)
        return false;
    *ret = (uint64_t)first;
    return true;
}

static void same_pairs(struct pairs *out, uint32_t id, const uint32_t *rows, const uint32_t *slots,
                       size_t n)
{
    if (id == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        out->rows[i] = rows[i];
        out->slots[i] = slots ? slots[i] : 0;
        out->ids[i] = id;
    }
    out->n = n;
}

/* Room for a list of n, and for a bit of each id. */
static bool make_list_room(struct agg_node *node, size_t n)
{
    size_t words = unify_count(node->unify) / 64 + 1;
    if (!node->seen) {
        if (!cost_hold(node->cost, words * sizeof *node->seen))
            return false;
        node->seen = xcalloc(words, sizeof *node->seen);
    }
    if (n <= node->row_ids_cap)
        return true;
    size_t cap = MAX(n, node->row_ids_cap * 2);
    if (!cost_hold(node->cost, (cap - node->row_ids_cap) * sizeof *node->row_ids))
        return false;
    node->row_ids_cap = cap;
    node->row_ids = xrealloc(node->row_ids, cap * sizeof *node->row_ids);
    return true;
}

const uint32_t *agg_ids_of(struct agg_node *node, size_t part, uint32_t code, size_t *ret_n)
{
    struct unify_ids ids = unify_ids(node->unify, part, code);
    size_t n = 0;
    *ret_n = ids.n;
    if (!ids.of)
        return ids.v;
    if (!make_list_room(node, ids.n)) {
        *ret_n = 0;
        return NULL;
    }
    for (size_t i = 0; i < ids.n; i++) {
        uint32_t id = unify_id_at(&ids, i);
        uint64_t bit = (uint64_t)1 << (id % 64);
        node->row_ids[n] = id;
        n += id != 0 && !(node->seen[id / 64] & bit);
        node->seen[id / 64] |= bit;
    }
    for (size_t i = 0; i < ids.n; i++)
        node->seen[unify_id_at(&ids, i) / 64] = 0;
    *ret_n = n;
    return node->row_ids;
}

bool agg_begin_lists(struct agg_node *node, const struct column *c)
{
    size_t left = texts_bytes_left(c->dict.texts);
    bool is_of_lists = node->unify && node->unify->kind == UNIFY_LISTS;
    if (!is_of_lists || node->lists_held > 0 || left == 0)
        return true;
    node->lists_held = left;
    return cost_hold(node->cost, left);
}

/* Nobody else reads lists of this partition during this pass. */
void agg_end_lists(struct agg_node *node, struct column *c)
{
    if (node->lists_held == 0)
        return;
    dict_forget(&c->dict);
    cost_give_back(node->cost, node->lists_held);
    node->lists_held = 0;
}

void agg_pairs(struct agg_node *node, const struct part *p, size_t part, const uint32_t *rows,
               const uint32_t *slots, size_t n)
{
    const struct column *c = p->by_field[node->spec->field->id];
    struct pairs *out = &node->pairs;
    uint64_t value;
    out->n = 0;
    if (!c || n == 0 || !make_room(out, n + 1, node->cost))
        return;
    if (node->unify && node->unify->kind == UNIFY_PLAIN) {
        plain_pairs(out, c, node->unify->parts[part].starts, rows, slots, n);
        return;
    }
    if (agg_block_value(node, p, rows, n, &value)) {
        same_pairs(out, agg_id_of_number(node, value), rows, slots, n);
        return;
    }
    if (c->kind == COLUMN_NUMBER) {
        number_pairs(node, c, rows, slots, n);
        return;
    }
    if (!agg_begin_lists(node, c))
        return;
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = slots ? slots[i] : 0, code = column_code(c, rows[i]);
        size_t id_count;
        if (!node->unify) { /* COLUMN_BOOL */
            add_pair(out, rows[i], slot, code);
            continue;
        }
        const uint32_t *ids = agg_ids_of(node, part, code, &id_count);
        if (!add_pairs(out, rows[i], slot, ids, id_count, n - i, node->cost))
            return;
    }
}
