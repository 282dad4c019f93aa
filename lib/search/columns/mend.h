#ifndef SEARCH_COLUMNS_MEND_H
#define SEARCH_COLUMNS_MEND_H

#include "lib/search/columns/root_parts.h"

/*
 * mend - the head of an index that has none, a damaged one, or one of another version.
 *
 * mend_head  Called under the lock of the directory.  The new head is another file, so every
 * process that has mapped the old one notices.  What is lost is counted in it (`losses`), and the
 * index keeper fills it from the store. An index that this process has seen here (was_there) is no
 * new installation.
 */
bool mend_head(const struct root *r, const char *why, struct err *err);

#endif
