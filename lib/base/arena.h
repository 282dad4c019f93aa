#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

/*
 * arena - memory that is released all at once: one per request, per crash.
 *
 * Ownership  The arena owns every block it hands out; nothing is freed singly.
 *            arena_reset() empties it and keeps one chunk for reuse.
 * Limit      max_bytes bounds the sum of allocations, and is soft and sticky like the misfit of
 *            rd.h: an allocation that crosses it is given all the same, and whoever began with
 *            the arena (a request, a crash, a batch) asks arena_within() once before the result
 *            is used and answers ERR_TOO_LARGE.  A single allocation that input sizes asks
 *            arena_fits() first, a loop that input drives asks arena_is_over() as it goes: what
 *            exceeds the limit by more than the reserve (max_bytes again, ARENA_RESERVE_MIN at
 *            least) is a mistake of ours and aborts the process.
 * Debug      Built with ARENA_DEBUG=1 every allocation is its own malloc, so
 *            AddressSanitizer sees overruns and use after reset.
 * Threads    One thread at a time.
 */
struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used_bytes;          /* handed out since the last reset */
    size_t max_bytes;
    bool is_over; /* sticky until arena_reset: the limit was crossed */
};
/* Sixteen chunks of the largest size: what functions without an error path allocate is far less. */
enum { ARENA_RESERVE_MIN = 16 << 20 };

void arena_init(struct arena *a, size_t max_bytes);
void arena_reset(struct arena *a);
void arena_release(struct arena *a);

/* Zeroed, aligned to 16 bytes. */
void *arena_alloc(struct arena *a, size_t size)
    __attribute__((returns_nonnull, alloc_size(2), assume_aligned(16)));
void *arena_array(struct arena *a, size_t n, size_t size) __attribute__((returns_nonnull));

/* Whether `size` more bytes stay inside the limit; else ERR_TOO_LARGE naming `what`. */
bool arena_fits(const struct arena *a, size_t size, const char *what, struct err *err);
static inline bool arena_is_over(const struct arena *a)
{
    return a->is_over;
}
/* The question at the boundary: ERR_TOO_LARGE naming `what` if the limit was crossed. */
bool arena_within(const struct arena *a, const char *what, struct err *err);

/* NUL-terminated copies. */
char *arena_strdup(struct arena *a, const char *s) __attribute__((returns_nonnull));
char *arena_memdup0(struct arena *a, const void *p, size_t n) __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));

#endif
