/*
 * Frames become texts.  Of the crashing thread all are taken, in order, so that "within the first
 * five" and "called by" can be asked.  Of all threads it is a set, and when it is full what lies
 * deep in a stack is left out first: the topmost frames of all threads are taken, then the ones
 * below them, and so on.
 */
#include "lib/search/doc_frames.h"

#include <stdlib.h>

#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

/* The path without its last step, which is a key of frames. */
static struct str take_key(struct str *path)
{
    size_t dot = path->n;
    while (dot > 0 && path->p[dot - 1] != '.')
        dot--;
    struct str key = str_sub(*path, dot, SIZE_MAX);
    path->n = dot > 0 ? dot - 1 : 0;
    return key;
}

static const json_t *below(const json_t *from, struct str path)
{
    struct str step;
    while (from && str_split(&path, '.', &step))
        from = json_object_getn(from, step.p, step.n);
    return from;
}

/* Of a module name its case is kept: Windows writes one name in several ways, others do not. */
static struct str text_of(const json_t *frame, struct str key)
{
    const json_t *v = json_object_getn(frame, key.p, key.n);
    struct str s = json_is_string(v) ? str_n(json_string_value(v), json_string_length(v)) : STR("");
    s.n = utf8_prefix_bytes(s, DOC_FRAME_BYTES_MAX);
    return s;
}

/* The module of an inlined call is that of the frame it is in; function and file are its own. */
static struct str text_of_inline(const json_t *frame, const json_t *inlined, struct str key)
{
    return text_of(str_eq(key, STR("module")) ? frame : inlined, key);
}

static bool put_frame(struct strs *out, struct str text)
{
    if (out->n == DOC_FRAMES_MAX)
        return false;
    out->v[out->n++] = text;
    return true;
}

static struct strs in_order(struct arena *a, const json_t *frames, struct str key)
{
    struct strs out = {.v = arena_array(a, DOC_FRAMES_MAX, sizeof(struct str))};
    size_t i, k, named = 0;
    const json_t *frame, *inlined;
    bool has_room = true;
    json_array_foreach (frames, i, frame) {
        json_array_foreach (json_object_get(frame, "inlines"), k, inlined)
            has_room = has_room && put_frame(&out, text_of_inline(frame, inlined, key));
        if (!has_room || !put_frame(&out, text_of(frame, key)))
            break;
    }
    for (i = 0; i < out.n; i++)
        named += out.v[i].n > 0;
    return named ? out : (struct strs){0};
}

/* The set of one field while the threads are read. */
struct gathering {
    struct textmap set;
    struct str key, last; /* last: in the set; threads that wait side by side share their frames */
};

/* False: the set is full. */
static bool add_text(struct gathering *g, struct str text)
{
    if (text.n == 0 || str_eq(text, g->last))
        return true;
    g->last = text;
    return textmap_number(&g->set, NULL, text) != TEXTMAP_FULL;
}

/* Calls that are inlined have the module of their frame, which a set has once in any case. */
static bool add_frame(struct gathering *g, const json_t *frame, bool has_inlines)
{
    size_t k;
    const json_t *inlined;
    if (has_inlines)
        json_array_foreach (json_object_get(frame, "inlines"), k, inlined)
            if (!add_text(g, text_of(inlined, g->key)))
                return false;
    return add_text(g, text_of(frame, g->key));
}

/*
 * The frames of one depth in all stacks; those that end here are taken out, so that the depths
 * below do not look at them again.  False: none is that deep, or the set is full.
 */
static bool add_depth(struct gathering *g, const json_t **stacks, size_t *n, size_t depth)
{
    bool has_inlines = !str_eq(g->key, STR("module"));
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        const json_t *frame = json_array_get(stacks[i], depth);
        if (!frame)
            continue;
        if (!add_frame(g, frame, has_inlines))
            return false;
        stacks[kept++] = stacks[i];
    }
    *n = kept;
    return kept > 0;
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct strs of_all(struct arena *a, const json_t *threads, struct str list, struct str key)
{
    struct gathering g = {.key = key};
    size_t n = MIN(json_array_size(threads), (size_t)DOC_THREADS_MAX);
    const json_t **stacks = arena_array(a, n + 1, sizeof(json_t *));
    for (size_t i = 0; i < n; i++)
        stacks[i] = json_object_getn(json_array_get(threads, i), list.p, list.n);
    textmap_init(&g.set, DOC_THREAD_TEXTS_MAX);
    for (size_t depth = 0; depth < DOC_FRAMES_MAX; depth++)
        if (!add_depth(&g, stacks, &n, depth))
            break;
    struct strs out = {.v = arena_array(a, g.set.texts.n + 1, sizeof(struct str)),
                       .n = g.set.texts.n};
    for (size_t i = 0; i < out.n; i++)
        out.v[i] = g.set.texts.v[i];
    qsort(out.v, out.n, sizeof *out.v, by_bytes);
    textmap_release(&g.set);
    return out;
}

/*
 * The thread that reports show as the crashing one: of a shutdown that hung the processor has made
 * it the main thread, and json_dump.crashing_thread is the one that noticed.
 */
static const json_t *frames_of_crash(const json_t *doc, struct str path)
{
    int64_t i = -1;
    const json_t *threads = jpath(doc, "json_dump.threads");
    if (jget_int(doc, "crashing_thread", &i) && i >= 0 && (size_t)i < json_array_size(threads))
        return json_object_get(json_array_get(threads, (size_t)i), "frames");
    return below(doc, path);
}

struct strs doc_frames(struct arena *a, const json_t *processed_crash, const struct search_field *f)
{
    struct str path = str_of(f->source_key), key = take_key(&path);
    if (f->frames == FRAMES_OF_CRASH)
        return in_order(a, frames_of_crash(processed_crash, path), key);
    struct str list = take_key(&path);
    return of_all(a, below(processed_crash, path), list, key);
}
