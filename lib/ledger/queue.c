/*
 * The queue half of the ledger: publish, claim, give back, bury.  A message is a row that only
 * ever moves by one statement, so a worker that dies between two steps leaves a row that says how
 * far it came.  Pauses after a failure grow from ten seconds to an hour, so that a crash nobody
 * can process costs little; a worker that died is told from one that is slow by its process
 * (number and start time), and only for workers of this host.
 */
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "queries.h"

enum {
    /* 10, 40, 160, 640 s: the fifth and last attempt comes 850 s after the first.  docs/queue.md */
    BACKOFF_FIRST_S = 10,
    BACKOFF_FACTOR = 4,
    BACKOFF_MAX_S = 3600, /* not reached with five attempts; holds when somebody allows more */
    STANDARD_SHARE = 10,  /* crashes of the standard queue for one that is processed again */
    ENTRY_BYTES = 1024,   /* of a message as parameters: an id, a rule set, 100 bytes of product */
    BATCH_BYTES_MAX = LEDGER_BATCH_MAX * ENTRY_BYTES,
};

const char *queue_kind_name(enum queue_kind kind)
{
    static const char *const names[] = {"priority", "standard", "reprocessing"};
    return (size_t)kind < ARRAY_LEN(names) ? names[kind] : "unknown";
}

/* Messages by column, as the arrays of the statement want them. */
struct columns {
    struct strs id, ruleset, queue, product, submitted;
};

static void set_row(struct columns *c, size_t i, const struct ledger_entry *e)
{
    static const char *const digits[] = {"0", "1", "2"};
    int64_t us;
    struct str when = str_of(e->submitted_timestamp);
    struct str product = str_of(e->product ? e->product : "");
    assert((size_t)e->queue < ARRAY_LEN(digits));
    c->id.v[i] = str_of(e->crash_id);
    /* No rule set has so long a name: what is cut here is dropped as unknown by a worker. */
    c->ruleset.v[i] = str_sub(str_of(e->ruleset ? e->ruleset : "default"), 0, 100);
    c->queue.v[i] = str_of(digits[e->queue]);
    c->product.v[i] = str_sub(product, 0, utf8_prefix_bytes(product, 100));
    c->submitted.v[i] =
        when.n && when.n < TIME_TEXT_MAX && time_parse(when, &us, ERR_IGNORED) ? when : STR("");
}

static struct strs column(struct arena *a, size_t n)
{
    return (struct strs){arena_array(a, n, sizeof(struct str)), n};
}

bool ledger_publish_all(struct db *db, const struct ledger_entry *entries, size_t n,
                        struct err *err)
{
    assert(n <= LEDGER_BATCH_MAX);
    if (n == 0)
        return true;
    struct arena a;
    arena_init(&a, 2 * BATCH_BYTES_MAX);
    struct columns c = {column(&a, n), column(&a, n), column(&a, n), column(&a, n), column(&a, n)};
    for (size_t i = 0; i < n; i++)
        set_row(&c, i, &entries[i]);
    bool ok = DB_EXEC(db, &q_queue_publish, err, db_text_array(&a, c.id),
                      db_text_array(&a, c.ruleset), db_text_array(&a, c.queue),
                      db_text_array(&a, c.product), db_text_array(&a, c.submitted));
    arena_release(&a);
    return ok || err_wrap(err, "publishing %zu crashes", n);
}

bool ledger_publish(struct db *db, const char *crash_id, const char *ruleset, enum queue_kind queue,
                    const char *product, const char *submitted_timestamp, struct err *err)
{
    struct ledger_entry e = {crash_id, ruleset, queue, product, submitted_timestamp};
    return ledger_publish_all(db, &e, 1, err);
}

/* The row's texts end with the result. */
static void copy_job(const struct db_rows *rows, const char *worker, int64_t claimed_ms,
                     struct ledger_job *ret)
{
    *ret = (struct ledger_job){
        .queue = (enum queue_kind)db_col_int(rows, 0, Q_QUEUE_CLAIM_COL_QUEUE, QUEUE_STANDARD),
        .attempts = (int)db_col_int(rows, 0, Q_QUEUE_CLAIM_COL_ATTEMPTS, 0),
        .worker_deaths = (int)db_col_int(rows, 0, Q_QUEUE_CLAIM_COL_WORKER_DEATHS, 0),
        .claimed_ms = claimed_ms,
        .age_s = db_col_int(rows, 0, Q_QUEUE_CLAIM_COL_AGE_S, 0),
    };
    snprintf(ret->id, sizeof ret->id, "%s", db_col(rows, 0, Q_QUEUE_CLAIM_COL_ID));
    snprintf(ret->crash_id, sizeof ret->crash_id, "%s",
             db_col(rows, 0, Q_QUEUE_CLAIM_COL_CRASH_ID));
    snprintf(ret->ruleset, sizeof ret->ruleset, "%s", db_col(rows, 0, Q_QUEUE_CLAIM_COL_RULESET));
    snprintf(ret->worker, sizeof ret->worker, "%s", worker);
}

/*
 * One statement for each queue, in an order that is drawn: with one order only, a steady stream of
 * new crashes would leave those that are processed again to wait for ever.  A claim that was
 * committed and whose answer got lost is found by ledger_release.
 */
