/*
 * Pictures of counts as rows of a template: bars beside a name, and lines over days with their
 * axis. They are made here and not by a script, so that pages work without one, can be printed, and
 * are the same for everybody; the script only makes a still picture one that can be moved. Nothing
 * here knows colours or sizes, which are the style sheet's: rows have numbers in coordinates of the
 * picture, and the axis is chosen so that its steps are round.
 */
#include "fcgi/webapp/chart.h"

#include "fcgi/webapp/fmt.h"
#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/web/human.h"
#include "rows.h"

/*
 * Where the parts of a picture are.  Coordinates are those of the viewBox; the style sheet gives
 * pictures their size on the page, so WIDTH and HEIGHT only say how the two relate.  LEFT leaves
 * room for "1,000,000", BOTTOM for one line of dates, TOP and RIGHT for half a line's width.
 */
enum { WIDTH = 1000, HEIGHT = 240, LEFT = 56, RIGHT = 12, BOTTOM = 24, TOP = 8, LINES_MAX = 5 };

const char *chart_share(struct arena *a, int64_t part, int64_t whole)
{
    double share = whole > 0 ? (double)part / (double)whole : 0;
    return arena_printf(a, "%.2f", 100 * MIN(MAX(share, 0.0), 1.0));
}

struct chart_days chart_days_of(int64_t from_us, int64_t to_us)
{
    int64_t first = from_us / DAY_US * DAY_US;
    int64_t days = (to_us - first + DAY_US - 1) / DAY_US;
    return (struct chart_days){.first_us = first,
                               .n = (size_t)MAX(days, 1),
                               .starts_late = from_us != first,
                               .ends_early = to_us % DAY_US != 0};
}

static bool is_partial(const struct chart_days *d, size_t day)
{
    return (day == 0 && d->starts_late) || (day + 1 == d->n && d->ends_early);
}

const char *chart_partial_text(struct arena *a, const struct chart_days *d)
{
    const char *text = "";
    for (size_t i = 0; i < d->n; i++)
        if (is_partial(d, i))
            text = arena_printf(a, "%s%s%s", text, *text ? ", " : " (partial: ",
                                human_day(a, d->first_us + (int64_t)i * DAY_US));
    return *text ? arena_printf(a, "%s)", text) : "";
}

/*
 * A day without reports keeps a line one unit high, and few reports are not mistaken for none: 3
 * units is the lowest bar that looks like one.  A bar takes 20 units with its gap; the picture is
 * as wide as its bars, and the page scales it.
 */
void chart_spark(struct arena *a, struct tpl_rows *bars, const struct chart_days *d,
                 const int64_t *counts, int64_t *ret_width)
{
    enum { STEP = 20, GAP = 3 }; /* whole numbers that look well; the page scales them */
    int64_t most = 1;
    for (size_t i = 0; i < d->n; i++)
        most = MAX(most, counts[i]);
    for (size_t i = 0; i < d->n; i++) {
        double h =
            counts[i] > 0 ? MAX(3.0, (double)SPARK_HEIGHT * (double)counts[i] / (double)most) : 1;
        struct tpl_row *bar = tpl_row_add(bars);
        tpl_col_cstr(bar, SPARK_BAR_CLASS,
                     counts[i] == 0     ? "zero"
                     : is_partial(d, i) ? "partial"
                     : i + 1 == d->n    ? "last"
                                        : "");
        tpl_col_int(bar, SPARK_BAR_X, (int64_t)i * STEP + GAP);
        tpl_col_cstr(bar, SPARK_BAR_Y, arena_printf(a, "%.1f", SPARK_HEIGHT - h));
        tpl_col_cstr(bar, SPARK_BAR_HEIGHT, arena_printf(a, "%.1f", h));
    }
    *ret_width = (int64_t)d->n * STEP;
}

/*
 * 1, 2 or 5 times a power of ten, so that at most five steps reach `most`: such numbers are read
 * off a scale without reckoning.  The end of the loop is for counts that no installation has, where
 * the next power would overflow.
 */
static int64_t step_for(int64_t most)
{
    static const int64_t factors[] = {1, 2, 5};
    for (int64_t power = 1; power < INT64_MAX / 100; power *= 10)
        for (size_t i = 0; i < ARRAY_LEN(factors); i++)
            if (factors[i] * power * 5 >= most)
                return factors[i] * power;
    return most;
}

/* What turns days and counts into coordinates. */
struct plot {
    int64_t top; /* value at the upper edge */
    struct chart_days days;
};

/* The first day stands at the left edge and the last at the right; one day alone at the left. */
static double x_of(const struct plot *f, size_t day)
{
    size_t last = f->days.n > 1 ? f->days.n - 1 : 1;
    return LEFT + (double)(WIDTH - LEFT - RIGHT) * (double)day / (double)last;
}

/* SVG counts from the top. */
static double y_of(const struct plot *f, int64_t v)
{
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (double)v / (double)f->top);
}

