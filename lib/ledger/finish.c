/*
 * The storing half of the ledger: finish, load, delete.  Each touches store, index and database in
 * the order of docs/queue.md, chosen so that a process that is killed in between leaves something
 * that the next try, or a job, completes: a result without a row is overwritten, a row without a
 * result is processed again.
 */
#include <assert.h>
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/ledger/counted.h"
#include "lib/ledger/ledger.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "queries.h"

/* Names of products have 100 bytes, versions less; loaded documents may have anything. */
enum { PRODUCT_BYTES_MAX = 100 };

/* What the ledger keeps of a processed crash, in the arena; NULL where it has nothing. */
struct crash_row {
    char *product, *version, *date;
};

bool ledger_store_check(struct db *db, struct store *store, char id[INSTALLATION_ID_SIZE],
                        struct err *err)
{
    DB_ROWS rows = {0};
    if (!id[0] && DB_RUN(db, &q_installation_id, &rows, ERR_IGNORED) && rows.count == 1) {
        snprintf(id, INSTALLATION_ID_SIZE, "%s", db_col(&rows, 0, Q_INSTALLATION_ID_COL_ID));
        store_expect(store, id);
    }
    return store_check(store, err);
}

/* A text that a column takes: not empty, not too long, without NUL. */
static char *short_text(struct arena *a, const json_t *doc, const char *key, size_t max)
{
    struct str s = jget_strn(doc, key);
    if (s.n == 0 || s.n > max)
        return NULL;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\0')
            return NULL;
    return str_adup(a, s);
}

static struct crash_row crash_row_of(struct arena *a, const json_t *doc)
{
    struct crash_row f = {
        .product = short_text(a, doc, "product", PRODUCT_BYTES_MAX),
        .version = short_text(a, doc, "version", PRODUCT_BYTES_MAX),
    };
    int64_t us;
    const char *date = jget_str(doc, "date_processed");
    if (date && strlen(date) < TIME_TEXT_MAX && time_parse(str_of(date), &us, ERR_IGNORED))
        f.date = arena_strdup(a, date);
    return f;
}

/* What queue_finish notes about symbols; NULL where nothing is to be noted. */
struct lacking {
    const char *debug_ids, *pending, *walk_age_ms, *day;
};

/*
 * A pass that did not walk the dump knows nothing new.  The age is that of the claim: symbols that
 * came after it may have been looked for before, so the crash is processed once too often rather
 * than never.
 */
static struct lacking lacking_of(struct arena *a, const struct ledger_job *job,
                                 const char *crash_id, const json_t *doc, int days)
{
    enum { ID_BYTES_MAX = 40 }; /* of the column */
    struct lacking l = {0};
    char day[CRASH_DATE_SIZE];
    int64_t day_us;
    if (strcmp(job->ruleset, "default") != 0)
        return l;
    const json_t *list = jget_arr(doc, "symbols_wanted"), *wanted;
    struct strs ids = {.v = arena_array(a, json_array_size(list) + 1, sizeof(struct str))};
    struct strs pending = {.v = arena_array(a, json_array_size(list) + 1, sizeof(struct str))};
    size_t i;
    json_array_foreach (list, i, wanted) {
        struct str id = jget_strn(wanted, "debug_id");
        if (id.n == 0 || id.n > ID_BYTES_MAX)
            continue;
        ids.v[ids.n++] = id;
        if (str_eq(jget_strn(wanted, "state"), STR("pending")))
            pending.v[pending.n++] = id;
    }
    l.debug_ids = db_text_array(a, ids);
    l.pending = db_text_array(a, pending);
    l.walk_age_ms = db_int(a, mono_ms() - job->claimed_ms);
    crash_id_date(crash_id, day);
    if (days > 0 &&
        time_parse(str_of(arena_printf(a, "%.4s-%.2s-%.2s", day, day + 4, day + 6)), &day_us,
                   ERR_IGNORED) &&
        now_us() - day_us < (days + 1) * DAY_US)
        l.day = arena_strdup(a, day);
    return l;
}

