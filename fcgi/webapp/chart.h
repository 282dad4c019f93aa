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

/*
 * The UTC days that a period touches.  The period may begin after the midnight of its first day and
 * end before that of its last: such days are partial, and pictures say so, since their low counts
 * would pass for news.
 */
struct chart_days {
    int64_t first_us; /* midnight */
    size_t n;         /* at least 1 */
    bool starts_late, ends_early;
};
struct chart_days chart_days_of(int64_t from_us, int64_t to_us);
/* " (partial: 2026-11-21, 2026-11-28)" for the name of a picture, or "". */
const char *chart_partial_text(struct arena *a, const struct chart_days *days);

struct chart_line {
    const int64_t *counts; /* one for each day */
};
/*
 * Everything that part/chart-days.html shows: lines over days.  The style sheet has colours for
 * five lines, so at most five are drawn.
 */
void chart_set_days(struct tpl_values *v, struct arena *a, const struct chart_days *days,
                    const struct chart_line *lines, size_t line_count, const char *label);
/* The bars of a column "spark"; *ret_width is that of the picture, which is SPARK_HEIGHT high. */
enum { SPARK_HEIGHT = 44 }; /* three lines of text in the row of a table */
void chart_spark(struct arena *a, struct tpl_rows *bars, const struct chart_days *days,
                 const int64_t *counts, int64_t *ret_width);

/* The same as chart_set_days where there is nothing to draw. */
void chart_set_none(struct tpl_values *v);

#endif
