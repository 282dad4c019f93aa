#ifndef SEARCH_COLUMNS_ROOT_H
#define SEARCH_COLUMNS_ROOT_H

#include "lib/search/columns/part.h"

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
struct root {
    char *dir;
    const struct field_table *fields; /* borrowed */
    bool is_writable;
    int lock_fd;
    struct mfile head;
    struct root_head *h;           /* NULL: reader of an index that does not exist (any more) */
    bool was_there;                /* there has been a head since root_open */
    struct part *open;             /* whose seals are open, till root_unlock */
    uint64_t stamp;                /* of the table of partitions as opened */
    struct part *parts[PARTS_MAX]; /* parallel to the table; NULL: none, not opened or damaged */
    bool is_damaged[PARTS_MAX];    /* could not be read */
    size_t part_count;
    int64_t retry_ms;     /* when to look at damaged ones again */
    uint64_t parts_epoch; /* changes when a struct part is closed or opened */
};

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

/* For writers, below the lock. */
/* Before the first store into the head of a partition: ERR_DAMAGED if it is damaged. */
bool root_open_part(struct root *r, struct part *p, struct err *err);
struct part *root_part(struct root *r, int32_t week); /* NULL: none */
bool root_make_part(struct root *r, int32_t week, struct part **ret, struct err *err);
/* Takes a damaged partition out of use: its folder moves to DIR/aside/, the loss is counted. */
bool root_set_aside(struct root *r, size_t index, const char *why, struct err *err);
/* Moves DIR/name to DIR/aside/; a missing one is fine. */
bool root_move_aside(const char *dir, const char *name, struct err *err);

#endif
