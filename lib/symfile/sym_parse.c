/*
 * The reader of Breakpad symbol text: one pass, no copies.
 *
 * Line records are most of a file, so they are tried first, straight from the text; only
 * what is no line record is cut out with memchr and looked at by keyword.  That a keyword may begin
 * with a hexadecimal digit (FUNC, FILE) costs one failed attempt at a number.
 *
 * The text is as somebody's tool wrote it: lines end with \n or \r\n, words are apart by
 * blanks or tabs, a name is the rest of its line and may contain both.  Records that nobody
 * understands are counted, and beyond CSYM_BAD_LINES_MAX the file counts as corrupt; only a text
 * without a MODULE line is refused.  Nothing is copied, so the text must stay mapped until the
 * image is made.
 */
#include "lib/symfile/sym_parse.h"

#include <string.h>

#include "lib/base/err.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/symfile/sym_digits.h"

/* No name is that long; a file without line ends is not one. */
enum { LINE_MAX_BYTES = 1 << 20, DEBUG_ID_MAX = 40 /* digits, as in symkey */ };

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
static uint64_t tok_long_hex(struct tok *t, uint64_t max)
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
static uint32_t tok_long_dec(struct tok *t)
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
static struct str tok_word(struct tok *t)
{
    const char *from = t->p;
    while (t->p < t->end && !is_blank(*t->p))
        t->p++;
    struct str word = str_n(from, (size_t)(t->p - from));
    skip_blanks(t);
    return word;
}

/* To the end of the line, blanks included: names may have them anywhere. */
static struct str tok_rest(const struct tok *t)
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
static void tok_multiple(struct tok *t)
{
    if (t->end - t->p >= 2 && t->p[0] == 'm' && is_blank(t->p[1])) {
        t->p++;
        skip_blanks(t);
    }
}

/*
 * Records.  False: the line could not be read, or belongs to nobody; it counts as a bad one.
 */

/* FILE number name; INLINE_ORIGIN is the same.  An empty name is one: the place is unknown. */
static bool read_file(struct builder *b, struct tok *t)
{
    uint32_t number = tok_dec(t);
    if (!t->bad)
        builder_file(b, number, tok_rest(t));
    return !t->bad;
}

static bool read_origin(struct builder *b, struct tok *t)
{
    uint32_t number = tok_dec(t);
    if (!t->bad)
        builder_origin(b, number, tok_rest(t));
    return !t->bad;
}

/* A FUNC that cannot be read still ends the one before: its lines belong to nobody. */
static bool read_func(struct builder *b, struct tok *t)
{
    tok_multiple(t);
    uint64_t addr = tok_hex(t, UINT64_MAX);
    uint32_t size = tok_hex32(t);
    uint32_t param_size = tok_hex32(t);
    struct str name = tok_rest(t);
    if (t->bad || name.n == 0) {
        builder_no_func(b, OWNER_DROPPED);
        return false;
    }
    builder_func(b, addr, size, param_size, name);
    return true;
}

/* PUBLIC [m] address parameter_size name: ends the function before it as well. */
static bool read_public(struct builder *b, struct tok *t)
{
    builder_no_func(b, OWNER_NONE);
    tok_multiple(t);
    uint64_t addr = tok_hex(t, UINT64_MAX);
    uint32_t param_size = tok_hex32(t);
    struct str name = tok_rest(t);
    if (t->bad || name.n == 0)
        return false;
    builder_public(b, addr, param_size, name);
    return true;
}

/* INLINE level call_line call_file origin (addr size)+ : read to the end before any is kept. */
static bool read_inline(struct builder *b, struct tok *t)
{
    struct inline_record r = {.level = tok_dec(t)};
    r.line = tok_dec(t);
    uint32_t file = tok_dec(t);
    uint32_t origin = tok_dec(t);
    if (t->bad || t->p == t->end)
        return false;
    struct tok check = *t;
    while (check.p < check.end && !check.bad) {
        tok_hex(&check, UINT64_MAX);
        tok_hex32(&check);
    }
    if (check.bad)
        return false;

    r.file = builder_file_index(b, file);
    r.origin = builder_origin_index(b, origin);
    while (t->p < t->end) {
        r.start = tok_hex(t, UINT64_MAX);
        r.end = r.start + tok_hex32(t);
        if (!builder_inline(b, &r))
            return false;
    }
    return true;
}

