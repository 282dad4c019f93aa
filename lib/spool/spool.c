/*
 * The states of the spool and the steps between them.
 *
 * What a kill leaves: a claim or a setting aside is one rename, so the entry is on one side or the
 * other.  A removal that is cut short leaves an entry with fewer files, in the state it was in; the
 * mover carries it once more, and takes from the store what the entry has lost (mover.c).
 *
 * Renames between states are not synced.  A power cut may undo them, which puts an entry back into
 * an earlier state: the mover repeats its steps, and every one of them may be repeated.  The one
 * rename that must not be undone, into SPOOL_NEW, is synced before the answer (receive.c) and once
 * more here when somebody asks after a report whose worker was killed.
 */
#include "lib/spool/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

enum {
    DIR_MODE = 0700, /* reports are nobody else's business */
    STALE_S = 3600,  /* what is being received is younger: a report takes seconds, rarely minutes */
};

/* They lie on disk: an entry that waits across an upgrade must be found. */
static const char *const names[SPOOL_STATES] = {
    [SPOOL_RECEIVING] = "tmp",
    [SPOOL_NEW] = "new",
    [SPOOL_MOVING] = "moving",
    [SPOOL_UNPUBLISHED] = "unpublished",
};

struct spool spool_of_conf(const struct conf *conf)
{
    return (struct spool){
        .dir = conf_text(conf, CONF_SPOOL_DIR),
        .min_free_bytes = conf_int(conf, CONF_SPOOL_MIN_FREE_BYTES),
        .no_fsync = !conf_bool(conf, CONF_SPOOL_FSYNC),
    };
}

const char *spool_state_name(enum spool_state state)
{
    return names[state];
}

void spool_path(const struct spool *s, enum spool_state state, const char *id, const char *file,
                char out[SPOOL_PATH_SIZE])
{
    snprintf(out, SPOOL_PATH_SIZE, "%s/%s%s%s%s%s", s->dir, names[state], id ? "/" : "",
             id ? id : "", file ? "/" : "", file ? file : "");
}

void spool_path_beside(const struct spool *s, const char *name, char out[SPOOL_PATH_SIZE])
{
    snprintf(out, SPOOL_PATH_SIZE, "%s/%s", s->dir, name);
}

/* Also called by a heartbeat, and again when a directory has vanished: another disk may have been
 * mounted there since. */
bool spool_open(const struct spool *s, struct err *err)
{
    char path[SPOOL_PATH_SIZE];
    if (strlen(s->dir) > SPOOL_PATH_SIZE / 2)
        return err_errno(err, ENAMETOOLONG, "SPOOL_DIR");
    for (enum spool_state state = 0; state < SPOOL_STATES; state++) {
        spool_path(s, state, NULL, NULL, path);
        if (!fs_mkdirs(path, DIR_MODE, err))
            return err_wrap(err, "spool");
        if (!fs_is_writable_dir(path))
            return err_errno(err, errno, "spool: writing to %s", path);
    }
    return true;
}

/* Asked before a body is read.  The rest of the disk stays for what others keep there: a full disk
 * would stop the mover as well, which is the only one to make room. */
bool spool_has_room(const struct spool *s, struct err *err)
{
    struct statvfs v;
    if (statvfs(s->dir, &v) != 0)
        return err_errno(err, errno, "free space of %s", s->dir);
    uint64_t free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    if (free_bytes < (uint64_t)s->min_free_bytes)
        return err_set(err, ERR_UNAVAILABLE, "%llu bytes are free for the spool",
                       (unsigned long long)free_bytes);
    return true;
}

/* In the order in which a report moves on: one that changes its state meanwhile is met in the
 * next. */
bool spool_holds(const struct spool *s, const char *crash_id, bool *ret, struct err *err)
{
    char path[SPOOL_PATH_SIZE], above[SPOOL_PATH_SIZE];
    *ret = false;
    for (enum spool_state state = SPOOL_ACCEPTED; !*ret && state < SPOOL_STATES; state++) {
        spool_path(s, state, crash_id, NULL, path);
        *ret = fs_exists(path);
        spool_path(s, state, NULL, NULL, above);
        if (*ret && state == SPOOL_NEW && !s->no_fsync && !fs_sync_dir(above, err))
            return false;
    }
    return true;
}

