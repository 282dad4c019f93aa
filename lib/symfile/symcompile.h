#ifndef SYMFILE_SYMCOMPILE_H
#define SYMFILE_SYMCOMPILE_H

#include <stdint.h>

#include "lib/symfile/symcache.h"

/*
 * symcompile - the symbols text at a path as a .csym of the cache, by the sandboxed reader.
 *
 * Errors     Logged, once for each attempt: BAD is the fault of the text, MISS ours.
 * Processes  One compiles, others that want the same wait for its lock.
 */
struct symcompile_cache {
    const char *dir;
    const char *store_dir; /* of symstore, or NULL; what is evicted first */
    int64_t max_bytes;     /* 0: no limit */
};

/* HIT: *ret_fd is open, the caller closes it. */
enum symcache_state symcompile(const struct symcompile_cache *cache, const struct symkey *k,
                               const char *path, int *ret_fd);

#endif
