#ifndef SEARCH_COLUMNS_RUN_H
#define SEARCH_COLUMNS_RUN_H

#include "lib/search/columns/run_state.h"

/*
 * run - one query over a snapshot.
 *
 * Rows are selected block by block (zone map, then one filter after the other shrinks a
 * vector of row numbers).  Each block goes to the aggregations of the first level and to
 * the sorter.  Aggregations below need to know which buckets of their parents are kept, so
 * each further level is one more pass over the selected rows.
 *
 * Over the snapshot taken before.  Its errors are the asker's (ERR_INVALID, ERR_ABANDONED), or
 * damage.  False with *ret_outdated set, and no error: the partitions changed meanwhile; take a new
 * snapshot and ask again.
 */
bool run_query(struct reader *r, const struct search_query *q, const struct search_limits *limits,
               bool *ret_outdated, json_t **ret, struct err *err);

/* Every row of the query, one after the other; the same in all else. */
bool run_each(struct reader *r, const struct search_query *q, const struct search_limits *limits,
              search_each_hit *each, void *arg, size_t *ret_missing_weeks, bool *ret_outdated,
              struct err *err);

/* The rows of the query as a sample; the same in all else. */
struct sample;
struct sample_values;
bool run_sample(struct reader *r, const struct search_query *q, const struct search_limits *limits,
                struct sample_values *values, size_t max, bool *ret_outdated, struct sample *ret,
                struct err *err);

#endif
