#ifndef WEB_HUMAN_H
#define WEB_HUMAN_H

#include "lib/base/arena.h"

/*
 * human - numbers, sizes and times as people read them.  Results live in the arena.
 */
const char *human_count(struct arena *a, int64_t n);    /* 1,234,567 */
const char *human_size(struct arena *a, int64_t bytes); /* "64.2 MB", of 1024 each */
const char *human_duration(struct arena *a, int64_t s); /* "20 minutes, 34 seconds" */
const char *human_span(struct arena *a, int64_t s);     /* about: "11 months"; no sign */
const char *human_time(struct arena *a, int64_t us);    /* 2026-01-05 09:37:36 */
const char *human_day(struct arena *a, int64_t us);     /* 2026-01-05 */

#endif
