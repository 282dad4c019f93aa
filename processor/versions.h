#ifndef PROCESSOR_VERSIONS_H
#define PROCESSOR_VERSIONS_H

#include "lib/db/db.h"
#include "processor/job.h"

/*
 * versions - the version source of a worker: the table product_version, with a cache.
 *
 * Ownership  Borrows the connection.  version_source's ctx is the struct versions.
 * Cache      Found answers stay a day, empty ones half an hour; a fixed number of slots.
 * Errors     A lookup that fails counts as "nothing is known" and is not kept.
 */
struct versions;

struct versions *versions_new(struct db *db);
void versions_free(struct versions *v);
struct version_source versions_source(struct versions *v);

#endif
