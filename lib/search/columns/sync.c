/*
 * A sync copies the heads under the lock, flushes the file system without it, and then
 * writes the copies durably, each with the sums of the files it describes.  The copies describe a
 * state that is on disk completely; files that only an older state named can go.
 *
 * Sums are made of bytes below the counts, which never change, so no lock is needed for them.  A
 * byte that does not fit the sums of the sync before is damage: the partition goes aside.
 *
 * What a sync promises: everything put before it began is there after a failure of the machine, and
 * the ledger knows up to which number.  It is why a put needs no fsync of its own (decision 061).
 * The order is the whole matter: heads are copied before the flush, so that what they name is
 * flushed, and written after it.
 */
#include "lib/search/columns/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/root.h"
#include "lib/search/columns/root_parts.h"
#include "lib/search/columns/sums.h"

struct copy {
    size_t part;
    uint32_t revision;
    char folder[PATH_MAX];
    struct part_head *head;
    uint64_t changed;
    uint64_t rows;
    bool had_sums;
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

/*
 * Partitions without a change since the last sync are skipped: their copies are good.  The copies
 * are closed with a sum of their own, since the originals are open at this moment.
 */
static void copy_heads(struct root *r, struct copies *out)
{
    out->root = copy_of(r->h, sizeof *r->h);
    seal_close(HEAD_ROOT, out->root);
    out->v = xcalloc(r->part_count + 1, sizeof *out->v);
    for (size_t i = 0; i < r->part_count; i++) {
        struct part *p = r->parts[i];
        if (!p || part_synced(p->h) == part_changed(p->h) ||
            seal_look(HEAD_PART, p->h) == SEAL_BROKEN) /* keep_look sets it aside */
            continue;
        struct copy *c = &out->v[out->n++];
        c->part = i;
        c->revision = p->revision;
        c->changed = part_changed(p->h);
        c->had_sums = part_synced(p->h) != 0;
        snprintf(c->folder, sizeof c->folder, "%s", p->folder);
        c->head = copy_of(p->h, sizeof *p->h);
        part_set_synced(c->head, c->changed);
        seal_open(HEAD_PART, c->head);
        seal_close(HEAD_PART, c->head);
        rows_as_of(c->head, commit_sequence(out->root), &c->rows);
    }
}

/* Older versions of the row and hash files. */
static void remove_old_files(const struct copy *c)
{
    char path[PATH_MAX + 128];
    uint32_t columns = MIN(columns_count(c->head), (uint32_t)COLUMNS_MAX);
    for (uint32_t i = 0; i < columns; i++) {
        const struct column_head *h = &c->head->columns[i];
        const struct {
            const char *what;
            struct file_name now;
        } files[] = {{".rows", column_file(h)},
                     {".hash", dict_hash_file(&h->dict)},
                     {".element-hash", dict_hash_file(&h->elements)}};
        for (size_t k = 0; k < ARRAY_LEN(files); k++)
            for (uint32_t v = files[k].now.version; v-- > 1;) {
                snprintf(path, sizeof path, "%s/%.*s%s-%u", c->folder, COLUMN_NAME_MAX, h->name,
                         files[k].what, v);
                if (unlink(path) < 0)
                    break;
            }
    }
}

/* Below no lock.  A partition that was replaced or dropped meanwhile is no damage. */
static bool set_aside_damaged(struct root *r, size_t part, uint32_t revision, const char *why,
                              struct err *err)
{
    if (!root_lock(r, err))
        return false;
    bool ok = part >= r->part_count || table_entry(r->h, part).revision != revision ||
              root_set_aside(r, part, why, err);
    root_unlock(r);
    return ok;
}

/* A partition that had sums and has none now was tampered with: that is damage, too. */
static bool write_copy(const struct copy *c, struct err *err)
{
    struct sums old = {0}, new = {0};
    struct err why = {0};
    bool has_old = sums_load(c->folder, &old, &why);
    if (!has_old && (why.code != ERR_NOT_FOUND || c->had_sums))
        return err_set(err, why.code, "%s", why.msg);
    bool ok = sums_extend(c->folder, c->head, c->rows, has_old ? &old : NULL, &new, err) &&
              fs_exists(c->folder) && sums_write(c->folder, &new, err);
    sums_release(&old);
    sums_release(&new);
    return ok;
}

/* Out of use since it was looked at; its folder may have vanished under our hands. */
static bool has_gone(const struct root *r, size_t part, uint32_t revision)
{
    return part >= PARTS_MAX || table_entry(r->h, part).revision != revision;
}

/* The head of the index comes last: it names only partitions whose own copies are written. */
static bool write_copies(struct root *r, const struct copies *c, struct err *err)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct copy *one = &c->v[i];
        struct err why = {0};
        /* expired or compacted meanwhile: the folder is gone, and fs_write_atomic would make it */
        if (!fs_exists(one->folder) || write_copy(one, &why) ||
            has_gone(r, one->part, one->revision))
            continue;
        if (why.code != ERR_DAMAGED && why.code != ERR_NOT_FOUND && why.code != ERR_NONE)
            return err_set(err, why.code, "%s", why.msg);
        if (!set_aside_damaged(r, one->part, one->revision, why.msg, err))
            return false;
    }
    return sums_write_root(r->dir, c->root, err);
}

