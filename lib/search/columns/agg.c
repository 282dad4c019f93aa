/*
 * Aggregations, level by level: counting and choosing the best of each slot; agg_node.h says how.
 * Counters are an array where slots times ids stay below DENSE_MAX and a hash table of pairs beyond
 * that: an array costs one addition for a row, but most pairs of two long lists never occur.
 *
 * What is counted are pairs of a slot and an id.  The slot is the bucket of the parent that a row
 * lies in, so a nested aggregation is the same loop as a flat one with more slots; what the ids are
 * says agg_ids.c.  Which buckets there are is known only when all rows of a level have been
 * counted, hence one pass over the selected rows for each level: keeping the rows of every bucket
 * instead would take memory by the row, not by the bucket.
 *
 * A finished level no longer needs its counters: index_buckets turns the same table into one from
 * pair to bucket number, which the next pass uses as slots.
 */
#include "lib/search/columns/agg.h"

#include <assert.h>

#include "lib/base/arena.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/topk.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/search/columns/agg_marks.h"
#include "lib/search/columns/agg_node.h"
#include "lib/search/columns/agg_numbers.h"
#include "lib/search/columns/column_read.h"
#include "lib/search/columns/cost.h"
#include "lib/search/columns/distinct.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/unify.h"

/*
 * Memory is held for the larger table before it is made and given back for the smaller one after,
 * since both are there while entries move.
 */
bool agg_grow_map(struct map *m, struct cost *cost)
{
    size_t old_bytes = map_bytes(m);
    if (!cost_hold(cost, map_grown_bytes(m)))
        return false;
    map_grow(m);
    cost_give_back(cost, old_bytes);
    return cost_work(cost, m->cap);
}

/*
 * Numeric fields on the first level number their values as they come, so the array of counters
 * grows with them, by doubling from 1024 counters.
 */
static bool grow_dense(struct agg_node *node)
{
    size_t n = MAX(node->id_count * 2, (size_t)1024);
    if (!cost_hold(node->cost, (n - node->id_count) * sizeof *node->dense))
        return false;
    node->dense = xrealloc(node->dense, n * sizeof *node->dense);
    memset(node->dense + node->id_count, 0, (n - node->id_count) * sizeof *node->dense);
    node->id_count = n;
    return true;
}

bool agg_count_pair(struct agg_node *node, uint32_t slot, uint32_t id, uint32_t by)
{
    if (node->grows && id >= node->id_count && !grow_dense(node))
        return false;
    if (node->dense) {
        node->dense[slot * node->id_count + id] += by;
        return true;
    }
    if (map_must_grow(&node->sparse) && !agg_grow_map(&node->sparse, node->cost))
        return false;
    *map_at(&node->sparse, (uint64_t)slot << 32 | id) += by;
    return true;
}

/* Bucket number + 1 of a pair on a finished level, 0 for none.  The lead has the buckets. */
static uint32_t bucket_of(const struct agg_node *node, uint32_t slot, uint32_t id)
{
    node = node->lead;
    if (node->dense)
        return node->dense[slot * node->id_count + id];
    return map_get(&node->sparse, (uint64_t)slot << 32 | id);
}

/*
 * The tree of the query with a node for each aggregation, in the order in which they were asked
 * for, which is the order of the answer.
 */
static struct agg_node *make_nodes(struct run *run, const struct agg *spec, size_t level)
{
    struct agg_node *head = NULL, **at = &head;
    for (; spec; spec = spec->next) {
        struct agg_node *n = arena_alloc(&run->arena, sizeof *n);
        n->spec = spec;
        n->query = run->query;
        n->cost = &run->cost;
        n->marks.wants_times =
            run->query->facets_sort == FACETS_BY_INSTALLATIONS && spec->kind == AGG_TERMS;
        n->marks.wants_weights =
            run->query->rate && (spec->kind == AGG_TERMS || spec->kind == AGG_HISTOGRAM);
        map_init(&n->marks.pairs.ids, UINT32_MAX);
        map_init(&n->marks.others.ids, UINT32_MAX);
        map_init(&n->marks.seen, SIZE_MAX);
        n->lead = n;
        n->level = level;
        map_init(&n->sparse, SIZE_MAX); /* the account of the search is its limit */
        map_init(&n->values.ids, UINT32_MAX);
        n->children = make_nodes(run, spec->children, level + 1);
        *at = n;
        at = &n->next;
    }
    return head;
}

