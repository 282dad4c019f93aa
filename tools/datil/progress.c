/*
 * What is left is estimated from the files that are done, since their sizes are not known ahead;
 * while it changes by the second it says nothing false, and nobody reads more into it.
 */
#include "tools/datil/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/time.h"
#include "lib/base/util.h"

enum {
    LOG_EVERY_MS = 2000, /* what is done in two seconds needs no word */
    BAR_EVERY_MS = 200,  /* a bar that moves five times a second moves smoothly */
    BAR_CELLS = 24,      /* leaves room for the numbers in 80 columns */
    LINE_MAX_BYTES = 160,
};

static void say_rest(const struct progress *p, int64_t now_ms, char out[32])
{
    int64_t spent_ms = now_ms - p->began_ms;
    int64_t left_s = (int64_t)((double)spent_ms / (double)p->files *
                               (double)(p->total - MIN(p->files, p->total)) / 1000.0);
    if (left_s < 60)
        snprintf(out, 32, "%lld s left", (long long)left_s);
    else
        snprintf(out, 32, "%lld min left", (long long)((left_s + 59) / 60));
}

/* " files, 12 MiB" or " crashes". */
static void say_unit(const struct progress *p, char out[64])
{
    if (p->unit)
        snprintf(out, 64, " %s", p->unit);
    else
        snprintf(out, 64, " files, %lld MiB", (long long)(p->bytes >> 20));
}

static void draw_bar(struct progress *p, int64_t now_ms)
{
    char line[LINE_MAX_BYTES], bar[BAR_CELLS + 1], rest[32], unit[64];
    int n;
    say_unit(p, unit);
    if (p->total) {
        size_t full = MIN(p->files, p->total) * BAR_CELLS / p->total;
        memset(bar, '.', BAR_CELLS);
        memset(bar, '#', full);
        bar[BAR_CELLS] = '\0';
        say_rest(p, now_ms, rest);
        n = snprintf(line, sizeof line, "%s [%s] %zu of %zu%s, %s", p->what, bar, p->files,
                     p->total, unit, rest);
    } else {
        n = snprintf(line, sizeof line, "%s: %zu%s", p->what, p->files, unit);
    }
    size_t now = MIN((size_t)MAX(n, 0), sizeof line - 1);
    fprintf(stderr, "\r%s%*s", line, (int)(p->width > now ? p->width - now : 0), "");
    p->width = now;
}

static void print_line(const struct progress *p)
{
    char unit[64];
    say_unit(p, unit);
    if (p->total)
        fprintf(stderr, "%s: %zu of %zu%s\n", p->what, p->files, p->total, unit);
    else
        fprintf(stderr, "%s: %zu%s\n", p->what, p->files, unit);
}

void progress_step(struct progress *p, int64_t bytes)
{
    p->files++;
    p->bytes += bytes;
    int64_t now = mono_ms();
    if (!p->began_ms)
        p->began_ms = p->said_ms = now;
    bool is_terminal = isatty(STDERR_FILENO) == 1;
    if (now - p->said_ms < (is_terminal ? BAR_EVERY_MS : LOG_EVERY_MS))
        return;
    p->said_ms = now;
    if (is_terminal)
        draw_bar(p, now);
    else
        print_line(p);
}

void progress_clear(struct progress *p)
{
    if (p->width)
        fprintf(stderr, "\r%*s\r", (int)p->width, "");
    p->width = 0;
}
