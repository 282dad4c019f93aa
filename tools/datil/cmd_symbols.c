/*
 * symbols …: the symbol store without HTTP. Files go the way of uploads (symadd.c), so that they
 * have rows and are found by code id like everything else.
 */
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/symfile/symadd.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symstore.h"
#include "queries.h"
#include "tools/datil/app.h"

enum { MISSING_SHOWN = 100 }; /* unless --limit says otherwise; the most wanted come first */

struct counts {
    size_t added, same, refused;
};

/* What symadd calls for each file it meets, in an archive or a folder, whatever became of it. */
static void report(void *arg, const char *name, const struct symstore_new *done,
                   const char *problem)
{
    static const char *const words[] = {
        [SYMSTORE_ADDED] = "added",
        [SYMSTORE_UPDATED] = "updated",
        [SYMSTORE_SAME] = "already there:",
    };
    struct counts *c = arg;
    if (problem) {
        c->refused++;
        fprintf(stderr, "%s: %s\n", name, problem);
        return;
    }
    c->added += done->change != SYMSTORE_SAME;
    c->same += done->change == SYMSTORE_SAME;
    printf("%s %s\n", words[done->change], name);
}

/* Symbols that could be better count as added. */
static void print_note(void *arg, const char *name, const char *what)
{
    (void)arg;
    fprintf(stderr, "%s: %s\n", name, what);
}

/* One path with nothing usable in it does not keep those behind it from being added. */
static bool add_path(const struct symadd *add, const char *path, struct counts *c, struct err *err)
{
    size_t refused = c->refused;
    if (symadd_path(add, path, err))
        return true;
    if (err->code != ERR_INVALID && err->code != ERR_NOT_FOUND)
        return err_wrap(err, "%s", path);
    if (c->refused == refused)
        fprintf(stderr, "%s\n", err->msg);
    c->refused += c->refused == refused;
    *err = (struct err){0};
    return true;
}

/*
 * Files that were left out are named one by one on standard error; the status is 1 then, for builds
 * that want to know.
 */
static bool run_add(struct app *app, struct args args, struct err *err)
{
    struct symstore store = symstore_of_conf(&app->conf);
    struct counts c = {0};
    if (!NO_OPTS(&args, 1, -1, err) || !app_db(app, err))
        return false;
    const struct symadd add = {.store = &store,
                               .temp_dir = conf_text(&app->conf, CONF_UPLOAD_TEMPDIR),
                               .db = app->db,
                               .report = report,
                               .note = print_note,
                               .arg = &c};
    for (int i = 0; i < args.n; i++)
        if (!add_path(&add, args.v[i], &c, err))
            return false;
    printf("%zu files added, %zu already there, %zu left out\n", c.added, c.same, c.refused);
    app->exit_status = c.refused ? EXIT_FAILURE : EXIT_SUCCESS;
    return true;
}

static bool print_file(void *arg, const struct symkey *key, const struct symstore_found *file)
{
    char text[SYMKEY_MAX + 1];
    symkey_text(key, text);
    printf("%s  %llu bytes%s\n", text, (unsigned long long)file->stored_size,
           file->is_compressed ? " (compressed)" : "");
    ++*(size_t *)arg;
    return true;
}

static bool run_list(struct app *app, struct args args, struct err *err)
{
    struct symstore store = symstore_of_conf(&app->conf);
    size_t n = 0;
    if (!NO_OPTS(&args, 0, 0, err) || !symstore_list(&store, SYMSTORE_REGULAR, print_file, &n, err))
        return false;
    printf("%zu files\n", n);
    return true;
}

/* Files may have come without rows: copied into the store, or restored. */
static bool is_here_now(const struct symstore *store, const struct db_rows *rows, int i)
{
    struct symkey key;
    struct symstore_found found;
    return symkey_make(str_of(db_col(rows, i, Q_MISSING_SYMBOL_TOP_COL_SYMBOL)),
                       str_of(db_col(rows, i, Q_MISSING_SYMBOL_TOP_COL_DEBUGID)),
                       str_of(db_col(rows, i, Q_MISSING_SYMBOL_TOP_COL_FILENAME)), &key,
                       ERR_IGNORED) &&
           symstore_find(store, SYMSTORE_REGULAR, &key, &found, ERR_IGNORED);
}

/*
 * What has come meanwhile is taken off the list on the way: nobody tells the table when files are
 * copied into the store by hand.
 */
static bool run_missing(struct app *app, struct args args, struct err *err)
{
    int64_t limit = MISSING_SHOWN;
    const struct opt opts[] = {{"--limit", OPT_INT, &limit}};
    DB_ROWS rows = {0};
    if (!OPTS_PARSE(opts, &args, 0, 0, err) || !app_db(app, err) ||
        !DB_RUN(app->db, &q_missing_symbol_top, &rows, err, db_int(&app->arena, limit)))
        return false;
    struct symstore store = symstore_of_conf(&app->conf);
    size_t n = (size_t)rows.count;
    struct strs names = {.v = arena_array(&app->arena, n + 1, sizeof(struct str))};
    struct strs ids = {.v = arena_array(&app->arena, n + 1, sizeof(struct str))};
    for (int i = 0; i < rows.count; i++)
        if (is_here_now(&store, &rows, i)) {
            names.v[names.n++] = str_of(db_col(&rows, i, Q_MISSING_SYMBOL_TOP_COL_SYMBOL));
            ids.v[ids.n++] = str_of(db_col(&rows, i, Q_MISSING_SYMBOL_TOP_COL_DEBUGID));
        } else {
            printf("%8s  %s/%s/%s  last %s\n", db_col(&rows, i, Q_MISSING_SYMBOL_TOP_COL_COUNT),
                   db_col(&rows, i, Q_MISSING_SYMBOL_TOP_COL_SYMBOL),
                   db_col(&rows, i, Q_MISSING_SYMBOL_TOP_COL_DEBUGID),
                   db_col(&rows, i, Q_MISSING_SYMBOL_TOP_COL_FILENAME),
                   db_col(&rows, i, Q_MISSING_SYMBOL_TOP_COL_MODIFIED_AT));
        }
    if (names.n == n)
        puts("no symbols were looked for in vain");
    return names.n == 0 ||
           DB_EXEC(app->db, &q_missing_symbol_found, err, db_text_array(&app->arena, names),
                   db_text_array(&app->arena, ids));
}

const struct command symbols_commands[] = {
    {"symbols add", "FILE…|DIR",
     "Adds symbols: files, .zip archives, or everything below a directory.\n"
     "Taken are .sym texts (plain, gzip, zstd) and programs, libraries and debug files of Linux,\n"
     "Windows and macOS, out of which symbols are made.  Status 1: something was left out.",
     run_add},
    {"symbols list", "", "Lists the symbols files of the store.", run_list},
    {"symbols missing", "[--limit N]",
     "Lists symbols that were looked for in vain, most wanted first.", run_missing},
    {0},
};
