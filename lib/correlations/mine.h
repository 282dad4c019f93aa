#ifndef CORRELATIONS_MINE_H
#define CORRELATIONS_MINE_H

#include "lib/base/vec.h"
#include "lib/correlations/traits.h"

/*
 * mine - which properties, and pairs of them, are much more or much less frequent in the group.
 *
 * Ownership  Results point at the items.
 */
struct correlation {
    const struct trait *items[2]; /* the second NULL: a single property */
    uint32_t count[SET_COUNT];
    /* How it looks among the crashes that have another property which may explain it; or NULL. */
    const struct trait *prior;
    uint32_t prior_count[SET_COUNT]; /* with both */
    double at_least;                 /* difference of shares, by which they are ordered */
};

struct correlation_list {
    VEC(struct correlation) all; /* as people read them: the simple and certain ones first */
};

/* Asked every few thousand pairs; false ends the mining. */
struct mine_pace {
    bool (*goes_on)(void *arg);
    void *arg;
};

/* False: the pace said stop. */
bool mine(const struct traits *items, const struct mine_pace *pace, struct correlation_list *ret);
void correlation_list_release(struct correlation_list *list);

#endif
