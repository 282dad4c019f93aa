#ifndef SPOOL_RECEIVE_H
#define SPOOL_RECEIVE_H

#include "lib/base/hash.h"
#include "lib/json/json.h"
#include "lib/spool/spool.h"

/*
 * receive - a report on its way into the spool, up to the moment when it is durable.
 *
 * Ownership  struct spool_entry owns its directory until spool_commit; spool_discard removes it.
 *            struct spool_file owns its descriptor until spool_file_end or spool_file_drop.
 * Errors     ERR_UNAVAILABLE: the disk is full.  ERR_IO: it refused.
 */
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
