/*
 * `datil backup DIR`: a snapshot of a running installation, DIR/YYYYMMDDTHHMMSSZ/.
 *
 * Nothing is stopped.  What makes the snapshot whole is the order: database, spool, symbols, store,
 * export.
 * Whatever was acknowledged before it began is in the spool (copied first) or has left it for the
 * store (copied last); whatever the dump of the database knows of was stored before it was written
 * there.  What the store has beyond the dump is published when it is restored (cmd_restore.c).  An
 * entry of the spool is taken whole or not at all.
 *
 * Objects of store and symbols never change under a name, their size and time: those that an
 * earlier snapshot has are linked instead of copied.  A snapshot that was interrupted is named
 * ….partial and serves the next one in the same way, so a repeat goes on where it ended.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/conf.h"
#include "lib/export/export.h"
#include "lib/spool/spool.h"
#include "tools/datil/app.h"
#include "tools/datil/progress.h"
#include "tools/datil/snapshot.h"

/*
 * Nothing of ours lies deeper than DEPTH_MAX folders.  Modes are for the owner alone, since a
 * snapshot holds what reports hold, and the configuration.  STAMP_LEN is the length of
 * YYYYMMDDTHHMMSSZ.
 */
enum { DEPTH_MAX = 16, DIR_MODE = 0700, FILE_MODE = 0600, STAMP_LEN = 16 };
#define PARTIAL ".partial"

struct backup {
    struct app *app;
    const char *dir;             /* holds all snapshots */
    char to[PATH_MAX];           /* the one that is being made */
    char earlier[PATH_MAX];      /* newest whole one; empty: none */
    char leftover[PATH_MAX];     /* newest interrupted one; empty: none */
    struct manifest now, before; /* before: of the earlier one */
    struct progress progress;
    size_t linked;
    struct err *err;
};

static bool is_stamp(const char *name, bool is_partial)
{
    struct str s = str_of(name);
    if (str_ends(s, STR(PARTIAL)) != is_partial)
        return false;
    return s.n == STAMP_LEN + (is_partial ? sizeof PARTIAL - 1 : 0) && s.p[8] == 'T' &&
           s.p[STAMP_LEN - 1] == 'Z';
}

/* The newest snapshot below dir of that kind, or an empty text. */
static void newest(const char *dir, bool is_partial, char out[PATH_MAX])
{
    char best[64] = "";
    DIR *d = opendir(dir);
    struct dirent *e;
    while (d && (e = readdir(d)))
        if (is_stamp(e->d_name, is_partial) && strcmp(e->d_name, best) > 0)
            snprintf(best, sizeof best, "%s", e->d_name);
    if (d)
        closedir(d);
    out[0] = '\0';
    if (best[0])
        snprintf(out, PATH_MAX, "%s/%s", dir, best);
}

/*
 * The same file in an older snapshot, linked; false: copy it.  A finished snapshot has a checksum
 * in its manifest; of an interrupted one nothing is written down, so there the file is read again
 * for it.  snapshot_copy sets the time last, which is how a file of the right size and time is
 * known to be whole.
 */
static bool link_earlier(struct backup *b, const char *rel, const char *to, const struct stat *st,
                         struct snapshot_entry *ret)
{
    char old[PATH_MAX];
    struct stat was;
    int64_t mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    const struct snapshot_entry *e = manifest_find(&b->before, rel);
    if (e && e->size == st->st_size && e->mtime_ns == mtime_ns) {
        snprintf(old, sizeof old, "%s/%s", b->earlier, rel);
        if (stat(old, &was) == 0 && was.st_size == e->size && link(old, to) == 0) {
            *ret = *e;
            return true;
        }
    }
    if (!b->leftover[0])
        return false;
    snprintf(old, sizeof old, "%s/%s", b->leftover, rel);
    if (stat(old, &was) != 0 || was.st_size != st->st_size ||
        was.st_mtim.tv_sec != st->st_mtim.tv_sec || was.st_mtim.tv_nsec != st->st_mtim.tv_nsec ||
        link(old, to) != 0)
        return false;
    if (snapshot_hash(to, ret, ERR_IGNORED))
        return true;
    unlink(to);
    return false;
}

