/*
 * `datil restore DIR`: a snapshot into an empty installation whose programs do not run.
 *
 * First everything is looked at (is the target empty, did a newer Datil make this, is every file as
 * the manifest says), then copied.  Afterwards database and store are brought to tell one story:
 * the store was copied after the dump, so what it has beyond is published, and rows of crashes that
 * were deleted in between are forgotten.  Spooled reports become new ones for the mover, which may
 * repeat every step.  The index is made from the store.
 *
 * If anything fails half-way the target is not empty any more; it is thrown away and made anew, and
 * restore starts over.  That is why it asks for an empty one: there is no state in between to get
 * right.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "lib/spool/spool.h"
#include "lib/store/mark.h"
#include "lib/store/store.h"
#include "queries.h"
#include "tools/datil/app.h"
#include "tools/datil/progress.h"
#include "tools/datil/snapshot.h"

enum { PAGE = LEDGER_BATCH_MAX };

struct restore {
    struct app *app;
    char from[PATH_MAX];
    struct manifest m;
    struct ledger_entry batch[PAGE];
    struct arena ids; /* of the batch */
    size_t n, published, forgotten;
    struct err *err;
    bool ok;
};

/* Finished backups are named by their time; one that was interrupted has another name. */
static int is_snapshot(const struct dirent *e)
{
    return strlen(e->d_name) == 16 && e->d_name[15] == 'Z';
}

/* The snapshot that the argument is, or the newest one below it. */
static bool find_snapshot(struct restore *r, const char *dir)
{
    struct dirent **list = NULL;
    char path[PATH_MAX];
    if (!snapshot_check_folder(dir, r->err))
        return false;
    snprintf(path, sizeof path, "%s/manifest", dir);
    if (fs_exists(path)) {
        snprintf(r->from, sizeof r->from, "%s", dir);
        return true;
    }
    int n = scandir(dir, &list, is_snapshot, alphasort);
    if (n > 0)
        snprintf(r->from, sizeof r->from, "%s/%s", dir, list[n - 1]->d_name);
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
    return n > 0 || err_set(r->err, ERR_NOT_FOUND, "%s holds no finished backup", dir);
}

/* Migrations are numbered, so names of the newest ones compare as releases do. */
static bool check_version(struct restore *r)
{
    char ours[128];
    if (!snapshot_schema(ours, r->err))
        return false;
    return (r->m.format <= SNAPSHOT_FORMAT && strcmp(r->m.schema, ours) <= 0) ||
           err_set(
               r->err, ERR_CONFLICT,
               "the backup was made by a newer Datil (%s, %s; this one is %s, %s): install that "
               "one or a later one",
               r->m.version, r->m.schema, DATIL_VERSION, ours);
}

/*
 * Any file below it but hidden ones.  Hidden files are the mark, and temporary ones.  A folder
 * alone is no content either: programs make what they miss when they start.
 */