static bool put_processed(struct store *store, const char *crash_id, const json_t *doc,
                          struct err *err)
{
    size_t n;
    FREE_LATER char *text = jdump(doc, &n);
    return store_put(store, crash_id, "processed_crash", str_n(text, n), err);
}

/*
 * A document that the index refuses stays stored; it just cannot be searched.  False: the index
 * cannot be used now, which is no reason not to finish a crash.
 */
static bool put_index(struct index_writer *index, const char *crash_id, const json_t *doc)
{
    struct err why = {0};
    if (index_put(index, doc, &why))
        return true;
    bool is_refused = why.code == ERR_INVALID || why.code == ERR_TOO_LARGE;
    log_event(LOG_WARN, is_refused ? "index_refused" : "index_late",
              is_refused ? "stored, but not searchable" : "stored; the index gets it later",
              LOG_S("crash_id", crash_id), LOG_E(&why));
    return is_refused;
}

/* The crash was deleted while it was in work: what was just written goes as well. */
static bool undo(struct store *store, struct index_writer *index, const char *crash_id,
                 struct err *err)
{
    size_t removed;
    bool was_there;
    log_event(LOG_INFO, "crash_gone", "deleted while it was processed",
              LOG_S("crash_id", crash_id));
    return store_delete(store, crash_id, &removed, err) &&
           index_delete(index, crash_id, &was_there, err) && index_sync(index, err);
}

/*
 * Index, store, database.  A kill behind the index leaves a crash that is found by a search and has
 * no page yet, or an older one; behind the store, a result without a row.  Either way the claim
 * ends with the worker, and the next one does all three again.  The claim is asked for in the same
 * statement that writes the row: a worker that was given up for dead meanwhile overwrites a result
 * with an equal one and takes no message from its successor.
 */
bool ledger_finish(struct db *db, struct store *store, struct index_writer *index,
                   struct metrics *metrics, const struct ledger_job *job, const char *crash_id,
                   const json_t *processed, int lacking_days, struct err *err)
{
    if (!job) {
        json_t *doc = (json_t *)processed; /* ledger_load only reads it */
        return ledger_load(db, store, index, &doc, 1, err);
    }
    /* The index first: whoever sees the processed crash finds it by a search, too. */
    int64_t begun_us = mono_us();
    bool is_indexed = put_index(index, crash_id, processed);
    int64_t indexed_us = mono_us();
    metric_time(metrics, METRIC_SAVE_INDEX, indexed_us - begun_us);
    if (!put_processed(store, crash_id, processed, err))
        return err_wrap(err, "storing crash %s", crash_id);
    int64_t stored_us = mono_us();
    metric_time(metrics, METRIC_SAVE_STORE, stored_us - indexed_us);

    struct arena a;
    arena_init(&a, 1 << 20);
    struct crash_row f = crash_row_of(&a, processed);
    struct lacking l = lacking_of(&a, job, crash_id, processed, lacking_days);
    char *counted = counted_json(&(const json_t *){processed}, &crash_id, 1);
    DB_ROWS rows = {0};
    bool ok = DB_RUN(db, &q_queue_finish, &rows, err, job->id, job->worker, crash_id, f.product,
                     is_indexed ? "true" : "false", l.debug_ids, l.walk_age_ms, f.version, l.day,
                     l.pending, counted);
    free(counted);
    arena_release(&a);
    if (!ok)
        return err_wrap(err, "finishing crash %s", crash_id);
    metric_time(metrics, METRIC_SAVE_LEDGER, mono_us() - stored_us);
    return rows.count > 0 || undo(store, index, crash_id, err);
}

static struct strs column(struct arena *a, size_t n)
{
    return (struct strs){arena_array(a, n, sizeof(struct str)), 0};
}