/*
 * Numbering a text costs some fifty times as much as hashing it (a cache miss for the table, one
 * for the text that it is compared with) and sixteen bytes that stay; a million of them are a
 * second and what one search may hold of a worker's memory.  Beyond that a count of distinct texts
 * that stands in no bucket is made from their hashes.
 */
enum { TEXTS_NUMBERED_MAX = 1 << 20 };

static enum distinct_kind distinct_kind_of(const struct run *run, const struct agg_node *n)
{
    const struct search_field *f = n->spec->field;
    enum column_kind kind = column_kind_of(f);
    if (n->spec->kind != AGG_CARDINALITY || n->level > 0 || kind == COLUMN_BOOL)
        return DISTINCT_NOT;
    if (kind == COLUMN_NUMBER)
        return DISTINCT_NUMBERS;
    uint64_t texts = 0;
    for (size_t i = 0; i < run->root->part_count; i++) {
        const struct column *c = run->part_used[i] ? run->root->parts[i]->by_field[f->id] : NULL;
        if (c)
            texts += kind == COLUMN_LIST ? c->elements.checked : c->dict.checked;
    }
    /* pieces of a semi field stand in no dictionary */
    bool is_many = texts > TEXTS_NUMBERED_MAX && f->index != INDEX_SEMI;
    return is_many ? DISTINCT_TEXTS : DISTINCT_NOT;
}

/*
 * Numberings are made before the first row is looked at: the size of the counters depends on how
 * many distinct values there are.
 */
static bool number_values(struct run *run, struct agg_node *n)
{
    for (; n; n = n->next) {
        enum column_kind kind = column_kind_of(n->spec->field);
        n->distinct_kind = distinct_kind_of(run, n);
        if ((kind == COLUMN_DICT || kind == COLUMN_LIST) && n->distinct_kind == DISTINCT_NOT) {
            n->unify = run_unify(run, n->spec->field);
            if (!n->unify)
                return false;
        }
        if (!number_values(run, n->children))
            return false;
    }
    return true;
}

/* What the lead has found out about each aggregation. */
static void follow_lead(struct agg_node *n, struct agg_node *lead)
{
    for (; n; n = n->next, lead = lead->next) {
        n->lead = lead;
        n->unify = lead->unify;
        n->distinct_kind = lead->distinct_kind;
        follow_lead(n->children, lead->children);
    }
}

/* Room for the counters of one aggregation, once the number of its slots is known. */
static bool begin_node(struct agg_node *n, size_t slot_count)
{
    n->slot_count = slot_count;
    if (n->distinct_kind == DISTINCT_TEXTS)
        return distinct_to_sketch(&n->distinct, n->cost);
    if (n->distinct_kind == DISTINCT_NUMBERS)
        return true;
    if (n->spec->kind == AGG_SUMS)
        return agg_sums_begin(n);
    if (n->spec->kind == AGG_PERCENTILES)
        return true; /* pairs in the hash table: most numbers are no index of a small array */
    if (n->unify)
        n->id_count = unify_count(n->unify) + 1;
    else if (n->spec->field->index == INDEX_BOOLEAN)
        n->id_count = 3;
    else
        n->grows = n->level == 0;
    if (n->grows)
        return grow_dense(n);
    if (n->id_count == 0)
        return true;
    if (slot_count <= 1 || n->id_count <= DENSE_MAX / slot_count) {
        size_t count = MAX(slot_count, (size_t)1) * n->id_count;
        if (!cost_hold(n->cost, count * sizeof *n->dense))
            return false;
        n->dense = xcalloc(count, sizeof *n->dense);
    }
    return true;
}

bool agg_begin_nodes(struct agg_node *n, size_t slot_count)
{
    for (; n; n = n->next)
        if (!begin_node(n, slot_count))
            return false;
    return true;
}

bool agg_prepare(struct run *run)
{
    run->aggs = make_nodes(run, run->query->aggs, 0);
    return number_values(run, run->aggs) && agg_begin_nodes(run->aggs, 1);
}

