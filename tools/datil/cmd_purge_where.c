/*
 * purge --where NAME=VALUE: every crash whose raw annotation NAME has exactly this value is deleted
 * everywhere, because a person asked for it or because it should never have been sent.  lib/purge
 * does it; killed, it goes on with the next purge or with the scheduled job of that name.
 *
 * The value is in the command's arguments alone: it is not printed, logged or audited, and the
 * database has a digest of it until the purge has ended.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/purge/purge.h"
#include "tools/datil/app.h"

enum { PURGE_PROGRESS_MS = 2000 };

struct purge_console {
    int64_t told_ms;
    bool is_dry_run;
};

static void print_progress(void *arg, const struct purge_progress *p)
{
    struct purge_console *c = arg;
    if (mono_ms() - c->told_ms < PURGE_PROGRESS_MS)
        return;
    c->told_ms = mono_ms();
    fprintf(stderr, "%zu crashes looked at, %zu found, %zu deleted\n", p->seen, p->found,
            p->deleted);
}

static void print_id(void *arg, const char *crash_id)
{
    (void)arg;
    puts(crash_id);
}

static bool delete_wanted(struct app *app, const struct purge_tools *t,
                          const struct purge_wanted *w, struct err *err)
{
    struct purge_progress p;
    size_t runs;
    if (!app_audit(app, "annotation", w->annotation, "purge", "crashes with one value of it",
                   err) ||
        !purge_want(app->db, w, "datil", false, err) || !purge_work(t, false, &p, &runs, err))
        return false;
    if (p.of_earlier)
        printf("%zu crashes of an earlier purge deleted\n", p.of_earlier);
    printf("%zu crashes looked at, %zu had the value, %zu deleted\n", p.seen, p.found,
           p.deleted - p.of_earlier);
    return true;
}

static bool count_wanted(const struct purge_tools *t, const struct purge_wanted *w, struct err *err)
{
    struct purge_progress p;
    if (!purge_look(t, w, &p, err))
        return false;
    printf("%zu crashes looked at, %zu had the value: %zu processed, %zu in the index, %zu in the "
           "statistics, %zu in the export (nothing was changed)\n",
           p.seen, p.found, p.in_processed, p.in_index, p.in_statistics, p.in_export);
    return true;
}

static bool run_where(struct app *app, struct args args, struct err *err)
{
    const char *where = NULL, *from = NULL, *to = NULL, *product = "";
    char first[16], last[16];
    struct purge_console console = {.told_ms = mono_ms()};
    const struct opt opts[] = {
        {"--where", OPT_TEXT, &where},
        {"--from", OPT_TEXT, &from},
        {"--to", OPT_TEXT, &to},
        {"--product", OPT_TEXT, &product},
        {"--dry-run", OPT_FLAG, &console.is_dry_run},
    };
    if (!OPTS_PARSE(opts, &args, 0, 0, err) || !app_day(from, "", first, err) ||
        !app_day(to, "", last, err))
        return false;
    size_t eq = where ? str_find_char(str_of(where), '=', 0) : SIZE_MAX;
    if (eq == SIZE_MAX || eq == 0)
        return err_set(err, ERR_INVALID,
                       "wanted is --where NAME=VALUE; `datil help purge` lists "
                       "the other purges");
    if (!app_db(app, err) || !app_store(app, err))
        return false;
    const struct purge_wanted w = {
        .annotation = arena_printf(&app->arena, "%.*s", (int)eq, where),
        .value = str_of(where + eq + 1),
        .product = product,
        .first_day = first,
        .last_day = last,
    };
    const struct purge_tools t = {.conf = &app->conf,
                                  .fields = app->fields,
                                  .db = app->db,
                                  .store = app->store,
                                  .found = print_id,
                                  .progress = print_progress,
                                  .arg = &console};
    return console.is_dry_run ? count_wanted(&t, &w, err) : delete_wanted(app, &t, &w, err);
}

const struct command purge_where_commands[] = {
    {"purge", "--where NAME=VALUE [--from DATE] [--to DATE] [--product NAME] [--dry-run]",
     "Deletes every crash whose annotation NAME has exactly this VALUE, everywhere.\n"
     "From store, queue, ledger, statistics, index and export.  Prints ids and counts, never the "
     "value.\n"
     "Dates are those of crash ids, both included.  --dry-run counts in how many places they are.\n"
     "May be killed: what was found is noted first and deleted then; the next purge, or the "
     "scheduled job, goes on.",
     run_where},
    {0},
};
