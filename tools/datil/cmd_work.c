/*
 * reprocess …, queue …: crashes into the queue once more, one by one or by a search, and what
 * waits there.  They go behind newly received ones (QUEUE_REPROCESSING), so that a million of them
 * holds up nobody.
 *
 * A search is read to its end before the first of its crashes is queued, since processing may
 * change what the search asked for: a crash that no longer fits while later pages are read would
 * move all behind it to places that were read already.  Ids take 37 MB for a million crashes.
 *
 * Pages come in the order of date and crash id, and each begins at the date of the last hit, so
 * that any number of crashes costs the same for each page: an offset alone would have every page
 * sort all that was read before it, and ends at 10,000 (QUERY_WINDOW_MAX) where others ask.  The
 * end of the search is the moment it began: what comes in meanwhile is not read.
 */
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/crash/crash_id.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/ledger/ledger.h"
#include "lib/search/query.h"
#include "lib/search/search.h"
#include "lib/store/store.h"
#include "lib/web/params.h"
#include "queries.h"
#include "tools/datil/app.h"

/*
 * Two minutes for a page: a search of a whole year over a cold disk takes some, and nobody waits at
 * a browser.  FAILED_SHOWN are more lines than anybody acts on one by one; `queue retry` without an
 * id takes all.
 */
enum { SEARCH_TIME_MS = 120000, FAILED_SHOWN = 100 };

struct found_crash {
    char id[CRASH_ID_SIZE];
};
typedef VEC(struct found_crash) found_vec;

struct queue_batch {
    struct app *app;
    const char *ruleset;
    struct ledger_entry entries[LEDGER_BATCH_MAX];
    size_t n, total;
};

/* One transaction for the batch: all of its crashes are queued, or none. */
static bool flush(struct queue_batch *b, struct err *err)
{
    bool ok = ledger_publish_all(b->app->db, b->entries, b->n, err);
    b->total += ok ? b->n : 0;
    b->n = 0;
    return ok;
}

/* The id is borrowed until the batch is written. */
static bool add_to_batch(struct queue_batch *b, const char *id, struct err *err)
{
    b->entries[b->n++] = (struct ledger_entry){
        .crash_id = id,
        .ruleset = b->ruleset,
        .queue = QUEUE_REPROCESSING,
    };
    return b->n < LEDGER_BATCH_MAX || flush(b, err);
}

/*
 * An id that was typed wrong stops everything before a message is written for those of the last
 * batch.  Crashes without a raw crash cannot be processed, and would only be rejected by a worker.
 */
static bool add_ids(struct queue_batch *b, struct args ids, struct err *err)
{
    for (int i = 0; i < ids.n; i++) {
        char id[CRASH_ID_SIZE];
        if (!crash_id_parse(str_of(ids.v[i]), id))
            return err_set(err, ERR_INVALID, "'%.60s' is not a crash id", ids.v[i]);
        if (!store_exists(b->app->store, id, "raw_crash"))
            return err_set(err, ERR_NOT_FOUND, "there is no raw crash of %s", id);
        if (!add_to_batch(b, arena_strdup(&b->app->arena, id), err))
            return false;
    }
    return true;
}

/*
 * "product=Firefox&signature=~foo" and what makes a page of ids of it.  What the address says about
 * pages, columns and facets is dropped: only the conditions matter.
 */
static bool parse_query(struct app *app, const char *text, int64_t page, struct search_query **ret,
                        struct err *err)
{
    const struct search_context ctx = {.now_us = now_us(), .reader = PERM_PROTECTED};
    struct param_list list = {0};
    const char *form_param = NULL;
    if (!params_parse(&app->arena, str_of(text[0] == '?' ? text + 1 : text), &list, err))
        return false;
    struct search_params p = {
        .v = arena_array(&app->arena, list.n + 8, sizeof(struct search_param)),
    };
    for (size_t i = 0; i < list.n; i++)
        if (!str_starts(list.v[i].name, STR("_")))
            p.v[p.n++] = (struct search_param){list.v[i].name, list.v[i].value};
    p.v[p.n++] = (struct search_param){STR("_columns"), STR("uuid")};
    p.v[p.n++] = (struct search_param){STR("_columns"), STR("date")};
    p.v[p.n++] = (struct search_param){STR("_facets_size"), STR("0")};
    p.v[p.n++] = (struct search_param){STR("_sort"), STR("date")};
    p.v[p.n++] = (struct search_param){STR("_results_number"), str_of(db_int(&app->arena, page))};
    if (search_parse(&app->arena, app->fields, &ctx, p, ret, &form_param, err))
        return true;
    return form_param ? err_wrap(err, "%s", form_param) : false;
}

