/*
 * From the text of an expression to its tree: recursive descent over the grammar
 *
 *   union   = concat { "|" concat }
 *   concat  = repeat { repeat }
 *   repeat  = atom { "?" | "*" | "+" | "{n}" | "{n,}" | "{n,m}" }
 *   atom    = "." "@" "#" "text" "(" union ")" "<n-m>" [class] \c c
 *
 * It is the language of the search engine that users and their saved links come from, and differs
 * from what a programmer expects: the expression is held against the whole value, so '^' and '$'
 * are ordinary characters; "@" is any string and "#" none at all; quotes take away every meaning;
 * <n-m> is a decimal number between two bounds.  Complement and intersection of that language are
 * refused: an intersection squares the number of states, a complement takes two to its power.
 *
 * Strangers write these texts, so the tree is bounded by what is written and never by what it
 * means: a repetition, an interval of numbers or a class is one node, and nodes are counted before
 * each is made.  What an expression means in states is the compiler's to count.
 */
#include "lib/search/regex_tree.h"

#include <assert.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

/*
 * DEPTH_MAX  of groups inside groups and of repetitions of repetitions, each of which is a level of
 *            recursion here and in the compiler: some 250 times five small frames of stack.  Long
 *            lists do not count: they lean to the left, where both walk in a loop.
 * REPEAT_MAX as many as there may be states; more could only be repetitions of nothing.
 */
enum { DEPTH_MAX = 250, REPEAT_MAX = REGEX_STATES_MAX };

struct regex_parser {
    struct arena *arena;
    struct str text;
    size_t off;
    int depth;
    size_t nodes;
    struct err *err;
};

static struct regex_node *parse_union(struct regex_parser *p);

/* The position is the number of bytes read so far. */
static struct regex_node *syntax_error(struct regex_parser *p, const char *what)
{
    err_set(p->err, ERR_INVALID, "%s at position %zu", what, p->off);
    return NULL;
}

static struct regex_node *new_node(struct regex_parser *p, enum regex_kind kind)
{
    p->nodes++;
    struct regex_node *n = arena_alloc(p->arena, sizeof *n);
    n->kind = kind;
    return n;
}

static struct regex_node *new_pair(struct regex_parser *p, enum regex_kind kind,
                                   struct regex_node *left, struct regex_node *right)
{
    struct regex_node *n = new_node(p, kind);
    n->left = left;
    n->right = right;
    return n;
}

static struct regex_node *new_repeat(struct regex_parser *p, struct regex_node *what, int32_t min,
                                     int32_t max)
{
    struct regex_node *n = new_pair(p, REGEX_REPEAT, what, NULL);
    n->min = min;
    n->max = max;
    return n;
}

static struct regex_node *new_range(struct regex_parser *p, uint32_t low, uint32_t high)
{
    struct regex_node *n = new_node(p, REGEX_SET);
    n->ranges = arena_alloc(p->arena, sizeof *n->ranges);
    n->ranges[0] = (struct regex_range){low, high};
    n->range_count = 1;
    return n;
}

static bool at_end(const struct regex_parser *p)
{
    return p->off >= p->text.n;
}

static bool next_is(const struct regex_parser *p, char c)
{
    return !at_end(p) && p->text.p[p->off] == c;
}

static bool take_char(struct regex_parser *p, char c)
{
    if (!next_is(p, c))
        return false;
    p->off++;
    return true;
}

static uint32_t next_char(struct regex_parser *p)
{
    return utf8_next(p->text, &p->off);
}

typedef VEC(struct regex_range) range_list;

