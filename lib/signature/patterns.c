/*
 * Hundreds of patterns, asked of every frame of every crash.  Nine of ten are plain text, so they
 * are sorted when the lists are loaded: literals for a binary search, "a.*b" for a search of
 * pieces, and the forty that need an engine as one expression for PCRE2.
 *
 * The dialect is that of Python's re, in which the lists are written: a match at the start, '\<' a
 * plain character, '{' a repeat only where it can be one.  Where an entry is simple enough for us
 * we take it apart by exactly those rules; everything else is PCRE2's.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "lib/signature/patterns.h"

#include <pcre2.h>

#include "lib/base/util.h"
#include "lib/base/vec.h"

enum {
    PIECES_MAX = 16,       /* between ".*"; what has more is left to PCRE2 */
    ENTRIES_MAX = 100000,  /* the largest of lists/ has 324 lines */
    MATCH_LIMIT = 1000000, /* about ten milliseconds of the interpreter */
    HEAP_LIMIT_KIB =
        20000, /* as PCRE2 is built (PCRE2_CONFIG_HEAPLIMIT: 20,000,000 KiB), a thousandth */
};

/* Texts that must occur one after the other, the first at the very start. */
struct glob {
    struct str pieces[PIECES_MAX];
    size_t n;
};

struct patterns {
    VEC(struct str) literals; /* sorted; none begins with another one */
    VEC(struct glob) globs;
    pcre2_code *regex; /* all others as one alternation, or NULL */
    pcre2_match_context *limits;
};

bool patterns_next_entry(struct str *rest, int *line, struct str *ret_entry)
{
    struct str part;
    while (str_split(rest, '\n', &part)) {
        (*line)++;
        part = str_trim(part);
        if (part.n == 0 || part.p[0] == '#')
            continue;
        *ret_entry = part;
        return true;
    }
    return false;
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Whether the brace at s.p[i] begins {m}, {m,}, {,n} or {m,n}; any other is plain text. */
static bool is_repeat(struct str s, size_t i)
{
    size_t digits = 0, commas = 0;
    for (i++; i < s.n && s.p[i] != '}'; i++) {
        if (s.p[i] == ',')
            commas++;
        else if (s.p[i] >= '0' && s.p[i] <= '9')
            digits++;
        else
            return false;
    }
    return i < s.n && digits > 0 && commas <= 1;
}

static void end_piece(struct glob *g, struct strbuf *piece)
{
    g->pieces[g->n++] = (struct str){str_dup(sb_view(piece)), piece->n};
    sb_reset(piece);
}

static void glob_release(struct glob *g)
{
    for (size_t i = 0; i < g->n; i++)
        free((char *)g->pieces[i].p);
    g->n = 0;
}

/*
 * Takes a pattern of literal characters, ".*" and empty groups apart.  False if there is
 * more to it, so that it needs the regular expression engine.
 */
static bool split_glob(struct str s, struct glob *g)
{
    STRBUF_AUTO piece = {0};
    sb_init(&piece, s.n);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : 0;
        char after = i + 2 < s.n ? s.p[i + 2] : 0;
        if (c == '\\' && next && !is_alnum(next)) {
            sb_char(&piece, next);
            i++;
            next = after;
        } else if (c == '.' && next == '*' && !strchr("?+*{", after ? after : ' ')) {
            if (g->n == PIECES_MAX - 1)
                return false;
            end_piece(g, &piece);
            i++;
            continue;
        } else if (c == '(' && next == ')' && !strchr("?+*{", after ? after : ' ')) {
            i++;
            continue;
        } else if (strchr(".*+?[()|^$\\", c) || (c == '{' && is_repeat(s, i))) {
            return false;
        } else {
            sb_char(&piece, c);
        }
        /* A repeat belongs to the character just taken. */
        if (next && (strchr("*+?", next) || (next == '{' && is_repeat(s, i + 1))))
            return false;
    }
    end_piece(g, &piece);
    return true;
}

/* Newlines and "$" as in Python: "." stops at LF only, "$" is the end of the text. */
static pcre2_code *compile_regex(struct str text, struct err *err)
{
    int code;
    PCRE2_SIZE at;
    pcre2_compile_context *ctx = pcre2_compile_context_create(NULL);
    pcre2_set_newline(ctx, PCRE2_NEWLINE_LF);
    pcre2_code *re = pcre2_compile(
        (PCRE2_SPTR)text.p, text.n,
        PCRE2_ANCHORED | PCRE2_DOLLAR_ENDONLY | PCRE2_UTF | PCRE2_NO_AUTO_CAPTURE, &code, &at, ctx);
    pcre2_compile_context_free(ctx);
    if (!re) {
        unsigned char why[128];
        pcre2_get_error_message(code, why, sizeof why);
        err_set(err, ERR_INVALID, "column %zu: %s", at + 1, (const char *)why);
    }
    return re;
}

/*
 * Each expression is compiled alone first: in the alternation an error would have no line, and an
 * unbalanced bracket could swallow its neighbours.
 */
