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
 * Limit      max_bytes bounds the sum of allocations.  arena_alloc() beyond it
 *            aborts the process: code that sizes by input asks arena_fits()
 *            first and answers ERR_TOO_LARGE.
 * Debug      Built with ARENA_DEBUG=1 every allocation is its own malloc, so
 *            AddressSanitizer sees overruns and use after reset.
 * Threads    One thread at a time.
 */
struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used_bytes;          /* handed out since the last reset */
    size_t max_bytes;
};

void arena_init(struct arena *a, size_t max_bytes);
void arena_reset(struct arena *a);
void arena_release(struct arena *a);

/* Zeroed, aligned to 16 bytes. */
void *arena_alloc(struct arena *a, size_t size)
    __attribute__((returns_nonnull, alloc_size(2), assume_aligned(16)));
void *arena_array(struct arena *a, size_t n, size_t size) __attribute__((returns_nonnull));

/* Whether `size` more bytes stay inside the limit; else ERR_TOO_LARGE naming `what`. */
bool arena_fits(const struct arena *a, size_t size, const char *what, struct err *err);

/* NUL-terminated copies. */
char *arena_strdup(struct arena *a, const char *s) __attribute__((returns_nonnull));
char *arena_memdup0(struct arena *a, const void *p, size_t n) __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));

#endif
