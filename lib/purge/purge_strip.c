/*
 * Taking annotations out of crashes that are kept.
 *
 * An annotation goes from the raw crash and, with the key it is copied to, from processed crash,
 * index and export at once; then the crash is queued for processing, which starts from an empty
 * document, so that whatever rules derived from it goes as well.
 *
 * Without its annotation a raw crash is not found again.  So its id is noted (purge_strip) before
 * the first change; all changes and the message in the queue may be repeated; and the id is marked
 * when the message is there.  A kill between any two steps leaves an id that is not marked, and the
 * next process does all of it again.
 *
 * Two times the index is rewritten: behind the changes, and when all of the crashes were processed
 * again, since only then the rows with derived values are dead.  The processors are not waited for:
 * the run is in the state `processing`, and the scheduled job looks whether they are done.  A
 * worker that had read the raw crash before it was changed can store the value once more; the
 * message that was queued behind the change takes it out, and the second rewrite comes after that.
 *
 * Values are never printed or logged, only ids, names and counts.
 */
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/db/db.h"
#include "lib/export/export.h"
#include "lib/json/json.h"
#include "lib/ledger/ledger.h"
#include "lib/purge/purge_inside.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "queries.h"

/* Crashes that leave a published day together, since its files are written anew for that. */
enum { OF_DAY_MAX = 20000, STRIP_BYTES_MAX = 4 << 20 };

/* NULL in *ret and true: there is none; crashes are deleted meanwhile. */
static bool get_document(const struct purging *p, const char *id, const char *kind, json_t **ret,
                         struct err *err)
{
    struct err why = {0};
    json_t *doc = store_get_json(p->tools->store, id, kind, JSON_BYTES_MAX, &why);
    *ret = doc;
    return doc || why.code == ERR_NOT_FOUND ||
           err_set(err, why.code, "%s of %s: %s", kind, id, why.msg);
}

static bool put_document(const struct purging *p, const char *id, const char *kind,
                         const json_t *doc, struct err *err)
{
    size_t n;
    FREE_LATER char *text = jdump(doc, &n);
    return store_put(p->tools->store, id, kind, str_n(text, n), err);
}

/*
 * The names alone would tell that a report had the annotation.  Backwards, since removing moves
 * what follows.
 */
static void strip_key_list(const struct purging *p, json_t *list)
{
    const struct strs *names = &p->target.names;
    for (size_t k = json_array_size(list); k-- > 0;)
        for (size_t i = 0; i < names->n; i++) {
            const char *name = json_string_value(json_array_get(list, k));
            if (name && strcmp(name, names->v[i].p) == 0) {
                json_array_remove(list, k);
                break;
            }
        }
}

static void strip_processed(const struct purging *p, json_t *doc)
{
    for (size_t i = 0; i < p->target.names.n; i++) {
        const struct annotation *a = annotation_find(p->tools->fields, p->target.names.v[i]);
        if (a && a->processed_key)
            json_object_del(doc, a->processed_key);
    }
    strip_key_list(p, jget_arr(doc, "crash_report_keys"));
}

/*
 * A minidump may hold the value in its memory, which nobody can cut out.  The list of dumps is
 * emptied last: until then it says what is left.
 */
static bool drop_dumps(struct purging *p, const char *id, struct err *err)
{
    struct strs names = {0};
    struct arena a;
    struct store *store = p->tools->store;
    arena_init(&a, 1 << 20);
    bool ok = store_dump_names(store, &a, id, &names, err);
    for (size_t i = 0; ok && i < names.n; i++) {
        p->progress->dumps++;
        ok = store_remove(store, id, names.v[i].p, err);
    }
    ok = ok && store_put(store, id, "dump_names", STR("[]"), err);
    arena_release(&a);
    return ok;
}

/* Without a processed crash what the index has is a leftover. */
static bool strip_copies(struct purging *p, const char *id, struct err *err)
{
    json_auto_t *processed = NULL;
    bool was_there;
    if (!get_document(p, id, "processed_crash", &processed, err))
        return false;
    if (!processed)
        return index_delete(p->writer, id, &was_there, err);
    strip_processed(p, processed);
    return put_document(p, id, "processed_crash", processed, err) &&
           index_put(p->writer, processed, err);
}

