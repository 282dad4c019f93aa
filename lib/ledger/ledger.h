#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "lib/base/metrics.h"
#include "lib/base/vec.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/search/index.h"
#include "lib/store/mark.h"
#include "lib/store/store.h"

/*
 * ledger - the life of one report across store, work queue, ledger and index, so that
 * every program takes the same steps in the same order.
 *
 *   collector   ledger_publish    ledger row `received`, queue row, NOTIFY: one transaction
 *   processor   ledger_claim      a queue row, locked for a while
 *               ledger_finish     index appended, processed crash stored, then ledger row
 *                                 `processed` and queue row deleted in one transaction
 *               ledger_give_back  waiting again later, or failed for good
 *               ledger_sync       the index flushed
 *   keeper      ledger_replay, ledger_put_late, ledger_fill_page: what the index lacks
 *   anybody     ledger_delete     gone everywhere
 *
 * Durability  Each step may be repeated: keys come from the crash id.  docs/queue.md.
 * Errors      As the module that failed; nothing is half done that a repeat does not mend.
 */
/*
 * Whether the store is that of the installation the database belongs to.  id keeps the answer of
 * the database and is empty at first; while the database is away and was never asked, any mark
 * will do.  ERR_UNAVAILABLE: another store, or none.
 */
bool ledger_store_check(struct db *db, struct store *store, char id[INSTALLATION_ID_SIZE],
                        struct err *err);

enum queue_kind { QUEUE_PRIORITY = 0, QUEUE_STANDARD = 1, QUEUE_REPROCESSING = 2, QUEUE_KINDS };

const char *queue_kind_name(enum queue_kind kind); /* "priority", … */

struct ledger_entry {
    const char *crash_id, *ruleset; /* ruleset NULL: "default" */
    enum queue_kind queue;
    const char *product;             /* NULL: unknown */
    const char *submitted_timestamp; /* NULL or not a date: now */
};

/*
 * Many at once: one transaction, one notification.  n at most LEDGER_BATCH_MAX: statements with a
 * thousand rows spend next to nothing on the way to the server, and fit into BATCH_BYTES_MAX
 * (queue.c).
 */
enum { LEDGER_BATCH_MAX = 1000 };
bool ledger_publish_all(struct db *db, const struct ledger_entry *entries, size_t n,
                        struct err *err);
bool ledger_publish(struct db *db, const char *crash_id, const char *ruleset, enum queue_kind queue,
                    const char *product, const char *submitted_timestamp, struct err *err);

/*
 * docs/queue.md has the times that follow from these.  A crash during which two workers died is
 * not given to a third.  The lease is for workers on machines that vanish with all on them: others
 * are noticed by their name; it is above the longest walk (TIMEOUT_DEFAULT_MS) and its queries.
 */
enum { LEDGER_ATTEMPTS_MAX = 5, LEDGER_DEATHS_MAX = 2, LEDGER_LEASE_S = 300 };

struct ledger_job {
    char id[24]; /* queue row */
    char crash_id[37];
    char ruleset[64];
    char worker[128]; /* who claimed it */
    enum queue_kind queue;
    int64_t age_s;      /* since it was published */
    int attempts;       /* earlier ones */
    int worker_deaths;  /* attempts that ended with the death of the worker */
    int64_t claimed_ms; /* when, by mono_ms() */
};
/*
 * Priority first, then standard and reprocessing 10:1, oldest first in each.  worker is
 * "host:pid".  ERR_NOT_FOUND: nothing to do.
 */
bool ledger_claim(struct db *db, const char *worker, int lease_s, struct ledger_job *ret,
                  struct err *err);
bool ledger_extend(struct db *db, const struct ledger_job *job, int lease_s, struct err *err);

/*
 * Stores, indexes and records one processed crash; job NULL when it did not come from the queue.
 * Of reports up to lacking_days old it is noted which symbols they lack (symbols_wanted), for
 * ledger_requeue_lacking; 0: of none.
 */
bool ledger_finish(struct db *db, struct store *store, struct index_writer *index,
                   struct metrics *metrics, const struct ledger_job *job, const char *crash_id,
                   const json_t *processed, int lacking_days, struct err *err);
/* The raw crash does not exist: the row goes, the ledger says so. */
bool ledger_reject(struct db *db, const struct ledger_job *job, struct err *err);
/* A message whose crash id is not one. */
bool ledger_drop(struct db *db, const struct ledger_job *job, struct err *err);
/* Back-off 10 s * 4^attempts, at most an hour; after five attempts failed for good. */
bool ledger_give_back(struct db *db, const struct ledger_job *job, const struct err *why,
                      struct err *err);