/*
 * The query moves on behind a hit: it begins at the date of the hit, of which `offset` have been
 * read.  Crash ids order those of one date (query_parse.c, build_sort).
 */
static bool move_behind(struct search_query *q, const json_t *hit, struct err *err)
{
    const char *date = jget_str(hit, "date");
    int64_t us;
    if (!date || !time_parse(str_of(date), &us, err))
        return err_set(err, ERR_INTERNAL, "a hit without a date");
    q->offset = us == q->from_us ? q->offset + 1 : 1;
    q->from_us = us;
    return true;
}

static bool take_page(found_vec *ids, const json_t *hits, struct search_query *q, struct err *err)
{
    for (size_t i = 0; i < json_array_size(hits); i++) {
        const json_t *hit = json_array_get(hits, i);
        struct found_crash crash = {0};
        if (!crash_id_parse(str_of(jget_str(hit, "uuid")), crash.id))
            return err_set(err, ERR_INTERNAL, "a hit without a crash id");
        VEC_PUSH(ids, crash);
        if (!move_behind(q, hit, err))
            return false;
    }
    return true;
}

/* The ids of all crashes that the search finds. */
static bool read_search(struct app *app, const char *text, int64_t page, found_vec *ids,
                        struct err *err)
{
    struct search_query *q;
    size_t got;
    if (!app_reader(app, err) || !parse_query(app, text, page, &q, err))
        return err_wrap(err, "search");
    do {
        const struct search_context ctx = {
            .now_us = now_us(),
            .reader = PERM_PROTECTED,
            .deadline_ms = mono_ms() + SEARCH_TIME_MS,
            .lanes = proc_cores(),
        };
        json_auto_t *answer = NULL;
        if (!search_run(app->reader, &ctx, q, &answer, err))
            return err_wrap(err, "search");
        const json_t *hits = jget_arr(answer, "hits");
        got = json_array_size(hits);
        if (!take_page(ids, hits, q, err))
            return false;
    } while (got == (size_t)page);
    return true;
}

/* A crash whose raw crash is gone cannot be processed and is left out. */
static bool add_found(struct queue_batch *b, const found_vec *ids, struct err *err)
{
    for (size_t i = 0; i < ids->n; i++)
        if (store_exists(b->app->store, ids->v[i].id, "raw_crash") &&
            !add_to_batch(b, ids->v[i].id, err))
            return false;
    return true;
}

/* A row for each crash that was named, one for all that a search has found. */
static bool audit_reprocess(struct app *app, struct args ids, size_t total, bool is_search,
                            const char *ruleset, struct err *err)
{
    for (int i = 0; i < ids.n; i++) {
        char id[CRASH_ID_SIZE];
        if (!crash_id_parse(str_of(ids.v[i]), id) ||
            !app_audit(app, "crash", id, "reprocess", ruleset, err))
            return false;
    }
    const char *count =
        arena_printf(&app->arena, "%s, %zu crashes of a search", ruleset, total - (size_t)ids.n);
    return !is_search || app_audit(app, "crash", "", "reprocess", count, err);
}

static bool run_reprocess(struct app *app, struct args args, struct err *err)
{
    const char *search = NULL, *ruleset = "default";
    int64_t page = QUERY_HITS_MAX;
    struct opt_range page_range = {&page, 1, QUERY_HITS_MAX};
    const struct opt opts[] = {{"--search", OPT_TEXT, &search},
                               {"--ruleset", OPT_TEXT, &ruleset},
                               {"--page", OPT_RANGE, &page_range}};
    if (!OPTS_PARSE(opts, &args, 0, -1, err))
        return false;
    if (!search && args.n == 0)
        return err_set(err, ERR_INVALID, "name crash ids, or --search QUERY");
    if (!app_db(app, err) || !app_store(app, err))
        return false;
    struct queue_batch *b = arena_alloc(&app->arena, sizeof *b);
    b->app = app;
    b->ruleset = ruleset;
    found_vec found = {0};
    bool ok = (!search || read_search(app, search, page, &found, err)) && add_ids(b, args, err) &&
              add_found(b, &found, err) && flush(b, err) &&
              audit_reprocess(app, args, b->total, search != NULL, ruleset, err);
    VEC_RELEASE(&found);
    printf("%zu crashes queued for processing\n", b->total);
    return ok;
}

