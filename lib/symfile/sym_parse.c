/*
 * The reader of Breakpad symbol text: one pass, no copies.
 *
 * Line records are most of a file, so they are tried first, straight from the text, then rows of
 * call frame information and INLINE; each in the form that tools write.  Only what is none of these
 * is cut out with memchr and looked at by keyword, as is what they write otherwise.  That a keyword
 * may begin with a hexadecimal digit (FUNC, FILE) costs one failed attempt at a number.
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
#include "lib/symfile/sym_module.h"
#include "lib/symfile/sym_tok.h"

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

/* As nearly every tool writes a row: one blank between, and an address of few digits. */
static inline bool read_simple_row(struct builder *b, const char **at, const char *end)
{
    static const char keyword[] = "STACK CFI ";
    const char *p = *at + sizeof keyword - 1;
    uint32_t addr;
    size_t n;
    if (end - *at < (ptrdiff_t)sizeof keyword + DIGITS_AT_ONCE ||
        memcmp(*at, keyword, sizeof keyword - 1) != 0 || !digits_hex(p, &addr, &n) || p[n] != ' ')
        return false;
    p += n + 1;
    if (p == end || *p <= ' ')
        return false;
    struct str rules = next_line(&p, end);
    if (rules.n > SYM_LINE_MAX_BYTES / 2 || !builder_cfi_row(b, addr, rules))
        return false;
    *at = p;
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
 * The words of a line whose ends are set bits, from p on; false unless one blank is between them
 * and \n behind the last.
 */
static inline __attribute__((always_inline)) bool split_words(const char *p, uint64_t ends,
                                                              struct digits_word *words, size_t n)
{
    size_t from = 0, end = 0;
    bool is_apart = true;
#pragma GCC unroll 6
    for (size_t i = 0; i < n; i++) {
        if (ends == 0)
            return false;
        end = (size_t)__builtin_ctzll(ends);
        ends &= ends - 1;
        words[i] = (struct digits_word){p + end, end - from};
        is_apart &= p[end] == (i + 1 < n ? ' ' : '\n');
        from = end + 1;
    }
    return is_apart;
}

/* As nearly every tool writes INLINE: of one range, one blank between, \n at once. */
static inline bool read_simple_inline(struct builder *b, const char **at, const char *end)
{
    enum { WORDS = 6, KEYWORD = sizeof "INLINE " - 1 };
    const char *p = *at + KEYWORD;
    struct digits_word w[WORDS];
    uint32_t call[2], names[2], range[2];
    if (end - *at < KEYWORD + 2 * DIGITS_LINE + DIGITS_AT_ONCE ||
        memcmp(*at, "INLINE ", KEYWORD) != 0)
        return false;
    uint64_t ends = digits_ends(p) | (uint64_t)digits_ends(p + DIGITS_LINE) << DIGITS_LINE;
    if (!split_words(p, ends, w, WORDS) || !digits_dec_pair(w[0], w[1], call) ||
        !digits_dec_pair(w[2], w[3], names) || !digits_hex_pair(w[4], w[5], range))
        return false;
    struct inline_record r = {.start = range[0], .level = call[0], .line = call[1]};
    r.end = r.start + range[1];
    r.file = builder_file_index(b, names[0]);
    r.origin = builder_origin_index(b, names[1]);
    if (!builder_inline(b, &r))
        return false;
    *at = w[WORDS - 1].end + 1;
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
 * The ends of the four words are looked for together; a fifth set bit is of the next line.  The
 * MODULE line in front has the eight bytes that may be read before the first word.
 */
static inline bool read_simple_line_record(struct builder *b, const char **at, const char *end)
{
    enum { WORDS = 4 };
    struct digits_word w[WORDS];
    uint32_t range[2], place[2];
    if (end - *at < DIGITS_LINE + DIGITS_AT_ONCE || !split_words(*at, digits_ends(*at), w, WORDS) ||
        !digits_hex_pair(w[0], w[1], range) || !digits_dec_pair(w[2], w[3], place) ||
        !builder_line(b, range[0], range[1], place[0], place[1]))
        return false;
    *at = w[WORDS - 1].end + 1;
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
        if ((*p == 'S' && read_simple_row(b, &p, end)) ||
            (*p == 'I' && read_simple_inline(b, &p, end)))
            continue;
        struct str line = next_line(&p, end);
        if (line.n == 0)
            continue;
        if (line.n > SYM_LINE_MAX_BYTES || !read_keyword_line(b, line))
            builder_bad_line(b);
    }
    return true;
}