static bool has_files(const char *path, int depth)
{
    DIR *dir = opendir(path);
    bool any = false;
    struct dirent *e;
    while (dir && !any && (e = readdir(dir))) {
        char below[PATH_MAX];
        struct stat st;
        if (e->d_name[0] == '.' || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        snprintf(below, sizeof below, "%s/%s", path, e->d_name);
        any = S_ISDIR(st.st_mode) ? depth > 0 && has_files(below, depth - 1) : true;
    }
    if (dir)
        closedir(dir);
    return any;
}

/* The spool's directories are made at each start: what counts is whether a report waits in them. */
static bool has_reports(struct restore *r)
{
    const struct spool spool = spool_of_conf(&r->app->conf);
    size_t count;
    int64_t oldest_s;
    spool_count(&spool, now_s(), &count, &oldest_s);
    return count > 0;
}

static bool check_empty(struct restore *r)
{
    static const char *const tops[] = {"store", "symbols", "spool"};
    for (size_t i = 0; i < snapshot_part_count; i++)
        for (size_t k = 0; k < ARRAY_LEN(tops); k++) {
            char dir[PATH_MAX];
            enum { DEEP = 8 }; /* the store, our deepest folder, has four levels */
            snapshot_part_dir(r->app, &snapshot_parts[i], dir);
            if (strcmp(snapshot_parts[i].name, tops[k]) != 0)
                continue;
            bool is_spool = strcmp(tops[k], "spool") == 0;
            if (is_spool ? has_reports(r) : has_files(dir, DEEP))
                return err_set(r->err, ERR_CONFLICT,
                               "%s is not empty; restore into a new installation (an empty "
                               "DATIL_VAR and an empty database)",
                               dir);
        }
    DB_ROWS rows = {0};
    if (!app_db(r->app, r->err) || !DB_RUN(r->app->db, &q_restore_tables, &rows, r->err))
        return false;
    return db_col_int(&rows, 0, Q_RESTORE_TABLES_COL_COUNT, 0) == 0 ||
           err_set(r->err, ERR_CONFLICT,
                   "the database is not empty (%s tables); make a new one with createdb",
                   db_col(&rows, 0, Q_RESTORE_TABLES_COL_COUNT));
}

/*
 * Everything is read twice, here and when it is copied: a damaged snapshot is found before anything
 * was written.
 */
static bool verify_files(struct restore *r)
{
    struct progress p = {.what = "checking", .total = r->m.entries.n};
    for (size_t i = 0; i < r->m.entries.n; i++) {
        const struct snapshot_entry *e = &r->m.entries.v[i];
        struct snapshot_entry is;
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", r->from, e->path);
        if (!snapshot_hash(path, &is, r->err))
            return err_wrap(r->err, "backup");
        if (strcmp(is.sha256, e->sha256) != 0)
            return err_set(r->err, ERR_DAMAGED, "%s is damaged: its checksum differs", path);
        progress_step(&p, is.size);
    }
    progress_clear(&p);
    printf("%zu files are as the manifest says\n", r->m.entries.n);
    return true;
}

/*
 * Where a file of the snapshot belongs; empty: nowhere.  Reports of any state of the spool
 * are new ones again.
 */
static void target_of(struct restore *r, const char *rel, char out[PATH_MAX])
{
    out[0] = '\0';
    for (size_t i = 0; i < snapshot_part_count; i++) {
        const struct snapshot_part *p = &snapshot_parts[i];
        size_t n = strlen(p->name);
        char dir[4096];
        if (strncmp(rel, p->name, n) != 0 || rel[n] != '/')
            continue;
        snapshot_part_dir(r->app, p, dir);
        const char *rest = rel + n;
        if (strcmp(p->name, "spool") == 0) {
            const char *state_end = strchr(rest + 1, '/');
            const struct spool spool = {.dir = dir};
            if (state_end)
                spool_path(&spool, SPOOL_NEW, state_end + 1, NULL, out);
        } else {
            snprintf(out, PATH_MAX, "%s%s", dir, rest);
        }
        return;
    }
}

/*
 * Checked again while it is copied, in case somebody writes into the snapshot meanwhile.  The
 * manifest is sorted, so files of one folder follow each other, and `made` spares asking for the
 * folder each time.
 */
static bool copy_files(struct restore *r)
{
    struct progress p = {.what = "copying", .total = r->m.entries.n};
    char made[PATH_MAX] = "";
    for (size_t i = 0; i < r->m.entries.n; i++) {
        const struct snapshot_entry *e = &r->m.entries.v[i];
        struct snapshot_entry copy;
        char from[PATH_MAX], to[PATH_MAX];
        target_of(r, e->path, to);
        if (!to[0])
            continue;
        char *slash = strrchr(to, '/');
        *slash = '\0';
        if (strcmp(made, to) != 0 && !fs_mkdirs(to, FS_DIR_MODE, r->err))
            return false;
        snprintf(made, sizeof made, "%s", to);
        *slash = '/';
        snprintf(from, sizeof from, "%s/%s", r->from, e->path);
        if (!snapshot_copy(from, to, FS_FILE_MODE, &copy, r->err))
            return false;
        if (strcmp(copy.sha256, e->sha256) != 0)
            return err_set(r->err, ERR_CONFLICT, "%s changed while it was read", from);
        progress_step(&p, copy.size);
    }
    progress_clear(&p);
    sync(); /* several file systems, perhaps */
    return true;
}

/*
 * One transaction: a dump that breaks off leaves the database as empty as it was, and the command
 * can be repeated.  What workers and jobs held at the moment of the dump is given back, since none
 * of them lives here.
 */
static bool restore_database(struct restore *r)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/database.dump", r->from);
    /* "-d" with a connection string that the environment completes: libpq reads PG… from there. */
    char *argv[] = {(char[]){"pg_restore"},
                    (char[]){"--no-owner"},
                    (char[]){"--no-privileges"},
                    (char[]){"--exit-on-error"},
                    (char[]){"--single-transaction"},
                    (char[]){"--dbname="},
                    path,
                    NULL};
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s/migrations", fs_share_dir());
    return (snapshot_pg(r->app, argv, r->err) && db_migrate(r->app->db, dir, NULL, r->err) &&
            DB_EXEC(r->app->db, &q_restore_forget_claims, r->err) &&
            DB_EXEC(r->app->db, &q_restore_forget_locks, r->err)) ||
           err_wrap(r->err, "database");
}

