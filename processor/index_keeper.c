/*
 * Keeping the index whole in the background.  Workers only append; this process makes durable what
 * they appended, so that no crash waits for the disk twice; looks whether all files are still
 * there; appends what workers could not, what a failure of the machine took, and what was lost
 * with a damaged or deleted part of the index.  Nothing here is needed for crashes to be processed:
 * an index that cannot be used is tried again every few seconds.
 *
 * A second process scrubs: it reads every byte once a day, slowly, and sets aside what is damaged.
 * Between two scrubs it packs the weeks that are over.
 *
 * Each collection has both processes for itself, so that none waits for another's disk.  They do
 * the same for all; where the documents come from again is the one thing that differs (`upkeeps`).
 */
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "lib/search/collection.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "processor/worker.h"

/*
 * A sync every three seconds: the crash index loses no more than those to a power failure, and
 * they are put again (ledger_replay).
 */
enum {
    TICK_MS = 3000,
    REST_MS = 5000,         /* without a put, before a week gets sums of all its bytes */
    FILL_MS = 2000,         /* of a tick, at most */
    NUMBER_MS = 1000,       /* likewise, before the last file that is written */
    NUMBERED_MIN = 4096,    /* texts of a field that a new process numbers in a millisecond */
    SCRUB_LOOK_MS = 1000,   /* between two looks whether it is time, or whether to stop */
    PACK_LOOK_MS = 60000,   /* between two looks whether a week is to be packed */
    PROGRESS_EVERY = 20000, /* crashes: a line of the log every few seconds */
};

struct keeper {
    struct collection c;
    struct db *db;
    struct store *store;
    struct index_writer *index;
    struct index_reader *reader; /* NULL until something is to be filled */
    struct ledger_fill fill;
    struct ledger_unsettled unsettled;
    int fill_fd; /* the claim; -1: nothing is being filled */
    bool is_failing;
};

static bool keeper_open(const struct processor *p, enum collection_id id, struct keeper *k,
                        struct err *err)
{
    struct store_config cfg = store_config_of(p->conf);
    struct collection c = collection_of(p->conf, p->fields, id);
    *k = (struct keeper){
        .c = c,
        .db = db_new(conf_text(p->conf, CONF_DATABASE_URL), "datil-processor index", 0),
        .index = index_writer_new(c.dir, c.fields),
        .fill_fd = -1,
    };
    return store_open(&cfg, &k->store, err);
}

/* Closing the descriptor gives up the claim: another process may take it. */
static void stop_filling(struct keeper *k)
{
    if (k->fill_fd >= 0)
        close(k->fill_fd);
    k->fill_fd = -1;
    index_reader_close(k->reader);
    k->reader = NULL;
}

static void keeper_close(struct keeper *k)
{
    stop_filling(k);
    ledger_unsettled_release(&k->unsettled);
    index_writer_close(k->index);
    store_close(k->store);
    db_free(k->db);
}

/* Takes up a filling if one is to be done and nobody else is at it. */
static bool start_filling(struct keeper *k, struct err *err)
{
    struct index_health h;
    struct err why = {0};
    if (!index_health(k->c.dir, k->c.fields, &h, err))
        return false;
    if (h.is_whole || !h.is_readable)
        return true;
    if (!index_claim_filling(k->c.dir, "filling by the index keeper", 0, &k->fill_fd, &why))
        return why.code == ERR_CONFLICT || err_set(err, why.code, "%s", why.msg);
    if (!ledger_fill_begin(&k->fill, k->db, k->index, err) ||
        !index_reader_open(k->c.dir, k->c.fields, &k->reader, err)) {
        stop_filling(k);
        return false;
    }
    if (!k->fill.losses)
        stop_filling(k);
    else
        log_event(LOG_WARN, "index_fill_begin", "the index is filled from the store",
                  LOG_I("crashes", (int64_t)k->fill.total));
    return true;
}

static void log_progress(const struct keeper *k, uint64_t before, bool is_done)
{
    const struct ledger_fill *f = &k->fill;
    if (is_done)
        log_event(LOG_WARN, "index_filled", "the index is whole again",
                  LOG_I("looked", (int64_t)f->looked), LOG_I("put", (int64_t)f->put));
    else if (f->looked / PROGRESS_EVERY != before / PROGRESS_EVERY)
        log_event(LOG_INFO, "index_filling", "the index is being filled",
                  LOG_I("looked", (int64_t)f->looked), LOG_I("crashes", (int64_t)f->total),
                  LOG_I("put", (int64_t)f->put));
}

