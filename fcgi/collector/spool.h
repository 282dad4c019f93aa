#ifndef COLLECTOR_SPOOL_H
#define COLLECTOR_SPOOL_H

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/json/json.h"

/*
 * spool - where a report becomes durable before its sender gets an answer.
 *
 *   tmp/RANDOM/             being received; whatever is an hour old belonged to a killed worker
 *   new/ID/                 accepted: complete and synced; the mover's work
 *   moving/ID/              the mover is carrying it to the store
 *   unpublished/ID/         in the store; the database did not take it yet
 *
 * An entry holds `raw_crash` and one file `dump.NAME` for each file part.  Directories change
 * place by rename, so an entry is in exactly one state, whenever a process is killed.
 *
 * Ownership  struct spool_entry owns its directory until spool_commit; spool_discard removes it.
 * Errors     ERR_UNAVAILABLE: the disk is full.  ERR_IO: it refused.
 */
struct spool {
    const char *dir; /* absolute; borrowed from the configuration */
    int64_t min_free_bytes;
    bool no_fsync; /* tests only */
};

/* Makes the directories and proves that they can be written. */
bool spool_open(const struct spool *s, struct err *err);
bool spool_has_room(const struct spool *s, struct err *err);
/* "DIR/STATE/NAME" (name NULL: "DIR/STATE") into out. */
enum { SPOOL_PATH_SIZE = 4096 };
void spool_path(const struct spool *s, const char *state, const char *name,
                char out[SPOOL_PATH_SIZE]);
/* Whether an entry of this id waits.  One in new/ is synced first: a killed worker may have renamed
 * it there and not come any further. */
bool spool_holds(const struct spool *s, const char *crash_id, bool *ret, struct err *err);
/* Entries that wait (new, moving, unpublished), and the age of the oldest. */
void spool_measure(const struct spool *s, int64_t now_s, int64_t *ret_depth, int64_t *ret_oldest_s);
/* Removes what killed workers have left in tmp/. */
void spool_sweep(const struct spool *s, int64_t now_s);

struct spool_entry {
    const struct spool *spool;
    char name[24]; /* below tmp/; empty: no directory yet */
};

/* A file part on its way to the disk, hashed as it goes. */
struct spool_file {
    int fd; /* -1: none */
    uint64_t bytes;
    struct sha256 sha;
};
bool spool_file_begin(struct spool_entry *e, const char *dump_name, struct spool_file *ret,
                      struct err *err);
bool spool_file_add(struct spool_file *f, const void *p, size_t n, struct err *err);
bool spool_file_end(struct spool_entry *e, struct spool_file *f, char ret_sha256[SHA256_HEX + 1],
                    struct err *err);
void spool_file_drop(struct spool_file *f);
/* Gone again, or read back into memory and gone. */
bool spool_file_remove(struct spool_entry *e, const char *dump_name, struct err *err);
bool spool_file_take(struct spool_entry *e, const char *dump_name, size_t max_bytes,
                     char **ret_bytes, size_t *ret_n, struct err *err);

/* Writes the raw crash and moves all of it to new/ID: safe from here on. */
bool spool_commit(struct spool_entry *e, const char *crash_id, const json_t *raw_crash,
                  struct err *err);
void spool_discard(struct spool_entry *e);

#endif
