/*
 * Which range does an address belong to, when ranges come from a hostile file? They are sorted once
 * and made disjoint: of overlapping ones the first by start, end and order in the file stays and
 * the others are dropped as a whole, so the answer does not depend on the sort and a look-up is a
 * plain binary search.  Ends are kept inclusive: a range may end at the last byte of the address
 * space, where an exclusive end would be 0.
 */
#include "lib/minidump/range.h"

#include <stdlib.h>

void ranges_init(struct ranges *r, struct arena *a, size_t cap)
{
    *r = (struct ranges){.v = arena_array(a, cap, sizeof *r->v), .cap = cap};
}

void ranges_add(struct ranges *r, uint64_t start, uint64_t size, uint32_t index)
{
    if (size == 0 || start > UINT64_MAX - (size - 1) || r->n == r->cap)
        return;
    r->v[r->n++] = (struct range){start, start + (size - 1), index};
}

static int by_start(const void *pa, const void *pb)
{
    const struct range *a = pa, *b = pb;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    if (a->last != b->last)
        return a->last < b->last ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

void ranges_sort(struct ranges *r)
{
    if (r->n == 0)
        return;
    qsort(r->v, r->n, sizeof *r->v, by_start);
    size_t kept = 1;
    for (size_t i = 1; i < r->n; i++)
        if (r->v[i].first > r->v[kept - 1].last)
            r->v[kept++] = r->v[i];
    r->n = kept;
}

const struct range *ranges_find(const struct ranges *r, uint64_t addr)
{
    size_t lo = 0, hi = r->n; /* the first range that starts behind addr lies in lo..hi */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->v[mid].first <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo > 0 && addr <= r->v[lo - 1].last ? &r->v[lo - 1] : NULL;
}
