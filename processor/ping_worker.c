/*
 * A worker of the pool for pings: takes a batch, finds the names of its stacks, makes signatures,
 * writes and counts them.  It stands beside the workers of crashes and is nicer than they are: a
 * report that somebody agreed to send goes first.
 *
 * Nothing of a batch is on this side only: what is not finished when the worker dies is given out
 * again, and what is finished was counted by the same statement (lib/ping/ping_queue.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/ping/ping_queue.h"
#include "lib/ping/ping_signature.h"
#include "lib/ping/ping_symbols.h"
#include "lib/symfile/missing.h"
#include "lib/symfile/symbolize.h"
#include "processor/setup.h"
#include "processor/worker.h"
#include "queries.h"

/*
 * SYMBOLS_PAUSE_S, SYMBOLS_WAIT_S: how often a ping looks for symbols that are being fetched or
 * compiled, and when it goes on without: the largest text that is known takes 15 s, and a slow
 * server minutes.
 */
enum {
    IDLE_MS = 7000,
    BURY_EVERY_MS = 7000,
    RETRY_FIRST_MS = 250,
    RETRY_MAX_MS = 5000,
    SYMBOLS_PAUSE_S = 2,
    SYMBOLS_WAIT_S = 300,
    NICENESS = 5,
};

struct ping_worker {
    struct metrics *metrics;
    struct setup setup;
    struct db *db, *listen;
    struct symbolizer *symbolizer;
    struct missing *missing;
    struct ping_symbols symbols;
    char name[128]; /* host:process */
    int64_t buried_ms;
    uint64_t session; /* of the connection under which claims were last put straight */
    int retry_ms;
};

static void ping_db_away(struct ping_worker *w, const struct err *why)
{
    if (!w->retry_ms)
        log_event(LOG_WARN, "db_away", "pings wait for the database", LOG_E(why));
    w->retry_ms = w->retry_ms ? MIN(w->retry_ms * 2, (int)RETRY_MAX_MS) : RETRY_FIRST_MS;
    proc_wait(NULL, 0, w->retry_ms);
}

static json_t *name_of_job(const struct ping_job *job)
{
    return json_pack("{s:s, s:s}", "document_id", job->document_id, "day", job->day);
}

/* One ping: into `results`, or into `later` when its symbols are not there yet. */
static void work_on(struct ping_worker *w, const struct ping_job *job, json_t *results,
                    json_t *later)
{
    bool is_pending;
    int64_t begun_us = mono_us();
    json_auto_t *entries = ping_symbolicate(&w->symbols, job->doc, &is_pending);
    metric_time(w->metrics, METRIC_PING_SYMBOLICATE_TIME, mono_us() - begun_us);
    if (is_pending && job->age_s < SYMBOLS_WAIT_S) {
        metric_add(w->metrics, METRIC_PING_WAITING, 1);
        json_array_append_new(later, name_of_job(job));
        return;
    }
    begun_us = mono_us();
    json_t *result = name_of_job(job);
    ping_sign(w->setup.siglists, job->doc, entries, result);
    json_object_set(result, "stack", entries);
    json_array_append_new(results, result);
    metric_time(w->metrics, METRIC_PING_SIGNATURE_TIME, mono_us() - begun_us);
}

/* The database took no batch with this ping in it. */
static bool fail_job(struct ping_worker *w, const struct ping_job *job, const struct err *why,
                     struct err *err)
{
    log_event(LOG_ERROR, "ping_failed", "a ping is given back",
              LOG_S("document_id", job->document_id), LOG_E(why));
    metric_add(w->metrics, METRIC_PING_FAILED, 1);
    return ping_queue_fail(w->db, w->name, job, why, err);
}

/* One by one, so that a ping that cannot be written holds up no other. */
static bool finish_singly(struct ping_worker *w, const struct ping_batch *b, const json_t *results,
                          struct err *err)
{
    size_t i;
    json_t *result;
    json_array_foreach ((json_t *)results, i, result) {
        struct err why = {0};
        json_auto_t *one = json_pack("[O]", result);
        if (ping_queue_finish(w->db, w->name, one, &why))
            continue;
        if (err_is_retryable(why.code)) {
            *err = why;
            return false;
        }
        for (size_t k = 0; k < b->jobs.n; k++)
            if (strcmp(b->jobs.v[k].document_id, jget_str(result, "document_id")) == 0 &&
                !fail_job(w, &b->jobs.v[k], &why, err))
                return false;
    }
    return true;
}

