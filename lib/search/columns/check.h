#ifndef SEARCH_COLUMNS_CHECK_H
#define SEARCH_COLUMNS_CHECK_H

#include "lib/search/columns/root.h"
#include "lib/search/columns/sums.h"

/*
 * check - whether a partition is what was written, byte by byte and in its meaning.
 *
 * Errors     ERR_DAMAGED: damage.  ERR_NOT_FOUND: files are gone, because the partition was
 * replaced or because it is damaged; the caller looks at the table.  ERR_UNAVAILABLE: told to stop.
 * Threads    Writers may be at work; needs no lock.
 */

/* The bytes: against the sums of the last sync, and against those of all bytes if it rests. */
bool check_sums(const struct root *r, const struct part *p, const struct index_pace *pace,
                struct err *err);
/*
 * The meaning, over the snapshot of r: each row inside its zone, each crash found through the hash
 * and its row, no crash there twice, each text found by its dictionary.
 */
bool check_meaning(struct root *r, struct part *p, const struct index_pace *pace,
                   uint64_t *ret_live, struct err *err);
/* What the root's head has behind its end, which must be nothing. */
bool check_root(const struct root *r, struct err *err);

#endif
