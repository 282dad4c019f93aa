#ifndef SIGNATURE_LISTS_H
#define SIGNATURE_LISTS_H

#include "lib/base/str.h"
#include "lib/signature/patterns.h"
#include "lib/signature/signature.h"

/*
 * lists - the four signature lists, built in or from a directory.
 */
enum siglist_kind { LIST_IRRELEVANT, LIST_PREFIX, LIST_SENTINELS, LIST_LINE_NUMBERS, LIST_COUNT };

struct siglist_text {
    const char *file;
    const char *text;
};
extern const struct siglist_text siglist_builtin[LIST_COUNT]; /* lib/signature/lists/ */

struct siglists {
    char *origin;                          /* for the debug log: "included signature lists", … */
    struct patterns *patterns[LIST_COUNT]; /* NULL for the sentinels */
    struct str *sentinels;                 /* exact frame texts, pointing into sentinel_text */
    size_t sentinel_count;
    char *sentinel_text;
};

#endif