static void add_text(struct strs *s, const char *text)
{
    s->v[s->n++] = str_of(text ? text : "");
}

static bool record(struct db *db, json_t *const *docs, size_t n, bool are_indexed, struct arena *a,
                   struct err *err)
{
    struct strs id = column(a, n), product = column(a, n), received = column(a, n);
    const char **ids = arena_array(a, n, sizeof *ids);
    for (size_t i = 0; i < n; i++) {
        ids[i] = jget_str(docs[i], "uuid");
        struct crash_row f = crash_row_of(a, docs[i]);
        add_text(&id, ids[i]);
        add_text(&product, f.product);
        add_text(&received, f.date);
    }
    FREE_LATER char *counted = counted_json((const json_t *const *)docs, ids, n);
    DB_ROWS rows = {0};
    return DB_RUN(db, &q_ledger_load, &rows, err, db_text_array(a, id), db_text_array(a, product),
                  db_text_array(a, received), are_indexed ? "true" : "false", counted);
}

/* *ret_are_indexed false: at least one is not, so all count as late. */
static bool put_documents(struct store *store, struct index_writer *index, json_t *const *docs,
                          size_t n, bool *ret_are_indexed, struct err *err)
{
    bool is_bulk = n > 1; /* one sync for all of them */
    if (is_bulk)
        store_defer_sync(store);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = put_processed(store, jget_str(docs[i], "uuid"), docs[i], err);
    if (is_bulk && !store_sync(store, ok ? err : ERR_IGNORED))
        ok = false;
    *ret_are_indexed = true;
    for (size_t i = 0; ok && *ret_are_indexed && i < n; i++)
        *ret_are_indexed = put_index(index, jget_str(docs[i], "uuid"), docs[i]);
    return ok;
}

bool ledger_load(struct db *db, struct store *store, struct index_writer *index,
                 json_t *const *docs, size_t n, struct err *err)
{
    assert(n <= LEDGER_BATCH_MAX);
    if (n == 0)
        return true;
    bool are_indexed;
    /* The rows last: a load that is broken off leaves documents without rows, and is repeated. */
    if (!put_documents(store, index, docs, n, &are_indexed, err))
        return err_wrap(err, "storing %zu crashes", n);
    struct arena a;
    arena_init(&a, (size_t)LEDGER_BATCH_MAX * 8192);
    bool ok = record(db, docs, n, are_indexed, &a, err);
    arena_release(&a);
    return ok || err_wrap(err, "recording %zu crashes", n);
}

/*
 * What symbols it lacked is forgotten behind the ledger row, because a worker that is just
 * finishing holds that row and writes the other.
 *
 * The objects go first, so that an interrupted deletion leaves a ledger row and can be repeated;
 * and once more at the end, for a worker that stored its result in between.  A worker that comes
 * later still finds no ledger row and takes its result back (undo above).
 */
bool ledger_delete(struct db *db, struct store *store, struct index_writer *index,
                   const char *crash_id, struct ledger_removed *ret, struct err *err)
{
    struct ledger_removed r = {0};
    size_t late = 0;
    char only[CRASH_ID_SIZE + 4]; /* an array of one */
    snprintf(only, sizeof only, "{%s}", crash_id);
    DB_ROWS queue = {0}, ledger = {0};
    if (!store_delete(store, crash_id, &r.store_objects, err) ||
        !DB_RUN(db, &q_queue_forget, &queue, err, crash_id) ||
        !DB_RUN(db, &q_ledger_forget, &ledger, err, crash_id) ||
        !DB_EXEC(db, &q_lacking_forget, err, only) || !store_delete(store, crash_id, &late, err) ||
        !index_delete(index, crash_id, &r.was_in_index, err) || !index_sync(index, err))
        return err_wrap(err, "deleting crash %s", crash_id);
    r.store_objects += late;
    r.was_in_queue = queue.affected > 0;
    r.was_in_ledger = ledger.affected > 0;
    *ret = r;
    return true;
}
