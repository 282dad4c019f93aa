#ifndef SYMFILE_FETCHED_ROWS_H
#define SYMFILE_FETCHED_ROWS_H

#include "lib/db/db.h"
#include "lib/symfile/symstore.h"

/*
 * fetched_rows - rows for files of the area cache.  Who fetches them has no database, so it leaves
 * a note in the store, with all that rows need; whoever has one takes the notes soon after.
 *
 * Errors     A note that is lost costs a row until verify-storage finds the file (once a week).
 * Processes  Many may write notes; one at a time takes them.
 */

/* Of a file that was committed. */
bool fetched_rows_note(const struct symstore *store, const struct symstore_new *file,
                       struct err *err);

/* Takes what there is, or nothing while somebody else does; cheap when there is nothing. */
bool fetched_rows_add(struct db *db, const char *store_dir, size_t *ret_added, struct err *err);

#endif
