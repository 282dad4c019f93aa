/*
 * Compaction and packing.  Compaction is how deleted values really leave the disk: live rows are
 * copied to a new revision of the partition, first without the lock, then, below it, what has come
 * meanwhile; one store into the head of the index makes the new revision the valid one.  Packing is
 * the same with another kind of copy: the rows of the snapshot are written compressed (pack.h), and
 * what has come meanwhile lies behind them as in an open week.
 *
 * Nothing here may lose a put that comes meanwhile.  A compaction therefore works on a copy with a
 * revision of its own, which no table names until everything is in it; a kill leaves a folder that
 * the next compaction removes.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/check.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/keep.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/numbering.h"
#include "lib/search/columns/pack.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/rebuild.h"
#include "lib/search/columns/root.h"
#include "lib/search/columns/root_parts.h"
#include "lib/search/columns/row_doc.h"
#include "lib/search/columns/write.h"
#include "lib/search/doc.h"

/*
 * A compaction of a large index takes minutes; who waits longer than this is told who is at work.
 */
enum { COMPACTION_WAIT_MS = 30 * 60 * 1000 };

/*
 * Live rows are copied to a partition of the next revision: first, without the lock, those of
 * a snapshot; then, under the lock, what has been added since, and the tombstones set since.
 * The snapshot itself is taken under the lock: a partition remembers its last two commits alone,
 * so without it two commits between the two looks would leave nothing to start from.
 */
struct compaction {
    struct root *root;
    size_t index;
    int32_t week;
    uint32_t revision, next; /* that is replaced, of the copy */
    bool packs;
    const struct index_pace *pace;
    struct part *old, *new;
    uint32_t *row_in_new; /* by old row, + 1; 0: not copied */
    uint64_t rows;        /* of the new partition */
    struct arena arena;
};

/*
 * The row of the crash is set at once: nobody sees the new partition yet, so there is no order to
 * keep.
 */
static bool copy_row(struct compaction *c, uint64_t row, struct err *err)
{
    struct doc doc;
    uint32_t code = 0;
    uint64_t to;
    arena_reset(&c->arena);
    row_doc(&c->arena, c->old, row, &doc);
    if (!arena_within(&c->arena, "a row", err))
        return false;
    if (doc.uuid.n == 0)
        return err_set(err, ERR_DAMAGED, "%s: row without uuid", c->old->folder);
    if (!write_append(c->new, c->rows, &doc, &code, &to, err))
        return false;
    row_of_set(mfile_data(&c->new->row_of), code, (uint32_t)to + 1);
    c->row_in_new[row] = (uint32_t)to + 1;
    c->rows++;
    return true;
}

/*
 * Copies the rows from `from` to the end of the snapshot.  Rows that are dead by then are left out:
 * that is the purpose of a compaction.
 */
static bool copy_rows(struct compaction *c, uint64_t from, struct err *err)
{
    c->row_in_new = xrealloc(c->row_in_new, (c->old->rows + 1) * sizeof *c->row_in_new);
    for (uint64_t row = from; row < c->old->rows; row++) {
        c->row_in_new[row] = 0;
        if (!part_is_dead(c->old, row) && !copy_row(c, row, err))
            return false;
    }
    return true;
}

/* A row that died while it was copied. */
static bool bury_copy(struct compaction *c, uint64_t row, uint64_t sequence, struct err *err)
{
    struct part *p = c->new;
    uint32_t code = column_code(part_ids(p), row);
    if (!part_fill(p, row, code, err))
        return false;
    tomb_set(p->h, mfile_data(&p->dead), mfile_data(&p->dead_at), row, sequence);
    if (part_row_of(p, code) == row + 1) /* else a newer row of the crash has been copied */
        part_set_row_of(p, code, 0);
    return true;
}

static bool bury_copies(struct compaction *c, uint64_t copied, uint64_t sequence, struct err *err)
{
    struct part *p = c->new;
    if (!part_use(p, p->sequence, c->rows, err) || (part_ids(p) && !column_map(part_ids(p), err)))
        return false;
    for (uint64_t row = 0; row < copied; row++)
        if (c->row_in_new[row] && part_is_dead(c->old, row) &&
            !bury_copy(c, c->row_in_new[row] - 1, sequence, err))
            return false;
    return true;
}

/* Under the lock: the rest, then the switch. */
static bool finish_compaction(struct compaction *c, uint64_t copied, struct err *err)
{
    struct root *r = c->root;
    uint64_t sequence = commit_sequence(r->h);
    if (!part_use_all(r, c->old, err) || !copy_rows(c, copied, err) ||
        !bury_copies(c, copied, sequence, err))
        return false;
    rows_publish(c->new->h, sequence, c->rows);
    part_set_changed(c->new->h, sequence);
    seal_close(HEAD_PART, c->new->h);
    struct table_entry entry = table_entry(r->h, c->index);
    entry.revision = c->new->revision;
    table_change(r->h, c->index, entry);
    return true;
}

