#ifndef SYMFILE_SYMFORBID_H
#define SYMFILE_SYMFORBID_H

#include "lib/base/str.h"

/*
 * symforbid - texts that must not be published: snippets (comma-separated, from the configuration)
 * that no name of a file may contain, and, where that is asked for, no FILE record of a symbols
 * file, which names source files.
 */

/* The first of the snippets that the name contains; borrowed from them. */
bool symforbid_in_name(struct str name, struct str snippets, struct str *ret);

/* Looks through a text of symbols that comes in pieces, lines cut anywhere. */
enum { SYMFORBID_LINE_MAX = 16 << 10 }; /* of a FILE record; no path is so long */
struct symforbid_scan {
    struct str snippets; /* borrowed */
    struct str found;    /* empty: none so far; borrowed from snippets */
    enum { SYMFORBID_AT_START, SYMFORBID_IN_FILE, SYMFORBID_IN_OTHER } place;
    char line[SYMFORBID_LINE_MAX];
    size_t n;
};
void symforbid_feed(struct symforbid_scan *s, struct str piece);
void symforbid_end(struct symforbid_scan *s); /* the last line may have no end */

#endif
