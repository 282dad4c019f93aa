#include "search/index.h"

#include "base/util.h"
#include "search/engine.h"

enum { DOC_ARENA_BYTES = 64 << 20 };

struct index_writer {
    const struct search_engine *engine;
    void *impl;
    struct arena arena; /* of the document at hand */
};

bool index_writer_open(const char *dir, struct index_writer **ret, struct err *err)
{
    void *impl;
    if (!columns_engine.writer_open(dir, &impl, err))
        return false;
    struct index_writer *w = xcalloc(1, sizeof *w);
    w->engine = &columns_engine;
    w->impl = impl;
    arena_init(&w->arena, DOC_ARENA_BYTES);
    *ret = w;
    return true;
}

void index_writer_close(struct index_writer *w)
{
    if (!w)
        return;
    w->engine->writer_close(w->impl);
    arena_release(&w->arena);
    free(w);
}

bool index_put(struct index_writer *w, const json_t *processed_crash, struct err *err)
{
    struct doc doc;
    arena_reset(&w->arena);
    return doc_from_json(&w->arena, processed_crash, &doc, err) &&
           w->engine->put(w->impl, &doc, err);
}

bool index_delete(struct index_writer *w, const char *crash_id, bool *ret_was_there,
                  struct err *err)
{
    return w->engine->delete (w->impl, str_of(crash_id), ret_was_there, err);
}

bool index_sync(struct index_writer *w, struct err *err)
{
    return w->engine->sync(w->impl, err);
}

bool index_reader_open(const char *dir, struct index_reader **ret, struct err *err)
{
    void *impl;
    if (!columns_engine.reader_open(dir, &impl, err))
        return false;
    struct index_reader *r = xcalloc(1, sizeof *r);
    r->engine = &columns_engine;
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

bool index_verify(const char *dir, void (*report)(void *arg, const char *line), void *arg,
                  struct err *err)
{
    return columns_engine.verify(dir, report, arg, err);
}

bool index_compact(const char *dir, struct err *err)
{
    return columns_engine.compact(dir, err);
}

bool index_expire(const char *dir, int64_t cutoff_us, size_t *ret_dropped, struct err *err)
{
    return columns_engine.expire(dir, cutoff_us, ret_dropped, err);
}

bool index_reset(const char *dir, struct err *err)
{
    return columns_engine.reset(dir, err);
}
