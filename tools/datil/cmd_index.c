/*
 * index status, index rebuild, index verify, index scrub, index compact, index pack.
 *
 * All but the rebuild work on every collection, or on the one that --collection names.
 *
 * A rebuild reads the documents of the store into a second index beside the one that is searched
 * and lets its weeks take the place of the old ones (index_rebuild_open).  Several processes read,
 * each a part of the ids of a day; a day that all have read is noted, and a rebuild that was killed
 * goes on behind it.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/opts.h"
#include "lib/base/proc.h"
#include "lib/base/shared.h"
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
 * PROGRESS_MS: between two lines.  CLAIM_WAIT_MS, PACK_WAIT_MS: how long whoever fills or compacts
 * at the moment is waited for; then the error names it.  READERS_MAX: what two readers put, one
 * index takes; more would wait for its lock.
 */
enum {
    PROGRESS_MS = 3000,
    CLAIM_WAIT_MS = 5000,
    PACK_WAIT_MS = 60000,
    READERS_MAX = 4,
};

/* What the readers have done, in memory that they share. */
struct read_count {
    _Atomic uint64_t done, refused;
};

struct rebuild {
    struct app *app;
    struct rebuilding *into;
    struct strs days; /* to be read, ascending */
    size_t first;     /* of those that no rebuild before this one has read */
    size_t readers;
    struct read_count *shared;
    int64_t began_ms, told_ms;
};

/* One of the processes that read a day. */
struct day_reader {
    struct rebuild *r;
    size_t number;
    struct store *store;
    struct index_writer *writer;
    struct err *err;
    bool ok;
};

/*
 * One document that cannot be put (damaged, without a date) is named and passed over; a full disk
 * or a broken connection ends the rebuild, because every further crash would fail as well.
 */
static bool put_document(void *arg, const char *crash_id)
{
    struct day_reader *me = arg;
    struct rebuild *r = me->r;
    struct err why = {0};
    bool was_there;
    if (hash64(crash_id, strlen(crash_id)) % r->readers != me->number)
        return true;
    json_auto_t *doc = store_get_json(me->store, crash_id, "processed_crash", JSON_BYTES_MAX, &why);
    if (doc && index_put_absent(me->writer, doc, &was_there, &why)) {
        r->shared->done++;
        return true;
    }
    if (err_is_retryable(why.code)) {
        *me->err = why;
        return me->ok = err_wrap(me->err, "crash %s", crash_id);
    }
    if (why.code != ERR_NOT_FOUND) { /* else deleted meanwhile */
        r->shared->refused++;
        fprintf(stderr, "%s: %s\n", crash_id, why.msg);
    }
    return true;
}

/* In a process of its own: nothing that is open is shared with the others. */
static bool read_part_of_day(struct rebuild *r, size_t number, const char *day, struct err *err)
{
    struct store_config cfg = store_config_of(&r->app->conf);
    struct day_reader me = {.r = r, .number = number, .err = err, .ok = true};
    bool ok = store_open(&cfg, &me.store, err) &&
              index_writer_open(index_rebuild_dir(r->into), r->app->fields, &me.writer, err) &&
              store_catalog(me.store, day, "processed_crash", put_document, &me, err) && me.ok;
    index_writer_close(me.writer);
    store_close(me.store);
    return ok;
}

static bool read_day(struct rebuild *r, const char *day, struct err *err)
{
    pid_t children[READERS_MAX] = {0};
    for (size_t i = 1; i < r->readers; i++) {
        fflush(NULL);
        children[i] = fork();
        if (children[i] < 0)
            return err_errno(err, errno, "starting a reader");
        if (children[i] == 0) {
            struct err why = {0};
            bool ok = read_part_of_day(r, i, day, &why);
            if (!ok)
                fprintf(stderr, "%s: %s\n", day, why.msg);
            _exit(ok ? EXIT_SUCCESS : EXIT_FAILURE);
        }
    }
    bool ok = read_part_of_day(r, 0, day, err);
    for (size_t i = 1; i < r->readers; i++) {
        int status = 0;
        while (waitpid(children[i], &status, 0) < 0 && errno == EINTR)
            ;
        if (ok && (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS))
            ok = err_set(err, ERR_IO, "a reader of the day %s failed", day);
    }
    return ok;
}

/* Days are about as large as each other; a better estimate would have to list them all. */
static void tell_progress(struct rebuild *r, size_t days_read, bool is_last)
{
    int64_t now = mono_ms(), ms = MAX(now - r->began_ms, (int64_t)1);
    size_t read = days_read - r->first, left = r->days.n - days_read;
    if (!is_last && now - r->told_ms < PROGRESS_MS)
        return;
    r->told_ms = now;
    printf("%zu of %zu days, %llu crashes, %lld/s, about %lld s left\n", days_read, r->days.n,
           (unsigned long long)r->shared->done, (long long)((int64_t)r->shared->done * 1000 / ms),
           (long long)(read ? ms * (int64_t)left / (int64_t)read / 1000 : 0));
}

static int64_t day_number(const char *day)
{
    int64_t n = -1;
    (void)str_to_i64(str_of(day), 0, INT32_MAX, "day", &n, ERR_IGNORED);
    return n;
}

