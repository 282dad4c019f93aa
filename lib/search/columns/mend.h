#ifndef SEARCH_COLUMNS_MEND_H
#define SEARCH_COLUMNS_MEND_H

#include "lib/search/columns/root.h"

/*
 * mend - the head of an index that has none, a damaged one, or one of another version.
 *
 * mend_head  Called below the lock of the directory.  The new head is another file, so every
 * process that has mapped the old one notices.  What is lost is counted in it (`losses`), and the
 * index keeper fills it from the store. An index that this process has seen here (was_there) is no
 * new installation.
 */
bool mend_head(const struct root *r, const char *why, struct err *err);

/*
 * Filling.  mend_fill_begin: *ret_losses 0 if nothing is lost; else say so again to mend_filled
 * when all crashes have been looked at.  An empty index of an installation that has crashes is one
 * whose weeks are all missing.
 */
bool mend_fill_begin(struct root *r, uint64_t crashes, uint64_t *ret_losses, struct err *err);
bool mend_fill_progress(struct root *r, uint64_t looked, uint64_t put, struct err *err);
bool mend_filled(struct root *r, uint64_t losses, struct err *err);

#endif
