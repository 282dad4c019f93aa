#ifndef CORRELATIONS_DERIVED_H
#define CORRELATIONS_DERIVED_H

#include "lib/correlations/traits.h"
#include "lib/search/sample.h"

/*
 * derived - properties that are computed from the fields of a crash; private to attributes.c.
 */
struct build { /* what items are made from, and how many names there have been */
    struct arena *arena;
    const struct sample_values *values;
    const struct sample *samples; /* SET_COUNT */
    uint32_t attributes;
};

struct item_value {
    enum item_kind kind;
    struct str text;
};

/* A name with one value per crash. */
struct property {
    const char *name;
    uint32_t attribute;
    enum cause cause;
    const uint32_t *ids[SET_COUNT]; /* by row: 0 is "missing", else values[id - 1] */
    const struct item_value *values;
    size_t value_count;
};

extern const size_t derived_count;
/* False: fields that it is made of do not exist.  Free it in either case. */
bool derived_make(struct build *b, size_t which, struct property *ret);
void derived_free(struct property *p);

/* Which of the values this field is; SIZE_MAX: none. */
size_t build_field(const struct build *b, const char *name);

static inline double set_share(const struct traits *items, int set, uint32_t count)
{
    return items->size[set] ? (double)count / (double)items->size[set] : 0;
}

#endif