/* Page by page, so that syncs and repeats are not held up: filling a large index takes hours. */
static bool fill_for_a_while(struct keeper *k, struct err *err)
{
    int64_t until_ms = mono_ms() + FILL_MS;
    while (k->fill_fd >= 0 && mono_ms() < until_ms && !proc_stopping()) {
        bool is_done;
        uint64_t before = k->fill.looked;
        if (!ledger_fill_page(&k->fill, k->db, k->store, k->index, k->reader, &is_done, err)) {
            stop_filling(k); /* begins again with the next tick; what is there is skipped quickly */
            return false;
        }
        log_progress(k, before, is_done);
        if (is_done)
            stop_filling(k);
    }
    return true;
}

/* Crashes that were processed while the index could not be used have no place in it yet. */
static bool put_late(struct keeper *k, struct err *err)
{
    size_t put, total = 0;
    do {
        if (!ledger_put_late(k->db, k->store, k->index, &k->unsettled, &put, err))
            return false;
        total += put;
    } while (put > 0 && !proc_stopping());
    if (total)
        log_event(LOG_INFO, "index_caught_up", "crashes that could not be indexed before are there",
                  LOG_I("count", (int64_t)total));
    return true;
}

/*
 * Appended since the last sync, by whoever: after a failure of the machine they may not be on
 * disk.
 */
static bool replay(struct keeper *k, struct err *err)
{
    size_t replayed;
    if (!ledger_replay(k->db, k->store, k->index, &k->unsettled, &replayed, err))
        return false;
    if (replayed)
        log_event(LOG_INFO, "index_replayed", "crashes appended to the index again",
                  LOG_I("count", (int64_t)replayed));
    return true;
}

static bool is_time_left(void *arg, size_t bytes)
{
    (void)bytes;
    return mono_ms() < *(const int64_t *)arg && !proc_stopping();
}

/* For searches in processes that start: an old file costs them some time, so nothing hurries. */
static bool number(const struct keeper *k, struct err *err)
{
    int64_t until_ms = mono_ms() + NUMBER_MS;
    const struct index_pace pace = {is_time_left, &until_ms};
    size_t written;
    if (!index_number(k->c.dir, k->c.fields, NUMBERED_MIN, &pace, &written, err))
        return false;
    if (written)
        log_event(LOG_INFO, "index_numbered", "numbers for processes that start were written",
                  LOG_I("fields", (int64_t)written));
    return true;
}

static bool begin_reports(struct keeper *k, struct err *err)
{
    return ledger_fill_begin(&k->fill, k->db, k->index, err);
}

static bool catch_up_reports(struct keeper *k, struct err *err)
{
    return replay(k, err) && put_late(k, err) && (k->fill_fd >= 0 || start_filling(k, err)) &&
           fill_for_a_while(k, err);
}

static bool sync_reports(struct keeper *k, struct err *err)
{
    return ledger_sync(k->db, k->index, err);
}

/* So far nothing makes documents of pings, so there are none that a new index could lack. */
static bool begin_pings(struct keeper *k, struct err *err)
{
    uint64_t losses;
    return index_fill_begin(k->index, 0, &losses, err);
}

static bool catch_up_pings(struct keeper *k, struct err *err)
{
    return begin_pings(k, err); /* also when the directory was deleted meanwhile */
}

static bool sync_pings(struct keeper *k, struct err *err)
{
    return index_sync(k->index, err);
}

/*
 * begin: before the first worker starts, says how many documents there should be, so that an index
 * that was made anew names the weeks that it lacks.  catch_up: puts again what a failure of the
 * machine took, what could not be put, and what was lost.  sync: makes it durable, with what
 * catch_up has to know about it after a failure.
 */
static const struct upkeep {
    bool (*begin)(struct keeper *k, struct err *err);
    bool (*catch_up)(struct keeper *k, struct err *err);
    bool (*sync)(struct keeper *k, struct err *err);
} upkeeps[COLLECTIONS] = {
    [COLLECTION_REPORTS] = {begin_reports, catch_up_reports, sync_reports},
    [COLLECTION_PINGS] = {begin_pings, catch_up_pings, sync_pings},
};

/*
 * In this order: first what makes the index usable, then what it lacks, at the end the sync that
 * makes both durable.
 */
static bool tick(struct keeper *k, struct err *err)
{
    const struct upkeep *own = &upkeeps[k->c.id];
    return index_look(k->index, REST_MS, err) && own->catch_up(k, err) && own->sync(k, err) &&
           number(k, err);
}

