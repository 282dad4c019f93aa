#ifndef DUMP_SYMS_IDMAP_H
#define DUMP_SYMS_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * idmap - a hash table from a non-zero 64-bit key to a 32-bit value.
 *
 * The key is the address of an entry in the mapped debug information: unlike its
 * offset that is unique when two files (with and without dwz) are in play.
 * Ownership  The map owns its tables until idmap_release.
 */
struct idmap {
    uint64_t *keys;
    uint32_t *values;
    size_t slots, used;
};

void idmap_set(struct idmap *m, uint64_t key, uint32_t value);
bool idmap_get(const struct idmap *m, uint64_t key, uint32_t *ret_value);
void idmap_release(struct idmap *m);

#endif
