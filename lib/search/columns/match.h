#ifndef SEARCH_COLUMNS_MATCH_H
#define SEARCH_COLUMNS_MATCH_H

#include "lib/search/columns/cost.h"
#include "lib/search/columns/ready_cond.h"
#include "lib/search/columns/unify.h"
#include "lib/search/query.h"
#include "lib/search/text.h"

/*
 * match - filters of a query made ready: for a string field a table from the codes of a
 * partition to the result of the whole fold of conditions, so that a row costs one look-up.
 *
 * A condition is evaluated once per distinct value of the field: per id of the unified
 * numbering, or per dictionary entry where nearly every row has a value of its own.
 */
/* By id of the numbering, for each condition: what was found out before the first row. */
struct memos {
    uint8_t **of_cond; /* enum memo_state by id */
    size_t id_count;
};

struct ready_filter {
    const struct filter *filter;
    struct unify *unify; /* string fields */
    struct ready_cond *conds;
    struct memos memos; /* owned by the filter of the first lane */
    bool owns_memos;
    /* of the partition at hand */
    struct column *column;
    uint8_t *table; /* by code, string and truth fields */
    size_t table_cap;
    bool matches_nothing; /* in this partition */
    bool matches_all;
    uint32_t only_code; /* not 0: just rows with this code */
    struct cost *cost;  /* of the search */
};

/* cache_bytes: for each regular expression.  False: the search must end. */
bool ready_filter_init(struct arena *a, struct ready_filter *r, const struct filter *f,
                       struct unify *u, size_t cache_bytes, struct cost *cost);
void ready_filter_release(struct ready_filter *r);

/*
 * Filters of several lanes for one filter of the query: whatever concerns all partitions is done
 * here, before any row, and shared.  is_used says which partitions are asked.
 */
bool ready_filters_share(struct ready_filter *const *lanes, size_t lane_count, struct root *root,
                         const bool *is_used, struct err *err);

/* Prepares for a partition.  False: the search must end (err says why) or the files are damaged. */
bool ready_filter_part(struct ready_filter *r, struct root *root, size_t part, struct err *err);

/* Keeps of rows[0..n), which are of one block, those that match; returns how many. */
size_t ready_filter_rows(const struct ready_filter *r, uint32_t *rows, size_t n);

#endif
