/*
 * Matching.  The automaton of regex_compile.c may be in many states at once; the set of them is one
 * state of a deterministic automaton (DFA), which needs one look into a table for each byte of the
 * text.  All of its states could be 2^10000, so it is never made as a whole: a transition is made
 * when a text first takes it and kept in a cache.  When the cache is full it is emptied and
 * building starts again from the state at hand.  (RE2 and the lazy automata of Rust's regex do the
 * same.)
 *
 * So whatever the expression, memory is bounded by the size of the cache, and a byte costs one look
 * at best and one pass over the states of the set at worst: linear in the text, with the number of
 * states as the factor.  There is nothing to go back to.  The worst case, texts that need a new
 * state for every byte, is slow enough to be counted: make_transition tells the search what it
 * does, and may be told to stop.
 *
 * A matcher is used for every entry of a dictionary, one after the other; what it has built for one
 * serves the next.
 */
#include "lib/search/regex_nfa.h"

#include <assert.h>

#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

/*
 * Units are those of columns/cost.h, about a nanosecond.  4096 states of 250 columns and a million
 * members are what REGEX_CACHE_BYTES holds; expressions that people write need some hundred.
 */
enum {
    DFA_STATES_MIN = 16, /* less would be emptied at every other byte */
    DFA_STATES_MAX = 4096,
    DFA_MEMBERS_MAX = 1 << 20, /* NFA states in all sets */
    DFA_UNKNOWN = 0,           /* in the table: not made yet */
    DFA_DEAD = 1,              /* the empty set: no text that goes on from here can match */
    SET_UNITS = 8,             /* of an NFA state in a new set: it is found, sorted and hashed */
    TRANSITION_UNITS = 64,     /* of a new transition, besides */
};

struct dfa_state {
    size_t members; /* offset */
    uint32_t count;
    bool is_match;
};

/* What fits into the cache: half of it is for the transitions, half for the sets. */
struct dfa_limits {
    size_t states, members;
};

struct regex_matcher {
    const struct regex *re;
    regex_goes_on *goes_on;
    void *arg;
    struct dfa_limits max;
    struct dfa_state *states;
    size_t state_count;
    uint32_t *table; /* state * class_count */
    size_t table_cap;
    uint32_t *members; /* of all states */
    size_t member_count, member_cap;
    /*
     * The states by their sets: open addressing, 0 empty, twice as many places as states.  Not a
     * tagmap, whose places take eight bytes: the size of this one is part of what the cache may
     * take, and with twenty classes of bytes a fifth fewer states would fit.
     */
    uint32_t *buckets;
    uint64_t seed; /* the expressions are strangers' */
    uint32_t start;
    /* scratch for building a set */
    uint32_t *set;
    size_t set_count;
    uint32_t *stack;
    uint32_t *seen; /* generation per NFA state */
    uint32_t generation;
};

