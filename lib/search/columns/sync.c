#include "search/columns/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"
#include "search/columns/recover.h"

/*
 * A sync copies the heads below the lock, flushes the file system without it, and then
 * writes the copies durably.  The copies describe a state that is on disk completely; files
 * that only an older state named can go.
 */
struct copy {
    size_t part;
    char folder[PATH_MAX];
    struct part_head *head;
    uint64_t changed;
};

struct copies {
    struct root_head *root;
    struct copy *v;
    size_t n;
};

static void *copy_of(const void *p, size_t n)
{
    void *out = xmalloc(n);
    memcpy(out, p, n);
    return out;
}

static void copies_release(struct copies *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->v[i].head);
    free(c->v);
    free(c->root);
}

static void copy_heads(struct root *r, struct copies *out)
{
    out->root = copy_of(r->h, sizeof *r->h);
    out->v = xcalloc(r->part_count + 1, sizeof *out->v);
    for (size_t i = 0; i < r->part_count; i++) {
        struct part *p = r->parts[i];
        if (!p || atomic_load(&p->h->synced) == atomic_load(&p->h->changed))
            continue;
        struct copy *c = &out->v[out->n++];
        c->part = i;
        c->changed = atomic_load(&p->h->changed);
        snprintf(c->folder, sizeof c->folder, "%s", p->folder);
        c->head = copy_of(p->h, sizeof *p->h);
        c->head->synced = c->changed;
    }
}

/* Older versions of the row and hash files. */
static void remove_old_files(const struct copy *c)
{
    char path[PATH_MAX + 128];
    for (uint32_t i = 0; i < c->head->column_count && i < COLUMNS_MAX; i++) {
        const struct column_head *h = &c->head->columns[i];
        const struct {
            const char *what;
            uint64_t desc;
        } files[] = {
            {".rows", h->rows}, {".hash", h->dict.hash}, {".element-hash", h->elements.hash}};
        for (size_t k = 0; k < ARRAY_LEN(files); k++)
            for (uint32_t v = (uint32_t)files[k].desc; v-- > 1;) {
                snprintf(path, sizeof path, "%s/%.*s%s-%u", c->folder, COLUMN_NAME_MAX, h->name,
                         files[k].what, v);
                if (unlink(path) < 0)
                    break;
            }
    }
}

static bool write_copies(struct root *r, const struct copies *c, struct err *err)
{
    char path[PATH_MAX + 32];
    for (size_t i = 0; i < c->n; i++) {
        snprintf(path, sizeof path, "%s/%s", c->v[i].folder, SYNC_HEAD);
        /* expired or compacted meanwhile: the folder is gone, and fs_write_atomic would make it */
        if (!fs_exists(c->v[i].folder))
            continue;
        if (!fs_write_atomic(path, c->v[i].head, sizeof *c->v[i].head, FS_FILE_MODE, err))
            return false;
    }
    snprintf(path, sizeof path, "%s/%s", r->dir, SYNC_HEAD);
    return fs_write_atomic(path, c->root, sizeof *c->root, FS_FILE_MODE, err);
}

static bool flush(const struct root *r, struct err *err)
{
    FD_AUTO fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", r->dir);
    return syncfs(fd) == 0 || err_errno(err, errno, "flushing %s", r->dir);
}

static bool is_clean(const struct root *r)
{
    return atomic_load(&r->h->synced) == atomic_load(&r->h->sequence) &&
           atomic_load(&r->h->synced_stamp) == atomic_load(&r->h->parts_stamp);
}

static void note_synced(struct root *r, const struct copies *c)
{
    for (size_t i = 0; i < c->n; i++) {
        struct part *p = r->parts[c->v[i].part];
        if (p && strcmp(p->folder, c->v[i].folder) == 0) {
            atomic_store(&p->h->synced, c->v[i].changed);
            remove_old_files(&c->v[i]);
        }
    }
    atomic_store(&r->h->synced, c->root->sequence);
    atomic_store(&r->h->synced_stamp, c->root->parts_stamp);
}

/* Only one sync at a time: an older copy must not overwrite a newer one. */
static bool sync_alone(struct root *r, struct err *err)
{
    struct copies c = {0};
    if (!root_lock(r, err))
        return false;
    bool is_needed = !is_clean(r);
    if (is_needed)
        copy_heads(r, &c);
    root_unlock(r);
    if (!is_needed)
        return true;
    bool ok = flush(r, err) && write_copies(r, &c, err);
    if (ok && root_lock(r, err)) {
        note_synced(r, &c);
        root_unlock(r);
    }
    copies_release(&c);
    return ok;
}

bool keep_sync(struct root *r, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/sync-lock", r->dir);
    FD_AUTO fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", path);
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return err_errno(err, errno, "locking %s", path);
    return sync_alone(r, err);
}
