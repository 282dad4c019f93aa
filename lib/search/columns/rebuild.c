/*
 * Rebuilding.  Whoever rebuilds puts documents into a second index in DIR/rebuild, with everything
 * that an index can do: it survives kills and failures of the machine, several processes may put.
 * The number that is noted with its syncs says how far it has come.  In the end its folders are
 * moved into the index and the table is changed.
 *
 * What happens to the index meanwhile must not be lost, nor undone, by the weeks that take its
 * place.  `base` remembers how many rows each partition had in the beginning:
 *
 *   rows behind those     are crashes that were put since.  They are newer than what the store gave
 *                         us (the index comes before the store), so they are put again here.
 *   rows that died since  without another row of the same crash: deleted.  Deleted here, too.
 *   rows that we lack     their crash lies in the store under another day than its date says, or is
 *                         not there any more: the store is asked for each.
 *   what we have more     was not in the index, so its deletion leaves no trace there.  The store
 * is asked before the change and once more behind it: whoever deletes takes a crash from the store
 * first and from the index afterwards.
 *
 * The first two are done piece by piece, the last piece below the lock together with the change.
 * Places of rows hold as long as nobody compacts, hence the claim.  A rebuild that was killed is
 * taken up again where all partitions are those that it began with, in the same run of the machine,
 * and begins again otherwise; also when it was killed while it changed the table, since every week
 * is then either the old or the new one.
 */
#include "lib/search/columns/rebuild.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/keep.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/numbering.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/recover.h"
#include "lib/search/columns/root_parts.h"
#include "lib/search/columns/row_doc.h"
#include "lib/search/columns/write.h"
#include "lib/search/doc.h"

/*
 * ROWS_AT_ONCE: a piece below the lock takes some ten milliseconds.  FORGET_EVERY: rows between two
 * looks at how many texts of packed weeks are unpacked.
 */
enum { ROWS_AT_ONCE = 1000, FORGET_EVERY = 4096, ID_LINE_MAX = 256, ARENA_BYTES = 64 << 20 };

struct base {
    int32_t week;
    uint32_t revision;
    uint64_t rows;
};

/* DIR/rebuild/state: what was there in the beginning. */
struct state {
    char magic[8], boot_id[40];
    int32_t from_week, to_week; /* both of them rebuilt */
    uint32_t is_changing, count;
    uint64_t sequence;
    struct base base[PARTS_MAX];
    uint64_t sum;
};
#define STATE_MAGIC "DATILrb1"

struct rebuilding {
    struct root *main, *own;
    char dir[PATH_MAX];
    int filling_fd, compaction_fd;
    struct state *state;
    struct arena arena;
};

static bool is_in_range(const struct rebuilding *b, int32_t week)
{
    return week >= b->state->from_week && week <= b->state->to_week;
}

static void path_in(const struct rebuilding *b, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", b->dir, name);
}

static uint64_t sum_of(const struct state *s)
{
    return hash64(s, offsetof(struct state, sum));
}

static bool write_state(struct rebuilding *b, struct err *err)
{
    char path[PATH_MAX];
    path_in(b, "state", path);
    b->state->sum = sum_of(b->state);
    return fs_write_atomic(path, b->state, sizeof *b->state, FS_FILE_MODE, err);
}

/* The place of a week in `base`; a new one for a partition that came later. */
static struct base *base_of(struct state *s, const struct part *p)
{
    uint32_t i = 0;
    while (i < s->count && s->base[i].week != p->week)
        i++;
    if (i == PARTS_MAX)
        return NULL;
    if (i == s->count)
        s->base[s->count++] = (struct base){p->week, p->revision, 0};
    if (s->base[i].revision != p->revision) /* it was lost, and begun again */
        s->base[i] = (struct base){p->week, p->revision, 0};
    return &s->base[i];
}

/* The state that there should be, of an index that nobody has touched since it was written. */
static void begin_state(const struct rebuilding *b, int32_t from_week, int32_t to_week,
                        struct state *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->magic, STATE_MAGIC, sizeof out->magic);
    recover_boot_id(out->boot_id);
    out->from_week = from_week;
    out->to_week = to_week;
    out->sequence = commit_sequence(b->main->h);
    for (size_t i = 0; i < b->main->part_count; i++) {
        const struct part *p = b->main->parts[i];
        if (p)
            out->base[out->count++] =
                (struct base){p->week, p->revision, part_current_rows(b->main, p)};
    }
}

