/*
 * Whoever has the lock may rely on three things: the head that is mapped is the one in the
 * directory, its seal is good, and no commit of a dead writer is half done.  root_lock sees to it.
 *
 * Readers take no lock.  They load the number of the newest commit and fix each partition to it
 * (root_snapshot); if one has been overtaken by two commits in between, or the table has changed,
 * they begin again.  Under sixty thousand puts a second that happens a few times, so the tries are
 * many and each costs little.
 */
#include "lib/search/columns/root.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/format.h"
#include "lib/search/columns/mend.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/recover.h"

enum {
    RETRY_MS = 5000,          /* before a week that could not be opened is tried again */
    LOCK_MS = 10000,          /* nobody holds the lock for more than a fraction of a second */
    LOCK_PAUSE_MAX_US = 1000, /* a put holds the lock for microseconds */
    PLACE_TRIES = 5, /* a week may be compacted between finding and opening it, not five times */
};

/* DIR/what. */
static void root_path(const struct root *r, const char *what, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", r->dir, what);
}

/*
 * Tried again and again, not waited for: a process that hangs with the lock must not make others
 * hang.  A put holds it for some microseconds, so the first pauses are as short.
 */
static bool take_lock(struct root *r, struct err *err)
{
    int64_t until_ms = mono_ms() + LOCK_MS;
    useconds_t pause_us = 10;
    while (flock(r->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EINTR && errno != EWOULDBLOCK)
            return err_errno(err, errno, "locking the index %s", r->dir);
        if (mono_ms() > until_ms)
            return err_set(err, ERR_UNAVAILABLE, "%s: another process holds the lock", r->dir);
        usleep(pause_us);
        pause_us = MIN(pause_us * 2, (useconds_t)LOCK_PAUSE_MAX_US);
    }
    return true;
}

static void drop_lock(struct root *r)
{
    flock(r->lock_fd, LOCK_UN);
}

/*
 * The sums are made here, after the last store of whatever was done under the lock: once for each
 * head that was changed and not for each change.
 */
void root_unlock(struct root *r)
{
    for (struct part *p; (p = r->open); r->open = p->next_open) {
        p->is_open = false;
        seal_close(HEAD_PART, p->h);
    }
    seal_close(HEAD_ROOT, r->h);
    drop_lock(r);
}

/*
 * ERR_DAMAGED covers a foreign version, too: to this program that is an index that cannot be read.
 */
static bool map_head(struct root *r, struct err *err)
{
    char path[PATH_MAX];
    root_path(r, "head", path);
    if (!mfile_map_head(&r->head, path, sizeof(struct root_head), r->is_writable, err))
        return false;
    struct root_head *h = (struct root_head *)(void *)r->head.base;
    if (memcmp(h->magic, ROOT_MAGIC, sizeof h->magic) == 0 && h->format == FORMAT_VERSION &&
        table_count(h) <= PARTS_MAX && seal_look(HEAD_ROOT, h) != SEAL_BROKEN) {
        r->h = h;
        r->was_there = true;
        return true;
    }
    mfile_close(&r->head);
    return err_set(err, ERR_DAMAGED, "%s is not the head of an index of this version", path);
}

/* Under the lock. */
static bool map_or_make_head(struct root *r, struct err *err)
{
    struct err why = {0};
    if (map_head(r, &why))
        return true;
    if (why.code != ERR_NOT_FOUND && why.code != ERR_DAMAGED)
        return err_set(err, why.code, "%s", why.msg);
    return mend_head(r, why.msg, err) && map_head(r, err);
}

/* Everything that was read through it goes as well: another head may name other partitions. */
static void close_head(struct root *r)
{
    for (size_t i = 0; i < PARTS_MAX; i++)
        root_close_part(r, i);
    mfile_close(&r->head);
    r->h = NULL;
    r->part_count = 0;
    r->stamp = 0;
}

/* The lock file may have been deleted with its directory between open and flock. */
static bool is_lock_in_place(const struct root *r)
{
    struct stat st, on_disk;
    char path[PATH_MAX];
    root_path(r, "lock", path);
    return fstat(r->lock_fd, &st) == 0 && stat(path, &on_disk) == 0 &&
           st.st_ino == on_disk.st_ino && st.st_dev == on_disk.st_dev;
}

