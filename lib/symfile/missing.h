#ifndef SYMFILE_MISSING_H
#define SYMFILE_MISSING_H

#include "lib/db/db.h"
#include "lib/symfile/symkey.h"

/*
 * missing - symbols that were wanted in vain, counted in memory and written in one statement
 * every few seconds: most requests are for symbols that nobody has, and every crash names some.
 *
 * Ownership  One per process; missing_free drops what was not written.
 * Errors     What cannot be written now is tried again later, and lost when the process ends: it
 *            is a wish list, not a ledger.  A process that is killed loses ten seconds of it.
 * Limits     A number of different symbols between two writes; beyond it the rest is not counted.
 */
struct missing;

struct missing *missing_new(void);
void missing_free(struct missing *m);
/* Who wanted it: all may be empty, for who asks over HTTP says nothing of it. */
struct missing_about {
    struct str code_file, code_id;
    struct str product, version; /* of the crash; the last ones stay in the table */
};
/* Names that no build could have are left out. */
void missing_record(struct missing *m, const struct symkey *key, const struct missing_about *about);
/* Milliseconds until what is there wants to be written, 0: now, -1: there is nothing. */
int missing_due_ms(const struct missing *m);
/* Writes what is there when it is due, or always with `now`. */
void missing_flush(struct missing *m, struct db *db, bool now);

#endif
