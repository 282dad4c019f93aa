/*
 * Values as people read them, on the pages of any program.  Everything is pure and in English:
 * numbers have commas, times are UTC.
 */
#include "lib/web/human.h"

#include <stdio.h>

#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

const char *human_count(struct arena *a, int64_t n)
{
    char digits[24], out[40];
    /* The least number of all has no positive counterpart. */
    uint64_t magnitude = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)magnitude);
    int used = 0;
    if (n < 0)
        out[used++] = '-';
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    return arena_memdup0(a, out, (size_t)used);
}

const char *human_duration(struct arena *a, int64_t s)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    STRBUF_AUTO b;
    sb_init(&b, 200);
    for (size_t i = 0; s > 0 && i < ARRAY_LEN(units); i++) {
        int64_t n = s / units[i].seconds;
        s %= units[i].seconds;
        if (n > 0)
            sb_printf(&b, "%s%s %s%s", b.n ? ", " : "", human_count(a, n), units[i].name,
                      n == 1 ? "" : "s");
    }
    return b.n ? str_adup(a, sb_view(&b)) : "0 seconds";
}

const char *human_time(struct arena *a, int64_t us)
{
    struct civil c = civil_of_us(us);
    return arena_printf(a, "%04d-%02d-%02d %02d:%02d:%02d", c.year, c.month, c.day, c.hour,
                        c.minute, c.second);
}

const char *human_day(struct arena *a, int64_t us)
{
    return arena_memdup0(a, human_time(a, us), 10);
}

/* A symbols file is measured in the units of the filters (size=>1mb): 1024 of each other. */
const char *human_size(struct arena *a, int64_t bytes)
{
    static const char *const units[] = {"KB", "MB", "GB", "TB", "PB"};
    if (bytes < 1024)
        return arena_printf(a, "%lld byte%s", (long long)bytes, bytes == 1 ? "" : "s");
    double v = (double)bytes / 1024;
    size_t i = 0;
    while (v >= 1023.95 && i + 1 < ARRAY_LEN(units)) { /* would be printed as 1024.0 */
        v /= 1024;
        i++;
    }
    return arena_printf(a, "%.1f %s", v, units[i]);
}

/* Whole ones of the largest unit that fits. */
const char *human_span(struct arena *a, int64_t s)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{31557600, "year"}, {2629800, "month"}, {86400, "day"},
                 {3600, "hour"},     {60, "minute"},     {1, "second"}};
    size_t i = 0;
    s = s < 0 ? -s : s;
    while (i + 1 < ARRAY_LEN(units) && s < units[i].seconds)
        i++;
    int64_t n = s / units[i].seconds;
    return arena_printf(a, "%lld %s%s", (long long)n, units[i].name, n == 1 ? "" : "s");
}
