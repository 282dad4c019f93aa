#ifndef SEARCH_COLUMNS_RUN_H
#define SEARCH_COLUMNS_RUN_H

#include "search/columns/match.h"

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
    struct unify **unify; /* search_field_count, NULL until needed */
    uint64_t parts_epoch; /* the unified numberings belong to */
};

struct run {
    struct reader *reader;
    struct root *root;
    const struct search_query *query;
    int64_t deadline_ms;
    struct arena arena;
    uint64_t total;
    bool part_used[PARTS_MAX]; /* lies in the range and can be read */
    struct agg_node *aggs;
    struct sorter *sorter;
    struct ready_filter *filters;
    struct strs missing; /* names of partitions that could not be read */
};

struct unify *run_unify(struct run *run, const struct search_field *f, struct err *err);

/* A selected block of one partition. */
struct block {
    size_t part;
    const uint32_t *rows;
    size_t n;
};

/* ---- agg.c ------------------------------------------------------------------------------ */
struct agg_node;
/* Prepares the tree; numbers the values of its string fields. */
bool agg_prepare(struct run *run, struct err *err);
size_t agg_depth(const struct run *run);
bool agg_block(struct run *run, size_t level, const struct block *b, struct err *err);
void agg_end_part(struct run *run, size_t level, size_t part);
/* Chooses the buckets of a level. */
bool agg_end_level(struct run *run, size_t level, struct err *err);
json_t *agg_json(struct run *run);
void agg_release(struct run *run);

/* ---- sort.c ----------------------------------------------------------------------------- */
struct sorter;
bool sort_prepare(struct run *run, struct err *err);
void sort_block(struct run *run, const struct block *b);
void sort_release(struct run *run);
struct place {
    uint32_t part, row;
};
/* The rows of the page, in order.  In the run's arena. */
struct place *sort_page(struct run *run, size_t *ret_n);

/* ---- hits.c ----------------------------------------------------------------------------- */
json_t *hit_json(struct run *run, struct place at);

/*
 * Over the snapshot taken before.  Its errors are the asker's: ERR_INVALID.  False with
 * *ret_outdated set, and no error: the partitions changed meanwhile; take a new snapshot and ask
 * again.
 */
bool run_query(struct reader *r, const struct search_query *q, int64_t deadline_ms,
               bool *ret_outdated, json_t **ret, struct err *err);

#endif