/* Briefly under the lock; see struct compaction. */
static bool take_snapshot(struct compaction *c, struct err *err)
{
    if (!root_lock(c->root, err))
        return false;
    bool ok = part_use_all(c->root, c->old, err);
    root_unlock(c->root);
    return ok;
}

/* The rows of the snapshot, one by one or packed; the long part, which needs no lock. */
static bool copy_snapshot(struct compaction *c, struct err *err)
{
    struct root *r = c->root;
    if (!take_snapshot(c, err))
        return false;
    if (!c->packs)
        return part_create(r->dir, r->fields, c->week, c->next, &c->new, err) &&
               copy_rows(c, 0, err);
    c->row_in_new = xcalloc(c->old->rows + 1, sizeof *c->row_in_new);
    return pack_part(r->dir, c->old, c->next, c->pace, c->row_in_new, &c->new, &c->rows, err);
}

/* What has come since the snapshot is copied under the lock. */
static bool copy_and_switch(struct compaction *c, struct err *err)
{
    struct root *r = c->root;
    /* before the copy carries a flipped bit on, below new sums */
    if (!check_sums(r, c->old, c->pace, err) || !copy_snapshot(c, err))
        return false;
    uint64_t copied = c->old->rows;
    if (!root_lock(r, err))
        return false;
    bool ok = table_entry(r->h, c->index).revision == c->revision
                  ? finish_compaction(c, copied, err)
                  : err_set(err, ERR_NOT_FOUND, "%s: replaced meanwhile", c->old->folder);
    root_unlock(r);
    return ok;
}

/* After a failure: was the partition dropped, emptied by a rebuild or set aside meanwhile? */
static bool settle_failure(struct root *r, size_t index, uint32_t revision, const struct err *why,
                           struct err *err)
{
    if (!root_lock(r, err))
        return false;
    bool is_gone = table_entry(r->h, index).revision != revision;
    bool is_damaged = why->code == ERR_DAMAGED || why->code == ERR_NOT_FOUND;
    bool ok = is_gone || (is_damaged && root_set_aside(r, index, why->msg, err)) ||
              err_set(err, why->code, "%s", why->msg);
    root_unlock(r);
    return ok;
}

/*
 * Removes the folder of the revision that is out of use in the end: the old one, or the new one if
 * it was not finished.  The old one goes after a sync: until then the durable copy of the head
 * names it, and after a failure of the machine that copy counts.
 */
static bool compact_part(struct compaction *c, struct err *err)
{
    struct root *r = c->root;
    struct err why = {0};
    arena_init(&c->arena, 64 << 20);
    bool ok = part_open(r->dir, r->fields, c->week, c->revision, false, &c->old, &why) &&
              copy_and_switch(c, &why);
    char gone[PATH_MAX], name[32];
    part_folder_name(c->week, ok ? c->revision : c->next, name);
    snprintf(gone, sizeof gone, "%s/%s", r->dir, name);
    arena_release(&c->arena);
    free(c->row_in_new);
    part_free(c->new);
    part_free(c->old);
    if (ok && !keep_sync(r, -1, err))
        return false;
    root_remove_folder(gone, ERR_IGNORED);
    if (!ok && why.code == ERR_UNAVAILABLE)
        return err_set(err, why.code, "%s", why.msg);
    return ok || settle_failure(r, c->index, c->revision, &why, err);
}

typedef bool part_chooser(const struct part *p, int64_t arg);

/* Replaced or deleted rows, whose values are to leave the disk. */
static bool has_dead_rows(const struct part *p, int64_t arg)
{
    (void)arg;
    return tombs_count(p->h) > 0;
}

/*
 * Its last day is over since `closed_us`, and it is not packed, or much of it is not: a week whose
 * crashes are processed again one by one is packed once in a while.
 */
static bool is_to_be_packed(const struct part *p, int64_t closed_us)
{
    enum { LOOSE_SHARE = 8 };
    uint64_t rows = 0;
    if (((int64_t)p->week + 7) * DAY_US > closed_us || !rows_as_of(p->h, part_changed(p->h), &rows))
        return false;
    uint64_t loose = rows - p->packed_rows + tombs_count(p->h);
    return rows > 0 && loose * LOOSE_SHARE > rows;
}

/* Under the lock: what is to be compacted, and under which revision the copy is made. */
static bool choose_part(struct compaction *c, part_chooser *is_chosen, int64_t arg,
                        bool *ret_chosen, struct err *err)
{
    struct root *r = c->root;
    *ret_chosen = false;
    if (!root_lock(r, err))
        return false;
    struct part *p = c->index < r->part_count ? r->parts[c->index] : NULL;
    if (p && is_chosen(p, arg)) {
        *ret_chosen = true;
        c->week = p->week;
        c->revision = p->revision;
        c->next = table_take_revision(r->h);
        c->packs = c->packs || p->packed_rows > 0;
    }
    root_unlock(r);
    return true;
}

