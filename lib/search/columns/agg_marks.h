#ifndef SEARCH_COLUMNS_AGG_MARKS_H
#define SEARCH_COLUMNS_AGG_MARKS_H

#include "lib/search/columns/agg_node.h"

/*
 * agg_marks - what is known of a bucket beside the number of its reports: how many installations
 * they come from, and how many reports there would be without sampling.  Only searches that ask for
 * it pay for it.
 *
 * A mark is the number of a pair of slot and id, from 1.  Installations are different values of
 * `install_time`, counted exactly like a cardinality inside a bucket.  An estimate is the sum of
 * 1 / throttle_rate in thousandths, which makes it the same whatever the order of rows.
 *
 * Errors     False: the search must end.
 */
/* Of the pairs of the block that the node has just counted. */
bool agg_marks_add(struct agg_node *node, const struct part *p);
bool agg_marks_join(struct agg_node *lead, const struct agg_node *node);
/* Once all is counted: the numbers by mark. */
bool agg_marks_end(struct agg_node *node);
uint32_t agg_mark_of(const struct agg_node *node, uint32_t slot, uint32_t id);
size_t agg_marks_bytes(const struct agg_node *node);
void agg_marks_release(struct agg_node *node);

/* The rows of a block, each as what it stands for, in thousandths. */
uint64_t agg_weight_of_rows(const struct search_query *q, const struct part *p,
                            const uint32_t *rows, size_t n);
/* Thousandths as a number of reports. */
static inline int64_t weight_reports(uint64_t thousandths)
{
    return (int64_t)((thousandths + 500) / 1000);
}

#endif
