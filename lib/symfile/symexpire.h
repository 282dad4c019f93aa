#ifndef SYMFILE_SYMEXPIRE_H
#define SYMFILE_SYMEXPIRE_H

#include "lib/base/conf.h"
#include "lib/db/db.h"
#include "lib/symfile/symstore.h"

/*
 * symexpire - symbols that are too old disappear, and so does what the database remembers of them.
 *
 * Symbols of experimental builds go by age alone.  Regular ones stay as long as somebody uses them:
 * a crash that was walked with them, or a download.  Both are known to the hour and the day.  Those
 * of other servers go so many days after their last use.
 *
 * Errors     ERR_CONFLICT: the clock is not to be believed (nothing was stored, reported or logged
 *            in for a month); ERR_IO, ERR_UNAVAILABLE as store and database.  What was removed
 *            before an error stays removed; the same again does the rest.
 */
struct symexpire {
    const struct symstore *store;
    struct db *db;
    int64_t now_us;
    int days[SYMSTORE_AREA_COUNT]; /* age at which files go; 0: never */
    int keep_used_days;            /* regular files used since so many days stay */
    bool is_dry;                   /* only say what would go */
    bool is_forced;                /* believe the clock */
    /* Once per file that goes, or that stays because it is in use. */
    void (*report)(void *arg, enum symstore_area area, const char *key, int64_t bytes,
                   bool is_in_use);
    void *arg;
};

struct symexpire_counts {
    size_t removed, kept; /* kept: old, and in use */
    int64_t bytes;        /* of those removed, as stored */
};

/* Ages as they are configured; whose clock, and who hears of each file, is the caller's. */
struct symexpire symexpire_of_conf(const struct conf *conf, const struct symstore *store,
                                   struct db *db);

/* How many files are old, in use or not: so often report is called. */
bool symexpire_count(const struct symexpire *x, size_t *ret, struct err *err);
bool symexpire_files(const struct symexpire *x, struct symexpire_counts *ret, struct err *err);
/* The counts as a line for people. */
void symexpire_print(const struct symexpire *x, const struct symexpire_counts *counts);

/*
 * History: rows of files that are no longer stored, and of uploads, older than
 * 730 days (of experimental builds: 30).  is_dry counts.
 */
bool symexpire_history(const struct symexpire *x, size_t *ret_files, size_t *ret_uploads,
                       struct err *err);

#endif
