/*
 * Most of a symbols file is no FILE record, so a line is only looked at until its first bytes tell
 * which it is; what follows is skipped by memchr.
 *
 * What is looked for are snippets of paths (configuration, DISALLOWED_SYMBOLS_SNIPPETS): a build
 * that must not leave the house names its sources in FILE records. Functions are not looked at,
 * since their names say nothing about where they are from, and lines of code are in no symbols
 * file.
 */
#include "lib/symfile/symforbid.h"

#include "lib/base/util.h"

bool symforbid_in_name(struct str name, struct str snippets, struct str *ret)
{
    struct str one;
    while (str_split(&snippets, ',', &one)) {
        one = str_trim(one);
        if (one.n && str_find(name, one, 0) != SIZE_MAX) {
            *ret = one;
            return true;
        }
    }
    return false;
}

static void end_line(struct symforbid_scan *s)
{
    if (s->place == SYMFORBID_IN_FILE && s->found.n == 0)
        symforbid_in_name(str_n(s->line, s->n), s->snippets, &s->found);
    s->place = SYMFORBID_AT_START;
    s->n = 0;
}

/* A part of one line, without its end. */
static void feed_line(struct symforbid_scan *s, struct str part)
{
    static const char tag[] = "FILE ";
    if (s->place == SYMFORBID_IN_OTHER)
        return;
    size_t take = MIN(part.n, sizeof s->line - s->n);
    memcpy(s->line + s->n, part.p, take);
    s->n += take;
    if (s->place == SYMFORBID_AT_START && s->n >= sizeof tag - 1)
        s->place =
            memcmp(s->line, tag, sizeof tag - 1) == 0 ? SYMFORBID_IN_FILE : SYMFORBID_IN_OTHER;
}

void symforbid_feed(struct symforbid_scan *s, struct str piece)
{
    while (piece.n && s->found.n == 0) {
        size_t end = str_find_char(piece, '\n', 0);
        struct str part = str_sub(piece, 0, end);
        if (part.n)
            feed_line(s, part);
        if (end == SIZE_MAX)
            return;
        end_line(s);
        piece = str_sub(piece, end + 1, SIZE_MAX);
    }
}

void symforbid_end(struct symforbid_scan *s)
{
    end_line(s);
}
