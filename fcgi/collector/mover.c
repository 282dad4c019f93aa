/*
 * The mover carries accepted reports from the spool to the store and tells the database, many at
 * once: the more wait, the larger the transaction.  It wakes up when a report arrives and owns
 * each entry by renaming it to moving/.
 *
 * Every step may be repeated, so a kill at any moment costs nothing:
 *
 *   claim       new becomes moving.  What moves is taken up at the next start.
 *   dumps       each is renamed out of the entry into the store, or copied.  A repeat that finds
 *               the file gone and the object there goes on.
 *   dump_names  of all of them, out of the raw crash.
 *   raw_crash   the last object: whoever sees it in the store sees the rest, too.  A repeat reads
 *               it from the store, since the entry has it no more.
 *   publish     rows of queue and ledger, in one transaction for all.  Once more is the same row.
 *   removal     of the entry.
 *
 * What the database did not take waits in unpublished/, where only the name of the directory
 * matters; its report is in the store.  An entry is removed only behind a commit, so at each moment
 * a report is in the spool, or in store and queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "fcgi/collector/collector.h"
#include "fcgi/collector/refused.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/ledger/ledger.h"
#include "lib/spool/spool.h"
#include "lib/store/store.h"

/*
 * SYNC_TOGETHER: from so many entries on, one sync of the store's whole file system (syncfs) takes
 * the place of six fsyncs for each entry, those of three objects and their directories.  Measured
 * on ext4 on a virtual disk of a busy machine, medians of nine, an entry being a dump of 300 kB
 * (which the collector had not synced, as it does) and its two documents: 24 ms against 4 ms for
 * one entry, 53 against 5 for four, 75 against 7 for eight, 40 against 12 for sixteen.  So together
 * is always cheaper as long as nobody else writes. But syncfs also waits for what others have
 * written: 20 ms more for 16 MB of it, 56 for 64 MB, 88 for 256 MB.  Eight entries outweigh 64 MB
 * of others' writes, a single one 16 MB.
 */
enum {
    BATCH = 100,            /* so many are tried one by one when the database refuses one of them */
    SYNC_TOGETHER = 8,      /* entries */
    RETRY_FIRST_MS = 100,   /* when CRASHMOVER_RETRY_SLEEP_SECONDS is 0 */
    RETRY_MAX_MS = 300000,  /* how late reports may be behind a store that is back */
    SWEEP_MS = 600000,      /* a sixth of the age at which leftovers count as such */
    FLUSH_MS = 5000,        /* counts of refused products, and how full the spool is */
    FLUSH_AGAIN_MS = 60000, /* after the database was away */
    RAW_CRASH_MAX = 256 << 20,    /* as large as a report may be unpacked */
    STATEMENT_TIMEOUT_MS = 30000, /* BATCH rows take milliseconds; beyond, the database hangs */
    PRODUCT_SIZE = 201,           /* longer than the ledger keeps of it */
};

struct item {
    char id[CRASH_ID_SIZE];
    char product[PRODUCT_SIZE];
    char submitted[TIME_TEXT_MAX];
    bool is_deferred; /* stored, but nobody asked to process it */
};

struct mover {
    const struct conf *conf;
    struct spool spool;
    struct metrics *metrics;
    struct refused_table *refused;
    struct store *store; /* NULL: not open yet, or no store is wanted */
    struct db *db;       /* NULL: no queue is wanted */
    bool wants_store;
    int inotify;
    int64_t pause_ms, retry_at_ms, sweep_at_ms, flush_at_ms;
    bool failed;     /* something in this round has to be tried again */
    bool db_refused; /* the database is away in this round */
    bool is_store_away;
    char installation[INSTALLATION_ID_SIZE]; /* empty: the database was not reached yet */
    struct item items[BATCH];
    size_t n;
};

/* The raw crash from the entry, or from the store when an earlier attempt came that far. */
static json_t *load_raw(struct mover *m, enum spool_state state, const char *id, struct err *err)
{
    char path[SPOOL_PATH_SIZE];
    FREE_LATER char *text = NULL;
    size_t n = 0;
    spool_path(&m->spool, state, id, SPOOL_RAW_CRASH, path);
    if (!fs_read(path, RAW_CRASH_MAX, &text, &n, err))
        return m->store ? store_get_json(m->store, id, "raw_crash", RAW_CRASH_MAX, err) : NULL;
    json_t *raw = jparse(str_n(text, n), RAW_CRASH_MAX, err);
    if (!raw && err->code == ERR_INVALID)
        err->code = ERR_DAMAGED; /* the collector wrote it */
    return raw;
}

