/*
 * Damage is for this engine alone: it sets the partition aside and has it filled again.  To those
 * outside it is an index that cannot answer at the moment, so they try again later.
 *
 * This file is the door between the engine's table of functions (engine.h) and the files of this
 * folder: each function takes the lock where one is needed, and turns damage into what it is for
 * callers.  What is behind the door never sees a caller, what is before it never sees a partition.
 */
#include "lib/search/engine.h"

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/filling.h"
#include "lib/search/columns/index_health.h"
#include "lib/search/columns/keep.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/rebuild.h"
#include "lib/search/columns/root.h"
#include "lib/search/columns/root_parts.h"
#include "lib/search/columns/run.h"
#include "lib/search/columns/unify.h"
#include "lib/search/columns/write.h"
#include "lib/search/query.h"
#include "lib/search/sample.h"

/*
 * A snapshot is outdated when a week is compacted at that moment, which happens once in hours; a
 * hundred times in a row it must be a fault.
 */
enum { SNAPSHOT_TRIES = 100 };

/*
 * Looking for a crash unpacks a few texts of packed weeks (texts.c).  They are added up now and
 * then, since going over all columns takes longer than one look.
 */
static void end_look(struct root *r)
{
    enum { LOOKS_BETWEEN = 64 };
    if (++r->looks % LOOKS_BETWEEN == 0)
        root_forget_texts(r);
}

static bool damage_heals(bool ok, struct err *err)
{
    if (!ok && err->code == ERR_DAMAGED)
        err->code = ERR_UNAVAILABLE;
    return ok;
}

/* A writer of a directory that does not exist makes the index. */
static bool writer_open(const char *dir, const struct field_table *fields, void **ret,
                        struct err *err)
{
    struct root *r;
    if (!damage_heals(root_open(dir, fields, true, &r, err), err))
        return false;
    *ret = r;
    return true;
}

static void writer_close(void *writer)
{
    root_free(writer);
}

/* Lock, work, unlock: what is under the lock is one commit. */
static bool put_crash(void *writer, const struct doc *doc, bool only_if_absent, bool *ret_was_there,
                      struct err *err)
{
    struct root *r = writer;
    if (!damage_heals(root_lock(r, err), err))
        return false;
    bool ok = write_put(r, doc, only_if_absent, ret_was_there, err);
    root_unlock(r);
    end_look(r);
    return damage_heals(ok, err);
}

static bool delete_crash(void *writer, struct str crash_id, bool *ret_was_there, struct err *err)
{
    struct root *r = writer;
    if (!damage_heals(root_lock(r, err), err))
        return false;
    bool ok = write_delete(r, crash_id, ret_was_there, err);
    root_unlock(r);
    end_look(r);
    return damage_heals(ok, err);
}

static bool sync_index(void *writer, int64_t ledger_seq, struct err *err)
{
    return damage_heals(keep_sync(writer, ledger_seq, err), err);
}

static bool ledger_seq(void *writer, int64_t *ret, bool *ret_is_rolled_back, struct err *err)
{
    struct root *r = writer;
    if (!damage_heals(root_lock(r, err), err))
        return false;
    *ret = fact(r->h, FACT_LEDGER_SEQ);
    *ret_is_rolled_back = fact(r->h, FACT_IS_ROLLED_BACK) != 0;
    root_unlock(r);
    return true;
}

/* From here on the ledger's number may grow again (sync.c). */
static bool replayed(void *writer, struct err *err)
{
    struct root *r = writer;
    if (!damage_heals(root_lock(r, err), err))
        return false;
    fact_set(r->h, FACT_IS_ROLLED_BACK, 0);
    root_unlock(r);
    return true;
}

static bool look(void *writer, int64_t rest_ms, struct err *err)
{
    return damage_heals(keep_look(writer, rest_ms, err), err);
}

static bool scrub(void *writer, const struct index_pace *pace, size_t *ret_damaged, struct err *err)
{
    return damage_heals(keep_scrub(writer, pace, ret_damaged, err), err);
}

