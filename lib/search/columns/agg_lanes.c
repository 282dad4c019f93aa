/*
 * Aggregations of a search that runs in several lanes.  Each lane counts in tables of its own, so
 * nobody waits for anybody while rows are looked at; at the end of a level the lead adds what the
 * others have, chooses the buckets, and the others go on below these with empty tables.  Adding
 * takes a step for each counter, not for each row.
 *
 * Texts and truth values have the same ids in all lanes, because the numberings were made before;
 * numbers get theirs as they come, so each is numbered again in the lead.
 */
#include "lib/search/columns/agg.h"

#include "lib/base/map.h"
#include "lib/base/util.h"
#include "lib/search/columns/agg_marks.h"
#include "lib/search/columns/agg_node.h"
#include "lib/search/columns/agg_numbers.h"
#include "lib/search/columns/cost.h"
#include "lib/search/columns/distinct.h"

/* Ids of numbers are each lane's own; those of texts and truth values are the same in all. */
uint32_t agg_lead_id(struct agg_node *lead, const struct agg_node *n, uint32_t id)
{
    if (n->unify || n->spec->field->index == INDEX_BOOLEAN)
        return id;
    uint64_t value = interner_value(&n->values, id);
    if (lead->is_rounded)
        value = agg_rounded(lead->spec->field, value);
    return interner_id(&lead->values, value, lead->cost);
}

static bool join_pair(struct agg_node *lead, const struct agg_node *n, uint32_t slot, uint32_t id,
                      uint32_t by)
{
    id = agg_lead_id(lead, n, id);
    return id != 0 && agg_count_pair(lead, slot, id, by);
}

static bool join_dense(struct agg_node *lead, const struct agg_node *n)
{
    if (n->grows) {
        for (uint32_t id = 1; id <= n->values.ids.n && id < n->id_count; id++)
            if (n->dense[id] && !join_pair(lead, n, 0, id, n->dense[id]))
                return false;
        return cost_work(lead->cost, n->id_count);
    }
    size_t count = MAX(n->slot_count, (size_t)1) * n->id_count;
    for (size_t i = 0; i < count; i++)
        lead->dense[i] += n->dense[i];
    return cost_work(lead->cost, count);
}

static bool join_sparse(struct agg_node *lead, const struct agg_node *n)
{
    const struct map *t = &n->sparse;
    for (size_t i = 0; i < t->cap; i++)
        if (t->values[i] &&
            !join_pair(lead, n, (uint32_t)(t->keys[i] >> 32), (uint32_t)t->keys[i], t->values[i]))
            return false;
    return cost_work(lead->cost, t->cap);
}

/* Values are rounded in all lanes or in none. */
static bool join_percentiles(struct agg_node *lead, const struct agg_node *n)
{
    return (!n->is_rounded || agg_percentiles_round(lead)) && join_sparse(lead, n) &&
           agg_percentiles_bound(lead);
}

static bool join_node(struct agg_node *lead, const struct agg_node *n)
{
    if (n->distinct_kind != DISTINCT_NOT)
        return distinct_join(&lead->distinct, &n->distinct, lead->cost);
    if (n->spec->kind == AGG_SUMS)
        return agg_sums_join(lead, n);
    if (n->spec->kind == AGG_PERCENTILES)
        return join_percentiles(lead, n);
    return (n->dense ? join_dense(lead, n) : join_sparse(lead, n)) && agg_marks_join(lead, n);
}

static bool join_nodes(struct agg_node *lead, const struct agg_node *n, size_t level)
{
    for (; n; n = n->next, lead = lead->next) {
        if (n->level < level) {
            if (!join_nodes(lead->children, n->children, level))
                return false;
            continue;
        }
        if (!join_node(lead, n))
            return false;
    }
    return true;
}

bool agg_join(struct run *lead, struct run *lane, size_t level)
{
    return join_nodes(lead->aggs, lane->aggs, level);
}

/* The counters of another lane, which the lead has. */
static void drop_counters(struct agg_node *n)
{
    size_t bytes = n->dense ? MAX(n->slot_count, (size_t)1) * n->id_count * sizeof *n->dense : 0;
    cost_give_back(n->cost, bytes + map_bytes(&n->sparse) + agg_sums_bytes(n) + agg_marks_bytes(n));
    agg_marks_release(n);
    free(n->sums);
    n->sums = NULL;
    free(n->dense);
    n->dense = NULL;
    map_release(&n->sparse);
    interner_release(&n->values);
    distinct_release(&n->distinct);
}

static bool follow_nodes(struct agg_node *n, size_t level)
{
    for (; n; n = n->next) {
        if (n->level < level) {
            if (!follow_nodes(n->children, level))
                return false;
            continue;
        }
        drop_counters(n);
        n->is_counted = true;
        if (!agg_begin_nodes(n->children, n->lead->bucket_count))
            return false;
    }
    return true;
}

bool agg_follow(struct run *lane, size_t level)
{
    return follow_nodes(lane->aggs, level);
}
