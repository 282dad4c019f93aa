/*
 * The index as others see it: documents in, searches out, whichever engine does it.  The functions
 * here add what no engine should have to think of:
 *
 *   - a writer is opened when it is first needed and again after a failure, at most once a second.
 *     Crashes are processed whether or not the index can be used, and looking at a broken disk for
 *     each of them would slow all of them down;
 *   - a document is made of the processed crash (doc.c) before the engine is asked, in an arena
 *     that belongs to the writer and is emptied for each: nothing of it outlives the put;
 *   - writer and reader remember the field table that they were opened with, so that a put and a
 *     search cannot mean different fields by one id.
 *
 * There is one engine, columns/; engine.h says what another would have to do.
 */
#include "lib/search/index.h"

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/doc.h"
#include "lib/search/engine.h"

/*
 * Texts stay in the JSON document; what the arena holds are the values and, for each field that is
 * a list, up to DOC_LIST_MAX strings of 16 bytes: a few MB for the worst document there is.
 */
enum { DOC_ARENA_BYTES = 64 << 20, OPEN_AGAIN_MS = 1000 };

struct index_writer {
    const struct search_engine *engine;
    char *dir;
    const struct field_table *fields;
    void *impl; /* NULL: not open */
    int64_t open_again_ms;
    struct err why;     /* it could not be opened */
    struct arena arena; /* of the document at hand */
};

struct index_writer *index_writer_new(const char *dir, const struct field_table *fields)
{
    struct index_writer *w = xcalloc(1, sizeof *w);
    w->engine = &columns_engine;
    w->dir = xstrdup(dir);
    w->fields = fields;
    arena_init(&w->arena, DOC_ARENA_BYTES);
    return w;
}

/* Between two tries the reason of the last one is told again. */
static bool ensure_open(struct index_writer *w, struct err *err)
{
    if (w->impl)
        return true;
    if (mono_ms() >= w->open_again_ms) {
        w->why = (struct err){0};
        if (w->engine->writer_open(w->dir, w->fields, &w->impl, &w->why))
            return true;
        w->open_again_ms = mono_ms() + OPEN_AGAIN_MS;
    }
    return err_set(err, w->why.code, "%s", w->why.msg);
}

bool index_writer_open(const char *dir, const struct field_table *fields, struct index_writer **ret,
                       struct err *err)
{
    struct index_writer *w = index_writer_new(dir, fields);
    if (!ensure_open(w, err)) {
        index_writer_close(w);
        return false;
    }
    *ret = w;
    return true;
}

void index_writer_close(struct index_writer *w)
{
    if (!w)
        return;
    if (w->impl)
        w->engine->writer_close(w->impl);
    arena_release(&w->arena);
    free(w->dir);
    free(w);
}

/*
 * The document is made first: one without a crash id or a date is the caller's mistake
 * (ERR_INVALID) whether or not the index can be opened.
 */
static bool put_document(struct index_writer *w, const json_t *processed_crash, bool only_if_absent,
                         bool *ret_was_there, struct err *err)
{
    struct doc doc;
    arena_reset(&w->arena);
    return doc_from_json(&w->arena, w->fields, processed_crash, &doc, err) &&
           arena_within(&w->arena, "the document", err) && ensure_open(w, err) &&
           w->engine->put(w->impl, &doc, only_if_absent, ret_was_there, err);
}

bool index_put(struct index_writer *w, const json_t *processed_crash, struct err *err)
{
    bool was_there;
    return put_document(w, processed_crash, false, &was_there, err);
}

bool index_put_absent(struct index_writer *w, const json_t *processed_crash, bool *ret_was_there,
                      struct err *err)
{
    return put_document(w, processed_crash, true, ret_was_there, err);
}

bool index_delete(struct index_writer *w, const char *crash_id, bool *ret_was_there,
                  struct err *err)
{
    return ensure_open(w, err) && w->engine->delete (w->impl, str_of(crash_id), ret_was_there, err);
}

bool index_sync(struct index_writer *w, struct err *err)
{
    return ensure_open(w, err) && w->engine->sync(w->impl, -1, err);
}

bool index_sync_to(struct index_writer *w, int64_t ledger_seq, struct err *err)
{
    return ensure_open(w, err) && w->engine->sync(w->impl, ledger_seq, err);
}

bool index_ledger_seq(struct index_writer *w, int64_t *ret, bool *ret_is_rolled_back,
                      struct err *err)
{
    return ensure_open(w, err) && w->engine->ledger_seq(w->impl, ret, ret_is_rolled_back, err);
}

bool index_replayed(struct index_writer *w, struct err *err)
{
    return ensure_open(w, err) && w->engine->replayed(w->impl, err);
}

