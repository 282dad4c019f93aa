/*
 * purge retention, purge annotation
 *
 * An annotation that was collected by mistake goes from the raw crash and, with the key it is
 * copied to, from processed crash, index and export at once; then the crash is queued for
 * processing, which starts from an empty document, so that whatever other rules derived from it
 * goes, too.
 *
 * The order within a crash makes a repeat after a failure complete: the raw crash, by which a crash
 * is found to have the annotation, is written last.
 *
 * Values are never printed or logged, only ids, names and counts.
 */
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/export/export.h"
#include "lib/json/json.h"
#include "lib/ledger/ledger.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "tools/datil/app.h"

enum {
    COUNT_NAMES_MAX = OPT_LIST_MAX,
    OF_DAY_MAX = 20000, /* crashes that leave a published day together: 1 MB of ids */
};

struct purge {
    struct app *app;
    char *const *names;
    int name_count;
    const char *product;
    bool dry_run, drop_dumps;
    struct ledger_entry batch[LEDGER_BATCH_MAX];
    size_t batch_n;
    size_t seen, hit, dumps;
    struct arena ids;
    struct arena day; /* found, and not purged yet */
    struct strs of_day;
    struct err *err;
    bool ok;
};

/*
 * NULL in *ret and true: there is none, which is no failure here, since crashes are deleted
 * meanwhile.
 */
static bool get_document(struct purge *p, const char *id, const char *kind, json_t **ret)
{
    struct err why = {0};
    json_t *doc = store_get_json(p->app->store, id, kind, JSON_BYTES_MAX, &why);
    *ret = doc;
    return doc || why.code == ERR_NOT_FOUND ||
           err_set(p->err, why.code, "%s of %s: %s", kind, id, why.msg);
}

static bool put_document(struct purge *p, const char *id, const char *kind, const json_t *doc)
{
    size_t n;
    FREE_LATER char *text = jdump(doc, &n);
    return store_put(p->app->store, id, kind, str_n(text, n), p->err);
}

static bool strip_raw(const struct purge *p, json_t *raw)
{
    bool any = false;
    for (int i = 0; i < p->name_count; i++)
        any |= json_object_del(raw, p->names[i]) == 0;
    return any;
}

/*
 * The names alone would tell that a report had the annotation.  Backwards, since removing moves
 * what follows.
 */
static void strip_key_list(const struct purge *p, json_t *list)
{
    for (size_t k = json_array_size(list); k-- > 0;)
        for (int i = 0; i < p->name_count; i++) {
            const char *name = json_string_value(json_array_get(list, k));
            if (name && strcmp(name, p->names[i]) == 0) {
                json_array_remove(list, k);
                break;
            }
        }
}

static void strip_processed(const struct purge *p, json_t *doc)
{
    for (int i = 0; i < p->name_count; i++) {
        const struct annotation *a = annotation_find(p->app->fields, str_of(p->names[i]));
        if (a && a->processed_key)
            json_object_del(doc, a->processed_key);
    }
    strip_key_list(p, jget_arr(doc, "crash_report_keys"));
}

/*
 * A minidump may hold the value in its memory, which nobody can cut out.  The list of dumps is
 * emptied, for none is left.
 */
static bool drop_dumps(struct purge *p, const char *id)
{
    struct strs names = {0};
    struct arena a;
    arena_init(&a, 1 << 20);
    bool ok = store_dump_names(p->app->store, &a, id, &names, p->err);
    for (size_t i = 0; ok && i < names.n; i++) {
        p->dumps++;
        ok = store_remove(p->app->store, id, names.v[i].p, p->err);
    }
    ok = ok && store_put(p->app->store, id, "dump_names", STR("[]"), p->err);
    arena_release(&a);
    return ok;
}

/* Crashes are queued in batches, one transaction each. */
static bool flush(struct purge *p)
{
    bool ok = ledger_publish_all(p->app->db, p->batch, p->batch_n, p->err);
    p->batch_n = 0;
    arena_reset(&p->ids);
    return ok;
}

