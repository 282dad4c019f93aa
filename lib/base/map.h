#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"

/*
 * map - hash tables that nobody can fill with collisions, each with a maximum.
 *
 *     map       64-bit numbers -> a number that is not 0
 *     textmap   texts -> 0, 1, 2, … in the order in which they first came
 *     tagmap    what both leave open: numbers of things that lie with the caller, found by a hash
 *               of the thing and a test for it.  textmap is made of it
 *
 * All of them probe one place after the other in an array of two's power that is never more than
 * half full, and keep no deletions.  Every table draws its own seed from the kernel, so an order
 * of places says nothing and is never shown; what must come out in a fixed order is sorted, or
 * goes by the numbers of a textmap.  docs/decisions/126-own-hash-map.md says why they are ours.
 *
 * Ownership  A table owns its arrays until …_release; keys of a map are copied into it, texts of
 *            a textmap are borrowed or copied into the arena of the call.
 * Errors     None but "full", which the functions that add say.
 * Trust      Keys may be chosen by strangers.
 * Threads    None; readers may share a table that is no longer changed.
 */

struct map {
    uint64_t *keys;   /* owned, with the values behind them */
    uint32_t *values; /* 0: the place is free, whatever its key is */
    size_t n, cap;    /* keys, places */
    size_t max;       /* keys at most */
    uint64_t seed, factor;
};

void map_init(struct map *m, size_t max);
void map_release(struct map *m);

/* Forgets all keys and keeps the room. */
void map_reset(struct map *m);

size_t map_bytes(const struct map *m);

/*
 * Who keeps an account of memory asks before a key that may be new.  True: the next new key makes
 * the map grow, which allocates map_grown_bytes and then frees map_bytes.
 */
static inline bool map_must_grow(const struct map *m)
{
    return __builtin_expect(m->n * 2 >= m->cap, 0);
}
size_t map_grown_bytes(const struct map *m);
void map_grow(struct map *m);

/*
 * Twice the places and no key.  For who has all keys elsewhere and adds them again: without the
 * old array beside the new one malloc gives less back to the kernel, to be asked for it again.
 */
void map_restart(struct map *m);

/*
 * The mixing of wyhash (Wang Yi, public domain): both halves of a product with a secret odd number.
 * Its one multiplication takes as long as that of an unseeded table.
 */
static inline size_t map_place(const struct map *m, uint64_t key)
{
    unsigned __int128 product = (unsigned __int128)(key ^ m->seed) * m->factor;
    size_t at = ((size_t)(product >> 64) ^ (size_t)product) & (m->cap - 1);
    while (m->values[at] && m->keys[at] != key)
        at = (at + 1) & (m->cap - 1);
    return at;
}

/* The value of the key; 0: it is not there. */
static inline uint32_t map_get(const struct map *m, uint64_t key)
{
    return m->n ? m->values[map_place(m, key)] : 0;
}

/*
 * The place for the key's value, good until the next key is added.  It holds 0 when the key is new,
 * and the caller then sets it to something else, at once.  NULL: full, nothing has changed.
 */
static inline uint32_t *map_at(struct map *m, uint64_t key)
{
    if (map_must_grow(m))
        map_grow(m);
    size_t at = map_place(m, key);
    if (m->values[at])
        return &m->values[at];
    if (m->n == m->max)
        return NULL;
    m->keys[at] = key;
    m->n++;
    return &m->values[at];
}

/*
 * The number of the key: 1, 2, 3, … in the order in which keys first came, which is m->n for a new
 * one.  0: it is new and there is no room.  Not together with map_at.
 */
static inline uint32_t map_number(struct map *m, uint64_t key)
{
    uint32_t *place = map_at(m, key);
    if (place && *place == 0)
        *place = (uint32_t)m->n;
    return place ? *place : 0;
}

/* The array is kept in files, too (search/columns/format.h, struct numbering_head): where a hash
 * leads may change only with their format. */
struct tagmap {
    uint64_t *places; /* upper half of the hash, number; 0: free */
    size_t n, cap;
};

/* Is the thing of this number the one that is looked for? */
typedef bool tagmap_is(const void *owner, uint32_t number, const void *wanted);

void tagmap_release(struct tagmap *m);
void tagmap_reset(struct tagmap *m);

size_t tagmap_bytes(const struct tagmap *m);

/* The hash must be seeded where strangers choose the things.  The thing must not be there yet, and
 * its number is not 0. */
void tagmap_add(struct tagmap *m, uint64_t hash, uint32_t number);

/* 0: there is none.  In the header, so that `is` costs no call. */
static inline uint32_t tagmap_find(const struct tagmap *m, uint64_t hash, tagmap_is *is,
                                   const void *owner, const void *wanted)
{
    if (m->n == 0)
        return 0;
    uint64_t tag = hash >> 32;
    for (size_t at = tag & (m->cap - 1); m->places[at]; at = (at + 1) & (m->cap - 1)) {
        uint32_t number = (uint32_t)m->places[at];
        if (m->places[at] >> 32 == tag && is(owner, number, wanted))
            return number;
    }
    return 0;
}

struct textmap {
    VEC(struct str) texts; /* by number */
    struct tagmap numbers; /* number + 1 */
    size_t max;
    uint64_t seed;
};

enum { TEXTMAP_FULL = UINT32_MAX };

/* At most max texts, less than TEXTMAP_FULL. */
void textmap_init(struct textmap *m, size_t max);
void textmap_release(struct textmap *m);

/*
 * The number of the text, which is a new one (texts.n before) when it was never seen.
 * TEXTMAP_FULL: it is new and there are max.  A new text is copied into the arena, or with NULL
 * borrowed: it must then stay where it is.
 */
uint32_t textmap_number(struct textmap *m, struct arena *a, struct str text);

#endif
