#ifndef SYMFILE_SYMFETCHED_H
#define SYMFILE_SYMFETCHED_H

#include "lib/symfile/sources.h"
#include "lib/symfile/symstore.h"

/*
 * symfetched - what another server has sent becomes a file of the area cache, with its .csym, if it
 * is what was asked for.
 *
 * Trust      Only the sandboxed reader looks at the bytes; the module that the text names must be
 *            the one that was wanted.
 */

/* wants_rows: the store has a database (fetched_rows.h).  FOUND: it is stored, and file->key is
 * whose symbols it has.  file->fd stays the caller's. */
enum symfind_answer symfetched_store(const struct symstore *store, const struct sources_wish *wish,
                                     bool wants_rows, struct sources_file *file);

#endif
