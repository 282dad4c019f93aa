#ifndef DATIL_SNAPSHOT_H
#define DATIL_SNAPSHOT_H

#include "tools/datil/app.h"
#include "lib/base/hash.h"
#include "lib/base/time.h"
#include "lib/base/vec.h"

/*
 * snapshot - what `datil backup` writes and `datil restore` reads: a directory with
 *
 *     manifest         what made it, and one line for each file: checksum, size, time, path
 *     database.dump    pg_dump's custom format
 *     config/ spool/ symbols/ store/ telemetry/   copies of the directories
 *
 * Ownership  A manifest owns its entries; manifest_release frees them.
 * Errors     ERR_NOT_FOUND: no snapshot there.  ERR_DAMAGED: not as it was made.
 * Trust      Paths of a manifest are checked: relative, without "..".
 */
enum { SNAPSHOT_FORMAT = 1 };

struct snapshot_entry {
    char *path; /* owned; "store/20261127/raw_crash/….json" */
    char sha256[SHA256_HEX + 1];
    int64_t size, mtime_ns;
};

struct manifest {
    int64_t format;
    char version[64], installation[INSTALLATION_ID_SIZE], schema[128], created[TIME_TEXT_MAX];
    VEC(struct snapshot_entry) entries;
};

void manifest_add(struct manifest *m, const char *path, const struct snapshot_entry *facts);
/* Sorted by path; then manifest_find works. */
void manifest_sort(struct manifest *m);
const struct snapshot_entry *manifest_find(const struct manifest *m, const char *path);
bool manifest_write(const struct manifest *m, const char *dir, struct err *err);
bool manifest_read(const char *dir, struct manifest *ret, struct err *err);
void manifest_release(struct manifest *m);

/* The directories of an installation that go into a snapshot, in the order in which they must. */
struct snapshot_part {
    const char *name;   /* directory of the snapshot */
    enum conf_name key; /* where it lies: value of the key, */
    const char *suffix; /* and what follows */
};
extern const struct snapshot_part snapshot_parts[];
extern const size_t snapshot_part_count;
void snapshot_part_dir(const struct app *app, const struct snapshot_part *p, char out[4096]);

/*
 * Whoever may write where snapshots lie may put one there: the newest, with a database and crashes
 * of his own.  ERR_INVALID if everybody may.
 */
bool snapshot_check_folder(const char *dir, struct err *err);

/* The newest migration that this Datil brings. */
bool snapshot_schema(char out[128], struct err *err);

/*
 * Copies bytes with their checksum; the copy gets the mode, and the time of the original last, so
 * that a copy that was interrupted never looks like a whole one.  ERR_NOT_FOUND: the original is
 * gone.  ret has no path.
 */
bool snapshot_copy(const char *from, const char *to, mode_t mode, struct snapshot_entry *ret,
                   struct err *err);
bool snapshot_hash(const char *path, struct snapshot_entry *ret, struct err *err);

/* Runs pg_dump or pg_restore on the installation's database; secrets go by the environment. */
bool snapshot_pg(struct app *app, char *const argv[], struct err *err);

#endif
