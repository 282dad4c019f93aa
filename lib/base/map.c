/*
 * Growing and emptying of the tables of map.h; looking up is in the header, where the compiler can
 * put it into the caller's loop.
 *
 * Half full at most: with one place after the other tried, a key that is not there costs 2.5 places
 * on average at that load and 8.5 at three quarters (Knuth, The Art of Computer Programming, 6.4,
 * theorem K).  Keys and values lie apart, twelve bytes a place: one array of sixteen bytes is
 * faster while a table fits into the second-level cache, and slower beyond, where the time goes.
 */
#include "lib/base/map.h"

#include <assert.h>

#include "lib/base/hash.h"
#include "lib/base/util.h"

enum {
    CAP_FIRST = 1024, /* twelve kilobytes: most tables of a search or a symbols file stay there */
    PLACE_BYTES = sizeof(uint64_t) + sizeof(uint32_t),
    TAGMAP_CAP_FIRST = 256, /* two kilobytes */
};

void map_init(struct map *m, size_t max)
{
    *m = (struct map){.max = max, .seed = random_u64(), .factor = random_u64() | 1};
}

void map_release(struct map *m)
{
    free(m->keys);
    *m = (struct map){0};
}

/*
 * Empties without giving back: a map that is filled again and again keeps the size it needed once.
 * Keys need no clearing, since a value of 0 says that the place is free.
 */
void map_reset(struct map *m)
{
    if (m->n)
        memset(m->values, 0, m->cap * sizeof *m->values);
    m->n = 0;
}

static size_t map_next_cap(const struct map *m)
{
    return MAX(m->cap * 2, (size_t)CAP_FIRST);
}

size_t map_grown_bytes(const struct map *m)
{
    return map_next_cap(m) * PLACE_BYTES;
}

size_t map_bytes(const struct map *m)
{
    return m->cap * PLACE_BYTES;
}

/* One block: the allocator then keeps it for the next table more often than two. */
static void map_take_arrays(struct map *m)
{
    m->cap = map_next_cap(m);
    m->keys = xmalloc(m->cap * PLACE_BYTES);
    m->values = (uint32_t *)(m->keys + m->cap);
    memset(m->values, 0, m->cap * sizeof *m->values);
}

void map_restart(struct map *m)
{
    free(m->keys);
    m->n = 0;
    map_take_arrays(m);
}

/* Every key is put again: its place depends on the size of the table. */
void map_grow(struct map *m)
{
    assert(m->factor != 0); /* map_init was called */
    struct map old = *m;
    map_take_arrays(m);
    for (size_t i = 0; i < old.cap; i++) {
        if (!old.values[i])
            continue;
        size_t at = map_place(m, old.keys[i]);
        m->keys[at] = old.keys[i];
        m->values[at] = old.values[i];
    }
    free(old.keys);
}

void tagmap_release(struct tagmap *m)
{
    free(m->places);
    *m = (struct tagmap){0};
}

void tagmap_reset(struct tagmap *m)
{
    if (m->n)
        memset(m->places, 0, m->cap * sizeof *m->places);
    m->n = 0;
}

size_t tagmap_bytes(const struct tagmap *m)
{
    return m->cap * sizeof *m->places;
}

static void tagmap_place(struct tagmap *m, uint64_t place)
{
    size_t at = place >> 32 & (m->cap - 1);
    while (m->places[at])
        at = (at + 1) & (m->cap - 1);
    m->places[at] = place;
}

/* The tag finds the new place, for a table has at most 2^32 of them; the things stay untouched. */
static void tagmap_grow(struct tagmap *m)
{
    struct tagmap old = *m;
    m->cap = MAX(old.cap * 2, (size_t)TAGMAP_CAP_FIRST);
    m->places = xcalloc(m->cap, sizeof *m->places);
    for (size_t i = 0; i < old.cap; i++)
        if (old.places[i])
            tagmap_place(m, old.places[i]);
    free(old.places);
}

void tagmap_add(struct tagmap *m, uint64_t hash, uint32_t number)
{
    assert(number != 0);
    if (m->n * 2 >= m->cap)
        tagmap_grow(m);
    tagmap_place(m, hash >> 32 << 32 | number);
    m->n++;
}

void textmap_init(struct textmap *m, size_t max)
{
    assert(max < TEXTMAP_FULL);
    *m = (struct textmap){.max = max, .seed = random_u64()};
}

void textmap_release(struct textmap *m)
{
    VEC_RELEASE(&m->texts);
    tagmap_release(&m->numbers);
}

static bool is_text(const void *owner, uint32_t number, const void *wanted)
{
    const struct textmap *m = owner;
    return str_eq(m->texts.v[number - 1], *(const struct str *)wanted);
}

uint32_t textmap_number(struct textmap *m, struct arena *a, struct str text)
{
    uint64_t hash = hash64_seed(text.p, text.n, m->seed);
    uint32_t known = tagmap_find(&m->numbers, hash, is_text, m, &text);
    if (known)
        return known - 1;
    if (m->texts.n >= m->max)
        return TEXTMAP_FULL;
    VEC_PUSH(&m->texts, a ? str_copy(a, text) : text);
    tagmap_add(&m->numbers, hash, (uint32_t)m->texts.n);
    return (uint32_t)m->texts.n - 1;
}
