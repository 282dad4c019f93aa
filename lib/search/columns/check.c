/*
 * Bytes below the counts have sums at any time.  What is changed in place has sums only while the
 * partition rests, so under load its meaning must stand for it: hash tables, rows of crashes,
 * zones and tombstones all follow from the columns, and whatever makes them say something else
 * than the columns is found here.
 *
 * Writers go on meanwhile.  A row that was live at the snapshot may have died since, and its crash
 * may have a newer row; both show in the order of the stores of a commit (commit.c): tombstone, row
 * count, sequence, and the row of the crash last.
 *
 * Whoever looks without a lock must not take a writer at work for damage.  Where two things do not
 * fit, the one that was stored later is read again, or the order of the stores says which of them a
 * writer has just changed; and scrub.c looks again in any case before it acts.
 */
#include "lib/search/columns/check.h"

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/part.h"

/*
 * Three readings of the sums: a sync takes its time between two copies.  The clock of the pace is
 * looked at every 4096 rows, each counted as 64 bytes.
 */
enum { TRIES = 3, PACE_EVERY = 4096, ROW_BYTES = 64 };

/*
 * The sums of resting files hold only as long as the turn of the head is the one they were made at.
 */
static bool check_sums_once(const struct part *p, const struct index_pace *pace, struct err *err)
{
    struct sums s = {0};
    if (!sums_load(p->folder, &s, err))
        return false;
    uint64_t turn = seal_turn(HEAD_PART, p->h);
    bool ok = sums_check(p->folder, &s, pace, err);
    if (ok && turn == s.h.rest_turn) {
        struct err why = {0};
        ok = sums_check_tails(p->folder, &s, pace, &why);
        if (!ok && seal_turn(HEAD_PART, p->h) != turn && why.code != ERR_UNAVAILABLE)
            ok = true; /* a writer came in between */
        if (!ok)
            *err = why;
    }
    sums_release(&s);
    return ok;
}

bool check_sums(const struct root *r, const struct part *p, const struct index_pace *pace,
                struct err *err)
{
    struct err why = {0};
    if (seal_look_part(r->h, p->h) == SEAL_BROKEN)
        return err_set(err, ERR_DAMAGED, "%s/head is not what was written", p->folder);
    if (part_synced(p->h) == 0)
        return true; /* made since the last sync */
    /* a file that the next sync does not name any more goes after it: read the sums again */
    for (int tries = 0; tries < TRIES; tries++) {
        why = (struct err){0};
        if (check_sums_once(p, pace, &why))
            return true;
        if (why.code != ERR_NOT_FOUND)
            break;
    }
    return err_set(err, why.code, "%s", why.msg);
}

static bool pace_rows(const struct index_pace *pace, uint64_t row, struct err *err)
{
    if (!pace || row % PACE_EVERY != 0 || pace->go_on(pace->arg, PACE_EVERY * ROW_BYTES))
        return true;
    return err_set(err, ERR_UNAVAILABLE, "told to stop");
}

/* An entry that the hash does not lead to would be put a second time. */
static bool check_dict(struct dict *d, const struct index_pace *pace, struct err *err)
{
    for (uint32_t code = 1; code <= d->checked; code++) {
        uint32_t found = 0;
        if (!pace_rows(pace, code, err) || !dict_find(d, dict_entry(d, code), false, &found, err))
            return false;
        if (found != code)
            return err_set(err, ERR_DAMAGED, "%s/%shash: entry %u is not found", d->folder, d->name,
                           code);
    }
    return true;
}

/* An empty list has an entry of no bytes, which is no damage. */
static bool check_column(struct column *c, const struct index_pace *pace, struct err *err)
{
    if (!column_use(c, err))
        return false;
    for (uint32_t code = 1; c->kind == COLUMN_LIST && code <= c->dict.checked; code++) {
        size_t n;
        if (dict_entry(&c->dict, code).n > 0 && !column_list(c, code, &n))
            return err_set(err, ERR_DAMAGED, "%s/%s: list %u is damaged", c->part->folder,
                           c->h->name, code);
    }
    return (!c->dict.h || check_dict(&c->dict, pace, err)) &&
           (!c->elements.h || check_dict(&c->elements, pace, err));
}

/* What a look at every text has unpacked. */
static void forget_texts(const struct part *p)
{
    for (size_t i = 0; i < p->column_count; i++)
        if (p->columns[i])
            column_forget(p->columns[i]);
}

/* A row outside its zone would be left out of searches by date. */
static bool check_zones(const struct part *p, const struct index_pace *pace, struct err *err)
{
    const struct column *dates = part_dates(p);
    const struct zone *zones = mfile_data(&p->zones);
    for (uint64_t row = 0; row < p->rows; row++) {
        int64_t date = dates ? column_int(dates, row) : 0;
        const struct zone *z = &zones[row / BLOCK_ROWS];
        if (!dates || !column_has(dates, row) || date < zone_min(z) || date > zone_max(z))
            return err_set(err, ERR_DAMAGED, "%s: date of row %llu lies outside its zone",
                           p->folder, (unsigned long long)row);
        if (!pace_rows(pace, row, err))
            return false;
    }
    return true;
}

static uint64_t died_at(const struct part *p, uint64_t row)
{
    return tomb_died_at(mfile_data(&p->dead_at), row);
}