bool agg_prepare_lane(struct run *run)
{
    run->aggs = make_nodes(run, run->query->aggs, 0);
    follow_lead(run->aggs, run->lead->aggs);
    return agg_begin_nodes(run->aggs, 1);
}

/* How many passes over the rows it takes: one for each level of nesting. */
static size_t depth_of(const struct agg_node *n)
{
    size_t depth = 0;
    for (; n; n = n->next)
        depth = MAX(depth, 1 + depth_of(n->children));
    return depth;
}

size_t agg_depth(const struct run *run)
{
    return depth_of(run->aggs);
}

/* First level of a string field: count codes, translate once per partition. */
static bool count_codes(struct agg_node *n, const struct column *c, const uint32_t *rows,
                        size_t row_count)
{
    size_t want = (size_t)c->dict.checked + 1;
    if (n->local_n == 0) {
        if (n->local_cap < want) {
            if (!cost_hold(n->cost, (want - n->local_cap) * sizeof *n->local))
                return false;
            n->local_cap = want;
            n->local = xrealloc(n->local, want * sizeof *n->local);
        }
        memset(n->local, 0, want * sizeof *n->local);
        n->local_n = want;
    }
    if (row_count == 0)
        return true;
    struct code_room room;
    uint32_t *local = n->local, first = rows[0] / BLOCK_ROWS * BLOCK_ROWS;
    const void *block = column_codes(c, rows, row_count, &room);
    if (c->width == 1) {
        const uint8_t *codes = block;
        for (size_t i = 0; i < row_count; i++)
            local[codes[rows[i] - first]]++;
    } else if (c->width == 2) {
        const uint16_t *codes = block;
        for (size_t i = 0; i < row_count; i++)
            local[codes[rows[i] - first]]++;
    } else {
        const uint32_t *codes = block;
        for (size_t i = 0; i < row_count; i++)
            local[codes[rows[i] - first]]++;
    }
    return true;
}

static bool count_pairs(struct agg_node *n)
{
    const struct pairs *p = &n->pairs;
    if (n->dense && !n->grows) {
        for (size_t i = 0; i < p->n; i++)
            n->dense[p->slots[i] * n->id_count + p->ids[i]]++;
        return true;
    }
    for (size_t i = 0; i < p->n; i++)
        if (!agg_count_pair(n, p->slots[i], p->ids[i], 1))
            return false;
    return true;
}

/* A partition without the column has no value in any row: nothing to count. */
static bool count_node(struct agg_node *n, const struct part *p, const struct block *b,
                       const uint32_t *slots)
{
    const struct column *c = p->by_field[n->spec->field->id];
    if (!c)
        return true;
    if (n->distinct_kind == DISTINCT_NUMBERS)
        return agg_distinct_numbers(n, c, b->rows, b->n);
    if (n->spec->kind == AGG_SUMS)
        return agg_sums_add(n, c, b->rows, slots, b->n);
    bool has_marks = n->marks.wants_times || n->marks.wants_weights;
    if (n->level == 0 && !has_marks && (n->unify || n->distinct_kind == DISTINCT_TEXTS))
        return count_codes(n, c, b->rows, b->n);
    uint64_t value;
    if (n->level == 0 && !has_marks && agg_block_value(n, p, b->rows, b->n, &value)) {
        uint32_t id = agg_id_of_number(n, value);
        return id != 0 && agg_count_pair(n, 0, id, (uint32_t)b->n);
    }
    agg_pairs(n, p, b->part, b->rows, slots, b->n);
    return count_pairs(n) && agg_marks_add(n, p) &&
           (n->spec->kind != AGG_PERCENTILES || agg_percentiles_bound(n));
}

/* Keeps the pairs that fall into buckets; their slots become bucket numbers. */
static void to_buckets(struct agg_node *n)
{
    struct pairs *p = &n->pairs;
    size_t kept = 0;
    for (size_t i = 0; i < p->n; i++) {
        uint32_t bucket = bucket_of(n, p->slots[i], p->ids[i]);
        p->rows[kept] = p->rows[i];
        p->slots[kept] = bucket - 1;
        kept += bucket != 0;
    }
    p->n = kept;
}