static bool read_days(struct rebuild *r, struct err *err)
{
    int64_t noted;
    if (!index_rebuild_noted(r->into, &noted, err))
        return false;
    while (r->first < r->days.n && day_number(r->days.v[r->first].p) <= noted)
        r->first++;
    if (r->first)
        printf("%zu days were read before\n", r->first);
    r->began_ms = r->told_ms = mono_ms();
    for (size_t i = r->first; i < r->days.n; i++) {
        const char *day = r->days.v[i].p;
        if (!read_day(r, day, err) || !index_rebuild_note(r->into, day_number(day), err))
            return false;
        tell_progress(r, i + 1, false);
    }
    tell_progress(r, r->days.n, true);
    return true;
}

static bool get_stored(void *arg, const char *id, json_t **ret, struct err *err)
{
    struct err why = {0};
    *ret = store_get_json(arg, id, "processed_crash", JSON_BYTES_MAX, &why);
    return *ret || !err_is_retryable(why.code) || err_set(err, why.code, "%s", why.msg);
}

static bool has_stored(void *arg, const char *id)
{
    return store_exists(arg, id, "processed_crash");
}

/*
 * Of the whole index only: index_filled takes back the losses that were known when the rebuild
 * began; a week that is damaged while it runs stays on the list of the keeper.
 */
static bool rebuild_into(struct rebuild *r, bool is_whole, size_t *ret_weeks, struct err *err)
{
    struct app *app = r->app;
    struct ledger_fill fill;
    const struct index_source source = {get_stored, has_stored, app->store};
    if (is_whole && !ledger_fill_begin(&fill, app->db, app->writer, err))
        return false;
    return read_days(r, err) && index_rebuild_finish(r->into, &source, ret_weeks, err) &&
           (!is_whole || !fill.losses || index_filled(app->writer, fill.losses, err)) &&
           ledger_sync(app->db, app->writer, err);
}

/* Cores that others use are theirs. */
static size_t idle_cores(void)
{
    double load;
    size_t cores = proc_cores();
    if (getloadavg(&load, 1) != 1 || load < 0)
        return 1;
    size_t busy = (size_t)MIN(load, (double)cores);
    return MIN(MAX(cores - busy, (size_t)1), (size_t)READERS_MAX);
}

static void day_text(int64_t us, char out[16])
{
    struct civil c = civil_of_us(us);
    snprintf(out, 16, "%04d%02d%02d", c.year, c.month, c.day);
}

/*
 * From the day before the first week to the day behind the last: a report that came at midnight may
 * have an id of the other day.
 */
static void keep_days(struct strs *days, int64_t from_us, int64_t to_us)
{
    char first[16], last[16];
    size_t n = 0;
    day_text(from_us - (weekday_of_us(from_us) + 1) * DAY_US, first);
    day_text(to_us + (7 - weekday_of_us(to_us)) * DAY_US, last);
    for (size_t i = 0; i < days->n; i++)
        if (str_cmp(days->v[i], str_of(first)) >= 0 && str_cmp(days->v[i], str_of(last)) <= 0)
            days->v[n++] = days->v[i];
    days->n = n;
}

static bool day_option(const char *text, int64_t *ret_us, struct err *err)
{
    return !text || time_parse(str_of(text), ret_us, ERR_IGNORED) ||
           err_set(err, ERR_INVALID, "'%s' is no day: say YYYY-MM-DD", text);
}

/*
 * The days of the store are listed first: a store that cannot be read costs nothing then.
 */
static bool run_rebuild(struct app *app, struct args args, struct err *err)
{
    const char *from = NULL, *to = NULL;
    int64_t from_us = INT64_MIN, to_us = INT64_MAX;
    const struct opt opts[] = {{"--from", OPT_TEXT, &from}, {"--to", OPT_TEXT, &to}};
    struct rebuild r = {.app = app, .readers = idle_cores()};
    size_t weeks = 0;
    const char *dir = conf_text(&app->conf, CONF_INDEX_DIR);
    if (!OPTS_PARSE(opts, &args, 0, 0, err) || !day_option(from, &from_us, err) ||
        !day_option(to, &to_us, err) || !app_db(app, err) || !app_store(app, err) ||
        !store_days(app->store, &app->arena, &r.days, err) || !app_writer(app, err) ||
        !index_rebuild_open(dir, app->fields, from_us, to_us, "datil index rebuild", CLAIM_WAIT_MS,
                            &r.into, err))
        return false;
    if (from || to)
        keep_days(&r.days, from ? from_us : 0, to ? to_us : now_us() + DAY_US);
    setvbuf(stdout, NULL, _IOLBF, 0);
    r.shared = shared_map(sizeof *r.shared, "a rebuild", err);
    bool ok = r.shared && rebuild_into(&r, !from && !to, &weeks, err);
    index_rebuild_close(r.into);
    if (!ok)
        return false;
    printf("%zu weeks were made anew, %llu crashes were read\n", weeks,
           (unsigned long long)r.shared->done);
    if (r.shared->refused) {
        printf("%llu documents are stored but cannot be searched\n",
               (unsigned long long)r.shared->refused);
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
    {"index rebuild", "[--from DATE] [--to DATE]",
     "Makes the search index anew from the stored crashes, while searches go on with the old one.\n"
     "With dates only the weeks of these days.  Killed, it goes on where it was when it is "
     "started\n"
     "again.",
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