/* What the queue wants to know of a report, out of the raw crash, which is a stranger's. */
static void read_item(const json_t *raw, struct item *item)
{
    const char *product = jget_str(raw, "ProductName");
    const char *submitted = jget_str(raw, "submitted_timestamp");
    struct str cut = str_of(product ? product : "");
    cut = str_sub(cut, 0, utf8_prefix_bytes(cut, PRODUCT_SIZE - 1));
    snprintf(item->product, sizeof item->product, STR_FMT, STR_ARG(cut));
    snprintf(item->submitted, sizeof item->submitted, "%s", submitted ? submitted : "");
    item->is_deferred = jget_bool_or(jget_obj(raw, "metadata"), "deferred", false);
}

struct dump_carrier {
    struct mover *m;
    const char *id;
    struct err *err;
    bool ok;
};

static bool put_dump(void *arg, const char *file, const char *path)
{
    struct dump_carrier *c = arg;
    size_t prefix = sizeof SPOOL_DUMP_PREFIX - 1;
    if (strncmp(file, SPOOL_DUMP_PREFIX, prefix) == 0)
        c->ok = store_put_file(c->m->store, c->id, file + prefix, path, c->err);
    return c->ok;
}

/* Stops at the first that cannot be put; what is there already is found by the next attempt. */
static bool put_dumps(struct mover *m, const char *id, struct err *err)
{
    struct dump_carrier c = {m, id, err, true};
    return spool_each_file(&m->spool, SPOOL_MOVING, id, put_dump, &c, err) && c.ok;
}

/* ["a", "b"], sorted; written also when there is none.  It goes by the checksums in the raw crash
 * and not by the files of the entry, of which a repeat finds only some. */
static bool put_dump_names(struct mover *m, const char *id, const json_t *raw, struct err *err)
{
    json_auto_t *names = json_array();
    json_t *checksums = jget_obj(jget_obj(raw, "metadata"), "dump_checksums"), *unused;
    const char *key;
    json_auto_t *sorted = json_object();
    json_object_foreach (checksums, key, unused)
        jset_null(sorted, key);
    FREE_LATER char *text = json_dumps(sorted, JSON_SORT_KEYS);
    json_auto_t *in_order = json_loads(text, 0, NULL);
    json_object_foreach (in_order, key, unused)
        json_array_append_new(names, json_string(key));
    FREE_LATER char *list = json_dumps(names, JSON_ENSURE_ASCII);
    return store_put(m->store, id, "dump_names", str_of(list), err);
}

/* The entry has no raw crash any more when an earlier attempt has put it. */
static bool put_raw(struct mover *m, const char *id, struct err *err)
{
    char path[SPOOL_PATH_SIZE];
    spool_path(&m->spool, SPOOL_MOVING, id, SPOOL_RAW_CRASH, path);
    return !fs_exists(path) || store_put_file(m->store, id, "raw_crash", path, err);
}

/* Into the store, the raw crash last.  Without a store only what the message says is read. */
static bool put_in_store(struct mover *m, struct item *item, struct err *err)
{
    json_auto_t *raw = load_raw(m, SPOOL_MOVING, item->id, err);
    if (!raw)
        return false;
    read_item(raw, item);
    if (!m->store)
        return true;
    return put_dumps(m, item->id, err) && put_dump_names(m, item->id, raw, err) &&
           put_raw(m, item->id, err);
}

/* A report that a rule deferred is stored and no more: it is queued when somebody asks for it. */
static bool publish_some(struct mover *m, const struct item *items, size_t n, struct err *err)
{
    struct ledger_entry entries[BATCH];
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (!items[i].is_deferred)
            entries[count++] = (struct ledger_entry){
                .crash_id = items[i].id,
                .ruleset = "default",
                .queue = QUEUE_STANDARD,
                .product = items[i].product[0] ? items[i].product : NULL,
                .submitted_timestamp = items[i].submitted[0] ? items[i].submitted : NULL,
            };
    return !m->db || count == 0 || ledger_publish_all(m->db, entries, count, err);
}

