#ifndef PROCESSOR_VERSION_CACHE_H
#define PROCESSOR_VERSION_CACHE_H

#include "lib/base/metrics.h"
#include "lib/db/db.h"
#include "processor/job.h"

/*
 * version_cache - the version source of a worker: the table product_version, with a cache.
 *
 * Ownership  Borrows the connection.  version_source's ctx is the struct version_cache.
 * Cache      Found answers stay a day, empty ones half an hour; a fixed number of slots.
 * Errors     A lookup that fails counts as "nothing is known" and is not kept.
 */
struct version_cache;

struct version_cache *version_cache_new(struct db *db, struct metrics *metrics);
void version_cache_free(struct version_cache *v);
struct version_source version_cache_source(struct version_cache *v);

#endif
