#ifndef STORE_MARK_H
#define STORE_MARK_H

#include "lib/base/err.h"

/*
 * mark - a file in the root of a directory tree that says whose it is: DIR/.datil-store holds the
 * installation's id, which the database keeps, too.
 *
 * Without it an unmounted file system cannot be told from an empty store: programs would make a
 * new tree below the mount point, take every report for lost, and hide all of it when the file
 * system comes back.
 *
 * Errors     mark_check: ERR_UNAVAILABLE, since a file system that is away may come back.  The
 *            message names the directory, so it is for logs and administrators only.
 * Threads    No state.
 */
enum { INSTALLATION_ID_LEN = 32, INSTALLATION_ID_SIZE = INSTALLATION_ID_LEN + 1 };

/* id NULL or empty: any mark will do (the database was not reached yet). */
bool mark_check(const char *dir, const char *id, struct err *err);
/* ERR_NOT_FOUND: there is none. */
bool mark_read(const char *dir, char ret_id[INSTALLATION_ID_SIZE], struct err *err);
/* Makes the directory if need be; a mark that is there is replaced. */
bool mark_write(const char *dir, const char *id, struct err *err);

#endif
