#ifndef SEARCH_COLUMNS_HITS_H
#define SEARCH_COLUMNS_HITS_H

#include "lib/search/columns/run_state.h"

/* hits - the reports of the page as JSON.  Less than all of them when the search must end. */
json_t *hits_json(struct run *run);
/* Each row of a block to run->each.  False: the search must end. */
bool hits_of_block(struct run *run, const struct block *b);

#endif
