/*
 * One worker of the processor: takes a message, processes its crash, finishes the message.
 *
 * It never loses one: whatever goes wrong ends in a step on the queue row (finish, reject, drop,
 * give back) that is repeated while only the database or the store is away, and if the process dies
 * in between others see that (ledger_bury).  docs/queue.md tells the whole story.
 */
#include "processor/worker.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/export/export.h"
#include "lib/ledger/ledger.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "lib/symfile/fetched_rows.h"
#include "lib/symfile/missing.h"
#include "lib/symfile/symkey.h"
#include "processor/crash.h"
#include "processor/job.h"
#include "processor/setup.h"
#include "processor/twin_table.h"
#include "processor/version_cache.h"

enum {
    IDLE_MS = 7000,       /* a look at the queue even if no notification came */
    BURY_EVERY_MS = 7000, /* a look for dead workers even if there is always work */
    RETRY_FIRST_MS = 250, /* pause while the database is away; doubles */
    RETRY_MAX_MS = 5000,
    LEASE_PER_DUMP_S = 60, /* on top of the walk's own time limit */
    /*
     * A report was stored before it was published, so one that is not there a moment later is
     * rather a store in disorder than a report that never was.  Messages that young are tried
     * again; with the pauses of ledger_give_back the fifth attempt comes after 850 s.
     */
    NOT_FOUND_FINAL_S = 600,
};

struct worker {
    const struct conf *conf;
    struct metrics *metrics;
    const struct field_table *fields;
    struct setup setup;
    struct db *db, *listen;
    struct store *store;
    struct index_writer *index;
    struct version_cache *versions;
    struct version_source version_source;
    struct twin_source twin_source;
    struct missing *missing;
    char name[128]; /* host:process, see proc_name() */
    char installation[INSTALLATION_ID_SIZE];
    int64_t buried_ms;
    uint64_t session; /* of the database connection under which claims were last put straight */
    int retry_ms;     /* 0: database and store are there */
};

/*
 * Said once in the log, however long it lasts. A pause that doubles up to five seconds: short
 * enough to be unnoticed after a restart of the server, long enough not to keep it from starting.
 */
static void db_away(struct worker *w, const struct err *why)
{
    if (!w->retry_ms)
        log_event(LOG_WARN, "db_away", "waiting for database and store", LOG_E(why));
    w->retry_ms = w->retry_ms ? MIN(w->retry_ms * 2, (int)RETRY_MAX_MS) : RETRY_FIRST_MS;
    proc_wait(NULL, 0, w->retry_ms);
}

static void db_there(struct worker *w)
{
    if (w->retry_ms)
        log_event(LOG_INFO, "db_back", "database and store answer again");
    w->retry_ms = 0;
}

/* One step on the queue row of a job, repeated as long as only the database is away. */
typedef bool job_step(struct worker *w, const struct ledger_job *job, void *arg, struct err *err);

static bool persist(struct worker *w, const struct ledger_job *job, job_step *step, void *arg,
                    struct err *err)
{
    while (!step(w, job, arg, err)) {
        if (err->code != ERR_UNAVAILABLE || proc_stopping())
            return false;
        db_away(w, err);
    }
    db_there(w);
    return true;
}

static bool finish_crash(struct worker *w, const struct ledger_job *job, void *arg, struct err *err)
{
    const struct crash *c = arg;
    int64_t begun_us = mono_us();
    if (strcmp(job->ruleset, "default") == 0 &&
        !export_put_first(conf_text(w->conf, CONF_DATIL_VAR), w->store, w->fields, job->crash_id,
                          c->job.processed, err))
        return false;
    metric_time(w->metrics, METRIC_SAVE_EXPORT, mono_us() - begun_us);
    return ledger_finish(w->db, w->store, w->index, w->metrics, job, job->crash_id,
                         c->job.processed, (int)conf_int(w->conf, CONF_SYMBOLS_REPROCESS_DAYS),
                         err);
}

