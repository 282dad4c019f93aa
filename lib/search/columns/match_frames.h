#ifndef SEARCH_COLUMNS_MATCH_FRAMES_H
#define SEARCH_COLUMNS_MATCH_FRAMES_H

#include "lib/search/columns/part.h"
#include "lib/search/columns/ready_cond.h"

/*
 * match_frames - the table of a partition for a field of frames: of each list of its column,
 * which is in use, what the conditions say together.
 *
 * Errors     False: the search must end; err says why.
 */
bool frames_table(const struct filter *f, const struct ready_cond *conds, struct column *c,
                  uint8_t *table, struct cost *cost, struct err *err);

#endif
