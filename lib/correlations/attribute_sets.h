#ifndef CORRELATIONS_ATTRIBUTE_SETS_H
#define CORRELATIONS_ATTRIBUTE_SETS_H

#include "lib/correlations/derived.h"

/*
 * attribute_sets - properties of which a crash has many: add-ons, modules, phrases in its notes.
 * Each that is common enough is true or false of every crash.  Private to attributes.c.
 */
struct member {
    const char *name; /* as shown: Module "a.dll" */
    uint32_t attribute;
    uint32_t count[SET_COUNT];
    uint64_t *bits[SET_COUNT];
};

struct members {
    enum cause cause;
    struct member *v;
    size_t n;
    size_t left_out;
};

extern const size_t member_kind_count;
void members_make(struct build *b, size_t kind, const char *phrases, struct members *ret);
void members_release(struct members *m);

#endif
