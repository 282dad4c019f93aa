#ifndef SEARCH_COLUMNS_RUN_H
#define SEARCH_COLUMNS_RUN_H

#include "lib/search/columns/match.h"

/*
 * run - one query over a snapshot.
 *
 * Rows are selected block by block (zone map, then one filter after the other shrinks a
 * vector of row numbers).  Each block goes to the aggregations of the first level and to
 * the sorter.  Aggregations below need to know which buckets of their parents are kept, so
 * each further level is one more pass over the selected rows.
 */
struct reader {
    struct root *root;
    struct unify **unify; /* by id of a field, NULL until needed */
    uint64_t parts_epoch; /* the unified numberings belong to */
};

struct run {
    struct reader *reader;
    struct root *root;
    const struct search_query *query;
    struct cost cost;
    struct arena arena;
    uint64_t total;
    size_t row_units;          /* work for a row that is looked at */
    bool part_used[PARTS_MAX]; /* lies in the range and can be read */
    struct agg_node *aggs;
    struct sorter *sorter;
    struct ready_filter *filters;
    struct strs missing; /* names of partitions that could not be read */
};

/* NULL: the search must end. */
struct unify *run_unify(struct run *run, const struct search_field *f);

/* A selected block of one partition. */
struct block {
    size_t part;
    const uint32_t *rows;
    size_t n;
};

struct agg_node;
/*
 * Every function that can fail does so because the search must end: the reason is in run->cost.
 * agg_prepare makes the tree and numbers the values of its string fields.
 */
bool agg_prepare(struct run *run);
size_t agg_depth(const struct run *run);
bool agg_block(struct run *run, size_t level, const struct block *b);
bool agg_end_part(struct run *run, size_t level, size_t part);
/* Chooses the buckets of a level. */
bool agg_end_level(struct run *run, size_t level);
/* Less than everything when the search must end. */
json_t *agg_json(struct run *run);
void agg_release(struct run *run);

struct sorter;
bool sort_prepare(struct run *run);
bool sort_block(struct run *run, const struct block *b);
void sort_release(struct run *run);
struct place {
    uint32_t part, row;
};
/* The rows of the page, in order, in the run's arena.  False: the search must end. */
bool sort_page(struct run *run, struct place **ret, size_t *ret_n);

/* Less than everything when the search must end. */
json_t *hits_json(struct run *run);

/*
 * Over the snapshot taken before.  Its errors are the asker's: ERR_INVALID.  False with
 * *ret_outdated set, and no error: the partitions changed meanwhile; take a new snapshot and ask
 * again.
 */
bool run_query(struct reader *r, const struct search_query *q, const struct search_limits *limits,
               bool *ret_outdated, json_t **ret, struct err *err);

#endif
