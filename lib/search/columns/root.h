#ifndef SEARCH_COLUMNS_ROOT_H
#define SEARCH_COLUMNS_ROOT_H

#include "lib/search/columns/root_parts.h"

/*
 * root - the index as a whole: its head, the lock, the opened partitions.
 *
 * Commit     One store of head->sequence.  Row counts and tombstones carry the sequence of
 *            their commit, so a reader that holds a sequence sees a fixed state of all
 *            partitions.
 * Lock       flock on DIR/lock.  The kernel drops it with the process; root_lock finishes or
 *            undoes what a dead writer left (struct intent).  Waiting ends after ten seconds with
 *            ERR_UNAVAILABLE.
 * Place      root_lock and root_refresh look whether the head that is mapped is still the one in
 *            the directory, and open everything again if not.  A writer that finds no head or a
 *            damaged one makes it anew (mend.h).
 * Ownership  root_free closes everything.
 */

/* Makes the index when is_writable and it is not there. */
bool root_open(const char *dir, const struct field_table *fields, bool is_writable,
               struct root **ret, struct err *err);
void root_free(struct root *r);

bool root_lock(struct root *r, struct err *err);
void root_unlock(struct root *r);

/* Opens what is new, closes what has been replaced.  A reader notes what it cannot read. */
bool root_refresh(struct root *r, struct err *err);

/* A consistent state of all partitions: each is fixed to it (part_use). */
bool root_snapshot(struct root *r, struct err *err);

#endif
