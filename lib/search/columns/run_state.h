#ifndef SEARCH_COLUMNS_RUN_STATE_H
#define SEARCH_COLUMNS_RUN_STATE_H

#include "lib/search/columns/match.h"
#include "lib/search/search.h"

/*
 * run_state - what a search holds while it runs; run.c drives it, agg*.c, row_sort.c and hits.c
 * each have their part of it.
 *
 * Ownership  All but the reader and the query ends with the search.  The reader stays: its mappings
 *            and its numberings (unify.h) are what makes the next search fast.
 * Errors     Functions of these files that can fail do so because the search must end; the reason
 *            is in run->cost, and whoever is at the top turns it into words (cost_error).
 */
struct reader {
    struct root *root;
    struct unify **unify; /* by id of a field, NULL until needed */
    uint64_t parts_epoch; /* the unified numberings belong to */
};

/*
 * One for each lane (lanes.h).  What is counted is counted in each and added up in the first, which
 * alone knows the reader's numberings, the partitions and the answer.
 */
struct run {
    struct run *lead; /* the first lane's; its own there */
    struct reader *reader;
    struct root *root;
    const struct search_query *query;
    struct cost cost;
    struct arena arena;
    uint64_t total;
    uint64_t weight;           /* of all of them, in thousandths (agg_marks.h) */
    size_t row_units;          /* work for a row that is looked at */
    bool part_used[PARTS_MAX]; /* of the lead: lies in the range and can be read */
    struct agg_node *aggs;
    struct sorter *sorter;
    struct sampler *sampler; /* of a sample, which has neither aggregations nor hits */
    search_each_hit *each;   /* of a walk over all reports, which has neither, too */
    void *each_arg;
    size_t *each_missing; /* told before the first hit */
    struct ready_filter *filters;
    struct strs missing; /* names of partitions that could not be read */
    struct err err;      /* why this lane has stopped */
};

/* A selected block of one partition. */
struct block {
    size_t part;
    const uint32_t *rows;
    size_t n;
};

/* A row that is shown. */
struct place {
    uint32_t part, row;
};

/* The numbering of a field, made when it is first asked for. */
struct unify *run_unify_of(struct run *run, const struct search_field *f);
/* The same, with all partitions of the search in it.  NULL: the search must end. */
struct unify *run_unify(struct run *run, const struct search_field *f);

/* Before and after a search: numberings of closed partitions go, and what it has made too large. */
void reader_begin_search(struct reader *r);
void reader_end_search(struct reader *r);

#endif
