#ifndef WEBAPP_FMT_H
#define WEBAPP_FMT_H

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/json/json.h"

/*
 * fmt - numbers, dates and frames as people read them, beside those of all pages
 * (lib/web/human.h).  Results live in the arena.
 */

/* "59 seconds"; from a minute on "1,234 seconds (20 minutes, 34 seconds)". */
const char *fmt_seconds(struct arena *a, int64_t s);

/* "1,024 bytes"; above that "12,345,678 bytes (12.35 MB)", decimal units. */
const char *fmt_bytes(struct arena *a, int64_t n);

/* "date, signature": for a text field of a form. */
const char *fmt_names(struct arena *a, struct strs names);

/* 100 * part / whole with that many decimals and no sign; whole 0 gives 0. */
const char *fmt_percent(struct arena *a, int64_t part, int64_t whole, int decimals);

const char *fmt_minute(struct arena *a, int64_t us); /* 2026-01-05T09:37, for input fields */
const char *fmt_iso_time(struct arena *a,
                         const char *iso); /* the same from ISO text; as it is if unreadable */

/* "2026-01-05" of a build id that starts with an existing date, else "". */
const char *fmt_build_date(struct arena *a, struct str build_id);

/* Place of a bucket of 60 seconds among the uptime ranges; fmt_uptime_range names it. */
enum { UPTIME_RANGES = 5 };
size_t fmt_uptime_index(int64_t uptime_s);
const char *fmt_uptime_range(size_t i);

/* "" for moves of less than five places, else "+7" (up) or "-7". */
const char *fmt_rank_change(struct arena *a, int64_t rank_now, int64_t rank_before);

/*
 * What is shown as the signature of one stack frame: function, else file#line, else
 * module@offset, else the first unloaded module, else @address.
 */
struct str fmt_frame(struct arena *a, const json_t *frame);
struct str fmt_function(struct arena *a, struct str function); /* blanks around * & , */
struct str fmt_strip_zeros(struct arena *a, struct str hex);   /* 0x000012 -> 0x12 */

/* Text and link of a source file; url is "" where there is nothing to link to. */
struct source_link {
    struct str text, url;
};
struct source_link fmt_source(struct arena *a, struct str file, int64_t line);

#endif