/* The database did not take them.  If it is away, the rest of this round need not be tried. */
static void refused(struct mover *m, enum spool_state state, const struct item *items, size_t n,
                    const struct err *why)
{
    m->failed = true;
    m->db_refused = m->db_refused || err_is_retryable(why->code);
    metric_add(m->metrics, METRIC_MOVER_RETRY, 1, "publish_crash_exception.count");
    log_event(LOG_WARN, "publish_failed", "reports wait for the database", LOG_E(why),
              LOG_I("reports", (int64_t)n), LOG_S("crash_id", items[0].id));
    for (size_t i = 0; i < n; i++)
        spool_set_aside(&m->spool, state, items[i].id);
}

/* All in one transaction; if that fails for one of them, each by itself. */
static void publish(struct mover *m, enum spool_state state, const struct item *items, size_t n)
{
    struct err err = {0};
    int64_t begun_us = mono_us();
    if (n == 0)
        return;
    if (publish_some(m, items, n, &err)) {
        metric_times(m->metrics, METRIC_PUBLISH_TIME, mono_us() - begun_us, n);
        metric_add(m->metrics, METRIC_SAVED, n);
        for (size_t i = 0; i < n; i++)
            spool_remove(&m->spool, state, items[i].id);
    } else if (n == 1 || err_is_retryable(err.code)) {
        refused(m, state, items, n, &err);
    } else {
        for (size_t i = 0; i < n; i++)
            publish(m, state, &items[i], 1);
    }
}

static bool take_into_batch(void *arg, const char *id)
{
    struct mover *m = arg;
    struct item *item = &m->items[m->n++];
    *item = (struct item){0};
    memcpy(item->id, id, CRASH_ID_SIZE);
    return m->n < BATCH;
}

/* Some entries of a state into m->items.  The directory is read anew for each batch: what was
 * carried is gone from it, and what came meanwhile is there. */
static size_t list_batch(struct mover *m, enum spool_state state)
{
    m->n = 0;
    spool_each(&m->spool, state, take_into_batch, m);
    return m->n;
}

/* Takes the listed new entries over; those that cannot be (an older self is still there) drop out
 * and come in a later round. */
static void claim(struct mover *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (spool_claim(&m->spool, m->items[i].id))
            m->items[kept++] = m->items[i];
        else
            m->failed = true;
    }
    m->n = kept;
}

/*
 * The report is nowhere: deleted, with its entry left behind.  True: forgotten.  Only the word of
 * the right store counts, which store_is_there has asked for at the beginning of the round and each
 * store_get once more; an unmounted one says ERR_UNAVAILABLE.
 */
static bool forget_lost(struct mover *m, enum spool_state state, const char *id,
                        const struct err *why)
{
    if (why->code != ERR_NOT_FOUND)
        return false;
    log_event(LOG_ERROR, "spool_entry_lost", "a spool entry without a report is dropped",
              LOG_S("crash_id", id));
    metric_add(m->metrics, state == SPOOL_MOVING ? METRIC_SAVE_DROPPED : METRIC_PUBLISH_DROPPED, 1);
    spool_remove(&m->spool, state, id);
    return true;
}

static bool sync_store(struct mover *m)
{
    struct err err = {0};
    if (store_sync(m->store, &err))
        return true;
    m->failed = true;
    log_event(LOG_ERROR, "save_failed", "the store cannot be synced", LOG_E(&err));
    return false;
}

/*
 * Saves and publishes the entries of moving/ that are in m->items.  One sync for many is cheaper
 * than one for each object; until it is done the entries keep their names, and what a crash of the
 * machine undoes is where it was before: in the spool.
 */
static void carry(struct mover *m)
{
    size_t saved = 0;
    int64_t begun_us = mono_us();
    bool at_once = m->store && m->n >= SYNC_TOGETHER;
    if (at_once)
        store_defer_sync(m->store);
    for (size_t i = 0; i < m->n; i++) {
        struct err err = {0};
        struct item item = m->items[i];
        if (put_in_store(m, &item, &err)) {
            m->items[saved++] = item;
        } else if (!forget_lost(m, SPOOL_MOVING, item.id, &err)) {
            m->failed = true;
            metric_add(m->metrics, METRIC_MOVER_RETRY, 1, "save_crash_exception.count");
            log_event(LOG_WARN, "save_failed", "a report cannot be stored yet", LOG_E(&err),
                      LOG_S("crash_id", item.id));
            if (err_is_retryable(err.code))
                break; /* the store is away: the others would fail as well */
        }
    }
    if (at_once && !sync_store(m))
        return;
    metric_times(m->metrics, METRIC_SAVE_TIME, mono_us() - begun_us, saved);
    publish(m, SPOOL_MOVING, m->items, saved);
    metric_times(m->metrics, METRIC_HANDLING_TIME, mono_us() - begun_us, saved);
}

