#ifndef SEARCH_REGEX_H
#define SEARCH_REGEX_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * regex - regular expressions of Super Search, matched in linear time.
 *
 * The language is the one users know from Lucene: anchored at both ends, "." is any
 * character, ^ and $ are ordinary, "literal", @ (any string), # (no string), <n-m>
 * (decimal interval), classes, \d \w \s.  Complement ~ and intersection & are refused.
 *
 * How        Expression -> tree -> byte-wise Thompson automaton (UTF-8 ranges) -> DFA
 *            built while matching, in a cache of bounded size that is emptied when full.
 * Ownership  regex_compile allocates in the arena, once, with a bounded size; a matcher
 *            owns its cache.
 * Memory     Compiling takes less than REGEX_ARENA_BYTES of the arena, whatever the expression;
 *            a matcher less than regex_matcher_most() says.  Tests and the fuzz target hold both
 *            to it.
 * Errors     ERR_INVALID: does not parse.  ERR_TOO_LARGE: the automaton is too big.
 * Trust      Expressions come from strangers; a match costs O(text * states) at worst.
 * Threads    struct regex is immutable; a matcher belongs to one thread.
 */
enum {
    /*
     * A state takes 12 bytes, a node 56 and its ranges about 16: together 700 kB at most, which
     * REGEX_ARENA_BYTES rounds up.  What people write needs some tens or hundreds of each.
     */
    REGEX_STATES_MAX = 10000,
    REGEX_NODES_MAX = 8000,
    REGEX_ARENA_BYTES = 1 << 20, /* one compilation takes less */
    REGEX_CACHE_BYTES = 8 << 20, /* for a matcher that is alone: 4096 states of most expressions */
};

struct regex;
struct regex_matcher;

bool regex_compile(struct arena *a, struct str expression, const struct regex **ret,
                   struct err *err);

/* Of the automaton: what a set of them costs goes by the sum. */
size_t regex_state_count(const struct regex *re);

/*
 * Asked while new states are made, with the work since the last time in NFA states stepped through:
 * false ends the match, which then answers false; whoever gives this knows.
 */
typedef bool regex_goes_on(void *arg, size_t units);

/*
 * cache_bytes is for the states built while matching; fewer make it slower, never wrong.
 * goes_on NULL: always.
 */
struct regex_matcher *regex_matcher_new(const struct regex *re, size_t cache_bytes,
                                        regex_goes_on *goes_on, void *arg);
void regex_matcher_free(struct regex_matcher *m);
/* Bytes that it takes now, and the most that it will ever take. */
size_t regex_matcher_bytes(const struct regex_matcher *m);
size_t regex_matcher_most(const struct regex *re, size_t cache_bytes);
/* Whether the whole text matches. */
bool regex_matches(struct regex_matcher *m, struct str text);

#endif
