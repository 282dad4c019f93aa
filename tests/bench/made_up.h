#ifndef BENCH_MADE_UP_H
#define BENCH_MADE_UP_H

#include <stdint.h>
#include <stdio.h>

#include "lib/base/util.h"

/*
 * made_up - numbers for crashes that nobody had: the same in every run, so that two builds of a
 * benchmark measure the same index.
 */

static uint64_t made_up_seed = 1;

/* Below n.  The generator is Knuth's MMIX (The Art of Computer Programming, 3.3.4), whose upper
 * bits are good enough for values of a field. */
static inline uint32_t made_up(uint32_t n)
{
    made_up_seed = made_up_seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((made_up_seed >> 33) % n);
}

/* Few values are frequent, many are rare: what signatures and versions look like. */
static inline uint32_t made_up_skewed(uint32_t n)
{
    uint32_t span = 1u << made_up(32 - (uint32_t)__builtin_clz(n));
    return made_up(MIN(span + 1, n));
}

/* The id of crash number i; spread, as real ones are, so that no dictionary gets them in order. */
enum { MADE_UP_ID_SIZE = 48 };
static inline void made_up_id(size_t i, char out[MADE_UP_ID_SIZE])
{
    snprintf(out, MADE_UP_ID_SIZE, "%08x-%04x-4000-8000-%012zx", (unsigned)i * 2654435761u,
             (unsigned)(i % 65536), i);
}

#endif
