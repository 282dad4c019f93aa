#ifndef SPOOL_SPOOL_H
#define SPOOL_SPOOL_H

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/crash/crash_id.h"

/*
 * spool - where an accepted report is between its sender's answer and the store.
 *
 *   tmp/RANDOM/       SPOOL_RECEIVING    on its way in (receive.h); nobody was told anything yet
 *   new/ID/           SPOOL_NEW          accepted: complete and synced; the mover's work
 *   moving/ID/        SPOOL_MOVING       the mover is carrying it to the store
 *   unpublished/ID/   SPOOL_UNPUBLISHED  in the store; the database did not take it yet
 *
 * An entry is a directory with the file `raw_crash` and one file `dump.NAME` for each file part.
 * It changes its state by one rename, always downwards in this list, so it is in exactly one state
 * whenever a process is killed, and who looks through the states in this order misses none. Nothing
 * is written to an entry once it is new; the mover takes files out of it, into the store.
 *
 * Only this module knows the names of the directories.
 *
 * Errors     ERR_UNAVAILABLE: the disk is full.  ERR_IO: it refused.
 * Threads    No state of its own; renames decide between processes.
 */
enum spool_state {
    SPOOL_RECEIVING,
    SPOOL_NEW,
    SPOOL_MOVING,
    SPOOL_UNPUBLISHED,
    SPOOL_STATES,
    SPOOL_ACCEPTED = SPOOL_NEW, /* from here on a report counts */
};

struct spool {
    const char *dir; /* absolute; borrowed from the configuration */
    int64_t min_free_bytes;
    bool no_fsync; /* tests only */
};
struct spool spool_of_conf(const struct conf *conf);

const char *spool_state_name(enum spool_state state); /* of its directory */

/* Makes the directories and proves that they can be written. */
bool spool_open(const struct spool *s, struct err *err);
bool spool_has_room(const struct spool *s, struct err *err);

enum { SPOOL_PATH_SIZE = 4096 }; /* PATH_MAX of Linux */
#define SPOOL_RAW_CRASH   "raw_crash"
#define SPOOL_DUMP_PREFIX "dump."
/* The directory of a state; of an entry; a file of an entry (id and file may be NULL). */
void spool_path(const struct spool *s, enum spool_state state, const char *id, const char *file,
                char out[SPOOL_PATH_SIZE]);
/* A file that the collector keeps beside the states: "recent", "mover.lock". */
void spool_path_beside(const struct spool *s, const char *name, char out[SPOOL_PATH_SIZE]);

/* Whether a report with this id waits in any state.  One that is new is synced first: a killed
 * worker may have renamed it there and not come any further. */
bool spool_holds(const struct spool *s, const char *crash_id, bool *ret, struct err *err);
/* How many reports wait, in all states, and the age of the oldest; 0 of a spool that is not
 * there. */
void spool_count(const struct spool *s, int64_t now_s, size_t *ret_count, int64_t *ret_oldest_s);

/*
 * The size of the files of these `count` reports.  At most SPOOL_WEIGHED_MAX are looked at, and the
 * rest is taken to be like them: a spool of hours without a store may hold a hundred thousand.
 */
enum { SPOOL_WEIGHED_MAX = 1000 };
uint64_t spool_bytes(const struct spool *s, size_t count);
/* The crash ids of a state, in no order; each() returns false to stop.  A state that is not there
 * has none. */
void spool_each(const struct spool *s, enum spool_state state,
                bool (*each)(void *arg, const char *crash_id), void *arg);
/* The files of an entry, with their paths; each() returns false to stop.  ERR_IO also when it has
 * left this state meanwhile. */
bool spool_each_file(const struct spool *s, enum spool_state state, const char *crash_id,
                     bool (*each)(void *arg, const char *file, const char *path), void *arg,
                     struct err *err);

/* New becomes moving.  False: it is gone, or an older one with this id still moves. */
bool spool_claim(const struct spool *s, const char *crash_id);
/* Into unpublished, where only the name counts: one that is there already is as good. */
void spool_set_aside(const struct spool *s, enum spool_state from, const char *crash_id);
/* A leftover is logged; its report may then come a second time, which costs only work. */
void spool_remove(const struct spool *s, enum spool_state state, const char *crash_id);

/* Removes what killed workers have left half received. */
void spool_sweep(const struct spool *s, int64_t now_s);

/* A descriptor that can be read when something has become new (non-blocking; what it says does not
 * matter). */
bool spool_watch(const struct spool *s, int *ret_fd, struct err *err);

/*
 * An entry as it is at this moment.  While two looks are the same, nobody has moved it, put another
 * one in its place or taken a file out of it: what was read in between belongs together.
 */
struct spool_look {
    uint64_t inode;
    int64_t changed_ns; /* its directory's */
    size_t files;
};
/* False: it is not in this state. */
bool spool_look(const struct spool *s, enum spool_state state, const char *crash_id,
                struct spool_look *ret);
bool spool_is_unchanged(const struct spool *s, enum spool_state state, const char *crash_id,
                        const struct spool_look *before);

#endif