/*
 * A path with a line break could write lines of its own into the manifest.  A file that has gone
 * meanwhile was moved on or deleted, both of which the order of the copies allows for (above).
 */
static bool take_file(struct backup *b, const char *from, const char *rel, const struct stat *st)
{
    char to[PATH_MAX];
    struct snapshot_entry e = {0};
    struct err why = {0};
    if (strchr(rel, '\n'))
        return err_set(b->err, ERR_DAMAGED, "a file name with a line break: %.60s", rel);
    snprintf(to, sizeof to, "%s/%s", b->to, rel);
    if (link_earlier(b, rel, to, st, &e)) {
        b->linked++;
    } else if (!snapshot_copy(from, to, FILE_MODE, &e, &why)) {
        if (why.code == ERR_NOT_FOUND) /* it went its way */
            return true;
        *b->err = why;
        return false;
    }
    manifest_add(&b->now, rel, &e);
    progress_step(&b->progress, e.size);
    return true;
}

/* Names with a dot are temporary, but for the mark. */
static bool is_wanted(const char *name)
{
    return name[0] != '.' || strcmp(name, ".datil-store") == 0;
}

/*
 * Links and devices are passed over: what a snapshot holds is files, and a link could lead out of
 * the directory.  A part that does not exist, such as symbols that nobody has uploaded yet, is
 * empty.
 */
