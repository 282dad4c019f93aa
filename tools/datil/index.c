#include <stdlib.h>
#include <unistd.h>

#include "app.h"
#include "base/fs.h"
#include "base/util.h"
#include "json/json.h"
#include "ledger/ledger.h"

/* index rebuild, index verify, index compact */

enum { PROGRESS_EVERY = 10000, SYNC_EVERY = 50000 };

struct rebuild {
    struct app *app;
    size_t done, refused;
    struct err *err;
    bool ok;
};

static bool put_one(void *arg, const char *crash_id)
{
    struct rebuild *r = arg;
    FREE_LATER char *text = NULL;
    size_t n;
    struct err why = {0};
    json_auto_t *doc = NULL;
    if (store_get(r->app->store, crash_id, "processed_crash", JSON_BYTES_MAX, &text, &n, &why))
        doc = json_parse(str_n(text, n), JSON_BYTES_MAX, &why);
    if (doc && index_put(r->app->writer, doc, &why)) {
        if (++r->done % PROGRESS_EVERY == 0)
            printf("%zu crashes\n", r->done);
        return r->done % SYNC_EVERY || (r->ok = index_sync(r->app->writer, r->err));
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

/* Also when it is so damaged that it cannot even be opened. */
static bool empty_index(const char *dir, struct err *err)
{
    struct err why = {0};
    if (index_reset(dir, &why))
        return true;
    if (why.code != ERR_INVALID) {
        *err = why;
        return false;
    }
    fprintf(stderr,
            "%s\nIt is made anew: restart the processor and the web application afterwards.\n",
            why.msg);
    return fs_remove_tree(dir, err) && index_reset(dir, err);
}

static bool run_rebuild(struct app *app, struct args args, struct err *err)
{
    struct rebuild r = {.app = app, .err = err, .ok = true};
    struct strs days = {0};
    if (!NO_OPTS(&args, 0, 0, err) || !app_db(app, err) || !app_store(app, err) ||
        !store_days(app->store, &app->arena, &days, err) ||
        !empty_index(conf_text(&app->conf, "INDEX_DIR"), err) || !app_writer(app, err))
        return false;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < days.n; i++)
        if (!store_catalog(app->store, days.v[i].p, "processed_crash", put_one, &r, err) || !r.ok)
            return false;
    if (!index_sync(app->writer, err) || !ledger_sync(app->db, app->writer, err))
        return false;
    printf("the index holds %zu crashes\n", r.done);
    if (r.refused) {
        printf("%zu documents are stored but cannot be searched\n", r.refused);
        app->exit_status = EXIT_FAILURE;
    }
    return true;
}

static void print_line(void *arg, const char *line)
{
    (void)arg;
    puts(line);
}

static bool run_verify(struct app *app, struct args args, struct err *err)
{
    if (!NO_OPTS(&args, 0, 0, err) ||
        !index_verify(conf_text(&app->conf, "INDEX_DIR"), print_line, NULL, err))
        return false;
    puts("the index is sound");
    return true;
}

static bool run_compact(struct app *app, struct args args, struct err *err)
{
    if (!NO_OPTS(&args, 0, 0, err) || !index_compact(conf_text(&app->conf, "INDEX_DIR"), err))
        return false;
    puts("compacted");
    return true;
}

const struct command index_commands[] = {
    {"index rebuild", "", "Empties the search index and fills it from the stored crashes.",
     run_rebuild},
    {"index verify", "", "Checks every file of the search index.", run_verify},
    {"index compact", "",
     "Rewrites index partitions with many replaced or deleted crashes (also a weekly job).",
     run_compact},
    {0},
};
