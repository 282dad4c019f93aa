#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "db/db.h"
#include "json/json.h"
#include "search/index.h"
#include "store/store.h"

/*
 * ledger - the life of one report across store, work queue, ledger and index, so that
 * every program takes the same steps in the same order.
 *
 *   collector   ledger_publish    ledger row `received`, queue row, NOTIFY: one transaction
 *   processor   ledger_claim      a queue row, locked for a while
 *               ledger_finish     processed crash stored, index appended, then ledger row
 *                                 `processed` and queue row deleted in one transaction
 *               ledger_give_back  waiting again later, or failed for good
 *   anybody     ledger_delete     gone everywhere
 *
 * Durability  Each step may be repeated: keys come from the crash id.
 * Errors      As the module that failed; nothing is half done that a repeat does not mend.
 */
enum queue_kind { QUEUE_PRIORITY = 0, QUEUE_STANDARD = 1, QUEUE_REPROCESSING = 2 };

bool ledger_publish(struct db *db, const char *crash_id, const char *ruleset, enum queue_kind queue,
                    const char *product, const char *submitted_timestamp, struct err *err);

struct ledger_job {
    char id[24]; /* queue row */
    char crash_id[37];
    char ruleset[64];
    enum queue_kind queue;
    int attempts;   /* earlier ones */
    int worker_deaths; /* attempts that ended with the death of the worker */
};
/* ERR_NOT_FOUND: nothing to do. */
bool ledger_claim(struct db *db, const char *worker, int lease_s, struct ledger_job *ret,
                  struct err *err);
bool ledger_extend(struct db *db, const struct ledger_job *job, int lease_s, struct err *err);

/* Stores, indexes and records one processed crash; job NULL when it did not come from the queue. */
bool ledger_finish(struct db *db, struct store *store, struct index_writer *index,
                   const struct ledger_job *job, const char *crash_id, const json_t *processed,
                   struct err *err);
/* The raw crash does not exist: the row goes, the ledger says so. */
bool ledger_reject(struct db *db, const struct ledger_job *job, struct err *err);
/* Back-off 10 s * 4^attempts, at most an hour; after five attempts failed for good. */
bool ledger_give_back(struct db *db, const struct ledger_job *job, const struct err *why,
                      struct err *err);

struct ledger_removed {
    size_t store_objects;
    bool was_in_ledger, was_in_queue, was_in_index;
};
bool ledger_delete(struct db *db, struct store *store, struct index_writer *index,
                   const char *crash_id, struct ledger_removed *ret, struct err *err);

#endif
