/*
 * Migrations: NNNN_subject.sql, applied in the order of their names.  Each runs together with its
 * row in schema_migration in one transaction, so it is there as a whole or not at all.
 *
 * A checksum of each applied file is kept, so that a file which was edited after its release is
 * noticed (db_migrations_pending): databases made before and after would differ without a word.
 * Files that begin with 0000_ make the table of migrations itself; they are applied each time and
 * have no row.  An advisory lock of the server keeps two migrations apart; it ends with the
 * connection, so a migration that is killed blocks nobody.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "queries.h"

/*
 * ADVISORY_KEY spells "dati"; advisory locks share one space of numbers for all programs of a
 * database.  A migration is written by hand, and its number has the four digits of its file name.
 */
enum { MIGRATION_BYTES_MAX = 4 << 20, MIGRATION_MAX = 9999, ADVISORY_KEY = 0x64617469 };

/* Others in the folder (a note, an editor's copy) are passed over. */
static int is_migration(const struct dirent *e)
{
    struct str name = str_of(e->d_name);
    for (size_t i = 0; i < 4; i++)
        if (i >= name.n || name.p[i] < '0' || name.p[i] > '9')
            return 0;
    return name.n > 9 && name.p[4] == '_' && str_ends(name, STR(".sql"));
}

/* Names in order, in the arena. */
static bool list_migrations(const char *dir, struct arena *a, struct strs *ret, struct err *err)
{
    struct dirent **found = NULL;
    int n = scandir(dir, &found, is_migration, alphasort);
    if (n < 0)
        return err_errno(err, errno, "migrations in %s", dir);
    struct strs names = {.v = arena_array(a, (size_t)n + 1, sizeof(struct str))};
    for (int i = 0; i < n; i++) {
        names.v[names.n++] = str_copy(a, str_of(found[i]->d_name));
        free(found[i]);
    }
    free(found);
    if (names.n == 0)
        return err_set(err, ERR_NOT_FOUND, "%s holds no migrations", dir);
    *ret = names;
    return true;
}

struct migration {
    struct str name;
    char *text; /* owned */
    char sha256[SHA256_HEX + 1];
    bool is_bootstrap; /* 0000_…: applied each time, has no row */
};

static bool read_migration(const char *dir, struct str name, struct migration *ret, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/" STR_FMT, dir, STR_ARG(name));
    struct migration m = {.name = name, .is_bootstrap = str_starts(name, STR("0000_"))};
    size_t n;
    if (!fs_read(path, MIGRATION_BYTES_MAX, &m.text, &n, err))
        return false;
    sha256_hex(m.text, n, m.sha256);
    *ret = m;
    return true;
}

static bool apply_and_record(struct db *db, void *arg, struct err *err)
{
    const struct migration *m = arg;
    if (!db_script(db, m->text, err))
        return false;
    return m->is_bootstrap || DB_EXEC(db, &q_migration_add, err, m->name.p, m->sha256);
}

/* Row of an applied migration, or -1. */
static int applied_row(const struct db_rows *rows, struct str name)
{
    for (int i = 0; i < rows->count; i++)
        if (str_eq(name, str_of(db_col(rows, i, Q_MIGRATION_LIST_COL_NAME))))
            return i;
    return -1;
}

static bool apply_one(struct db *db, const char *dir, struct str name,
                      void (*progress)(const char *file), struct err *err)
{
    struct migration m = {0};
    if (!read_migration(dir, name, &m, err))
        return false;
    bool ok = db_tx(db, apply_and_record, &m, err);
    free(m.text);
    if (!ok)
        return err_wrap(err, "migration " STR_FMT, STR_ARG(name));
    if (progress && !m.is_bootstrap)
        progress(name.p);
    return true;
}

/*
 * The list is read after the lock was taken and 0000 has made the table: what another process has
 * applied meanwhile is in it.
 */
static bool apply_missing(struct db *db, const char *dir, struct strs names,
                          void (*progress)(const char *file), struct err *err)
{
    size_t at = 0;
    while (at < names.n && str_starts(names.v[at], STR("0000_")))
        if (!apply_one(db, dir, names.v[at++], progress, err))
            return false;
    DB_ROWS applied = {0};
    if (!DB_RUN(db, &q_migration_list, &applied, err))
        return false;
    for (; at < names.n; at++)
        if (applied_row(&applied, names.v[at]) < 0 &&
            !apply_one(db, dir, names.v[at], progress, err))
            return false;
    return true;
}

bool db_migrate(struct db *db, const char *dir, void (*progress)(const char *file), struct err *err)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    struct strs names;
    char key[16];
    snprintf(key, sizeof key, "%d", ADVISORY_KEY);
    bool ok = list_migrations(dir, &a, &names, err) && DB_EXEC(db, &q_migration_lock, err, key);
    if (ok) {
        ok = apply_missing(db, dir, names, progress, err);
        DB_EXEC(db, &q_migration_unlock, ERR_IGNORED, key); /* else it goes with the connection */
    }
    arena_release(&a);
    return ok;
}

/*
 * Only looks, so a database in which nobody has ever migrated has no table to ask; then everything
 * is pending.
 */
bool db_migrations_pending(struct db *db, const char *dir, struct arena *a,
                           struct strs *ret_pending, struct strs *ret_changed, struct err *err)
{
    struct strs names;
    DB_ROWS there = {0}, applied = {0};
    if (!list_migrations(dir, a, &names, err) ||
        !DB_RUN(db, &q_migration_table_exists, &there, err))
        return false;
    bool has_table = db_col_bool(&there, 0, Q_MIGRATION_TABLE_EXISTS_COL_IS_THERE);
    if (has_table && !DB_RUN(db, &q_migration_list, &applied, err))
        return false;
    struct strs pending = {.v = arena_array(a, names.n, sizeof(struct str))};
    struct strs changed = {.v = arena_array(a, names.n, sizeof(struct str))};
    for (size_t i = 0; i < names.n; i++) {
        struct migration m = {0};
        if (!read_migration(dir, names.v[i], &m, err))
            return false;
        free(m.text);
        int row = applied_row(&applied, m.name);
        if (row < 0 && !m.is_bootstrap)
            pending.v[pending.n++] = m.name;
        else if (row >= 0 &&
                 strcmp(db_col(&applied, row, Q_MIGRATION_LIST_COL_SHA256), m.sha256) != 0)
            changed.v[changed.n++] = m.name;
    }
    *ret_pending = pending;
    *ret_changed = changed;
    return true;
}
