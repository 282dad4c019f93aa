#ifndef SEARCH_COLUMNS_COST_H
#define SEARCH_COLUMNS_COST_H

#include <pthread.h>

#include "lib/search/engine.h"

/*
 * cost - what one search has used so far, and whether it may go on.
 *
 * Whatever takes time tells how much work it does, whatever holds memory how many bytes, whatever
 * makes an answer how many buckets.  The first limit that is crossed ends the search: from then
 * on every question here is answered with "no", so deep loops just return, and the reason is
 * turned into words once, at the top (cost_error).
 *
 * Units      One unit of work is about what a byte compared or a row counted takes, a nanosecond
 *            or a few.  Clock and asker are looked at every COST_LOOK_EVERY units, that is every
 *            millisecond or so, and the asker at most every COST_ASK_MS.
 * Threads    Each of a search has a struct cost of its own; cost_share lets them have one account.
 *            What ends one ends the others at their next look.  Only the first asks for the asker.
 */
enum {
    COST_LOOK_EVERY = 1 << 18,
    COST_ASK_MS = 20,
};

enum cost_end { COST_GOES_ON, COST_LATE, COST_ABANDONED, COST_BYTES, COST_BUCKETS };

/* What all threads of a search have used together. */
struct cost_account {
    pthread_mutex_t lock;
    enum cost_end end;
    size_t bytes_held;
    size_t buckets; /* of the whole answer */
};

struct cost {
    const struct search_limits *limits;
    enum cost_end end;
    size_t work;      /* since the last look at the clock */
    int64_t asked_ms; /* when the asker was looked for */
    struct cost_account *account;
    struct cost_account own; /* of the first */
};

/* The struct stays where it is while the search lasts. */
void cost_begin(struct cost *c, const struct search_limits *limits);
void cost_share(struct cost *c, const struct cost *first);
/* Fills *err with what ended the search; false. */
bool cost_error(const struct cost *c, struct err *err);

/* Looks at the clock and for the asker at once; false: stop. */
bool cost_look(struct cost *c);
bool cost_hold(struct cost *c, size_t bytes);
void cost_give_back(struct cost *c, size_t bytes);
bool cost_buckets(struct cost *c, size_t n);

/* False: stop. */
static inline bool cost_work(struct cost *c, size_t units)
{
    c->work += units;
    if (__builtin_expect(c->work < COST_LOOK_EVERY, 1))
        return true;
    return cost_look(c);
}

#endif
