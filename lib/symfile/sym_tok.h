#ifndef SYMFILE_SYM_TOK_H
#define SYMFILE_SYM_TOK_H

#include <stdbool.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/symfile/sym_digits.h"

/*
 * sym_tok - words and numbers of one line of symbol text, from left to right.  In line: numbers are
 * most of what is read.
 */

/* No name is that long; a file without line ends is not one. */
enum { SYM_LINE_MAX_BYTES = 1 << 20 };

/* A position in the text; sticky like rd: after the first misfit everything is 0. */
struct tok {
    const char *p, *end;
    const char *text_end; /* how far may be read, be it of another line */
    bool bad;
};

/* Value of a hexadecimal digit plus one, so that the rest of the table is 0. */
static const uint8_t hex_value[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline void skip_blanks(struct tok *t)
{
    while (t->p < t->end && is_blank(*t->p))
        t->p++;
}

/* A number must be followed by a blank or the end of the line. */
static inline void end_number(struct tok *t)
{
    if (t->p == t->end || *t->p == '\n' || *t->p == '\r')
        return;
    if (!is_blank(*t->p))
        t->bad = true;
    skip_blanks(t);
}

static inline bool has_digits_at_once(const struct tok *t)
{
    return t->text_end - t->p >= DIGITS_AT_ONCE;
}

/* More than sixteen digits are no number, except that zeros in front do not count. */
static inline uint64_t tok_long_hex(struct tok *t, uint64_t max)
{
    const char *from = t->p;
    uint64_t v = 0;
    unsigned digit;
    while (t->p < t->end && (digit = hex_value[(uint8_t)*t->p]) != 0) {
        if (v >> 60)
            t->bad = true;
        v = v << 4 | (digit - 1);
        t->p++;
    }
    if (t->p == from || v > max)
        t->bad = true;
    end_number(t);
    return v;
}

static inline uint64_t tok_hex(struct tok *t, uint64_t max)
{
    uint32_t v;
    size_t n;
    if (!has_digits_at_once(t) || !digits_hex(t->p, &v, &n) || v > max)
        return tok_long_hex(t, max);
    t->p += n;
    end_number(t);
    return v;
}

/* A number above 32 bits makes the record a bad one; v is kept small so that it cannot wrap. */
static inline uint32_t tok_long_dec(struct tok *t)
{
    const char *from = t->p;
    uint64_t v = 0;
    while (t->p < t->end && *t->p >= '0' && *t->p <= '9') {
        v = v * 10 + (uint64_t)(*t->p++ - '0');
        if (v > UINT32_MAX) {
            t->bad = true;
            v = 0;
        }
    }
    if (t->p == from)
        t->bad = true;
    end_number(t);
    return (uint32_t)v;
}

static inline uint32_t tok_dec(struct tok *t)
{
    uint32_t v;
    size_t n;
    if (!has_digits_at_once(t) || !digits_dec(t->p, &v, &n))
        return tok_long_dec(t);
    t->p += n;
    end_number(t);
    return v;
}

static inline uint32_t tok_hex32(struct tok *t)
{
    return (uint32_t)tok_hex(t, UINT32_MAX);
}

/* The next word, empty at the end. */
static inline struct str tok_word(struct tok *t)
{
    const char *from = t->p;
    while (t->p < t->end && !is_blank(*t->p))
        t->p++;
    struct str word = str_n(from, (size_t)(t->p - from));
    skip_blanks(t);
    return word;
}

/* To the end of the line, blanks included: names may have them anywhere. */
static inline struct str tok_rest(const struct tok *t)
{
    return str_n(t->p, (size_t)(t->end - t->p));
}

/*
 * Keywords are in capitals and stand alone: "FUNCTION" is none.  In line, so that the length is
 * known and comparing is one or two words.
 */
static inline __attribute__((always_inline)) bool tok_keyword(struct tok *t, const char *word)
{
    size_t n = strlen(word);
    size_t left = (size_t)(t->end - t->p);
    if (left < n || memcmp(t->p, word, n) != 0 || (left > n && !is_blank(t->p[n])))
        return false;
    t->p += n;
    skip_blanks(t);
    return true;
}

/* The optional flag of FUNC and PUBLIC: several symbols share the code. */
static inline void tok_multiple(struct tok *t)
{
    if (t->end - t->p >= 2 && t->p[0] == 'm' && is_blank(t->p[1])) {
        t->p++;
        skip_blanks(t);
    }
}

#endif
