/*
 * Two kinds of failure end differently.  A writer that was killed leaves the machine's memory as
 * it was: the intent in the head says which commit was under way, and the next writer finishes or
 * undoes it.  A machine that failed may have written any page and lost any other: there only the
 * durable copies (head.synced) count, and what came later is appended again from the ledger.
 */
#include "lib/search/columns/recover.h"

#include <limits.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/format.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/numbering.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/sums.h"

/* Zeroes if the system does not say: then every start counts as the same machine run. */
void recover_boot_id(char out[40])
{
    char *text;
    size_t n;
    memset(out, 0, 40);
    if (!fs_read("/proc/sys/kernel/random/boot_id", 4096, &text, &n, ERR_IGNORED))
        return;
    memcpy(out, text, MIN(n, (size_t)36));
    free(text);
}

/* The crash of this row leads to `value`: its row, or none. */
static bool fix_row_of(struct part *p, uint64_t sequence, uint64_t row, uint32_t value,
                       struct err *err)
{
    struct column *c = part_ids(p);
    uint64_t rows = 0;
    if (!rows_as_of(p->h, sequence, &rows) || row >= rows || !c)
        return err_set(err, ERR_DAMAGED, "%s: no row %llu", p->folder, (unsigned long long)row);
    if (!part_use(p, sequence, rows, err) || !column_map(c, err))
        return false;
    uint32_t code = column_code(c, row);
    if (code == 0 || code > mfile_elements(&p->row_of, 4))
        return err_set(err, ERR_DAMAGED, "%s: row %llu has no uuid", p->folder,
                       (unsigned long long)row);
    part_set_row_of(p, code, value);
    return true;
}

/* Killed after the commit: rows of crashes are set as the commit would have. */
static bool finish_commit(struct root *r, const struct announced *in, struct err *err)
{
    uint64_t sequence = commit_sequence(r->h);
    struct part *old = in->old_row ? root_part(r, in->old_week) : NULL;
    struct part *new = in->new_row ? root_part(r, in->new_week) : NULL;
    if (old && !fix_row_of(old, sequence, in->old_row - 1, 0, err))
        return false;
    return !new || fix_row_of(new, sequence, in->new_row - 1, (uint32_t)in->new_row, err);
}

/*
 * Killed before it: counts of the future go from every partition, and the old row lives again.  The
 * new row lies above the count and needs nothing.
 */
static bool undo_commit(struct root *r, const struct announced *in, struct err *err)
{
    uint64_t sequence = commit_sequence(r->h), rows = 0;
    struct part *old = in->old_row ? root_part(r, in->old_week) : NULL;
    for (size_t i = 0; i < r->part_count; i++)
        if (r->parts[i])
            rows_void_since(r->parts[i]->h, sequence);
    if (!old)
        return true;
    if (!rows_as_of(old->h, sequence, &rows) || in->old_row > rows)
        return err_set(err, ERR_DAMAGED, "%s: no row %llu", old->folder,
                       (unsigned long long)in->old_row);
    if (!part_use(old, sequence, rows, err))
        return false;
    tomb_undo(mfile_data(&old->dead_at), in->old_row - 1);
    return true;
}

/* Doing it twice does no harm, so a writer that is killed here leaves the same work to the next. */
bool recover_intent(struct root *r, struct err *err)
{
    struct announced in = commit_announced(r->h);
    struct err why = {0};
    if (in.sequence == 0)
        return true;
    bool was_committed = commit_sequence(r->h) >= in.sequence;
    if (!(was_committed ? finish_commit(r, &in, &why) : undo_commit(r, &in, &why)) &&
        why.code != ERR_DAMAGED) /* a damaged partition is found and set aside when it is used */
        return err_set(err, why.code, "%s", why.msg);
    log_event(LOG_WARN, "index_writer_died", "finished the work of a killed writer",
              LOG_I("was_committed", was_committed));
    commit_withdraw(r->h);
    return true;
}

