/*
 * A binary heap with the last of those kept on top: a thing that comes when the heap is full is
 * compared with that one, which is all that happens to nearly everything offered, or takes its
 * place.  n things cost n comparisons and about limit * log2(limit) * log2(n / limit) more, when
 * they come in no order.
 *
 * Things are moved by way of a hole, so each level costs one copy rather than three.
 */
#include "lib/base/topk.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/util.h"

enum { CAP_FIRST = 64 }; /* a page of fifty fits in without growing */

void topk_init(struct topk *t, size_t size, size_t limit, topk_order *order, void *arg)
{
    assert(size <= TOPK_SIZE_MAX);
    *t = (struct topk){.size = size, .limit = limit, .order = order, .arg = arg};
}

void topk_release(struct topk *t)
{
    free(t->v);
    *t = (struct topk){0};
}

void topk_reset(struct topk *t)
{
    t->n = 0;
}

static void *at(const struct topk *t, size_t i)
{
    return (uint8_t *)t->v + i * t->size;
}

/* The thing belongs at the hole or above. */
static void rise(struct topk *t, size_t hole, const void *thing)
{
    while (hole > 0) {
        size_t above = (hole - 1) / 2;
        if (t->order(thing, at(t, above), t->arg) <= 0)
            break;
        memcpy(at(t, hole), at(t, above), t->size);
        hole = above;
    }
    memcpy(at(t, hole), thing, t->size);
}

/* The thing belongs at the top or below; t->n things take part. */
static void sink(struct topk *t, const void *thing)
{
    size_t hole = 0;
    for (;;) {
        size_t below = 2 * hole + 1;
        if (below >= t->n)
            break;
        if (below + 1 < t->n && t->order(at(t, below + 1), at(t, below), t->arg) > 0)
            below++;
        if (t->order(thing, at(t, below), t->arg) >= 0)
            break;
        memcpy(at(t, hole), at(t, below), t->size);
        hole = below;
    }
    memcpy(at(t, hole), thing, t->size);
}

bool topk_offer(struct topk *t, const void *thing)
{
    if (t->n == t->limit) {
        if (t->limit == 0 || t->order(thing, t->v, t->arg) >= 0)
            return false;
        sink(t, thing);
        return true;
    }
    if (t->n == t->cap) {
        t->cap = MIN(MAX(t->cap * 2, (size_t)CAP_FIRST), t->limit);
        t->v = xrealloc(t->v, t->cap * t->size);
    }
    rise(t, t->n++, thing);
    return true;
}

void topk_pop(struct topk *t)
{
    uint8_t last[TOPK_SIZE_MAX];
    assert(t->n > 0);
    t->n--;
    memcpy(last, at(t, t->n), t->size);
    memcpy(at(t, t->n), t->v, t->size);
    if (t->n > 0)
        sink(t, last);
}

void topk_sort(struct topk *t)
{
    if (t->n > 1)
        qsort_r(t->v, t->n, t->size, t->order, t->arg);
}
