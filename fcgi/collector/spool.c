/*
 * The spool's promise is that a report whose sender has its answer is found again after any kill
 * and any loss of power.  So files are synced when they are complete, then their directory, then
 * one rename makes the entry visible, then the directory above is synced; and only then is the
 * answer sent.  Nothing is ever written to an entry after its rename.
 */
#include "fcgi/collector/spool.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/util.h"

enum { DIR_MODE = 0700, FILE_MODE = 0600, STALE_S = 3600 };

void spool_path(const struct spool *s, const char *state, const char *name,
                char out[SPOOL_PATH_SIZE])
{
    snprintf(out, SPOOL_PATH_SIZE, "%s/%s%s%s", s->dir, state, name ? "/" : "", name ? name : "");
}

bool spool_open(const struct spool *s, struct err *err)
{
    static const char *const states[] = {"tmp", "new", "moving", "unpublished"};
    char path[SPOOL_PATH_SIZE];
    if (strlen(s->dir) > SPOOL_PATH_SIZE / 2)
        return err_set(err, ERR_INVALID, "SPOOL_DIR: the path is too long");
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        spool_path(s, states[i], NULL, path);
        if (!fs_mkdirs(path, DIR_MODE, err))
            return err_wrap(err, "spool");
        if (!fs_is_writable_dir(path))
            return err_errno(err, errno, "spool: writing to %s", path);
    }
    return true;
}

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

bool spool_holds(const struct spool *s, const char *crash_id, bool *ret, struct err *err)
{
    static const char *const states[] = {"new", "moving", "unpublished"};
    char path[SPOOL_PATH_SIZE], above[SPOOL_PATH_SIZE];
    *ret = false;
    for (size_t i = 0; !*ret && i < ARRAY_LEN(states); i++) {
        spool_path(s, states[i], crash_id, path);
        *ret = fs_exists(path);
        spool_path(s, states[i], NULL, above);
        if (*ret && i == 0 && !s->no_fsync && !fs_sync_dir(above, err))
            return false;
    }
    return true;
}