int index_keeper_run(void *processor, int index)
{
    const struct processor *p = processor;
    struct keeper k;
    struct err err = {0};
    bool ok = keeper_open(p, (enum collection_id)index, &k, &err);
    if (!ok)
        log_event(LOG_ERROR, "index_keeper_start", "the store cannot be opened", LOG_E(&err));
    while (ok && !proc_stopping()) {
        struct err why = {0};
        int64_t begun_us = mono_us();
        bool done = tick(&k, &why);
        metric_time(p->metrics, METRIC_INDEX_SYNC, mono_us() - begun_us,
                    done ? "success" : "failure");
        metrics_flush(p->metrics);
        if (!done && !k.is_failing)
            log_event(LOG_ERROR, "index_keeper_failed", "the index cannot be kept; trying again",
                      LOG_S("collection", k.c.name), LOG_E(&why));
        if (done && k.is_failing)
            log_event(LOG_INFO, "index_keeper_back", "the index can be kept again",
                      LOG_S("collection", k.c.name));
        k.is_failing = !done;
        proc_wait(NULL, 0, k.fill_fd >= 0 ? 0 : TICK_MS);
        proc_take_hangup();
    }
    keeper_close(&k);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * An index that was made anew while nobody ran: if there are crashes, searches are to say that it
 * lacks them, from the first one on.
 */
void index_keeper_prepare(const struct processor *p)
{
    for (enum collection_id id = 0; id < COLLECTIONS; id++) {
        struct keeper k;
        struct err err = {0};
        if (!keeper_open(p, id, &k, &err) || !upkeeps[id].begin(&k, &err))
            log_event(LOG_WARN, "index_unusable", "processing goes on without the index",
                      LOG_S("collection", k.c.name), LOG_E(&err));
        keeper_close(&k);
    }
}

/*
 * A scrub reads everything there is. Without a limit it would push the pages that searches need
 * out of memory and keep the disk busy.
 */
struct pace {
    int64_t began_ms, bytes_s;
    int64_t bytes;
};

static bool go_slowly(void *arg, size_t bytes)
{
    struct pace *p = arg;
    p->bytes += (int64_t)bytes;
    int64_t ahead_ms = p->bytes * 1000 / p->bytes_s - (mono_ms() - p->began_ms);
    if (ahead_ms > 0)
        proc_wait(NULL, 0, (int)MIN(ahead_ms, (int64_t)TICK_MS));
    return !proc_stopping();
}

/* A scrub that ended in the future is due: the clock was set back. */
static bool is_scrub_due(const struct conf *conf, const struct collection *c)
{
    struct index_health h;
    int64_t now = now_us(), every_s = conf_int(conf, CONF_INDEX_SCRUB_EVERY_S);
    if (every_s == 0 || !index_health(c->dir, c->fields, &h, ERR_IGNORED) || !h.is_readable)
        return false;
    return h.scrub_ended_us > now || now - h.scrub_ended_us >= every_s * 1000000;
}

static void scrub_once(const struct conf *conf, struct index_writer *index)
{
    struct pace p = {.began_ms = mono_ms(), .bytes_s = conf_int(conf, CONF_INDEX_SCRUB_BYTES_S)};
    const struct index_pace pace = {go_slowly, &p};
    size_t damaged = 0;
    struct err err = {0};
    bool ok = index_scrub(index, &pace, &damaged, &err);
    if (ok)
        log_event(damaged ? LOG_ERROR : LOG_INFO, "index_scrubbed", "every byte was looked at",
                  LOG_I("bytes", p.bytes), LOG_I("damaged", (int64_t)damaged),
                  LOG_I("duration_ms", mono_ms() - p.began_ms));
    else if (!proc_stopping())
        log_event(LOG_ERROR, "index_scrub_failed", "trying again", LOG_E(&err));
}

static bool until_stop(void *arg, size_t bytes)
{
    (void)arg, (void)bytes;
    return !proc_stopping();
}

/* A compaction at work is no failure: there is another look in a minute. */
static void pack_once(const struct conf *conf, struct index_writer *index)
{
    const struct index_pace pace = {until_stop, NULL};
    int64_t days = conf_int(conf, CONF_INDEX_PACK_AFTER_DAYS);
    size_t packed;
    struct err err = {0};
    if (days < 0 || index_pack(index, now_us() - days * DAY_US, 0, &pace, &packed, &err) ||
        err.code == ERR_CONFLICT || proc_stopping())
        return;
    log_event(LOG_ERROR, "index_pack_failed", "trying again", LOG_E(&err));
}

int index_scrub_run(void *processor, int index)
{
    const struct processor *p = processor;
    struct collection c = collection_of(p->conf, p->fields, (enum collection_id)index);
    struct index_writer *w = index_writer_new(c.dir, c.fields);
    int64_t pack_ms = mono_ms();
    while (!proc_stopping()) {
        proc_wait(NULL, 0, SCRUB_LOOK_MS);
        proc_take_hangup();
        if (!proc_stopping() && is_scrub_due(p->conf, &c))
            scrub_once(p->conf, w);
        if (proc_stopping() || mono_ms() < pack_ms)
            continue;
        pack_once(p->conf, w);
        pack_ms = mono_ms() + PACK_LOOK_MS;
    }
    index_writer_close(w);
    return EXIT_SUCCESS;
}