static bool take_tree(struct backup *b, const char *from, const char *rel, int depth)
{
    char to[PATH_MAX];
    snprintf(to, sizeof to, "%s/%s", b->to, rel);
    DIR *dir = opendir(from);
    if (!dir)
        return errno == ENOENT || err_errno(b->err, errno, "reading %s", from);
    bool ok = fs_mkdirs(to, DIR_MODE, b->err);
    struct dirent *e;
    while (ok && (e = readdir(dir))) {
        char path[PATH_MAX], name[PATH_MAX];
        struct stat st;
        if (!is_wanted(e->d_name) || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", from, e->d_name);
        snprintf(name, sizeof name, "%s/%s", rel, e->d_name);
        if (S_ISREG(st.st_mode))
            ok = take_file(b, path, name, &st);
        else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
            ok = take_tree(b, path, name, depth + 1);
    }
    closedir(dir);
    return ok;
}

/* The entries of one state of the spool on their way into the snapshot. */
struct spool_copy {
    struct backup *b;
    const struct spool *spool;
    enum spool_state state;
    const char *id; /* the entry that is being copied */
    bool ok;
};

static bool take_spool_file(void *arg, const char *file, const char *path)
{
    struct spool_copy *c = arg;
    char rel[PATH_MAX];
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return true;
    snprintf(rel, sizeof rel, "spool/%s/%s/%s", spool_state_name(c->state), c->id, file);
    c->ok = take_file(c->b, path, rel, &st);
    return c->ok;
}

/* What was copied of an entry that is another one by now. */
static bool drop_copy(struct spool_copy *c, const char *to, const struct backup *before)
{
    while (c->b->now.entries.n > before->now.entries.n)
        free(c->b->now.entries.v[--c->b->now.entries.n].path);
    c->b->linked = before->linked;
    c->b->progress = before->progress;
    return fs_remove_tree(to, c->b->err);
}

/*
 * An entry is copied file by file, and meanwhile the mover may carry files out of it or move it on,
 * or it may be sent again and replaced.  Half an entry, or two halves, would be restored as a
 * report whose dumps are missing or another's.  So a copy counts only if the entry is afterwards as
 * it was before.  Else it is copied again as it is then; one that has left this state is met in a
 * later one, or in the store, which are all copied after this.
 */
static bool take_entry(void *arg, const char *id)
{
    struct spool_copy *c = arg;
    struct spool_look look;
    char to[PATH_MAX];
    const struct backup before = *c->b;
    snprintf(to, sizeof to, "%s/spool/%s/%s", c->b->to, spool_state_name(c->state), id);
    c->id = id;
    while (c->ok && spool_look(c->spool, c->state, id, &look)) {
        struct err why = {0};
        c->ok = fs_mkdirs(to, DIR_MODE, c->b->err);
        bool is_read = c->ok && spool_each_file(c->spool, c->state, id, take_spool_file, c, &why);
        if (!c->ok)
            break;
        if (spool_is_unchanged(c->spool, c->state, id, &look)) {
            if (!is_read)
                *c->b->err = why;
            c->ok = is_read;
            break;
        }
        c->ok = drop_copy(c, to, &before);
    }
    return c->ok;
}

/* In the order in which reports go through it, so that none slips past. */
static bool take_spool(struct backup *b)
{
    const struct spool spool = spool_of_conf(&b->app->conf);
    struct spool_copy c = {.b = b, .spool = &spool, .ok = true};
    for (c.state = SPOOL_ACCEPTED; c.ok && c.state < SPOOL_STATES; c.state++)
        spool_each(&spool, c.state, take_entry, &c);
    return c.ok;
}

/*
 * Custom format: one compressed file, which pg_restore can put in within one transaction.  Owners
 * and privileges stay out: the new installation may have a user of another name.
 */
static bool take_database(struct backup *b)
{
    char path[PATH_MAX], file[PATH_MAX + 16];
    struct snapshot_entry e;
    snprintf(path, sizeof path, "%s/database.dump", b->to);
    snprintf(file, sizeof file, "--file=%s", path);
    char *argv[] = {(char[]){"pg_dump"},
                    (char[]){"--format=custom"},
                    (char[]){"--no-owner"},
                    (char[]){"--no-privileges"},
                    file,
                    NULL};
    if (!snapshot_pg(b->app, argv, b->err) || !snapshot_hash(path, &e, b->err) ||
        chmod(path, FILE_MODE) != 0)
        return err_wrap(b->err, "database");
    manifest_add(&b->now, "database.dump", &e);
    return true;
}

/* A day's files belong together, and a purge may change them meanwhile: it waits. */
static bool take_export(struct backup *b, const char *dir, const char *rel)
{
    FD_AUTO hold = -1;
    return !fs_exists(dir) ||
           (export_hold(conf_text(&b->app->conf, CONF_DATIL_VAR), &hold, b->err) &&
            take_tree(b, dir, rel, 0));
}

/* Each part's name is the folder of the snapshot it goes to. */
static bool take_parts(struct backup *b)
{
    if (!take_database(b))
        return false;
    for (size_t i = 0; i < snapshot_part_count; i++) {
        const struct snapshot_part *p = &snapshot_parts[i];
        char dir[PATH_MAX];
        snapshot_part_dir(b->app, p, dir);
        b->progress = (struct progress){.what = p->name};
        bool ok = strcmp(p->name, "spool") == 0       ? take_spool(b)
                  : strcmp(p->name, "telemetry") == 0 ? take_export(b, dir, p->name)
                                                      : take_tree(b, dir, p->name, 0);
        if (!ok)
            return err_wrap(b->err, "%s", p->name);
        progress_clear(&b->progress);
        printf("%s: %zu files, %lld MiB\n", p->name, b->progress.files,
               (long long)(b->progress.bytes >> 20));
    }
    return true;
}

/*
 * All on disk, then the name that says so.  syncfs and not an fsync per file: there may be
 * millions, most of them links.  The name is the only sign of a whole snapshot, so it comes after
 * everything is on disk.
 */
static bool publish_snapshot(struct backup *b, const char *final)
{
    if (!manifest_write(&b->now, b->to, b->err))
        return false;
    FD_AUTO fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0)
        return err_errno(b->err, errno, "flushing %s", b->dir);
    if (rename(b->to, final) != 0 || fsync(fd) != 0)
        return err_errno(b->err, errno, "naming %s", final);
    return true;
}

