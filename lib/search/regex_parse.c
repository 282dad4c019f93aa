#include "search/regex_tree.h"

#include <assert.h>

#include "base/vec.h"

/*
 * Recursive descent over the grammar
 *
 *   union   = concat { "|" concat }
 *   concat  = repeat { repeat }
 *   repeat  = atom { "?" | "*" | "+" | "{n}" | "{n,}" | "{n,m}" }
 *   atom    = "." "@" "#" "text" "(" union ")" "<n-m>" [class] \c c
 *
 * The depth is bounded by the length of the expression, which callers limit.
 */
enum { DEPTH_MAX = 250, REPEAT_MAX = 10000, INTERVAL_DIGITS_MAX = 18 };

struct parser {
    struct arena *arena;
    struct str text;
    size_t off;
    int depth;
    size_t nodes;
    struct err *err;
};

static struct regex_node *parse_union(struct parser *p);

static struct regex_node *fail(struct parser *p, const char *what)
{
    err_set(p->err, ERR_INVALID, "%s at position %zu", what, p->off);
    return NULL;
}

static struct regex_node *node(struct parser *p, enum regex_kind kind)
{
    p->nodes++; /* looked at by parse_atom: each adds a bounded number */
    struct regex_node *n = arena_alloc(p->arena, sizeof *n);
    n->kind = kind;
    return n;
}

static struct regex_node *pair(struct parser *p, enum regex_kind kind, struct regex_node *left,
                               struct regex_node *right)
{
    struct regex_node *n = node(p, kind);
    n->left = left;
    n->right = right;
    return n;
}

static struct regex_node *repeat(struct parser *p, struct regex_node *what, int32_t min,
                                 int32_t max)
{
    struct regex_node *n = pair(p, REGEX_REPEAT, what, NULL);
    n->min = min;
    n->max = max;
    return n;
}

static struct regex_node *range(struct parser *p, uint32_t low, uint32_t high)
{
    struct regex_node *n = node(p, REGEX_SET);
    n->ranges = arena_alloc(p->arena, sizeof *n->ranges);
    n->ranges[0] = (struct regex_range){low, high};
    n->range_count = 1;
    return n;
}

static bool at_end(const struct parser *p)
{
    return p->off >= p->text.n;
}

static bool next_is(const struct parser *p, char c)
{
    return !at_end(p) && p->text.p[p->off] == c;
}

static bool accept(struct parser *p, char c)
{
    if (!next_is(p, c))
        return false;
    p->off++;
    return true;
}

static uint32_t next_char(struct parser *p)
{
    return utf8_next(p->text, &p->off);
}

/* ---- sets --------------------------------------------------------------------------- */

typedef VEC(struct regex_range) range_list;

static int by_low(const void *a, const void *b)
{
    const struct regex_range *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

/* Sorts, joins what overlaps, turns round when asked, copies into the arena. */
static struct regex_node *set_of(struct parser *p, range_list *list, bool is_negated)
{
    if (list->n > 1)
        qsort(list->v, list->n, sizeof *list->v, by_low);
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (n > 0 && list->v[i].low <= list->v[n - 1].high + 1)
            list->v[n - 1].high = MAX(list->v[n - 1].high, list->v[i].high);
        else
            list->v[n++] = list->v[i];
    }
    struct regex_node *set = node(p, REGEX_SET);
    set->ranges = arena_array(p->arena, n + 1, sizeof *set->ranges);
    if (!is_negated) {
        for (; set->range_count < n; set->range_count++)
            set->ranges[set->range_count] = list->v[set->range_count];
        return set;
    }
    uint32_t from = 0;
    for (size_t i = 0; i < n; i++) {
        if (list->v[i].low > from)
            set->ranges[set->range_count++] = (struct regex_range){from, list->v[i].low - 1};
        from = list->v[i].high + 1;
    }
    if (from <= REGEX_CHAR_MAX)
        set->ranges[set->range_count++] = (struct regex_range){from, REGEX_CHAR_MAX};
    return set;
}

