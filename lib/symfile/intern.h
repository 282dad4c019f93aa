#ifndef SYMFILE_INTERN_H
#define SYMFILE_INTERN_H

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"

/*
 * intern - numbers for things seen before, in order of first appearance: texts (intern)
 * and 64-bit keys (idmap).
 *
 * Ownership  intern borrows the bytes; idmap stores its keys.
 * Trust      Both hash with a random seed, so that nobody can prepare collisions.
 *            The caller bounds the number of entries.
 */
struct intern {
    VEC(struct str) items;
    struct intern_slot {
        uint32_t hash, id1; /* id + 1; 0 is a free slot */
    } * slots;
    size_t slot_count; /* power of two, at least twice the items */
    uint64_t seed;
};

void intern_init(struct intern *t);
void intern_release(struct intern *t);
uint32_t intern_id(struct intern *t, struct str s); /* s must stay where it is */
/* For bytes in a scratch buffer: copied into the arena when they are new. */
uint32_t intern_copy(struct intern *t, struct arena *a, struct str s);

struct idmap {
    VEC(uint32_t) direct; /* id + 1 of small keys, by key: nearly all are small and dense */
    struct idmap_slot {
        uint64_t key;
        uint32_t id1;
    } * slots; /* the others */
    size_t slot_count, slots_used;
    uint32_t n;
    uint64_t seed;
};

void idmap_init(struct idmap *m);
void idmap_release(struct idmap *m);
/* Number of the key, m->n (and one more afterwards) for a new one. */
uint32_t idmap_id(struct idmap *m, uint64_t key);

#endif