/*
 * Both sides: what waits in the queue, by kind and state, and what the ledger counts in each state.
 */
static bool run_queue(struct app *app, struct args args, struct err *err)
{
    static const char *const states[] = {"waiting", "in work", "failed"};
    DB_ROWS queue = {0}, ledger = {0};
    if (!NO_OPTS(&args, 0, 0, err) || !app_db(app, err) ||
        !DB_RUN(app->db, &q_queue_summary, &queue, err) ||
        !DB_RUN(app->db, &q_ledger_count_by_state, &ledger, err))
        return false;
    for (int i = 0; i < queue.count; i++) {
        int64_t state = db_col_int(&queue, i, Q_QUEUE_SUMMARY_COL_STATE, 0);
        printf(
            "%-13s %-8s %8s, the oldest for %s s\n",
            queue_kind_name((enum queue_kind)db_col_int(&queue, i, Q_QUEUE_SUMMARY_COL_QUEUE, 0)),
            states[state >= 0 && state < 3 ? state : 0],
            db_col(&queue, i, Q_QUEUE_SUMMARY_COL_COUNT),
            db_col(&queue, i, Q_QUEUE_SUMMARY_COL_OLDEST_S));
    }
    if (queue.count == 0)
        puts("the queue is empty");
    for (int i = 0; i < ledger.count; i++)
        printf("crashes %-14s %8s\n", db_col(&ledger, i, Q_LEDGER_COUNT_BY_STATE_COL_STATE),
               db_col(&ledger, i, Q_LEDGER_COUNT_BY_STATE_COL_COUNT));
    return true;
}

static bool run_queue_failed(struct app *app, struct args args, struct err *err)
{
    DB_ROWS rows = {0};
    if (!NO_OPTS(&args, 0, 0, err) || !app_db(app, err) ||
        !DB_RUN(app->db, &q_queue_failed, &rows, err, db_int(&app->arena, FAILED_SHOWN)))
        return false;
    for (int i = 0; i < rows.count; i++)
        printf("%s %s since %s: %s attempts, %s of them killed the worker; %s\n",
               db_col(&rows, i, Q_QUEUE_FAILED_COL_CRASH_ID),
               db_col(&rows, i, Q_QUEUE_FAILED_COL_RULESET),
               db_col(&rows, i, Q_QUEUE_FAILED_COL_CREATED),
               db_col(&rows, i, Q_QUEUE_FAILED_COL_ATTEMPTS),
               db_col(&rows, i, Q_QUEUE_FAILED_COL_WORKER_DEATHS),
               db_col(&rows, i, Q_QUEUE_FAILED_COL_LAST_ERROR)
                   ? db_col(&rows, i, Q_QUEUE_FAILED_COL_LAST_ERROR)
                   : "no error noted");
    if (rows.count == 0)
        puts("no crash has failed for good");
    return true;
}

/*
 * Attempts and deaths are counted anew (sql/queue.sql), or the next failure would be the last
 * again.
 */
static bool run_queue_retry(struct app *app, struct args args, struct err *err)
{
    char id[CRASH_ID_SIZE];
    DB_ROWS rows = {0};
    if (!NO_OPTS(&args, 0, 1, err) || !app_db(app, err))
        return false;
    if (args.n && !crash_id_parse(str_of(args.v[0]), id))
        return err_set(err, ERR_INVALID, "'%.60s' is not a crash id", args.v[0]);
    if (!DB_RUN(app->db, &q_queue_retry_failed, &rows, err, args.n ? id : NULL))
        return false;
    if (!app_audit(app, "crash", args.n ? id : "", "retry", "", err))
        return false;
    printf("%s crashes put back\n",
           rows.count ? db_col(&rows, 0, Q_QUEUE_RETRY_FAILED_COL_COUNT) : "0");
    return true;
}

const struct command work_commands[] = {
    {"reprocess", "ID…|--search QUERY [--ruleset NAME] [--page N]",
     "Queues crashes for processing again.\n"
     "QUERY is what stands behind the question mark of a Super Search page, such as\n"
     "'product=Firefox&signature=~oom&date=>=2026-01-01'.  It is read N crashes at a time (1000).",
     run_reprocess},
    {"queue", "", "Shows what waits, what is in work and what has failed.", run_queue},
    {"queue failed", "", "Lists crashes that failed for good, with the class of the error.",
     run_queue_failed},
    {"queue retry", "[ID]", "Puts failed crashes back, all or one.", run_queue_retry},
    {0},
};
