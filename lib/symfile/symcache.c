/*
 * Compiled symbols on disk, shared by all processes without a server of their own: files are
 * replaced by rename, so whoever has the old one mapped keeps it; a lock lets one process compile
 * a key while others wait; and what is oldest goes when the directory grows beyond its limit.
 *
 *     <debug file>/<DEBUG ID>.csym   compiled symbols with the stamp of their text
 *     <debug file>/<DEBUG ID>.bad    eight bytes: which text does not compile
 *     .tmp.<random>                  what is being written; an hour old: of a dead process
 *     <debug file>/<DEBUG ID>.asked  what other servers said of a module that none has
 *     .lock/<number>, fetch-<number> locks of keys
 *     .lock/source-<number>          how often a server failed, and until when it is left alone
 *     .lock/bytes                    what all of it takes, and what happened to it
 *     .lock/walk                     who cleans up
 *
 * A .csym that is in use has a shared lock, by the descriptor that symcache_get opened: whoever
 * holds a copy of that, or a mapping made by one, in whatever process, holds the lock.  The
 * clean-up leaves such files alone.
 *
 * Nothing in here is a record: every file may be deleted at any time, and is made again from its
 * text when it is wanted.  So nothing depends on who comes first; the stamp decides what is good.
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

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

enum {
    LOCKS = 1024,          /* lock files; two keys may share one, and then wait for each other */
    TOUCH_AFTER_S = 3600,  /* use is known to the hour: a write for each use would cost more */
    EVICT_TO_PERCENT = 90, /* so that not every new file means a clean-up */
    WALK_EVERY_S = 86400,  /* counts the bytes anew, as kills leave them wrong by a file or two */
    DISK_BLOCK = 4096,     /* what files of ext4 and XFS are made of */
};

#define TEMP_MARK ".tmp."

/* The parts of a key are file names, so different keys have different paths. */
static bool cache_path(const char *cache_dir, const struct symkey *k, const char *suffix,
                       char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s/%s%s", cache_dir, k->debug_file, k->debug_id, suffix);
    return n > 0 && n < PATH_MAX;
}

/* The time of modification is that of the last use; reading alone would not change it. */
static void mark_used(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_mtim.tv_sec + TOUCH_AFTER_S < now_s())
        futimens(fd, NULL);
}

/*
 * A .bad file says which text was no symbols file, and for which version of ours: a later one may
 * understand it.
 */
static uint64_t bad_mark(uint64_t stamp)
{
    return stamp ^ hash64(DATIL_VERSION, strlen(DATIL_VERSION));
}

static bool is_bad(const char *path, uint64_t stamp)
{
    uint64_t noted = 0;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &noted, sizeof noted) == sizeof noted && noted == bad_mark(stamp);
}

/*
 * The lock of who uses a file.  False: it is being evicted, or was; who has it open keeps it, but
 * others would make it again.  Nobody waits, for who evicts may have been stopped.
 */
