/*
 * JSON from its text.  A body of 30 MiB may hold fifteen million values; jansson makes an object of
 * 32 to 120 bytes of each before anybody can count them, a reader costs nothing but the text.
 *
 * Checking and reading are two passes.  The check knows the whole grammar and goes over the text
 * once, with one bit for each open level; then the reader needs no grammar: between two values of a
 * text that was accepted stands what must stand there.
 *
 * Why not one pass: a reader that finds the mistake at the end has answered half of a request by
 * then.  And a check that stands alone can be held against jansson's, byte by byte, by a fuzz
 * target (tests/fuzz), while the reader is held to end and to stay inside of any text at all.
 *
 * The reader copies nothing: texts are pieces of the body, and are unescaped only when somebody
 * wants them. It gives members in the order of the text, so whoever wants them by name goes over
 * them once and keeps the places (symbolicate_body.c).
 */
#include "lib/json/jr.h"

#include <assert.h>

#include "lib/base/str.h"
#include "lib/base/util.h"

/* One bit for each open level, so a level costs nothing and the depth is bounded by the word. */
enum { DEPTH_BITS = 64 };

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct jr *r)
{
    while (r->off < r->text.n && is_space(r->text.p[r->off]))
        r->off++;
}

/* The next byte that is no space; 0 at the end. */
static char peek(struct jr *r)
{
    skip_space(r);
    return r->off < r->text.n ? r->text.p[r->off] : '\0';
}

static char byte_at(const struct jr *r, size_t off)
{
    return off < r->text.n ? r->text.p[off] : '\0';
}

static bool take_char(struct jr *r, char c)
{
    if (byte_at(r, r->off) != c)
        return false;
    r->off++;
    return true;
}

static bool take_digits(struct jr *r)
{
    size_t from = r->off;
    while (is_digit(byte_at(r, r->off)))
        r->off++;
    return r->off > from;
}

/* No zeros in front of a number, at least one digit behind a point: RFC 8259, section 6. */
static bool check_number(struct jr *r)
{
    take_char(r, '-');
    if (!take_char(r, '0') && !take_digits(r))
        return false;
    if (take_char(r, '.') && !take_digits(r))
        return false;
    if (!take_char(r, 'e') && !take_char(r, 'E'))
        return true;
    if (!take_char(r, '+'))
        take_char(r, '-');
    return take_digits(r);
}

/* Whether the text is UTF-8 was looked at before. */
static bool check_string(struct jr *r)
{
    if (!take_char(r, '"'))
        return false;
    while (r->off < r->text.n) {
        char c = r->text.p[r->off++];
        if (c == '"')
            return true;
        if ((unsigned char)c < 0x20)
            return false;
        if (c != '\\')
            continue;
        char escape = byte_at(r, r->off++);
        if (escape == '\0' || !strchr("\"\\/bfnrtu", escape))
            return false;
        for (int i = 0; escape == 'u' && i < 4; i++)
            if (hex_digit(byte_at(r, r->off++)) < 0)
                return false;
    }
    return false;
}

/* What may stand behind a word (nothing, or what ends a value) is the question of check_between. */
static bool check_word(struct jr *r, struct str word)
{
    bool ok = str_starts(str_sub(r->text, r->off, SIZE_MAX), word);
    r->off += ok ? word.n : 0;
    return ok;
}

/* A value that holds no others. */
static bool check_plain(struct jr *r)
{
    switch (byte_at(r, r->off)) {
    case '"':
        return check_string(r);
    case 't':
        return check_word(r, STR("true"));
    case 'f':
        return check_word(r, STR("false"));
    case 'n':
        return check_word(r, STR("null"));
    default:
        return check_number(r);
    }
}

/* The open levels: bit i says whether level i is an object. */
struct levels {
    uint64_t is_object;
    int depth, depth_max;
};

static bool in_object(const struct levels *l)
{
    return l->is_object >> (l->depth - 1) & 1;
}

/* The bit of a level that was open before may still be set: it is written, not added. */
static bool open_level(struct levels *l, bool is_object)
{
    if (l->depth == l->depth_max)
        return false;
    uint64_t bit = (uint64_t)1 << l->depth++;
    l->is_object = is_object ? l->is_object | bit : l->is_object & ~bit;
    return true;
}

/* The name of a member and the colon behind it. */
static bool check_key(struct jr *r)
{
    skip_space(r);
    return check_string(r) && peek(r) == ':' && take_char(r, ':');
}

/*
 * Behind a value: ends the levels that end here, or leads to the next item.  A comma must be
 * followed by a value, in an object by a key; "[1,]" fails in the next check_value, which finds a
 * bracket where a value must begin.
 */
static bool check_between(struct jr *r, struct levels *l)
{
    while (l->depth > 0) {
        char c = peek(r);
        r->off++;
        if (c == ',')
            return !in_object(l) || check_key(r);
        if (c != (in_object(l) ? '}' : ']'))
            return false;
        l->depth--;
    }
    return true;
}

/*
 * One value, without recursion: levels are opened here and ended in check_between, so the stack of
 * the process is the same for any text.  The caller repeats it until no level is open.
 */
static bool check_value(struct jr *r, struct levels *l)
{
    for (;;) {
        char c = peek(r);
        bool opens = c == '[' || c == '{';
        if (!opens)
            return check_plain(r) && check_between(r, l);
        r->off++;
        if (!open_level(l, c == '{'))
            return false;
        char next = peek(r);
        if (next == (c == '{' ? '}' : ']'))
            return check_between(r, l);
        if (c == '{' && !check_key(r))
            return false;
    }
}

/* UTF-8 first and in one go: the grammar then looks at single bytes, for all its signs are ASCII.
 */
