#ifndef SIGNATURE_PATTERNS_H
#define SIGNATURE_PATTERNS_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * patterns - a set of patterns asked one question: does any match at the start of a text?
 *
 * Nine entries of ten are plain text, so a set has three parts: a sorted array of literal
 * prefixes (one binary search), pieces of text with ".*" between them (linear search), and
 * the few real regular expressions, joined into one and run by PCRE2 with a match limit.
 *
 * Errors     ERR_INVALID names the file and the line.
 * Trust      Texts are hostile.  A match that exceeds its limit counts as none.
 * Threads    Read-only once compiled.
 */
struct patterns;

/* One pattern per line; blank lines and lines that start with '#' do not count. */
bool patterns_compile(struct str text, const char *file, struct patterns **ret, struct err *err);
bool patterns_match(const struct patterns *p, struct str text);
void patterns_free(struct patterns *p);

/* Cuts the next entry off the front of *rest and counts lines; false at the end. */
bool patterns_next_entry(struct str *rest, int *line, struct str *ret_entry);

#endif