static bool lock_in_use(int fd)
{
    struct stat st;
    return flock(fd, LOCK_SH | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0;
}

/* The .csym decides before the .bad: of two that contradict each other the stamps tell the true
 * one. */
enum symcache_state symcache_get(const char *cache_dir, const struct symkey *k, uint64_t stamp,
                                 int *ret_fd)
{
    char path[PATH_MAX], bad[PATH_MAX];
    if (!cache_path(cache_dir, k, ".csym", path) || !cache_path(cache_dir, k, ".bad", bad))
        return SYMCACHE_MISS;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    struct csym c;
    if (fd >= 0 && lock_in_use(fd) && csym_open_fd(fd, &c, ERR_IGNORED)) {
        bool fresh = c.source_stamp == stamp;
        csym_close(&c);
        if (fresh) {
            mark_used(fd);
            *ret_fd = TAKE_FD(fd);
            return SYMCACHE_HIT;
        }
    }
    return is_bad(bad, stamp) ? SYMCACHE_BAD : SYMCACHE_MISS;
}

int64_t symcache_used_s(const char *cache_dir, const struct symkey *k)
{
    char path[PATH_MAX];
    struct stat st;
    return cache_path(cache_dir, k, ".csym", path) && stat(path, &st) == 0 ? st.st_mtim.tv_sec : 0;
}

void symcache_forget(const char *cache_dir, const struct symkey *k)
{
    static const char *const suffixes[] = {".csym", ".bad"};
    char path[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        if (cache_path(cache_dir, k, suffixes[i], path))
            unlink(path);
    if (cache_path(cache_dir, k, "", path)) {
        *strrchr(path, '/') = '\0';
        rmdir(path); /* if that was the last of this debug file */
    }
}

/* At the top of the cache, and so on its file system: publishing is a rename. */
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

/* What the reader may have written before it failed is cut off. */
bool symcache_mark_bad(int fd, uint64_t stamp, struct err *err)
{
    uint64_t mark = bad_mark(stamp);
    return (ftruncate(fd, 0) == 0 && pwrite(fd, &mark, sizeof mark, 0) == sizeof mark) ||
           err_errno(err, errno, "noting symbols that do not compile");
}

/* What is there under the other ending was made of another text. */
bool symcache_publish(const char *cache_dir, const struct symkey *k, const char *temp,
                      bool is_bad_text, struct err *err)
{
    char path[PATH_MAX], other[PATH_MAX];
    if (!cache_path(cache_dir, k, is_bad_text ? ".bad" : ".csym", path) ||
        !cache_path(cache_dir, k, is_bad_text ? ".csym" : ".bad", other))
        return err_set(err, ERR_IO, "path of the symbol cache too long");
    if (!fs_move(temp, path, err))
        return false;
    unlink(other);
    return true;
}

/* A file below .lock, which the clean-up leaves alone. */
static int open_lock_file(const char *cache_dir, const char *name, struct err *err)
{
    char dir[PATH_MAX], path[PATH_MAX + 32];
    snprintf(dir, sizeof dir, "%s/.lock", cache_dir);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0 && errno == ENOENT && fs_mkdirs(dir, FS_DIR_MODE, err))
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0)
        err_errno(err, errno, "opening %s", path);
    return fd;
}

