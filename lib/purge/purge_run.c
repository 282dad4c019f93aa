/*
 * Purges as rows of the database, and their work; what is done to a crash that is kept is in
 * purge_strip.c.
 *
 * A crash is found by its raw crash, and that is what a deletion removes first.  So ids are noted
 * before anything happens to them, and forgotten when all of it is done.  Crashes that are being
 * processed meanwhile take their result back when they find that they were deleted (lib/ledger).
 *
 * When something was deleted the index is rewritten, since its weeks still hold the bytes, the
 * nightly correlations are made again, and what web workers keep of them is forgotten when they see
 * that a purge has ended (purge_last).
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/export/export.h"
#include "lib/ledger/ledger.h"
#include "lib/purge/purge_inside.h"
#include "lib/search/index.h"
#include "queries.h"
#include "lib/db/db.h"
#include "lib/purge/purge.h"

static const char *index_dir(const struct purging *p)
{
    return conf_text(p->tools->conf, CONF_INDEX_DIR);
}

static void tell(const struct purging *p)
{
    if (p->tools->progress)
        p->tools->progress(p->tools->arg, p->progress);
}

bool purge_open_writer(struct purging *p, struct err *err)
{
    return p->writer || index_writer_open(index_dir(p), p->tools->fields, &p->writer, err);
}

static bool delete_ids(struct purging *p, struct strs ids, struct err *err)
{
    size_t exported;
    if (!purge_open_writer(p, err))
        return false;
    for (size_t i = 0; i < ids.n; i++) {
        struct ledger_removed r;
        if (!ledger_delete(p->tools->db, p->tools->store, p->writer, ids.v[i].p, &r, err))
            return false;
        p->progress->deleted++;
        tell(p);
    }
    return export_remove(conf_text(p->tools->conf, CONF_DATIL_VAR), ids, &exported, err);
}

/* One page of the list; *ret_n 0: it is empty. */
static bool delete_page(struct purging *p, size_t *ret_n, struct err *err)
{
    struct db *db = p->tools->db;
    DB_ROWS rows = {0};
    arena_reset(&p->page);
    if (!DB_RUN(db, &q_purge_left, &rows, err, db_int(&p->page, PURGE_BATCH)))
        return false;
    struct strs ids = {.v = arena_array(&p->page, PURGE_BATCH, sizeof(struct str))};
    for (int i = 0; i < rows.count; i++)
        ids.v[ids.n++] = str_of(db_col(&rows, i, Q_PURGE_LEFT_COL_CRASH_ID));
    *ret_n = ids.n;
    return ids.n == 0 || (delete_ids(p, ids, err) &&
                          DB_EXEC(db, &q_purge_done, err, db_text_array(&p->page, ids)));
}

static bool delete_listed(struct purging *p, struct err *err)
{
    size_t n;
    do {
        if (!delete_page(p, &n, err))
            return false;
    } while (n > 0);
    return true;
}

static bool note_ids(void *arg, struct strs ids, struct err *err)
{
    struct purging *p = arg;
    arena_reset(&p->page);
    return DB_EXEC(p->tools->db, p->target.names.n ? &q_purge_strip_note : &q_purge_note, err,
                   p->run_id, db_text_array(&p->page, ids));
}

static bool count_ids(void *arg, struct strs ids, struct err *err)
{
    struct purging *p = arg;
    return purge_places(p->tools, p->reader, ids, p->progress, err);
}

/* What a day has added, in the statement that says the day is done: a kill counts nothing twice. */
static bool note_counts(struct purging *p, const char *day, const struct purge_progress *before,
                        struct err *err)
{
    const struct purge_progress *now = p->progress;
    struct arena *a = &p->page;
    return DB_EXEC(p->tools->db, &q_purge_counted, err, p->run_id, day,
                   db_int(a, (int64_t)(now->seen - before->seen)),
                   db_int(a, (int64_t)(now->found - before->found)),
                   db_int(a, (int64_t)(now->in_processed - before->in_processed)),
                   db_int(a, (int64_t)(now->in_index - before->in_index)),
                   db_int(a, (int64_t)(now->in_statistics - before->in_statistics)),
                   db_int(a, (int64_t)(now->in_export - before->in_export)));
}

/* Somebody may have cancelled a preview meanwhile. */
static bool is_still_wanted(void *arg, bool *ret, struct err *err)
{
    struct purging *p = arg;
    DB_ROWS rows = {0};
    if (!DB_RUN(p->tools->db, &q_purge_state, &rows, err, p->run_id))
        return false;
    *ret = rows.count > 0 && strcmp(db_col(&rows, 0, Q_PURGE_STATE_COL_STATE), "preview") == 0;
    p->is_cancelled = !*ret;
    return true;
}

