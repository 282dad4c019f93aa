/*
 * The queue of pings, a table of its own: rows are claimed by the hundred and in the order of
 * builds, which the queue of crashes, one claim for each and in the order of arrival, has no
 * columns for.  Names of workers and what becomes of the dead are the same there (lib/ledger).
 */
#include "lib/ping/ping_queue.h"

#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "queries.h"

enum { SMALL_ARENA = 1 << 20 };

void ping_batch_release(struct ping_batch *b)
{
    for (size_t i = 0; i < b->jobs.n; i++)
        json_decref(b->jobs.v[i].doc);
    VEC_RELEASE(&b->jobs);
}

static bool claim_some(struct db *db, const char *worker, bool is_suspect, struct ping_batch *ret,
                       struct err *err)
{
    DB_ROWS rows = {0};
    char lease[16], limit[16];
    snprintf(lease, sizeof lease, "%d", PING_LEASE_S);
    snprintf(limit, sizeof limit, "%d", is_suspect ? 1 : PING_BATCH_MAX);
    if (!DB_RUN(db, &q_ping_claim, &rows, err, worker, lease, limit, db_bool(is_suspect)))
        return false;
    for (int i = 0; i < rows.count; i++) {
        struct ping_job job = {.age_s = db_col_int(&rows, i, Q_PING_CLAIM_COL_AGE_S, 0)};
        snprintf(job.document_id, sizeof job.document_id, "%s",
                 db_col(&rows, i, Q_PING_CLAIM_COL_DOCUMENT_ID));
        snprintf(job.day, sizeof job.day, "%s", db_col(&rows, i, Q_PING_CLAIM_COL_DAY));
        job.doc = jparse(str_of(db_col(&rows, i, Q_PING_CLAIM_COL_DOC)), JSON_BYTES_MAX, err);
        if (!job.doc)
            return false;
        VEC_PUSH(&ret->jobs, job);
    }
    return true;
}

/* What killed its worker twice comes alone, so that it takes nobody along. */
bool ping_queue_claim(struct db *db, const char *worker, struct ping_batch *ret, struct err *err)
{
    if (!claim_some(db, worker, false, ret, err))
        return false;
    return ret->jobs.n > 0 || claim_some(db, worker, true, ret, err);
}

bool ping_queue_finish(struct db *db, const char *worker, const json_t *results, struct err *err)
{
    FREE_LATER char *text = jdump(results, NULL);
    return DB_EXEC(db, &q_ping_finish, err, text, worker);
}

bool ping_queue_wait(struct db *db, const char *worker, const json_t *pings, int pause_s,
                     struct err *err)
{
    char pause[16];
    snprintf(pause, sizeof pause, "%d", pause_s);
    FREE_LATER char *text = jdump(pings, NULL);
    return DB_EXEC(db, &q_ping_wait, err, text, worker, pause);
}

bool ping_queue_fail(struct db *db, const char *worker, const struct ping_job *job,
                     const struct err *why, struct err *err)
{
    return DB_EXEC(db, &q_ping_give_back, err, job->document_id, job->day, worker,
                   err_code_name(why->code));
}

bool ping_queue_release(struct db *db, const char *worker, struct err *err)
{
    return DB_EXEC(db, &q_ping_release, err, worker);
}

/* "host:process" of this host, whose process is gone. */
static bool is_dead(const char *worker, const char *host)
{
    struct str name = str_of(worker), h = str_of(host);
    return str_starts(name, h) && name.n > h.n && name.p[h.n] == ':' &&
           proc_is_gone(str_sub(name, h.n + 1, SIZE_MAX));
}

bool ping_queue_bury(struct db *db, const char *host, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_ping_workers, &rows, err))
        return false;
    for (int i = 0; i < rows.count; i++) {
        const char *worker = db_col(&rows, i, Q_PING_WORKERS_COL_LOCKED_BY);
        if (!worker ||
            (!is_dead(worker, host) && !db_col_bool(&rows, i, Q_PING_WORKERS_COL_IS_EXPIRED)))
            continue;
        log_event(LOG_WARN, "pings_given_back", "their worker died", LOG_S("worker", worker));
        if (!DB_EXEC(db, &q_ping_bury, err, worker))
            return false;
    }
    return true;
}
