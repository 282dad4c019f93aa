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

/*
 * Two words of known ends as numbers, in half the steps of one after the other.  Words have fewer
 * than DIGITS_WORD_MAX bytes; eight bytes in front of each end and from each start on must be
 * there.  False: one of the two is no number, or one of more than eight digits.
 */
enum { DIGITS_WORD_MAX = 64 };

struct digits_word {
    const char *end;
    size_t n;
};

#ifdef __SSE2__
/* Of the eight bytes in front of an end: which are the word's, and '0' for the others.  What is no
 * length of a number gets bytes that are no digits. */
static const struct digits_mask {
    uint64_t keep, fill;
} digits_masks[DIGITS_WORD_MAX] = {
    [0] = {0, UINT64_MAX},
    [1] = {UINT64_MAX << 56, DIGITS_EACH(0x30) >> 8},
    [2] = {UINT64_MAX << 48, DIGITS_EACH(0x30) >> 16},
    [3] = {UINT64_MAX << 40, DIGITS_EACH(0x30) >> 24},
    [4] = {UINT64_MAX << 32, DIGITS_EACH(0x30) >> 32},
    [5] = {UINT64_MAX << 24, DIGITS_EACH(0x30) >> 40},
    [6] = {UINT64_MAX << 16, DIGITS_EACH(0x30) >> 48},
    [7] = {UINT64_MAX << 8, DIGITS_EACH(0x30) >> 56},
    [8] = {UINT64_MAX, 0},
    [9 ... DIGITS_WORD_MAX - 1] = {0, UINT64_MAX},
};

static inline __m128i digits_both(struct digits_word a, struct digits_word b)
{
    const struct digits_mask *m = &digits_masks[a.n], *n = &digits_masks[b.n];
    uint64_t x = (digits_load(a.end - DIGITS_AT_ONCE) & m->keep) | m->fill;
    uint64_t y = (digits_load(b.end - DIGITS_AT_ONCE) & n->keep) | n->fill;
    return _mm_set_epi64x((long long)y, (long long)x);
}

/* Whether no byte is above its limit. */
static inline bool digits_below(__m128i v, __m128i limits)
{
    __m128i above = _mm_subs_epu8(v, limits);
    return _mm_movemask_epi8(_mm_cmpeq_epi8(above, _mm_setzero_si128())) == 0xffff;
}

/* Digits to pairs in 16 bits each, pairs to four digits in 32 bits, those to the number. */
static inline bool digits_dec_pair(struct digits_word a, struct digits_word b, uint32_t ret[2])
{
    __m128i d = _mm_sub_epi8(digits_both(a, b), _mm_set1_epi8('0'));
    if (!digits_below(d, _mm_set1_epi8(9)))
        return false;
    __m128i high = _mm_and_si128(d, _mm_set1_epi16(0x00ff)), low = _mm_srli_epi16(d, 8);
    __m128i pairs = _mm_add_epi16(_mm_mullo_epi16(high, _mm_set1_epi16(10)), low);
    __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(100 | 1 << 16));
    fours = _mm_packs_epi32(fours, fours); /* at most 9999: no sign */
    uint64_t both =
        (uint64_t)_mm_cvtsi128_si64(_mm_madd_epi16(fours, _mm_set1_epi32(10000 | 1 << 16)));
    ret[0] = (uint32_t)both;
    ret[1] = (uint32_t)(both >> 32);
    return true;
}

/*
 * With 0x20 set, digits stay what they are, letters become small ones, and nothing else that is in
 * a word becomes one of them: '@', '`' and what is behind 'f' end above the limits.
 */
static inline bool digits_hex_pair(struct digits_word a, struct digits_word b, uint32_t ret[2])
{
    __m128i v = _mm_or_si128(digits_both(a, b), _mm_set1_epi8(0x20));
    __m128i is_letter = _mm_cmpgt_epi8(v, _mm_set1_epi8('a' - 1));
    __m128i lift = _mm_and_si128(is_letter, _mm_set1_epi8('a' - '0' - 10));
    __m128i limits =
        _mm_add_epi8(_mm_set1_epi8(9), _mm_and_si128(is_letter, _mm_set1_epi8(15 - 9)));
    v = _mm_sub_epi8(_mm_sub_epi8(v, _mm_set1_epi8('0')), lift);
    if (!digits_below(v, limits))
        return false;
    v = _mm_or_si128(_mm_slli_epi16(v, 4), _mm_srli_epi16(v, 8));
    v = _mm_and_si128(v, _mm_set1_epi16(0x00ff));
    uint64_t both = __builtin_bswap64((uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(v, v)));
    ret[0] = (uint32_t)(both >> 32);
    ret[1] = (uint32_t)both;
    return true;
}
#else
static inline bool digits_dec_pair(struct digits_word a, struct digits_word b, uint32_t ret[2])
{
    return digits_dec_of(a.end - a.n, a.n, &ret[0]) && digits_dec_of(b.end - b.n, b.n, &ret[1]);
}

static inline bool digits_hex_pair(struct digits_word a, struct digits_word b, uint32_t ret[2])
{
    return digits_hex_of(a.end - a.n, a.n, &ret[0]) && digits_hex_of(b.end - b.n, b.n, &ret[1]);
}
#endif

#endif