/* Calls each() for every name in a state; names that begin with a dot are none of ours. */
static void each_name(const struct spool *s, enum spool_state state,
                      bool (*each)(void *arg, const char *name, const struct stat *st), void *arg)
{
    char path[SPOOL_PATH_SIZE];
    spool_path(s, state, NULL, NULL, path);
    DIR *dir = opendir(path);
    struct dirent *e;
    while (dir && (e = readdir(dir))) {
        struct stat st;
        if (e->d_name[0] == '.' || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (!each(arg, e->d_name, &st))
            break;
    }
    if (dir)
        closedir(dir);
}

/* The time of an entry is when its last file came, or when the mover last took one out: near enough
 * to tell a spool that stands still. */
struct spool_tally {
    size_t count;
    int64_t first_s;
};

static bool tally_report(void *arg, const char *name, const struct stat *st)
{
    struct spool_tally *t = arg;
    (void)name;
    t->count++;
    t->first_s = MIN(t->first_s, (int64_t)st->st_mtime);
    return true;
}

void spool_count(const struct spool *s, int64_t now_s, size_t *ret_count, int64_t *ret_oldest_s)
{
    struct spool_tally t = {.first_s = now_s};
    for (enum spool_state state = SPOOL_ACCEPTED; state < SPOOL_STATES; state++)
        each_name(s, state, tally_report, &t);
    *ret_count = t.count;
    *ret_oldest_s = now_s - t.first_s;
}

struct spool_weigher {
    const struct spool *s;
    enum spool_state state;
    uint64_t bytes;
    size_t entries;
};

static bool weigh_file(void *arg, const char *file, const char *path)
{
    struct spool_weigher *w = arg;
    struct stat st;
    (void)file;
    if (lstat(path, &st) == 0)
        w->bytes += (uint64_t)st.st_size;
    return true;
}

static bool weigh_one(void *arg, const char *name, const struct stat *st)
{
    struct spool_weigher *w = arg;
    (void)st;
    spool_each_file(w->s, w->state, name, weigh_file, w, ERR_IGNORED); /* gone meanwhile: nothing */
    return ++w->entries < SPOOL_WEIGHED_MAX;
}

uint64_t spool_bytes(const struct spool *s, size_t count)
{
    struct spool_weigher w = {.s = s};
    for (enum spool_state state = SPOOL_ACCEPTED;
         state < SPOOL_STATES && w.entries < SPOOL_WEIGHED_MAX; state++) {
        w.state = state;
        each_name(s, state, weigh_one, &w);
    }
    return count > w.entries && w.entries ? w.bytes / w.entries * count : w.bytes;
}

/* Whatever is not the name of a report (lost+found, an editor's file) is nobody's work. */
struct id_filter {
    bool (*each)(void *arg, const char *crash_id);
    void *arg;
};

static bool pass_id(void *arg, const char *name, const struct stat *st)
{
    const struct id_filter *f = arg;
    (void)st;
    return !crash_id_valid(str_of(name), false) || f->each(f->arg, name);
}

void spool_each(const struct spool *s, enum spool_state state,
                bool (*each)(void *arg, const char *crash_id), void *arg)
{
    struct id_filter f = {each, arg};
    each_name(s, state, pass_id, &f);
}

bool spool_each_file(const struct spool *s, enum spool_state state, const char *crash_id,
                     bool (*each)(void *arg, const char *file, const char *path), void *arg,
                     struct err *err)
{
    char path[SPOOL_PATH_SIZE];
    spool_path(s, state, crash_id, NULL, path);
    DIR *dir = opendir(path);
    if (!dir)
        return err_errno(err, errno, "spool entry %s", crash_id);
    struct dirent *e;
    bool goes_on = true;
    while (goes_on && (e = readdir(dir))) {
        if (e->d_name[0] == '.')
            continue;
        spool_path(s, state, crash_id, e->d_name, path);
        goes_on = each(arg, e->d_name, path);
    }
    closedir(dir);
    return true;
}

/* No sync: see above. */
static bool change_state(const struct spool *s, enum spool_state from, enum spool_state to,
                         const char *crash_id)
{
    char old[SPOOL_PATH_SIZE], new[SPOOL_PATH_SIZE];
    spool_path(s, from, crash_id, NULL, old);
    spool_path(s, to, crash_id, NULL, new);
    return rename(old, new) == 0;
}

/* An older entry of this id that still moves is not empty, so the rename fails and nothing is lost:
 * the new one waits for its turn. */
bool spool_claim(const struct spool *s, const char *crash_id)
{
    return change_state(s, SPOOL_NEW, SPOOL_MOVING, crash_id);
}

void spool_set_aside(const struct spool *s, enum spool_state from, const char *crash_id)
{
    /* Any other failure leaves it where it is; the mover takes it up again. */
    if (from == SPOOL_UNPUBLISHED || change_state(s, from, SPOOL_UNPUBLISHED, crash_id) ||
        (errno != ENOTEMPTY && errno != EEXIST))
        return;
    char path[SPOOL_PATH_SIZE];
    spool_path(s, from, crash_id, NULL, path);
    fs_remove_tree(path, ERR_IGNORED);
}

/* Not renamed away first: a removal that is cut short leaves the entry in its state, where the
 * mover finds it again. */
void spool_remove(const struct spool *s, enum spool_state state, const char *crash_id)
{
    char path[SPOOL_PATH_SIZE];
    struct err err = {0};
    spool_path(s, state, crash_id, NULL, path);
    if (!fs_remove_tree(path, &err))
        log_event(LOG_WARN, "spool_leftover", "a spool entry stays behind", LOG_E(&err),
                  LOG_S("crash_id", crash_id));
}

struct sweep {
    const struct spool *spool;
    int64_t before_s;
};

static bool sweep_one(void *arg, const char *name, const struct stat *st)
{
    const struct sweep *w = arg;
    char path[SPOOL_PATH_SIZE];
    spool_path(w->spool, SPOOL_RECEIVING, name, NULL, path);
    if (st->st_mtime <= w->before_s)
        fs_remove_tree(path, ERR_IGNORED);
    return true;
}

void spool_sweep(const struct spool *s, int64_t now_s)
{
    struct sweep w = {s, now_s - STALE_S};
    each_name(s, SPOOL_RECEIVING, sweep_one, &w);
}

/* Only renames into the directory count: nothing else makes an entry complete. */
bool spool_watch(const struct spool *s, int *ret_fd, struct err *err)
{
    char path[SPOOL_PATH_SIZE];
    spool_path(s, SPOOL_NEW, NULL, NULL, path);
    FD_AUTO fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0 || inotify_add_watch(fd, path, IN_MOVED_TO) < 0)
        return err_errno(err, errno, "watching %s", path);
    *ret_fd = TAKE_FD(fd);
    return true;
}

static bool count_file(void *arg, const char *file, const char *path)
{
    (void)file;
    (void)path;
    ++*(size_t *)arg;
    return true;
}

/* The directory first, then the count: a file that goes in between is missing from the count, and
 * one that went before has changed the directory. */
bool spool_look(const struct spool *s, enum spool_state state, const char *crash_id,
                struct spool_look *ret)
{
    char path[SPOOL_PATH_SIZE];
    struct stat st;
    size_t files = 0;
    spool_path(s, state, crash_id, NULL, path);
    if (stat(path, &st) != 0 ||
        !spool_each_file(s, state, crash_id, count_file, &files, ERR_IGNORED))
        return false;
    *ret = (struct spool_look){
        .inode = st.st_ino,
        .changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
        .files = files,
    };
    return true;
}

/* The time alone would not do: two changes within one tick of the kernel's clock have the same. */
bool spool_is_unchanged(const struct spool *s, enum spool_state state, const char *crash_id,
                        const struct spool_look *before)
{
    struct spool_look now;
    return spool_look(s, state, crash_id, &now) && now.inode == before->inode &&
           now.changed_ns == before->changed_ns && now.files == before->files;
}
