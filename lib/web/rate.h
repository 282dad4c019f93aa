#ifndef WEB_RATE_H
#define WEB_RATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/*
 * rate - counts events per key in fixed time windows, in memory shared by all workers of a
 * program.
 *
 * Ownership  rate_new maps the table before the workers are forked; it lives as long as they do.
 * Precision  Counts are exact while fewer keys than slots are in use; when a key finds no slot it
 *            is not counted (the limit then does not hold, requests go on).
 * Threads    Lock-free: a worker may be killed at any instruction.
 */
struct rate_table;

bool rate_new(struct rate_table **ret, struct err *err);
void rate_free(struct rate_table *t);

/*
 * Events of `key` in `group` during the window of window_s seconds that holds now_s, after adding
 * `add` of them (0 only asks).  Counts stop at 2^20 - 1.
 */
uint32_t rate_count(struct rate_table *t, const char *group, struct str key, int window_s,
                    int64_t now_s, uint32_t add);

#endif
