/*
 * Numbers for the values of samples.  Partitions have codes of their own, so the texts themselves
 * are what two samples have in common; each is hashed once per partition and sample (the engine
 * remembers its codes).  Lists are made into sets of numbers, and a set is a text again: its bytes.
 * Two crashes with the same modules share one set, and whoever looks for a module walks each set
 * once.
 */
#include "lib/search/sample.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/engine.h"

/*
 * The account of the search stops it long before: the most that a search may be allowed to hold is
 * filled by a million texts of a few hundred bytes.
 */
enum { TEXTS_MAX = 16 << 20 };

struct sample_values *sample_values_new(const struct search_field *const *fields, size_t n)
{
    struct sample_values *v = xcalloc(1, sizeof *v);
    v->fields = xcalloc(n, sizeof *v->fields);
    v->n = n;
    arena_init(&v->arena, SIZE_MAX / 4); /* held on the account of the search */
    for (size_t i = 0; i < n; i++) {
        v->fields[i].field = fields[i];
        textmap_init(&v->fields[i].texts, TEXTS_MAX);
        textmap_init(&v->fields[i].lists, TEXTS_MAX);
    }
    return v;
}

void sample_values_free(struct sample_values *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->n; i++) {
        textmap_release(&v->fields[i].texts);
        textmap_release(&v->fields[i].lists);
    }
    free(v->fields);
    arena_release(&v->arena);
    free(v);
}

void sample_release(struct sample *s)
{
    free(s->ids);
    *s = (struct sample){0};
}

static uint32_t number_in(struct textmap *m, struct arena *a, struct str text)
{
    uint32_t number = textmap_number(m, a, text);
    return number == TEXTMAP_FULL ? 0 : number + 1;
}

uint32_t sample_number(struct sample_values *v, size_t field, struct str text)
{
    return number_in(&v->fields[field].texts, &v->arena, text);
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

uint32_t sample_list_number(struct sample_values *v, size_t field, uint32_t *elements, size_t n)
{
    size_t kept = 0;
    qsort(elements, n, sizeof *elements, ascending);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || elements[i] != elements[kept - 1])
            elements[kept++] = elements[i];
    return number_in(&v->fields[field].lists, &v->arena,
                     str_n((const char *)elements, kept * sizeof *elements));
}

const uint32_t *sample_list(const struct sample_values *v, size_t field, uint32_t id, size_t *ret_n)
{
    struct str bytes = v->fields[field].lists.texts.v[id - 1];
    *ret_n = bytes.n / sizeof(uint32_t);
    return (const uint32_t *)(const void *)bytes.p; /* blocks of an arena are aligned */
}

bool search_sample(struct index_reader *r, const struct search_context *ctx,
                   const struct search_query *q, struct sample_values *values, size_t max,
                   struct sample *ret, struct err *err)
{
    assert(q->fields == r->fields);
    const struct search_limits limits = search_limits_of(ctx);
    *ret = (struct sample){0};
    return r->engine->sample(r->impl, q, &limits, values, max, ret, err);
}
