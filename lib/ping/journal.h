#ifndef PING_JOURNAL_H
#define PING_JOURNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * journal - where accepted pings are between the answer to their client and the database: files
 * that the workers of one program append to and one reader empties.
 *
 *     journal_append     one record, on disk when it returns; workers that come together share a
 *                        sync
 *     journal_files      the files there are, and how far they may be read
 *     journal_read       records of it from a place on
 *     journal_drop       the file has been read: away with it
 *
 * How far a file was read is not kept here: the reader notes it where the records go, in the same
 * transaction, so that each of them arrives once whatever is killed.
 *
 * Ownership  struct journal_shared is memory of all processes, made before they are forked; each
 *            has a struct journal of its own.
 * Errors     ERR_UNAVAILABLE: the disk is full.  ERR_IO: it refused.  The record then counts for
 *            nothing, though it may turn up all the same.
 * Processes  One reader.  Any process may be killed at any moment.
 */
struct journal_shared {
    pthread_mutex_t append_lock, sync_lock; /* robust */
    /* The file that is written to: the one of slots[current].  Whatever changes both members of a
     * slot changes the other one, and then `current`. */
    struct journal_slot {
        uint64_t file; /* 0: none yet */
        _Atomic uint64_t end;
    } slots[2];
    _Atomic int current;
    uint64_t synced_file, synced_end;
    uint32_t generation; /* of this start of the program: upper half of its files' numbers */
};
bool journal_shared_new(struct journal_shared **ret, struct err *err);

struct journal {
    const char *dir; /* borrowed */
    bool no_fsync;   /* tests only */
    struct journal_shared *shared;
    int fd; /* of `file`, or -1 */
    uint64_t file;
};
/* Makes the directory and proves that it can be written. */
bool journal_open(struct journal *j, const char *dir, bool no_fsync, struct journal_shared *shared,
                  struct err *err);
void journal_close(struct journal *j);

enum { JOURNAL_RECORD_MAX = 4 << 20, JOURNAL_NAME_SIZE = 24 };

bool journal_append(struct journal *j, struct str record, struct err *err);

struct journal_file {
    char name[JOURNAL_NAME_SIZE];
    uint64_t end;    /* readable so far */
    bool is_current; /* it may grow */
};
/* The files there are, at most n, in no order; returns how many. */
size_t journal_files(const struct journal *j, struct journal_file *ret, size_t n);
/* Bytes that lie here, read or not. */
uint64_t journal_bytes(const struct journal *j);

/*
 * Calls each() with records of a file from `from` on, until it returns false or there is none; what
 * is behind the last whole one was never acknowledged.  *ret_to: where the next begins.
 */
bool journal_read(const struct journal *j, const struct journal_file *f, uint64_t from,
                  bool (*each)(void *arg, struct str record), void *arg, uint64_t *ret_to,
                  struct err *err);
/* Removes a file that was read up to `end`.  False: it has grown meanwhile. */
bool journal_drop(struct journal *j, const struct journal_file *f, uint64_t end);
/* A descriptor that can be read when something was appended. */
bool journal_watch(const struct journal *j, int *ret_fd, struct err *err);

#endif