/* STACK CFI INIT address size rules, or STACK CFI address rules for what changes there. */
static bool read_cfi(struct builder *b, struct tok *t)
{
    bool is_init = tok_keyword(t, "INIT");
    uint64_t addr = tok_hex(t, UINT64_MAX);
    uint32_t size = is_init ? tok_hex32(t) : 0;
    struct str rules = tok_rest(t);
    if (t->bad || rules.n == 0) {
        if (is_init)
            builder_cfi_bad(b);
        return false;
    }
    if (!is_init)
        return builder_cfi_row(b, addr, rules);
    builder_cfi_init(b, addr, size, rules);
    return true;
}

/* The first number of a record STACK WIN, from Microsoft's FRAMEDATA; others are not used. */
enum { WIN_FPO = 0, WIN_FRAME_DATA = 4 };

/* STACK WIN type and nine numbers in hexadecimal, then the program or a flag. */
static bool read_win(struct builder *b, struct tok *t)
{
    uint64_t type = tok_hex(t, UINT64_MAX);
    struct win_record w = {.start = tok_hex32(t)};
    w.size = tok_hex32(t);
    w.prologue = tok_hex32(t);
    w.epilogue = tok_hex32(t);
    w.param_size = tok_hex32(t);
    w.saved_regs = tok_hex32(t);
    w.locals = tok_hex32(t);
    w.max_stack = tok_hex32(t);
    uint64_t has_program = tok_hex(t, UINT64_MAX);
    if (t->bad)
        return false;
    if (type != WIN_FPO && type != WIN_FRAME_DATA)
        return true;
    /* The two say the same; where they differ the record is corrupt and dropped quietly. */
    if ((has_program == 1) != (type == WIN_FRAME_DATA))
        return true;

    struct str rest = tok_rest(t);
    if (type == WIN_FRAME_DATA)
        w.program = textmap_number(&b->names, NULL, rest);
    else
        w.allocates_base_pointer = tok_hex(t, UINT64_MAX) != 0;
    if (t->bad)
        return false;
    builder_win(b, type == WIN_FRAME_DATA, &w);
    return true;
}

static bool read_stack(struct builder *b, struct tok *t)
{
    if (tok_keyword(t, "CFI"))
        return read_cfi(b, t);
    return tok_keyword(t, "WIN") && read_win(b, t);
}

/* Of INFO only what a .csym has room for; any other is no bad line. */
static bool read_info(struct builder *b, struct tok *t)
{
    if (tok_keyword(t, "CODE_ID")) {
        builder_info(b, CSYM_CODE_ID, tok_word(t));
        builder_info(b, CSYM_CODE_FILE, tok_rest(t));
    } else if (tok_keyword(t, "URL"))
        builder_info(b, CSYM_URL, tok_rest(t));
    return true;
}

/*
 * The frequent ones in front.  A line that begins with no keyword is bad, as is a line record that
 * belongs to no function.
 */
static bool read_keyword_line(struct builder *b, struct str line)
{
    struct tok t = {.p = line.p, .end = line.p + line.n, .text_end = b->text.p + b->text.n};
    if (tok_keyword(&t, "STACK"))
        return read_stack(b, &t);
    if (tok_keyword(&t, "INLINE"))
        return read_inline(b, &t);
    if (tok_keyword(&t, "FUNC"))
        return read_func(b, &t);
    if (tok_keyword(&t, "INLINE_ORIGIN"))
        return read_origin(b, &t);
    if (tok_keyword(&t, "FILE"))
        return read_file(b, &t);
    if (tok_keyword(&t, "PUBLIC"))
        return read_public(b, &t);
    return tok_keyword(&t, "INFO") && read_info(b, &t);
}

/*
 * As nearly every tool writes a line record: four short numbers, one blank between, \n at once.
 * The ends of the four words are looked for together; a fifth set bit is of the next line.
 */