/*
 * Removes the folders that killed compactions, rebuilds and lost partitions have left.  Called with
 * both locks held.
 */
static bool remove_leftovers(struct root *r, struct err *err)
{
    DIR *d = opendir(r->dir);
    bool ok = d != NULL || err_errno(err, errno, "listing %s", r->dir);
    for (struct dirent *e; ok && (e = readdir(d));) {
        bool is_named =
            (e->d_name[0] < '0' || e->d_name[0] > '9') && strcmp(e->d_name, REBUILD_FOLDER) != 0;
        for (size_t i = 0; i < r->part_count && !is_named; i++) {
            char name[32];
            struct table_entry entry = table_entry(r->h, i);
            part_folder_name(entry.week, entry.revision, name);
            is_named = strcmp(name, e->d_name) == 0;
        }
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", r->dir, e->d_name);
        if (!is_named)
            ok = root_remove_folder(path, err);
    }
    if (d)
        closedir(d);
    return ok;
}

/* Leftovers first: a folder that no table names takes room and holds what was deleted. */
static bool begin(struct root *r, struct err *err)
{
    if (!root_lock(r, err))
        return false;
    bool ok = remove_leftovers(r, err);
    root_unlock(r);
    return ok;
}

/*
 * Numberings of partitions that have gone serve nobody, and the hashes in them are of texts that
 * may have been purged.
 */
static bool end(struct root *r, bool any, struct err *err)
{
    return (!any || numbering_remove(r->dir, numbering_is_written, NULL, err)) &&
           keep_sync(r, -1, err);
}

static bool compact_all(struct root *r, struct err *err)
{
    bool ok = begin(r, err), any = false;
    for (size_t i = 0; ok && i < r->part_count; i++) {
        struct compaction c = {.root = r, .index = i};
        bool chosen;
        ok = choose_part(&c, has_dead_rows, 0, &chosen, err) && (!chosen || compact_part(&c, err));
        any |= chosen;
    }
    return ok && end(r, any, err);
}

static bool pack_all(struct root *r, int64_t closed_us, const struct index_pace *pace,
                     size_t *ret_packed, struct err *err)
{
    bool ok = begin(r, err);
    for (size_t i = 0; ok && i < r->part_count; i++) {
        struct compaction c = {.root = r, .index = i, .packs = true, .pace = pace};
        bool chosen;
        ok = choose_part(&c, is_to_be_packed, closed_us, &chosen, err);
        if (!ok || !chosen)
            continue;
        int64_t began_ms = mono_ms();
        ok = compact_part(&c, err);
        if (!ok)
            break;
        char name[32];
        part_folder_name(c.week, c.next, name);
        log_event(LOG_INFO, "index_packed", "a week of the index was packed",
                  LOG_S("partition", name), LOG_I("rows", (int64_t)c.rows),
                  LOG_I("duration_ms", mono_ms() - began_ms));
        ++*ret_packed;
    }
    return ok && end(r, *ret_packed > 0, err);
}

/* The claim is for other compactions; puts and searches do not ask for it. */
bool keep_compact(const char *dir, const struct field_table *fields, struct err *err)
{
    struct root *r;
    int fd;
    if (!root_open(dir, fields, true, &r, err))
        return false;
    bool ok = keep_claim(dir, CLAIM_COMPACTION, "compaction", COMPACTION_WAIT_MS, &fd, err);
    if (ok) {
        ok = compact_all(r, err);
        close(fd);
    }
    root_free(r);
    return ok;
}

/* The usual answer is that there is nothing to do, which takes no claim. */
static bool is_any_to_be_packed(struct root *r, int64_t closed_us, bool *ret, struct err *err)
{
    *ret = false;
    if (!root_lock(r, err))
        return false;
    for (size_t i = 0; i < r->part_count && !*ret; i++)
        *ret = r->parts[i] && is_to_be_packed(r->parts[i], closed_us);
    root_unlock(r);
    return true;
}

bool keep_pack(struct root *r, int64_t closed_us, int64_t wait_ms, const struct index_pace *pace,
               size_t *ret_packed, struct err *err)
{
    int fd;
    bool any;
    *ret_packed = 0;
    if (!is_any_to_be_packed(r, closed_us, &any, err))
        return false;
    if (!any)
        return true;
    if (!keep_claim(r->dir, CLAIM_COMPACTION, "packing", wait_ms, &fd, err))
        return false;
    bool ok = pack_all(r, closed_us, pace, ret_packed, err);
    close(fd);
    return ok;
}
