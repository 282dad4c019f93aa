/*
 * Files of records with one sync for many.
 *
 * A file of its own for each ping, as the spool has for reports, costs four syncs, and a ping is
 * sent a hundred times as often.  So all workers append to one file, and whoever has appended waits
 * for a sync that began after that: while one of them syncs the others append, and the next sync is
 * for all of those.  The more there are at once, the fewer syncs each costs; nobody waits for a
 * clock.
 *
 * A record is written at the end that shared memory says, and the end moves behind it when it is
 * whole.  Who is killed in the middle of a write leaves bytes that the next writer covers, or that
 * stand behind the last whole record: the reader stops there, and no client was told of them.
 *
 *     magic u32, length u32, hash64 of the record u64, the record     (of this machine's order)
 *
 * The end and the file it belongs to must change in one store, for a worker may be killed between
 * two: they lie in a slot, there are two of those, and one number says which counts.
 */
#include "lib/ping/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/shared.h"
#include "lib/base/util.h"

/*
 * FILE_MAX bounds what one file can hold up while the database is away: then files of this size
 * wait side by side.  READ_BYTES is room for the longest record.
 */
enum { FILE_MAX = 64 << 20, READ_BYTES = 8 << 20 };
enum { DIR_MODE = 0700, FILE_MODE = 0600 }; /* nobody else's to read */
#define JOURNAL_MAGIC  UINT32_C(0x474e4950) /* "PING" */
#define JOURNAL_SUFFIX ".pings"

struct record_head {
    uint32_t magic, bytes;
    uint64_t hash;
};

bool journal_shared_new(struct journal_shared **ret, struct err *err)
{
    struct journal_shared *s = shared_map(sizeof *s, "the journal of pings", err);
    if (!s)
        return false;
    shared_lock_init(&s->append_lock);
    shared_lock_init(&s->sync_lock);
    s->generation = (uint32_t)random_u64();
    *ret = s;
    return true;
}

bool journal_open(struct journal *j, const char *dir, bool no_fsync, struct journal_shared *shared,
                  struct err *err)
{
    *j = (struct journal){.dir = dir, .no_fsync = no_fsync, .shared = shared, .fd = -1};
    if (!fs_mkdirs(dir, DIR_MODE, err))
        return err_wrap(err, "journal of pings");
    return fs_is_writable_dir(dir) || err_errno(err, errno, "writing to %s", dir);
}

void journal_close(struct journal *j)
{
    if (j->fd >= 0)
        close(j->fd);
    j->fd = -1;
}

static void name_of(uint64_t file, char out[JOURNAL_NAME_SIZE])
{
    snprintf(out, JOURNAL_NAME_SIZE, "%016llx" JOURNAL_SUFFIX, (unsigned long long)file);
}

static void path_of(const struct journal *j, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", j->dir, name);
}

static struct journal_slot *current_slot(struct journal_shared *s)
{
    return &s->slots[atomic_load(&s->current) & 1];
}

/* A worker holds a lock on the file it writes to, for readers that do not share its memory. */
static bool hold(int fd)
{
    struct stat st;
    return flock(fd, LOCK_SH) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0;
}

/* With the append lock: from now on records go to this file, 0: to a new one. */
static void switch_to(struct journal_shared *s, uint64_t file)
{
    int next = !(atomic_load(&s->current) & 1);
    s->slots[next].file = file;
    atomic_store(&s->slots[next].end, 0);
    atomic_store(&s->current, next);
}

static bool begin_file(struct journal *j, struct err *err)
{
    char name[JOURNAL_NAME_SIZE], path[PATH_MAX];
    uint64_t file = (uint64_t)j->shared->generation << 32 | (uint32_t)random_u64() | 1;
    name_of(file, name);
    path_of(j, name, path);
    FD_AUTO fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return err_errno(err, errno, "creating %s", path);
    if (!j->no_fsync && !fs_sync_dir(j->dir, err))
        return false;
    if (!hold(fd))
        return err_set(err, ERR_UNAVAILABLE, "%s was taken away", path);
    journal_close(j);
    j->fd = TAKE_FD(fd);
    j->file = file;
    switch_to(j->shared, file);
    return true;
}

