#include "search/columns/root.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/time.h"
#include "base/util.h"
#include "search/columns/recover.h"

enum { RETRY_MS = 5000 };

static void root_path(const struct root *r, const char *what, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", r->dir, what);
}

static bool take_lock(struct root *r, struct err *err)
{
    while (flock(r->lock_fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return err_errno(err, errno, "locking the index %s", r->dir);
    return true;
}

void root_unlock(struct root *r)
{
    flock(r->lock_fd, LOCK_UN);
}

static bool map_head(struct root *r, struct err *err)
{
    char path[PATH_MAX];
    root_path(r, "head", path);
    if (!mfile_map_head(&r->head, path, sizeof(struct root_head), r->is_writable, err))
        return false;
    r->h = (struct root_head *)(void *)r->head.base;
    if (memcmp(r->h->magic, ROOT_MAGIC, sizeof r->h->magic) == 0 && r->h->format == FORMAT_VERSION)
        return true;
    r->h = NULL;
    mfile_close(&r->head);
    return err_set(err, ERR_INVALID, "%s is not the head of an index of this version", path);
}

/* Below the lock: the first writer makes the head. */
static bool make_head(struct root *r, struct err *err)
{
    char path[PATH_MAX];
    root_path(r, "head", path);
    if (fs_exists(path))
        return true;
    struct root_head *h = xcalloc(1, sizeof *h);
    memcpy(h->magic, ROOT_MAGIC, sizeof h->magic);
    h->format = FORMAT_VERSION;
    h->sequence = 1;
    h->parts_stamp = 2;
    h->next_revision = 1;
    recover_boot_id(h->boot_id);
    bool ok = fs_write_atomic(path, h, sizeof *h, FS_FILE_MODE, err);
    free(h);
    return ok;
}

static bool open_for_writing(struct root *r, struct err *err)
{
    char path[PATH_MAX];
    root_path(r, "lock", path);
    if (!fs_mkdirs(r->dir, FS_DIR_MODE, err))
        return false;
    r->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
    if (r->lock_fd < 0)
        return err_errno(err, errno, "opening %s", path);
    if (!take_lock(r, err))
        return false;
    bool ok = make_head(r, err) && map_head(r, err) && recover_after_boot(r, err);
    root_unlock(r);
    return ok;
}

bool root_open(const char *dir, bool is_writable, struct root **ret, struct err *err)
{
    struct root *r = xcalloc(1, sizeof *r);
    r->dir = xstrdup(dir);
    r->lock_fd = -1;
    r->is_writable = is_writable;
    if (is_writable && !open_for_writing(r, err)) {
        root_free(r);
        return false;
    }
    *ret = r;
    return true;
}

static void close_part(struct root *r, size_t i)
{
    if (r->parts[i])
        r->parts_epoch++;
    part_free(r->parts[i]);
    r->parts[i] = NULL;
    r->is_damaged[i] = false;
}

void root_free(struct root *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < PARTS_MAX; i++)
        close_part(r, i);
    mfile_close(&r->head);
    if (r->lock_fd >= 0)
        close(r->lock_fd);
    free(r->dir);
    free(r);
}

bool root_lock(struct root *r, struct err *err)
{
    if (!take_lock(r, err))
        return false;
    root_end_change(r);
    if (root_refresh(r, err) && recover_intent(r, err))
        return true;
    root_unlock(r);
    return false;
}

/* ---- partitions ------------------------------------------------------------------------- */

/*
 * Brings parts[i] in line with the table.  A writer sets aside what it cannot open; a reader
 * notes it.  ERR_NOT_FOUND is passed on: the table has changed meanwhile.
 */
static bool refresh_part(struct root *r, size_t i, struct err *err)
{
    struct root_part *entry = &r->h->parts[i];
    uint32_t revision = atomic_load_explicit(&entry->revision, memory_order_acquire);
    struct part *have = r->parts[i];
    if (have && (have->revision != revision || have->week != entry->week))
        close_part(r, i);
    if (revision == 0 || r->parts[i])
        return true;
    struct err why = {0};
    r->is_damaged[i] = false;
    if (part_open(r->dir, entry->week, revision, r->is_writable, &r->parts[i], &why)) {
        r->parts_epoch++;
        return true;
    }
    if (r->is_writable && (why.code == ERR_INVALID || why.code == ERR_NOT_FOUND))
        return root_set_aside(r, i, why.msg, err);
    if (why.code == ERR_NOT_FOUND && atomic_load(&entry->revision) != revision)
        return err_set(err, ERR_NOT_FOUND, "replaced meanwhile");
    r->is_damaged[i] = true;
    return true;
}

static bool refresh_all(struct root *r, struct err *err)
{
    uint32_t n = atomic_load_explicit(&r->h->part_count, memory_order_acquire);
    if (n > PARTS_MAX)
        return err_set(err, ERR_INVALID, "%s: %u partitions", r->dir, n);
    for (size_t i = n; i < r->part_count; i++)
        close_part(r, i);
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

bool root_refresh(struct root *r, struct err *err)
{
    if (!r->h) {
        struct err why = {0};
        if (!map_head(r, &why))
            return why.code == ERR_NOT_FOUND || err_set(err, why.code, "%s", why.msg);
    }
    for (int tries = 0; tries < 100; tries++) {
        uint64_t stamp = atomic_load_explicit(&r->h->parts_stamp, memory_order_acquire);
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

static bool fix_part(struct root *r, size_t i, uint64_t sequence, bool *ret_again)
{
    uint64_t rows = 0;
    if (!part_rows_at(r->parts[i], sequence, &rows)) {
        *ret_again = true;
        return true;
    }
    return part_use(r->parts[i], sequence, rows, NULL);
}

bool root_snapshot(struct root *r, struct err *err)
{
    for (int tries = 0; tries < 10000; tries++) {
        if (!root_refresh(r, err))
            return false;
        if (!r->h)
            return true;
        uint64_t sequence = atomic_load_explicit(&r->h->sequence, memory_order_acquire);
        bool again = false;
        for (size_t i = 0; i < r->part_count && !again; i++)
            if (r->parts[i] && !fix_part(r, i, sequence, &again)) {
                close_part(r, i);
                r->is_damaged[i] = true;
            }
        /* a partition replaced after the sequence was read might have younger rows */
        if (!again && atomic_load(&r->h->parts_stamp) == r->stamp)
            return true;
        sched_yield();
    }
    return err_set(err, ERR_UNAVAILABLE, "%s: no consistent view of the index", r->dir);
}

struct part *root_part(struct root *r, int32_t week)
{
    for (size_t i = 0; i < r->part_count; i++)
        if (r->parts[i] && r->parts[i]->week == week)
            return r->parts[i];
    return NULL;
}

/*
 * Changes of the table stand between these two.  While the stamp is odd nobody relies on
 * partitions opened before; if the writer dies there, the next one makes it even (root_lock),
 * so every commit into a new partition comes after a new stamp.
 */
void root_begin_change(struct root *r)
{
    if (atomic_load(&r->h->parts_stamp) % 2 == 0)
        atomic_fetch_add(&r->h->parts_stamp, 1);
}

void root_end_change(struct root *r)
{
    if (atomic_load(&r->h->parts_stamp) % 2 == 1)
        atomic_fetch_add(&r->h->parts_stamp, 1);
}

/* The entry of this week, else one that is free. */
static uint32_t find_entry(const struct root *r, int32_t week, uint32_t n)
{
    uint32_t free_one = n;
    for (uint32_t i = 0; i < n; i++) {
        const struct root_part *e = &r->h->parts[i];
        if (e->week == week)
            return i;
        if (e->revision == 0 && e->flags == 0 && free_one == n)
            free_one = i;
    }
    return free_one;
}

bool root_make_part(struct root *r, int32_t week, struct part **ret, struct err *err)
{
    uint32_t n = atomic_load(&r->h->part_count), i = find_entry(r, week, n);
    if (i == PARTS_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: more than %d partitions", r->dir, PARTS_MAX);
    struct root_part *entry = &r->h->parts[i];
    if (entry->week != week || i == n)
        atomic_store(&entry->flags, 0);
    atomic_store(&entry->week, week);
    uint32_t revision = atomic_fetch_add(&r->h->next_revision, 1);
    if (!part_create(r->dir, week, revision, &r->parts[i], err))
        return false;
    root_begin_change(r);
    atomic_store_explicit(&entry->revision, revision, memory_order_release);
    if (i == n)
        atomic_store_explicit(&r->h->part_count, n + 1, memory_order_release);
    root_end_change(r);
    r->part_count = MAX(r->part_count, (size_t)i + 1);
    r->parts_epoch++;
    r->stamp = atomic_load(&r->h->parts_stamp);
    *ret = r->parts[i];
    return true;
}

bool root_set_aside(struct root *r, size_t index, const char *why, struct err *err)
{
    struct root_part *entry = &r->h->parts[index];
    char name[32], from[PATH_MAX], to[PATH_MAX];
    part_folder_name(entry->week, atomic_load(&entry->revision), name);
    log_event(LOG_ERROR, "index_partition_damaged", "a partition of the index was set aside",
              LOG_S("partition", name), LOG_S("error", why));
    close_part(r, index);
    root_path(r, "aside", to);
    if (!fs_mkdirs(to, FS_DIR_MODE, err))
        return false;
    snprintf(from, sizeof from, "%s/%s", r->dir, name);
    snprintf(to, sizeof to, "%s/aside/%s.%llx", r->dir, name, (unsigned long long)random_u64());
    if (rename(from, to) < 0 && errno != ENOENT)
        return err_errno(err, errno, "setting aside %s", from);
    root_begin_change(r);
    atomic_fetch_or(&entry->flags, (uint32_t)PART_DAMAGED);
    atomic_store_explicit(&entry->revision, 0, memory_order_release);
    root_end_change(r);
    return true;
}