static bool finish(struct ping_worker *w, const struct ping_batch *b, const json_t *results,
                   const json_t *later, struct err *err)
{
    if (json_array_size(later) && !ping_queue_wait(w->db, w->name, later, SYMBOLS_PAUSE_S, err))
        return false;
    if (json_array_size(results) == 0)
        return true;
    bool ok = ping_queue_finish(w->db, w->name, results, err) ||
              (!err_is_retryable(err->code) && finish_singly(w, b, results, err));
    if (ok)
        metric_add(w->metrics, METRIC_PING_SIGNED, json_array_size(results));
    return ok;
}

static bool work_on_batch(struct ping_worker *w, const struct ping_batch *b, struct err *err)
{
    json_auto_t *results = json_array(), *later = json_array();
    for (size_t i = 0; i < b->jobs.n; i++)
        work_on(w, &b->jobs.v[i], results, later);
    ping_symbols_close(&w->symbols);
    bool ok = finish(w, b, results, later, err);
    missing_flush(w->missing, w->db, false);
    metrics_flush(w->metrics);
    return ok;
}

static void ping_bury(struct ping_worker *w)
{
    if (w->buried_ms && mono_ms() - w->buried_ms < BURY_EVERY_MS)
        return;
    w->buried_ms = mono_ms();
    ping_queue_bury(w->db, w->setup.host, ERR_IGNORED);
}

static void ping_idle(struct ping_worker *w)
{
    struct err err = {0};
    if (!db_is_connected(w->listen)) {
        if (!db_listen(w->listen, "crash_ping", &err))
            ping_db_away(w, &err);
        return; /* what came before makes no notification: look at once */
    }
    missing_flush(w->missing, w->db, false);
    int fd = db_fd(w->listen);
    int wait_ms = IDLE_MS;
    DB_ROWS rows = {0};
    if (DB_RUN(w->db, &q_ping_due_ms, &rows, ERR_IGNORED) && rows.count)
        wait_ms = (int)db_col_int(&rows, 0, Q_PING_DUE_MS_COL_MS, IDLE_MS);
    proc_wait(&fd, 1, MAX(MIN(wait_ms, (int)IDLE_MS), 1));
    db_drain_notifications(w->listen);
}

/* Between two batches a worker holds nothing: what stands under its name was claimed over a
 * connection that broke. */
static bool ping_settle(struct ping_worker *w, struct err *err)
{
    if (!db_connect(w->db, err))
        return false;
    if (db_session(w->db) == w->session)
        return true;
    if (!ping_queue_release(w->db, w->name, err))
        return false;
    w->session = db_session(w->db);
    return true;
}

static void take_pings(struct ping_worker *w)
{
    while (!proc_stopping()) {
        struct err err = {0};
        struct ping_batch batch = {0};
        if (proc_take_hangup() && !setup_reload(&w->setup, &err))
            log_event(LOG_ERROR, "reload_failed", "the old lists stay in use", LOG_E(&err));
        bool ok = ping_settle(w, &err);
        if (ok)
            ping_bury(w);
        ok = ok && ping_queue_claim(w->db, w->name, &batch, &err) &&
             (batch.jobs.n == 0 || work_on_batch(w, &batch, &err));
        bool is_empty = batch.jobs.n == 0;
        ping_batch_release(&batch);
        if (!ok) {
            w->session = 0; /* whatever the batch was, it goes back first */
            ping_db_away(w, &err);
            continue;
        }
        w->retry_ms = 0;
        if (is_empty)
            ping_idle(w);
    }
}

int ping_worker_run(void *processor, int index)
{
    const struct processor *p = processor;
    struct ping_worker w = {.metrics = p->metrics};
    struct err err = {0};
    const char *url = conf_text(p->conf, CONF_DATABASE_URL);
    (void)index;
    setpriority(PRIO_PROCESS, 0, NICENESS);
    w.db = db_new(url, "datil-processor pings", 0);
    w.listen = db_new(url, "datil-processor listen", 0);
    w.missing = missing_new();
    bool ok = setup_open(p->conf, p->fields, &w.setup, &err);
    if (ok) {
        char process[PROC_NAME_MAX] = "0";
        proc_name(getpid(), process);
        snprintf(w.name, sizeof w.name, "%s:%s", w.setup.host, process);
        w.symbolizer = symbolizer_new(w.setup.symbols);
        ping_symbols_init(&w.symbols, w.symbolizer, w.missing);
        take_pings(&w);
        missing_flush(w.missing, w.db, true);
        ping_symbols_release(&w.symbols);
        symbolizer_free(w.symbolizer);
    } else {
        log_event(LOG_ERROR, "worker_start", "this worker cannot start", LOG_E(&err));
    }
    setup_release(&w.setup);
    missing_free(w.missing);
    db_free(w.listen);
    db_free(w.db);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