static bool work_on_list(struct purging *p, struct err *err)
{
    return p->is_preview ||
           (p->target.names.n ? purge_strip_listed(p, err) : delete_listed(p, err));
}

/* A day that a kill interrupts is gone through again. */
static bool work_on_day(struct purging *p, const char *day, struct err *err)
{
    const struct purge_progress before = *p->progress;
    const struct purge_visit visit = {.take = p->is_preview ? count_ids : note_ids,
                                      .goes_on = p->is_preview ? is_still_wanted : NULL,
                                      .arg = p};
    if (!purge_day(p->tools, &p->target, day, p->progress, &visit, err) || !work_on_list(p, err))
        return false;
    if (p->is_cancelled)
        return true;
    arena_reset(&p->page);
    if (p->is_preview)
        return note_counts(p, day, &before, err);
    return DB_EXEC(p->tools->db, &q_purge_scanned, err, p->run_id, day,
                   db_int(&p->page, (int64_t)(p->progress->seen - before.seen)));
}

static bool work_on_days(struct purging *p, const char *after, struct err *err)
{
    struct strs days;
    if (!*p->target.digest && p->target.names.n == 0)
        return true; /* from before there were digests: only its list is left */
    if (!purge_days(p->tools, &p->target, after, &p->arena, &days, err))
        return false;
    for (size_t i = 0; i < days.n && !p->is_cancelled; i++)
        if (!work_on_day(p, days.v[i].p, err))
            return false;
    return true;
}

static bool open_reader(struct purging *p, struct err *err)
{
    return !p->is_preview || p->reader ||
           index_reader_open(index_dir(p), p->tools->fields, &p->reader, err);
}

bool purge_clean_up(struct purging *p, struct err *err)
{
    return purge_open_writer(p, err) && index_sync(p->writer, err) &&
           index_compact(index_dir(p), p->tools->fields, err) &&
           DB_EXEC(p->tools->db, &q_purge_correlations_due, err);
}

static bool end_run(struct purging *p, struct err *err)
{
    struct db *db = p->tools->db;
    if (p->is_preview)
        return DB_EXEC(db, &q_purge_previewed, err, p->run_id);
    if (p->done_before + p->progress->deleted + p->progress->changed == 0)
        return DB_EXEC(db, &q_purge_end, err, p->run_id);
    return purge_clean_up(p, err) &&
           DB_EXEC(db, p->target.names.n ? &q_purge_strip_wait : &q_purge_end, err, p->run_id);
}

static bool take_names(struct purging *p, struct err *err)
{
    struct strs *names = &p->target.names;
    DB_ROWS rows = {0};
    if (!DB_RUN(p->tools->db, &q_purge_names, &rows, err, p->run_id))
        return false;
    names->v = arena_array(&p->arena, (size_t)rows.count + 1, sizeof *names->v);
    for (int i = 0; i < rows.count; i++)
        names->v[names->n++] =
            str_of(arena_strdup(&p->arena, db_col(&rows, i, Q_PURGE_NAMES_COL_NAME)));
    return true;
}

static void take_row(struct purging *p, const struct db_rows *rows)
{
    struct arena *a = &p->arena;
    p->run_id = arena_strdup(a, db_col(rows, 0, Q_PURGE_NEXT_COL_RUN_ID));
    p->is_preview = strcmp(db_col(rows, 0, Q_PURGE_NEXT_COL_STATE), "preview") == 0;
    p->is_cancelled = false;
    p->drops_dumps = db_col(rows, 0, Q_PURGE_NEXT_COL_DROPS_DUMPS)[0] == 't';
    p->done_before = strtoul(db_col(rows, 0, Q_PURGE_NEXT_COL_DELETED), NULL, 10);
    p->target = (struct purge_target){
        .annotation = arena_strdup(a, db_col(rows, 0, Q_PURGE_NEXT_COL_ANNOTATION)),
        .product = arena_strdup(a, db_col(rows, 0, Q_PURGE_NEXT_COL_PRODUCT)),
        .first_day = arena_strdup(a, db_col(rows, 0, Q_PURGE_NEXT_COL_FIRST_DAY)),
        .last_day = arena_strdup(a, db_col(rows, 0, Q_PURGE_NEXT_COL_LAST_DAY)),
        .salt = arena_strdup(a, db_col(rows, 0, Q_PURGE_NEXT_COL_SALT)),
        .digest = arena_strdup(a, db_col(rows, 0, Q_PURGE_NEXT_COL_DIGEST)),
    };
}

