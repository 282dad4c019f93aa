#ifndef WEBAPP_CHART_H
#define WEBAPP_CHART_H

#include "lib/tpl/tpl.h"

/*
 * chart - small still pictures (SVG) that need no script.
 *
 * The markup is in the templates, colours and widths of lines in the style sheet; what comes from
 * here are numbers in the pictures' own coordinates.
 */

/* The width of a bar, 0 to 100, below a percentage (part/bar.html); whole 0: none of it. */
const char *chart_share(struct arena *a, int64_t part, int64_t whole);

/* The bars of a column "spark"; *ret_width is that of the picture, which is SPARK_HEIGHT high. */
enum { SPARK_HEIGHT = 44 }; /* three lines of text in the row of a table */
void chart_spark(struct arena *a, struct tpl_rows *bars, const int64_t *counts, size_t n,
                 int64_t *ret_width);

struct chart_line {
    const int64_t *counts; /* one for each day */
};
/*
 * Everything that part/chart-days.html shows: lines over days; first_day_us is midnight of the
 * first.  The style sheet has colours for five lines, so at most five are drawn.
 */
void chart_set_days(struct tpl_values *v, struct arena *a, int64_t first_day_us, size_t days,
                    const struct chart_line *lines, size_t line_count, const char *label);
/* The same where there is nothing to draw. */
void chart_set_none(struct tpl_values *v);

#endif
