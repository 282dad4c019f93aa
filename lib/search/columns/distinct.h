#ifndef SEARCH_COLUMNS_DISTINCT_H
#define SEARCH_COLUMNS_DISTINCT_H

#include "lib/base/map.h"
#include "lib/search/columns/cost.h"

/*
 * distinct - how many different numbers were seen: exactly up to a size, then by a sketch.
 *
 * Exact      32-bit whole numbers as long as their bits take no more than DISTINCT_PAGES_BYTES
 *            (which is any set of seconds within eight years), others up to DISTINCT_KEYS_MAX of
 *            them.
 * Sketch     A HyperLogLog of 2^14 registers; its standard error is DISTINCT_ERROR.
 * Ownership  distinct_release gives everything back; a zeroed struct is empty.
 * Errors     False: the search must end, the reason is in the cost.
 * Threads    None; two that were filled apart are joined by distinct_join.
 */
enum {
    DISTINCT_PAGES_BYTES = 32 << 20, /* a bit for each second of eight years */
    DISTINCT_KEYS_MAX = 1 << 20,     /* a table of them takes about as much as the pages */
    /* A page is 8 KiB and 18 hours of seconds: what occurs lies close together, and the table of
     * all pages, which the first value makes, is half a megabyte. */
    DISTINCT_PAGE_BITS = 16,
};
#define DISTINCT_ERROR 0.0082 /* 1.04 / sqrt(2^14), by the paper that distinct.c names */

struct distinct {
    uint64_t **pages; /* bits by value, 2^16 of them in each; NULL until needed */
    size_t page_bytes;
    struct map keys; /* what does not fit 32 bits */
    bool has_keys;
    uint8_t *registers; /* not NULL: a sketch from here on */
};

/* A whole number whose page is not there, or that needs none. */
bool distinct_add_first(struct distinct *d, int64_t value, struct cost *cost);
/* Anything else, by its bits. */
bool distinct_add_bits(struct distinct *d, uint64_t bits, struct cost *cost);
/* By a hash of 64 bits; only of a sketch. */
void distinct_add_hash(struct distinct *d, uint64_t hash);

/* A whole number. */
static inline bool distinct_add(struct distinct *d, int64_t value, struct cost *cost)
{
    uint64_t at = (uint64_t)(value - INT32_MIN);
    if (!d->pages || value < INT32_MIN || value > INT32_MAX || !d->pages[at >> DISTINCT_PAGE_BITS])
        return distinct_add_first(d, value, cost);
    uint64_t *word = d->pages[at >> DISTINCT_PAGE_BITS] + at % (1 << DISTINCT_PAGE_BITS) / 64;
    uint64_t bit = (uint64_t)1 << (at % 64);
    *word |= bit;
    return true;
}

/* From now on a sketch, whatever its size. */
bool distinct_to_sketch(struct distinct *d, struct cost *cost);
/* As if everything that was added to `from` had been added to d. */
bool distinct_join(struct distinct *d, const struct distinct *from, struct cost *cost);
uint64_t distinct_count(const struct distinct *d);
void distinct_release(struct distinct *d);

#endif
