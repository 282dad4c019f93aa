/*
 * Makes JSON of what crash reporters send as JSON. In the field that is UTF-16 and UTF-32, byte
 * order marks, lone surrogates, NUL, NaN and numbers beyond 64 bits.  Jansson refuses all of
 * these, and a whole report would go with one odd value.
 *
 * One pass over the text, which copies what is right and replaces what is not; it knows strings,
 * numbers and nesting, and leaves the grammar to the parser behind it.  Depth and number of values
 * are bounded here because the parser's memory follows from them.
 */
#include "lib/json/repair.h"

#include <errno.h>
#include <math.h>

#include "lib/base/util.h"

struct encoding {
    size_t unit; /* bytes: 1, 2 or 4 */
    bool is_big;
    size_t mark; /* bytes of the byte order mark */
};

static bool has_mark(struct str s, const char *mark, size_t n)
{
    return s.n >= n && memcmp(s.p, mark, n) == 0;
}

/* By mark, else by where the zero bytes of the first characters lie (RFC 4627, section 3). */
static struct encoding detect(struct str s)
{
    if (has_mark(s, "\xff\xfe\0\0", 4) || has_mark(s, "\0\0\xfe\xff", 4))
        return (struct encoding){4, s.p[0] == 0, 4};
    if (has_mark(s, "\xff\xfe", 2) || has_mark(s, "\xfe\xff", 2))
        return (struct encoding){2, s.p[0] == '\xfe', 2};
    if (has_mark(s, "\xef\xbb\xbf", 3))
        return (struct encoding){1, false, 3};
    if (s.n >= 4 && !s.p[0])
        return (struct encoding){s.p[1] ? 2 : 4, true, 0};
    if (s.n >= 4 && !s.p[1])
        return (struct encoding){s.p[2] || s.p[3] ? 2 : 4, false, 0};
    if (s.n == 2 && (!s.p[0] || !s.p[1]))
        return (struct encoding){2, !s.p[0], 0};
    return (struct encoding){1, false, 0};
}

static uint32_t unit_at(struct str s, size_t off, struct encoding e)
{
    uint32_t v = 0;
    for (size_t i = 0; i < e.unit; i++) {
        size_t at = e.is_big ? off + i : off + e.unit - 1 - i;
        v = v << 8 | (uint8_t)s.p[at];
    }
    return v;
}

static bool is_high(uint32_t cp)
{
    return cp >= 0xd800 && cp <= 0xdbff;
}

static bool is_low(uint32_t cp)
{
    return cp >= 0xdc00 && cp <= 0xdfff;
}

/* Of a surrogate pair (Unicode 15, 3.9, table 3-5). */
static uint32_t join_surrogates(uint32_t high, uint32_t low)
{
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/*
 * The result has the room of the repaired document; jrepair notices when that is too little.
 * UTF-32 beyond U+10FFFF is no text at all, and the whole is refused; a lone surrogate is one odd
 * character in it.
 */
static bool to_utf8(struct str s, struct encoding e, struct strbuf *out, struct jrepairs *r,
                    struct err *err)
{
    if (s.n % e.unit)
        return err_set(err, ERR_INVALID, "UTF-%zu text of %zu bytes", 8 * e.unit, s.n);
    for (size_t at = e.mark; at < s.n; at += e.unit) {
        uint32_t cp = unit_at(s, at, e);
        if (is_high(cp) && e.unit == 2 && s.n - at >= 4 && is_low(unit_at(s, at + 2, e))) {
            cp = join_surrogates(cp, unit_at(s, at + 2, e));
            at += 2;
        }
        if (is_high(cp) || is_low(cp)) {
            cp = 0xfffd;
            r->lone_surrogates++;
        }
        if (cp > 0x10ffff)
            return err_set(err, ERR_INVALID, "UTF-32 text with the character %x", (unsigned)cp);
        char bytes[4];
        sb_put(out, bytes, utf8_put(bytes, cp));
    }
    return true;
}

struct pass {
    struct str s;
    size_t at; /* next byte, always <= s.n */
    int depth, max_depth;
    size_t values;       /* strings, numbers, words, lists and objects seen */
    bool member_counted; /* the member of the top object at hand is in nul_members */
    struct strbuf *out;
    struct jrepairs *repairs;
};

/* Four hex digits at `off`; false if they are not there. */
static bool hex4(struct str s, size_t off, uint32_t *ret)
{
    if (off > s.n || s.n - off < 4)
        return false;
    uint32_t v = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(s.p[off + i]);
        if (digit < 0)
            return false;
        v = v << 4 | (uint32_t)digit;
    }
    *ret = v;
    return true;
}

/*
 * Stands at a backslash. NUL goes away, for much that reads our documents takes it for the end of a
 * text; a surrogate without its other half, which is no character, becomes U+FFFD; all other
 * escapes stay as they are, for the parser to judge.
 */
static void escape(struct pass *p)
{
    uint32_t cp, low;
    size_t n = MIN((size_t)2, p->s.n - p->at);
    bool is_unicode = n == 2 && p->s.p[p->at + 1] == 'u' && hex4(p->s, p->at + 2, &cp);
    if (!is_unicode) {
        sb_put(p->out, p->s.p + p->at, n);
    } else if (cp == 0) {
        n = 6;
        if (!p->member_counted)
            p->repairs->nul_members++;
        p->member_counted = true;
    } else if (is_high(cp) && p->s.n - p->at >= 12 && p->s.p[p->at + 6] == '\\' &&
               p->s.p[p->at + 7] == 'u' && hex4(p->s, p->at + 8, &low) && is_low(low)) {
        n = 12;
        sb_put(p->out, p->s.p + p->at, n);
    } else if (is_high(cp) || is_low(cp)) {
        n = 6;
        sb_text(p->out, "\\ufffd");
        p->repairs->lone_surrogates++;
    } else {
        n = 6;
        sb_put(p->out, p->s.p + p->at, n);
    }
    p->at += n;
}