static bool purge_crash(struct purge *p, const char *id, json_t *raw)
{
    json_auto_t *processed = NULL;
    if (!get_document(p, id, "processed_crash", &processed))
        return false;
    if (processed) {
        strip_processed(p, processed);
        if (!put_document(p, id, "processed_crash", processed) ||
            !index_put(p->app->writer, processed, p->err))
            return false;
    }
    if ((p->drop_dumps && !drop_dumps(p, id)) ||
        !store_remove(p->app->store, id, "crash_report", p->err) ||
        !put_document(p, id, "raw_crash", raw))
        return false;
    p->batch[p->batch_n++] = (struct ledger_entry){
        .crash_id = arena_strdup(&p->ids, id),
        .queue = QUEUE_REPROCESSING,
    };
    return p->batch_n < LEDGER_BATCH_MAX || flush(p);
}

/*
 * What was found goes out of published files first, all of it at once, since a day's files are
 * written anew for that; a record that was not published yet goes with its crash.
 */
static bool purge_found(struct purge *p)
{
    size_t rows;
    bool ok = p->of_day.n == 0 ||
              export_remove(conf_text(&p->app->conf, CONF_DATIL_VAR), p->of_day, &rows, p->err);
    for (size_t i = 0; ok && i < p->of_day.n; i++) {
        json_auto_t *raw = NULL;
        ok = get_document(p, p->of_day.v[i].p, "raw_crash", &raw);
        if (ok && raw && strip_raw(p, raw))
            ok = purge_crash(p, p->of_day.v[i].p, raw);
    }
    arena_reset(&p->day);
    p->of_day = (struct strs){.v = arena_array(&p->day, OF_DAY_MAX, sizeof(struct str))};
    return ok;
}

/*
 * One crash of the catalogue.  A missing raw crash was deleted meanwhile.  Each raw crash of the
 * day is read as a whole: the index does not know every annotation, and is not to be trusted with
 * finding all.
 */
static bool look_at(void *arg, const char *id)
{
    struct purge *p = arg;
    json_auto_t *raw = NULL;
    p->ok = get_document(p, id, "raw_crash", &raw);
    if (!p->ok || !raw)
        return p->ok;
    p->seen++;
    const char *product = jget_str(raw, "ProductName");
    if (p->product && (!product || strcmp(product, p->product) != 0))
        return true;
    if (!strip_raw(p, raw))
        return true;
    p->hit++;
    printf("%s\n", id);
    if (!p->dry_run)
        p->of_day.v[p->of_day.n++] = str_of(arena_strdup(&p->day, id));
    p->ok = p->of_day.n < OF_DAY_MAX || purge_found(p);
    return p->ok;
}

static bool all_days(struct purge *p, const char *from, const char *to)
{
    struct strs days = {0};
    if (!store_days(p->app->store, &p->app->arena, &days, p->err))
        return false;
    for (size_t i = 0; i < days.n; i++)
        if (strcmp(days.v[i].p, from) >= 0 && strcmp(days.v[i].p, to) <= 0 &&
            (!store_catalog(p->app->store, days.v[i].p, "raw_crash", look_at, p, p->err) ||
             !p->ok || !purge_found(p)))
            return false;
    return true;
}

static const char *product_text(const struct purge *p)
{
    return p->product ? p->product : "all products";
}

/* Also after a failure: part of it may have happened. */
static bool audit_annotations(struct purge *p, const char *products)
{
    struct err why = {0};
    bool ok = true;
    for (int i = 0; ok && i < p->name_count; i++)
        ok = app_audit(
            p->app, "annotation", p->names[i], "purge",
            arena_printf(&p->app->arena, "%s: %zu crashes, %zu dumps", products, p->hit, p->dumps),
            &why);
    if (!ok && p->err->code == ERR_NONE)
        *p->err = why;
    return ok;
}

