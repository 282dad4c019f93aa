/*
 * The carrier brings pings from the journal into the database, many in one transaction.
 *
 * Each transaction also notes how far the file was read.  So whatever is killed, the next carrier
 * begins behind the last ping that counts; there is nothing to repeat and nothing to compare.  A
 * file goes when the database says that all of it was read: until then its pings are on disk here,
 * from then on there.
 *
 * While the database is away files grow and wait.  A ping that the database refuses for what it is
 * (a mistake of ours) is left out and said in the log, for it would hold up all behind it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "fcgi/pings/receiver.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"
#include "lib/db/db.h"
#include "lib/ping/intake.h"
#include "lib/ping/journal.h"
#include "lib/spool/spool.h"
#include "queries.h"

/*
 * TOGETHER_MS: what comes within so long shares a transaction.  FILES: more wait for the next
 * round. KEEP_BYTES, KEEP_MS: a file that is read and small is written on, so that a new one, which
 * costs a sync, is not made for each ping; one that is old goes, so that no ping lies here for
 * long.
 */
enum {
    TOGETHER_MS = 50,
    IDLE_MS = 5000,
    RETRY_FIRST_MS = 250,
    RETRY_MAX_MS = 5000,
    FILES = 64,
    BATCH_BYTES = 4 << 20,
    KEEP_BYTES = 1 << 20,
    KEEP_MS = 10000,
    FORGET_MS = 3600 * 1000,
    STATEMENT_TIMEOUT_MS = 60000,
};

struct carrier {
    struct conf *conf;
    struct journal journal;
    struct products products;
    struct db *db;
    struct metrics *metrics;
    int inotify;
    int retry_ms; /* 0: the database is there */
    int64_t forget_at_ms, carried_ms;
    /* The batch in hand. */
    struct intake_ping pings[INTAKE_BATCH_MAX];
    size_t n, bytes;
    size_t limit; /* of the batch; 1 while a batch is taken apart */
};

static bool into_batch(void *arg, struct str record)
{
    struct carrier *c = arg;
    struct err err = {0};
    if (intake_of_record(record, &c->pings[c->n], &err)) {
        c->n++;
        c->bytes += record.n;
    } else {
        metric_add(c->metrics, METRIC_PING_CARRIED, 1, "refused");
        log_event(LOG_ERROR, "ping_record_bad", "a record of the journal is left out", LOG_E(&err));
    }
    return c->n < c->limit && c->bytes < BATCH_BYTES;
}

static void drop_batch(struct carrier *c)
{
    for (size_t i = 0; i < c->n; i++)
        json_decref(c->pings[i].doc);
    c->n = c->bytes = 0;
}

