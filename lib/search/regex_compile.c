/*
 * From the tree to a Thompson automaton, which has a state for each character, alternative and
 * loop that is written, and may be in several of them at once.  It is over bytes and not over
 * characters: a class of characters becomes a few sequences of byte ranges, so that matching needs
 * no decoding and a table of transitions has at most 256 columns.
 *
 * It is built from the back: compile(node, next) returns the state that starts `node` and goes on
 * to `next`, so nothing is patched except the loop of a repetition.
 *
 * Strangers write expressions, so what one costs is decided here and not by its length: states
 * are counted one by one, for a repetition is written out as many times as it says; work without
 * states is counted likewise; and an interval of numbers takes a few states for each of its digits.
 * (As a tree of alternatives <1-777777777777777777> once took 168 MB.)
 */
#include "lib/search/regex_nfa.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/search/regex_tree.h"

/*
 * WORK_MAX bounds expansions that add no state, such as (((){100}){100}){100}; that many calls take
 * 1.5 ms.  An expression of REGEX_STATES_MAX states needs a few calls for each.
 */
enum { WORK_MAX = 500000, STATE_FAIL = UINT32_MAX };

struct regex_builder {
    struct arena *arena;
    VEC(struct regex_state) states;
    size_t work; /* calls of compile */
    bool is_too_large;
};

static uint32_t compile(struct regex_builder *b, const struct regex_node *n, uint32_t next);

/*
 * Past the limit it answers with state 0, which exists, and the flag ends every loop soon: so the
 * functions here need not look after each call whether there is a state.
 */
static uint32_t add_state(struct regex_builder *b, struct regex_state s)
{
    if (b->states.n >= REGEX_STATES_MAX) {
        b->is_too_large = true;
        return 0;
    }
    VEC_PUSH(&b->states, s);
    return (uint32_t)b->states.n - 1;
}

/* Two ways; STATE_FAIL is a way that does not exist. */
static uint32_t add_split(struct regex_builder *b, uint32_t one, uint32_t other)
{
    if (one == STATE_FAIL || one == other)
        return other;
    if (other == STATE_FAIL)
        return one;
    return add_state(b, (struct regex_state){.kind = NFA_SPLIT, .out = one, .other = other});
}

static uint32_t add_bytes(struct regex_builder *b, uint8_t low, uint8_t high, uint32_t next)
{
    return add_state(
        b, (struct regex_state){.kind = NFA_BYTES, .low = low, .high = high, .out = next});
}

/*
 * One chain of byte ranges for the characters from low to high.  Both have the same number of bytes
 * in UTF-8, and behind the first byte that differs every byte runs through its whole range.
 */
static uint32_t add_sequence(struct regex_builder *b, uint32_t low, uint32_t high, uint32_t next)
{
    char from[4], to[4];
    size_t n = utf8_put(from, low);
    utf8_put(to, high);
    for (size_t i = n; i-- > 0;)
        next = add_bytes(b, (uint8_t)from[i], (uint8_t)to[i], next);
    return next;
}

/*
 * Cuts [low, high] so that add_sequence's condition holds for each part: first where the number of
 * bytes changes, then, from the last byte (6 bits) to the second (18 bits), where a range begins or
 * ends in the middle of what that byte can be.
 */
static uint32_t add_range(struct regex_builder *b, uint32_t low, uint32_t high, uint32_t next,
                          uint32_t others)
{
    static const uint32_t last_of_length[] = {0x7f, 0x7ff, 0xffff};
    for (size_t i = 0; i < ARRAY_LEN(last_of_length); i++)
        if (low <= last_of_length[i] && high > last_of_length[i]) {
            others = add_range(b, low, last_of_length[i], next, others);
            return add_range(b, last_of_length[i] + 1, high, next, others);
        }
    if (high > 0x7f)
        for (unsigned bits = 6; bits <= 18; bits += 6) {
            uint32_t mask = (1u << bits) - 1;
            if ((low & ~mask) == (high & ~mask))
                continue;
            if (low & mask) {
                others = add_range(b, low, low | mask, next, others);
                return add_range(b, (low | mask) + 1, high, next, others);
            }
            if ((high & mask) != mask) {
                others = add_range(b, low, (high & ~mask) - 1, next, others);
                return add_range(b, high & ~mask, high, next, others);
            }
        }
    return add_split(b, add_sequence(b, low, high, next), others);
}

