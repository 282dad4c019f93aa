#ifndef SYMFILE_SYMINDEX_H
#define SYMFILE_SYMINDEX_H

#include "lib/symfile/symkey.h"

/*
 * symindex - from a debug id to a debug file that has symbols under it.
 *
 * A library is known by several names (libfoo.so.1.2.3 on disk, libfoo.so.1 as it calls
 * itself), and who makes symbols and who makes dumps may choose differently; the debug id is
 * the same.  One small file for each id, SYMBOLS_DIR/ids/<area>/<2 digits>/<ID>, holds one of
 * the names.
 *
 * Errors     None: an entry that cannot be written or read is as if it were not there, and a
 *            look-up by name does not need it.
 * Processes  Of two that add the same id at once, one wins.
 */

/*
 * Before the file gets its name: whoever is killed in between leaves an entry without a file, which
 * is not believed, and no file without an entry.  An entry whose file is still there stays.
 */
void symindex_add(const char *store_dir, bool is_try, const struct symkey *key);

/* The entry of an id, if it names this debug file; another's stays. */
void symindex_remove(const char *store_dir, bool is_try, const struct symkey *key);

/*
 * From a code file and id, which are all that some dumps of Windows know, to the module.  `area` is
 * the folder of the area in the store: "v1", "try/v1", "cache/v1".  As with debug ids an entry is
 * believed only while the file is there.
 */
void symindex_add_code(const char *store_dir, const char *area, const char *code_file,
                       const char *code_id, const struct symkey *key);
bool symindex_find_code(const char *store_dir, const char *area, const char *code_file,
                        const char *code_id, struct symkey *ret);

/* The same module under the name that the index knows.  False: none, or it is the same name. */
bool symindex_find(const char *store_dir, bool is_try, const struct symkey *key,
                   struct symkey *ret);

#endif
