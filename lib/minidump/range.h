#ifndef MINIDUMP_RANGE_H
#define MINIDUMP_RANGE_H

#include <stdint.h>

#include "lib/base/arena.h"

/*
 * range - sorted, non-overlapping address ranges: memory, mappings, modules.
 *
 * Add in any order, sort once, then look up by bisection.  On overlap the range with
 * the lower start wins and the later one is not found by address.  Work is
 * n log n for any input; dumps with thousands of overlapping ranges exist.
 *
 * Ownership  The array lives in the arena given to ranges_init.
 */
struct range {
    uint64_t first, last; /* inclusive, so that the top of the address space can be said */
    uint32_t index;       /* the caller's */
};

struct ranges {
    struct range *v;
    size_t n, cap;
};

void ranges_init(struct ranges *r, struct arena *a, size_t cap);
/* Ignored: size 0, an end beyond 2^64, more than cap. */
void ranges_add(struct ranges *r, uint64_t start, uint64_t size, uint32_t index);
void ranges_sort(struct ranges *r);
/* The range covering addr, or NULL. */
const struct range *ranges_find(const struct ranges *r, uint64_t addr);

#endif
