#ifndef SEARCH_COLUMNS_PACK_H
#define SEARCH_COLUMNS_PACK_H

#include "lib/search/columns/part.h"
#include "lib/search/index.h"

/*
 * pack - the rows of a partition as a packed one of another revision.
 *
 * pack_part  The live rows of the snapshot that `old` is fixed to, every column of it in use.  The
 *            new partition is whole but for its row count, its seal is open, and what comes later
 * is appended to it (write_append).  row_in_new[row of old]: row + 1, 0 for dead ones. Errors
 * ERR_DAMAGED: `old` does not hold what it should.  ERR_INTERNAL: what was written does not read as
 * what it was made of.  ERR_UNAVAILABLE: told to stop.  *ret is NULL then, and the folder is for
 * the caller to remove.
 */
bool pack_part(const char *dir, struct part *old, uint32_t revision, const struct index_pace *pace,
               uint32_t *row_in_new, struct part **ret, uint64_t *ret_rows, struct err *err);

#endif