static bool lock(int fd, struct err *err)
{
    while (flock(fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return err_errno(err, errno, "locking the symbol cache");
    return true;
}

static bool lock_key(const char *cache_dir, const char *what, const struct symkey *k, int *ret_fd,
                     struct err *err)
{
    char text[SYMKEY_MAX + 1], slot[32];
    symkey_text(k, text);
    snprintf(slot, sizeof slot, "%s%u", what, (unsigned)(hash64(text, strlen(text)) % LOCKS));
    FD_AUTO fd = open_lock_file(cache_dir, slot, err);
    if (fd < 0 || !lock(fd, err))
        return false;
    *ret_fd = TAKE_FD(fd);
    return true;
}

bool symcache_lock(const char *cache_dir, const struct symkey *k, int *ret_fd, struct err *err)
{
    return lock_key(cache_dir, "", k, ret_fd, err);
}

bool symcache_lock_fetch(const char *cache_dir, const struct symkey *k, int *ret_fd,
                         struct err *err)
{
    return lock_key(cache_dir, "fetch-", k, ret_fd, err);
}

/*
 * .lock/bytes: how much the cache takes, so that adding ten thousand files does not mean to look
 * at all that are there.  Files are counted before they get their names, so whoever is killed in
 * between leaves a count that is too high and not too low; replaced files stay counted, too.  A
 * walk over the directory sets it right: when the count exceeds the limit, and once a day, because
 * programs of older versions add files that they do not count.
 */
struct cache_tally {
    int64_t bytes;
    int64_t walked_s; /* when the bytes were last added up file by file; 0: never */
    int64_t evicted;  /* files removed for the limit, and not taken by symcache_take_evicted yet */
    int64_t puts, put_us; /* files that got their names, not taken yet either */
};

/* A damaged or missing tally is one that was never walked. */
static struct cache_tally read_tally(int fd)
{
    struct cache_tally t;
    bool is_whole = pread(fd, &t, sizeof t, 0) == sizeof t && t.bytes >= 0 && t.walked_s >= 0 &&
                    t.walked_s <= now_s() && t.evicted >= 0 && t.puts >= 0 && t.put_us >= 0;
    return is_whole ? t : (struct cache_tally){.walked_s = 0};
}

static bool write_tally(int fd, struct cache_tally t, struct err *err)
{
    return pwrite(fd, &t, sizeof t, 0) == sizeof t ||
           err_errno(err, errno, "counting the bytes of the symbol cache");
}

int64_t symcache_disk_bytes(uint64_t file_bytes)
{
    return (int64_t)((file_bytes + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK);
}

static bool add_to_tally(const char *cache_dir, int64_t bytes, struct cache_tally *ret,
                         struct err *err)
{
    FD_AUTO fd = open_lock_file(cache_dir, "bytes", err);
    if (fd < 0 || !lock(fd, err))
        return false;
    struct cache_tally t = read_tally(fd);
    t.bytes += bytes;
    *ret = t;
    return bytes == 0 || write_tally(fd, t, err);
}

bool symcache_count(const char *cache_dir, int64_t bytes, struct err *err)
{
    struct cache_tally t;
    return add_to_tally(cache_dir, bytes, &t, err);
}

int64_t symcache_bytes(const char *cache_dir)
{
    struct cache_tally t = {0};
    return add_to_tally(cache_dir, 0, &t, ERR_IGNORED) ? t.bytes : 0;
}

/* Counts for those who watch: what cannot be written is not counted. */
static int tally_for_change(const char *cache_dir, struct cache_tally *ret)
{
    FD_AUTO fd = open_lock_file(cache_dir, "bytes", ERR_IGNORED);
    if (fd < 0 || !lock(fd, ERR_IGNORED))
        return -1;
    *ret = read_tally(fd);
    return TAKE_FD(fd);
}

int64_t symcache_take_evicted(const char *cache_dir)
{
    struct cache_tally t;
    FD_AUTO fd = tally_for_change(cache_dir, &t);
    if (fd < 0)
        return 0;
    int64_t evicted = t.evicted;
    t.evicted = 0;
    return evicted == 0 || write_tally(fd, t, ERR_IGNORED) ? evicted : 0;
}

void symcache_note_puts(const char *cache_dir, size_t n, int64_t us)
{
    struct cache_tally t;
    FD_AUTO fd = n > 0 ? tally_for_change(cache_dir, &t) : -1;
    if (fd < 0)
        return;
    t.puts += (int64_t)n;
    t.put_us += us;
    write_tally(fd, t, ERR_IGNORED);
}

void symcache_take_puts(const char *cache_dir, int64_t *ret_n, int64_t *ret_us)
{
    struct cache_tally t;
    FD_AUTO fd = tally_for_change(cache_dir, &t);
    *ret_n = *ret_us = 0;
    if (fd < 0 || t.puts == 0)
        return;
    int64_t n = t.puts, us = t.put_us;
    t.puts = t.put_us = 0;
    if (!write_tally(fd, t, ERR_IGNORED))
        return;
    *ret_n = n;
    *ret_us = us;
}

struct used_file {
    char *path;
    int64_t used_s, bytes;
    bool is_try; /* its text is of an experimental build, and of no other */
};
typedef VEC(struct used_file) used_files;

static int by_use(const void *a, const void *b)
{
    const struct used_file *x = a, *y = b;
    if (x->is_try != y->is_try)
        return x->is_try ? -1 : 1;
    return (x->used_s > y->used_s) - (x->used_s < y->used_s);
}

/* Left behind by a process that was killed while it wrote. */
static bool is_stale_temp(const FTSENT *e)
{
    return strstr(e->fts_name, TEMP_MARK) && e->fts_statp->st_mtim.tv_sec + TOUCH_AFTER_S < now_s();
}

/* Files in use by their time, and bytes as the file system counts them. */
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
        VEC_PUSH(files, ((struct used_file){.path = xstrdup(e->fts_path),
                                            .used_s = e->fts_statp->st_mtim.tv_sec,
                                            .bytes = bytes}));
    }
    fts_close(fts);
    return true;
}

/* False: somebody uses it, or it is gone.  Under the lock, so that nobody begins to. */
static bool remove_unused(const char *path)
{
    FD_AUTO fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlink(path) == 0;
}

static bool has_folder(const char *store_dir, const char *area, const char *module)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s/%s", store_dir, area, module);
    return n > 0 && n < PATH_MAX && fs_exists(path);
}