/* What collectors take away before anything is stored: each of them is a candidate. */
static bool list_configured(struct app *app)
{
    struct str rest = str_of(conf_text(&app->conf, CONF_COLLECTOR_REMOVE_ANNOTATIONS)), name;
    while (str_split(&rest, ',', &name))
        if (str_trim(name).n > 0)
            printf(STR_FMT "\n", STR_ARG(str_trim(name)));
    return true;
}

static bool run_annotation(struct app *app, struct args args, struct err *err)
{
    const char *from = NULL, *to = NULL;
    char first[16], last[16];
    struct purge *p = arena_alloc(&app->arena, sizeof *p);
    *p = (struct purge){.app = app, .err = err, .ok = true};
    const struct opt opts[] = {
        {"--from", OPT_TEXT, &from},
        {"--to", OPT_TEXT, &to},
        {"--product", OPT_TEXT, &p->product},
        {"--dry-run", OPT_FLAG, &p->dry_run},
        {"--drop-dumps", OPT_FLAG, &p->drop_dumps},
    };
    if (!OPTS_PARSE(opts, &args, 0, COUNT_NAMES_MAX, err))
        return false;
    if (args.n == 0)
        return list_configured(app);
    if (!app_day(from, "00000000", first, err) || !app_day(to, "99999999", last, err) ||
        !app_db(app, err) || !app_store(app, err) || !app_writer(app, err))
        return false;
    p->names = args.v;
    p->name_count = args.n;
    arena_init(&p->ids, 1 << 20);
    arena_init(&p->day, 4 << 20);
    p->of_day.v = arena_array(&p->day, OF_DAY_MAX, sizeof(struct str));
    bool ok = all_days(p, first, last) && flush(p);
    arena_release(&p->ids);
    arena_release(&p->day);
    if (ok && p->hit && !p->dry_run) /* now the bytes themselves */
        ok = index_sync(app->writer, err) &&
             index_compact(conf_text(&app->conf, CONF_INDEX_DIR), app->fields, err);
    if (!p->dry_run && !audit_annotations(p, product_text(p)))
        ok = false;
    printf("%zu crashes looked at, %zu had it%s, %zu dumps deleted\n", p->seen, p->hit,
           p->dry_run ? " (nothing was changed)" : " and are queued for processing", p->dumps);
    return ok;
}

/* Audited before it runs: this process becomes datil-cron and cannot say anything afterwards. */
static bool run_retention(struct app *app, struct args args, struct err *err)
{
    bool is_forced = false;
    const struct opt opts[] = {{"--force", OPT_FLAG, &is_forced}};
    const char *argv[] = {"datil-cron", "--job", "retention", "--force", NULL, NULL, NULL};
    if (!OPTS_PARSE(opts, &args, 0, 0, err) || !app_db(app, err) ||
        !app_audit(app, "crash", "", "purge",
                   arena_printf(&app->arena, "older than %lld days%s",
                                (long long)conf_int(&app->conf, CONF_RETENTION_DAYS),
                                is_forced ? ", forced" : ""),
                   err))
        return false;
    if (is_forced) {
        argv[4] = "--job-arg";
        argv[5] = "force";
    }
    return app_exec("datil-cron", (char *const *)argv, err);
}

const struct command purge_commands[] = {
    {"purge retention", "[--force]",
     "Deletes crashes older than RETENTION_DAYS now (also a daily job).\n"
     "It refuses when the newest report is more than a month old or most would go, because then\n"
     "rather the clock is wrong; --force says that it is meant.",
     run_retention},
    {"purge annotation",
     "[NAME]… [--from DATE] [--to DATE] [--product NAME] [--drop-dumps] [--dry-run]",
     "Removes annotations that were collected by mistake.\n"
     "Raw crashes, processed crashes and index lose them; the crashes are then processed again.\n"
     "Prints ids and counts only.  COLLECTOR_REMOVE_ANNOTATIONS keeps them from coming back;\n"
     "without a NAME its annotations are listed.",
     run_annotation},
    {0},
};