/*
 * The lock is on a file by that name; a directory that is replaced at the same moment has another
 * one.
 */
static bool open_lock(struct root *r, struct err *err)
{
    char path[PATH_MAX];
    root_path(r, "lock", path);
    for (int tries = 0; tries < PLACE_TRIES; tries++) {
        if (r->lock_fd >= 0)
            close(r->lock_fd);
        r->lock_fd = -1;
        if (!fs_mkdirs(r->dir, FS_DIR_MODE, err))
            return false;
        r->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
        if (r->lock_fd < 0)
            return err_errno(err, errno, "opening %s", path);
        if (!take_lock(r, err))
            return false;
        if (is_lock_in_place(r))
            return true;
        drop_lock(r);
    }
    return err_set(err, ERR_UNAVAILABLE, "%s keeps being replaced", r->dir);
}

/* Whoever comes first after a restart of the machine puts the index back to its last sync. */
static bool open_for_writing(struct root *r, struct err *err)
{
    if (!open_lock(r, err))
        return false;
    bool ok = map_or_make_head(r, err) && recover_after_boot(r, err);
    if (!ok)
        close_head(r);
    drop_lock(r);
    return ok;
}

/* A reader opens nothing yet: there may be no index, and it may come at any time. */
bool root_open(const char *dir, const struct field_table *fields, bool is_writable,
               struct root **ret, struct err *err)
{
    struct root *r = xcalloc(1, sizeof *r);
    r->dir = xstrdup(dir);
    r->fields = fields;
    r->lock_fd = -1;
    r->is_writable = is_writable;
    if (is_writable && !open_for_writing(r, err)) {
        root_free(r);
        return false;
    }
    *ret = r;
    return true;
}

void root_free(struct root *r)
{
    if (!r)
        return;
    close_head(r);
    if (r->lock_fd >= 0)
        close(r->lock_fd);
    free(r->dir);
    free(r);
}

/*
 * A call of stat for each put and each search: the price of noticing that somebody has deleted the
 * index or put back another one.
 */
static bool is_in_place(const struct root *r)
{
    char path[PATH_MAX];
    root_path(r, "head", path);
    return r->h && mfile_is_at(&r->head, path);
}

/* Takes the lock of the directory that is there now.  *ret_died: its last holder was killed. */
static bool lock_in_place(struct root *r, bool *ret_died, struct err *err)
{
    for (int tries = 0; tries < PLACE_TRIES; tries++) {
        struct stat st;
        if (!r->h && !open_for_writing(r, err))
            return false;
        if (!take_lock(r, err))
            return false;
        bool is_ours = is_in_place(r) && fstat(r->lock_fd, &st) == 0 && st.st_nlink > 0;
        enum seal_state seal = is_ours ? seal_look(HEAD_ROOT, r->h) : SEAL_BROKEN;
        *ret_died = seal == SEAL_OPEN;
        if (seal != SEAL_BROKEN)
            return true;
        log_event(LOG_WARN, "index_replaced",
                  is_ours ? "the head of the index is damaged"
                          : "the directory of the index or its head was replaced",
                  LOG_S("dir", r->dir));
        close_head(r);
        drop_lock(r);
    }
    return err_set(err, ERR_UNAVAILABLE, "%s keeps being replaced", r->dir);
}

/* Heads that a dead writer left open, after its commit was finished or undone. */
static void close_seals_of_the_dead(struct root *r)
{
    for (size_t i = 0; i < r->part_count; i++)
        if (r->parts[i] && seal_look(HEAD_PART, r->parts[i]->h) == SEAL_OPEN)
            root_close_later(r, r->parts[i]);
}

/*
 * In this order: our own turn, so that readers see that somebody is at work; the table, if a writer
 * died changing it; the partitions; the commit that it died in; the seals that it left open.
 */
bool root_lock(struct root *r, struct err *err)
{
    bool died;
    if (!lock_in_place(r, &died, err))
        return false;
    seal_open(HEAD_ROOT, r->h);
    table_settle(r->h);
    if (!root_refresh(r, err) || !recover_intent(r, err)) {
        if (died)
            drop_lock(r); /* its seals stay open for the next one, who tries again */
        else
            root_unlock(r);
        return false;
    }
    if (died)
        close_seals_of_the_dead(r);
    return true;
}

