/*
 * Compiled symbols on disk, shared by all processes without a server of their own: files are
 * replaced by rename, so whoever has the old one mapped keeps it; a lock lets one process compile
 * a key while others wait; and what is oldest goes when the directory grows beyond its limit.
 */
#include "lib/symfile/symcache.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

enum {
    LOCKS = 1024, /* lock files; two keys may share one */
    TOUCH_AFTER_S = 3600,
    EVICT_TO_PERCENT = 90, /* so that not every new file means a clean-up */
};

#define TEMP_MARK ".tmp."

/* The parts of a key are file names, so different keys have different paths. */
static bool cache_path(const char *cache_dir, const struct symkey *k, const char *suffix,
                       char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s/%s%s", cache_dir, k->debug_file, k->debug_id, suffix);
    return n > 0 && n < PATH_MAX;
}

static void touch(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_mtim.tv_sec + TOUCH_AFTER_S < now_s())
        futimens(fd, NULL);
}

/* A .bad file holds the stamp of the text that was no symbols file. */
static bool is_bad(const char *path, uint64_t stamp)
{
    uint64_t noted = 0;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &noted, sizeof noted) == sizeof noted && noted == stamp;
}

enum symcache_state symcache_get(const char *cache_dir, const struct symkey *k, uint64_t stamp,
                                 int *ret_fd)
{
    char path[PATH_MAX], bad[PATH_MAX];
    if (!cache_path(cache_dir, k, ".csym", path) || !cache_path(cache_dir, k, ".bad", bad))
        return SYMCACHE_MISS;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    struct csym c;
    if (fd >= 0 && csym_open_fd(fd, &c, ERR_IGNORED)) {
        bool fresh = c.source_stamp == stamp;
        csym_close(&c);
        if (fresh) {
            touch(fd);
            *ret_fd = TAKE_FD(fd);
            return SYMCACHE_HIT;
        }
    }
    return is_bad(bad, stamp) ? SYMCACHE_BAD : SYMCACHE_MISS;
}

bool symcache_temp(const char *cache_dir, char path[PATH_MAX], int *ret_fd, struct err *err)
{
    int n = snprintf(path, PATH_MAX, "%s/" TEMP_MARK "%016llx", cache_dir,
                     (unsigned long long)random_u64());
    if (n < 0 || n >= PATH_MAX)
        return err_set(err, ERR_IO, "path of the symbol cache too long");
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0)
        return err_errno(err, errno, "creating %s", path);
    *ret_fd = fd;
    return true;
}

bool symcache_publish(const char *cache_dir, const struct symkey *k, uint64_t stamp,
                      const char *temp, struct err *err)
{
    char path[PATH_MAX], dir[PATH_MAX], bad[PATH_MAX];
    if (!cache_path(cache_dir, k, ".csym", path) || !cache_path(cache_dir, k, ".bad", bad))
        return err_set(err, ERR_IO, "path of the symbol cache too long");
    if (!csym_set_stamp(temp, stamp, err))
        return false;
    if (rename(temp, path) != 0) {
        snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
        if (!fs_mkdirs(dir, FS_DIR_MODE, err))
            return false;
        if (rename(temp, path) != 0)
            return err_errno(err, errno, "renaming %s", temp);
    }
    unlink(bad);
    return true;
}

void symcache_note_bad(const char *cache_dir, const struct symkey *k, uint64_t stamp)
{
    char path[PATH_MAX], bad[PATH_MAX];
    if (!cache_path(cache_dir, k, ".csym", path) || !cache_path(cache_dir, k, ".bad", bad))
        return;
    unlink(path); /* what is there was made of another text */
    fs_write_atomic(bad, &stamp, sizeof stamp, FS_FILE_MODE, ERR_IGNORED);
}

bool symcache_lock(const char *cache_dir, const struct symkey *k, int *ret_fd, struct err *err)
{
    char dir[PATH_MAX], path[PATH_MAX + 32], text[SYMKEY_MAX + 1];
    symkey_text(k, text);
    unsigned slot = (unsigned)(hash64(text, strlen(text)) % LOCKS);
    snprintf(dir, sizeof dir, "%s/.lock", cache_dir);
    snprintf(path, sizeof path, "%s/%u", dir, slot);
    if (!fs_mkdirs(dir, FS_DIR_MODE, err))
        return false;
    FD_AUTO fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", path);
    while (flock(fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return err_errno(err, errno, "locking %s", path);
    *ret_fd = TAKE_FD(fd);
    return true;
}

struct used_file {
    char *path;
    int64_t used_s, bytes;
};
typedef VEC(struct used_file) used_files;

static int by_use(const void *a, const void *b)
{
    const struct used_file *x = a, *y = b;
    return (x->used_s > y->used_s) - (x->used_s < y->used_s);
}

/* Left behind by a process that was killed while it wrote. */
static bool is_stale_temp(const FTSENT *e)
{
    return strstr(e->fts_name, TEMP_MARK) && e->fts_statp->st_mtim.tv_sec + TOUCH_AFTER_S < now_s();
}

static bool list_files(const char *cache_dir, used_files *files, int64_t *total, struct err *err)
{
    char *const roots[] = {(char *)cache_dir, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!fts)
        return err_errno(err, errno, "reading %s", cache_dir);
    for (FTSENT *e; (e = fts_read(fts));) {
        if (e->fts_info == FTS_D && strcmp(e->fts_name, ".lock") == 0)
            fts_set(fts, e, FTS_SKIP);
        if (e->fts_info != FTS_F)
            continue;
        if (is_stale_temp(e)) {
            unlink(e->fts_path);
            continue;
        }
        int64_t bytes = (int64_t)e->fts_statp->st_blocks * 512;
        *total += bytes;
        VEC_PUSH(files,
                 ((struct used_file){xstrdup(e->fts_path), e->fts_statp->st_mtim.tv_sec, bytes}));
    }
    fts_close(fts);
    return true;
}

bool symcache_evict(const char *cache_dir, int64_t max_bytes, int64_t *ret_left, struct err *err)
{
    used_files files = {0};
    int64_t total = 0;
    if (!list_files(cache_dir, &files, &total, err))
        return false;
    if (files.n > 0 && total > max_bytes) {
        qsort(files.v, files.n, sizeof *files.v, by_use);
        int64_t goal = max_bytes / 100 * EVICT_TO_PERCENT;
        for (size_t i = 0; i < files.n && total > goal; i++)
            if (unlink(files.v[i].path) == 0)
                total -= files.v[i].bytes;
    }
    for (size_t i = 0; i < files.n; i++)
        free(files.v[i].path);
    VEC_RELEASE(&files);
    *ret_left = total;
    return true;
}
