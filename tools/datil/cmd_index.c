/*
 * index status, index rebuild, index verify, index scrub, index compact, index pack.
 *
 * All but the rebuild work on every collection, or on the one that --collection names.
 *
 * A rebuild is a filling (lib/ledger/index_fill.c) of an index that was emptied, by what the store
 * has and not by what the ledger says.  If it is interrupted, the index keeper fills the rest.
 *
 * Searches go on meanwhile and find what is there already.  Workers go on as well: what they put is
 * in the new index, and a crash that is put twice replaces itself.
 */
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/ledger/ledger.h"
#include "lib/search/collection.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "tools/datil/app.h"

/*
 * PROGRESS_EVERY: a line every few seconds.  SYNC_EVERY is how much is done again when the machine
 * fails.  CLAIM_WAIT_MS, PACK_WAIT_MS: how long whoever fills or compacts at the moment is waited
 * for; then the error names it.
 */
enum {
    PROGRESS_EVERY = 10000,
    SYNC_EVERY = 50000,
    CLAIM_WAIT_MS = 5000,
    PACK_WAIT_MS = 60000,
};

struct rebuild {
    struct app *app;
    size_t done, refused;
    struct err *err;
    bool ok;
};

/*
 * One document that cannot be put (damaged, without a date) is named and passed over; a full disk
 * or a broken connection ends the rebuild, because every further crash would fail as well.
 */
static bool put_document(void *arg, const char *crash_id)
{
    struct rebuild *r = arg;
    struct err why = {0};
    bool put;
    if (ledger_fill_one(r->app->store, r->app->writer, crash_id, &put, &why)) {
        if (++r->done % PROGRESS_EVERY == 0) {
            printf("%zu crashes\n", r->done);
            r->ok = index_fill_progress(r->app->writer, r->done, r->done, r->err);
        }
        return r->ok && (r->done % SYNC_EVERY || (r->ok = index_sync(r->app->writer, r->err)));
    }
    if (err_is_retryable(why.code)) {
        *r->err = why;
        return r->ok = err_wrap(r->err, "crash %s", crash_id);
    }
    if (why.code != ERR_NOT_FOUND) { /* else deleted meanwhile */
        r->refused++;
        fprintf(stderr, "%s: %s\n", crash_id, why.msg);
    }
    return true;
}

/*
 * index_filled only takes back the losses that were known when the filling began: a week that is
 * damaged while it runs stays on the list of the keeper.
 */
static bool fill_from_store(struct rebuild *r, struct strs days, struct err *err)
{
    struct ledger_fill fill;
    struct app *app = r->app;
    if (!index_reset(conf_text(&app->conf, CONF_INDEX_DIR), app->fields, err) ||
        !app_writer(app, err) || !ledger_fill_begin(&fill, app->db, app->writer, err))
        return false;
    for (size_t i = 0; i < days.n; i++)
        if (!store_catalog(app->store, days.v[i].p, "processed_crash", put_document, r, err) ||
            !r->ok)
            return false;
    return index_sync(app->writer, err) &&
           (!fill.losses || index_filled(app->writer, fill.losses, err)) &&
           ledger_sync(app->db, app->writer, err);
}

/*
 * The days of the store are listed first, so that a store that cannot be read costs no index.  The
 * claim keeps the keeper from filling at the same time.
 */
static bool run_rebuild(struct app *app, struct args args, struct err *err)
{
    struct rebuild r = {.app = app, .err = err, .ok = true};
    struct strs days = {0};
    int claim;
    const char *dir = conf_text(&app->conf, CONF_INDEX_DIR);
    if (!NO_OPTS(&args, 0, 0, err) || !app_db(app, err) || !app_store(app, err) ||
        !store_days(app->store, &app->arena, &days, err) || !app_writer(app, err) ||
        !index_claim_filling(dir, "datil index rebuild", CLAIM_WAIT_MS, &claim, err))
        return false;
    setvbuf(stdout, NULL, _IOLBF, 0);
    bool ok = fill_from_store(&r, days, err);
    close(claim);
    if (!ok)
        return false;
    printf("the index holds %zu crashes\n", r.done);
    if (r.refused) {
        printf("%zu documents are stored but cannot be searched\n", r.refused);
        app->exit_status = EXIT_FAILURE;
    }
    return true;
}

/* What a command does with one collection; it adds to *weeks how many it dealt with. */
typedef bool for_collection(struct app *app, const struct collection *c, size_t *weeks,
                            struct err *err);

static bool of_collections(struct app *app, struct args args, for_collection *work,
                           size_t *ret_weeks, struct err *err)
{
    *ret_weeks = 0;
    const char *name = NULL;
    enum collection_id only = COLLECTIONS;
    const struct opt opts[] = {{"--collection", OPT_TEXT, &name}};
    if (!OPTS_PARSE(opts, &args, 0, 0, err) || !app_is_somewhere(app, err))
        return false;
    if (name && !collection_by_name(name, &only))
        return err_set(err, ERR_INVALID, "there is no collection %s", name);
    for (enum collection_id id = 0; id < COLLECTIONS; id++) {
        struct collection c = collection_of(&app->conf, app->fields, id);
        if ((!name || id == only) && !work(app, &c, ret_weeks, err))
            return err_wrap(err, "the index of %s", c.name);
    }
    return true;
}