bool ledger_claim(struct db *db, const char *worker, int lease_s, struct ledger_job *ret,
                  struct err *err)
{
    static const char *const orders[2][3] = {{"0", "1", "2"}, {"0", "2", "1"}};
    const char *const *order = orders[random_u64() % (STANDARD_SHARE + 1) == 0];
    char lease[16];
    snprintf(lease, sizeof lease, "%d", lease_s);
    for (size_t i = 0; i < ARRAY_LEN(orders[0]); i++) {
        DB_ROWS rows = {0};
        int64_t claimed_ms = mono_ms();
        if (!DB_RUN(db, &q_queue_claim, &rows, err, order[i], worker, lease))
            return err_wrap(err, "taking a crash from the queue");
        if (rows.count > 0) {
            copy_job(&rows, worker, claimed_ms, ret);
            return true;
        }
    }
    return err_set(err, ERR_NOT_FOUND, "the queue is empty");
}

bool ledger_extend(struct db *db, const struct ledger_job *job, int lease_s, struct err *err)
{
    char lease[16];
    snprintf(lease, sizeof lease, "%d", lease_s);
    return DB_EXEC(db, &q_queue_extend, err, job->id, job->worker, lease);
}

int ledger_backoff_s(int attempts)
{
    int pause = BACKOFF_FIRST_S;
    for (int i = 0; i < attempts && pause < BACKOFF_MAX_S; i++)
        pause *= BACKOFF_FACTOR;
    return MIN(pause, (int)BACKOFF_MAX_S);
}

/* How a claim ended that did not lead to a result. */
struct lapse {
    int attempts, deaths; /* 1 or 0: what it counts as */
    int pause_s;
    const char *error_class; /* NULL: the last one stays */
};

/* The claim of a worker on one message, or with id NULL those on all but held_id (NULL: on all). */
static bool give_back(struct db *db, const char *worker, const char *id, const char *held_id,
                      const struct lapse *l, struct db_rows *ret, struct err *err)
{
    char attempts[16], deaths[16], pause[16], max[16];
    snprintf(attempts, sizeof attempts, "%d", l->attempts);
    snprintf(deaths, sizeof deaths, "%d", l->deaths);
    snprintf(pause, sizeof pause, "%d", l->pause_s);
    snprintf(max, sizeof max, "%d", LEDGER_ATTEMPTS_MAX);
    return DB_RUN(db, &q_queue_give_back, ret, err, worker, id, held_id ? held_id : "0", attempts,
                  deaths, pause, max, l->error_class);
}

bool ledger_give_back(struct db *db, const struct ledger_job *job, const struct err *why,
                      struct err *err)
{
    const struct lapse failure = {
        .attempts = 1,
        .pause_s = ledger_backoff_s(job->attempts),
        .error_class = err_code_name(why->code),
    };
    DB_ROWS rows = {0};
    return give_back(db, job->worker, job->id, NULL, &failure, &rows, err) ||
           err_wrap(err, "giving back crash %s", job->crash_id);
}

/* Nothing happens, and that is no error, if the claim is not the worker's any more: another one has
 * the message by now.  So it is with extend and drop. */
bool ledger_reject(struct db *db, const struct ledger_job *job, struct err *err)
{
    return DB_EXEC(db, &q_queue_reject, err, job->id, job->worker, job->crash_id);
}

bool ledger_drop(struct db *db, const struct ledger_job *job, struct err *err)
{
    return DB_EXEC(db, &q_queue_drop, err, job->id, job->worker);
}

bool ledger_release(struct db *db, const char *worker, const char *held_id, struct err *err)
{
    DB_ROWS rows = {0};
    if (!give_back(db, worker, NULL, held_id, &(struct lapse){0}, &rows, err))
        return err_wrap(err, "returning claims");
    for (int i = 0; i < rows.count; i++)
        log_event(LOG_INFO, "claim_returned", "claimed over a connection that broke",
                  LOG_S("crash_id", db_col(&rows, i, Q_QUEUE_GIVE_BACK_COL_CRASH_ID)));
    return true;
}

enum worker_life { WORKER_LIVES, WORKER_DEAD, WORKER_ELSEWHERE };

/* A worker is "host:process"; only those of this host can be looked at. */
static enum worker_life life_of(const char *worker, const char *host)
{
    struct str w = str_of(worker);
    size_t colon = str_rfind_char(w, ':');
    if (colon == SIZE_MAX || !str_eq(str_sub(w, 0, colon), str_of(host)))
        return WORKER_ELSEWHERE;
    return proc_is_gone(str_sub(w, colon + 1, SIZE_MAX)) ? WORKER_DEAD : WORKER_LIVES;
}

bool ledger_bury(struct db *db, const char *host, size_t *ret_buried, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_queue_running, &rows, err))
        return false;
    size_t buried = 0;
    /* Several may look at once.  The statement names worker and message, so one of them gives back
     * and the others find nothing to do. */
    for (int i = 0; i < rows.count; i++) {
        const char *worker = db_col(&rows, i, Q_QUEUE_RUNNING_COL_LOCKED_BY);
        if (!worker)
            continue;
        enum worker_life life = life_of(worker, host);
        if (life != WORKER_DEAD && !db_col_bool(&rows, i, Q_QUEUE_RUNNING_COL_IS_EXPIRED))
            continue;
        const struct lapse lapse = {
            .attempts = 1,
            .deaths = life != WORKER_LIVES,
            .error_class = life != WORKER_LIVES ? "worker died" : "lease ended",
        };
        DB_ROWS given = {0};
        const char *id = db_col(&rows, i, Q_QUEUE_RUNNING_COL_ID);
        if (!give_back(db, worker, id, NULL, &lapse, &given, err))
            return false;
        log_event(LOG_WARN, "crash_given_back", lapse.error_class,
                  LOG_S("crash_id", db_col(&rows, i, Q_QUEUE_RUNNING_COL_CRASH_ID)),
                  LOG_S("worker", worker));
        buried++;
    }
    *ret_buried = buried;
    return true;
}
