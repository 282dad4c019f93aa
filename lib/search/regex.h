#ifndef SEARCH_REGEX_H
#define SEARCH_REGEX_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

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
 * Errors     ERR_INVALID: does not parse.  ERR_TOO_LARGE: the automaton is too big.
 * Trust      Expressions come from strangers; a match costs O(text * states) at worst.
 * Threads    struct regex is immutable; a matcher belongs to one thread.
 */
enum {
    REGEX_STATES_MAX = 10000,
    REGEX_NODES_MAX = 8000,
    REGEX_ARENA_BYTES = 1 << 20, /* one compilation takes less */
};

struct regex;
struct regex_matcher;

bool regex_compile(struct arena *a, struct str expression, const struct regex **ret,
                   struct err *err);

/*
 * deadline_ms on the monotonic clock: after it regex_matches gives up and answers false;
 * whoever sets one looks at the clock, too.  INT64_MAX for none.
 */
struct regex_matcher *regex_matcher_new(const struct regex *re, int64_t deadline_ms);
void regex_matcher_free(struct regex_matcher *m);
/* Whether the whole text matches. */
bool regex_matches(struct regex_matcher *m, struct str text);

#endif
