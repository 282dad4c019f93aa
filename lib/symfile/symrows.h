#ifndef SYMFILE_SYMROWS_H
#define SYMFILE_SYMROWS_H

#include "lib/db/db.h"
#include "lib/symfile/symstore.h"

/*
 * symrows - the database rows of stored symbols files: what they are found by beside their
 * name (code file and id), what they once were, and that nobody misses them any more.
 *
 * Errors     As db.  All rows of a call come into being, or none.
 */

/*
 * Rows for files that were committed, in one transaction.  A file that was there already gets
 * rows only if it has none: who stored it may have been killed before its rows were written.
 * upload_id NULL: it came from no upload.
 */
bool symrows_add(struct db *db, const char *upload_id, const struct symstore_new *news, size_t n,
                 struct err *err);

/*
 * Once for a store that is older than its index by code id (symindex.h), from the rows; cheap when
 * that was done.
 */
bool symrows_ensure_codes(struct db *db, const struct symstore *store, struct err *err);

#endif