int ledger_backoff_s(int attempts);

/*
 * Messages that stand under this worker's name although it does not work on them wait again, at
 * once and without an attempt: its connection broke after the claim and before the answer.
 * held_id: the queue row it does work on, or NULL.
 */
bool ledger_release(struct db *db, const char *worker, const char *held_id, struct err *err);

/*
 * Gives back what dead workers held: those of this host whose process is gone, at once; those of
 * other hosts when their lease has ended.  A lease that ended under a worker that lives (a machine
 * that slept, a clock that jumped) is given back as well, but is not a death.
 */
bool ledger_bury(struct db *db, const char *host, size_t *ret_buried, struct err *err);

/*
 * Queues crashes again whose symbols arrived after they were walked: reports of the last `days`
 * days, the newest first, at most max_per_day of them between two midnights (UTC) and at most half
 * as many for the symbols of one module.  What is beyond waits for the next day.  Symbols that came
 * less than quiet_s ago wait for others of the same upload.  Symbols that a source was still
 * sending are looked for again some minutes later, whether they have come or not, three times at
 * most. `fetched` are files of other servers, which have no rows.  May be broken off and repeated
 * at any time: each crash is queued once for what has arrived until then.
 */
struct ledger_requeued {
    size_t queued, waiting; /* waiting: due as well, but beyond a limit or in other hands */
};
struct ledger_fetched {
    struct strs debug_ids;
    struct strs stored_s; /* when, as numbers: as many */
};
bool ledger_requeue_lacking(struct db *db, int days, int64_t max_per_day, int quiet_s,
                            const struct ledger_fetched *fetched, struct ledger_requeued *ret,
                            struct err *err);

/*
 * The index.  What a worker cannot put, because the index is damaged, gone, full or forbidden, is
 * finished all the same; it gets into the index later (ledger_put_late).
 */
/* Makes finished appends survive a crash of the machine and remembers up to where. */
bool ledger_sync(struct db *db, struct index_writer *index, struct err *err);
/*
 * Crashes that ledger_replay or ledger_put_late have put while a worker may have processed them:
 * the next ledger_put_late puts them once more.  Begins as {0}.
 */
struct ledger_unsettled {
    VEC(struct ledger_unsettled_crash { char crash_id[37]; }) list;
};
void ledger_unsettled_release(struct ledger_unsettled *u);
/* Appends again what a failure of the machine took, or an older copy of the index does not have. */
bool ledger_replay(struct db *db, struct store *store, struct index_writer *index,
                   struct ledger_unsettled *u, size_t *ret_replayed, struct err *err);
/* Some of those that are processed and not in the index, and of the unsettled ones.  *ret_put 0:
 * there are none that could be settled now. */
bool ledger_put_late(struct db *db, struct store *store, struct index_writer *index,
                     struct ledger_unsettled *u, size_t *ret_put, struct err *err);

/*
 * Filling what the index has lost, page by page: begin; if losses is not 0, pages until
 * *ret_done.  The caller holds index_claim_filling.
 */
struct ledger_fill {
    uint64_t losses, total, looked, put;
    int64_t before; /* place in the ledger */
};
void ledger_fill_init(struct ledger_fill *f);
bool ledger_fill_begin(struct ledger_fill *f, struct db *db, struct index_writer *index,
                       struct err *err);
bool ledger_fill_page(struct ledger_fill *f, struct db *db, struct store *store,
                      struct index_writer *index, struct index_reader *reader, bool *ret_done,
                      struct err *err);
/* One crash, from the store, unless it is there. */
bool ledger_fill_one(struct store *store, struct index_writer *index, const char *crash_id,
                     bool *ret_put, struct err *err);

/*
 * Processed crashes straight into store, index and ledger, n at most LEDGER_BATCH_MAX.  Durable
 * but for the index, which needs ledger_sync.  Each document has a valid uuid (the caller checks).
 */
bool ledger_load(struct db *db, struct store *store, struct index_writer *index,
                 json_t *const *docs, size_t n, struct err *err);

struct ledger_removed {
    size_t store_objects;
    bool was_in_ledger, was_in_queue, was_in_index;
};
bool ledger_delete(struct db *db, struct store *store, struct index_writer *index,
                   const char *crash_id, struct ledger_removed *ret, struct err *err);

#endif
