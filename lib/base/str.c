/*
 * Texts as pointer and length: comparing, searching, cutting, numbers, UTF-8, and the growing
 * buffer.  Nothing here allocates but the buffer and the copies that say so; cutting moves the ends
 * of what is borrowed.  A length of 0 may come with a null pointer (an empty annotation, an empty
 * stream), which the functions of <string.h> may not be given, so each asks before it calls one.
 *
 * Case is folded for ASCII only: header names, hexadecimal ids and Windows file names need no more,
 * and a locale would make the answer depend on the machine.
 */
#include "lib/base/str.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/util.h"

bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    return a.n == b.n && str_starts_nocase(a, b);
}

bool str_starts_nocase(struct str s, struct str prefix)
{
    if (prefix.n > s.n)
        return false;
    for (size_t i = 0; i < prefix.n; i++)
        if (lower(s.p[i]) != lower(prefix.p[i]))
            return false;
    return true;
}

/* By bytes without a sign, which for UTF-8 is the order of the characters' numbers. */
int str_cmp(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n);
    int d = n ? memcmp(a.p, b.p, n) : 0;
    return d ? d : (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
    return prefix.n <= s.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_ends(struct str s, struct str suffix)
{
    return suffix.n <= s.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* memmem of glibc is linear in the worst case, which strangers' texts may ask for. */
size_t str_find(struct str s, struct str needle, size_t from)
{
    if (from > s.n || needle.n > s.n - from)
        return SIZE_MAX;
    if (needle.n == 0)
        return from;
    const char *hit = memmem(s.p + from, s.n - from, needle.p, needle.n);
    return hit ? (size_t)(hit - s.p) : SIZE_MAX;
}

size_t str_find_char(struct str s, char c, size_t from)
{
    if (from >= s.n)
        return SIZE_MAX;
    const char *hit = memchr(s.p + from, c, s.n - from);
    return hit ? (size_t)(hit - s.p) : SIZE_MAX;
}

size_t str_rfind_char(struct str s, char c)
{
    const char *hit = s.n ? memrchr(s.p, c, s.n) : NULL;
    return hit ? (size_t)(hit - s.p) : SIZE_MAX;
}

/*
 * What lies outside is cut off rather than refused, so a parser may ask for "the rest" without
 * counting; the result always points into s.
 */
struct str str_alower(struct arena *a, struct str s)
{
    char *text = str_adup(a, s);
    for (size_t i = 0; i < s.n; i++)
        text[i] = lower(text[i]);
    return str_n(text, s.n);
}

bool strs_have(struct strs all, struct str s)
{
    for (size_t i = 0; i < all.n; i++)
        if (str_eq(all.v[i], s))
            return true;
    return false;
}

struct str str_sub(struct str s, size_t from, size_t n)
{
    if (from > s.n)
        from = s.n;
    return (struct str){s.p ? s.p + from : NULL, MIN(n, s.n - from)};
}

/* isspace in the C locale, whatever the locale is. */
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_rtrim(struct str s)
{
    while (s.n > 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct str str_trim(struct str s)
{
    s = str_rtrim(s);
    while (s.n > 0 && is_space(*s.p)) {
        s.p++;
        s.n--;
    }
    return s;
}

/*
 * The part behind the last separator is a part, too, also when it is empty; after it the rest is
 * STR_NONE, which ends the loop, where an empty text would give one more part.
 */
bool str_split(struct str *rest, char sep, struct str *ret_part)
{
    if (!rest->p)
        return false;
    size_t at = str_find_char(*rest, sep, 0);
    if (at == SIZE_MAX) {
        *ret_part = *rest;
        *rest = STR_NONE;
    } else {
        *ret_part = str_n(rest->p, at);
        *rest = str_n(rest->p + at + 1, rest->n - at - 1);
    }
    return true;
}

char *str_dup(struct str s)
{
    char *p = xmalloc(s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

char *str_adup(struct arena *a, struct str s)
{
    return arena_memdup0(a, s.p, s.n);
}

struct str str_copy(struct arena *a, struct str s)
{
    return (struct str){str_adup(a, s), s.n};
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int pct_byte(struct str s, size_t at)
{
    if (s.n - at <= 2 || s.p[at] != '%')
        return -1;
    int high = hex_digit(s.p[at + 1]), low = hex_digit(s.p[at + 2]);
    return high >= 0 && low >= 0 ? high << 4 | low : -1;
}

/*
 * The whole text, no blanks, no sign: what strtoull would let through beside that (leading blanks,
 * "-1" as a huge number, "0x") is an error.  The limit is checked before multiplying.
 */
bool str_to_u64(struct str s, int base, uint64_t max, const char *what, uint64_t *ret,
                struct err *err)
{
    assert(base == 10 || base == 16);
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        int d = hex_digit(s.p[i]);
        if (d < 0 || d >= base)
            return err_set(err, ERR_INVALID, "%s: not a number", what);
        if (v > (UINT64_MAX - (uint64_t)d) / (uint64_t)base)
            return err_set(err, ERR_INVALID, "%s: number too large", what);
        v = v * (uint64_t)base + (uint64_t)d;
    }
    if (s.n == 0)
        return err_set(err, ERR_INVALID, "%s: empty where a number was expected", what);
    if (v > max)
        return err_set(err, ERR_INVALID, "%s: %llu is greater than %llu", what,
                       (unsigned long long)v, (unsigned long long)max);
    *ret = v;
    return true;
}

/* The lowest number has no positive counterpart, so the value is negated without a sign. */
bool str_to_i64(struct str s, int64_t min, int64_t max, const char *what, int64_t *ret,
                struct err *err)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_sub(s, 1, SIZE_MAX);
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t u;
    if (!str_to_u64(s, 10, limit, what, &u, err))
        return false;
    int64_t v = negative ? (int64_t)(0 - u) : (int64_t)u;
    if (v < min || v > max)
        return err_set(err, ERR_INVALID, "%s: %lld lies outside %lld..%lld", what, (long long)v,
                       (long long)min, (long long)max);
    *ret = v;
    return true;
}

/*
 * strtod needs an end and knows more than a decimal number: hexadecimal ones are refused by their
 * x, infinities and not-a-numbers by isfinite.  Programs set LC_CTYPE at most, so the point is a
 * point.
 */
bool str_to_double(struct str s, const char *what, double *ret, struct err *err)
{
    char text[64]; /* a double has 17 digits that count; "%.17g" needs 24 bytes */
    s = str_trim(s);
    if (s.n == 0 || s.n >= sizeof text || memchr(s.p, 'x', s.n) || memchr(s.p, 'X', s.n))
        return err_set(err, ERR_INVALID, "%s: not a number", what);
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    char *end = NULL;
    double v = strtod(text, &end);
    if (*end || !isfinite(v))
        return err_set(err, ERR_INVALID, "%s: not a number", what);
    *ret = v;
    return true;
}

/*
 * RFC 3629: the first byte begins with as many ones as the character has bytes, each further byte
 * has six bits behind 10.  Encodes what it is given: surrogates, and what lies beyond U+10FFFF, are
 * the caller's to keep out.
 */
size_t utf8_put(char out[4], uint32_t cp)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

/*
 * Decodes one character.  Broken input yields false and the length of the maximal broken part
 * (Unicode 15, table 3-7), so that each gets one U+FFFD.  The range of the second byte leaves out
 * longer forms than needed, surrogates and what lies beyond U+10FFFF, so nothing has to be checked
 * afterwards.
 */
static bool decode(struct str s, size_t off, uint32_t *ret_cp, size_t *ret_len)
{
    const uint8_t *p = (const uint8_t *)s.p + off;
    size_t left = s.n - off;
    uint8_t c = p[0];
    *ret_len = 1;
    if (c < 0x80) {
        *ret_cp = c;
        return true;
    }
    size_t want = c >= 0xf0 && c <= 0xf4  ? 4
                  : c >= 0xe0 && c < 0xf0 ? 3
                  : c >= 0xc2 && c < 0xe0 ? 2
                                          : 0;
    if (want == 0)
        return false;
    uint8_t lo = 0x80, hi = 0xbf;
    if (c == 0xe0)
        lo = 0xa0;
    else if (c == 0xed)
        hi = 0x9f;
    else if (c == 0xf0)
        lo = 0x90;
    else if (c == 0xf4)
        hi = 0x8f;
    uint32_t cp = c & (0xffu >> (want + 1));
    for (size_t i = 1; i < want; i++) {
        if (i >= left || p[i] < lo || p[i] > hi)
            return false;
        cp = cp << 6 | (p[i] & 0x3fu);
        *ret_len = i + 1;
        lo = 0x80;
        hi = 0xbf;
    }
    *ret_cp = cp;
    return true;
}

/* Always moves on by a byte at least, so loops over broken text end. */
uint32_t utf8_next(struct str s, size_t *off)
{
    assert(*off < s.n);
    uint32_t cp;
    size_t len;
    bool ok = decode(s, *off, &cp, &len);
    *off += len;
    return ok ? cp : 0xfffd;
}

/* Offset of the first broken sequence or, with stop_at_nul, NUL; s.n if there is none. */
static size_t first_bad(struct str s, bool stop_at_nul)
{
    size_t off = 0;
    while (off < s.n) {
        uint32_t cp;
        size_t len;
        if (!decode(s, off, &cp, &len) || (stop_at_nul && cp == 0))
            break;
        off += len;
    }
    return off;
}

bool utf8_valid(struct str s)
{
    return first_bad(s, false) == s.n;
}

/*
 * Text that is clean, nearly all, is returned as it is and costs no copy.  NUL is dropped rather
 * than replaced: texts become C strings here and `text` in PostgreSQL, neither of which can hold
 * one.
 */
struct str utf8_clean(struct arena *a, struct str s)
{
    size_t off = first_bad(s, true);
    if (off == s.n)
        return s;

    char *out = arena_alloc(a, s.n * 3 + 1); /* one broken byte becomes three */
    size_t n = off;
    if (off)
        memcpy(out, s.p, off);
    while (off < s.n) {
        uint32_t cp = utf8_next(s, &off);
        if (cp != 0)
            n += utf8_put(out + n, cp);
    }
    return str_n(out, n);
}

/* Steps back from the cut over continuation bytes, so that no character is cut in two. */
size_t utf8_prefix_bytes(struct str s, size_t max_bytes)
{
    if (s.n <= max_bytes)
        return s.n;
    size_t n = max_bytes;
    while (n > 0 && ((uint8_t)s.p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

size_t utf8_prefix_chars(struct str s, size_t max_chars)
{
    size_t off = 0;
    for (size_t i = 0; i < max_chars && off < s.n; i++)
        utf8_next(s, &off);
    return off;
}

void sb_init(struct strbuf *b, size_t max)
{
    *b = (struct strbuf){.max = max};
}

void sb_release(struct strbuf *b)
{
    free(b->p);
    *b = (struct strbuf){.max = b->max};
}

void sb_reset(struct strbuf *b)
{
    b->n = 0;
    b->overflow = false;
    if (b->p)
        b->p[0] = '\0';
}

/*
 * Makes room for n more bytes and the terminator; clips n to the limit.  Doubling keeps a long
 * series of small appends linear, and the byte for the terminator makes a C string of every buffer.
 * Overflow sticks until sb_reset: whoever writes looks at it once, at the end.
 */
static size_t make_room(struct strbuf *b, size_t n)
{
    if (n > b->max - b->n) {
        n = b->max - b->n;
        b->overflow = true;
    }
    size_t need = b->n + n + 1;
    if (need > b->cap) {
        b->cap = MAX(need, b->cap * 2);
        b->cap = MAX(b->cap, (size_t)64); /* most texts are one allocation */
        b->p = xrealloc(b->p, b->cap);
    }
    return n;
}

void sb_put(struct strbuf *b, const void *p, size_t n)
{
    n = make_room(b, n);
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void sb_str(struct strbuf *b, struct str s)
{
    sb_put(b, s.p, s.n);
}

void sb_text(struct strbuf *b, const char *s)
{
    sb_put(b, s, strlen(s));
}

void sb_char(struct strbuf *b, char c)
{
    sb_put(b, &c, 1);
}

/* Formats twice: the length is not known before, and the text may have to be clipped. */
void sb_vprintf(struct strbuf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    assert(n >= 0);
    char *text = xmalloc((size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    sb_put(b, text, (size_t)n);
    free(text);
}

void sb_printf(struct strbuf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(b, fmt, ap);
    va_end(ap);
}

struct str sb_view(const struct strbuf *b)
{
    return str_n(sb_cstr(b), b->n);
}

const char *sb_cstr(const struct strbuf *b)
{
    return b->p ? b->p : "";
}

/* An empty buffer gives an empty text, not NULL. */
char *sb_take(struct strbuf *b, size_t *ret_n)
{
    make_room(b, 0);
    b->p[b->n] = '\0';
    if (ret_n)
        *ret_n = b->n;
    char *p = b->p;
    *b = (struct strbuf){.max = b->max};
    return p;
}

void hex_encode(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}