/*
 * Those of the batch that the ledger does not know, or calls rejected (it had no raw crash then,
 * and has one now), are queued as if they had just been received.
 */
static bool publish_unknown(struct restore *r)
{
    DB_ROWS known = {0};
    if (r->n == 0)
        return true;
    struct strs ids = {.v = arena_array(&r->ids, r->n, sizeof(struct str)), .n = r->n};
    for (size_t i = 0; i < r->n; i++)
        ids.v[i] = str_of(r->batch[i].crash_id);
    r->ok = DB_RUN(r->app->db, &q_ledger_known, &known, r->err, db_text_array(&r->ids, ids));
    size_t kept = 0;
    for (size_t i = 0; r->ok && i < r->n; i++) {
        bool is_known = false;
        for (int k = 0; !is_known && k < known.count; k++)
            is_known =
                strcmp(db_col(&known, k, Q_LEDGER_KNOWN_COL_CRASH_ID), r->batch[i].crash_id) == 0 &&
                strcmp(db_col(&known, k, Q_LEDGER_KNOWN_COL_STATE), "rejected") != 0;
        if (!is_known)
            r->batch[kept++] = r->batch[i];
    }
    r->ok = r->ok && ledger_publish_all(r->app->db, r->batch, kept, r->err);
    r->published += r->ok ? kept : 0;
    r->n = 0;
    arena_reset(&r->ids);
    return r->ok;
}

static bool on_stored(void *arg, const char *crash_id)
{
    struct restore *r = arg;
    r->batch[r->n++] = (struct ledger_entry){
        .crash_id = arena_strdup(&r->ids, crash_id),
        .queue = QUEUE_STANDARD,
    };
    return r->n < PAGE || publish_unknown(r);
}

static bool is_spooled(const struct restore *r, const char *crash_id)
{
    const struct spool spool = spool_of_conf(&r->app->conf);
    char path[SPOOL_PATH_SIZE];
    spool_path(&spool, SPOOL_NEW, crash_id, NULL, path);
    return fs_exists(path);
}

/*
 * Rows of crashes of which nothing is stored were deleted while the backup ran.  A crash that is
 * "processed", but whose processed crash went meanwhile, is processed again.  Reports in the spool
 * are left to the mover, which publishes them itself.
 */
static bool settle_row(struct restore *r, const char *id, const char *state)
{
    if (strcmp(state, "rejected") == 0 || is_spooled(r, id))
        return true;
    bool has_raw = store_exists(r->app->store, id, "raw_crash");
    bool has_processed = store_exists(r->app->store, id, "processed_crash");
    if (!has_raw && !has_processed) {
        r->forgotten++;
        return DB_EXEC(r->app->db, &q_queue_forget, r->err, id) &&
               DB_EXEC(r->app->db, &q_ledger_forget, r->err, id) &&
               DB_EXEC(r->app->db, &q_lacking_forget, r->err,
                       arena_printf(&r->app->arena, "{%s}", id));
    }
    bool is_processed = strcmp(state, "processed") == 0;
    if (is_processed == has_processed || !has_raw)
        return true;
    return ledger_publish(r->app->db, id, NULL, QUEUE_REPROCESSING, NULL, NULL, r->err);
}