bool index_look(struct index_writer *w, int64_t rest_ms, struct err *err)
{
    return ensure_open(w, err) && w->engine->look(w->impl, rest_ms, err);
}

bool index_scrub(struct index_writer *w, const struct index_pace *pace, size_t *ret_damaged,
                 struct err *err)
{
    return ensure_open(w, err) && w->engine->scrub(w->impl, pace, ret_damaged, err);
}

bool index_pack(struct index_writer *w, int64_t closed_us, int64_t wait_ms,
                const struct index_pace *pace, size_t *ret_packed, struct err *err)
{
    return ensure_open(w, err) &&
           w->engine->pack(w->impl, closed_us, wait_ms, pace, ret_packed, err);
}

bool index_fill_begin(struct index_writer *w, uint64_t crashes, uint64_t *ret_losses,
                      struct err *err)
{
    return ensure_open(w, err) && w->engine->fill_begin(w->impl, crashes, ret_losses, err);
}

bool index_fill_progress(struct index_writer *w, uint64_t looked, uint64_t put_count,
                         struct err *err)
{
    return ensure_open(w, err) && w->engine->fill_progress(w->impl, looked, put_count, err);
}

bool index_filled(struct index_writer *w, uint64_t losses, struct err *err)
{
    return ensure_open(w, err) && w->engine->filled(w->impl, losses, err);
}

/* A reader is opened where there is no index, too: it then answers as one that has lost
 * everything. */
bool index_reader_open(const char *dir, const struct field_table *fields, struct index_reader **ret,
                       struct err *err)
{
    void *impl;
    if (!columns_engine.reader_open(dir, fields, &impl, err))
        return false;
    struct index_reader *r = xcalloc(1, sizeof *r);
    r->engine = &columns_engine;
    r->fields = fields;
    r->impl = impl;
    *ret = r;
    return true;
}

void index_reader_close(struct index_reader *r)
{
    if (!r)
        return;
    r->engine->reader_close(r->impl);
    free(r);
}

bool index_has(struct index_reader *r, const char *crash_id, bool *ret, struct err *err)
{
    return r->engine->has(r->impl, str_of(crash_id), ret, err);
}

bool index_verify(const char *dir, const struct field_table *fields,
                  void (*report)(void *arg, const char *line), void *arg, struct err *err)
{
    return columns_engine.verify(dir, fields, report, arg, err);
}

bool index_compact(const char *dir, const struct field_table *fields, struct err *err)
{
    return columns_engine.compact(dir, fields, err);
}

bool index_expire(const char *dir, const struct field_table *fields, int64_t cutoff_us,
                  size_t *ret_dropped, struct err *err)
{
    return columns_engine.expire(dir, fields, cutoff_us, ret_dropped, err);
}

bool index_reset(const char *dir, const struct field_table *fields, struct err *err)
{
    return columns_engine.reset(dir, fields, err);
}

bool index_number(const char *dir, const struct field_table *fields, uint64_t codes_min,
                  const struct index_pace *pace, size_t *ret_written, struct err *err)
{
    return columns_engine.number(dir, fields, codes_min, pace, ret_written, err);
}

bool index_rebuild_open(const char *dir, const struct field_table *fields, int64_t from_us,
                        int64_t to_us, const char *what, int64_t wait_ms, struct rebuilding **ret,
                        struct err *err)
{
    return columns_engine.open_rebuild(dir, fields, from_us, to_us, what, wait_ms, ret, err);
}

const char *index_rebuild_dir(const struct rebuilding *b)
{
    return columns_engine.place_of_rebuild(b);
}

bool index_rebuild_note(struct rebuilding *b, int64_t number, struct err *err)
{
    return columns_engine.note_rebuild(b, number, err);
}

bool index_rebuild_noted(struct rebuilding *b, int64_t *ret, struct err *err)
{
    return columns_engine.noted_of_rebuild(b, ret, err);
}

bool index_rebuild_finish(struct rebuilding *b, const struct index_source *source,
                          size_t *ret_weeks, struct err *err)
{
    return columns_engine.finish_rebuild(b, source, ret_weeks, err);
}

void index_rebuild_close(struct rebuilding *b)
{
    columns_engine.close_rebuild(b);
}

bool index_claim_filling(const char *dir, const char *what, int64_t wait_ms, int *ret_fd,
                         struct err *err)
{
    return columns_engine.claim_filling(dir, what, wait_ms, ret_fd, err);
}

bool index_health(const char *dir, const struct field_table *fields, struct index_health *ret,
                  struct err *err)
{
    return columns_engine.health(dir, fields, ret, err);
}