static int by_low(const void *a, const void *b)
{
    const struct regex_range *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

/*
 * Sorts, joins what overlaps, turns round when asked, copies into the arena.  The ranges of a set
 * are disjoint and in order from here on: the compiler makes one way of each and takes it that no
 * character goes two.
 */
static struct regex_node *set_of(struct regex_parser *p, range_list *list, bool is_negated)
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
    struct regex_node *set = new_node(p, REGEX_SET);
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

/* \d \w \s into the list, all of them ASCII as in the engine before; false: c names no class. */
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

/* After a backslash: a class, turned round when it is an upper-case letter (the bit 0x20 of ASCII
 * letters is clear), or the next character as it is. */
static struct regex_node *parse_escape(struct regex_parser *p)
{
    if (at_end(p))
        return syntax_error(p, "nothing after \\");
    uint32_t c = next_char(p);
    range_list list = {0};
    if (c < 0x80 && add_class(&list, (char)(c | 0x20))) {
        struct regex_node *set = set_of(p, &list, (c & 0x20) == 0);
        VEC_RELEASE(&list);
        return set;
    }
    return new_range(p, c, c);
}

/* \D \W \S inside brackets: the complement, piece by piece. */
static void add_escape(struct regex_parser *p, range_list *list, uint32_t c)
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

/* [a-z_] and [^…].  ']' ends it wherever it stands, so it must be escaped inside; '^' means
 * something only at the start and '-' only between two characters. */
static struct regex_node *parse_brackets(struct regex_parser *p)
{
    bool is_negated = take_char(p, '^');
    range_list list = {0};
    struct regex_node *set = NULL;
    while (!at_end(p) && !next_is(p, ']')) {
        uint32_t low = next_char(p);
        bool is_escaped = low == '\\';
        if (is_escaped && at_end(p))
            break;
        if (is_escaped)
            low = next_char(p);
        if (!take_char(p, '-')) {
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
            return syntax_error(p, "range out of order");
        }
        VEC_PUSH(&list, ((struct regex_range){low, high}));
    }
    if (list.n == 0)
        syntax_error(p, "empty class");
    else if (!take_char(p, ']'))
        syntax_error(p, "expected ]");
    else
        set = set_of(p, &list, is_negated);
    VEC_RELEASE(&list);
    return set;
}

/* Lists lean to the left: ((a b) c) d.  `left` is NULL for the first element. */
static struct regex_node *concat_of(struct regex_parser *p, struct regex_node *left,
                                    struct regex_node *right)
{
    return left ? new_pair(p, REGEX_CONCAT, left, right) : right;
}

static struct regex_node *either_of(struct regex_parser *p, struct regex_node *left,
                                    struct regex_node *right)
{
    return left ? new_pair(p, REGEX_EITHER, left, right) : right;
}

/*
 * What is written, without leading zeros when the widths differ; the smaller number first.  Two
 * bounds of one width ask for numbers of that width, <01-12> for 03 and not for 3; otherwise any
 * number of zeros may stand in front.  All this is what the language says.
 */
static struct regex_node *new_interval(struct regex_parser *p, struct str low, struct str high)
{
    struct regex_node *n = new_node(p, REGEX_INTERVAL);
    struct regex_interval *i = n->interval = arena_alloc(p->arena, sizeof *i);
    i->is_any_width = low.n != high.n;
    while (i->is_any_width && low.n > 1 && low.p[0] == '0')
        low = str_sub(low, 1, SIZE_MAX);
    while (i->is_any_width && high.n > 1 && high.p[0] == '0')
        high = str_sub(high, 1, SIZE_MAX);
    if (low.n > high.n || (low.n == high.n && str_cmp(low, high) > 0)) {
        struct str t = low;
        low = high;
        high = t;
    }
    i->low_n = low.n;
    i->high_n = high.n;
    memcpy(i->low, low.p, low.n);
    memcpy(i->high, high.p, high.n);
    return n;
}

/* Digits and nothing else, REGEX_DIGITS_MAX at most. */
static bool is_number(struct str s)
{
    if (s.n == 0 || s.n > REGEX_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return true;
}

static struct regex_node *parse_interval(struct regex_parser *p)
{
    size_t end = str_find_char(p->text, '>', p->off);
    size_t minus = str_find_char(p->text, '-', p->off);
    if (end == SIZE_MAX || minus == SIZE_MAX || minus > end)
        return syntax_error(p, "expected <n-m>");
    struct str low = str_sub(p->text, p->off, minus - p->off);
    struct str high = str_sub(p->text, minus + 1, end - minus - 1);
    if (!is_number(low) || !is_number(high))
        return syntax_error(p, "expected <n-m>");
    p->off = end + 1;
    return new_interval(p, low, high);
}

/*
 * Asked before each character but the signs of repetition.  A character makes three nodes at most
 * (a repetition, a set and the link to what stands before), the signs behind it DEPTH_MAX more, so
 * REGEX_NODES_MAX is crossed by a few hundred; REGEX_ARENA_BYTES has room for them.
 */
static bool has_room(struct regex_parser *p)
{
    return p->nodes <= REGEX_NODES_MAX ||
           err_set(p->err, ERR_TOO_LARGE, "more than %d parts", REGEX_NODES_MAX);
}

/* "text": its characters one by one, so that nothing in it means anything; "" is the empty text. */
static struct regex_node *parse_quoted(struct regex_parser *p)
{
    struct regex_node *out = NULL;
    while (!at_end(p) && !next_is(p, '"')) {
        if (!has_room(p))
            return NULL;
        uint32_t c = next_char(p);
        out = concat_of(p, out, new_range(p, c, c));
    }
    if (!take_char(p, '"'))
        return syntax_error(p, "expected \"");
    return out ? out : new_node(p, REGEX_EMPTY);
}

/* Behind the opening bracket; "()" is the empty text. */
static struct regex_node *parse_group(struct regex_parser *p)
{
    if (take_char(p, ')'))
        return new_node(p, REGEX_EMPTY);
    if (++p->depth > DEPTH_MAX)
        return syntax_error(p, "nested too deeply");
    struct regex_node *inside = parse_union(p);
    p->depth--;
    if (inside && !take_char(p, ')'))
        return syntax_error(p, "expected )");
    return inside;
}

static struct regex_node *parse_atom(struct regex_parser *p)
{
    if (at_end(p))
        return syntax_error(p, "unexpected end");
    if (!has_room(p))
        return NULL;
    uint32_t c = next_char(p);
    switch (c) {
    case '.':
        return new_range(p, 0, REGEX_CHAR_MAX);
    case '@':
        return new_repeat(p, new_range(p, 0, REGEX_CHAR_MAX), 0, REGEX_UNBOUNDED);
    case '#':
        return new_node(p, REGEX_NOTHING);
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
        return syntax_error(p, "complement (~) and intersection (&) are not supported");
    case '|':
        return syntax_error(p, "empty alternative");
    default:
        return new_range(p, c, c);
    }
}

/* Of the repetitions in braces.  INT32_MAX only keeps it a number: parse_braces has the limit. */
static bool parse_count(struct regex_parser *p, int32_t *ret)
{
    size_t start = p->off;
    while (!at_end(p) && p->text.p[p->off] >= '0' && p->text.p[p->off] <= '9')
        p->off++;
    uint64_t v;
    if (!str_to_u64(str_sub(p->text, start, p->off - start), 10, INT32_MAX, "count", &v,
                    ERR_IGNORED))
        return false;
    *ret = (int32_t)v;
    return true;
}

/* {n}, {n,} and {n,m}, behind the opening brace. */
static struct regex_node *parse_braces(struct regex_parser *p, struct regex_node *what)
{
    int32_t min, max;
    if (!parse_count(p, &min))
        return syntax_error(p, "expected a number");
    max = min;
    if (take_char(p, ','))
        if (!parse_count(p, &max))
            max = REGEX_UNBOUNDED;
    if (!take_char(p, '}'))
        return syntax_error(p, "expected }");
    if (max != REGEX_UNBOUNDED && max < min)
        return syntax_error(p, "counts out of order");
    if (min > REPEAT_MAX || max > REPEAT_MAX) {
        err_set(p->err, ERR_TOO_LARGE, "more than %d repetitions", REPEAT_MAX);
        return NULL;
    }
    return new_repeat(p, what, min, max);
}

/* Signs of repetition may be stacked, (a{2}){3} without brackets, and hold from the inside out. */
static struct regex_node *parse_repeat(struct regex_parser *p)
{
    struct regex_node *out = parse_atom(p);
    for (int stacked = 0; out; stacked++) {
        /* a** is a repetition in a repetition, into which the compiler recurses */
        if (stacked > DEPTH_MAX)
            return syntax_error(p, "nested too deeply");
        if (take_char(p, '?'))
            out = new_repeat(p, out, 0, 1);
        else if (take_char(p, '*'))
            out = new_repeat(p, out, 0, REGEX_UNBOUNDED);
        else if (take_char(p, '+'))
            out = new_repeat(p, out, 1, REGEX_UNBOUNDED);
        else if (take_char(p, '{'))
            out = parse_braces(p, out);
        else
            break;
    }
    return out;
}

static struct regex_node *parse_concat(struct regex_parser *p)
{
    struct regex_node *out = parse_repeat(p);
    while (out && !at_end(p) && !next_is(p, '|') && !next_is(p, ')')) {
        struct regex_node *right = parse_repeat(p);
        out = right ? concat_of(p, out, right) : NULL;
    }
    return out;
}

static struct regex_node *parse_union(struct regex_parser *p)
{
    struct regex_node *out = parse_concat(p);
    while (out && take_char(p, '|')) {
        struct regex_node *right = parse_concat(p);
        out = right ? either_of(p, out, right) : NULL;
    }
    return out;
}

/* The empty expression matches the empty text.  A ')' that nothing has opened ends parse_union. */
bool regex_parse(struct arena *a, struct str text, struct regex_node **ret, struct err *err)
{
    struct regex_parser p = {.arena = a, .text = text, .err = err};
    struct regex_node *tree = text.n == 0 ? new_node(&p, REGEX_EMPTY) : parse_union(&p);
    if (tree && !at_end(&p))
        tree = syntax_error(&p, "unexpected )");
    if (!tree)
        return false;
    *ret = tree;
    return true;
}