static bool settle_rows(struct restore *r)
{
    char last[64] = "";
    int got;
    do {
        DB_ROWS rows = {0};
        struct arena a;
        arena_init(&a, 1 << 12);
        bool ok = DB_RUN(r->app->db, &q_ledger_page, &rows, r->err, last, db_int(&a, PAGE));
        arena_release(&a);
        got = ok ? rows.count : 0;
        for (int i = 0; ok && i < got; i++) {
            const char *id = db_col(&rows, i, Q_LEDGER_PAGE_COL_CRASH_ID);
            snprintf(last, sizeof last, "%s", id);
            ok = settle_row(r, id, db_col(&rows, i, Q_LEDGER_PAGE_COL_STATE));
        }
        if (!ok)
            return false;
    } while (got == PAGE);
    return true;
}

/*
 * Database and store tell one story from here on.  Marks first: app_store refuses a store without
 * one.
 */
static bool settle(struct restore *r)
{
    struct strs days = {0};
    for (size_t i = 0; i < marked_dir_count; i++)
        if (!mark_write(conf_text(&r->app->conf, marked_dirs[i].key), r->app->installation, r->err))
            return false;
    if (!app_store(r->app, r->err) || !store_days(r->app->store, &r->app->arena, &days, r->err))
        return false;
    for (size_t i = 0; i < days.n; i++)
        if (!store_catalog(r->app->store, days.v[i].p, "raw_crash", on_stored, r, r->err) || !r->ok)
            return false;
    if (!publish_unknown(r) || !settle_rows(r))
        return false;
    printf("%zu reports of the backup's last moments queued, %zu that were deleted in them "
           "forgotten\n",
           r->published, r->forgotten);
    return true;
}

/*
 * The database before the files: what can fail for reasons of its own (another PostgreSQL, no
 * space) does so before the long copying.
 */
static bool restore_snapshot(struct restore *r, const char *dir)
{
    struct app *app = r->app;
    if (!find_snapshot(r, dir) || !manifest_read(r->from, &r->m, r->err) || !check_version(r) ||
        !check_empty(r))
        return false;
    printf("%s, made %s by Datil %s\n", r->from, r->m.created, r->m.version);
    return verify_files(r) && restore_database(r) && copy_files(r) &&
           app_installation(app, r->err) && settle(r) &&
           app_audit(app, "store", r->m.created, "restore", "from a backup", r->err);
}

/*
 * The index is made by the command that makes it at other times, in this process's place, when
 * everything else is done.
 */
static bool run_restore(struct app *app, struct args args, struct err *err)
{
    static char *const rebuild[] = {"datil", "index", "rebuild", NULL};
    if (!NO_OPTS(&args, 1, 1, err))
        return false;
    setvbuf(stdout, NULL, _IOLBF, 0);
    umask(027);
    struct restore *r = arena_alloc(&app->arena, sizeof *r);
    *r = (struct restore){.app = app, .err = err, .ok = true};
    arena_init(&r->ids, 1 << 20);
    bool ok = restore_snapshot(r, args.v[0]);
    manifest_release(&r->m);
    arena_release(&r->ids);
    return ok && app_exec("datil", rebuild, err);
}

const struct command restore_commands[] = {
    {"restore", "DIR",
     "Fills a new installation from a backup.\n"
     "DIR is a snapshot, or holds them (the newest is taken).  The database runs and is empty, "
     "the\n"
     "programs do not run.  Every checksum is verified first.  `tools/run/datilctl restore DIR`\n"
     "does all of it for an own cluster.",
     run_restore},
    {0},
};
