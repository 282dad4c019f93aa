/*
 * purge --where NAME=VALUE: every crash whose raw annotation NAME has exactly this value is deleted
 * everywhere, because a person asked for it or because it should never have been sent.
 *
 * A crash is found by its raw crash, and that is what a deletion removes first.  So ids are noted
 * in the database before anything happens to them, and forgotten when all of it is done: store,
 * queue, ledger with what it added to the statistics, index, and the files of the export.  A purge
 * that is killed leaves its list, and the next purge of any kind begins with it.  Crashes that are
 * being processed meanwhile take their result back when they find that they were deleted
 * (lib/ledger).
 *
 * The value is in the command's arguments alone: it is not printed, logged, audited or stored.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/export/export.h"
#include "lib/json/json.h"
#include "lib/ledger/ledger.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "queries.h"
#include "tools/datil/app.h"

/*
 * Ids that are noted, and deleted, at once.  After a kill at most so many crashes are deleted once
 * more, which finds nothing and takes a millisecond each.
 */
enum { PURGE_BATCH = 200, PROGRESS_MS = 2000 };

struct purge_search {
    struct app *app;
    struct str name, value;
    bool is_dry_run;
    const char *run_id;
    struct arena arena; /* of a batch */
    struct strs batch;
    size_t seen, found, deleted;
    int64_t told_ms;
    struct err *err;
    bool ok;
};

static void tell_progress(struct purge_search *p, const char *what)
{
    if (mono_ms() - p->told_ms < PROGRESS_MS)
        return;
    p->told_ms = mono_ms();
    fprintf(stderr, "%s: %zu crashes looked at, %zu found, %zu deleted\n", what, p->seen, p->found,
            p->deleted);
}

static bool note_batch(struct purge_search *p)
{
    bool ok = p->batch.n == 0 || DB_EXEC(p->app->db, &q_purge_note, p->err, p->run_id,
                                         db_text_array(&p->arena, p->batch));
    arena_reset(&p->arena);
    p->batch = (struct strs){.v = arena_array(&p->arena, PURGE_BATCH, sizeof(struct str))};
    return ok;
}

/* A crash without raw crash was deleted meanwhile. */
static bool look_at_crash(void *arg, const char *id)
{
    struct purge_search *p = arg;
    struct err why = {0};
    json_auto_t *raw = store_get_json(p->app->store, id, "raw_crash", JSON_BYTES_MAX, &why);
    if (!raw) {
        p->ok = why.code == ERR_NOT_FOUND ||
                err_set(p->err, why.code, "raw crash of %s: %s", id, why.msg);
        return p->ok;
    }
    p->seen++;
    tell_progress(p, "looking");
    const char *name = arena_printf(&p->arena, STR_FMT, STR_ARG(p->name));
    if (!str_eq(jget_strn(raw, name), p->value) || !json_object_get(raw, name))
        return true;
    p->found++;
    printf("%s\n", id);
    p->batch.v[p->batch.n++] = str_of(arena_strdup(&p->arena, id));
    p->ok = p->batch.n < PURGE_BATCH || p->is_dry_run || note_batch(p);
    if (p->is_dry_run)
        p->batch.n = 0;
    return p->ok;
}

static bool find_crashes(struct purge_search *p)
{
    struct strs days = {0};
    if (!store_days(p->app->store, &p->app->arena, &days, p->err))
        return false;
    for (size_t i = 0; i < days.n; i++)
        if (!store_catalog(p->app->store, days.v[i].p, "raw_crash", look_at_crash, p, p->err) ||
            !p->ok)
            return false;
    return p->is_dry_run || note_batch(p);
}

