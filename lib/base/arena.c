/*
 * The limit is a promise about input, not about memory: code that crosses it by a few small blocks
 * goes on as if nothing had happened, so that no caller of arena_strdup needs an error path, and
 * the one who owns the arena throws the result away.  Before, crossing it ended the process, which
 * made every limit a way to kill a worker.
 *
 * Chunks grow from 16 KiB by doubling up to 1 MiB; an allocation larger than
 * that gets a chunk of its own.  Resetting keeps the newest ordinary chunk:
 * after a few requests a worker allocates nothing any more.
 */
#include "lib/base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/util.h"

enum {
    ALIGN = 16,             /* what malloc promises on 64-bit machines: room for any type */
    CHUNK_FIRST = 16 << 10, /* four pages: an arena for a few texts costs no more than that */
    CHUNK_MAX = 1 << 20,    /* what an emptied arena goes on holding at most */
};

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* bytes in data */
    size_t used;
    size_t pad; /* keeps data aligned to 16 */
    uint8_t data[];
};

void arena_init(struct arena *a, size_t max_bytes)
{
    *a = (struct arena){.max_bytes = max_bytes};
}

static void free_chunks(struct arena_chunk *c)
{
    while (c) {
        struct arena_chunk *next = c->next;
        free(c);
        c = next;
    }
}

/* The arena may be used again afterwards; its limit stays. */
void arena_release(struct arena *a)
{
    free_chunks(a->chunks);
    a->chunks = NULL;
    a->used_bytes = 0;
    a->is_over = false;
}

/*
 * With ARENA_DEBUG each allocation is a block of its own and all of them are given back here, so
 * that the sanitizer sees a read behind an end, and a pointer that has outlived its request.
 */
void arena_reset(struct arena *a)
{
#if ARENA_DEBUG
    arena_release(a);
#else
    struct arena_chunk *keep = a->chunks;
    if (keep && keep->size <= CHUNK_MAX) {
        free_chunks(keep->next);
        keep->next = NULL;
        memset(keep->data, 0, keep->used); /* arena_alloc promises zeroes */
        keep->used = 0;
        a->used_bytes = 0;
        a->is_over = false;
    } else {
        arena_release(a);
    }
#endif
}

static struct arena_chunk *add_chunk(struct arena *a, size_t need)
{
    size_t size = need;
#if !ARENA_DEBUG
    size_t next = a->chunks ? MIN(a->chunks->size * 2, (size_t)CHUNK_MAX) : (size_t)CHUNK_FIRST;
    size = MAX(need, next);
#endif
    struct arena_chunk *c = xcalloc(1, sizeof *c + size);
    c->size = size;
    c->next = a->chunks;
    a->chunks = c;
    return c;
}

/* Written so that neither side can wrap, whatever size a file has asked for. */
static bool is_inside(const struct arena *a, size_t size, size_t limit)
{
    return size <= limit && a->used_bytes <= limit - size;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (__builtin_expect(!is_inside(a, size, a->max_bytes), 0)) {
        size_t reserve = MAX(a->max_bytes, (size_t)ARENA_RESERVE_MIN);
        a->is_over = true;
        /* sized by input without arena_fits, or a loop that does not ask arena_is_over */
        assert(is_inside(a, size, a->max_bytes + MIN(reserve, SIZE_MAX - a->max_bytes)));
    }
    a->used_bytes += size;

    size_t need = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
#if ARENA_DEBUG
    /* Exactly `size` bytes behind the header, so that a one-byte overrun is seen. */
    struct arena_chunk *c = add_chunk(a, size);
    (void)need;
    return c->data;
#else
    struct arena_chunk *c = a->chunks;
    if (!c || need > c->size - c->used)
        c = add_chunk(a, need);
    void *p = c->data + c->used;
    c->used += need;
    return p;
#endif
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    assert(size == 0 || n <= SIZE_MAX / size);
    return arena_alloc(a, n * size);
}

bool arena_fits(const struct arena *a, size_t size, const char *what, struct err *err)
{
    if (is_inside(a, size, a->max_bytes))
        return true;
    return err_set(err, ERR_TOO_LARGE, "%s: %zu more bytes exceed the limit of %zu", what, size,
                   a->max_bytes);
}

bool arena_within(const struct arena *a, const char *what, struct err *err)
{
    return !a->is_over || err_set(err, ERR_TOO_LARGE, "%s takes more than %zu bytes of memory",
                                  what, a->max_bytes);
}

/* n may be 0 with p NULL, as in struct str: memcpy is not asked then. */
char *arena_memdup0(struct arena *a, const void *p, size_t n)
{
    char *copy = arena_alloc(a, n + 1);
    if (n > 0)
        memcpy(copy, p, n);
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_memdup0(a, s, strlen(s));
}

/* Formatted twice: the length must be known before room is taken, which cannot be given back. */
char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    char *s = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(s, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return s;
}
