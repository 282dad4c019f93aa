#ifndef SEARCH_COLUMNS_SUMS_H
#define SEARCH_COLUMNS_SUMS_H

#include "lib/base/err.h"
#include "lib/search/columns/commit.h"
#include "lib/search/index.h"

/*
 * sums - the durable copy of a partition's head with the sums of all its files (head.synced).
 *
 * Ownership  sums_release frees; a zeroed struct is empty.
 * Errors     ERR_DAMAGED: a byte is not what it was.  ERR_NOT_FOUND: a file is gone; damage as
 *            well, unless the partition was replaced meanwhile.  ERR_IO; ERR_UNAVAILABLE: told to
 *            stop.
 * Trust      Everything read is checked; what sums_load gives fits together.
 * Reading    With pread and not through mappings: a bad sector is an error and no signal.
 */
struct sums {
    struct part_head *head; /* owned */
    struct sums_head h;
    struct sums_file *files; /* owned, h.file_count */
    uint64_t *blocks;        /* owned, h.block_count */
};

bool sums_load(const char *folder, struct sums *ret, struct err *err);
void sums_release(struct sums *s);

/*
 * The sums of what lies below the counts of `head` (a sealed copy, taken over into *ret).  Sums
 * that `old` has already are kept, and those that it must extend are checked before.
 */
bool sums_extend(const char *folder, const struct part_head *head, uint64_t rows,
                 const struct sums *old, struct sums *ret, struct err *err);
/* Adds the tails; the caller makes sure that nobody writes meanwhile, and says as of which turn. */
bool sums_add_tails(const char *folder, struct sums *s, uint64_t turn, struct err *err);
bool sums_write(const char *folder, const struct sums *s, struct err *err);

/*
 * A quick look: is each file there, as long as it must be, and the same one as the last time?
 * `seen` is what the caller keeps between looks (owned by it, freed with free).
 */
struct sums_inode {
    uint64_t name, inode;
};
bool sums_look(const char *folder, const struct sums *s, struct sums_inode **seen,
               size_t *seen_count, struct err *err);

/* Compares the files with the sums. */
bool sums_check(const char *folder, const struct sums *s, const struct index_pace *pace,
                struct err *err);
bool sums_check_tails(const char *folder, const struct sums *s, const struct index_pace *pace,
                      struct err *err);

/* A head with the sum of its bytes behind it: the copy of the root's. */
bool sums_write_root(const char *dir, const struct root_head *head, struct err *err);
bool sums_load_root(const char *dir, struct root_head *ret, struct err *err);

/* Names of the durable copies of the heads. */
#define SYNC_HEAD "head.synced"

#endif
