/*
 * The fs back end: a directory for each day, below it one for each kind of object, below that the
 * objects.  Days are the outer level because crashes go by age, and a whole day goes with one
 * rename.
 *
 * An object appears by rename of a temporary file in its own directory, so a reader sees the whole
 * object or none, and a repeated put replaces it.  Names that begin with a dot are temporary and
 * never listed; what a killed process leaves of them goes with the day.
 *
 * What a put promises, in this order: the bytes are on disk (fsync of the file), the name is (fsync
 * of its directory), and so is every directory above that had to be made.  A kill in between leaves
 * a temporary file or a whole object; a power cut may take back a name of which nobody was told. In
 * the deferred mode all of these wait for one syncfs of the file system.
 *
 * The root's mark is looked at before each put and whenever something is not there, so that a file
 * system that is not mounted is an error and neither an empty store nor a place to write to.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/store/back.h"
#include "lib/store/mark.h"

struct fs_store {
    char *root;
    bool no_fsync, is_deferred, wants_mark;
    const char *installation; /* borrowed, or NULL: any */
};

struct fs_path {
    char dir[PATH_MAX];  /* ROOT/DAY/KIND */
    char file[PATH_MAX]; /* ROOT/DAY/KIND/ID[.json] */
};

/* These carry the ending .json on disk, so that people and their tools know them; file parts of a
 * report have none. */
static const char *const json_kinds[] = {"raw_crash", "dump_names", "processed_crash",
                                         "crash_report"};

static const char *suffix_of(const char *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(json_kinds); i++)
        if (strcmp(kind, json_kinds[i]) == 0)
            return ".json";
    return "";
}

static bool fs_open_store(const struct store_config *cfg, void **ret_self, struct err *err)
{
    /* With a root of half the maximum every path below fits, and is formatted without a look. */
    if (!cfg->fs_root || !*cfg->fs_root || strlen(cfg->fs_root) > PATH_MAX / 2)
        return err_set(err, ERR_INVALID, "the fs object store needs a root directory");
    struct fs_store *s = xcalloc(1, sizeof *s);
    s->root = xstrdup(cfg->fs_root);
    s->no_fsync = cfg->no_fsync;
    s->wants_mark = cfg->wants_mark;
    *ret_self = s;
    return true;
}

static void fs_close_store(void *self)
{
    struct fs_store *s = self;
    free(s->root);
    free(s);
}

static void fs_expect(void *self, const char *installation_id)
{
    ((struct fs_store *)self)->installation = installation_id;
}

static bool fs_check(void *self, struct err *err)
{
    const struct fs_store *s = self;
    return !s->wants_mark || mark_check(s->root, s->installation, err);
}

/* Objects appear by rename all the same: only their way to the disk is left for fs_sync. */
static void fs_defer_sync(void *self)
{
    ((struct fs_store *)self)->is_deferred = true;
}

/*
 * Flushes the whole file system, with what other programs wrote to it: the kernel knows no smaller
 * unit but the single file.
 */
static bool fs_sync(void *self, struct err *err)
{
    struct fs_store *s = self;
    s->is_deferred = false; /* also when it fails: the caller begins its puts again */
    if (s->no_fsync)
        return true;
    FD_AUTO fd = open(s->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0)
        return err_errno(err, errno, "flushing %s", s->root);
    return true;
}

/* Nothing is cut: see fs_open_store for the room, and store.c for what may stand in a path. */
static struct fs_path path_of(const struct fs_store *s, const char *id, const char *kind)
{
    struct fs_path at;
    char day[STORE_DAY_LEN + 1];
    store_day_of(id, day);
    snprintf(at.dir, sizeof at.dir, "%s/%s/%s", s->root, day, kind);
    snprintf(at.file, sizeof at.file, "%s/%s/%s/%s%s", s->root, day, kind, id, suffix_of(kind));
    return at;
}

static bool wants_sync(const struct fs_store *s)
{
    return !s->no_fsync && !s->is_deferred;
}

/* Makes ROOT/DAY/KIND so that it survives a power failure: each parent is flushed. */
static bool make_dir(const struct fs_store *s, const char *id, const char *kind, struct err *err)
{
    char day[STORE_DAY_LEN + 1], path[PATH_MAX];
    store_day_of(id, day);
    snprintf(path, sizeof path, "%s/%s/%s", s->root, day, kind);
    if (!fs_mkdirs(path, FS_DIR_MODE, err))
        return false;
    if (!wants_sync(s))
        return true;
    snprintf(path, sizeof path, "%s/%s", s->root, day);
    return fs_sync_dir(path, err) && fs_sync_dir(s->root, err);
}

/* By chance, so that two processes may put the same object at the same time; the later rename
 * stays. */