/* The reports of unpublished/ are in the store; from the raw crash comes what their
 * messages say. */
static void publish_waiting(struct mover *m)
{
    size_t ready = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct err err = {0};
        struct item item = m->items[i];
        json_auto_t *raw = load_raw(m, SPOOL_UNPUBLISHED, item.id, &err);
        if (raw) {
            read_item(raw, &item);
            m->items[ready++] = item;
        } else if (!forget_lost(m, SPOOL_UNPUBLISHED, item.id, &err)) {
            m->failed = true;
        }
    }
    publish(m, SPOOL_UNPUBLISHED, m->items, ready);
}

/* The spool's promise does not depend on it: reports are taken while the store cannot be opened. */
static bool open_store(struct mover *m)
{
    struct err err = {0};
    if (!m->wants_store || m->store)
        return true;
    struct store_config config = store_config_of(m->conf);
    config.no_fsync = m->spool.no_fsync;
    if (store_open(&config, &m->store, &err))
        return true;
    log_event(LOG_ERROR, "store_away", "the store cannot be opened", LOG_E(&err));
    m->failed = true;
    return false;
}

/* While the store is away reports stay in the spool: nothing is moved, nothing is called lost. */
static bool store_is_there(struct mover *m)
{
    struct err err = {0};
    bool is_there = !m->store || (m->db ? ledger_store_check(m->db, m->store, m->installation, &err)
                                        : store_check(m->store, &err));
    if (!is_there) {
        m->failed = true;
        if (!m->is_store_away)
            log_event(LOG_ERROR, "store_away", "reports wait in the spool", LOG_E(&err));
    } else if (m->is_store_away) {
        log_event(LOG_INFO, "store_back", "the store is there again");
    }
    m->is_store_away = !is_there;
    return is_there;
}

/* All that lies in a state, batch by batch, as long as it goes well. */
static void drain(struct mover *m, enum spool_state state, void (*work)(struct mover *m))
{
    bool went_well = true;
    while (went_well && !proc_stopping() && list_batch(m, state)) {
        bool failed_before = m->failed;
        m->failed = false;
        if (state == SPOOL_NEW)
            claim(m);
        work(m);
        went_well = !m->failed;
        m->failed = m->failed || failed_before;
    }
}

/*
 * New reports do not wait for old trouble: moving/ and unpublished/ are looked at only when it is
 * their turn (plan), the new ones always.
 */
static void one_round(struct mover *m, bool is_retry)
{
    m->failed = m->db_refused = false;
    if (!open_store(m) || !store_is_there(m))
        return;
    if (is_retry)
        drain(m, SPOOL_MOVING, carry);
    drain(m, SPOOL_NEW, carry);
    if (is_retry && !m->db_refused)
        drain(m, SPOOL_UNPUBLISHED, publish_waiting);
}

/*
 * When to try again what failed: after a pause that doubles, with a quarter of it by chance, so
 * that several collectors do not come back to a store or a database at the same moment.  New
 * reports do not wait for that; when one goes well, so does the rest.
 */
static void plan_next_try(struct mover *m, bool was_retry)
{
    int64_t first = conf_int(m->conf, CONF_CRASHMOVER_RETRY_SLEEP_SECONDS) * 1000;
    int64_t now = mono_ms();
    if (!m->failed) {
        m->pause_ms = 0;
        if (was_retry)
            m->retry_at_ms = 0; /* nothing waits any more */
        else if (m->retry_at_ms)
            m->retry_at_ms = now; /* it works again: no reason to go on waiting */
        return;
    }
    if (m->retry_at_ms > now)
        return; /* planned already */
    m->pause_ms = m->pause_ms ? MIN(m->pause_ms * 2, (int64_t)RETRY_MAX_MS)
                              : MAX(first, (int64_t)RETRY_FIRST_MS);
    m->retry_at_ms = now + m->pause_ms + (int64_t)(random_u64() % (uint64_t)(m->pause_ms / 4 + 1));
}

