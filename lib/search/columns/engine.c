#include "search/engine.h"

#include "base/util.h"
#include "search/columns/keep.h"
#include "search/columns/run.h"
#include "search/columns/write.h"

/*
 * Inside of this engine ERR_INVALID says that a file is not what it should be; partitions are set
 * aside by it.  Those who ask from outside would take it for a mistake of their own.
 */
enum { SNAPSHOT_TRIES = 100 };

static bool damage_is_ours(bool ok, struct err *err)
{
    if (!ok && err && err->code == ERR_INVALID)
        err->code = ERR_UNAVAILABLE;
    return ok;
}

static bool writer_open(const char *dir, void **ret, struct err *err)
{
    struct root *r;
    if (!damage_is_ours(root_open(dir, true, &r, err), err))
        return false;
    *ret = r;
    return true;
}

static void writer_close(void *writer)
{
    root_free(writer);
}

static bool put(void *writer, const struct doc *doc, struct err *err)
{
    struct root *r = writer;
    if (!damage_is_ours(root_lock(r, err), err))
        return false;
    bool ok = write_put(r, doc, err);
    root_unlock(r);
    return damage_is_ours(ok, err);
}

static bool delete_crash(void *writer, struct str crash_id, bool *ret_was_there, struct err *err)
{
    struct root *r = writer;
    if (!damage_is_ours(root_lock(r, err), err))
        return false;
    bool ok = write_delete(r, crash_id, ret_was_there, err);
    root_unlock(r);
    return damage_is_ours(ok, err);
}

static bool sync_index(void *writer, struct err *err)
{
    return damage_is_ours(keep_sync(writer, err), err);
}

static bool reader_open(const char *dir, void **ret, struct err *err)
{
    struct root *root;
    if (!root_open(dir, false, &root, err))
        return false;
    struct reader *r = xcalloc(1, sizeof *r);
    r->root = root;
    r->unify = xcalloc(search_field_count + 1, sizeof(struct unify *));
    *ret = r;
    return true;
}

static void reader_close(void *reader)
{
    struct reader *r = reader;
    for (size_t i = 0; i < search_field_count; i++)
        unify_free(r->unify[i]);
    free(r->unify);
    root_free(r->root);
    free(r);
}

static bool has_in(struct part *p, struct str crash_id, bool *ret, struct err *err)
{
    struct column *c = p->by_field[search_field_find(STR("uuid")) - search_fields];
    uint32_t code;
    *ret = false;
    if (!c || p->rows == 0)
        return true;
    if (!column_map(c, err) || !dict_find(&c->dict, crash_id, false, &code, err))
        return false;
    if (code == 0 || code > mfile_elements(&p->row_of, 4))
        return true;
    uint32_t row = ((const uint32_t *)mfile_data(&p->row_of))[code - 1];
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
        if (atomic_load(&root->h->parts[i].revision) != p->revision)
            *ret_outdated = true;
        else if (why.code != ERR_INVALID) /* what a damaged partition held is not there */
            return err_set(err, why.code, "%s", why.msg);
    }
    return true;
}

static bool has(void *reader, struct str crash_id, bool *ret, struct err *err)
{
    struct reader *r = reader;
    for (int tries = 0; tries < SNAPSHOT_TRIES; tries++) {
        bool is_outdated = false, found = false;
        if (!damage_is_ours(root_snapshot(r->root, err), err) ||
            !has_now(r->root, crash_id, &is_outdated, &found, err))
            return false;
        if (found || !is_outdated) {
            *ret = found;
            return true;
        }
    }
    return err_set(err, ERR_UNAVAILABLE, "the partitions of the index keep changing");
}

static bool run(void *reader, const struct search_query *q, const struct search_limits *limits,
                json_t **ret, struct err *err)
{
    struct reader *r = reader;
    for (int tries = 0; tries < SNAPSHOT_TRIES; tries++) {
        bool is_outdated = false;
        if (!damage_is_ours(root_snapshot(r->root, err), err))
            return false;
        bool ok = run_query(r, q, limits, &is_outdated, ret, err);
        if (!is_outdated)
            return ok;
    }
    return err_set(err, ERR_UNAVAILABLE, "the partitions of the index keep changing");
}

const struct search_engine columns_engine = {
    .name = "columns",
    .writer_open = writer_open,
    .writer_close = writer_close,
    .put = put,
    .delete = delete_crash,
    .sync = sync_index,
    .reader_open = reader_open,
    .reader_close = reader_close,
    .has = has,
    .run = run,
    .verify = keep_verify,
    .compact = keep_compact,
    .expire = keep_expire,
    .reset = keep_reset,
};
