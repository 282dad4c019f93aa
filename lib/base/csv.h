#ifndef BASE_CSV_H
#define BASE_CSV_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * csv - comma-separated values as in RFC 4180.
 *
 * Reading takes line ends of either kind, quotes with doubled quotes in them, and line ends inside
 * of quotes; a byte order mark in front is skipped.  Writing quotes only what needs it.
 *
 * Ownership  Fields borrow from the text, or lie in the arena when they had quotes.
 * Errors     ERR_INVALID, with the line: a quote that does not end, or text behind one.
 */
struct csv {
    struct str rest;
    size_t line;      /* of the record that was read last, from 1 */
    size_t next_line; /* private */
};

void csv_begin(struct csv *c, struct str text);
/*
 * The next record: *ret_n fields, at most max of which are stored; *ret_n 0: the end.  Empty lines
 * are skipped.
 */
bool csv_next(struct csv *c, struct arena *a, struct str *fields, size_t max, size_t *ret_n,
              struct err *err);

/* One field, quoted if it must be; the caller writes commas and line ends. */
void csv_put(struct strbuf *b, struct str field);
/* The same for people: a text of strangers that a spreadsheet would take for a formula has an
 * apostrophe in front. */
void csv_put_guarded(struct strbuf *b, struct str field);

#endif