/* Until a report arrives, something is due, or a signal comes. */
static void wait_for_work(struct mover *m)
{
    int64_t now = mono_ms(), until = MIN(m->sweep_at_ms, m->flush_at_ms);
    if (m->retry_at_ms)
        until = MIN(until, m->retry_at_ms);
    char events[4096] __attribute__((aligned(8)));
    proc_wait(&m->inotify, 1, (int)MAX(until - now, (int64_t)0));
    while (read(m->inotify, events, sizeof events) > 0)
        continue; /* what they say is found by listing the directory */
    (void)proc_take_hangup();
}

/* Reports come first: when they wait for the database, so do the counts. */
static void flush_counts(struct mover *m)
{
    struct err err = {0};
    collector_measure_spool(&m->spool, m->metrics);
    if (m->db && !m->db_refused && !refused_flush(m->refused, m->db, &err)) {
        m->flush_at_ms = mono_ms() + FLUSH_AGAIN_MS;
        log_event(LOG_WARN, "refused_not_counted", "refused products cannot be written yet",
                  LOG_E(&err));
    } else {
        m->flush_at_ms = mono_ms() + FLUSH_MS;
    }
}

static void move_until_stopped(struct mover *m)
{
    bool is_retry = true; /* what a mover that ended before has left */
    while (!proc_stopping()) {
        one_round(m, is_retry);
        plan_next_try(m, is_retry);
        if (mono_ms() >= m->sweep_at_ms) {
            spool_sweep(&m->spool, now_s());
            m->sweep_at_ms = mono_ms() + SWEEP_MS;
        }
        if (mono_ms() >= m->flush_at_ms)
            flush_counts(m);
        metrics_flush(m->metrics);
        wait_for_work(m);
        is_retry = m->retry_at_ms && mono_ms() >= m->retry_at_ms;
    }
    flush_counts(m);
    metrics_flush(m->metrics);
}

/* One mover to a spool: after a kill of the parent the old one may still be finishing. */
static bool take_lock(const struct mover *m, int *ret_fd, struct err *err)
{
    enum { POLL_MS = 50 }; /* nobody tells that a lock was let go; reports wait safely meanwhile */
    char path[SPOOL_PATH_SIZE];
    spool_path_beside(&m->spool, "mover.lock", path);
    FD_AUTO fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0 && !proc_stopping())
        proc_wait(NULL, 0, POLL_MS);
    *ret_fd = TAKE_FD(fd);
    return true;
}

static bool move_until_told(struct mover *m, struct err *err)
{
    FD_AUTO lock = -1;
    m->spool = spool_of_conf(m->conf);
    m->wants_store = strcmp(conf_text(m->conf, CONF_CRASHMOVER_CRASHSTORAGE_CLASS), "noop") != 0;
    if (!spool_open(&m->spool, err) || !take_lock(m, &lock, err) ||
        !spool_watch(&m->spool, &m->inotify, err))
        return false;
    if (strcmp(conf_text(m->conf, CONF_CRASHMOVER_CRASHPUBLISH_CLASS), "noop") != 0)
        m->db = db_new(conf_text(m->conf, CONF_DATABASE_URL), "datil-collector-mover",
                       STATEMENT_TIMEOUT_MS);
    move_until_stopped(m);
    return true;
}

int mover_run(void *arg, int index)
{
    (void)index;
    struct conf conf = {0};
    struct err err = {0};
    FREE_LATER struct mover *m = xcalloc(1, sizeof *m);
    const struct shared *shared = arg;
    m->metrics = shared->metrics;
    m->refused = shared->refused;
    m->inotify = -1;
    m->conf = &conf;
    bool ok = conf_load(&conf, &err);
    if (ok) {
        ok = move_until_told(m, &err);
    }
    if (!ok)
        log_event(LOG_ERROR, "start_failed", "the mover cannot start", LOG_E(&err));
    if (m->inotify >= 0)
        close(m->inotify);
    if (m->store)
        store_close(m->store);
    if (m->db)
        db_free(m->db);
    conf_release(&conf);
    return ok ? 0 : 1;
}