static uint32_t compile_set(struct regex_builder *b, const struct regex_node *n, uint32_t next)
{
    uint32_t out = STATE_FAIL;
    for (size_t i = 0; i < n->range_count && !b->is_too_large; i++) {
        uint32_t low = n->ranges[i].low, high = n->ranges[i].high;
        /* surrogates have no UTF-8 form */
        if (low >= 0xd800 && high <= 0xdfff)
            continue;
        if (low < 0xd800 && high >= 0xd800) {
            out = add_range(b, low, 0xd7ff, next, out);
            if (high > 0xdfff)
                out = add_range(b, 0xe000, high, next, out);
            continue;
        }
        out = add_range(b, low >= 0xd800 && low <= 0xdfff ? 0xe000 : low, high, next, out);
    }
    return out == STATE_FAIL ? add_state(b, (struct regex_state){.kind = NFA_FAIL}) : out;
}

/*
 * Numbers between two bounds.  A number is read from the left; it is "tight" at a bound as long
 * as its digits are those of the bound, then any digits may follow.  So there are three chains,
 * tight at the low bound, tight at the high one, and free, and all ways share the free chain:
 * states in O(digits), where a state per number of digits and way would be their power.
 */
struct digits {
    struct regex_builder *b;
    uint32_t any[REGEX_DIGITS_MAX]; /* any[k]: k digits, whichever, then what follows */
};

/* One digit from low to high, then k free ones. */
static uint32_t digit_then_any(struct digits *d, char low, char high, size_t k)
{
    return low > high ? STATE_FAIL : add_bytes(d->b, (uint8_t)low, (uint8_t)high, d->any[k]);
}

/* n digits that are at least those of `low`, or at most those of `high`. */
static uint32_t tight_digits(struct digits *d, const char *bound, size_t n, bool is_low)
{
    uint32_t out = d->any[0];
    for (size_t i = n; i-- > 0;) {
        char c = bound[i];
        uint32_t loose = is_low ? digit_then_any(d, (char)(c + 1), '9', n - 1 - i)
                                : digit_then_any(d, '0', (char)(c - 1), n - 1 - i);
        out = add_split(d->b, loose, add_bytes(d->b, (uint8_t)c, (uint8_t)c, out));
    }
    return out;
}

/* Numbers of n digits between two bounds of n digits. */
static uint32_t numbers_of_width(struct digits *d, const char *low, const char *high, size_t n)
{
    size_t same = 0;
    while (same < n && low[same] == high[same])
        same++;
    uint32_t out = d->any[0];
    if (same < n) {
        size_t rest = n - same - 1;
        uint32_t at_low = tight_digits(d, low + same + 1, rest, true);
        uint32_t at_high = tight_digits(d, high + same + 1, rest, false);
        out = digit_then_any(d, (char)(low[same] + 1), (char)(high[same] - 1), rest);
        out = add_split(d->b, out, add_bytes(d->b, (uint8_t)low[same], (uint8_t)low[same], at_low));
        out = add_split(d->b, out,
                        add_bytes(d->b, (uint8_t)high[same], (uint8_t)high[same], at_high));
    }
    for (size_t i = same; i-- > 0;)
        out = add_bytes(d->b, (uint8_t)low[i], (uint8_t)low[i], out);
    return out;
}

/* Numbers of one width after another, behind any leading zeros. */
static uint32_t numbers_of_any_width(struct digits *d, const struct regex_interval *v)
{
    static const char nines[] = "999999999999999999", tens[] = "100000000000000000";
    uint32_t out = STATE_FAIL;
    for (size_t n = v->low_n; n <= v->high_n; n++) {
        bool is_lowest = n == v->low_n, is_highest = n == v->high_n;
        uint32_t one = is_lowest || is_highest ? numbers_of_width(d, is_lowest ? v->low : tens,
                                                                  is_highest ? v->high : nines, n)
                                               : digit_then_any(d, '1', '9', n - 1);
        out = add_split(d->b, out, one);
    }
    uint32_t zeros =
        add_state(d->b, (struct regex_state){.kind = NFA_SPLIT, .out = out, .other = out});
    uint32_t zero = add_bytes(d->b, '0', '0', zeros);
    if (!d->b->is_too_large)
        d->b->states.v[zeros].other = zero;
    return zeros;
}

