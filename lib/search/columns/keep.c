/*
 * Compaction, retention, reset and claims.  Compaction is how deleted values really leave the
 * disk: live rows are copied to a new revision of the partition, first without the lock, then,
 * below it, what has come meanwhile; one store into the head of the index makes the new revision
 * the valid one.
 *
 * Nothing here may lose a put that comes meanwhile.  A compaction therefore works on a copy with a
 * revision of its own, which no table names until everything is in it; a kill leaves a folder that
 * the next compaction removes.  Retention and reset only change the table and remove folders, under
 * the lock.
 */
#include "lib/search/columns/keep.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/check.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/numbering.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/recover.h"
#include "lib/search/columns/root_parts.h"
#include "lib/search/columns/sums.h"
#include "lib/search/columns/write.h"
#include "lib/search/doc.h"

/*
 * A compaction of a large index takes minutes; who waits longer than this is told who is at work.
 */
enum { COMPACTION_WAIT_MS = 30 * 60 * 1000 };

/* A sync may be writing its copy of the head into a folder that has just gone out of use. */
static bool remove_folder(const char *path, struct err *err)
{
    for (int tries = 0; tries < 5; tries++) {
        if (fs_remove_tree(path, ERR_IGNORED))
            return true;
        usleep(20000);
    }
    return fs_remove_tree(path, err);
}

static struct strs list_texts(struct arena *a, const struct column *c, uint32_t code)
{
    size_t n;
    const uint32_t *codes = column_list(c, code, &n);
    n = MIN(n, (size_t)DOC_LIST_MAX); /* more only if it is damaged */
    struct strs out = {.v = arena_array(a, n + 1, sizeof(struct str)), .n = n};
    for (size_t i = 0; i < n; i++)
        out.v[i] = dict_entry(&c->elements, codes[i]);
    return out;
}

/* The other way round of put_value in write.c; false: the row has no value. */
static bool read_doc_value(struct arena *a, const struct column *c, uint64_t row,
                           struct doc_value *out)
{
    uint32_t code;
    switch (c->kind) {
    case COLUMN_NUMBER:
        if (c->h->index == INDEX_DOUBLE)
            out->d = column_double(c, row);
        else
            out->i = column_int(c, row);
        return column_has(c, row);
    case COLUMN_BOOL:
        code = column_code(c, row);
        out->i = code == 2;
        return code != 0;
    case COLUMN_LIST:
        out->texts = list_texts(a, c, column_code(c, row));
        return out->texts.n > 0;
    case COLUMN_DICT:
        code = column_code(c, row);
        out->texts = (struct strs){.v = arena_alloc(a, sizeof(struct str)), .n = code != 0};
        if (code)
            out->texts.v[0] = dict_entry(&c->dict, code);
        return code != 0;
    }
    return false;
}

/* A row as the document it was made of.  Texts borrow from the old partition's mappings. */
static void read_doc(struct arena *a, const struct part *p, uint64_t row, struct doc *ret)
{
    *ret = (struct doc){.values = arena_array(a, p->fields->search_count, sizeof *ret->values)};
    for (size_t i = 0; i < p->fields->search_count; i++) {
        struct doc_value *v = &ret->values[ret->n];
        v->field = &p->fields->search[i];
        if (!p->by_field[i] || !read_doc_value(a, p->by_field[i], row, v))
            continue;
        if (v->field == p->fields->date)
            ret->date_us = v->i;
        if (v->field == p->fields->uuid)
            ret->uuid = v->texts.v[0];
        ret->n++;
    }
    if (p->removed_fields)
        ret->removed = list_texts(a, p->removed_fields, column_code(p->removed_fields, row));
}

/*
 * Live rows are copied to a partition of the next revision: first, without the lock, those of
 * a snapshot; then, under the lock, what has been added since, and the tombstones set since.
 * The snapshot itself is taken under the lock: a partition remembers its last two commits alone,
 * so without it two commits between the two looks would leave nothing to start from.
 */
struct compaction {
    struct root *root;
    size_t index;
    struct part *old, *new;
    uint32_t *row_in_new; /* by old row, + 1; 0: not copied */
    uint64_t rows;        /* of the new partition */
    struct arena arena;
};

