#ifndef JSON_REPAIR_H
#define JSON_REPAIR_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * repair - makes JSON that crash reporters really send fit for a strict parser, in one pass over
 * the bytes, and leaves everything else as it is (the parser then judges it):
 *
 *   UTF-8 byte order mark            removed
 *   UTF-16 and UTF-32 documents      converted to UTF-8
 *   \u0000 in keys and values        removed, counted by member of the top object
 *   lone surrogate escape            \ufffd, counted
 *   NaN, Infinity, -Infinity         the strings "NaN" …
 *   integers beyond 64 bits, reals   strings of the same digits
 *   beyond a double
 *
 * Errors     ERR_INVALID: nested deeper than max_depth; more than JSON_REPAIR_VALUES_MAX values;
 *            UTF-16 or UTF-32 that is none.
 *            ERR_TOO_LARGE: the result would be longer than out->max.
 * Trust      The bytes are hostile.
 */
enum { JSON_REPAIR_VALUES_MAX = 4 << 20 }; /* some 300 MB in the parser, for keys and values */

struct jrepairs {
    size_t nul_members;     /* members of the top object that had a NUL */
    size_t lone_surrogates; /* escapes replaced */
};

/* Appends the repaired document to out (emptied by the caller). */
bool jrepair(struct str text, int max_depth, struct strbuf *out, struct jrepairs *ret,
             struct err *err);

#endif