static bool pack(void *writer, int64_t closed_us, int64_t wait_ms, const struct index_pace *pace,
                 size_t *ret_packed, struct err *err)
{
    return damage_heals(keep_pack(writer, closed_us, wait_ms, pace, ret_packed, err), err);
}

static bool fill_begin(void *writer, uint64_t crashes, uint64_t *ret_losses, struct err *err)
{
    return damage_heals(filling_begin(writer, crashes, ret_losses, err), err);
}

static bool fill_progress(void *writer, uint64_t looked, uint64_t put_count, struct err *err)
{
    return damage_heals(filling_progress(writer, looked, put_count, err), err);
}

static bool filled(void *writer, uint64_t losses, struct err *err)
{
    return damage_heals(filling_end(writer, losses, err), err);
}

/* A rebuild and the index keeper would both fill; one at a time, and the other is told who. */
static bool claim_filling(const char *dir, const char *what, int64_t wait_ms, int *ret_fd,
                          struct err *err)
{
    return keep_claim(dir, CLAIM_FILLING, what, wait_ms, ret_fd, err);
}

/*
 * Nothing is mapped yet, and there need not be an index: readers of a new installation just find
 * nothing.
 */
static bool reader_open(const char *dir, const struct field_table *fields, void **ret,
                        struct err *err)
{
    struct root *root;
    if (!root_open(dir, fields, false, &root, err))
        return false;
    struct reader *r = xcalloc(1, sizeof *r);
    r->root = root;
    r->unify = xcalloc(fields->search_count, sizeof(struct unify *));
    *ret = r;
    return true;
}

static void reader_close(void *reader)
{
    struct reader *r = reader;
    for (size_t i = 0; i < r->root->fields->search_count; i++)
        unify_free(r->unify[i]);
    free(r->unify);
    root_free(r->root);
    free(r);
}

/* Without a pass over rows: crash id to code to row, about a microsecond. */
static bool has_in(struct part *p, struct str crash_id, bool *ret, struct err *err)
{
    struct column *c = part_ids(p);
    uint32_t code;
    *ret = false;
    if (!c || p->rows == 0)
        return true;
    if (!column_map(c, err) || !dict_find(&c->dict, crash_id, false, &code, err))
        return false;
    uint32_t row = part_row_of(p, code);
    /* a row behind the snapshot was put a moment ago */
    *ret = row > p->rows || (row > 0 && !part_is_dead(p, row - 1));
    return true;
}

/* One look over a snapshot.  *ret_outdated: a partition was replaced meanwhile, look again. */
static bool has_now(struct root *root, struct str crash_id, bool *ret_outdated, bool *ret,
                    struct err *err)
{
    for (size_t i = 0; i < root->part_count && !*ret; i++) {
        struct part *p = root->parts[i];
        struct err why = {0};
        if (!p || has_in(p, crash_id, ret, &why))
            continue;
        if (table_entry(root->h, i).revision != p->revision)
            *ret_outdated = true;
        else if (why.code != ERR_DAMAGED) /* what a damaged partition held is not there */
            return err_set(err, why.code, "%s", why.msg);
    }
    return true;
}

static bool has(void *reader, struct str crash_id, bool *ret, struct err *err)
{
    struct reader *r = reader;
    end_look(r->root);
    for (int tries = 0; tries < SNAPSHOT_TRIES; tries++) {
        bool is_outdated = false, found = false;
        if (!damage_heals(root_snapshot(r->root, err), err) ||
            !has_now(r->root, crash_id, &is_outdated, &found, err))
            return false;
        if (found || !is_outdated) {
            *ret = found;
            return true;
        }
    }
    return err_set(err, ERR_UNAVAILABLE, "the partitions of the index keep changing");
}

/* It is there no more, or was made anew and is not filled yet, or nobody has looked whether it
 * is. */
static bool is_all_missing(const struct root *r)
{
    int64_t filled = r->h ? fact(r->h, FACT_FILLED) : 0;
    return filled == 0 || filled < fact(r->h, FACT_LOST_ALL);
}

