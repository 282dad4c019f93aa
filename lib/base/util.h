#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * util - the few macros everything uses: array length, ownership hand-over,
 * scope-bound release, allocation that cannot fail.
 */
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#undef MIN /* GLib, which templates bring along, has the same ones */
#undef MAX
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Moves a pointer out of a scope-bound variable: the variable becomes NULL. */
#define TAKE(ptr)                                                                                  \
    ({                                                                                             \
        __typeof__(ptr) taken_ = (ptr);                                                            \
        (ptr) = NULL;                                                                              \
        taken_;                                                                                    \
    })

/* Moves a descriptor out of a scope-bound variable: the variable becomes -1. */
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int taken_ = (fd);                                                                         \
        (fd) = -1;                                                                                 \
        taken_;                                                                                    \
    })

static inline void util_free_ptr(void *pp)
{
    free(*(void **)pp);
}

static inline void util_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define FREE_LATER __attribute__((cleanup(util_free_ptr)))
#define FD_AUTO    __attribute__((cleanup(util_close_fd))) int

/*
 * Allocation whose size was bounded by the caller.  Running out of memory means
 * the machine is full: the process aborts and is restarted (style: errors).
 */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));

#endif