static bool temp_path(const struct fs_path *at, char out[PATH_MAX], struct err *err)
{
    int n = snprintf(out, PATH_MAX, "%s/.%016llx", at->dir, (unsigned long long)random_u64());
    return n < PATH_MAX || err_errno(err, ENAMETOOLONG, "%.60s…", at->dir);
}

/* The directory is made only when it turns out to be missing: once for each day and kind. */
static int create_temp(const struct fs_store *s, const char *id, const char *kind, const char *temp,
                       struct err *err)
{
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0 && errno == ENOENT) {
        if (!make_dir(s, id, kind, err))
            return -1;
        fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FS_FILE_MODE);
    }
    if (fd < 0)
        err_errno(err, errno, "creating %s", temp);
    return fd;
}

/* Gives a complete temporary file its name.  Its bytes go to disk first, or a power cut could leave
 * the name of an empty file. */
static bool publish(const struct fs_store *s, int fd, const char *temp, const struct fs_path *at,
                    struct err *err)
{
    if (wants_sync(s) && fsync(fd) != 0)
        return err_errno(err, errno, "fsync of %s", temp);
    if (rename(temp, at->file) != 0)
        return err_errno(err, errno, "renaming %s", temp);
    return !wants_sync(s) || fs_sync_dir(at->dir, err);
}

static bool fs_put(void *self, const char *id, const char *kind, struct str bytes, struct err *err)
{
    const struct fs_store *s = self;
    struct fs_path at = path_of(s, id, kind);
    char temp[PATH_MAX];
    if (!fs_check(self, err) || !temp_path(&at, temp, err))
        return false;
    FD_AUTO fd = create_temp(s, id, kind, temp, err);
    if (fd < 0)
        return false;
    if (fs_write_all(fd, bytes.p, bytes.n, temp, err) && publish(s, fd, temp, &at, err))
        return true;
    unlink(temp);
    return false;
}

/*
 * The collector has synced the file already, then the fsync here finds nothing to do; other callers
 * have not.  A rename moves it within one file system.  Across two it is copied, and the source
 * goes last: a kill before that leaves both, and the repeat puts the same bytes once more.
 */
static bool fs_put_file(void *self, const char *id, const char *kind, const char *path,
                        struct err *err)
{
    const struct fs_store *s = self;
    struct fs_path at = path_of(s, id, kind);
    if (!fs_check(self, err))
        return false;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && fs_exists(at.file))
        return true; /* an earlier try got this far */
    if (fd < 0)
        return err_errno(err, errno, "opening %s", path);
    if (wants_sync(s) && fsync(fd) != 0)
        return err_errno(err, errno, "fsync of %s", path);
    if (!fs_exists(at.dir) && !make_dir(s, id, kind, err))
        return false;
    if (rename(path, at.file) == 0)
        return !wants_sync(s) || fs_sync_dir(at.dir, err);
    if (errno != EXDEV)
        return err_errno(err, errno, "moving %s into the store", path);
    if (!fs_copy(path, at.file, FS_FILE_MODE, err))
        return false;
    unlink(path);
    return true;
}

/* A link in the place of an object is none of ours and not followed.  "Not found" is the word of
 * the right store: the mark is asked for before it is given. */
