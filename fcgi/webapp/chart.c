#include "fcgi/webapp/chart.h"

#include "fcgi/webapp/fmt.h"
#include "lib/base/util.h"

enum { WIDTH = 1000, HEIGHT = 240, LEFT = 56, BOTTOM = 24, TOP = 8, SVG_MAX = 1 << 20 };

struct html chart_bar(struct arena *a, double share)
{
    HTML_WRITER_AUTO w;
    html_init(&w, 400);
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    html_raw(&w, "<svg class=\"bar\" viewBox=\"0 0 100 5\" preserveAspectRatio=\"none\" "
                 "aria-hidden=\"true\">");
    html_printf(&w, "<rect width=\"%.2f\" height=\"5\"/>", share * 100);
    html_raw(&w, "</svg>");
    return html_done(&w, a);
}

struct html chart_spark(struct arena *a, const int64_t *counts, size_t n, const char *label)
{
    int64_t most = 1;
    for (size_t i = 0; i < n; i++)
        most = MAX(most, counts[i]);
    HTML_WRITER_AUTO w;
    html_init(&w, SVG_MAX);
    html_printf(&w,
                "<svg class=\"spark\" viewBox=\"0 0 %zu 44\" preserveAspectRatio=\"none\" "
                "role=\"img\">",
                n * 20);
    html_raw(&w, "<title>");
    html_text(&w, str_of(label));
    html_raw(&w, "</title>");
    for (size_t i = 0; i < n; i++) {
        double h = counts[i] > 0 ? MAX(3.0, 44.0 * (double)counts[i] / (double)most) : 1;
        if (counts[i] == 0)
            html_raw(&w, "<rect class=\"zero\"");
        else if (i + 1 == n)
            html_raw(&w, "<rect class=\"last\"");
        else
            html_raw(&w, "<rect");
        html_printf(&w, " x=\"%zu\" y=\"%.1f\" width=\"14\" height=\"%.1f\"/>", i * 20 + 3, 44 - h,
                    h);
    }
    html_raw(&w, "</svg>");
    return html_done(&w, a);
}

/* 1, 2 or 5 times a power of ten, so that at most five steps reach `most`. */
static int64_t step_for(int64_t most)
{
    static const int64_t factors[] = {1, 2, 5};
    for (int64_t power = 1; power < INT64_MAX / 100; power *= 10)
        for (size_t i = 0; i < ARRAY_LEN(factors); i++)
            if (factors[i] * power * 5 >= most)
                return factors[i] * power;
    return most;
}

struct plot {
    int64_t top; /* value at the upper edge */
    size_t days;
};

static double x_of(const struct plot *f, size_t day)
{
    size_t last = f->days > 1 ? f->days - 1 : 1;
    return LEFT + (double)(WIDTH - LEFT - 12) * (double)day / (double)last;
}

static double y_of(const struct plot *f, int64_t v)
{
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (double)v / (double)f->top);
}

static void grid(struct html_writer *w, struct arena *a, const struct plot *f, int64_t step)
{
    for (int64_t v = 0; v <= f->top; v += step) {
        double y = y_of(f, v);
        if (v == 0)
            html_raw(w, "<line class=\"axis\"");
        else
            html_raw(w, "<line class=\"gridline\"");
        html_printf(w, " x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH - 12, y, y);
        html_printf(w, "<text text-anchor=\"end\" x=\"%d\" y=\"%.1f\">", LEFT - 8, y + 4);
        html_text(w, str_of(fmt_count(a, v)));
        html_raw(w, "</text>");
    }
}

static void day_names(struct html_writer *w, struct arena *a, const struct plot *f,
                      int64_t first_day_us)
{
    size_t every = (f->days + 7) / 8;
    for (size_t i = 0; i < f->days; i += MAX(every, (size_t)1)) {
        html_printf(w, "<text text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">", x_of(f, i), HEIGHT - 6);
        html_text(w, str_sub(str_of(fmt_day(a, first_day_us + (int64_t)i * 86400000000)), 5, 5));
        html_raw(w, "</text>");
    }
}

struct html chart_days(struct arena *a, int64_t first_day_us, size_t days,
                       const struct chart_line *lines, size_t line_count, const char *label)
{
    int64_t most = 1;
    for (size_t l = 0; l < line_count; l++)
        for (size_t i = 0; i < days; i++)
            most = MAX(most, lines[l].counts[i]);
    int64_t step = step_for(most);
    struct plot f = {.top = (most + step - 1) / step * step, .days = days};

    HTML_WRITER_AUTO w;
    html_init(&w, SVG_MAX);
    html_printf(&w, "<svg viewBox=\"0 0 %d %d\" role=\"img\">", WIDTH, HEIGHT);
    html_raw(&w, "<title>");
    html_text(&w, str_of(label));
    html_raw(&w, "</title>");
    grid(&w, a, &f, step);
    day_names(&w, a, &f, first_day_us);
    for (size_t l = 0; l < line_count && l < 5; l++) {
        html_printf(&w, "<polyline class=\"series s%zu\" points=\"", l + 1);
        for (size_t i = 0; i < days; i++)
            html_printf(&w, "%.1f,%.1f ", x_of(&f, i), y_of(&f, lines[l].counts[i]));
        html_raw(&w, "\"/>");
    }
    html_raw(&w, "</svg>");
    return html_done(&w, a);
}