bool jr_check(struct str text, int depth_max, struct err *err)
{
    assert(depth_max <= DEPTH_BITS);
    struct jr r = jr_init(text);
    struct levels l = {.depth_max = depth_max};
    bool ok = utf8_valid(text);
    do
        ok = ok && check_value(&r, &l);
    while (ok && l.depth > 0);
    skip_space(&r);
    if (!ok || r.off != text.n)
        return err_set(err, ERR_INVALID, "not valid JSON (byte %zu)", r.off);
    return true;
}

struct jr jr_init(struct str text)
{
    return (struct jr){.text = text.p ? text : STR("")};
}

/* Whoever asks for the wrong kind must not stand still, or would read the same value for ever. */
bool jr_enter(struct jr *r, char opener)
{
    if (peek(r) != opener) {
        jr_skip(r);
        return false;
    }
    r->off++;
    return true;
}

/* Commas need no check here: jr_check has seen that they stand where they must. */
bool jr_more(struct jr *r)
{
    char c = peek(r);
    if (c == ']' || c == '}' || c == '\0') {
        r->off += c != '\0';
        return false;
    }
    r->off += c == ',';
    skip_space(r);
    return true;
}

/* Behind the string that begins here. */
static void skip_string(struct jr *r)
{
    for (r->off++; r->off < r->text.n && r->text.p[r->off] != '"'; r->off++)
        r->off += r->text.p[r->off] == '\\';
    r->off = MIN(r->off + 1, r->text.n);
}

/* Brackets are counted and not matched, which is enough for a text that was accepted, and ends at
 * the end of any other. */
struct str jr_skip(struct jr *r)
{
    peek(r);
    size_t from = r->off;
    int depth = 0;
    while (r->off < r->text.n) {
        char c = r->text.p[r->off];
        if (c == '"') {
            skip_string(r);
            if (depth == 0)
                break;
            continue;
        }
        if (depth == 0 && (c == ',' || c == ']' || c == '}' || is_space(c)))
            break;
        r->off++;
        depth += c == '[' || c == '{';
        if ((c == ']' || c == '}') && --depth == 0)
            break;
    }
    return str_sub(r->text, from, r->off - from);
}

/* The four digits of an escape; U+FFFD where there are none. */
static uint32_t hex4(struct str s, size_t at)
{
    uint32_t v = 0;
    for (size_t i = at; i < at + 4; i++) {
        int digit = i < s.n ? hex_digit(s.p[i]) : -1;
        if (digit < 0)
            return 0xfffd;
        v = v << 4 | (uint32_t)digit;
    }
    return v;
}

/*
 * Characters beyond U+FFFF come as two escapes, a high and a low surrogate (RFC 8259, section 7).
 * A half without its other half is no character and becomes U+FFFD, so the result is valid UTF-8.
 * The character of the escape \u at *i, which goes behind it and behind the second of a pair.
 */
static uint32_t take_unicode(struct str s, size_t *i)
{
    uint32_t high = hex4(s, *i + 2);
    *i += 6;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    bool has_second = str_starts(str_sub(s, *i, SIZE_MAX), STR("\\u"));
    uint32_t low = has_second ? hex4(s, *i + 2) : 0;
    if (high > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return 0xfffd;
    *i += 6;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* The result is never longer than the text, so one block of its size is enough. */
static struct str unescape(struct str s, struct arena *a)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char *out = arena_alloc(a, s.n + 1); /* an escape is longer than what it stands for */
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        char next = i + 1 < s.n ? s.p[i + 1] : '\0';
        if (s.p[i] != '\\') {
            out[n++] = s.p[i++];
        } else if (next == 'u') {
            n += utf8_put(out + n, take_unicode(s, &i));
        } else {
            const char *at = next ? strchr(from, next) : NULL;
            out[n++] = at ? to[at - from] : next;
            i += 2;
        }
    }
    return str_n(out, n);
}

/* Borrowed from the text where it has no escape, which most have not. */
bool jr_string(struct jr *r, struct arena *a, struct str *ret)
{
    bool is_string = peek(r) == '"';
    struct str text = jr_skip(r);
    if (!is_string || text.n < 2)
        return false;
    struct str inside = str_sub(text, 1, text.n - 2);
    *ret = memchr(inside.p, '\\', inside.n) ? unescape(inside, a) : inside;
    return true;
}

/* The colon goes with it, so that the value is next. */
struct str jr_key(struct jr *r, struct arena *a)
{
    struct str key = STR("");
    jr_string(r, a, &key);
    if (peek(r) == ':')
        r->off++;
    return key;
}

/*
 * "-0" is an integer; "1.0" and "1e3" are none, as in the checks of the clients.  Sign and size
 * come apart, since an address has all 64 bits and a sign besides; a number that is larger still is
 * told from what is no integer, for the caller has other words for it.
 */
enum jr_int jr_int(struct jr *r, bool *ret_negative, uint64_t *ret_magnitude)
{
    struct str text = jr_skip(r);
    bool is_negative = text.n > 0 && text.p[0] == '-';
    struct str digits = str_sub(text, is_negative, SIZE_MAX);
    uint64_t v = 0;
    bool is_huge = false;
    for (size_t i = 0; i < digits.n; i++) {
        if (!is_digit(digits.p[i]))
            return JR_INT_NONE;
        if (__builtin_mul_overflow(v, 10, &v))
            is_huge = true;
        if (__builtin_add_overflow(v, (uint64_t)(digits.p[i] - '0'), &v))
            is_huge = true;
    }
    if (digits.n == 0)
        return JR_INT_NONE;
    *ret_negative = is_negative;
    *ret_magnitude = v;
    return is_huge ? JR_INT_HUGE : JR_INT;
}