static inline bool read_simple_line_record(struct builder *b, const char **at, const char *end)
{
    const char *p = *at;
    uint32_t addr, size, line, file;
    if (end - p < DIGITS_LINE + DIGITS_AT_ONCE)
        return false;
    uint32_t ends = digits_ends(p), second = ends & (ends - 1), third = second & (second - 1);
    uint32_t fourth = third & (third - 1);
    if (fourth == 0)
        return false;
    size_t e1 = (size_t)__builtin_ctz(ends), e2 = (size_t)__builtin_ctz(second);
    size_t e3 = (size_t)__builtin_ctz(third), e4 = (size_t)__builtin_ctz(fourth);
    if (p[e1] != ' ' || p[e2] != ' ' || p[e3] != ' ' || p[e4] != '\n' ||
        !digits_hex_of(p, e1, &addr) || !digits_hex_of(p + e1 + 1, e2 - e1 - 1, &size) ||
        !digits_dec_of(p + e2 + 1, e3 - e2 - 1, &line) ||
        !digits_dec_of(p + e3 + 1, e4 - e3 - 1, &file) || !builder_line(b, addr, size, line, file))
        return false;
    *at = p + e4 + 1;
    return true;
}

/* addr size line file.  True: read, and *at is behind it; false: it is none, *at unchanged. */
static bool read_line_record(struct builder *b, const char **at, const char *end)
{
    struct tok t = {.p = *at, .end = end, .text_end = end};
    uint64_t addr = tok_hex(&t, UINT64_MAX);
    uint32_t size = (uint32_t)tok_hex(&t, UINT32_MAX);
    uint32_t line = tok_dec(&t);
    uint32_t file = tok_dec(&t);
    while (t.p < t.end && *t.p == '\r')
        t.p++;
    if (t.bad || (t.p < t.end && *t.p != '\n'))
        return false;
    if (!builder_line(b, addr, size, line, file))
        return false;
    *at = t.p < t.end ? t.p + 1 : t.p;
    return true;
}

/* The line at *at without its end; *at goes to the next one. */
static struct str next_line(const char **at, const char *end)
{
    const char *from = *at;
    const char *newline = memchr(from, '\n', (size_t)(end - from));
    const char *stop = newline ? newline : end;
    *at = newline ? newline + 1 : end;
    while (stop > from && stop[-1] == '\r')
        stop--;
    return str_n(from, (size_t)(stop - from));
}

/* Any number of digits up to the longest of a key: what else an id has to be is for symkey to
 * say. */
static bool is_debug_id(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!hex_value[(uint8_t)s.p[i]])
            return false;
    return s.n > 0 && s.n <= DEBUG_ID_MAX;
}

bool sym_parse_module(struct str line, struct sym_module *ret, struct err *err)
{
    struct tok t = {.p = line.p, .end = line.p + line.n, .text_end = line.p + line.n};
    if (!tok_keyword(&t, "MODULE"))
        return err_set(err, ERR_INVALID, "the first line is no MODULE record");
    struct sym_module m = {.os = tok_word(&t)};
    m.arch = tok_word(&t);
    m.debug_id = tok_word(&t);
    m.debug_file = tok_rest(&t);
    if (!is_debug_id(m.debug_id) || m.debug_file.n == 0 || line.n > LINE_MAX_BYTES)
        return err_set(err, ERR_INVALID, "the MODULE record lacks a debug id or a name");
    *ret = m;
    return true;
}

/* Empty lines in front of MODULE are passed over; a limit that is broken ends the pass, and
 * builder_image says which. */
bool sym_parse(struct builder *b, struct err *err)
{
    const char *p = b->text.p, *end = p + b->text.n;
    struct str first = STR("");
    while (p < end && first.n == 0)
        first = next_line(&p, end);
    struct sym_module m;
    if (!sym_parse_module(first, &m, err))
        return false;
    builder_info(b, CSYM_OS, m.os);
    builder_info(b, CSYM_ARCH, m.arch);
    builder_info(b, CSYM_DEBUG_ID, m.debug_id);
    builder_info(b, CSYM_DEBUG_FILE, m.debug_file);

    while (p < end && !b->too_large) {
        if (hex_value[(uint8_t)*p] &&
            (read_simple_line_record(b, &p, end) || read_line_record(b, &p, end)))
            continue;
        struct str line = next_line(&p, end);
        if (line.n == 0)
            continue;
        if (line.n > LINE_MAX_BYTES || !read_keyword_line(b, line))
            builder_bad_line(b);
    }
    return true;
}
