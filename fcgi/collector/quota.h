#ifndef COLLECTOR_QUOTA_H
#define COLLECTOR_QUOTA_H

#include "lib/base/err.h"
#include "lib/crash/product.h"
#include "lib/spool/spool.h"

/*
 * quota - how many reports of each product were accepted in this minute and on this day (UTC), over
 * all processes that take reports into one spool.
 *
 * Ownership  The mapping lives as long as the process; there is no release.
 * Durability One file, SPOOL_DIR/quotas.  It survives kills and restarts and may be deleted while
 *            no collector runs.  It is never synced: a failure of the machine may cost counts.
 * Precision  Never more than the quota, as long as the file is there.  Collectors with other
 *            spools count for themselves.
 * Errors     quota_open: a file that cannot be made is no reason to refuse reports.  The counts
 *            are then those of the processes forked from this one, and the log says so.
 * Threads    Lock-free: a worker may be killed at any instruction.
 */
struct quota_table;

/* Of a spool that is open (spool_open). */
bool quota_open(const struct spool *spool, struct quota_table **ret, struct err *err);

/* Counts one report of the product; false, and nothing counted, when it has no more. */
bool quota_take(struct quota_table *t, const struct product *p, int64_t now_s);

#endif