/* Whether places of rows in `old` are still those of the index. */
static bool is_resumable(const struct state *old, const struct state *now)
{
    bool same = memcmp(old->magic, now->magic, sizeof old->magic) == 0 && old->sum == sum_of(old) &&
                memcmp(old->boot_id, now->boot_id, sizeof old->boot_id) == 0 &&
                old->from_week == now->from_week && old->to_week == now->to_week &&
                !old->is_changing && old->count <= now->count && old->sequence <= now->sequence;
    for (uint32_t i = 0; same && i < old->count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < now->count && !found; k++)
            found = old->base[i].week == now->base[k].week &&
                    old->base[i].revision == now->base[k].revision &&
                    old->base[i].rows <= now->base[k].rows;
        same = found;
    }
    return same;
}

static bool load_state(const struct rebuilding *b, const struct state *now)
{
    char path[PATH_MAX], *bytes = NULL;
    size_t n;
    path_in(b, "state", path);
    if (!fs_read(path, sizeof(struct state), &bytes, &n, ERR_IGNORED))
        return false;
    if (n == sizeof(struct state))
        memcpy(b->state, bytes, n);
    free(bytes);
    return n == sizeof(struct state) && is_resumable(b->state, now);
}

static bool begin_or_resume(struct rebuilding *b, int32_t from_week, int32_t to_week,
                            struct err *err)
{
    FREE_LATER struct state *now = xmalloc(sizeof *now);
    if (!root_lock(b->main, err))
        return false;
    begin_state(b, from_week, to_week, now);
    root_unlock(b->main);
    if (load_state(b, now))
        return true;
    memcpy(b->state, now, sizeof *now);
    return fs_remove_tree(b->dir, err) && fs_mkdirs(b->dir, FS_DIR_MODE, err) &&
           write_state(b, err);
}

void rebuild_close(struct rebuilding *b)
{
    if (!b)
        return;
    root_free(b->own);
    root_free(b->main);
    if (b->compaction_fd >= 0)
        close(b->compaction_fd);
    if (b->filling_fd >= 0)
        close(b->filling_fd);
    arena_release(&b->arena);
    free(b->state);
    free(b);
}

/* Weeks far outside of what an index can hold stand for "all". */
static int32_t week_within(int64_t us)
{
    return week_of(MIN(MAX(us, (int64_t)-100000 * DAY_US), (int64_t)100000 * DAY_US));
}

bool rebuild_open(const char *dir, const struct field_table *fields, int64_t from_us, int64_t to_us,
                  const char *what, int64_t wait_ms, struct rebuilding **ret, struct err *err)
{
    struct rebuilding *b = xcalloc(1, sizeof *b);
    b->state = xcalloc(1, sizeof *b->state);
    b->filling_fd = b->compaction_fd = -1;
    arena_init(&b->arena, ARENA_BYTES);
    snprintf(b->dir, sizeof b->dir, "%s/" REBUILD_FOLDER, dir);
    if (root_open(dir, fields, true, &b->main, err) &&
        keep_claim(dir, CLAIM_FILLING, what, wait_ms, &b->filling_fd, err) &&
        keep_claim(dir, CLAIM_COMPACTION, what, wait_ms, &b->compaction_fd, err) &&
        begin_or_resume(b, week_within(from_us), week_within(to_us), err) &&
        root_open(b->dir, fields, true, &b->own, err)) {
        *ret = b;
        return true;
    }
    rebuild_close(b);
    return false;
}

const char *rebuild_dir(const struct rebuilding *b)
{
    return b->dir;
}

/* After a failure of the machine the state is another run's, so what was noted is there. */
bool rebuild_noted(struct rebuilding *b, int64_t *ret, struct err *err)
{
    if (!root_lock(b->own, err))
        return false;
    *ret = fact(b->own->h, FACT_LEDGER_SEQ);
    root_unlock(b->own);
    return true;
}

bool rebuild_note(struct rebuilding *b, int64_t number, struct err *err)
{
    return keep_sync(b->own, number, err);
}

/* The crash id of a row; the column is in use. */
static struct str id_at(const struct part *p, uint64_t row)
{
    struct column *c = part_ids(p);
    return dict_entry(&c->dict, column_code(c, row));
}