static bool fs_open_object(void *self, const char *id, const char *kind, int *ret_fd,
                           struct err *err)
{
    struct fs_path at = path_of(self, id, kind);
    int fd = open(at.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return fs_check(self, err) && err_set(err, ERR_NOT_FOUND, "crash %s has no %s", id, kind);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", at.file);
    *ret_fd = fd;
    return true;
}

/*
 * False may also mean that the root is not mounted, so callers that act on it ask store_check as
 * well.
 */
static bool fs_has(void *self, const char *id, const char *kind)
{
    struct fs_path at = path_of(self, id, kind);
    return fs_exists(at.file);
}

/* Calls each() for the names in a directory that do not begin with a dot; missing: none. */
static bool each_name(const char *path, bool (*each)(void *arg, const char *name), void *arg,
                      struct err *err)
{
    DIR *dir = opendir(path);
    if (!dir && errno == ENOENT)
        return true;
    if (!dir)
        return err_errno(err, errno, "reading %s", path);
    struct dirent *e;
    while ((e = readdir(dir)))
        if (e->d_name[0] != '.' && !each(arg, e->d_name))
            break;
    closedir(dir);
    return true;
}

/* The kinds of a crash are not recorded anywhere: each directory of its day is tried. */
struct removal {
    const struct fs_store *s;
    const char *id;
    size_t removed;
    int error;
};

static bool remove_kind(void *arg, const char *kind)
{
    struct removal *r = arg;
    struct fs_path at = path_of(r->s, r->id, kind);
    if (unlink(at.file) == 0)
        r->removed++;
    else if (errno != ENOENT && errno != ENOTDIR)
        r->error = errno;
    return true;
}

/* No removal is synced: a power cut within seconds may bring the object back. */
static bool fs_remove_one(void *self, const char *id, const char *kind, struct err *err)
{
    struct fs_path at = path_of(self, id, kind);
    if (!fs_check(self, err))
        return false;
    return unlink(at.file) == 0 || errno == ENOENT || errno == ENOTDIR ||
           err_errno(err, errno, "removing %s", at.file);
}

static bool fs_remove(void *self, const char *id, size_t *ret_removed, struct err *err)
{
    struct removal r = {.s = self, .id = id};
    char day[STORE_DAY_LEN + 1], path[PATH_MAX];
    store_day_of(id, day);
    snprintf(path, sizeof path, "%s/%s", r.s->root, day);
    if (!fs_check(self, err) || !each_name(path, remove_kind, &r, err))
        return false;
    if (r.error) /* the others are gone; a repeat tries what is left */
        return err_errno(err, r.error, "removing crash %s", id);
    *ret_removed = r.removed;
    return true;
}

/*
 * A day counts as soon as a kind has a directory in it, even if every crash in there was deleted by
 * itself: to find that out would mean to list them all, and whoever lists a day sees it anyway.
 */
struct day_list {
    const struct fs_store *s;
    struct arena *a;
    struct strs days;
    size_t cap;
};

static bool stop_at_first(void *arg, const char *name)
{
    (void)name;
    *(bool *)arg = true;
    return false;
}

/*
 * A folder without anything in it is what a deleted day leaves behind, and no day. Other names are
 * not ours.
 */
static bool add_day(void *arg, const char *name)
{
    struct day_list *l = arg;
    if (!store_day_ok(name))
        return true;
    bool any = false;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", l->s->root, name);
    if (!each_name(path, stop_at_first, &any, ERR_IGNORED) || !any)
        return true;
    if (l->days.n == l->cap) {
        struct str *old = l->days.v;
        l->cap = MAX(l->cap * 2, (size_t)64);
        l->days.v = arena_array(l->a, l->cap, sizeof *old);
        if (old)
            memcpy(l->days.v, old, l->days.n * sizeof *old);
    }
    l->days.v[l->days.n++] = str_copy(l->a, str_of(name));
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool fs_days(void *self, struct arena *a, struct strs *ret, struct err *err)
{
    struct day_list l = {.s = self, .a = a};
    if (!fs_check(self, err) || !each_name(l.s->root, add_day, &l, err))
        return false;
    if (l.days.n)
        qsort(l.days.v, l.days.n, sizeof *l.days.v, by_bytes);
    *ret = l.days;
    return true;
}

struct catalog {
    bool (*each)(void *arg, const char *crash_id);
    void *arg;
    const char *suffix;
};

/* What somebody else has put beside the objects is passed over. */
static bool catalog_name(void *arg, const char *name)
{
    const struct catalog *c = arg;
    char id[STORE_ID_LEN + 1];
    snprintf(id, sizeof id, "%s", name);
    if (strlen(name) < STORE_ID_LEN || !store_id_ok(id) ||
        strcmp(name + STORE_ID_LEN, c->suffix) != 0)
        return true;
    return c->each(c->arg, id);
}

static bool fs_catalog(void *self, const char *day, const char *kind,
                       bool (*each)(void *arg, const char *crash_id), void *arg, struct err *err)
{
    const struct fs_store *s = self;
    struct catalog c = {each, arg, suffix_of(kind)};
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s/%s", s->root, day, kind);
    return fs_check(self, err) && each_name(path, catalog_name, &c, err);
}

/* Renamed first, so that the day is gone at once even if removing takes a while or is killed. */
static bool fs_remove_day(void *self, const char *day, struct err *err)
{
    const struct fs_store *s = self;
    char path[PATH_MAX], doomed[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", s->root, day);
    snprintf(doomed, sizeof doomed, "%s/.deleted-%s", s->root, day);
    if (!fs_check(self, err) || !fs_remove_tree(doomed, err)) /* left by a killed removal */
        return false;
    if (rename(path, doomed) != 0)
        return errno == ENOENT || err_errno(err, errno, "renaming %s", path);
    return fs_remove_tree(doomed, err) && (s->no_fsync || fs_sync_dir(s->root, err));
}

const struct store_back store_back_fs = {
    .name = "fs",
    .open = fs_open_store,
    .close = fs_close_store,
    .expect = fs_expect,
    .check = fs_check,
    .defer_sync = fs_defer_sync,
    .sync = fs_sync,
    .put = fs_put,
    .put_file = fs_put_file,
    .open_fd = fs_open_object,
    .exists = fs_has,
    .remove_one = fs_remove_one,
    .remove = fs_remove,
    .days = fs_days,
    .catalog = fs_catalog,
    .remove_day = fs_remove_day,
};