static uint32_t compile_interval(struct regex_builder *b, const struct regex_node *n, uint32_t next)
{
    const struct regex_interval *v = n->interval;
    struct digits d = {.b = b, .any = {next}};
    for (size_t k = 1; k < v->high_n; k++)
        d.any[k] = add_bytes(b, '0', '9', d.any[k - 1]);
    return v->is_any_width ? numbers_of_any_width(&d, v)
                           : numbers_of_width(&d, v->low, v->high, v->high_n);
}

/* The split is made before what it goes on to, and patched: the one loop of the automaton. */
static uint32_t compile_loop(struct regex_builder *b, const struct regex_node *what, uint32_t next)
{
    uint32_t split =
        add_state(b, (struct regex_state){.kind = NFA_SPLIT, .out = next, .other = next});
    uint32_t body = compile(b, what, split);
    if (!b->is_too_large)
        b->states.v[split].out = body;
    return split;
}

/* x{2,4} is written out as xx(x(x)?)?, and x{2,} as xxx*. */
static uint32_t compile_repeat(struct regex_builder *b, const struct regex_node *n, uint32_t next)
{
    uint32_t out = next;
    if (n->max == REGEX_UNBOUNDED)
        out = compile_loop(b, n->left, next);
    else
        for (int32_t i = n->min; i < n->max && !b->is_too_large; i++)
            out = add_split(b, compile(b, n->left, out), next);
    for (int32_t i = 0; i < n->min && !b->is_too_large; i++)
        out = compile(b, n->left, out);
    return out;
}

static uint32_t compile(struct regex_builder *b, const struct regex_node *n, uint32_t next)
{
    if (b->is_too_large || ++b->work > WORK_MAX) {
        b->is_too_large = true;
        return 0;
    }
    switch (n->kind) {
    case REGEX_EMPTY:
        return next;
    case REGEX_NOTHING:
        return add_state(b, (struct regex_state){.kind = NFA_FAIL});
    case REGEX_SET:
        return compile_set(b, n, next);
    case REGEX_CONCAT: /* lists lean to the left: walk them, do not recurse */
        for (; n->kind == REGEX_CONCAT && !b->is_too_large; n = n->left)
            next = compile(b, n->right, next);
        return compile(b, n, next);
    case REGEX_EITHER: {
        uint32_t out = STATE_FAIL;
        for (; n->kind == REGEX_EITHER && !b->is_too_large; n = n->left)
            out = add_split(b, compile(b, n->right, next), out);
        return add_split(b, compile(b, n, next), out);
    }
    case REGEX_REPEAT:
        return compile_repeat(b, n, next);
    case REGEX_INTERVAL:
        return compile_interval(b, n, next);
    }
    return next;
}

/*
 * Bytes that no state tells apart share a column of the matcher's table: a few letters and
 * everything else are some tens of columns instead of 256.
 */
static void find_byte_classes(struct regex *re)
{
    bool starts[257] = {[0] = true};
    for (size_t i = 0; i < re->state_count; i++)
        if (re->states[i].kind == NFA_BYTES) {
            starts[re->states[i].low] = true;
            starts[re->states[i].high + 1] = true;
        }
    size_t class_count = 0;
    for (size_t i = 0; i < 256; i++) {
        class_count += starts[i];
        re->class_of[i] = (uint8_t)(class_count - 1);
        if (starts[i])
            re->sample[class_count - 1] = (uint8_t)i;
    }
    re->class_count = class_count;
}

bool regex_compile(struct arena *a, struct str expression, const struct regex **ret,
                   struct err *err)
{
    struct regex_node *tree;
    if (!regex_parse(a, expression, &tree, err))
        return false;

    struct regex_builder b = {.arena = a};
    uint32_t match = add_state(&b, (struct regex_state){.kind = NFA_MATCH});
    uint32_t start = compile(&b, tree, match);
    if (b.is_too_large) {
        VEC_RELEASE(&b.states);
        return err_set(err, ERR_TOO_LARGE, "more than %d states", REGEX_STATES_MAX);
    }
    struct regex *re = arena_alloc(a, sizeof *re);
    re->state_count = b.states.n;
    re->states = arena_array(a, b.states.n, sizeof *re->states);
    memcpy(re->states, b.states.v, b.states.n * sizeof *re->states);
    re->start = start;
    find_byte_classes(re);
    VEC_RELEASE(&b.states);
    *ret = re;
    return true;
}

size_t regex_state_count(const struct regex *re)
{
    return re->state_count;
}