/*
 * Of an index that lacks everything each week of the question is named, up to the number of weeks
 * that an index can have.
 */
static void name_all_weeks(const struct search_query *q, json_t *answer)
{
    int64_t from, to;
    json_t *errors = json_array();
    for (bool any = query_weeks(q, &from, &to); any && from <= to; from += 7) {
        char name[16];
        if (json_array_size(errors) == PARTS_MAX)
            break;
        part_name((int32_t)from, name);
        json_array_append_new(errors,
                              json_pack("{s:s, s:s}", "type", "missing_index", "index", name));
    }
    json_object_set_new(answer, "errors", errors);
}

static bool answer_query(void *reader, const struct search_query *q,
                         const struct search_limits *limits, json_t **ret, struct err *err)
{
    struct reader *r = reader;
    for (int tries = 0; tries < SNAPSHOT_TRIES; tries++) {
        bool is_outdated = false;
        if (!damage_heals(root_snapshot(r->root, err), err))
            return false;
        bool ok = damage_heals(run_query(r, q, limits, &is_outdated, ret, err), err);
        if (ok && is_all_missing(r->root))
            name_all_weeks(q, *ret);
        if (!is_outdated)
            return ok;
    }
    return err_set(err, ERR_UNAVAILABLE, "the partitions of the index keep changing");
}

static bool each_of_query(void *reader, const struct search_query *q,
                          const struct search_limits *limits, search_each_hit *each, void *arg,
                          size_t *ret_missing_weeks, struct err *err)
{
    struct reader *r = reader;
    for (int tries = 0; tries < SNAPSHOT_TRIES; tries++) {
        bool is_outdated = false;
        if (!damage_heals(root_snapshot(r->root, err), err))
            return false;
        bool ok = damage_heals(
            run_each(r, q, limits, each, arg, ret_missing_weeks, &is_outdated, err), err);
        if (ok && is_all_missing(r->root))
            ++*ret_missing_weeks;
        if (!is_outdated)
            return ok;
    }
    return err_set(err, ERR_UNAVAILABLE, "the partitions of the index keep changing");
}

static bool sample_query(void *reader, const struct search_query *q,
                         const struct search_limits *limits, struct sample_values *values,
                         size_t max, struct sample *ret, struct err *err)
{
    struct reader *r = reader;
    for (int tries = 0; tries < SNAPSHOT_TRIES; tries++) {
        bool is_outdated = false;
        if (!damage_heals(root_snapshot(r->root, err), err))
            return false;
        bool ok = damage_heals(run_sample(r, q, limits, values, max, &is_outdated, ret, err), err);
        if (ok && is_all_missing(r->root))
            ret->missing_weeks++;
        if (!is_outdated)
            return ok;
    }
    return err_set(err, ERR_UNAVAILABLE, "the partitions of the index keep changing");
}

const struct search_engine columns_engine = {
    .name = "columns",
    .writer_open = writer_open,
    .writer_close = writer_close,
    .put = put_crash,
    .delete = delete_crash,
    .sync = sync_index,
    .reader_open = reader_open,
    .reader_close = reader_close,
    .has = has,
    .run = answer_query,
    .each = each_of_query,
    .sample = sample_query,
    .verify = keep_verify,
    .compact = keep_compact,
    .expire = keep_expire,
    .reset = keep_reset,
    .ledger_seq = ledger_seq,
    .replayed = replayed,
    .look = look,
    .scrub = scrub,
    .pack = pack,
    .fill_begin = fill_begin,
    .fill_progress = fill_progress,
    .filled = filled,
    .claim_filling = claim_filling,
    .number = keep_number,
    .open_rebuild = rebuild_open,
    .place_of_rebuild = rebuild_dir,
    .note_rebuild = rebuild_note,
    .noted_of_rebuild = rebuild_noted,
    .finish_rebuild = rebuild_finish,
    .close_rebuild = rebuild_close,
    .health = health_of,
};