static void print_line(void *arg, const char *line)
{
    (void)arg;
    puts(line);
}

static bool verify_one(struct app *app, const struct collection *c, size_t *weeks, struct err *err)
{
    (void)app, (void)weeks;
    return index_verify(c->dir, c->fields, print_line, NULL, err);
}

static bool run_verify(struct app *app, struct args args, struct err *err)
{
    size_t weeks;
    if (!of_collections(app, args, verify_one, &weeks, err))
        return false;
    puts("the index is sound");
    return true;
}

static bool compact_one(struct app *app, const struct collection *c, size_t *weeks, struct err *err)
{
    (void)app, (void)weeks;
    return index_compact(c->dir, c->fields, err);
}

static bool run_compact(struct app *app, struct args args, struct err *err)
{
    size_t weeks;
    if (!of_collections(app, args, compact_one, &weeks, err))
        return false;
    puts("compacted");
    return true;
}

/* A line of the log for each week says how far it is. */
static bool pack_one(struct app *app, const struct collection *c, size_t *weeks, struct err *err)
{
    size_t packed;
    struct index_writer *w;
    int64_t days = conf_int(&app->conf, CONF_INDEX_PACK_AFTER_DAYS);
    if (!index_writer_open(c->dir, c->fields, &w, err))
        return false;
    bool ok =
        index_pack(w, now_us() - MAX(days, (int64_t)0) * DAY_US, PACK_WAIT_MS, NULL, &packed, err);
    index_writer_close(w);
    *weeks += ok ? packed : 0;
    return ok;
}

static bool run_pack(struct app *app, struct args args, struct err *err)
{
    size_t weeks;
    if (!of_collections(app, args, pack_one, &weeks, err))
        return false;
    printf("%zu weeks packed\n", weeks);
    return true;
}

static bool scrub_one(struct app *app, const struct collection *c, size_t *weeks, struct err *err)
{
    (void)app;
    size_t damaged;
    struct index_writer *w;
    if (!index_writer_open(c->dir, c->fields, &w, err))
        return false;
    bool ok = index_scrub(w, NULL, &damaged, err);
    index_writer_close(w);
    *weeks += ok ? damaged : 0;
    return ok;
}

static bool run_scrub(struct app *app, struct args args, struct err *err)
{
    size_t weeks;
    if (!of_collections(app, args, scrub_one, &weeks, err))
        return false;
    printf("%zu damaged weeks set aside\n", weeks);
    if (weeks)
        app->exit_status = EXIT_FAILURE;
    return true;
}

static bool status_one(struct app *app, const struct collection *c, size_t *weeks, struct err *err)
{
    (void)weeks;
    struct index_health h;
    char when[TIME_TEXT_MAX];
    if (!index_health(c->dir, c->fields, &h, err))
        return false;
    printf("%s: %s\n", c->name, c->dir);
    if (!h.is_readable)
        puts(h.exists ? "  its head cannot be read" : "  not there");
    else if (h.is_all_missing)
        puts("  lost as a whole, not filled yet");
    else if (h.weeks_missing)
        printf("  %zu weeks are missing: %s\n", h.weeks_missing, h.weeks);
    else
        puts(h.is_whole ? "  whole" : "  it may lack documents");
    if (!h.is_readable || !h.is_whole)
        app->exit_status = EXIT_FAILURE;
    if (h.filler[0])
        printf("  %s: %llu of %llu looked at, %llu put\n", h.filler,
               (unsigned long long)h.fill_looked, (unsigned long long)h.fill_total,
               (unsigned long long)h.fill_put);
    if (h.compactor[0])
        printf("  %s\n", h.compactor);
    if (h.scrub_ended_us > 0) {
        time_iso_s(h.scrub_ended_us / 1000000, when);
        printf("  last scrub %s, %llu damaged weeks\n", when, (unsigned long long)h.scrub_damage);
    }
    return true;
}

static bool run_status(struct app *app, struct args args, struct err *err)
{
    size_t weeks;
    return of_collections(app, args, status_one, &weeks, err);
}

#define OF_COLLECTION "[--collection reports|pings]"
const struct command index_commands[] = {
    {"index status", OF_COLLECTION,
     "Says of each index whether it is whole, who works on it, when it was scrubbed.\n"
     "Status 1: something is missing and is being filled.",
     run_status},
    {"index rebuild", "", "Empties the search index and fills it from the stored crashes.",
     run_rebuild},
    {"index verify", OF_COLLECTION,
     "Reads every byte of the search index and compares checksums and meaning.\n"
     "Also while others write.  Only tells; the processor's scrub sets aside what is damaged and\n"
     "fills it again.",
     run_verify},
    {"index scrub", OF_COLLECTION,
     "The same, and sets aside what is damaged.\n"
     "The processor does it by itself; it also fills again what was set aside.  Status 1: there "
     "was "
     "some.",
     run_scrub},
    {"index compact", OF_COLLECTION,
     "Rewrites index partitions with many replaced or deleted crashes (also a weekly job).",
     run_compact},
    {"index pack", OF_COLLECTION,
     "Packs the weeks of the search index that are over.\n"
     "Rewrites compressed the weeks of the search index that ended INDEX_PACK_AFTER_DAYS ago, as "
     "the\n"
     "processor does by itself.  Searches and writers go on.",
     run_pack},
    {0},
};
