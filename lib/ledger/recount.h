#ifndef LEDGER_RECOUNT_H
#define LEDGER_RECOUNT_H

#include "lib/db/db.h"
#include "lib/store/store.h"

/*
 * recount - the statistics made again from the stored documents of all crashes, and compared
 * with what is counted.
 *
 * Beside    May run while crashes are processed, deleted or removed by retention: a difference
 *           that is only work in progress is looked at again before it counts, and a mended row
 *           never replaces one that a worker wrote meanwhile.
 * Broken    off  at any moment, it may be run again.
 */
struct recount {
    struct db *db;
    struct store *store;
    int days;        /* only what was counted in the last so many days; 0: everything */
    bool is_mending; /* else it only tells */
    void (*on_difference)(void *arg, const char *line);
    void (*on_progress)(void *arg, size_t done, size_t total);
    void *arg;
    /* What came of it. */
    size_t looked, differ, without_document;
};
bool ledger_recount(struct recount *r, struct err *err);

#endif
