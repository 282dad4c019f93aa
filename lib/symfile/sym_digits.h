#ifndef SYMFILE_SYM_DIGITS_H
#define SYMFILE_SYM_DIGITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/*
 * sym_digits - numbers of up to seven digits, eight bytes at a time.
 *
 * Four fifths of a symbols file are line records, that is four numbers of a few digits each.  Digit
 * by digit a number costs a wrong guess of the processor where it ends, because lengths differ from
 * record to record; in a word of eight bytes the end is found, and the digits are put together,
 * without a branch (compiling takes a quarter less time: tests/bench/csym).
 *
 * Both read eight bytes from p, which must be there.  False: it is no number, or it is one of more
 * than seven digits, or it does not end with a blank or the end of a line; the caller then reads it
 * digit by digit, which says what it is.
 */

enum { DIGITS_AT_ONCE = 8 };

/* The same byte eight times. */
#define DIGITS_EACH(byte) ((byte)*UINT64_C(0x0101010101010101))

static inline uint64_t digits_load(const char *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x); /* the first character is the lowest byte */
    return x;
}

/*
 * Length up to the first byte below '!', 8 if there is none.  The subtraction may borrow into the
 * bytes behind such a byte, never into those before it.
 */
static inline size_t digits_length(uint64_t x)
{
    uint64_t ends = (x - DIGITS_EACH(0x21)) & ~x & DIGITS_EACH(0x80);
    return ends ? (size_t)__builtin_ctzll(ends) / 8 : DIGITS_AT_ONCE;
}

/* The number moved to the high bytes, '0' in front of it: eight characters, whatever its length. */
static inline uint64_t digits_fill(uint64_t x, size_t length)
{
    return x << (64 - 8 * length) | DIGITS_EACH(0x30) >> (8 * length);
}

/* Of a known length. */
static inline bool digits_dec_of(const char *p, size_t n, uint32_t *ret)
{
    if (n == 0 || n >= DIGITS_AT_ONCE)
        return false;
    uint64_t x = digits_load(p);
    uint64_t d = digits_fill(x, n) ^ DIGITS_EACH(0x30);
    /* 10 … 15 leave their four bits by adding 6; what was no digit has others set already */
    if (((d + DIGITS_EACH(0x06)) | d) & DIGITS_EACH(0xf0))
        return false;
    /* pairs, then pairs of pairs, then both halves: the sums lie in the upper half of the
     * products */
    d = d * 10 + (d >> 8);
    uint64_t odd = (d & UINT64_C(0x000000ff000000ff)) * (100 + (UINT64_C(1000000) << 32));
    uint64_t even = (d >> 16 & UINT64_C(0x000000ff000000ff)) * (1 + (UINT64_C(10000) << 32));
    *ret = (uint32_t)((odd + even) >> 32);
    return true;
}

static inline bool digits_dec(const char *p, uint32_t *ret, size_t *ret_length)
{
    *ret_length = digits_length(digits_load(p));
    return digits_dec_of(p, *ret_length, ret);
}

/* Whether all bytes are hexadecimal digits; y has capitals turned into small letters. */
static inline bool digits_are_hex(uint64_t y)
{
    uint64_t is_digit = (y + DIGITS_EACH(0x80 - '0')) & ~(y + DIGITS_EACH(0x80 - '9' - 1));
    uint64_t is_letter = (y + DIGITS_EACH(0x80 - 'a')) & ~(y + DIGITS_EACH(0x80 - 'f' - 1));
    /* no sum carries into the next byte as long as no byte has its high bit set */
    return (y & DIGITS_EACH(0x80)) == 0 &&
           ((is_digit | is_letter) & DIGITS_EACH(0x80)) == DIGITS_EACH(0x80);
}

static inline bool digits_hex_of(const char *p, size_t n, uint32_t *ret)
{
    if (n == 0 || n >= DIGITS_AT_ONCE)
        return false;
    uint64_t x = digits_load(p);
    uint64_t y = digits_fill(x, n) | DIGITS_EACH(0x20);
    if (!digits_are_hex(y))
        return false;
    uint64_t v = (y & DIGITS_EACH(0x0f)) + 9 * (y >> 6 & DIGITS_EACH(0x01));
    v = (v << 4 | v >> 8) & UINT64_C(0x00ff00ff00ff00ff);
    v = (v << 8 | v >> 16) & UINT64_C(0x0000ffff0000ffff);
    *ret = (uint32_t)(v << 16 | v >> 32);
    return true;
}

static inline bool digits_hex(const char *p, uint32_t *ret, size_t *ret_length)
{
    *ret_length = digits_length(digits_load(p));
    return digits_hex_of(p, *ret_length, ret);
}

/*
 * Where the words of a line end, for DIGITS_LINE bytes from p: bit i is set if p[i] is a blank, the
 * end of a line or another byte that is in no word.  Four numbers whose ends are known do not wait
 * for each other.
 */
enum { DIGITS_LINE = 32 };

#ifdef __SSE2__
static inline uint32_t digits_ends(const char *p)
{
    const __m128i limit = _mm_set1_epi8(0x21); /* bytes from 0x80 on are negative: no word either */
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(p + 16));
    return (uint32_t)_mm_movemask_epi8(_mm_cmplt_epi8(low, limit)) |
           (uint32_t)_mm_movemask_epi8(_mm_cmplt_epi8(high, limit)) << 16;
}
#else
static inline uint32_t digits_ends(const char *p)
{
    uint32_t ends = 0;
    for (unsigned i = 0; i < DIGITS_LINE; i++)
        ends |= (uint32_t)((signed char)p[i] < 0x21) << i;
    return ends;
}
#endif

#endif
