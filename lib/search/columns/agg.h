#ifndef SEARCH_COLUMNS_AGG_H
#define SEARCH_COLUMNS_AGG_H

#include "lib/search/columns/run_state.h"

/*
 * agg - facets, histograms and counts of distinct values, level by level.
 *
 * For each level, from 0: agg_block for every selected block, agg_end_part behind each partition,
 * agg_end_level at the end, which chooses the buckets that the next level counts in.
 */

/* Makes the tree and numbers the values of its string fields. */
bool agg_prepare(struct run *run);
/* The tree of another lane, which uses the numberings of the lead's. */
bool agg_prepare_lane(struct run *run);
/* What a lane has counted on this level, to the lead; before agg_end_level of the lead. */
bool agg_join(struct run *lead, struct run *lane, size_t level);
/* After it: the lane goes on below the buckets that the lead has chosen. */
bool agg_follow(struct run *lane, size_t level);
size_t agg_depth(const struct run *run);
bool agg_block(struct run *run, size_t level, const struct block *b);
bool agg_end_part(struct run *run, size_t level, size_t part);
bool agg_end_level(struct run *run, size_t level);
/* Less than everything when the search must end. */
json_t *agg_json(struct run *run);
void agg_release(struct run *run);

#endif
