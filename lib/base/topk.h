#ifndef BASE_TOPK_H
#define BASE_TOPK_H

#include <stdbool.h>
#include <stddef.h>

/*
 * topk - the first `limit` of many things in an order, in memory for that many.
 *
 *     struct topk best;
 *     topk_init(&best, sizeof(struct hit), 10, by_count, arg);
 *     for (…) topk_offer(&best, &hit);
 *     topk_sort(&best);
 *     const struct hit *v = best.v;           (best.n of them, the first of the order in front)
 *
 * Ownership  The things are copied; the heap owns its array until topk_release.
 * Errors     None.
 * Threads    None.
 */

/* Negative: a comes before b.  Two different things should not be equal, or chance decides. */
typedef int topk_order(const void *a, const void *b, void *arg);

enum { TOPK_SIZE_MAX = 64 }; /* topk_pop keeps one thing on the stack */

struct topk {
    void *v; /* a heap with the last of the order in front, until topk_sort or the last topk_pop */
    size_t n, cap, limit;
    size_t size; /* of a thing, at most TOPK_SIZE_MAX */
    topk_order *order;
    void *arg;
};

void topk_init(struct topk *t, size_t size, size_t limit, topk_order *order, void *arg);
void topk_release(struct topk *t);

/* Empties it for the next use and keeps the room. */
void topk_reset(struct topk *t);

/* False: it is not among the first, as far as is known. */
bool topk_offer(struct topk *t, const void *thing);

/* Moves the last of the order from the heap to behind it: n falls by one.  Repeated until n is 1,
 * this is topk_sort in steps between which the caller may look at the clock. */
void topk_pop(struct topk *t);

/* Puts v in order, the first in front; only topk_reset and topk_release may follow. */
void topk_sort(struct topk *t);

#endif