static bool use_ids(const struct root *r, struct part *p, uint64_t rows, struct err *err)
{
    struct column *c = part_ids(p);
    return part_use(p, commit_sequence(r->h), rows, err) && c && column_use(c, err);
}

static bool is_live_in(struct root *r, struct str id, bool *ret, struct err *err)
{
    struct live_row at;
    if (!write_find(r, id, &at, err))
        return false;
    *ret = at.part != NULL;
    return true;
}

/* A crash of the index that the days of the store did not give. */
static bool fetch(struct rebuilding *b, struct str id, const struct index_source *source,
                  struct err *err)
{
    json_auto_t *json = NULL;
    struct doc doc;
    struct err why = {0};
    bool ignored;
    if (!source->get(source->arg, arena_printf(&b->arena, STR_FMT, STR_ARG(id)), &json, err))
        return false;
    if (!json)
        return true;
    if (!doc_from_json(&b->arena, b->own->fields, json, &doc, &why))
        return true; /* stored, and cannot be searched */
    return arena_within(&b->arena, "the document", err) &&
           write_put(b->own, &doc, true, &ignored, err);
}

/* Each live row of the beginning is looked for.  What a damaged week held nobody knows. */
static bool fetch_missing(struct rebuilding *b, struct part *p, uint64_t rows,
                          const struct index_source *source, struct err *err)
{
    struct err why = {0};
    if (rows == 0)
        return true;
    if (!use_ids(b->main, p, rows, &why))
        return why.code == ERR_DAMAGED || why.code == ERR_NOT_FOUND ||
               err_set(err, why.code, "%s", why.msg);
    for (uint64_t row = 0; row < rows; row++) {
        bool is_there;
        arena_reset(&b->arena);
        if (part_is_dead(p, row))
            continue;
        if (!is_live_in(b->own, id_at(p, row), &is_there, err) ||
            (!is_there && !fetch(b, id_at(p, row), source, err)))
            return false;
        if (row % FORGET_EVERY == 0)
            root_forget_texts(b->main);
    }
    return true;
}

static bool complete(struct rebuilding *b, const struct index_source *source, struct err *err)
{
    bool ok = root_lock(b->main, err);
    if (!ok)
        return false;
    root_unlock(b->main); /* for the newest partitions; nobody else moves those of this process */
    ok = root_lock(b->own, err);
    if (!ok)
        return false;
    for (size_t i = 0; ok && i < b->main->part_count; i++) {
        struct part *p = b->main->parts[i];
        struct base *base = p && is_in_range(b, p->week) ? base_of(b->state, p) : NULL;
        ok = !base || fetch_missing(b, p, base->rows, source, err);
    }
    root_unlock(b->own);
    return ok;
}

/* A row that came since; *ret_left counts down. */
static bool carry_row(struct rebuilding *b, const struct part *p, uint64_t row, struct err *err)
{
    struct doc doc;
    bool ignored;
    arena_reset(&b->arena);
    row_doc(&b->arena, p, row, &doc);
    if (!arena_within(&b->arena, "a row", err))
        return false;
    return is_in_range(b, p->week) ? write_put(b->own, &doc, false, &ignored, err)
                                   : write_delete(b->own, doc.uuid, &ignored, err);
}

/* Rows of the beginning that have died since. */
static bool carry_deaths(struct rebuilding *b, const struct part *p, uint64_t rows, struct err *err)
{
    const struct shared_u64 *dead = mfile_data(&p->dead), *dead_at = mfile_data(&p->dead_at);
    bool is_there, ignored;
    for (uint64_t row = 0; row < rows; row++) {
        if (row % 64 == 0 && tomb_word(dead, row) == 0) {
            row += 63;
            continue;
        }
        if (!part_is_dead(p, row) || tomb_died_at(dead_at, row) <= b->state->sequence)
            continue;
        if (!is_live_in(b->main, id_at(p, row), &is_there, err) ||
            (!is_there && !write_delete(b->own, id_at(p, row), &ignored, err)))
            return false;
    }
    return true;
}

