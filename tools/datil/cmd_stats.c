/*
 * stats verify, stats rebuild: whether the statistics of signatures are what the crashes of the
 * index say, and in doubt their documents (lib/ledger/recount.c).  Differences go to standard
 * output, one a line, progress to standard error.
 */
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/ledger/recount.h"
#include "lib/ledger/recount_documents.h"
#include "tools/datil/app.h"
#include "tools/datil/progress.h"

enum { DAYS_MAX = 100000 }; /* a typing error is told, whatever retention is */

static void print_difference(void *arg, const char *line)
{
    progress_clear(arg);
    puts(line);
}

static void on_progress(void *arg, size_t done, size_t total)
{
    struct progress *p = arg;
    p->total = total;
    while (p->files < done)
        progress_step(p, 0);
}

static bool recount(struct app *app, int64_t days, bool is_mending, struct recount *ret,
                    struct err *err)
{
    struct progress progress = {.what = "statistics", .unit = "crashes"};
    struct err why = {0};
    if (!app_db(app, err) || !app_store(app, err))
        return false;
    if (!app_reader(app, &why))
        fprintf(stderr, "%s; all documents are read instead\n", why.msg);
    *ret = (struct recount){.db = app->db,
                            .store = app->store,
                            .index = app->reader,
                            .fields = app->fields,
                            .days = (int)days,
                            .is_mending = is_mending,
                            .on_difference = print_difference,
                            .on_progress = on_progress,
                            .arg = &progress};
    bool ok = ledger_recount(ret, err);
    progress_clear(&progress);
    if (ok && ret->without_document)
        printf("%zu crashes have no stored document and were left out; `datil doctor` tells more\n",
               ret->without_document);
    if (ok && ret->missing_weeks)
        printf("%zu weeks of the index could not be read; documents were\n", ret->missing_weeks);
    if (ok && ret->otherwise_indexed)
        printf("%zu crashes are counted as their documents say and indexed otherwise: processed "
               "meanwhile, or before the index had a field; `datil index rebuild` if it stays\n",
               ret->otherwise_indexed);
    return ok;
}

static bool run_verify(struct app *app, struct args args, struct err *err)
{
    int64_t days = 0;
    struct recount r;
    const struct opt opts[] = {
        {"--days", OPT_RANGE, &(struct opt_range){&days, 1, DAYS_MAX}},
    };
    if (!OPTS_PARSE(opts, &args, 0, 0, err) || !recount(app, days, false, &r, err))
        return false;
    if (r.differ)
        app->exit_status = EXIT_FAILURE;
    printf("%zu crashes recounted, %zu differences\n", r.looked, r.differ);
    return true;
}

static bool run_rebuild(struct app *app, struct args args, struct err *err)
{
    struct recount r;
    if (!NO_OPTS(&args, 0, 0, err) || !recount(app, 0, true, &r, err))
        return false;
    printf("%zu crashes recounted, %zu differences mended\n", r.looked, r.differ);
    return !r.differ ||
           app_audit(app, "statistics", "", "rebuild",
                     arena_printf(&app->arena, "%zu differences mended", r.differ), err);
}

const struct command stats_commands[] = {
    {"stats verify", "[--days N]",
     "Recounts the statistics from the index, in doubt from stored crashes, prints each "
     "difference.\n"
     "Exit 1 if there is one.  Also while crashes are processed.  --days: only what was processed\n"
     "in the last N days.",
     run_verify},
    {"stats rebuild", "",
     "Counts again what `stats verify` would name, from the stored crashes.\n"
     "Sums of days that retention has passed stay as they are.",
     run_rebuild},
    {0},
};