static bool strip_crash(struct purging *p, const char *id, struct err *err)
{
    json_auto_t *raw = NULL;
    if (!get_document(p, id, "raw_crash", &raw, err))
        return false;
    if (!raw)
        return true;
    for (size_t i = 0; i < p->target.names.n; i++)
        json_object_del(raw, p->target.names.v[i].p);
    return strip_copies(p, id, err) && (!p->drops_dumps || drop_dumps(p, id, err)) &&
           store_remove(p->tools->store, id, "crash_report", err) &&
           put_document(p, id, "raw_crash", raw, err);
}

static bool strip_batch(struct purging *p, struct strs ids, struct arena *a, struct err *err)
{
    struct ledger_entry *entries = arena_array(a, ids.n, sizeof *entries);
    for (size_t i = 0; i < ids.n; i++) {
        if (!strip_crash(p, ids.v[i].p, err))
            return false;
        entries[i] = (struct ledger_entry){.crash_id = ids.v[i].p, .queue = QUEUE_REPROCESSING};
    }
    if (!ledger_publish_all(p->tools->db, entries, ids.n, err) ||
        !DB_EXEC(p->tools->db, &q_purge_strip_queued, err, p->run_id, db_text_array(a, ids)))
        return false;
    p->progress->changed += ids.n;
    if (p->tools->progress)
        p->tools->progress(p->tools->arg, p->progress);
    return true;
}

/* A record that was not published yet goes with its crash. */
static bool strip_page(struct purging *p, struct arena *a, size_t *ret_n, struct err *err)
{
    DB_ROWS rows = {0};
    size_t exported;
    if (!DB_RUN(p->tools->db, &q_purge_strip_left, &rows, err, p->run_id, db_int(a, OF_DAY_MAX)))
        return false;
    struct strs ids = {.v = arena_array(a, OF_DAY_MAX, sizeof(struct str))};
    for (int i = 0; i < rows.count; i++)
        ids.v[ids.n++] = str_of(db_col(&rows, i, Q_PURGE_STRIP_LEFT_COL_CRASH_ID));
    *ret_n = ids.n;
    if (ids.n == 0)
        return true;
    if (!purge_open_writer(p, err) ||
        !export_remove(conf_text(p->tools->conf, CONF_DATIL_VAR), ids, &exported, err))
        return false;
    for (size_t i = 0; i < ids.n; i += LEDGER_BATCH_MAX) {
        struct strs batch = {ids.v + i, MIN(ids.n - i, (size_t)LEDGER_BATCH_MAX)};
        if (!strip_batch(p, batch, a, err))
            return false;
    }
    return true;
}

bool purge_strip_listed(struct purging *p, struct err *err)
{
    struct arena a;
    size_t n;
    bool ok;
    arena_init(&a, STRIP_BYTES_MAX);
    do {
        arena_reset(&a);
        ok = strip_page(p, &a, &n, err);
    } while (ok && n > 0);
    arena_release(&a);
    return ok;
}

bool purge_strip_settle(struct purging *p, size_t *ret_n, struct err *err)
{
    DB_ROWS rows = {0};
    *ret_n = 0;
    if (!DB_RUN(p->tools->db, &q_purge_strip_ready, &rows, err))
        return false;
    if (rows.count == 0)
        return true;
    arena_reset(&p->page);
    struct strs ids = {.v = arena_array(&p->page, (size_t)rows.count, sizeof(struct str))};
    for (int i = 0; i < rows.count; i++)
        ids.v[ids.n++] = str_of(db_col(&rows, i, Q_PURGE_STRIP_READY_COL_RUN_ID));
    *ret_n = ids.n;
    return purge_clean_up(p, err) &&
           DB_EXEC(p->tools->db, &q_purge_strip_end, err, db_text_array(&p->page, ids));
}
