#ifndef MINIDUMP_MEMORY_H
#define MINIDUMP_MEMORY_H

#include "lib/minidump/mdmp.h"
#include "lib/minidump/range.h"

/*
 * memory - the pieces of the crashed process's memory in a dump, and what is known of
 * its address space.
 *
 * Ownership  Regions point into the dump; the arrays live in the arena.
 * Limits     Sixteen times as many regions as Linux lets a process have (vm.max_map_count, 65,530).
 */
enum { MDMP_REGIONS_MAX = 1 << 20 };

struct mdmp_region {
    uint64_t base;
    struct rd bytes; /* byte order of the dump; n > 0 */
};

struct mdmp_memory {
    struct mdmp_region *regions;
    struct ranges index;
};

/* The 64-bit list of full dumps, else the plain one; none of both is an empty memory. */
void mdmp_memory_read(const struct mdmp *d, struct arena *a, struct mdmp_memory *ret);

/* The region containing addr, or NULL. */
const struct mdmp_region *mdmp_memory_at(const struct mdmp_memory *m, uint64_t addr);

/* An unsigned integer of `bytes` (1, 2, 4, 8); it must lie inside the region. */
bool mdmp_region_uint(const struct mdmp_region *region, uint64_t addr, size_t bytes, uint64_t *ret);
bool mdmp_memory_uint(const struct mdmp_memory *m, uint64_t addr, size_t bytes, uint64_t *ret);

struct mdmp_mapping {
    uint64_t base, size;
    bool can_read, can_write, can_execute;
};

/* A mapping without a file that its owner has named: "[anon:dalvik-jit-code-cache]". */
struct mdmp_label {
    uint64_t base;
    struct str text;
};

struct mdmp_maps {
    struct mdmp_mapping *v;
    size_t n;
    struct ranges index;
    struct mdmp_label *labels; /* from Linux' maps, also when v comes from elsewhere */
    struct ranges label_index;
    bool has_linux_maps;
    size_t linux_map_count; /* mappings in the maps stream, also when v comes from elsewhere */
};

/* Windows' memory info list, else Linux' maps text. */
void mdmp_maps_read(const struct mdmp *d, struct arena *a, struct mdmp_maps *ret);
const struct mdmp_mapping *mdmp_maps_at(const struct mdmp_maps *m, uint64_t addr);
/* NULL: nobody gave that memory a name. */
const struct mdmp_label *mdmp_label_at(const struct mdmp_maps *m, uint64_t addr);

#endif
