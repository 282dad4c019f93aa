#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"

/*
 * str - a borrowed run of bytes with a length, and strbuf, a growing one.
 *
 * Ownership  struct str borrows: whoever made the bytes keeps them alive.  It
 *            need not be terminated and may contain NUL and broken UTF-8.
 *            strbuf owns its bytes and always keeps them NUL-terminated.
 * Errors     A strbuf has a maximum; appending beyond it sets `overflow` and
 *            drops the rest: check once at the end.
 */
struct str {
    const char *p;
    size_t n;
};

struct strs {
    struct str *v;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/* The same in the initialiser of a table, which must be constant. */
#define STR_INIT(literal)                                                                          \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
#define STR_FMT    "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p
#define STR_NONE   ((struct str){NULL, 0})

static inline struct str str_of(const char *s)
{
    return (struct str){s, s ? strlen(s) : 0};
}

static inline struct str str_n(const char *p, size_t n)
{
    return (struct str){p, n};
}

bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
int str_cmp(struct str a, struct str b);        /* by bytes, shorter first */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_starts_nocase(struct str s, struct str prefix);

/* Index of the first `needle` at or after `from`, or SIZE_MAX. */
size_t str_find(struct str s, struct str needle, size_t from);
size_t str_find_char(struct str s, char c, size_t from);
size_t str_rfind_char(struct str s, char c);

/* Part from `from`, at most `n` bytes; clipped to s, never outside. */
struct str str_sub(struct str s, size_t from, size_t n);
struct str str_trim(struct str s);  /* ASCII white space, both ends */
struct str str_rtrim(struct str s); /* right end only */

/*
 * Cuts the part before the next `sep` off the front of *rest.  False when
 * nothing is left; an empty last part after a trailing separator is given.
 */
bool str_split(struct str *rest, char sep, struct str *ret_part);

char *str_dup(struct str s);                   /* new, terminated */
char *str_adup(struct arena *a, struct str s); /* terminated copy in the arena */
struct str str_copy(struct arena *a, struct str s);
struct str str_alower(struct arena *a, struct str s); /* a copy; ASCII letters alone change */

bool strs_have(struct strs all, struct str s);

/*
 * Numbers from text: the whole text must be the number, nothing before or
 * behind it.  *ret untouched on failure.  ERR_INVALID names `what`.
 */
bool str_to_u64(struct str s, int base, uint64_t max, const char *what, uint64_t *ret,
                struct err *err);
bool str_to_i64(struct str s, int64_t min, int64_t max, const char *what, int64_t *ret,
                struct err *err);
bool str_to_double(struct str s, const char *what, double *ret, struct err *err);

/* UTF-8. */
bool utf8_valid(struct str s);
/* Valid UTF-8 without NUL: broken sequences become U+FFFD, NUL is dropped; borrows s if clean. */
struct str utf8_clean(struct arena *a, struct str s);
/* Next code point at *off (advanced); U+FFFD for broken input. *off must be < s.n. */
uint32_t utf8_next(struct str s, size_t *off);
/* Bytes of the longest prefix of at most max_bytes that ends at a character boundary. */
size_t utf8_prefix_bytes(struct str s, size_t max_bytes);
/* Bytes of the first max_chars characters. */
size_t utf8_prefix_chars(struct str s, size_t max_chars);
/* Writes cp as UTF-8 to out, returns 1..4 bytes. */
size_t utf8_put(char out[4], uint32_t cp);

struct strbuf {
    char *p;  /* owned, terminated; NULL while empty */
    size_t n; /* bytes without the terminator */
    size_t cap;
    size_t max;    /* limit on n */
    bool overflow; /* something was dropped */
};

void sb_init(struct strbuf *b, size_t max);
void sb_release(struct strbuf *b);
void sb_reset(struct strbuf *b);
void sb_put(struct strbuf *b, const void *p, size_t n);
void sb_str(struct strbuf *b, struct str s);
void sb_text(struct strbuf *b, const char *s);
void sb_char(struct strbuf *b, char c);
void sb_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sb_vprintf(struct strbuf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
struct str sb_view(const struct strbuf *b);     /* borrowed until the next append */
const char *sb_cstr(const struct strbuf *b);    /* never NULL */
char *sb_take(struct strbuf *b, size_t *ret_n); /* new, terminated; b is empty afterwards */

#define STRBUF_AUTO __attribute__((cleanup(sb_release))) struct strbuf

/* lower-case hex of n bytes; out has 2 n + 1 bytes. */
void hex_encode(const uint8_t *bytes, size_t n, char *out);
int hex_digit(char c); /* 0..15 or -1 */
/* The byte that "%41" at `at` stands for, or -1: there is none. */
int pct_byte(struct str s, size_t at);

#endif
