/*
 * verifyprocessed, updatemissing, republish: nothing that was accepted stays behind.
 *
 * The steps of a report are made so that none can be lost between them (docs/queue.md); these jobs
 * look whether that is true, and mend what no step can: a database that was restored from a backup,
 * a store that was away when the ledger gave a report up, a mistake of ours.  verifyprocessed goes
 * by the store, one day at a time; updatemissing looks again at what that has found; republish goes
 * by the ledger and by the store's last two days.
 *
 * What they queue may just be on its way: a crash that is queued twice is one message, and one that
 * is processed twice comes out the same.
 */
#include "cron/job_context.h"
#include "cron/jobs/job_functions.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "queries.h"

enum {
    PAGE = LEDGER_BATCH_MAX,
    /*
     * A row is followed by its message in the same transaction, of which each statement may take
     * half a minute (STATEMENT_TIMEOUT_MS of the mover): what stands alone for ten is left behind.
     */
    STRANDED_AFTER_S = 600,
};

struct search {
    struct job_context *x;
    struct index_reader *index;
    struct ledger_entry batch[PAGE];
    size_t n, total;
    struct arena ids; /* texts of the batch */
    struct err *err;
    bool ok;
};

/* The table of missing crashes first: what was queued and is not in it would be seen by nobody. */
static bool flush(struct search *s)
{
    struct strs ids = {.v = arena_array(&s->ids, s->n + 1, sizeof(struct str)), .n = s->n};
    for (size_t i = 0; i < s->n; i++)
        ids.v[i] = str_of(s->batch[i].crash_id);
    s->ok = s->n == 0 || (DB_EXEC(s->x->db, &q_missing_add, s->err, db_text_array(&s->ids, ids)) &&
                          ledger_publish_all(s->x->db, s->batch, s->n, s->err));
    s->n = 0;
    arena_reset(&s->ids);
    return s->ok;
}

/* An index that is being filled again lacks crashes that nobody has to process once more. */
static bool is_index_whole(struct job_context *x)
{
    struct index_health h;
    return index_health(conf_text(x->conf, CONF_INDEX_DIR), x->fields, &h, ERR_IGNORED) &&
           h.is_readable && h.is_whole;
}

/* Stored and, if an index is given, found by searches. */
static bool is_processed(struct job_context *x, struct index_reader *index, const char *id,
                         bool *ret, struct err *err)
{
    *ret = false;
    if (!index) {
        *ret = store_exists(x->store, id, "processed_crash");
        return true;
    }
    return !store_exists(x->store, id, "processed_crash") || index_has(index, id, ret, err);
}

/* Goes on although one is missing: the page tells an administrator how many there are. */
static bool note_if_stranded(void *arg, const char *crash_id)
{
    struct search *s = arg;
    bool done;
    job_did(s->x, 1);
    s->ok = is_processed(s->x, s->index, crash_id, &done, s->err);
    if (!s->ok || done)
        return s->ok;
    printf("Missing: %s\n", crash_id);
    s->total++;
    s->batch[s->n++] = (struct ledger_entry){
        .crash_id = arena_strdup(&s->ids, crash_id),
        .queue = QUEUE_REPROCESSING,
    };
    return s->n < PAGE || flush(s);
}

/* The day before the run time: each of its raw crashes is processed and found by searches. */
bool job_verifyprocessed(struct job_context *x, struct err *err)
{
    int64_t run_time_us;
    if (!job_arg_time(x, "run-time", x->run_time_us, &run_time_us, err))
        return false;
    struct civil c = civil_of_us(run_time_us - DAY_US);
    char day[16];
    snprintf(day, sizeof day, "%04d%02d%02d", c.year % 10000, c.month % 100, c.day % 100);
    struct search *s = arena_alloc(x->arena, sizeof *s);
    *s = (struct search){.x = x, .err = err, .ok = true};
    arena_init(&s->ids, 1 << 20); /* PAGE ids of 37 bytes, and the array for the statement */
    bool ok = (!is_index_whole(x) ||
               index_reader_open(conf_text(x->conf, CONF_INDEX_DIR), x->fields, &s->index, err)) &&
              store_catalog(x->store, day, "raw_crash", note_if_stranded, s, err) && s->ok &&
              flush(s);
    index_reader_close(s->index);
    arena_release(&s->ids);
    if (s->total)
        metric_add(x->metrics, METRIC_CRON_MISSING, s->total);
    if (ok && s->total == 0)
        printf("All crashes for %s were processed.\n", day);
    return ok;
}

