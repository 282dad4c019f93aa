#ifndef SEARCH_COLUMNS_AGG_NUMBERS_H
#define SEARCH_COLUMNS_AGG_NUMBERS_H

#include "lib/search/columns/agg_node.h"

/*
 * agg_numbers - figures of a number field in each slot: sums of all kinds, and percentiles.
 *
 * Sums       Of whole numbers exact (128 bits), of doubles with the precision of long double.
 * Percentile The smallest value that at least so many percent of the values do not exceed.  Exact
 *            while a search holds no more than its limit of different (slot, value); beyond, values
 *            are rounded first and the answer says by how much at most (ROUNDED_ERROR).  Which of
 *            both depends on the data alone, not on threads or on how the index lies on disk.
 * Errors     False: the search must end.
 */
#define ROUNDED_ERROR 0.00390625 /* 1/256: half a step of eight significant bits */

bool agg_sums_begin(struct agg_node *node);
bool agg_sums_add(struct agg_node *node, const struct column *c, const uint32_t *rows,
                  const uint32_t *slots, size_t n);
bool agg_sums_join(struct agg_node *lead, const struct agg_node *node);
size_t agg_sums_bytes(const struct agg_node *node);

/* Bits of a number of the field, rounded to eight significant bits. */
uint64_t agg_rounded(const struct search_field *f, uint64_t bits);
/* After each block and each join: rounds once there are too many different values. */
bool agg_percentiles_bound(struct agg_node *node);
/* From now on rounded. */
bool agg_percentiles_round(struct agg_node *node);
/* The percentiles of all slots, once everything has been counted. */
bool agg_percentiles_end(struct agg_node *node);

/* {"value": N} for each number of the node, under its key; null where no row has a value. */
void agg_numbers_json(const struct agg_node *node, size_t slot, json_t *out);

#endif