static void measure_state(const struct spool *s, const char *state, int64_t *depth,
                          int64_t *first_s)
{
    char path[SPOOL_PATH_SIZE];
    spool_path(s, state, NULL, path);
    DIR *dir = opendir(path);
    struct dirent *e;
    while (dir && (e = readdir(dir))) {
        struct stat st;
        if (e->d_name[0] == '.' || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        ++*depth;
        *first_s = MIN(*first_s, (int64_t)st.st_mtime);
    }
    if (dir)
        closedir(dir);
}

void spool_measure(const struct spool *s, int64_t now_s, int64_t *ret_depth, int64_t *ret_oldest_s)
{
    int64_t depth = 0, first_s = now_s;
    measure_state(s, "new", &depth, &first_s);
    measure_state(s, "moving", &depth, &first_s);
    measure_state(s, "unpublished", &depth, &first_s);
    *ret_depth = depth;
    *ret_oldest_s = now_s - first_s;
}

void spool_sweep(const struct spool *s, int64_t now_s)
{
    char path[SPOOL_PATH_SIZE];
    spool_path(s, "tmp", NULL, path);
    DIR *dir = opendir(path);
    struct dirent *e;
    while (dir && (e = readdir(dir))) {
        struct stat st;
        if (e->d_name[0] == '.' || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            st.st_mtime > now_s - STALE_S)
            continue;
        spool_path(s, "tmp", e->d_name, path);
        fs_remove_tree(path, ERR_IGNORED);
    }
    if (dir)
        closedir(dir);
}

static void file_path(const struct spool_entry *e, const char *prefix, const char *name,
                      char out[SPOOL_PATH_SIZE])
{
    char below[200];
    snprintf(below, sizeof below, "%s/%s%s", e->name, prefix, name);
    spool_path(e->spool, "tmp", below, out);
}

static bool ensure_dir(struct spool_entry *e, struct err *err)
{
    if (e->name[0])
        return true;
    char name[sizeof e->name], path[SPOOL_PATH_SIZE];
    snprintf(name, sizeof name, "%016llx", (unsigned long long)random_u64());
    spool_path(e->spool, "tmp", name, path);
    /* Another disk was mounted there, or somebody tidied up: the directories are made again. */
    if (mkdir(path, DIR_MODE) != 0 &&
        (errno != ENOENT || !spool_open(e->spool, err) || mkdir(path, DIR_MODE) != 0))
        return err_errno(err, errno, "spool: making a directory");
    memcpy(e->name, name, sizeof name);
    return true;
}

static int create(struct spool_entry *e, const char *prefix, const char *name, struct err *err)
{
    char path[SPOOL_PATH_SIZE];
    if (!ensure_dir(e, err))
        return -1;
    file_path(e, prefix, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        err_errno(err, errno, "spool: creating a file");
    return fd;
}

static bool sync_fd(const struct spool *s, int fd, struct err *err)
{
    if (!s->no_fsync && fsync(fd) != 0)
        return err_errno(err, errno, "spool: fsync");
    return true;
}

bool spool_file_begin(struct spool_entry *e, const char *dump_name, struct spool_file *ret,
                      struct err *err)
{
    int fd = create(e, "dump.", dump_name, err);
    if (fd < 0)
        return false;
    *ret = (struct spool_file){.fd = fd};
    sha256_init(&ret->sha);
    return true;
}

bool spool_file_add(struct spool_file *f, const void *p, size_t n, struct err *err)
{
    const uint8_t *at = p;
    sha256_add(&f->sha, p, n);
    f->bytes += n;
    while (n) {
        ssize_t put = write(f->fd, at, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_errno(err, errno, "spool: writing a file");
        at += put;
        n -= (size_t)put;
    }
    return true;
}

void spool_file_drop(struct spool_file *f)
{
    if (f->fd < 0)
        return;
    close(f->fd);
    f->fd = -1;
    sha256_release(&f->sha);
}

bool spool_file_end(struct spool_entry *e, struct spool_file *f, char ret_sha256[SHA256_HEX + 1],
                    struct err *err)
{
    uint8_t digest[SHA256_BYTES];
    bool ok = sync_fd(e->spool, f->fd, err);
    close(f->fd);
    f->fd = -1;
    sha256_finish(&f->sha, digest);
    if (ok)
        hex_encode(digest, sizeof digest, ret_sha256);
    return ok;
}

bool spool_file_remove(struct spool_entry *e, const char *dump_name, struct err *err)
{
    char path[SPOOL_PATH_SIZE];
    file_path(e, "dump.", dump_name, path);
    if (unlink(path) != 0 && errno != ENOENT)
        return err_errno(err, errno, "spool: removing a file");
    return true;
}

bool spool_file_take(struct spool_entry *e, const char *dump_name, size_t max_bytes,
                     char **ret_bytes, size_t *ret_n, struct err *err)
{
    char path[SPOOL_PATH_SIZE];
    file_path(e, "dump.", dump_name, path);
    return fs_read(path, max_bytes, ret_bytes, ret_n, err) && spool_file_remove(e, dump_name, err);
}

/* Keys sorted, non-ASCII escaped, ", " and ": " between: the form all readers know. */
static bool write_raw_crash(struct spool_entry *e, const json_t *raw_crash, struct err *err)
{
    int fd = create(e, "", "raw_crash", err);
    if (fd < 0)
        return false;
    FILE *out = fdopen(fd, "w");
    if (!out) {
        close(fd);
        return err_errno(err, errno, "spool: raw crash");
    }
    bool ok =
        json_dumpf(raw_crash, out, JSON_SORT_KEYS | JSON_ENSURE_ASCII) == 0 && fflush(out) == 0;
    if (!ok)
        err_errno(err, errno, "spool: writing the raw crash");
    ok = ok && sync_fd(e->spool, fd, err);
    fclose(out);
    return ok;
}

static bool sync_dir(const struct spool *s, const char *path, struct err *err)
{
    return s->no_fsync || fs_sync_dir(path, err);
}

/*
 * A report that is sent again under its own id may meet its older self that still waits for the
 * mover: they change places, and the older one is removed with the temporary directory.
 */
static bool publish_dir(struct spool_entry *e, const char *from, const char *to, struct err *err)
{
    if (rename(from, to) == 0) {
        e->name[0] = '\0';
        return true;
    }
    if ((errno == ENOTEMPTY || errno == EEXIST) &&
        renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0)
        return true;
    /* The mover took the older one between the two calls. */
    if (errno == ENOENT && rename(from, to) == 0) {
        e->name[0] = '\0';
        return true;
    }
    return err_errno(err, errno, "spool: rename");
}

bool spool_commit(struct spool_entry *e, const char *crash_id, const json_t *raw_crash,
                  struct err *err)
{
    char from[SPOOL_PATH_SIZE], to[SPOOL_PATH_SIZE], above[SPOOL_PATH_SIZE];
    if (!write_raw_crash(e, raw_crash, err))
        return false;
    spool_path(e->spool, "tmp", e->name, from);
    spool_path(e->spool, "new", crash_id, to);
    spool_path(e->spool, "new", NULL, above);
    bool ok = sync_dir(e->spool, from, err) && publish_dir(e, from, to, err) &&
              sync_dir(e->spool, above, err);
    spool_discard(e); /* what an exchange has left */
    return ok;
}

void spool_discard(struct spool_entry *e)
{
    char path[SPOOL_PATH_SIZE];
    struct err err = {0};
    if (!e->name[0])
        return;
    spool_path(e->spool, "tmp", e->name, path);
    if (!fs_remove_tree(path, &err))
        log_event(LOG_WARN, "spool_leftover", "a temporary directory stays behind", LOG_E(&err));
    e->name[0] = '\0';
}