/* Marks younger than the restored state never happened. */
static void revive(struct part *p, uint64_t sequence)
{
    struct shared_u64 *dead_at = mfile_data(&p->dead_at);
    uint64_t dead = 0;
    for (uint64_t row = 0; row < p->rows; row++) {
        if (tomb_died_at(dead_at, row) > sequence)
            tomb_undo(dead_at, row);
        if (tomb_died_at(dead_at, row) == 0)
            continue;
        tomb_remark(mfile_data(&p->dead), row);
        dead++;
    }
    tombs_set_count(p->h, dead);
}

/*
 * From the column of crash ids, which has sums; _row-of itself may be of any moment.  What is right
 * already is not stored again: most of a packed week's is a hole.
 */
static bool rebuild_row_of(struct part *p, struct err *err)
{
    struct column *c = part_ids(p);
    uint64_t n = mfile_elements(&p->row_of, sizeof(struct shared_u32));
    FREE_LATER uint32_t *rows = xcalloc(n + 1, sizeof *rows);
    if (p->rows > 0 && !c)
        return err_set(err, ERR_DAMAGED, "%s: no uuids", p->folder);
    if (p->rows > 0 && !column_use(c, err))
        return false;
    for (uint64_t row = 0; row < p->rows; row++) {
        uint32_t code = column_code(c, row);
        if (code == 0 || code > n)
            return err_set(err, ERR_DAMAGED, "%s: row without uuid", p->folder);
        if (!part_is_dead(p, row))
            rows[code] = (uint32_t)row + 1;
    }
    for (uint32_t code = 1; code <= n; code++) {
        if (part_row_of(p, code) == rows[code])
            continue;
        if (!part_fill(p, p->packed_rows, code, err))
            return false;
        part_set_row_of(p, code, rows[code]);
    }
    return true;
}

static bool use_every_column(struct part *p, struct err *err)
{
    for (size_t i = 0; i < p->column_count; i++)
        if (p->columns[i] && !column_use(p->columns[i], err))
            return false;
    return true;
}

/* What stands in the copy, brought back: rows, tombstones, rows of crashes. */
static bool restore_rows(struct part *p, uint64_t *sequence, struct err *err)
{
    uint64_t as_of = part_changed(p->h), rows = 0;
    if (!rows_as_of(p->h, as_of, &rows))
        return err_set(err, ERR_DAMAGED, "%s: no row count", p->folder);
    if (!part_use(p, as_of, rows, err) || !use_every_column(p, err))
        return false;
    revive(p, as_of);
    *sequence = MAX(*sequence, as_of);
    return rebuild_row_of(p, err);
}

/*
 * A partition that rested since its last sync is as it was; another goes back to the copy, whose
 * sums say whether the bytes below its counts have reached the disk.
 */
static bool restore_part(const struct root *r, const struct table_entry *e, const char *folder,
                         const struct sums *s, uint64_t *sequence, struct err *err)
{
    struct part *p = NULL;
    char path[PATH_MAX];
    struct mfile head = {0};
    snprintf(path, sizeof path, "%s/head", folder);
    if (!mfile_map_head(&head, path, sizeof(struct part_head), true, err))
        return false;
    uint64_t turn = seal_turn(HEAD_PART, head.base);
    bool rested = turn == s->h.rest_turn && seal_look(HEAD_PART, head.base) == SEAL_GOOD &&
                  memcmp(head.base, s->head, sizeof(struct part_head)) == 0;
    bool has_room = rested || mfile_fill_bytes(path, 0, sizeof(struct part_head), err);
    if (!rested && has_room)
        memcpy(head.base, s->head, sizeof(struct part_head));
    mfile_close(&head);
    if (!has_room)
        return false;
    if (rested) {
        *sequence = MAX(*sequence, part_changed(s->head));
        return true;
    }
    if (!sums_check(folder, s, NULL, err) ||
        !part_open(r->dir, r->fields, e->week, e->revision, true, &p, err))
        return false;
    seal_open(HEAD_PART, p->h); /* another turn: what is changed in place now has no sums */
    bool ok = restore_rows(p, sequence, err);
    seal_close(HEAD_PART, p->h);
    part_free(p);
    return ok;
}

