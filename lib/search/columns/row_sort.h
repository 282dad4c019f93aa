#ifndef SEARCH_COLUMNS_ROW_SORT_H
#define SEARCH_COLUMNS_ROW_SORT_H

#include "lib/search/columns/run_state.h"

/* row_sort - the first rows in the order that was asked for, of all blocks it is shown. */
bool sort_prepare(struct run *run);
/* The same for another lane, behind the lead. */
bool sort_prepare_lane(struct run *run);
/* The rows that the lane has kept go to the lead. */
void sort_join(struct run *lead, struct run *lane);
bool sort_block(struct run *run, const struct block *b);
/* The rows of the page, in order, in the run's arena.  False: the search must end. */
bool sort_page(struct run *run, struct place **ret, size_t *ret_n);
void sort_release(struct run *run);

#endif