static bool step_reject(struct worker *w, const struct ledger_job *job, void *arg, struct err *err)
{
    (void)arg;
    return ledger_reject(w->db, job, err);
}

static bool step_drop(struct worker *w, const struct ledger_job *job, void *arg, struct err *err)
{
    (void)arg;
    return ledger_drop(w->db, job, err);
}

static bool step_give_back(struct worker *w, const struct ledger_job *job, void *arg,
                           struct err *err)
{
    return ledger_give_back(w->db, job, arg, err);
}

/*
 * ingestion_ms: from receipt to the result, of first passes only; a reprocessed crash would say
 * how old it is.
 */
static void log_done(struct worker *w, const struct ledger_job *job, const struct crash *c,
                     int64_t start_ms)
{
    int64_t submitted_us, ingestion_ms = -1;
    const char *submitted = jget_str(c->job.raw, "submitted_timestamp");
    if (!c->old_processed && submitted && time_parse(str_of(submitted), &submitted_us, ERR_IGNORED))
        ingestion_ms = (now_us() - submitted_us) / 1000;
    if (ingestion_ms >= 0)
        metric_time(w->metrics, METRIC_INGESTION_TIME, ingestion_ms * 1000);
    metric_add(w->metrics, METRIC_PROCESSED_SAVED, 1);
    log_event(LOG_INFO, "crash_processed", "processed", LOG_S("crash_id", job->crash_id),
              LOG_S("ruleset", c->job.ruleset), LOG_S("queue", queue_kind_name(job->queue)),
              LOG_I("attempt", job->attempts + 1), LOG_I("duration_ms", mono_ms() - start_ms),
              LOG_I("ingestion_ms", ingestion_ms));
}

/* Modules of the main dump that have no symbols. */
static void note_missing(struct worker *w, const json_t *processed)
{
    size_t i;
    const json_t *module;
    json_array_foreach (jget_arr(jget_obj(processed, "json_dump"), "modules"), i, module) {
        struct symkey key;
        const struct missing_about about = {
            .code_file = jget_strn(module, "filename"),
            .code_id = jget_strn(module, "code_id"),
            .product = jget_strn(processed, "product"),
            .version = jget_strn(processed, "version"),
        };
        if (jget_bool_or(module, "missing_symbols", false) &&
            symkey_of_module(jget_strn(module, "debug_file"), jget_strn(module, "debug_id"), &key,
                             ERR_IGNORED))
            missing_record(w->missing, &key, &about);
    }
    missing_flush(w->missing, w->db, false);
}

/* What was fetched for this crash and others; what cannot be written now is tried again later. */
static void note_fetched(struct worker *w)
{
    size_t n;
    struct err err = {0};
    if (!fetched_rows_add(w->db, conf_text(w->conf, CONF_SYMBOLS_DIR), &n, &err))
        log_event(LOG_WARN, "symbols_without_row", "fetched symbols have no rows yet", LOG_E(&err));
}

/* Time for every dump to be walked, so that nobody takes the crash for lost meanwhile. */
static int lease_for(const struct worker *w, size_t dumps)
{
    int walk_s = (int)conf_int(w->conf, CONF_PROCESSOR_WALK_TIMEOUT_S);
    return (int)(dumps + 1) * (walk_s + LEASE_PER_DUMP_S);
}

/*
 * One crash from the store through the rules and back. What it holds while it waits for the
 * database is this one crash.
 */
static bool process_crash(struct worker *w, const struct ledger_job *job, int64_t start_ms,
                          struct err *err)
{
    struct crash_setup setup = setup_for_crash(&w->setup, &w->version_source);
    setup.twins = &w->twin_source;
    setup.metrics = w->metrics;
    setup.is_walk_skipped = job->worker_deaths >= LEDGER_DEATHS_MAX;
    struct crash c;
    if (!crash_load(&c, &setup, w->store, job->crash_id, job->ruleset, err))
        return false;
    int lease_s = lease_for(w, c.job.dump_count);
    if (lease_s > LEDGER_LEASE_S)
        ledger_extend(w->db, job, lease_s, ERR_IGNORED); /* at worst it is processed twice */
    bool ok = crash_process(&c, err) && persist(w, job, finish_crash, &c, err);
    if (ok) {
        log_done(w, job, &c, start_ms);
        note_missing(w, c.job.processed);
        note_fetched(w);
    }
    crash_release(&c);
    return ok;
}