/* Interrupted ones have served; of the whole ones the youngest `keep` stay (0: all). */
static bool remove_old(struct backup *b, int64_t keep)
{
    struct dirent **list = NULL;
    int n = scandir(b->dir, &list, NULL, alphasort);
    int64_t kept = 0;
    bool ok = n >= 0 || err_errno(b->err, errno, "reading %s", b->dir);
    for (int i = n - 1; i >= 0; i--) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", b->dir, list[i]->d_name);
        bool is_surplus = is_stamp(list[i]->d_name, false) && keep && ++kept > keep;
        if (ok && (is_surplus || is_stamp(list[i]->d_name, true)))
            ok = fs_remove_tree(path, b->err);
        free(list[i]);
    }
    free(list);
    return ok;
}

/* The time now; a second later for one that is made in the same second as another. */
static void name_snapshot(struct backup *b, char final[PATH_MAX])
{
    int64_t us = now_us();
    do {
        struct civil c = civil_of_us(us);
        snprintf(final, PATH_MAX, "%s/%04d%02d%02dT%02d%02d%02dZ", b->dir, c.year % 10000,
                 c.month % 100, c.day % 100, c.hour % 100, c.minute % 100, c.second % 100);
        snprintf(b->to, sizeof b->to, "%s" PARTIAL, final);
        us += 1000000;
    } while (fs_exists(final) || fs_exists(b->to));
}

/* Older ones are removed last: until the new one has its name they are all there is. */
static bool make_snapshot(struct backup *b, int64_t keep)
{
    char final[PATH_MAX];
    newest(b->dir, false, b->earlier);
    newest(b->dir, true, b->leftover);
    name_snapshot(b, final);
    struct err why = {0};
    if (b->earlier[0] && !manifest_read(b->earlier, &b->before, &why)) {
        fprintf(stderr, "datil: %s; everything is copied\n", why.msg);
        b->earlier[0] = '\0';
    }
    snprintf(b->now.version, sizeof b->now.version, "%s", DATIL_VERSION);
    snprintf(b->now.installation, sizeof b->now.installation, "%s", b->app->installation);
    b->now.format = SNAPSHOT_FORMAT;
    time_iso_s(now_s(), b->now.created);
    if (!snapshot_schema(b->now.schema, b->err) || !fs_mkdirs(b->to, DIR_MODE, b->err) ||
        !take_parts(b) || !publish_snapshot(b, final) || !remove_old(b, keep))
        return false;
    printf("%s: %zu files, %zu of them linked to an earlier backup\n", final, b->now.entries.n,
           b->linked);
    return true;
}

/*
 * One at a time below a directory.  The lock is one of the kernel's and ends with the process,
 * however that ends.  Two at a time would remove each other's partial snapshot.
 */
static bool lock_dir(const char *dir, int *ret_fd, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/.lock", dir);
    if (!fs_mkdirs(dir, DIR_MODE, err) || !snapshot_check_folder(dir, err))
        return false;
    FD_AUTO fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, ERR_CONFLICT, "another backup into %s is under way", dir);
    *ret_fd = TAKE_FD(fd);
    return true;
}

static bool run_backup(struct app *app, struct args args, struct err *err)
{
    int64_t keep = 0;
    const struct opt opts[] = {{"--keep", OPT_INT, &keep}};
    FD_AUTO lock = -1;
    if (!OPTS_PARSE(opts, &args, 1, 1, err))
        return false;
    if (keep < 0)
        return err_set(err, ERR_INVALID, "--keep: how many snapshots stay");
    if (!app_db(app, err) || !app_store(app, err) || !app_installation(app, err) ||
        !lock_dir(args.v[0], &lock, err))
        return false;
    /* pg_dump makes its file by itself, so its mode is decided here, before it is chmod's turn. */
    umask(077);
    struct backup *b = arena_alloc(&app->arena, sizeof *b);
    *b = (struct backup){.app = app, .dir = args.v[0], .err = err};
    bool ok = make_snapshot(b, keep);
    manifest_release(&b->now);
    manifest_release(&b->before);
    return ok;
}

const struct command backup_commands[] = {
    {"backup", "DIR [--keep N]",
     "Writes a snapshot of the running installation below DIR.\n"
     "Database, store, symbols, spool, export, configuration.  What an earlier snapshot there has "
     "is\n"
     "linked, not copied; after an interruption run it again.  --keep N removes all but the\n"
     "youngest N.",
     run_backup},
    {0},
};