static bool add_entry(struct patterns *p, struct str entry, struct strbuf *regexes, struct err *err)
{
    struct glob g = {.n = 0};
    if (!split_glob(entry, &g)) {
        glob_release(&g);
        pcre2_code *alone = compile_regex(entry, err);
        pcre2_code_free(alone);
        sb_printf(regexes, "%s(?:" STR_FMT ")", regexes->n ? "|" : "", STR_ARG(entry));
        return alone != NULL;
    }
    if (g.n == 1)
        VEC_PUSH(&p->literals, g.pieces[0]);
    else
        VEC_PUSH(&p->globs, g);
    return true;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Sorts; drops every literal that begins with another one, as that one decides. */
static void settle_literals(struct patterns *p)
{
    if (p->literals.n < 2)
        return;
    qsort(p->literals.v, p->literals.n, sizeof p->literals.v[0], by_text);
    size_t kept = 1;
    for (size_t i = 1; i < p->literals.n; i++) {
        if (str_starts(p->literals.v[i], p->literals.v[kept - 1]))
            free((char *)p->literals.v[i].p);
        else
            p->literals.v[kept++] = p->literals.v[i];
    }
    p->literals.n = kept;
}

static bool compile_all(struct patterns *p, struct str text, const char *file, struct err *err)
{
    STRBUF_AUTO regexes = {0};
    sb_init(&regexes, 16 << 20);
    struct str entry;
    int line = 0;
    while (patterns_next_entry(&text, &line, &entry)) {
        if (p->literals.n + p->globs.n >= ENTRIES_MAX)
            return err_set(err, ERR_TOO_LARGE, "%s: more than %d patterns", file, ENTRIES_MAX);
        if (!utf8_valid(entry))
            return err_set(err, ERR_INVALID, "%s:%d: not UTF-8", file, line);
        if (!add_entry(p, entry, &regexes, err))
            return err_wrap(err, "%s:%d", file, line);
    }
    settle_literals(p);
    if (regexes.n == 0)
        return true;
    p->regex = compile_regex(sb_view(&regexes), err);
    if (!p->regex)
        return err_wrap(err, "%s: all patterns together", file);
    pcre2_jit_compile(p->regex, PCRE2_JIT_COMPLETE); /* without it the interpreter runs */
    return true;
}

bool patterns_compile(struct str text, const char *file, struct patterns **ret, struct err *err)
{
    struct patterns *p = xcalloc(1, sizeof *p);
    p->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(p->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(p->limits, HEAP_LIMIT_KIB);
    if (!compile_all(p, text, file, err)) {
        patterns_free(p);
        return false;
    }
    *ret = p;
    return true;
}

void patterns_free(struct patterns *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->literals.n; i++)
        free((char *)p->literals.v[i].p);
    for (size_t i = 0; i < p->globs.n; i++)
        glob_release(&p->globs.v[i]);
    VEC_RELEASE(&p->literals);
    VEC_RELEASE(&p->globs);
    pcre2_code_free(p->regex);
    pcre2_match_context_free(p->limits);
    free(p);
}

/*
 * If a literal is a prefix of the text, it is the greatest one that is not greater than the
 * text: whatever sorts between the two begins with it, and settle_literals left none.
 */
static bool match_literals(const struct patterns *p, struct str text)
{
    size_t low = 0, high = p->literals.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (str_cmp(p->literals.v[mid], text) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low > 0 && str_starts(text, p->literals.v[low - 1]);
}

/*
 * The leftmost place of each piece is enough: only yes or no matters, so there is nothing to come
 * back to.
 */
static bool match_glob(const struct glob *g, struct str text)
{
    if (!str_starts(text, g->pieces[0]))
        return false;
    size_t at = g->pieces[0].n;
    for (size_t i = 1; i < g->n; i++) {
        size_t found = str_find(text, g->pieces[i], at);
        if (found == SIZE_MAX)
            return false;
        at = found + g->pieces[i].n;
    }
    return true;
}

/*
 * A match that exceeds its limits counts as none: a frame then is relevant, or no prefix, and the
 * signature shorter or longer than it might be. No crash holds up a worker.
 */
static bool match_regex(const struct patterns *p, struct str text)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int found =
        pcre2_match(p->regex, (PCRE2_SPTR)text.p, text.n, 0, PCRE2_NO_UTF_CHECK, data, p->limits);
    pcre2_match_data_free(data);
    return found >= 0;
}

bool patterns_match(const struct patterns *p, struct str text)
{
    if (!text.p)
        text = STR("");
    if (match_literals(p, text))
        return true;
    /* '.' does not match the end of a line, so neither does ".*" cross it. */
    struct str line = str_sub(text, 0, str_find_char(text, '\n', 0));
    for (size_t i = 0; i < p->globs.n; i++)
        if (match_glob(&p->globs.v[i], line))
            return true;
    return p->regex && match_regex(p, text);
}