/*
 * A result that the store does not take waits in persist() for as long as it must.  What comes here
 * unfinished is given back without an attempt when the store went away or this process ends.  A
 * full temporary directory does count: a crash that fills it by itself must not come first for
 * ever.
 */
static bool is_nobodys_fault(struct worker *w)
{
    return proc_stopping() || !ledger_store_check(w->db, w->store, w->installation, ERR_IGNORED);
}

/*
 * What becomes of a message, in the order of the checks: dropped if it is none of ours, else
 * worked on; then finished, released untouched when nobody is to blame, rejected when the report
 * does not exist, or given back with an attempt counted.  Returns the word for that of
 * METRIC_QUEUE_ENDED.
 */
static const char *settle_message(struct worker *w, const struct ledger_job *job, int64_t start_ms)
{
    struct err err = {0}, second = {0};
    log_event(LOG_DEBUG, "crash_taken", "taken", LOG_S("crash_id", job->crash_id));
    if (!crash_id_valid(str_of(job->crash_id), false)) {
        persist(w, job, step_drop, NULL, &err);
        return "dropped";
    }
    /* before any work, so that no error from below is ever taken for this one */
    if (!rules_has_set(job->ruleset)) {
        log_event(LOG_WARN, "crash_dropped", "unknown rule set", LOG_S("crash_id", job->crash_id));
        persist(w, job, step_drop, NULL, &err);
        return "dropped";
    }
    if (process_crash(w, job, start_ms, &err))
        return "finished";
    if (err.code == ERR_UNAVAILABLE && is_nobodys_fault(w)) {
        /* Without a database its claim is returned over the next connection, or buried with us. */
        if (!ledger_release(w->db, w->name, NULL, ERR_IGNORED))
            w->session = 0;
        return "released";
    }
    if (err.code == ERR_NOT_FOUND && job->age_s >= NOT_FOUND_FINAL_S) {
        log_event(LOG_WARN, "crash_rejected", "crash cannot be found in raw crash storage",
                  LOG_S("crash_id", job->crash_id));
        persist(w, job, step_reject, NULL, &second);
        return "rejected";
    }
    log_event(LOG_ERROR, "crash_failed", "given back to the queue",
              LOG_S("crash_id", job->crash_id), LOG_I("attempt", job->attempts + 1), LOG_E(&err));
    if (!persist(w, job, step_give_back, &err, &second))
        log_event(LOG_ERROR, "give_back_failed", "its lease will end", LOG_E(&second));
    return "given_back";
}

/* The rule set is a label, and messages may say anything: only the names of ours are. */
static void process_message(struct worker *w, const struct ledger_job *job)
{
    int64_t start_us = mono_us();
    metric_add(w->metrics, METRIC_QUEUE_ENDED, 1, settle_message(w, job, start_us / 1000));
    metric_time(w->metrics, METRIC_PROCESS_CRASH, mono_us() - start_us,
                rules_has_set(job->ruleset) ? job->ruleset : "unknown");
    metrics_flush(w->metrics);
}

/*
 * Every worker looks, so that it is done as long as one lives; once in a while is enough, since a
 * dead worker's crash only waits.
 */
static void bury_the_dead(struct worker *w)
{
    size_t buried;
    if (w->buried_ms && mono_ms() - w->buried_ms < BURY_EVERY_MS)
        return;
    w->buried_ms = mono_ms();
    crash_sweep_tmp(w->setup.tmp_dir);
    ledger_bury(w->db, w->setup.host, &buried, ERR_IGNORED);
}