/* Administrators see the table: what was processed since is marked and stays there. */
bool job_updatemissing(struct job_context *x, struct err *err)
{
    struct index_reader *index = NULL;
    DB_ROWS rows = {0};
    if (!DB_RUN(x->db, &q_missing_open, &rows, err))
        return false;
    bool ok = !is_index_whole(x) ||
              index_reader_open(conf_text(x->conf, CONF_INDEX_DIR), x->fields, &index, err);
    int updated = 0;
    for (int i = 0; ok && i < rows.count; i++) {
        bool done;
        const char *id = db_col(&rows, i, Q_MISSING_OPEN_COL_CRASH_ID);
        job_did(x, 1);
        ok = is_processed(x, index, id, &done, err);
        if (ok && done) {
            ok = DB_EXEC(x->db, &q_missing_done, err, id);
            updated++;
        }
    }
    index_reader_close(index);
    printf("%d of %d missing crashes have been processed\n", updated, rows.count);
    return ok;
}

struct republish {
    struct job_context *x;
    struct ledger_entry batch[PAGE];
    size_t n, total;
    struct arena ids;
    struct err *err;
    bool ok;
};

static bool publish_batch(struct republish *r)
{
    r->ok = ledger_publish_all(r->x->db, r->batch, r->n, r->err);
    r->total += r->ok ? r->n : 0;
    job_did(r->x, r->ok ? r->n : 0);
    r->n = 0;
    return r->ok;
}

/* A row without message cannot come from our own transactions; from a restored database it can. */
static bool republish_rows(struct republish *r)
{
    int count;
    do {
        DB_ROWS rows = {0};
        if (!DB_RUN(r->x->db, &q_ledger_stranded, &rows, r->err,
                    db_int(r->x->arena, STRANDED_AFTER_S), db_int(r->x->arena, PAGE)))
            return false;
        count = rows.count;
        for (int i = 0; i < count; i++)
            r->batch[r->n++] = (struct ledger_entry){
                .crash_id = db_col(&rows, i, Q_LEDGER_STRANDED_COL_CRASH_ID),
                .queue = QUEUE_STANDARD,
            };
        if (!publish_batch(r))
            return false;
    } while (count == PAGE);
    return true;
}

static bool is_known(const struct db_rows *known, const char *crash_id)
{
    for (int i = 0; i < known->count; i++)
        if (strcmp(db_col(known, i, Q_LEDGER_KNOWN_COL_CRASH_ID), crash_id) == 0)
            return strcmp(db_col(known, i, Q_LEDGER_KNOWN_COL_STATE), "rejected") != 0;
    return false;
}

/*
 * Publishes those of the batch that the ledger does not know, or took for lost while their store
 * was away; nearly always there are none.
 */
static bool publish_unknown(struct republish *r)
{
    DB_ROWS known = {0};
    struct strs ids = {.v = arena_array(&r->ids, r->n + 1, sizeof(struct str)), .n = r->n};
    for (size_t i = 0; i < r->n; i++)
        ids.v[i] = str_of(r->batch[i].crash_id);
    r->ok =
        r->n == 0 || DB_RUN(r->x->db, &q_ledger_known, &known, r->err, db_text_array(&r->ids, ids));
    size_t kept = 0;
    for (size_t i = 0; r->ok && i < r->n; i++)
        if (!is_known(&known, r->batch[i].crash_id))
            r->batch[kept++] = r->batch[i];
    r->n = kept;
    r->ok = r->ok && publish_batch(r);
    arena_reset(&r->ids);
    return r->ok;
}

static bool on_stored(void *arg, const char *crash_id)
{
    struct republish *r = arg;
    r->batch[r->n++] = (struct ledger_entry){
        .crash_id = arena_strdup(&r->ids, crash_id),
        .queue = QUEUE_STANDARD,
    };
    return r->n < PAGE || publish_unknown(r);
}

/* Reports of yesterday and today that were stored and never published. */
static bool republish_objects(struct republish *r)
{
    for (int back = 1; back >= 0; back--) {
        struct civil c = civil_of_us(r->x->run_time_us - back * DAY_US);
        char day[16];
        snprintf(day, sizeof day, "%04d%02d%02d", c.year % 10000, c.month % 100, c.day % 100);
        if (!store_catalog(r->x->store, day, "raw_crash", on_stored, r, r->err) || !r->ok)
            return false;
    }
    return publish_unknown(r);
}

/* One that is just on its way is published twice, which is one message. */
bool job_republish(struct job_context *x, struct err *err)
{
    struct republish *r = arena_alloc(x->arena, sizeof *r);
    *r = (struct republish){.x = x, .err = err, .ok = true};
    arena_init(&r->ids, 1 << 20);
    bool ok = republish_rows(r) && republish_objects(r);
    arena_release(&r->ids);
    printf("%zu crashes queued again\n", r->total);
    return ok;
}
