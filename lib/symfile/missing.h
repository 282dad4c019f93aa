#ifndef SYMFILE_MISSING_H
#define SYMFILE_MISSING_H

#include "db/db.h"
#include "symfile/symkey.h"

/*
 * missing - symbols that were wanted in vain, counted in memory and written in one statement
 * every few seconds: most requests are for symbols that nobody has, and every crash names some.
 *
 * Ownership  One per process; missing_free drops what was not written.
 * Errors     What cannot be written is lost: it is a wish list, not a ledger.
 * Limits     A number of different symbols between two writes; beyond it the rest is not counted.
 */
struct missing;

struct missing *missing_new(void);
void missing_free(struct missing *m);
/* Names that no build could have are left out. */
void missing_record(struct missing *m, const struct symkey *key, struct str code_file,
                    struct str code_id);
/* Writes what is there when it is old or much, or always with `now`. */
void missing_flush(struct missing *m, struct db *db, bool now);

#endif