/* One syncfs for all files: there are hundreds, and most of them have changed. */
static bool flush(const struct root *r, struct err *err)
{
    FD_AUTO fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", r->dir);
    return syncfs(fd) == 0 || err_errno(err, errno, "flushing %s", r->dir);
}

/*
 * Only now may the older versions of widened files go: until this moment the durable copies named
 * them.
 */
static void note_synced(struct root *r, const struct copies *c)
{
    for (size_t i = 0; i < c->n; i++) {
        struct part *p = r->parts[c->v[i].part];
        if (!p || strcmp(p->folder, c->v[i].folder) != 0 || !root_open_part(r, p, ERR_IGNORED))
            continue;
        part_set_synced(p->h, c->v[i].changed);
        remove_old_files(&c->v[i]);
    }
    sync_note(r->h, commit_sequence(c->root), table_stamp(c->root));
}

/*
 * While the index is rolled back the ledger's number must not grow: what it counts as put is not
 * there yet.
 */
static bool sync_alone(struct root *r, int64_t ledger_seq, struct err *err)
{
    struct copies c = {0};
    if (!root_lock(r, err))
        return false;
    if (fact(r->h, FACT_IS_ROLLED_BACK))
        ledger_seq = -1;
    bool is_needed =
        sync_is_due(r->h) || (ledger_seq >= 0 && fact(r->h, FACT_LEDGER_SEQ) != ledger_seq);
    if (ledger_seq >= 0)
        fact_set(r->h, FACT_LEDGER_SEQ, ledger_seq);
    if (is_needed)
        copy_heads(r, &c);
    root_unlock(r);
    if (!is_needed)
        return true;
    bool ok = flush(r, err) && write_copies(r, &c, err) && root_lock(r, err);
    if (ok) {
        note_synced(r, &c);
        root_unlock(r);
    }
    copies_release(&c);
    return ok;
}

/* Only one sync at a time: an older copy must not overwrite a newer one. */
static int lock_sync(const struct root *r, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/sync-lock", r->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0) {
        err_errno(err, errno, "opening %s", path);
        return -1;
    }
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR) {
            err_errno(err, errno, "locking %s", path);
            close(fd);
            return -1;
        }
    return fd;
}

/* Two at a time would be wrong and not only slow; the second one finds nothing to do. */
bool keep_sync(struct root *r, int64_t ledger_seq, struct err *err)
{
    FD_AUTO fd = lock_sync(r, err);
    return fd >= 0 && sync_alone(r, ledger_seq, err);
}

/* By the time of the last sync: where somebody writes, the index keeper syncs every few seconds. */
static bool has_rested(const struct part *p, int64_t rest_ms)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", p->folder, SYNC_HEAD);
    if (stat(path, &st) < 0)
        return false;
    return now_us() / 1000 - ((int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000) >=
           rest_ms;
}

/* Tails of a partition that is on disk and that nobody writes to. */
static bool seal_part(struct part *p, struct sums *s, int64_t rest_ms, struct err *err)
{
    uint64_t turn = seal_turn(HEAD_PART, p->h);
    if (turn == p->rest_turn || turn % 2 || part_synced(p->h) != part_changed(p->h) ||
        part_changed(s->head) != part_changed(p->h))
        return true;
    if (s->h.rest_turn != turn) {
        if (rest_ms > 0 && !has_rested(p, rest_ms))
            return true;
        memcpy(s->head, p->h, sizeof *s->head);
        if (!sums_add_tails(p->folder, s, turn, err))
            return false;
        if (seal_look(HEAD_PART, p->h) != SEAL_GOOD || seal_turn(HEAD_PART, p->h) != turn)
            return true;
        if (!fs_exists(p->folder) || !sums_write(p->folder, s, err))
            return false;
    }
    p->rest_turn = turn;
    return true;
}

/* Cheap enough for every few seconds: a stat of each file and the sum of one head. */
static bool look_at_part(const struct root *r, struct part *p, int64_t rest_ms, struct err *err)
{
    char path[PATH_MAX];
    struct sums s = {0};
    snprintf(path, sizeof path, "%s/head", p->folder);
    if (!mfile_is_at(&p->head, path))
        return err_set(err, ERR_DAMAGED, "%s was deleted or replaced", path);
    if (seal_look_part(r->h, p->h) == SEAL_BROKEN)
        return err_set(err, ERR_DAMAGED, "%s is not what was written", path);
    if (part_synced(p->h) == 0)
        return true; /* not on disk yet */
    bool ok = sums_load(p->folder, &s, err) &&
              sums_look(p->folder, &s, &p->inodes, &p->inode_count, err) &&
              seal_part(p, &s, rest_ms, err);
    sums_release(&s);
    return ok;
}

/*
 * Without the lock, since a look at half a year takes milliseconds; what it finds is settled below
 * it.
 */
bool keep_look(struct root *r, int64_t rest_ms, struct err *err)
{
    FD_AUTO fd = lock_sync(r, err);
    if (fd < 0 || !root_lock(r, err))
        return false;
    root_unlock(r);
    for (size_t i = 0; i < r->part_count; i++) {
        struct part *p = r->parts[i];
        struct err why = {0};
        if (!p || look_at_part(r, p, rest_ms, &why) || has_gone(r, i, p->revision))
            continue;
        if (why.code != ERR_DAMAGED && why.code != ERR_NOT_FOUND)
            return err_set(err, why.code, "%s", why.msg);
        if (!set_aside_damaged(r, i, p->revision, why.msg, err))
            return false;
    }
    return true;
}