/* The death of a row by a commit that is yet to come would make it live again. */
static bool is_possible(const struct root *r, uint64_t died)
{
    return died <= commit_sequence(r->h) + 1; /* read after the death */
}

/* Since the snapshot, by a commit that exists or is about to. */
static bool has_died_since(const struct root *r, const struct part *p, uint64_t row)
{
    uint64_t died = died_at(p, row);
    return died > p->sequence && is_possible(r, died);
}

/* Is there a live row of this crash in another partition? */
static bool check_elsewhere(const struct root *r, const struct part *p, struct str uuid,
                            struct err *err)
{
    for (size_t i = 0; i < r->part_count; i++) {
        struct part *other = r->parts[i];
        uint32_t code;
        struct column *ids = other ? part_ids(other) : NULL;
        if (!ids || other == p || other->rows == 0 || other->week < p->week ||
            !column_use(ids, ERR_IGNORED) ||
            !dict_find(&ids->dict, uuid, false, &code, ERR_IGNORED))
            continue;
        uint32_t row = part_row_of(other, code);
        if (row > 0 && row <= other->rows && !part_is_dead(other, row - 1))
            return err_set(err, ERR_DAMAGED, "crash " STR_FMT " is in %s and in %s", STR_ARG(uuid),
                           p->folder, other->folder);
    }
    return true;
}

/* A row that is live in the snapshot is the row of its crash, or has died since. */
static bool check_live_row(const struct root *r, const struct part *p, const struct column *ids,
                           uint64_t row, uint32_t code, struct err *err)
{
    uint32_t found = part_row_of(p, code);
    uint64_t pending = commit_announced(r->h).sequence; /* of a writer at work or killed */
    if (found == row + 1)
        return check_elsewhere(r, p, dict_entry(&ids->dict, code), err);
    if (found > p->rows || has_died_since(r, p, row) || pending != 0)
        return true;
    found = part_row_of(p, code); /* it may have been written in between */
    if (found == row + 1 || found > p->rows || has_died_since(r, p, row))
        return true;
    return err_set(err, ERR_DAMAGED, "%s: row %llu is not found by its crash id", p->folder,
                   (unsigned long long)row);
}

/* Everything about one row that does not need another one; the last line looks for its crash. */
static bool check_row(const struct root *r, const struct part *p, const struct column *ids,
                      uint64_t row, uint64_t *ret_live, struct err *err)
{
    uint32_t code = ids ? column_code(ids, row) : 0;
    uint64_t died = died_at(p, row);
    if (code == 0 || code > mfile_elements(&p->row_of, 4))
        return err_set(err, ERR_DAMAGED, "%s: row %llu has no crash id", p->folder,
                       (unsigned long long)row);
    if (!is_possible(r, died))
        return err_set(err, ERR_DAMAGED, "%s: row %llu dies in the future", p->folder,
                       (unsigned long long)row);
    if (died != 0 && died <= p->sequence && !tomb_is_marked(mfile_data(&p->dead), row))
        return err_set(err, ERR_DAMAGED, "%s: row %llu is dead and not marked", p->folder,
                       (unsigned long long)row);
    if (part_is_dead(p, row))
        return true;
    ++*ret_live;
    return check_live_row(r, p, ids, row, code, err);
}

/* Whatever a crash id leads to is a row of that crash. */
static bool check_row_of(const struct part *p, const struct column *ids, struct err *err)
{
    uint64_t n = MIN(ids->dict.checked, mfile_elements(&p->row_of, 4));
    for (uint32_t code = 1; code <= n; code++) {
        uint32_t row = part_row_of(p, code);
        if (row > 0 && row <= p->rows && column_code(ids, row - 1) != code)
            return err_set(err, ERR_DAMAGED, "%s: crash id %u leads to a row of another", p->folder,
                           code);
    }
    return true;
}

/* Columns first: everything after it relies on codes inside their dictionaries. */
bool check_meaning(struct root *r, struct part *p, const struct index_pace *pace,
                   uint64_t *ret_live, struct err *err)
{
    const struct column *ids = part_ids(p);
    *ret_live = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < p->column_count; i++)
        ok = !p->columns[i] || check_column(p->columns[i], pace, err);
    ok = ok && check_zones(p, pace, err);
    for (uint64_t row = 0; ok && row < p->rows; row++)
        ok = check_row(r, p, ids, row, ret_live, err) && pace_rows(pace, row, err);
    ok = ok && (!ids || check_row_of(p, ids, err));
    forget_texts(p);
    return ok;
}

/* The sum of the head covers the table up to its count; the rest is compared with zero. */
bool check_root(const struct root *r, struct err *err)
{
    const struct root_head *h = r->h;
    if (seal_look(HEAD_ROOT, h) == SEAL_BROKEN)
        return err_set(err, ERR_DAMAGED, "%s/head is not what was written", r->dir);
    for (uint32_t i = table_count(h); i < PARTS_MAX; i++) {
        struct table_entry e = table_entry(h, i);
        if (e.week != 0 || e.revision != 0 || e.flags != 0)
            return err_set(err, ERR_DAMAGED, "%s/head: bytes behind the last partition", r->dir);
    }
    struct root_head *copy = xmalloc(sizeof *copy);
    bool ok = !sync_was(h) || sums_load_root(r->dir, copy, err);
    free(copy);
    return ok;
}
