#ifndef SEARCH_FACET_KIND_H
#define SEARCH_FACET_KIND_H

#include "lib/base/str.h"
#include "lib/search/query.h"

/*
 * facet_kind - what may stand in front of a field's name where an aggregation is asked for, as
 * `_p95.` of `_p95.uptime`.  One table for those who read, clean and show it.
 */
struct facet_kind {
    struct str prefix; /* "_p95." */
    const char *key;   /* "p95_": in front of the field's name in the answer */
    enum agg_kind kind;
    enum agg_figure figure; /* of AGG_SUMS */
    unsigned percent;       /* of AGG_PERCENTILES */
};

/* Takes the prefix off the front of *spelled; that of AGG_TERMS is empty. */
const struct facet_kind *facet_kind_take(struct str *spelled);

/* The rows, for pages that tell what there is. */
const struct facet_kind *facet_kinds(size_t *ret_n);

#endif