/* With the append lock: j->fd is that of the current file. */
static bool take_file(struct journal *j, struct err *err)
{
    char name[JOURNAL_NAME_SIZE], path[PATH_MAX];
    const struct journal_slot *slot = current_slot(j->shared);
    if (slot->file == 0 || atomic_load(&slot->end) >= FILE_MAX)
        return begin_file(j, err);
    if (j->fd >= 0 && j->file == slot->file)
        return true;
    name_of(slot->file, name);
    path_of(j, name, path);
    journal_close(j);
    j->fd = open(path, O_RDWR | O_CLOEXEC);
    j->file = slot->file;
    /* Somebody has removed it, or mounted another disk: what was in it cannot be had back. */
    return (j->fd >= 0 && hold(j->fd)) || begin_file(j, err);
}

static bool write_at(int fd, const void *p, size_t n, uint64_t at, struct err *err)
{
    const uint8_t *bytes = p;
    while (n) {
        ssize_t put = pwrite(fd, bytes, n, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_errno(err, errno, "writing to the journal");
        bytes += put;
        at += (uint64_t)put;
        n -= (size_t)put;
    }
    return true;
}

static bool write_record(struct journal *j, struct str record, uint64_t *ret_end, struct err *err)
{
    struct journal_slot *slot = current_slot(j->shared);
    const struct record_head head = {JOURNAL_MAGIC, (uint32_t)record.n, hash64(record.p, record.n)};
    uint64_t at = atomic_load(&slot->end);
    if (!write_at(j->fd, &head, sizeof head, at, err) ||
        !write_at(j->fd, record.p, record.n, at + sizeof head, err))
        return false;
    *ret_end = at + sizeof head + record.n;
    atomic_store(&slot->end, *ret_end);
    return true;
}

/* Of everything that was appended when the sync begins, the caller's record among it. */
static bool sync_together(struct journal *j, uint64_t end, struct err *err)
{
    struct journal_shared *s = j->shared;
    bool ok = true;
    shared_lock(&s->sync_lock);
    if (s->synced_file != j->file || s->synced_end < end) {
        const struct journal_slot *slot = current_slot(s);
        uint64_t covered = slot->file == j->file ? atomic_load(&slot->end) : end;
        ok = fdatasync(j->fd) == 0 || err_errno(err, errno, "syncing the journal");
        if (ok && s->synced_file != j->file) {
            s->synced_end = 0; /* never the end of one file with the name of another */
            s->synced_file = j->file;
        }
        if (ok)
            s->synced_end = MAX(covered, end);
    }
    shared_unlock(&s->sync_lock);
    return ok;
}

bool journal_append(struct journal *j, struct str record, struct err *err)
{
    uint64_t end = 0;
    if (record.n > JOURNAL_RECORD_MAX)
        return err_set(err, ERR_TOO_LARGE, "a record has at most %d bytes", JOURNAL_RECORD_MAX);
    shared_lock(&j->shared->append_lock);
    bool ok = take_file(j, err) && write_record(j, record, &end, err);
    shared_unlock(&j->shared->append_lock);
    return ok && (j->no_fsync || sync_together(j, end, err));
}

size_t journal_files(const struct journal *j, struct journal_file *ret, size_t n)
{
    char current[JOURNAL_NAME_SIZE];
    size_t count = 0;
    /* The end first: the file that becomes current meanwhile is taken for an old one otherwise. */
    shared_lock(&j->shared->append_lock);
    const struct journal_slot *slot = current_slot(j->shared);
    uint64_t end = atomic_load(&slot->end);
    name_of(slot->file, current);
    shared_unlock(&j->shared->append_lock);
    DIR *dir = opendir(j->dir);
    struct dirent *e;
    while (dir && count < n && (e = readdir(dir))) {
        struct stat st;
        struct str name = str_of(e->d_name);
        if (name.n >= JOURNAL_NAME_SIZE || !str_ends(name, STR(JOURNAL_SUFFIX)) ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        struct journal_file *f = &ret[count];
        f->is_current = strcmp(e->d_name, current) == 0;
        f->end = f->is_current ? end : (uint64_t)st.st_size;
        memcpy(f->name, e->d_name, name.n + 1);
        count++;
    }
    if (dir)
        closedir(dir);
    return count;
}

uint64_t journal_bytes(const struct journal *j)
{
    struct journal_file files[64];
    uint64_t sum = 0;
    size_t n = journal_files(j, files, ARRAY_LEN(files));
    for (size_t i = 0; i < n; i++)
        sum += files[i].end;
    return sum;
}

/* The record at the front; false: none that is whole. */
static bool take_record(struct str *rest, struct str *ret)
{
    struct record_head head;
    if (rest->n < sizeof head)
        return false;
    memcpy(&head, rest->p, sizeof head);
    if (head.magic != JOURNAL_MAGIC || head.bytes > JOURNAL_RECORD_MAX ||
        head.bytes > rest->n - sizeof head)
        return false;
    *ret = str_sub(*rest, sizeof head, head.bytes);
    if (hash64(ret->p, ret->n) != head.hash)
        return false;
    *rest = str_sub(*rest, sizeof head + head.bytes, SIZE_MAX);
    return true;
}

bool journal_read(const struct journal *j, const struct journal_file *f, uint64_t from,
                  bool (*each)(void *arg, struct str record), void *arg, uint64_t *ret_to,
                  struct err *err)
{
    char path[PATH_MAX];
    path_of(j, f->name, path);
    *ret_to = from;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", path);
    size_t want = from < f->end ? (size_t)MIN(f->end - from, (uint64_t)READ_BYTES) : 0;
    FREE_LATER char *bytes = xmalloc(want + 1);
    size_t got = 0;
    while (got < want) {
        ssize_t n = pread(fd, bytes + got, want - got, (off_t)(from + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "reading %s", path);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    struct str rest = {bytes, got}, record;
    while (take_record(&rest, &record)) {
        *ret_to = from + (got - rest.n);
        if (!each(arg, record))
            break;
    }
    return true;
}

static bool see_record(void *arg, struct str record)
{
    (void)record;
    *(bool *)arg = true;
    return false;
}

/*
 * A file of an earlier start of the program, whose workers may still finish a request after their
 * parent was killed: it is over when nobody holds it, and nothing was added since it was read.
 */
static bool is_over(const struct journal *j, const struct journal_file *f, const char *path,
                    uint64_t end)
{
    bool has_more = false;
    uint64_t to;
    struct stat st;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &st) != 0)
        return false;
    struct journal_file now = *f;
    now.end = (uint64_t)st.st_size;
    if (!journal_read(j, &now, end, see_record, &has_more, &to, ERR_IGNORED) || has_more)
        return false;
    unlink(path);
    return true;
}

static bool drop_own(const struct journal *j, const struct journal_file *f, const char *path,
                     uint64_t end)
{
    char current[JOURNAL_NAME_SIZE];
    bool is_grown = false;
    shared_lock(&j->shared->append_lock);
    const struct journal_slot *slot = current_slot(j->shared);
    name_of(slot->file, current);
    if (strcmp(current, f->name) == 0) {
        is_grown = atomic_load(&slot->end) > end;
        if (!is_grown)
            switch_to(j->shared, 0);
    }
    shared_unlock(&j->shared->append_lock);
    if (!is_grown)
        unlink(path);
    return !is_grown;
}

bool journal_drop(struct journal *j, const struct journal_file *f, uint64_t end)
{
    char path[PATH_MAX], own[16];
    path_of(j, f->name, path);
    snprintf(own, sizeof own, "%08x", (unsigned)j->shared->generation);
    return strncmp(f->name, own, 8) == 0 ? drop_own(j, f, path, end) : is_over(j, f, path, end);
}

bool journal_watch(const struct journal *j, int *ret_fd, struct err *err)
{
    FD_AUTO fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0 || inotify_add_watch(fd, j->dir, IN_MODIFY) < 0)
        return err_errno(err, errno, "watching %s", j->dir);
    *ret_fd = TAKE_FD(fd);
    return true;
}