/*
 * Brings parts[i] in line with the table.  A writer sets aside what it cannot open; a reader
 * notes it.  ERR_NOT_FOUND is passed on: the table has changed meanwhile.
 */
static bool refresh_part(struct root *r, size_t i, struct err *err)
{
    struct table_entry entry = table_entry(r->h, i);
    struct part *have = r->parts[i];
    if (have && (have->revision != entry.revision || have->week != entry.week))
        root_close_part(r, i);
    if (entry.revision == 0 || r->parts[i])
        return true;
    struct err why = {0};
    r->is_damaged[i] = false;
    if (part_open(r->dir, r->fields, entry.week, entry.revision, r->is_writable, &r->parts[i],
                  &why)) {
        r->parts_epoch++;
        return true;
    }
    if (r->is_writable && (why.code == ERR_DAMAGED || why.code == ERR_NOT_FOUND))
        return root_set_aside(r, i, why.msg, err);
    if (why.code == ERR_NOT_FOUND && table_entry(r->h, i).revision != entry.revision)
        return err_set(err, ERR_NOT_FOUND, "replaced meanwhile");
    r->is_damaged[i] = true;
    return true;
}

/* A count that shrinks has gone back to an older sync, after a failure of the machine. */
static bool refresh_all(struct root *r, struct err *err)
{
    uint32_t n = table_count(r->h);
    if (n > PARTS_MAX)
        return err_set(err, ERR_DAMAGED, "%s: %u partitions", r->dir, n);
    for (size_t i = n; i < r->part_count; i++)
        root_close_part(r, i);
    r->part_count = n;
    for (size_t i = 0; i < n; i++)
        if (!refresh_part(r, i, err))
            return false;
    return true;
}

/* What could not be read for want of memory or descriptors may be readable now. */
static bool is_time_to_retry(struct root *r)
{
    bool any = false;
    for (size_t i = 0; i < r->part_count && !any; i++)
        any = r->is_damaged[i];
    if (!any || mono_ms() < r->retry_ms)
        return false;
    r->retry_ms = mono_ms() + RETRY_MS;
    return true;
}

/* An odd stamp never counts as known: the table is looked at again next time. */
bool root_refresh(struct root *r, struct err *err)
{
    if (!r->is_writable && r->h && !is_in_place(r))
        close_head(r);
    if (!r->h) {
        struct err why = {0};
        if (!map_head(r, &why))
            return why.code == ERR_NOT_FOUND || err_set(err, why.code, "%s", why.msg);
    }
    for (int tries = 0; tries < 100; tries++) {
        uint64_t stamp = table_stamp(r->h);
        if (stamp == r->stamp && stamp % 2 == 0 && !is_time_to_retry(r))
            return true;
        struct err why = {0};
        if (refresh_all(r, &why)) {
            r->stamp = stamp; /* set aside meanwhile: seen again next time, harmless */
            return true;
        }
        if (why.code != ERR_NOT_FOUND)
            return err_set(err, why.code, "%s", why.msg);
    }
    return err_set(err, ERR_UNAVAILABLE, "%s: the partitions keep changing", r->dir);
}

/* *ret_again: the partition has had two commits since the number was loaded. */
static bool fix_part(struct root *r, size_t i, uint64_t sequence, bool *ret_again)
{
    uint64_t rows = 0;
    if (!rows_as_of(r->parts[i]->h, sequence, &rows)) {
        *ret_again = true;
        return true;
    }
    return part_use(r->parts[i], sequence, rows, ERR_IGNORED);
}

/* A partition that cannot be brought to the snapshot is damaged: noted, and tried again later. */
bool root_snapshot(struct root *r, struct err *err)
{
    for (int tries = 0; tries < 10000; tries++) {
        if (!root_refresh(r, err))
            return false;
        if (!r->h)
            return true;
        uint64_t sequence = commit_sequence(r->h);
        bool again = false;
        for (size_t i = 0; i < r->part_count && !again; i++)
            if (r->parts[i] && !fix_part(r, i, sequence, &again)) {
                root_close_part(r, i);
                r->is_damaged[i] = true;
            }
        /* a partition replaced after the sequence was read might have younger rows */
        if (!again && table_stamp(r->h) == r->stamp)
            return true;
        sched_yield();
    }
    return err_set(err, ERR_UNAVAILABLE, "%s: no consistent view of the index", r->dir);
}
