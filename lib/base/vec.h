#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <assert.h>

#include "lib/base/util.h"

/*
 * vec - a growing array of any type: declare VEC(struct thing) things = {0};
 *
 *     VEC_PUSH(&things, ((struct thing){…}));
 *     for (size_t i = 0; i < things.n; i++) use(&things.v[i]);
 *     VEC_RELEASE(&things);
 *
 * The caller bounds the number of elements; memory is malloc'ed and doubles.
 */
#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *v;                                                                                   \
        size_t n, cap;                                                                             \
    }

#define VEC_RESERVE(vec, want)                                                                     \
    do {                                                                                           \
        if ((vec)->cap < (want)) {                                                                 \
            size_t cap_ = MAX((vec)->cap * 2, (size_t)8);                                          \
            cap_ = MAX(cap_, (size_t)(want));                                                      \
            assert(cap_ <= SIZE_MAX / sizeof *(vec)->v);                                           \
            (vec)->v = xrealloc((vec)->v, cap_ * sizeof *(vec)->v);                                \
            (vec)->cap = cap_;                                                                     \
        }                                                                                          \
    } while (0)

#define VEC_PUSH(vec, value)                                                                       \
    do {                                                                                           \
        VEC_RESERVE(vec, (vec)->n + 1);                                                            \
        (vec)->v[(vec)->n++] = (value);                                                            \
    } while (0)

#define VEC_RELEASE(vec)                                                                           \
    do {                                                                                           \
        free((vec)->v);                                                                            \
        (vec)->v = NULL;                                                                           \
        (vec)->n = (vec)->cap = 0;                                                                 \
    } while (0)

#endif