/* Under the lock: all rows committed so far, with every column. */
static bool use_all(const struct root *r, struct part *p, struct err *err)
{
    uint64_t sequence = commit_sequence(r->h), rows;
    if (!rows_as_of(p->h, sequence, &rows))
        return err_set(err, ERR_DAMAGED, "%s: no commit up to %llu", p->folder,
                       (unsigned long long)sequence);
    if (!part_use(p, sequence, rows, err))
        return false;
    for (size_t i = 0; i < p->column_count; i++)
        if (p->columns[i] && !column_use(p->columns[i], err))
            return false;
    return true;
}

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
    read_doc(&c->arena, c->old, row, &doc);
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
static void bury_copy(struct compaction *c, uint64_t row, uint64_t sequence)
{
    struct part *p = c->new;
    uint32_t code = column_code(part_ids(p), row);
    tomb_set(p->h, mfile_data(&p->dead), mfile_data(&p->dead_at), row, sequence);
    if (part_row_of(p, code) == row + 1) /* else a newer row of the crash has been copied */
        row_of_set(mfile_data(&p->row_of), code, 0);
}

/* Under the lock: the rest, then the switch. */
static bool finish_compaction(struct compaction *c, uint64_t copied, struct err *err)
{
    struct root *r = c->root;
    uint64_t sequence = commit_sequence(r->h);
    if (!use_all(r, c->old, err) || !copy_rows(c, copied, err))
        return false;
    for (uint64_t row = 0; row < copied; row++)
        if (c->row_in_new[row] && part_is_dead(c->old, row))
            bury_copy(c, c->row_in_new[row] - 1, sequence);
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
    bool ok = use_all(c->root, c->old, err);
    root_unlock(c->root);
    return ok;
}