/* Waits for a notification; true if the connection is new and the queue must be looked at first. */
static void idle(struct worker *w)
{
    struct err err = {0};
    if (!db_is_connected(w->listen)) {
        /* What was published before LISTEN makes no notification: look again at once. */
        if (!db_listen(w->listen, "crash_queue", &err))
            db_away(w, &err);
        return;
    }
    missing_flush(w->missing, w->db, false);
    int fd = db_fd(w->listen);
    proc_wait(&fd, 1, IDLE_MS);
    db_drain_notifications(w->listen);
}

static void reload(struct worker *w)
{
    struct err err = {0};
    if (setup_reload(&w->setup, &err))
        log_event(LOG_INFO, "reloaded", "signature lists loaded again");
    else
        log_event(LOG_ERROR, "reload_failed", "the old lists stay in use", LOG_E(&err));
}

/*
 * Between two crashes a worker holds nothing.  What stands under its name then was claimed over a
 * connection that broke before the answer came (the server died, say), and goes back at once.
 */
static bool settle_claims(struct worker *w, const struct ledger_job *held, struct err *err)
{
    if (!db_connect(w->db, err))
        return false;
    if (db_session(w->db) == w->session)
        return true;
    if (!ledger_release(w->db, w->name, held ? held->id : NULL, err))
        return false;
    w->session = db_session(w->db);
    return true;
}

static bool claim_crash(struct worker *w, struct ledger_job *job, struct err *err)
{
    return ledger_store_check(w->db, w->store, w->installation, err) &&
           settle_claims(w, NULL, err) && ledger_claim(w->db, w->name, LEDGER_LEASE_S, job, err);
}

/*
 * Database and store are asked before each claim: a message claimed while the store is away would
 * only be given back. A notification that came while we worked says nothing new, for the queue is
 * looked at next anyway.
 */
static void take_jobs(struct worker *w)
{
    while (!proc_stopping()) {
        struct ledger_job job;
        struct err err = {0};
        if (proc_take_hangup())
            reload(w);
        bury_the_dead(w);
        if (claim_crash(w, &job, &err)) {
            settle_claims(w, &job, ERR_IGNORED); /* the claim itself may have reconnected */
            db_there(w);
            process_message(w, &job);
            db_drain_notifications(w->listen);
        } else if (err.code == ERR_NOT_FOUND) {
            db_there(w);
            idle(w);
        } else {
            db_away(w, &err);
        }
    }
}

static bool open_resources(struct worker *w, struct err *err)
{
    struct store_config cfg = store_config_of(w->conf);
    const char *url = conf_text(w->conf, CONF_DATABASE_URL);
    w->db = db_new(url, "datil-processor", 0);
    w->listen = db_new(url, "datil-processor listen", 0);
    w->versions = version_cache_new(w->db, w->metrics);
    w->missing = missing_new();
    w->version_source = version_cache_source(w->versions);
    w->twin_source = twin_table_source(w->db);
    w->index = index_writer_new(conf_text(w->conf, CONF_INDEX_DIR), w->fields);
    return setup_open(w->conf, w->fields, &w->setup, err) && store_open(&cfg, &w->store, err);
}

/* In the reverse order of open_resources(); what was not opened is NULL. */
static void close_resources(struct worker *w)
{
    index_writer_close(w->index);
    store_close(w->store);
    setup_release(&w->setup);
    version_cache_free(w->versions);
    missing_free(w->missing);
    db_free(w->listen);
    db_free(w->db);
}

int worker_run(void *processor, int index)
{
    const struct processor *p = processor;
    struct worker w = {.conf = p->conf, .metrics = p->metrics, .fields = p->fields};
    struct err err = {0};
    (void)index;
    bool ok = open_resources(&w, &err);
    if (ok) {
        char process[PROC_NAME_MAX] = "0";
        proc_name(getpid(), process);
        snprintf(w.name, sizeof w.name, "%s:%s", w.setup.host, process);
        take_jobs(&w);
        missing_flush(w.missing, w.db, true);
    } else {
        log_event(LOG_ERROR, "worker_start", "this worker cannot start", LOG_E(&err));
    }
    close_resources(&w);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
