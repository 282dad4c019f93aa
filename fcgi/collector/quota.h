#ifndef COLLECTOR_QUOTA_H
#define COLLECTOR_QUOTA_H

#include "lib/base/err.h"
#include "lib/crash/product.h"

/*
 * quota - how many reports of each product were accepted in this minute and on this day (UTC), over
 * all workers of this collector.
 *
 * Ownership  quota_new maps the table before the workers are forked; it lives as long as they do.
 * Precision  Never more than the quota; a new start of the collector begins at 0, and each of
 *            several collectors counts for itself.
 * Threads    Lock-free: a worker may be killed at any instruction.
 */
struct quota_table;

bool quota_new(struct quota_table **ret, struct err *err);

/* Counts one report of the product; false, and nothing counted, when it has no more. */
bool quota_take(struct quota_table *t, const struct product *p, int64_t now_s);

#endif