/* Below both locks: up to `max` rows of one partition. */
static bool carry_part(struct rebuilding *b, struct part *p, uint64_t *max, struct err *err)
{
    struct base *base = base_of(b->state, p);
    if (!base)
        return err_set(err, ERR_TOO_LARGE, "%s: too many partitions", b->main->dir);
    if (!part_use_all(b->main, p, err))
        return false;
    for (; base->rows<p->rows && * max> 0; base->rows++, --*max)
        if (!part_is_dead(p, base->rows) && !carry_row(b, p, base->rows, err))
            return false;
    return base->rows == 0 || carry_deaths(b, p, base->rows, err);
}

/* What a damaged partition held is lost to us as it is to searches; the keeper fills it. */
static bool carry_over(struct rebuilding *b, uint64_t max, bool *ret_done, struct err *err)
{
    for (size_t i = 0; i < b->main->part_count; i++) {
        struct err why = {0};
        if (b->main->parts[i] && !carry_part(b, b->main->parts[i], &max, &why) &&
            why.code != ERR_DAMAGED && why.code != ERR_NOT_FOUND)
            return err_set(err, why.code, "%s", why.msg);
    }
    *ret_done = max > 0;
    return true;
}

/* Piece by piece, so that nobody waits long. */
static bool catch_up(struct rebuilding *b, struct err *err)
{
    bool done = false;
    while (!done) {
        if (!root_lock(b->main, err))
            return false;
        bool ok = root_lock(b->own, err);
        if (ok) {
            ok = carry_over(b, ROWS_AT_ONCE, &done, err);
            root_unlock(b->own);
        }
        root_unlock(b->main);
        if (!ok)
            return false;
        root_forget_texts(b->main);
    }
    return true;
}

/* Crashes that the index has not: their ids, one a line. */
static bool list_part(struct rebuilding *b, struct part *p, FILE *out, struct err *err)
{
    uint64_t rows = part_current_rows(b->own, p);
    if (rows == 0)
        return true;
    if (!use_ids(b->own, p, rows, err))
        return false;
    for (uint64_t row = 0; row < rows; row++) {
        bool is_there;
        struct str id = id_at(p, row);
        if (part_is_dead(p, row))
            continue;
        if (!is_live_in(b->main, id, &is_there, err))
            return false;
        if (!is_there && fprintf(out, STR_FMT "\n", STR_ARG(id)) < 0)
            return err_errno(err, errno, "writing the crashes that are new");
    }
    return true;
}

/*
 * Looking a crash up needs the lock of the index; it is given back after each week, so that puts
 * go on.
 */
static bool list_new(struct rebuilding *b, struct err *err)
{
    char path[PATH_MAX];
    path_in(b, "new", path);
    FILE *out = fopen(path, "we");
    if (!out)
        return err_errno(err, errno, "opening %s", path);
    bool ok = root_lock(b->own, err);
    if (ok) {
        for (size_t i = 0; ok && i < b->own->part_count; i++) {
            if (!b->own->parts[i] || !is_in_range(b, b->own->parts[i]->week))
                continue;
            ok = root_lock(b->main, err);
            if (!ok)
                break;
            ok = list_part(b, b->own->parts[i], out, err);
            root_unlock(b->main);
        }
        root_unlock(b->own);
    }
    return (fclose(out) == 0 || err_errno(err, errno, "writing %s", path)) && ok;
}

/* Those that the store has not any more are deleted from `r`. */
static bool drop_unstored(struct rebuilding *b, struct root *r, const struct index_source *source,
                          struct err *err)
{
    char path[PATH_MAX], id[ID_LINE_MAX];
    bool ok = true, ignored;
    path_in(b, "new", path);
    FILE *in = fopen(path, "re");
    if (!in)
        return err_errno(err, errno, "opening %s", path);
    while (ok && fgets(id, sizeof id, in)) {
        id[strcspn(id, "\n")] = '\0';
        if (source->has(source->arg, id))
            continue;
        ok = root_lock(r, err);
        if (!ok)
            break;
        ok = write_delete(r, str_of(id), &ignored, err);
        root_unlock(r);
    }
    fclose(in);
    return ok;
}

/*
 * The commits of the other index mean nothing here: all rows count, and all deaths, as of the
 * newest one of this.
 */