static void add_grid(struct tpl_rows *grid, struct arena *a, const struct plot *f, int64_t step)
{
    for (int64_t v = 0; v <= f->top; v += step) {
        double y = y_of(f, v);
        struct tpl_row *line = tpl_row_add(grid);
        tpl_col_cstr(line, GRIDLINE_CLASS, v == 0 ? "axis" : "gridline");
        tpl_col_cstr(line, GRIDLINE_Y, arena_printf(a, "%.1f", y));
        tpl_col_cstr(line, GRIDLINE_TEXT, human_count(a, v));
        tpl_col_cstr(line, GRIDLINE_TEXT_Y, arena_printf(a, "%.1f", y + 4)); /* middle of digits */
    }
}

/* At most eight dates, month and day: more run into each other on a narrow screen. */
static void add_dates(struct tpl_rows *dates, struct arena *a, const struct plot *f)
{
    size_t every = (f->days.n + 7) / 8;
    for (size_t i = 0; i < f->days.n; i += MAX(every, (size_t)1)) {
        const char *day = human_day(a, f->days.first_us + (int64_t)i * DAY_US);
        struct tpl_row *date = tpl_row_add(dates);
        tpl_col_cstr(date, CHART_DATE_X, arena_printf(a, "%.1f", x_of(f, i)));
        tpl_col_text(date, CHART_DATE_TEXT, str_sub(str_of(day), 5, 5));
    }
}

/*
 * The points of some days as one attribute of a polyline.  The class is the place of the line, from
 * s1: the style sheet has a colour for each.  What leads to a partial day is drawn apart.
 */
static void add_points(struct tpl_rows *rows, struct arena *a, const struct plot *f,
                       const struct chart_line *line, const char *class, size_t first, size_t last)
{
    /* Two numbers of a picture, each of at most 20 characters with its decimal, and what stands
     * between. */
    enum { POINT_MAX = 64 };
    STRBUF_AUTO points;
    sb_init(&points, f->days.n * POINT_MAX);
    for (size_t i = first; i <= last; i++)
        sb_printf(&points, "%.1f,%.1f ", x_of(f, i), y_of(f, line->counts[i]));
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, CHART_LINE_CLASS, class);
    tpl_col_text(row, CHART_LINE_POINTS, str_copy(a, sb_view(&points)));
}

static void add_line(struct tpl_rows *rows, struct arena *a, const struct plot *f,
                     const struct chart_line *line, size_t number)
{
    const char *class = arena_printf(a, "s%zu", number);
    const char *dashed = arena_printf(a, "%s partial", class);
    size_t last = f->days.n - 1, from = 0, to = last;
    if (last > 0 && is_partial(&f->days, 0))
        add_points(rows, a, f, line, dashed, from++, 1);
    if (last > from && is_partial(&f->days, last))
        add_points(rows, a, f, line, dashed, --to, last);
    if (from < to || last == 0)
        add_points(rows, a, f, line, class, from, to);
}

/* The word above the days that are partial, at the edges of the picture. */
static void add_partial(struct tpl_rows *rows, struct arena *a, const struct plot *f)
{
    for (size_t i = 0; i < f->days.n; i++) {
        if (!is_partial(&f->days, i))
            continue;
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, CHART_PARTIAL_X, arena_printf(a, "%.1f", x_of(f, i)));
        tpl_col_cstr(row, CHART_PARTIAL_ANCHOR, i == 0 ? "start" : "end");
    }
}

/* Where the parts of the picture are; the same for all of them. */
static void set_size(struct tpl_values *v, const char *label)
{
    tpl_cstr(v, "chart_label", label);
    tpl_int(v, "chart_width", WIDTH);
    tpl_int(v, "chart_height", HEIGHT);
    tpl_int(v, "chart_left", LEFT);
    tpl_int(v, "chart_right", WIDTH - RIGHT);
    tpl_int(v, "chart_text_x", LEFT - 8);
    tpl_int(v, "chart_dates_y", HEIGHT - 6);
    tpl_int(v, "chart_partial_y", TOP + 10); /* below the upper edge by the height of its letters */
}

/* The top is a whole number of steps, and never 0: a graph without crashes is a line at its
 * foot. */
void chart_set_days(struct tpl_values *v, struct arena *a, const struct chart_days *days,
                    const struct chart_line *lines, size_t line_count, const char *label)
{
    int64_t most = 1;
    for (size_t l = 0; l < line_count; l++)
        for (size_t i = 0; i < days->n; i++)
            most = MAX(most, lines[l].counts[i]);
    int64_t step = step_for(most);
    struct plot f = {.top = (most + step - 1) / step * step, .days = *days};
    struct tpl_rows *drawn = tpl_list(v, LIST_CHART_LINES);
    set_size(v, arena_printf(a, "%s%s", label, chart_partial_text(a, days)));
    add_grid(tpl_list(v, LIST_CHART_GRID), a, &f, step);
    add_dates(tpl_list(v, LIST_CHART_DATES), a, &f);
    add_partial(tpl_list(v, LIST_CHART_PARTIALS), a, &f);
    for (size_t l = 0; l < line_count && l < LINES_MAX; l++)
        add_line(drawn, a, &f, &lines[l], l + 1);
}

/* Empty lists and a size: the template names them all, and what a template names must be set. */
void chart_set_none(struct tpl_values *v)
{
    set_size(v, "");
    tpl_list(v, LIST_CHART_GRID);
    tpl_list(v, LIST_CHART_DATES);
    tpl_list(v, LIST_CHART_PARTIALS);
    tpl_list(v, LIST_CHART_LINES);
}
