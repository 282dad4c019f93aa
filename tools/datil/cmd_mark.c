/*
 * The mark of an installation on its directories (lib/store/mark.h): who makes it, and when.
 *
 * `datil migrate` marks a directory that never was marked; the database remembers that.  From then
 * on a missing mark is an alarm, and only a person may say that a directory without it, or with
 * another one, is the right one: `datil store mark`.
 *
 * The rule in between: a directory with the right mark is right.  One with another mark, or without
 * one although it had one, is never touched.  One that never had a mark gets it, unless it is empty
 * while the database knows of contents.  That last case is an installation of an earlier release,
 * whose file system is not mounted while it is brought up to date.
 */
#include <dirent.h>
#include <stdlib.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/store/mark.h"
#include "queries.h"
#include "tools/datil/app.h"

const struct marked_dir marked_dirs[] = {
    {"store", CONF_CRASHMOVER_CRASHSTORAGE_FS_ROOT},
    {"symbols", CONF_SYMBOLS_DIR},
};
const size_t marked_dir_count = ARRAY_LEN(marked_dirs);

bool app_installation(struct app *app, struct err *err)
{
    DB_ROWS rows = {0};
    if (app->installation[0])
        return true;
    if (!app_db(app, err) || !DB_RUN(app->db, &q_installation_id, &rows, err))
        return false;
    if (rows.count != 1)
        return err_set(err, ERR_NOT_FOUND, "the database has no installation id");
    snprintf(app->installation, sizeof app->installation, "%s",
             db_col(&rows, 0, Q_INSTALLATION_ID_COL_ID));
    return true;
}

static bool was_marked(const struct db_rows *marks, const char *what)
{
    for (int i = 0; i < marks->count; i++)
        if (strcmp(db_col(marks, i, Q_INSTALLATION_MARKS_COL_WHAT), what) == 0)
            return true;
    return false;
}

/* Whether the database knows of things that would have to be there. */
static bool should_hold_something(struct app *app, const char *what, bool *ret, struct err *err)
{
    DB_ROWS rows = {0};
    bool is_store = strcmp(what, "store") == 0;
    if (!DB_RUN(app->db, &q_installation_holds, &rows, err))
        return false;
    *ret = db_col_bool(
        &rows, 0, is_store ? Q_INSTALLATION_HOLDS_COL_PROCESSED : Q_INSTALLATION_HOLDS_COL_SYMBOLS);
    return true;
}

/* Without a mark the directory counts as empty if it has no entry but those with a dot. */
static bool is_empty_dir(const char *path)
{
    struct dirent **list = NULL;
    int n = scandir(path, &list, NULL, NULL), entries = 0;
    for (int i = 0; i < n; i++) {
        entries += list[i]->d_name[0] != '.';
        free(list[i]);
    }
    free(list);
    return entries == 0;
}

static bool give_mark(struct app *app, const struct marked_dir *m, struct err *err)
{
    return mark_write(conf_text(&app->conf, m->key), app->installation, err) &&
           DB_EXEC(app->db, &q_installation_marked, err, m->what);
}

static void complain(const struct marked_dir *m, const char *why)
{
    fprintf(stderr,
            "datil: %s\n       Reports wait in the spool until it is right.  If this is the right "
            "place, run `datil store mark %s`.\n",
            why, m->what);
}

/*
 * `was`: the database remembers a mark.  A mark that is right but not remembered is remembered from
 * now on.
 */
static bool mark_if_new(struct app *app, const struct marked_dir *m, bool was, struct err *err)
{
    const char *dir = conf_text(&app->conf, m->key);
    struct err why = {0};
    bool has_contents = false;
    if (mark_check(dir, app->installation, &why))
        return was || DB_EXEC(app->db, &q_installation_marked, err, m->what);
    char other[INSTALLATION_ID_SIZE];
    if (was || mark_read(dir, other, ERR_IGNORED)) {
        complain(m, why.msg);
        return true;
    }
    if (!should_hold_something(app, m->what, &has_contents, err))
        return false;
    if (has_contents && is_empty_dir(dir)) {
        err_set(&why, ERR_UNAVAILABLE, "%s is empty, but the database knows of contents", dir);
        complain(m, why.msg);
        return true;
    }
    return give_mark(app, m, err);
}

/*
 * Complaints do not fail `datil migrate`: the schema is up to date all the same, and programs
 * refuse the directory themselves.
 */
bool app_mark_new(struct app *app, struct err *err)
{
    DB_ROWS marks = {0};
    if (!app_installation(app, err) || !DB_RUN(app->db, &q_installation_marks, &marks, err))
        return false;
    for (size_t i = 0; i < marked_dir_count; i++)
        if (!mark_if_new(app, &marked_dirs[i], was_marked(&marks, marked_dirs[i].what), err))
            return err_wrap(err, "marking the %s", marked_dirs[i].what);
    return true;
}

/* Audited, because it overrides the alarm: after it, programs write there. */
static bool run_mark(struct app *app, struct args args, struct err *err)
{
    if (!NO_OPTS(&args, 0, 1, err) || !app_installation(app, err))
        return false;
    const char *what = args.n ? args.v[0] : "store";
    for (size_t i = 0; i < marked_dir_count; i++) {
        const struct marked_dir *m = &marked_dirs[i];
        if (strcmp(m->what, what) != 0)
            continue;
        const char *dir = conf_text(&app->conf, m->key);
        if (!give_mark(app, m, err) || !app_audit(app, "store", what, "mark", dir, err))
            return false;
        printf("%s is the %s of this installation\n", dir, what);
        return true;
    }
    return err_set(err, ERR_INVALID, "what: store or symbols");
}

const struct command mark_commands[] = {
    {"store mark", "[store|symbols]",
     "Says that the configured directory is the right one.\n"
     "Needed when `datil doctor` finds it without the installation's mark, or with another's,\n"
     "and the right file system is mounted all the same.",
     run_mark},
    {0},
};