/* The folder of a module in the store has the name of its .csym without that ending. */
static void find_try_files(used_files *files, const char *cache_dir, const char *store_dir)
{
    for (size_t i = 0; store_dir && i < files->n; i++) {
        char module[PATH_MAX];
        snprintf(module, sizeof module, "%s", files->v[i].path + strlen(cache_dir) + 1);
        char *end = strrchr(module, '.');
        if (end)
            *end = '\0';
        files->v[i].is_try =
            has_folder(store_dir, "try/v1", module) && !has_folder(store_dir, "v1", module);
    }
}

/* Oldest first, until there is room for a while; how many.  What is in use may take more than there
 * is room for: it would take it without a name, too, and be made once more beside that. */
static int64_t remove_oldest(used_files *files, int64_t max_bytes, int64_t *total)
{
    qsort(files->v, files->n, sizeof *files->v, by_use);
    int64_t goal = max_bytes / 100 * EVICT_TO_PERCENT, removed = 0;
    for (size_t i = 0; i<files->n && * total> goal; i++)
        if (remove_unused(files->v[i].path)) {
            *total -= files->v[i].bytes;
            removed++;
        }
    return removed;
}

/* What others added while we walked may be in our sum or not: it is counted again. */
static bool set_tally(const char *cache_dir, int64_t before, int64_t total, int64_t evicted,
                      struct err *err)
{
    FD_AUTO fd = open_lock_file(cache_dir, "bytes", err);
    if (fd < 0 || !lock(fd, err))
        return false;
    struct cache_tally t = read_tally(fd);
    int64_t added = MAX(t.bytes - before, 0);
    t.bytes = total + added;
    t.walked_s = now_s();
    t.evicted += evicted;
    return write_tally(fd, t, err);
}

/*
 * The tally is read before the files are listed, and the new one is set as a difference to it: what
 * other processes add in the meantime stays counted.
 */
bool symcache_evict(const char *cache_dir, const char *store_dir, int64_t max_bytes,
                    int64_t *ret_left, struct err *err)
{
    used_files files = {0};
    int64_t total = 0, evicted = 0;
    struct cache_tally before;
    bool ok =
        add_to_tally(cache_dir, 0, &before, err) && list_files(cache_dir, &files, &total, err);
    if (ok && files.n > 0 && total > max_bytes) {
        find_try_files(&files, cache_dir, store_dir);
        evicted = remove_oldest(&files, max_bytes, &total);
    }
    for (size_t i = 0; i < files.n; i++)
        free(files.v[i].path);
    VEC_RELEASE(&files);
    if (!ok || !set_tally(cache_dir, before.bytes, total, evicted, err))
        return false;
    *ret_left = total;
    return true;
}

/* One process at a time walks; others have no need to. */
bool symcache_keep_below(const char *cache_dir, const char *store_dir, int64_t max_bytes,
                         struct err *err)
{
    struct cache_tally t;
    int64_t left;
    if (!add_to_tally(cache_dir, 0, &t, err))
        return false;
    if (t.bytes <= max_bytes && t.walked_s + WALK_EVERY_S > now_s())
        return true;
    FD_AUTO walking = open_lock_file(cache_dir, "walk", err);
    if (walking < 0)
        return false;
    return flock(walking, LOCK_EX | LOCK_NB) != 0 ||
           symcache_evict(cache_dir, store_dir, max_bytes, &left, err);
}
