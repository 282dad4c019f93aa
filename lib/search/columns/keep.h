#ifndef SEARCH_COLUMNS_KEEP_H
#define SEARCH_COLUMNS_KEEP_H

#include "search/columns/root.h"

/*
 * keep - housekeeping of an index.  Each opens it by itself and takes the lock as briefly as
 * it can; readers and writers go on.
 */
bool keep_sync(struct root *r, struct err *err);
bool keep_compact(const char *dir, struct err *err);
bool keep_expire(const char *dir, int64_t cutoff_us, size_t *ret_dropped, struct err *err);
bool keep_reset(const char *dir, struct err *err);
bool keep_verify(const char *dir, void (*report)(void *arg, const char *line), void *arg,
                 struct err *err);

#endif