/* *ret_worked false: nothing is wanted any more. */
static bool work_on_next(struct purging *p, bool with_previews, bool *ret_worked, struct err *err)
{
    DB_ROWS rows = {0};
    arena_reset(&p->arena);
    if (!DB_RUN(p->tools->db, &q_purge_next, &rows, err, db_bool(!with_previews)))
        return false;
    *ret_worked = rows.count > 0;
    if (rows.count == 0)
        return true;
    take_row(p, &rows);
    const char *after = arena_strdup(&p->arena, db_col(&rows, 0, Q_PURGE_NEXT_COL_SCAN_DAY));
    return take_names(p, err) && open_reader(p, err) && work_on_list(p, err) &&
           work_on_days(p, after, err) && end_run(p, err);
}

/*
 * The list comes first: it was decided then.  Runs that wait for the processors are looked at in
 * the end.
 */
static bool work_on_all(struct purging *p, bool with_previews, size_t *ret_runs, struct err *err)
{
    bool worked = true;
    if (!delete_listed(p, err))
        return false;
    p->progress->of_earlier = p->progress->deleted;
    for (*ret_runs = 0;; ++*ret_runs) {
        if (!work_on_next(p, with_previews, &worked, err))
            return false;
        if (!worked)
            break;
    }
    size_t settled;
    if (!purge_strip_settle(p, &settled, err))
        return false;
    *ret_runs += settled;
    return true;
}

bool purge_work(const struct purge_tools *t, bool with_previews, struct purge_progress *ret,
                size_t *ret_runs, struct err *err)
{
    struct purging p = {.tools = t, .progress = ret};
    DB_ROWS lock = {0}, unlocked = {0};
    *ret = (struct purge_progress){0};
    *ret_runs = 0;
    if (!DB_RUN(t->db, &q_purge_lock, &lock, err))
        return false;
    if (db_col(&lock, 0, Q_PURGE_LOCK_COL_IS_LOCKED)[0] != 't')
        return err_set(err, ERR_BUSY,
                       "another purge is at work; this one waits for it in the "
                       "table and is done by the scheduled job `purge`");
    arena_init(&p.arena, 4 << 20);
    arena_init(&p.page, 1 << 20);
    bool ok = work_on_all(&p, with_previews, ret_runs, err);
    DB_RUN(t->db, &q_purge_unlock, &unlocked, ERR_IGNORED);
    if (p.writer)
        index_writer_close(p.writer);
    if (p.reader)
        index_reader_close(p.reader);
    arena_release(&p.arena);
    arena_release(&p.page);
    return ok;
}

static bool look_at_days(struct purging *p, struct err *err)
{
    struct strs days;
    if (!open_reader(p, err) || !purge_days(p->tools, &p->target, "", &p->arena, &days, err))
        return false;
    const struct purge_visit visit = {.take = count_ids, .arg = p};
    for (size_t i = 0; i < days.n; i++)
        if (!purge_day(p->tools, &p->target, days.v[i].p, p->progress, &visit, err))
            return false;
    return true;
}

bool purge_look(const struct purge_tools *t, const struct purge_wanted *w,
                struct purge_progress *ret, struct err *err)
{
    char salt[PURGE_SALT_HEX + 1], digest[SHA256_HEX + 1];
    purge_salt(salt);
    purge_digest(salt, w->value, digest);
    struct purging p = {
        .tools = t,
        .is_preview = true,
        .progress = ret,
        .target = {w->annotation, w->product, w->first_day, w->last_day, salt, digest, w->names},
    };
    *ret = (struct purge_progress){0};
    arena_init(&p.arena, 4 << 20);
    arena_init(&p.page, 1 << 20);
    bool ok = look_at_days(&p, err);
    if (p.reader)
        index_reader_close(p.reader);
    arena_release(&p.arena);
    arena_release(&p.page);
    return ok;
}

bool purge_want(struct db *db, const struct purge_wanted *w, const char *asked_by, bool previews,
                struct err *err)
{
    char salt[PURGE_SALT_HEX + 1] = "", digest[SHA256_HEX + 1] = "";
    DB_ROWS rows = {0};
    struct arena a;
    arena_init(&a, 1 << 20);
    if (w->names.n == 0) {
        purge_salt(salt);
        purge_digest(salt, w->value, digest);
    }
    bool ok = DB_RUN(db, &q_purge_begin, &rows, err, w->annotation, w->product, w->first_day,
                     w->last_day, salt, digest, previews ? "preview" : "running", asked_by,
                     db_text_array(&a, w->names), db_bool(w->drops_dumps));
    arena_release(&a);
    return ok;
}