static void take_over_head(const struct root *own, struct part *p, uint64_t sequence)
{
    uint64_t rows = part_current_rows(own, p), dead = tombs_count(p->h);
    struct shared_u64 *dead_at = mfile_data(&p->dead_at);
    seal_open(HEAD_PART, p->h);
    for (uint64_t row = 0; row < rows; row++)
        if (tomb_died_at(dead_at, row) != 0)
            tomb_set(p->h, mfile_data(&p->dead), dead_at, row, sequence);
    tombs_set_count(p->h, dead);
    rows_begin(p->h);
    rows_publish(p->h, sequence, rows);
    part_set_changed(p->h, sequence);
    part_set_synced(p->h, 0);
    seal_close(HEAD_PART, p->h);
}

/* One week changes its folder. */
static bool change_week(struct rebuilding *b, struct part *p, struct err *err)
{
    char name[32], to[PATH_MAX];
    struct root *r = b->main;
    uint32_t i = root_find_entry(r, p->week), n = table_count(r->h);
    if (i == PARTS_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: more than %d partitions", r->dir, PARTS_MAX);
    struct table_entry entry = i < n ? table_entry(r->h, i) : (struct table_entry){.week = p->week};
    if (entry.week != p->week)
        entry = (struct table_entry){.week = p->week};
    entry.revision = table_take_revision(r->h);
    part_folder_name(p->week, entry.revision, name);
    snprintf(to, sizeof to, "%s/%s", r->dir, name);
    take_over_head(b->own, p, commit_sequence(r->h));
    if (rename(p->folder, to) < 0)
        return err_errno(err, errno, "moving %s", p->folder);
    table_change(r->h, i, entry);
    return true;
}

static bool has_week(const struct rebuilding *b, int32_t week)
{
    const struct part *p = root_part(b->own, week);
    return p && part_current_rows(b->own, p) > 0;
}

/* Below the lock.  `old` gets the names of the folders that are out of use. */
static bool change_weeks(struct rebuilding *b, struct strs *old, struct err *err)
{
    struct root *r = b->main;
    uint32_t n = table_count(r->h);
    for (uint32_t i = 0; i < n; i++) {
        struct table_entry e = table_entry(r->h, i);
        char name[32];
        if (!is_in_range(b, e.week) || e.revision == 0)
            continue;
        part_folder_name(e.week, e.revision, name);
        old->v[old->n++] = str_of(arena_printf(&b->arena, "%s/%s", r->dir, name));
        if (!has_week(b, e.week)) {
            e.revision = 0;
            table_change(r->h, i, e);
        }
    }
    for (size_t i = 0; i < b->own->part_count; i++) {
        struct part *p = b->own->parts[i];
        if (p && is_in_range(b, p->week) && has_week(b, p->week) && !change_week(b, p, err))
            return false;
    }
    return true;
}

/* The last piece and the change, which are one to everybody else. */
static bool carry_and_change(struct rebuilding *b, struct strs *old, struct err *err)
{
    bool done;
    if (!root_lock(b->main, err))
        return false;
    bool ok = root_lock(b->own, err);
    if (ok) {
        ok = carry_over(b, UINT64_MAX, &done, err);
        root_unlock(b->own); /* closes the seals of its heads */
    }
    arena_reset(&b->arena);
    old->v = arena_array(&b->arena, PARTS_MAX, sizeof(struct str));
    b->state->is_changing = 1;
    ok = ok && write_state(b, err) && change_weeks(b, old, err);
    root_unlock(b->main);
    return ok;
}

static size_t weeks_of(const struct rebuilding *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->own->part_count; i++)
        n += b->own->parts[i] && is_in_range(b, b->own->parts[i]->week);
    return n;
}

/*
 * Old folders go after a sync, as those of a compaction do: till then the durable copy of the head
 * names them.
 */
bool rebuild_finish(struct rebuilding *b, const struct index_source *source, size_t *ret_weeks,
                    struct err *err)
{
    struct strs old = {0};
    if (!complete(b, source, err) || !catch_up(b, err) || !list_new(b, err) ||
        !drop_unstored(b, b->own, source, err) || !keep_sync(b->own, -1, err) ||
        !catch_up(b, err) || !carry_and_change(b, &old, err))
        return false;
    *ret_weeks = weeks_of(b);
    if (!keep_sync(b->main, -1, err) ||
        !numbering_remove(b->main->dir, numbering_is_written, NULL, err))
        return false;
    for (size_t i = 0; i < old.n; i++)
        root_remove_folder(old.v[i].p, ERR_IGNORED);
    return drop_unstored(b, b->main, source, err) && fs_remove_tree(b->dir, err);
}
