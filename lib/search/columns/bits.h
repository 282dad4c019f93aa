#ifndef SEARCH_COLUMNS_BITS_H
#define SEARCH_COLUMNS_BITS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/search/columns/format.h"

/*
 * bits - up to BLOCK_ROWS unsigned numbers of `width` bits each.
 *
 * Layout     A number is cut into planes of 64, 32, 16, 8, 4, 2 and 1 bits, as the width has them
 *            in binary, the lowest bits in the largest.  Planes of whole bytes are arrays.  One of
 *            4, 2 or 1 bits is cut into 2, 4 or 8 runs of rows, which share its bytes, the first
 *            run in the lowest bits.  So every plane is unpacked by a loop over neighbours, which
 *            compilers turn into vectors, and one number is a load for each plane.
 * Room       Each plane has room for n rounded up to 64, which keeps all planes aligned.
 * Trust      The caller has bits_bytes(n, width) bytes at `in`, aligned to eight.
 */
enum { BITS_WIDTH_MAX = 64, BITS_ROUND = 64 };

static inline size_t bits_room(size_t n)
{
    return (n + BITS_ROUND - 1) / BITS_ROUND * BITS_ROUND;
}

static inline size_t bits_bytes(size_t n, uint32_t width)
{
    return bits_room(n) / 8 * width;
}

/* How many bits the number needs; 0 for 0. */
static inline uint32_t bits_width(uint64_t v)
{
    return v == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(v);
}

void bits_pack(const uint64_t *v, size_t n, uint32_t width, uint8_t *out);

/*
 * All numbers, each plus `base`; `out` has room for bits_room(n).  In the narrow ones base + number
 * must fit: what does not is cut off.
 */
void bits_unpack8(const uint8_t *in, size_t n, uint32_t width, uint8_t base, uint8_t *out);
void bits_unpack16(const uint8_t *in, size_t n, uint32_t width, uint16_t base, uint16_t *out);
void bits_unpack32(const uint8_t *in, size_t n, uint32_t width, uint32_t base, uint32_t *out);
void bits_unpack64(const uint8_t *in, size_t n, uint32_t width, uint64_t base, uint64_t *out);

/* Number i of n. */
uint64_t bits_get(const uint8_t *in, size_t n, uint32_t width, size_t i);

#endif