/* One page of the list; *ret_n 0: it is empty. */
static bool delete_page(struct purge_search *p, size_t *ret_n)
{
    struct app *app = p->app;
    DB_ROWS rows = {0};
    size_t exported;
    arena_reset(&p->arena);
    if (!DB_RUN(app->db, &q_purge_left, &rows, p->err, db_int(&p->arena, PURGE_BATCH)))
        return false;
    struct strs ids = {.v = arena_array(&p->arena, PURGE_BATCH, sizeof(struct str))};
    for (int i = 0; i < rows.count; i++) {
        struct ledger_removed r;
        const char *id = db_col(&rows, i, Q_PURGE_LEFT_COL_CRASH_ID);
        if (!ledger_delete(app->db, app->store, app->writer, id, &r, p->err))
            return false;
        ids.v[ids.n++] = str_of(id);
        p->deleted++;
        tell_progress(p, "deleting");
    }
    *ret_n = ids.n;
    return ids.n == 0 ||
           (export_remove(conf_text(&app->conf, CONF_DATIL_VAR), ids, &exported, p->err) &&
            DB_EXEC(app->db, &q_purge_done, p->err, db_text_array(&p->arena, ids)));
}

/* The index forgets the bytes themselves when its weeks are rewritten. */
static bool delete_listed(struct purge_search *p)
{
    size_t n;
    do {
        if (!delete_page(p, &n))
            return false;
    } while (n > 0);
    return DB_EXEC(p->app->db, &q_purge_end, p->err) &&
           (p->deleted == 0 ||
            (index_sync(p->app->writer, p->err) &&
             index_compact(conf_text(&p->app->conf, CONF_INDEX_DIR), p->app->fields, p->err)));
}

static bool begin_run(struct purge_search *p)
{
    DB_ROWS rows = {0};
    const char *name = arena_printf(&p->app->arena, STR_FMT, STR_ARG(p->name));
    if (!app_audit(p->app, "annotation", name, "purge", "crashes with one value of it", p->err) ||
        !DB_RUN(p->app->db, &q_purge_begin, &rows, p->err, name))
        return false;
    p->run_id = arena_strdup(&p->app->arena, db_col(&rows, 0, Q_PURGE_BEGIN_COL_RUN_ID));
    return true;
}

/* What an earlier purge has left is deleted first: it was decided then. */
static bool purge_all(struct purge_search *p)
{
    if (p->is_dry_run)
        return find_crashes(p);
    if (!delete_listed(p))
        return false;
    if (p->deleted)
        printf("%zu crashes of an earlier purge deleted\n", p->deleted);
    p->deleted = 0;
    return begin_run(p) && find_crashes(p) && delete_listed(p);
}

static bool run_where(struct app *app, struct args args, struct err *err)
{
    const char *where = NULL;
    struct purge_search p = {.app = app, .err = err, .ok = true, .told_ms = mono_ms()};
    const struct opt opts[] = {
        {"--where", OPT_TEXT, &where},
        {"--dry-run", OPT_FLAG, &p.is_dry_run},
    };
    if (!OPTS_PARSE(opts, &args, 0, 0, err))
        return false;
    size_t eq = where ? str_find_char(str_of(where), '=', 0) : SIZE_MAX;
    if (eq == SIZE_MAX || eq == 0)
        return err_set(err, ERR_INVALID,
                       "wanted is --where NAME=VALUE; `datil help purge` lists "
                       "the other purges");
    p.name = str_sub(str_of(where), 0, eq);
    p.value = str_sub(str_of(where), eq + 1, SIZE_MAX);
    if (!app_db(app, err) || !app_store(app, err) || !app_writer(app, err))
        return false;
    arena_init(&p.arena, 1 << 20);
    p.batch.v = arena_array(&p.arena, PURGE_BATCH, sizeof(struct str));
    bool ok = purge_all(&p);
    arena_release(&p.arena);
    if (ok)
        printf("%zu crashes looked at, %zu had the value, %zu deleted%s\n", p.seen, p.found,
               p.deleted, p.is_dry_run ? " (nothing was changed)" : "");
    return ok;
}

const struct command purge_where_commands[] = {
    {"purge", "--where NAME=VALUE [--dry-run]",
     "Deletes every crash whose annotation NAME has exactly this VALUE, everywhere.\n"
     "From store, queue, ledger, statistics, index and export.  Prints ids and counts, never the "
     "value.\n"
     "May be killed and run again: what was found is noted first and deleted then.",
     run_where},
    {0},
};
