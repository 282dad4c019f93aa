#ifndef SEARCH_COLUMNS_FILLING_H
#define SEARCH_COLUMNS_FILLING_H

#include "lib/search/columns/root.h"

/*
 * filling - what the head remembers of a filling from the store (decision 098).
 *
 * filling_begin: *ret_losses 0 if nothing is lost; else say so again to filling_end when all
 * crashes have been looked at.  An empty index of an installation that has crashes is one whose
 * weeks are all missing.  Each takes the lock for itself.
 */
bool filling_begin(struct root *r, uint64_t crashes, uint64_t *ret_losses, struct err *err);
bool filling_progress(struct root *r, uint64_t looked, uint64_t put, struct err *err);
bool filling_end(struct root *r, uint64_t losses, struct err *err);

#endif
