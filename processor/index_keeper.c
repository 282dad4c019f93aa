#include <stdlib.h>

#include "base/log.h"
#include "base/proc.h"
#include "base/util.h"
#include "ledger/ledger.h"
#include "processor/worker.h"

/*
 * Flushing the index in the background: workers only append, this process makes what they
 * appended durable every few seconds, so that no crash waits for the disk twice.
 */
enum { SYNC_EVERY_MS = 3000, WAIT_MS = 1000 };

struct keeper {
    struct db *db;
    struct store *store;
    struct index_writer *index;
};

static bool keeper_open(const struct conf *conf, struct keeper *k, struct err *err)
{
    struct store_config cfg = {
        .backend = conf_text(conf, "CRASHMOVER_CRASHSTORAGE_CLASS"),
        .fs_root = conf_text(conf, "CRASHMOVER_CRASHSTORAGE_FS_ROOT"),
    };
    *k = (struct keeper){.db = db_new(conf_text(conf, "DATABASE_URL"), "datil-processor index", 0)};
    return store_open(&cfg, &k->store, err) &&
           index_writer_open(conf_text(conf, "INDEX_DIR"), &k->index, err);
}

static void keeper_close(struct keeper *k)
{
    index_writer_close(k->index);
    store_close(k->store);
    db_free(k->db);
}

int index_keeper_run(void *conf, int index)
{
    struct keeper k;
    struct err err = {0};
    (void)index;
    bool ok = keeper_open(conf, &k, &err), is_failing = false;
    if (!ok)
        log_event(LOG_ERROR, "index_keeper_start", "the index cannot be opened", LOG_E(&err));
    while (ok && !proc_stopping()) {
        proc_wait(NULL, 0, SYNC_EVERY_MS);
        proc_take_hangup();
        bool done = ledger_sync(k.db, k.index, &err);
        if (!done && !is_failing)
            log_event(LOG_ERROR, "index_sync_failed", "trying again", LOG_E(&err));
        is_failing = !done;
    }
    keeper_close(&k);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

bool worker_replay_index(const struct conf *conf, struct err *err)
{
    struct keeper k;
    bool ok = keeper_open(conf, &k, err), was_away = false;
    size_t replayed = 0;
    while (ok && !ledger_replay(k.db, k.store, k.index, &replayed, err)) {
        ok = err->code == ERR_UNAVAILABLE && !proc_stopping();
        if (ok && !was_away)
            log_event(LOG_WARN, "db_away", "waiting for the database", LOG_E(err));
        was_away = true;
        if (ok)
            proc_wait(NULL, 0, WAIT_MS);
    }
    if (ok && replayed)
        log_event(LOG_INFO, "index_replayed", "crashes appended to the index again",
                  LOG_I("count", (int64_t)replayed));
    keeper_close(&k);
    return ok || proc_stopping();
}