/*
 * Walks down to the aggregations of this level, and takes the rows along that fall into kept
 * buckets on the way: a row that is in no bucket of the parent is not counted below it.
 */
static bool block_node(struct agg_node *n, size_t level, const struct part *p,
                       const struct block *b, const uint32_t *slots)
{
    enum { ROW_UNITS = 4 }; /* a hash look-up and more: tests/bench/search */
    for (; n; n = n->next) {
        if (!cost_work(n->cost, b->n * ROW_UNITS))
            return false;
        if (n->level == level) {
            if (!count_node(n, p, b, slots))
                return false;
            continue;
        }
        if (!n->children)
            continue;
        agg_pairs(n, p, b->part, b->rows, slots, b->n);
        to_buckets(n);
        struct block inner = {b->part, n->pairs.rows, n->pairs.n};
        if (inner.n > 0 && !block_node(n->children, level, p, &inner, n->pairs.slots))
            return false;
    }
    return true;
}

bool agg_block(struct run *run, size_t level, const struct block *b)
{
    return block_node(run->aggs, level, run->root->parts[b->part], b, NULL);
}

/* Of a numbering: once for each distinct value rather than for each row. */
static void count_local(struct agg_node *n, const struct column *c, size_t part)
{
    if (!agg_begin_lists(n, c))
        return;
    for (uint32_t code = 1; code < n->local_n; code++) {
        size_t count;
        if (n->local[code] == 0)
            continue;
        const uint32_t *ids = agg_ids_of(n, part, code, &count);
        for (size_t i = 0; i < count; i++)
            n->dense[ids[i]] += n->local[code];
    }
}

/*
 * Codes are of one partition, so what count_codes has counted is added to the common ids when the
 * partition ends.
 */
static bool end_part_of_level_0(struct run *run, size_t part)
{
    const struct part *p = run->root->parts[part];
    for (struct agg_node *n = run->aggs; n; n = n->next) {
        struct column *c = p->by_field[n->spec->field->id];
        if (!cost_work(n->cost, n->local_n))
            return false;
        if (n->local_n > 0 && n->distinct_kind == DISTINCT_TEXTS) {
            if (!agg_distinct_texts(n, c))
                return false;
        } else if (n->local_n > 0) {
            count_local(n, c, part);
        }
        n->local_n = 0;
    }
    return true;
}

static void end_lists(struct agg_node *n, const struct part *p)
{
    for (; n; n = n->next) {
        agg_end_lists(n, p->by_field[n->spec->field->id]);
        end_lists(n->children, p);
    }
}

bool agg_end_part(struct run *run, size_t level, size_t part)
{
    bool goes_on = level > 0 || end_part_of_level_0(run, part);
    end_lists(run->aggs, run->root->parts[part]);
    return goes_on && run->cost.end == COST_GOES_ON;
}

/*
 * Values in their natural order: texts by bytes, false before
 * true, numbers by size.
 */
static int compare_ids(const struct agg_node *n, uint32_t a, uint32_t b)
{
    if (n->unify)
        return str_cmp(unify_text(n->unify, a), unify_text(n->unify, b));
    if (n->spec->field->index == INDEX_BOOLEAN)
        return a < b ? -1 : a > b;
    uint64_t x = interner_value(&n->values, a), y = interner_value(&n->values, b);
    if (n->spec->field->index == INDEX_DOUBLE) {
        double dx, dy;
        memcpy(&dx, &x, sizeof dx);
        memcpy(&dy, &y, sizeof dy);
        return dx < dy ? -1 : dx > dy;
    }
    return (int64_t)x < (int64_t)y ? -1 : (int64_t)x > (int64_t)y;
}