/* \d \w \s into the list; false if c names no class. */
static bool add_class(range_list *list, char c)
{
    static const struct {
        char name;
        struct regex_range ranges[4];
        size_t n;
    } classes[] = {
        {'d', {{'0', '9'}}, 1},
        {'w', {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, 4},
        {'s', {{'\t', '\n'}, {'\r', '\r'}, {' ', ' '}}, 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        if (classes[i].name != c)
            continue;
        for (size_t k = 0; k < classes[i].n; k++)
            VEC_PUSH(list, classes[i].ranges[k]);
        return true;
    }
    return false;
}

/* After a backslash: a class or the next character as it is. */
static struct regex_node *parse_escape(struct parser *p)
{
    if (at_end(p))
        return fail(p, "nothing after \\");
    uint32_t c = next_char(p);
    range_list list = {0};
    if (c < 0x80 && add_class(&list, (char)(c | 0x20))) {
        struct regex_node *set = set_of(p, &list, (c & 0x20) == 0);
        VEC_RELEASE(&list);
        return set;
    }
    return range(p, c, c);
}

/* \D \W \S inside brackets: the complement, piece by piece. */
static void add_escape(struct parser *p, range_list *list, uint32_t c)
{
    range_list part = {0};
    if (c < 0x80 && add_class(&part, (char)(c | 0x20))) {
        const struct regex_node *set = set_of(p, &part, (c & 0x20) == 0);
        for (size_t i = 0; i < set->range_count; i++)
            VEC_PUSH(list, set->ranges[i]);
        VEC_RELEASE(&part);
    } else {
        VEC_PUSH(list, ((struct regex_range){c, c}));
    }
}

static struct regex_node *parse_brackets(struct parser *p)
{
    bool is_negated = accept(p, '^');
    range_list list = {0};
    struct regex_node *set = NULL;
    while (!at_end(p) && !next_is(p, ']')) {
        uint32_t low = next_char(p);
        bool is_escaped = low == '\\';
        if (is_escaped && at_end(p))
            break;
        if (is_escaped)
            low = next_char(p);
        if (!accept(p, '-')) {
            if (is_escaped)
                add_escape(p, &list, low);
            else
                VEC_PUSH(&list, ((struct regex_range){low, low}));
            continue;
        }
        if (at_end(p) || next_is(p, ']')) { /* a minus at the end is itself */
            VEC_PUSH(&list, ((struct regex_range){low, low}));
            VEC_PUSH(&list, ((struct regex_range){'-', '-'}));
            continue;
        }
        uint32_t high = next_char(p);
        if (high == '\\' && !at_end(p))
            high = next_char(p);
        if (high < low) {
            VEC_RELEASE(&list);
            return fail(p, "range out of order");
        }
        VEC_PUSH(&list, ((struct regex_range){low, high}));
    }
    if (list.n == 0)
        fail(p, "empty class");
    else if (!accept(p, ']'))
        fail(p, "expected ]");
    else
        set = set_of(p, &list, is_negated);
    VEC_RELEASE(&list);
    return set;
}

/* ---- intervals ---------------------------------------------------------------------- */

static struct regex_node *join(struct parser *p, struct regex_node *left, struct regex_node *right)
{
    return left ? pair(p, REGEX_CONCAT, left, right) : right;
}

static struct regex_node *either(struct parser *p, struct regex_node *left,
                                 struct regex_node *right)
{
    return left ? pair(p, REGEX_EITHER, left, right) : right;
}

static struct regex_node *any_digits(struct parser *p, size_t n)
{
    return repeat(p, range(p, '0', '9'), (int32_t)n, (int32_t)n);
}

/* Numbers of exactly n digits from low to high, both given as n digits. */
static struct regex_node *between(struct parser *p, const char *low, const char *high, size_t n)
{
    if (n == 1)
        return range(p, (uint8_t)low[0], (uint8_t)high[0]);
    if (low[0] == high[0])
        return join(p, range(p, (uint8_t)low[0], (uint8_t)low[0]),
                    between(p, low + 1, high + 1, n - 1));
    static const char nines[] = "999999999999999999", zeros[] = "000000000000000000";
    struct regex_node *out =
        join(p, range(p, (uint8_t)low[0], (uint8_t)low[0]), between(p, low + 1, nines, n - 1));
    if (high[0] - low[0] > 1)
        out = either(
            p, out,
            join(p, range(p, (uint8_t)low[0] + 1u, (uint8_t)high[0] - 1u), any_digits(p, n - 1)));
    return either(
        p, out,
        join(p, range(p, (uint8_t)high[0], (uint8_t)high[0]), between(p, zeros, high + 1, n - 1)));
}

/* Any width: leading zeros allowed, then each length of digits by itself. */
static struct regex_node *any_width(struct parser *p, uint64_t low, uint64_t high)
{
    struct regex_node *out = NULL;
    uint64_t first = 0, last = 9; /* smallest and largest number of n digits */
    for (size_t n = 1; n <= INTERVAL_DIGITS_MAX; n++) {
        uint64_t from = MAX(low, first), to = MIN(high, last);
        if (from <= to) {
            char a[24], b[24];
            snprintf(a, sizeof a, "%0*llu", (int)n, (unsigned long long)from);
            snprintf(b, sizeof b, "%0*llu", (int)n, (unsigned long long)to);
            out = either(p, out, between(p, a, b, n));
        }
        first = last + 1;
        last = last * 10 + 9;
    }
    return join(p, repeat(p, range(p, '0', '0'), 0, REGEX_UNBOUNDED), out);
}

static struct regex_node *parse_interval(struct parser *p)
{
    size_t end = str_find_char(p->text, '>', p->off);
    size_t minus = str_find_char(p->text, '-', p->off);
    if (end == SIZE_MAX || minus == SIZE_MAX || minus > end)
        return fail(p, "expected <n-m>");
    struct str low = str_sub(p->text, p->off, minus - p->off);
    struct str high = str_sub(p->text, minus + 1, end - minus - 1);
    uint64_t from, to;
    if (low.n > INTERVAL_DIGITS_MAX || high.n > INTERVAL_DIGITS_MAX ||
        !str_to_u64(low, 10, UINT64_MAX, "interval", &from, NULL) ||
        !str_to_u64(high, 10, UINT64_MAX, "interval", &to, NULL))
        return fail(p, "expected <n-m>");
    p->off = end + 1;
    if (low.n != high.n)
        return any_width(p, MIN(from, to), MAX(from, to));
    return from <= to ? between(p, low.p, high.p, low.n) : between(p, high.p, low.p, low.n);
}

/* ---- atoms and operators ------------------------------------------------------------ */

static struct regex_node *parse_quoted(struct parser *p)
{
    struct regex_node *out = NULL;
    while (!at_end(p) && !next_is(p, '"')) {
        uint32_t c = next_char(p);
        out = join(p, out, range(p, c, c));
    }
    if (!accept(p, '"'))
        return fail(p, "expected \"");
    return out ? out : node(p, REGEX_EMPTY);
}

static struct regex_node *parse_group(struct parser *p)
{
    if (accept(p, ')'))
        return node(p, REGEX_EMPTY);
    if (++p->depth > DEPTH_MAX)
        return fail(p, "nested too deeply");
    struct regex_node *inside = parse_union(p);
    p->depth--;
    if (inside && !accept(p, ')'))
        return fail(p, "expected )");
    return inside;
}

static struct regex_node *parse_atom(struct parser *p)
{
    if (at_end(p))
        return fail(p, "unexpected end");
    if (p->nodes > REGEX_NODES_MAX) {
        err_set(p->err, ERR_TOO_LARGE, "more than %d parts", REGEX_NODES_MAX);
        return NULL;
    }
    uint32_t c = next_char(p);
    switch (c) {
    case '.':
        return range(p, 0, REGEX_CHAR_MAX);
    case '@':
        return repeat(p, range(p, 0, REGEX_CHAR_MAX), 0, REGEX_UNBOUNDED);
    case '#':
        return node(p, REGEX_NOTHING);
    case '"':
        return parse_quoted(p);
    case '(':
        return parse_group(p);
    case '<':
        return parse_interval(p);
    case '[':
        return parse_brackets(p);
    case '\\':
        return parse_escape(p);
    case '~':
    case '&':
        return fail(p, "complement (~) and intersection (&) are not supported");
    case '|':
        return fail(p, "empty alternative");
    default:
        return range(p, c, c);
    }
}

static bool parse_count(struct parser *p, int32_t *ret)
{
    size_t start = p->off;
    while (!at_end(p) && p->text.p[p->off] >= '0' && p->text.p[p->off] <= '9')
        p->off++;
    uint64_t v;
    if (!str_to_u64(str_sub(p->text, start, p->off - start), 10, INT32_MAX, "count", &v, NULL))
        return false;
    *ret = (int32_t)v;
    return true;
}

static struct regex_node *parse_braces(struct parser *p, struct regex_node *what)
{
    int32_t min, max;
    if (!parse_count(p, &min))
        return fail(p, "expected a number");
    max = min;
    if (accept(p, ','))
        if (!parse_count(p, &max))
            max = REGEX_UNBOUNDED;
    if (!accept(p, '}'))
        return fail(p, "expected }");
    if (max != REGEX_UNBOUNDED && max < min)
        return fail(p, "counts out of order");
    if (min > REPEAT_MAX || max > REPEAT_MAX) {
        err_set(p->err, ERR_TOO_LARGE, "more than %d repetitions", REPEAT_MAX);
        return NULL;
    }
    return repeat(p, what, min, max);
}

static struct regex_node *parse_repeat(struct parser *p)
{
    struct regex_node *out = parse_atom(p);
    for (int stacked = 0; out; stacked++) {
        /* a** is a tree that grows leftwards: the compiler recurses into it */
        if (stacked > DEPTH_MAX)
            return fail(p, "nested too deeply");
        if (accept(p, '?'))
            out = repeat(p, out, 0, 1);
        else if (accept(p, '*'))
            out = repeat(p, out, 0, REGEX_UNBOUNDED);
        else if (accept(p, '+'))
            out = repeat(p, out, 1, REGEX_UNBOUNDED);
        else if (accept(p, '{'))
            out = parse_braces(p, out);
        else
            break;
    }
    return out;
}

static struct regex_node *parse_concat(struct parser *p)
{
    struct regex_node *out = parse_repeat(p);
    while (out && !at_end(p) && !next_is(p, '|') && !next_is(p, ')')) {
        struct regex_node *right = parse_repeat(p);
        out = right ? join(p, out, right) : NULL;
    }
    return out;
}

static struct regex_node *parse_union(struct parser *p)
{
    struct regex_node *out = parse_concat(p);
    while (out && accept(p, '|')) {
        struct regex_node *right = parse_concat(p);
        out = right ? either(p, out, right) : NULL;
    }
    return out;
}

bool regex_parse(struct arena *a, struct str text, struct regex_node **ret, struct err *err)
{
    struct parser p = {.arena = a, .text = text, .err = err};
    struct regex_node *tree = text.n == 0 ? node(&p, REGEX_EMPTY) : parse_union(&p);
    if (tree && !at_end(&p))
        tree = fail(&p, "unexpected )");
    if (!tree)
        return false;
    *ret = tree;
    return true;
}
