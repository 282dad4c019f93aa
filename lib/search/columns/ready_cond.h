#ifndef SEARCH_COLUMNS_READY_COND_H
#define SEARCH_COLUMNS_READY_COND_H

#include "lib/base/arena.h"
#include "lib/search/columns/cost.h"
#include "lib/search/query.h"

/*
 * ready_cond - a condition on texts made ready for a search, and how those of a field are joined.
 *
 * Ownership  Lies in the arena of the search; ready_cond_release frees the automata.
 * Threads    One: matching makes states.
 */
struct ready_cond {
    const struct cond *cond;
    const struct search_field *field;
    struct wildcard *wildcards;      /* parallel to cond->values where the operator needs it */
    struct regex_matcher **matchers; /* likewise */
    struct ready_cond *steps;        /* parallel to cond->steps */
};

/* Of one whose cond and field are set.  cache_bytes: for each expression.  False: the search must
 * end. */
bool ready_cond_init(struct arena *a, struct ready_cond *rc, size_t cache_bytes, struct cost *cost);
void ready_cond_release(struct ready_cond *rc);

/*
 * Whether the text matches one of the values, before negation; not for COND_FRAMES, whose steps are
 * asked one by one.  False also when the search must end; callers that go on look at the cost.
 */
bool ready_cond_text(const struct ready_cond *rc, struct str text, struct cost *cost);

/* What the conditions of a field say together; results: of each before negation. */
bool filter_fold(const struct filter *f, const bool *results);
/* Of a row without a value: only "is missing" holds. */
bool filter_of_absent(const struct filter *f, bool *results);

#endif