/* Negative: a is listed before b. */
static int compare_buckets(const void *pa, const void *pb, void *arg)
{
    const struct bucket *a = pa, *b = pb;
    const struct agg_node *n = arg;
    if (n->marks.installations) {
        uint32_t x = n->marks.installations[a->mark - 1], y = n->marks.installations[b->mark - 1];
        if (x != y)
            return x > y ? -1 : 1;
    }
    if (n->spec->kind == AGG_TERMS && a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return compare_ids(n, a->id, b->id);
}

/*
 * The limit on buckets is one for the whole answer.  Where it ends the search the bucket is left
 * out; what there is of the answer is thrown away.
 */
static void add_bucket(struct agg_node *n, struct bucket b)
{
    if (!cost_buckets(n->cost, 1))
        return;
    if (n->bucket_count == n->bucket_cap) {
        size_t cap = MAX(n->bucket_cap * 2, (size_t)64);
        if (!cost_hold(n->cost, (cap - n->bucket_cap) * sizeof *n->buckets))
            return;
        n->bucket_cap = cap;
        n->buckets = xrealloc(n->buckets, n->bucket_cap * sizeof *n->buckets);
    }
    n->buckets[n->bucket_count++] = b;
}

/* All pairs of a sparse table, by slot: those of slot s are v[starts[s]] .. v[starts[s + 1]]. */
struct pair_list {
    struct bucket *v;
    size_t *starts;
    size_t bytes;
};

/* Counting sort: comparing would take n log n for millions of pairs.  False: no room, no time. */
static bool list_pairs(struct agg_node *n, struct pair_list *ret)
{
    const struct map *t = &n->sparse;
    size_t bytes = (t->n + 1) * sizeof *ret->v + (n->slot_count + 2) * sizeof *ret->starts;
    if (!cost_hold(n->cost, bytes) || !cost_work(n->cost, 2 * t->cap + n->slot_count))
        return false;
    struct pair_list l = {.v = xmalloc((t->n + 1) * sizeof *l.v),
                          .starts = xcalloc(n->slot_count + 2, sizeof *l.starts),
                          .bytes = bytes};
    for (size_t i = 0; i < t->cap; i++)
        if (t->values[i])
            l.starts[(t->keys[i] >> 32) + 2]++;
    for (size_t slot = 2; slot < n->slot_count + 2; slot++)
        l.starts[slot] += l.starts[slot - 1];
    for (size_t i = 0; i < t->cap; i++)
        if (t->values[i])
            l.v[l.starts[(t->keys[i] >> 32) + 1]++] =
                (struct bucket){.id = (uint32_t)t->keys[i], .count = t->values[i]};
    *ret = l;
    return true;
}

static void drop_pairs(struct agg_node *n, struct pair_list *l)
{
    free(l->v);
    free(l->starts);
    cost_give_back(n->cost, l->bytes);
}

/* What one slot has counted goes through the heap and, sorted, to the buckets. */
struct chooser {
    struct agg_node *node;
    struct topk best; /* of struct bucket */
    uint32_t distinct;
};

/* False: the search must end. */
static bool choose(struct chooser *c, size_t slot, struct bucket b)
{
    enum { CHOOSE_UNITS = 32 }; /* texts are compared where counts are equal */
    c->distinct++;
    b.mark = agg_mark_of(c->node, (uint32_t)slot, b.id);
    if (!cost_work(c->node->cost, CHOOSE_UNITS))
        return false;
    if (c->node->spec->kind == AGG_CARDINALITY)
        return true;
    topk_offer(&c->best, &b);
    return true;
}

/* A cardinality is one bucket without an id, whose count is the number of distinct values. */
static void end_slot(struct chooser *c)
{
    struct agg_node *n = c->node;
    if (n->spec->kind == AGG_CARDINALITY)
        add_bucket(n, (struct bucket){.count = c->distinct});
    topk_sort(&c->best);
    const struct bucket *best = c->best.v;
    for (size_t i = 0; i < c->best.n; i++)
        add_bucket(n, best[i]);
    topk_reset(&c->best);
    c->distinct = 0;
}

/* Id 0 is "no value" and makes no bucket.  list NULL: the counts are dense. */
static bool choose_in_slot(struct chooser *c, const struct pair_list *list, size_t slot)
{
    struct agg_node *n = c->node;
    if (!list) {
        const uint32_t *counts = n->dense + slot * n->id_count;
        for (size_t id = 1; id < n->id_count; id++)
            if (counts[id] &&
                !choose(c, slot, (struct bucket){.id = (uint32_t)id, .count = counts[id]}))
                return false;
        return cost_work(n->cost, n->id_count);
    }
    for (size_t i = list->starts[slot]; i < list->starts[slot + 1]; i++)
        if (!choose(c, slot, list->v[i]))
            return false;
    return true;
}

/* One slot with one bucket, as of a cardinality that was made of pairs. */
static bool end_distinct(struct agg_node *n)
{
    n->first = xcalloc(2, sizeof *n->first);
    add_bucket(n, (struct bucket){.count = (uint32_t)distinct_count(&n->distinct)});
    n->first[1] = n->bucket_count;
    return n->cost->end == COST_GOES_ON;
}

/* Buckets of all slots lie in one array, slot after slot; first[] says where each begins. */
static bool choose_buckets(struct run *run, struct agg_node *n)
{
    if (n->distinct_kind != DISTINCT_NOT)
        return end_distinct(n);
    if (n->spec->kind == AGG_SUMS)
        return true;
    if (n->spec->kind == AGG_PERCENTILES)
        return agg_percentiles_end(n);
    /* histograms show every bucket; one more than allowed is enough to see that it is too many */
    size_t limit = n->spec->kind == AGG_HISTOGRAM ? run->cost.limits->max_buckets + 1
                                                  : run->query->facets_size;
    struct chooser c = {.node = n};
    struct pair_list list = {0};
    size_t first_bytes = (n->slot_count + 1) * sizeof *n->first;
    if (!cost_hold(n->cost, first_bytes) || !agg_marks_end(n) ||
        (!n->dense && !list_pairs(n, &list)))
        return false;
    const struct pair_list *pairs = n->dense ? NULL : &list;
    n->first = xcalloc(n->slot_count + 1, sizeof *n->first);
    topk_init(&c.best, sizeof(struct bucket), limit, compare_buckets, n);
    for (size_t slot = 0; slot < n->slot_count && run->cost.end == COST_GOES_ON; slot++) {
        n->first[slot] = n->bucket_count;
        if (choose_in_slot(&c, pairs, slot))
            end_slot(&c);
        n->first[slot + 1] = n->bucket_count;
    }
    topk_release(&c.best);
    drop_pairs(n, &list);
    return run->cost.end == COST_GOES_ON;
}

/* From now on the table tells the bucket of a pair. */
static void index_buckets(struct agg_node *n)
{
    if (n->dense)
        memset(n->dense, 0, n->slot_count * n->id_count * sizeof *n->dense);
    else
        map_reset(&n->sparse);
    for (size_t slot = 0; slot < n->slot_count; slot++)
        for (size_t i = n->first[slot]; i < n->first[slot + 1]; i++) {
            uint32_t id = n->buckets[i].id;
            if (n->dense)
                n->dense[slot * n->id_count + id] = (uint32_t)i + 1;
            else
                *map_at(&n->sparse, (uint64_t)slot << 32 | id) = (uint32_t)i + 1;
        }
}

/*
 * Every child of a finished aggregation gets as many slots as there are buckets, in all slots
 * together.
 */
static bool end_nodes(struct run *run, struct agg_node *n, size_t level)
{
    for (; n; n = n->next) {
        if (n->level < level) {
            if (!end_nodes(run, n->children, level))
                return false;
            continue;
        }
        if (!choose_buckets(run, n))
            return false;
        n->is_counted = true;
        if (!n->children)
            continue;
        if (n->bucket_count > 0)
            index_buckets(n);
        if (!agg_begin_nodes(n->children, n->bucket_count))
            return false;
    }
    return true;
}

bool agg_end_level(struct run *run, size_t level)
{
    return end_nodes(run, run->aggs, level);
}

static void release_nodes(struct agg_node *n)
{
    for (; n; n = n->next) {
        release_nodes(n->children);
        interner_release(&n->values);
        distinct_release(&n->distinct);
        agg_marks_release(n);
        free(n->sums);
        free(n->percentiles);
        free(n->dense);
        map_release(&n->sparse);
        free(n->local);
        free(n->row_ids);
        free(n->seen);
        free(n->pairs.rows);
        free(n->pairs.slots);
        free(n->pairs.ids);
        free(n->buckets);
        free(n->first);
    }
}

void agg_release(struct run *run)
{
    release_nodes(run->aggs);
}
