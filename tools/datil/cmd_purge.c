/*
 * purge retention, purge annotation
 *
 * lib/purge takes annotations out of crashes; killed, or stopped by an error, it goes on with the
 * next purge of any kind or with the scheduled job of that name.  The command ends when everything
 * is changed and queued; the scheduled job ends the purge when the processors are done.
 *
 * Values are never printed or logged, only ids, names and counts.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/purge/purge.h"
#include "tools/datil/app.h"

static void print_changed(void *arg, const char *crash_id)
{
    (void)arg;
    puts(crash_id);
}

/* A row for each name: before anything is done, and what was done, also after a failure. */
static bool audit_annotations(struct app *app, const struct purge_wanted *w, const char *what,
                              struct err *err)
{
    struct err why = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < w->names.n; i++)
        ok = app_audit(
            app, "annotation", w->names.v[i].p, "purge",
            arena_printf(&app->arena, "%s: %s", *w->product ? w->product : "all products", what),
            &why);
    if (!ok && err->code == ERR_NONE)
        *err = why;
    return ok;
}

static bool strip_wanted(struct app *app, const struct purge_tools *t, const struct purge_wanted *w,
                         struct err *err)
{
    struct purge_progress p = {0};
    size_t runs;
    if (!audit_annotations(app, w, "wanted", err) || !purge_want(app->db, w, "datil", false, err))
        return false;
    bool ok = purge_work(t, false, &p, &runs, err);
    ok &= audit_annotations(
        app, w, arena_printf(&app->arena, "%zu crashes, %zu dumps", p.changed, p.dumps), err);
    printf("%zu crashes looked at, %zu had it, %zu changed and queued for processing, %zu dumps "
           "deleted\n",
           p.seen, p.found, p.changed, p.dumps);
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

/* For people: the list of annotations in one line. */
static const char *joined(struct arena *a, struct args names)
{
    const char *text = names.v[0];
    for (int i = 1; i < names.n; i++)
        text = arena_printf(a, "%s, %s", text, names.v[i]);
    return text;
}

static bool run_annotation(struct app *app, struct args args, struct err *err)
{
    const char *from = NULL, *to = NULL;
    char first[16], last[16];
    bool is_dry_run = false;
    struct purge_progress p;
    struct purge_wanted w = {.product = "", .first_day = first, .last_day = last};
    const struct opt opts[] = {
        {"--from", OPT_TEXT, &from},
        {"--to", OPT_TEXT, &to},
        {"--product", OPT_TEXT, &w.product},
        {"--dry-run", OPT_FLAG, &is_dry_run},
        {"--drop-dumps", OPT_FLAG, &w.drops_dumps},
    };
    if (!OPTS_PARSE(opts, &args, 0, OPT_LIST_MAX, err))
        return false;
    if (args.n == 0)
        return list_configured(app);
    if (!app_day(from, "", first, err) || !app_day(to, "", last, err) || !app_db(app, err) ||
        !app_store(app, err))
        return false;
    w.annotation = joined(&app->arena, args);
    w.names.v = arena_array(&app->arena, (size_t)args.n, sizeof *w.names.v);
    for (int i = 0; i < args.n; i++)
        w.names.v[w.names.n++] = str_of(args.v[i]);
    const struct purge_tools t = {.conf = &app->conf,
                                  .fields = app->fields,
                                  .db = app->db,
                                  .store = app->store,
                                  .found = print_changed};
    if (!is_dry_run)
        return strip_wanted(app, &t, &w, err);
    if (!purge_look(&t, &w, &p, err))
        return false;
    printf("%zu crashes looked at, %zu had it (nothing was changed)\n", p.seen, p.found);
    return true;
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
     "Raw crashes, processed crashes, index and export lose them; the crashes are then processed "
     "again.\n"
     "May be killed: what was found is noted first; the next purge, or the scheduled job, goes "
     "on.\n"
     "Prints ids and counts only.  COLLECTOR_REMOVE_ANNOTATIONS keeps them from coming back;\n"
     "without a NAME its annotations are listed.",
     run_annotation},
    {0},
};