/* More columns of the table mean fewer states: the bytes are given. */
static struct dfa_limits limits_of(const struct regex *re, size_t cache_bytes)
{
    size_t per_state =
        re->class_count * sizeof(uint32_t) + sizeof(struct dfa_state) + 2 * sizeof(uint32_t);
    size_t states = cache_bytes / 2 / per_state, members = cache_bytes / 2 / sizeof(uint32_t);
    return (struct dfa_limits){
        .states = MIN(MAX(states, (size_t)DFA_STATES_MIN), (size_t)DFA_STATES_MAX),
        /* an empty cache must hold any set */
        .members = MIN(MAX(members, re->state_count), (size_t)DFA_MEMBERS_MAX),
    };
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/*
 * Adds s and what is reached from it without a byte.  `seen` keeps it from going round in loops.
 * Only a split that is seen for the first time pushes, two entries each, so a stack of two per
 * state is enough.  A split itself says nothing about the next byte and is no member of the set.
 */
static void add_closure(struct regex_matcher *m, uint32_t s)
{
    size_t depth = 0;
    m->stack[depth++] = s;
    while (depth > 0) {
        s = m->stack[--depth];
        if (m->seen[s] == m->generation)
            continue;
        m->seen[s] = m->generation;
        const struct regex_state *n = &m->re->states[s];
        if (n->kind == NFA_SPLIT) {
            m->stack[depth++] = n->other;
            m->stack[depth++] = n->out;
        } else if (n->kind != NFA_FAIL) {
            m->set[m->set_count++] = s;
        }
    }
}

/* A new generation makes all of `seen` old at once; it is cleared when the number wraps. */
static void begin_set(struct regex_matcher *m)
{
    m->set_count = 0;
    if (++m->generation == 0) {
        memset(m->seen, 0, m->re->state_count * sizeof *m->seen);
        m->generation = 1;
    }
}

/* The table is not cleared: a state's row is when the state is made. */
static void clear_cache(struct regex_matcher *m)
{
    memset(m->buckets, 0, 2 * m->max.states * sizeof *m->buckets);
    m->member_count = 0;
    m->state_count = DFA_DEAD + 1; /* unknown and dead are taken */
    m->states[DFA_DEAD] = (struct dfa_state){0};
    m->start = DFA_UNKNOWN;
}

static bool set_is(const struct regex_matcher *m, const struct dfa_state *s)
{
    return s->count == m->set_count &&
           memcmp(m->members + s->members, m->set, m->set_count * sizeof *m->set) == 0;
}

/* Room for one more state with the set in scratch.  Grows by doubling, up to the limits. */
static void make_room(struct regex_matcher *m)
{
    size_t need = (m->state_count + 1) * m->re->class_count;
    if (need > m->table_cap) {
        m->table_cap = MIN(MAX(need, m->table_cap * 2), m->max.states * m->re->class_count);
        m->table = xrealloc(m->table, m->table_cap * sizeof *m->table);
    }
    need = m->member_count + m->set_count;
    if (need > m->member_cap) {
        m->member_cap = MIN(MAX(need, m->member_cap * 2), m->max.members);
        m->members = xrealloc(m->members, m->member_cap * sizeof *m->members);
    }
}

static uint32_t new_state(struct regex_matcher *m)
{
    make_room(m);
    uint32_t id = (uint32_t)m->state_count++;
    memset(m->table + id * m->re->class_count, 0, m->re->class_count * sizeof *m->table);
    struct dfa_state *s = &m->states[id];
    s->members = m->member_count;
    s->count = (uint32_t)m->set_count;
    s->is_match = false;
    memcpy(m->members + m->member_count, m->set, m->set_count * sizeof *m->set);
    m->member_count += m->set_count;
    for (size_t i = 0; i < m->set_count; i++)
        if (m->re->states[m->set[i]].kind == NFA_MATCH)
            s->is_match = true;
    return id;
}

/*
 * The DFA state of the set in scratch.  Sets are compared as sorted lists, so that one set has one
 * number.  The table is not base/map.h's: its keys are lists of any length that lie in `members`
 * already, and the maximum of states bounds it, so it never grows and is emptied with the cache.
 * *ret_cleared: the cache was emptied for it and every older number is void.
 */
static uint32_t state_of_set(struct regex_matcher *m, bool *ret_cleared)
{
    *ret_cleared = false;
    if (m->set_count == 0)
        return DFA_DEAD;
    qsort(m->set, m->set_count, sizeof *m->set, by_number);
    if (m->state_count >= m->max.states || m->member_count + m->set_count > m->max.members) {
        clear_cache(m);
        *ret_cleared = true;
    }
    size_t slots = 2 * m->max.states;
    size_t at = hash64_seed(m->set, m->set_count * sizeof *m->set, m->seed) % slots;
    for (; m->buckets[at]; at = (at + 1) % slots)
        if (set_is(m, &m->states[m->buckets[at]]))
            return m->buckets[at];
    return m->buckets[at] = new_state(m);
}

static uint32_t start_state(struct regex_matcher *m)
{
    bool cleared;
    if (m->start == DFA_UNKNOWN) {
        begin_set(m);
        add_closure(m, m->re->start);
        m->start = state_of_set(m, &cleared);
    }
    return m->start;
}

/* All bytes of a class go the same way, so one of them is tried for all. */
static uint32_t make_transition(struct regex_matcher *m, uint32_t from, uint8_t class)
{
    uint8_t byte = m->re->sample[class];
    const struct dfa_state *s = &m->states[from];
    if (m->goes_on && !m->goes_on(m->arg, (size_t)s->count * SET_UNITS + TRANSITION_UNITS))
        return DFA_DEAD;
    begin_set(m);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct regex_state *n = &m->re->states[m->members[s->members + i]];
        if (n->kind == NFA_BYTES && byte >= n->low && byte <= n->high)
            add_closure(m, n->out);
    }
    bool cleared;
    uint32_t to = state_of_set(m, &cleared);
    if (!cleared)
        m->table[from * m->re->class_count + class] = to;
    return to;
}

/* The arrays whose size is fixed by the expression. */
static size_t scratch_bytes(const struct regex *re)
{
    return 4 * (re->state_count + 1) * sizeof(uint32_t);
}

struct regex_matcher *regex_matcher_new(const struct regex *re, size_t cache_bytes,
                                        regex_goes_on *goes_on, void *arg)
{
    struct regex_matcher *m = xcalloc(1, sizeof *m);
    m->re = re;
    m->seed = random_u64();
    m->goes_on = goes_on;
    m->arg = arg;
    m->max = limits_of(re, cache_bytes);
    m->states = xcalloc(m->max.states, sizeof *m->states);
    m->buckets = xcalloc(2 * m->max.states, sizeof *m->buckets);
    m->set = xmalloc((re->state_count + 1) * sizeof *m->set);
    m->stack = xmalloc((2 * re->state_count + 2) * sizeof *m->stack);
    m->seen = xcalloc(re->state_count + 1, sizeof *m->seen);
    clear_cache(m);
    return m;
}

size_t regex_matcher_bytes(const struct regex_matcher *m)
{
    return sizeof *m + m->max.states * (sizeof *m->states + 2 * sizeof *m->buckets) +
           m->table_cap * sizeof *m->table + m->member_cap * sizeof *m->members +
           scratch_bytes(m->re);
}

size_t regex_matcher_most(const struct regex *re, size_t cache_bytes)
{
    struct dfa_limits max = limits_of(re, cache_bytes);
    return sizeof(struct regex_matcher) + scratch_bytes(re) + max.members * sizeof(uint32_t) +
           max.states * (sizeof(struct dfa_state) + (2 + re->class_count) * sizeof(uint32_t));
}

void regex_matcher_free(struct regex_matcher *m)
{
    if (!m)
        return;
    free(m->states);
    free(m->members);
    free(m->buckets);
    free(m->table);
    free(m->set);
    free(m->stack);
    free(m->seen);
    free(m);
}

/* The dead state ends it early: most texts differ from what is wanted in their first bytes. */
bool regex_matches(struct regex_matcher *m, struct str text)
{
    uint32_t at = start_state(m);
    for (size_t i = 0; i < text.n && at != DFA_DEAD; i++) {
        uint8_t class = m->re->class_of[(uint8_t)text.p[i]];
        uint32_t to = m->table[at * m->re->class_count + class];
        at = to != DFA_UNKNOWN ? to : make_transition(m, at, class);
    }
    return m->states[at].is_match;
}