/* The long part needs no lock.  What has come since the snapshot is copied under the lock. */
static bool copy_and_switch(struct compaction *c, uint32_t revision, uint32_t next, struct err *err)
{
    struct root *r = c->root;
    /* before the copy carries a flipped bit on, below new sums */
    if (!check_sums(r, c->old, NULL, err) ||
        !part_create(r->dir, r->fields, c->old->week, next, &c->new, err) ||
        !take_snapshot(c, err) || !copy_rows(c, 0, err))
        return false;
    uint64_t copied = c->old->rows;
    if (!root_lock(r, err))
        return false;
    bool ok = table_entry(r->h, c->index).revision == revision
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
 * it was not finished.
 */
static bool compact_part(struct root *r, size_t index, int32_t week, uint32_t revision,
                         uint32_t next, struct err *err)
{
    struct compaction c = {.root = r, .index = index};
    struct err why = {0};
    arena_init(&c.arena, 64 << 20);
    bool ok = part_open(r->dir, r->fields, week, revision, false, &c.old, &why) &&
              copy_and_switch(&c, revision, next, &why);
    char gone[PATH_MAX], name[32];
    part_folder_name(week, ok ? revision : next, name);
    snprintf(gone, sizeof gone, "%s/%s", r->dir, name);
    remove_folder(gone, ERR_IGNORED);
    arena_release(&c.arena);
    free(c.row_in_new);
    part_free(c.new);
    part_free(c.old);
    return ok || settle_failure(r, index, revision, &why, err);
}

/* Under the lock: what is to be compacted, and under which revision the copy is made. */
static bool choose_part(struct root *r, size_t index, int32_t *ret_week, uint32_t *ret_revision,
                        uint32_t *ret_next, bool *ret_chosen, struct err *err)
{
    *ret_chosen = false;
    if (!root_lock(r, err))
        return false;
    struct part *p = index < r->part_count ? r->parts[index] : NULL;
    if (p && tombs_count(p->h) > 0) {
        *ret_chosen = true;
        *ret_week = p->week;
        *ret_revision = p->revision;
        *ret_next = table_take_revision(r->h);
    }
    root_unlock(r);
    return true;
}

/*
 * Removes the folders that killed compactions and lost partitions have left.  Called with both
 * locks held.
 */
static bool remove_leftovers(struct root *r, struct err *err)
{
    DIR *d = opendir(r->dir);
    bool ok = d != NULL || err_errno(err, errno, "listing %s", r->dir);
    for (struct dirent *e; ok && (e = readdir(d));) {
        bool is_named = e->d_name[0] < '0' || e->d_name[0] > '9';
        for (size_t i = 0; i < r->part_count && !is_named; i++) {
            char name[32];
            struct table_entry entry = table_entry(r->h, i);
            part_folder_name(entry.week, entry.revision, name);
            is_named = strcmp(name, e->d_name) == 0;
        }
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", r->dir, e->d_name);
        if (!is_named)
            ok = remove_folder(path, err);
    }
    if (d)
        closedir(d);
    return ok;
}

/*
 * Numberings of partitions that have gone serve nobody, and the hashes in them are of texts that
 * may have been purged.
 *
 * Leftovers first: a folder of a revision that no table names takes room and holds what was
 * deleted.
 */
static bool compact_all(struct root *r, struct err *err)
{
    if (!root_lock(r, err))
        return false;
    bool ok = remove_leftovers(r, err);
    root_unlock(r);
    bool any = false;
    for (size_t i = 0; ok && i < r->part_count; i++) {
        int32_t week;
        uint32_t revision, next;
        bool chosen;
        ok = choose_part(r, i, &week, &revision, &next, &chosen, err) &&
             (!chosen || compact_part(r, i, week, revision, next, err));
        any |= chosen;
    }
    return ok && (!any || numbering_remove(r->dir, numbering_is_written, NULL, err)) &&
           keep_sync(r, -1, err);
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

/* Out of the table first, then the folder: a kill in between leaves a folder, not a hole. */
static bool drop_part(struct root *r, size_t i, struct err *err)
{
    struct table_entry e = table_entry(r->h, i);
    char name[32], path[PATH_MAX];
    part_folder_name(e.week, e.revision, name);
    table_change(r->h, i, (struct table_entry){.week = e.week});
    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    return e.revision == 0 || remove_folder(path, err);
}

/* A week goes when its last day is older than the cutoff. */
static bool is_old(int32_t week, int64_t cutoff_us)
{
    return ((int64_t)week + 7) * DAY_US <= cutoff_us;
}

/* What was set aside holds values of crashes, too, and goes when its week goes. */
static bool drop_aside(const char *dir, int64_t cutoff_us, bool all, struct err *err)
{
    char aside[PATH_MAX], path[PATH_MAX + 300], name[32];
    snprintf(aside, sizeof aside, "%s/aside", dir);
    if (all)
        return fs_remove_tree(aside, err);
    DIR *d = opendir(aside);
    bool ok = d || errno == ENOENT || err_errno(err, errno, "listing %s", aside);
    for (struct dirent *e; ok && d && (e = readdir(d));) {
        int32_t week;
        uint32_t revision;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(e->d_name, "."), e->d_name);
        if (!part_folder_parse(name, &week, &revision) || !is_old(week, cutoff_us))
            continue;
        snprintf(path, sizeof path, "%s/%s", aside, e->d_name);
        ok = fs_remove_tree(path, err);
    }
    if (d)
        closedir(d);
    return ok;
}

/*
 * Emptying everything counts as a loss of everything, so answers name all weeks until it is filled.
 */
static bool drop_until(const char *dir, const struct field_table *fields, int64_t cutoff_us,
                       bool all, size_t *ret_dropped, struct err *err)
{
    struct root *r;
    size_t dropped = 0;
    if (!root_open(dir, fields, true, &r, err))
        return false;
    if (!root_lock(r, err)) {
        root_free(r);
        return false;
    }
    uint32_t n = table_count(r->h);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        struct table_entry e = table_entry(r->h, i);
        if ((!is_old(e.week, cutoff_us) && !all) || (e.revision == 0 && e.flags == 0))
            continue;
        dropped++;
        ok = drop_part(r, i, err);
    }
    ok = ok && drop_aside(dir, cutoff_us, all, err) &&
         (dropped == 0 || numbering_remove(dir, numbering_is_written, NULL, err));
    if (ok && all) {
        fact_set(r->h, FACT_LOSSES, fact(r->h, FACT_LOSSES) + 1);
        fact_set(r->h, FACT_LOST_ALL, fact(r->h, FACT_LOSSES));
    }
    root_unlock(r);
    root_free(r);
    if (ok && ret_dropped)
        *ret_dropped = dropped;
    return ok;
}

bool keep_expire(const char *dir, const struct field_table *fields, int64_t cutoff_us,
                 size_t *ret_dropped, struct err *err)
{
    return drop_until(dir, fields, cutoff_us, false, ret_dropped, err);
}

bool keep_reset(const char *dir, const struct field_table *fields, struct err *err)
{
    return drop_until(dir, fields, 0, true, NULL, err);
}
