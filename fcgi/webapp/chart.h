#ifndef WEBAPP_CHART_H
#define WEBAPP_CHART_H

#include "lib/tpl/tpl.h"

/*
 * chart - small still pictures (SVG) that need no script.
 *
 * Colours and widths come from the style sheet; markup holds only numbers and escaped text.
 */
struct html chart_bar(struct arena *a, double share); /* 0..1, below a number in a table */
struct html chart_spark(struct arena *a, const int64_t *counts, size_t n, const char *label);

struct chart_line {
    const int64_t *counts; /* one for each day */
};
/* Lines over days; first_day_us is midnight of the first.  At most five lines. */
struct html chart_days(struct arena *a, int64_t first_day_us, size_t days,
                       const struct chart_line *lines, size_t line_count, const char *label);

#endif