static void count_carried(struct carrier *c, const struct intake_result *r, int64_t begun_us)
{
    const struct {
        const char *result;
        size_t n;
    } rows[] = {{"counted", r->counted}, {"duplicate", r->duplicates}, {"kept", r->kept}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        metric_add(c->metrics, METRIC_PING_CARRIED, rows[i].n, rows[i].result);
    metric_time(c->metrics, METRIC_PING_CARRY_TIME, mono_us() - begun_us);
}

/* The batch in hand up to `to`.  False: the database is away, or somebody else has read the file.
 */
static bool carry_batch(struct carrier *c, const struct journal_file *f, uint64_t from, uint64_t to,
                        struct err *err)
{
    const struct intake in = {c->db, c->conf, &c->products, c->metrics};
    const struct intake_step step = {f->name, from, to};
    struct intake_result result;
    int64_t begun_us = mono_us();
    bool ok = intake_take(&in, &step, c->pings, c->n, &result, err);
    if (ok)
        count_carried(c, &result, begun_us);
    return ok;
}

/*
 * One batch from `from` on; *ret_to: where the next begins.  What the database refuses is tried
 * again one by one, so that only the ping it is about is left out.
 */
static bool carry_some(struct carrier *c, const struct journal_file *f, uint64_t from,
                       uint64_t *ret_to, struct err *err)
{
    drop_batch(c);
    if (!journal_read(&c->journal, f, from, into_batch, c, ret_to, err))
        return false;
    if (*ret_to == from || carry_batch(c, f, from, *ret_to, err))
        return true;
    if (err_is_retryable(err->code) || err->code == ERR_CONFLICT)
        return false;
    if (c->limit > 1) {
        c->limit = 1;
        *ret_to = from;
        return carry_some(c, f, from, ret_to, err);
    }
    log_event(LOG_ERROR, "ping_refused", "the database does not take a ping; it is left out",
              LOG_E(err));
    metric_add(c->metrics, METRIC_PING_CARRIED, 1, "refused");
    drop_batch(c);
    return carry_batch(c, f, from, *ret_to, err);
}

static bool carry_file(struct carrier *c, const struct journal_file *f, struct err *err)
{
    uint64_t at, to;
    if (!intake_read_to(c->db, f->name, &at, err))
        return false;
    while (!proc_stopping()) {
        if (!carry_some(c, f, at, &to, err))
            return false;
        if (to == at)
            break;
        at = to;
        c->limit = INTAKE_BATCH_MAX;
        c->carried_ms = mono_ms();
    }
    bool is_done = !proc_stopping() && (!f->is_current || at >= f->end);
    bool is_kept = f->is_current && f->end < KEEP_BYTES && mono_ms() - c->carried_ms < KEEP_MS;
    if (is_done && !is_kept)
        journal_drop(&c->journal, f, at);
    return true;
}

static bool carry_all(struct carrier *c, struct err *err)
{
    struct journal_file files[FILES];
    size_t n = journal_files(&c->journal, files, FILES);
    products_refresh(&c->products, ERR_IGNORED); /* the receivers say what is wrong with them */
    for (size_t i = 0; i < n; i++)
        if (!carry_file(c, &files[i], err))
            return false;
    if (mono_ms() < c->forget_at_ms)
        return true;
    c->forget_at_ms = mono_ms() + FORGET_MS;
    return DB_EXEC(c->db, &q_ping_journal_forget, err);
}

static void db_away(struct carrier *c, const struct err *why)
{
    if (!c->retry_ms)
        log_event(LOG_WARN, "pings_wait", "pings wait in the journal", LOG_E(why));
    c->retry_ms = c->retry_ms ? MIN(c->retry_ms * 2, (int)RETRY_MAX_MS) : RETRY_FIRST_MS;
    proc_wait(NULL, 0, c->retry_ms);
}

static void db_there(struct carrier *c)
{
    if (c->retry_ms)
        log_event(LOG_INFO, "pings_go_on", "the database takes pings again");
    c->retry_ms = 0;
}

/* Until a ping comes, and then a moment for others that come with it. */
static void wait_for_pings(struct carrier *c)
{
    char events[4096] __attribute__((aligned(8)));
    if (proc_wait(&c->inotify, 1, IDLE_MS))
        proc_wait(NULL, 0, TOGETHER_MS);
    while (read(c->inotify, events, sizeof events) > 0)
        continue;
    (void)proc_take_hangup();
}

static void carry_until_stopped(struct carrier *c)
{
    while (!proc_stopping()) {
        struct err err = {0};
        c->limit = INTAKE_BATCH_MAX;
        bool ok = carry_all(c, &err);
        drop_batch(c);
        metric_set(c->metrics, METRIC_PING_JOURNAL_BYTES, journal_bytes(&c->journal));
        metrics_flush(c->metrics);
        if (ok) {
            db_there(c);
            wait_for_pings(c);
        } else {
            db_away(c, &err);
        }
    }
}

/* One carrier to a journal: after a kill of the parent the old one may still be finishing. */
static bool take_lock(const struct carrier *c, int *ret_fd, struct err *err)
{
    enum { POLL_MS = 50 };
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/carrier.lock", c->journal.dir);
    FD_AUTO fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0 && !proc_stopping())
        proc_wait(NULL, 0, POLL_MS);
    *ret_fd = TAKE_FD(fd);
    return true;
}

static bool carry(struct carrier *c, struct journal_shared *shared, struct err *err)
{
    FD_AUTO lock = -1;
    char dir[SPOOL_PATH_SIZE];
    const struct spool spool = spool_of_conf(c->conf);
    spool_path_beside(&spool, "pings", dir);
    if (!journal_open(&c->journal, dir, spool.no_fsync, shared, err) || !take_lock(c, &lock, err) ||
        !journal_watch(&c->journal, &c->inotify, err) ||
        !products_load(conf_text(c->conf, CONF_DATIL_VAR), &c->products, err))
        return false;
    c->db =
        db_new(conf_text(c->conf, CONF_DATABASE_URL), "datil-pings-carrier", STATEMENT_TIMEOUT_MS);
    carry_until_stopped(c);
    return true;
}

int carrier_run(void *arg, int index)
{
    struct conf conf = {0};
    struct err err = {0};
    const struct ping_shared *shared = arg;
    FREE_LATER struct carrier *c = xcalloc(1, sizeof *c);
    (void)index;
    c->conf = &conf;
    c->metrics = shared->metrics;
    c->inotify = -1;
    bool ok = conf_load(&conf, &err) && carry(c, shared->journal, &err);
    if (!ok)
        log_event(LOG_ERROR, "start_failed", "the carrier of pings cannot start", LOG_E(&err));
    if (c->inotify >= 0)
        close(c->inotify);
    if (c->db)
        db_free(c->db);
    products_release(&c->products);
    journal_close(&c->journal);
    conf_release(&conf);
    return ok ? 0 : 1;
}