/* Stands behind the opening quote; ends behind the closing one, or at the end of the text. */
static void string(struct pass *p)
{
    sb_char(p->out, '"');
    while (p->at < p->s.n) {
        const char *from = p->s.p + p->at;
        size_t n = 0, most = p->s.n - p->at;
        while (n < most && from[n] != '"' && from[n] != '\\')
            n++;
        sb_put(p->out, from, n);
        p->at += n;
        if (p->at == p->s.n)
            return;
        if (p->s.p[p->at] == '"') {
            sb_char(p->out, '"');
            p->at++;
            return;
        }
        escape(p);
    }
}

static size_t digits(struct str s, size_t off)
{
    size_t n = 0;
    while (off + n < s.n && s.p[off + n] >= '0' && s.p[off + n] <= '9')
        n++;
    return n;
}

/* Length of the JSON number that makes up the whole token, or 0; *ret_is_real. */
static bool is_number(struct str t, bool *ret_is_real)
{
    size_t at = t.n && t.p[0] == '-' ? 1 : 0;
    size_t whole = digits(t, at);
    if (whole == 0 || (whole > 1 && t.p[at] == '0'))
        return false;
    at += whole;
    *ret_is_real = at < t.n;
    if (at < t.n && t.p[at] == '.') {
        size_t fraction = digits(t, at + 1);
        if (fraction == 0)
            return false;
        at += 1 + fraction;
    }
    if (at < t.n && (t.p[at] == 'e' || t.p[at] == 'E')) {
        at++;
        if (at < t.n && (t.p[at] == '+' || t.p[at] == '-'))
            at++;
        size_t exponent = digits(t, at);
        if (exponent == 0)
            return false;
        at += exponent;
    }
    return at == t.n;
}

/* What fits neither 64 bits nor a double would be refused by the parser, or become infinite. */
static bool overflows(struct str t, bool is_real)
{
    int64_t v;
    if (!is_real)
        return !str_to_i64(t, INT64_MIN, INT64_MAX, "number", &v, ERR_IGNORED);
    FREE_LATER char *text = str_dup(t);
    return isinf(strtod(text, NULL));
}

static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '+' || c == '.';
}

/*
 * A number or a word. What is no number of JSON but means one, or is too large, becomes a text:
 * nothing of it is lost.
 */
static void token(struct pass *p)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    size_t n = 0;
    while (p->at + n < p->s.n && is_token_char(p->s.p[p->at + n]))
        n++;
    struct str t = str_sub(p->s, p->at, n);
    p->at += n;
    bool quote = false, is_real;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        quote = quote || str_eq(t, str_of(words[i]));
    if (!quote && is_number(t, &is_real))
        quote = overflows(t, is_real);
    if (quote)
        sb_char(p->out, '"');
    sb_str(p->out, t);
    if (quote)
        sb_char(p->out, '"');
}

static bool mark(struct pass *p, char c, struct err *err)
{
    if ((c == '{' || c == '[') && ++p->depth > p->max_depth)
        return err_set(err, ERR_INVALID, "JSON nested deeper than %d", p->max_depth);
    if ((c == '}' || c == ']') && p->depth > 0)
        p->depth--;
    if (c == '\0') /* the parser may take one behind a number for the end */
        return err_set(err, ERR_INVALID, "JSON with a zero byte");
    if (c == ',' && p->depth == 1)
        p->member_counted = false;
    sb_char(p->out, c);
    p->at++;
    return true;
}

/* Whatever this does not know goes to the output as it is; the parser then refuses the document. */
static bool repair_all(struct pass *p, struct err *err)
{
    while (p->at < p->s.n) {
        char c = p->s.p[p->at];
        bool begins = c == '"' || c == '{' || c == '[' || is_token_char(c);
        if (begins && ++p->values > JSON_REPAIR_VALUES_MAX)
            return err_set(err, ERR_INVALID, "JSON with more than %d values",
                           JSON_REPAIR_VALUES_MAX);
        if (c == '"') {
            p->at++;
            string(p);
        } else if (is_token_char(c)) {
            token(p);
        } else if (!mark(p, c, err)) {
            return false;
        }
    }
    if (p->out->overflow)
        return err_set(err, ERR_TOO_LARGE, "JSON longer than %zu bytes after repair", p->out->max);
    return true;
}

/*
 * First one encoding, then one grammar: the pass below knows UTF-8 alone. The counts of repairs are
 * handed out only when all went well, as everything is.
 */
bool jrepair(struct str text, int max_depth, struct strbuf *out, struct jrepairs *ret,
             struct err *err)
{
    struct jrepairs repairs = {0};
    struct encoding e = detect(text);
    STRBUF_AUTO converted;
    sb_init(&converted, out->max);
    if (e.unit == 1)
        text = str_sub(text, e.mark, SIZE_MAX);
    else if (!to_utf8(text, e, &converted, &repairs, err))
        return false;
    else
        text = sb_view(&converted);
    if (converted.overflow)
        return err_set(err, ERR_TOO_LARGE, "JSON longer than %zu bytes as UTF-8", out->max);
    struct pass p = {.s = text, .max_depth = max_depth, .out = out, .repairs = &repairs};
    if (!repair_all(&p, err))
        return false;
    *ret = repairs;
    return true;
}