static bool restore_entry(struct root *r, size_t i, uint64_t *sequence, struct err *err)
{
    struct table_entry e = table_entry(r->h, i);
    char name[32], folder[PATH_MAX];
    struct err why = {0};
    struct sums s = {0};
    if (e.revision == 0)
        return true;
    part_folder_name(e.week, e.revision, name);
    snprintf(folder, sizeof folder, "%s/%s", r->dir, name);
    if (!fs_exists(folder) || (!sums_load(folder, &s, &why) && why.code == ERR_NOT_FOUND)) {
        /* never on disk as a whole: all of it comes again from the ledger */
        e.revision = 0;
        table_change(r->h, i, e);
        return true;
    }
    bool ok = s.head && restore_part(r, &e, folder, &s, sequence, &why);
    sums_release(&s);
    if (ok)
        return true;
    if (why.code != ERR_DAMAGED && why.code != ERR_NOT_FOUND)
        return err_set(err, why.code, "%s", why.msg);
    return root_set_aside(r, i, why.msg, err);
}

/*
 * The table of the copy; without a good one that of the head, which may name what is not there.
 * Losses are never forgotten, whatever the copy says, nor is a revision given twice.
 */
static bool restore_root(struct root *r, struct err *err)
{
    FREE_LATER struct root_head *copy = xmalloc(sizeof *copy);
    struct err why = {0};
    uint64_t turn = seal_turn(HEAD_ROOT, r->h);
    int64_t losses = fact(r->h, FACT_LOSSES);
    uint32_t next_revision = table_next_revision(r->h); /* folders of lost ones may remain */
    bool has = sums_load_root(r->dir, copy, &why);
    if (!has && why.code != ERR_NOT_FOUND && why.code != ERR_DAMAGED)
        return err_set(err, why.code, "%s", why.msg);
    if (has) {
        memcpy(r->h, copy, sizeof *copy);
        table_skip_revisions(r->h, next_revision);
        fact_set(r->h, FACT_LOSSES, MAX(fact(r->h, FACT_LOSSES), losses));
        seal_set_turn(HEAD_ROOT, r->h, turn);
        return true;
    }
    if (why.code == ERR_NOT_FOUND)
        table_forget(r->h);
    fact_set(r->h, FACT_LEDGER_SEQ, -1);
    fact_set(r->h, FACT_LOSSES, losses + 1);
    return true;
}

/*
 * Pages of mapped files reach the disk in any order, so after a restart only the state of
 * the last index_sync counts.  What came later is put again from the crash ledger.
 */
static bool roll_back(struct root *r, struct err *err)
{
    /* dictionaries may lose codes, and give them to other texts later */
    if (!numbering_remove(r->dir, numbering_is_written, NULL, err) || !restore_root(r, err))
        return false;
    uint64_t sequence = commit_sequence(r->h);
    for (size_t i = 0; i < table_count(r->h); i++)
        if (!restore_entry(r, i, &sequence, err))
            return false;
    commit_set_sequence(r->h, sequence);
    fact_set(r->h, FACT_IS_ROLLED_BACK, 1);
    sync_forget(r->h);
    table_renew(r->h);
    log_event(LOG_WARN, "index_rolled_back",
              "the machine was restarted: the index is at its last sync");
    return true;
}

/* The boot id is stored last: a kill in between begins the same work again. */
bool recover_after_boot(struct root *r, struct err *err)
{
    char boot_id[40];
    recover_boot_id(boot_id);
    if (memcmp(boot_id, r->h->boot_id, sizeof boot_id) == 0)
        return true;
    seal_open(HEAD_ROOT, r->h);
    bool ok = roll_back(r, err);
    if (ok)
        memcpy(r->h->boot_id, boot_id, sizeof boot_id);
    seal_close(HEAD_ROOT, r->h);
    return ok || err_wrap(err, "going back to the last sync");
}
