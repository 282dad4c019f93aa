#ifndef SIGNATURE_SIG_TEXT_H
#define SIGNATURE_SIG_TEXT_H

#include "lib/base/str.h"
#include "lib/json/json.h"

/*
 * sig_text - small operations on UTF-8 text that the signature rules share.
 *
 * Blanks and line ends are those of Unicode, because signatures made elsewhere were cut
 * with them too.
 */
struct str text_trim(struct str s); /* Unicode white space, both ends */

/* Next line off the front of *rest (CR, LF, CRLF and the other line ends); false at the end. */
bool text_next_line(struct str *rest, struct str *ret_line);

/* Appends s without the characters outside U+0020 to U+007E. */
void text_put_printable(struct strbuf *out, struct str s);

bool text_contains(struct str s, const char *needle);
size_t text_chars(struct str s); /* number of characters */

/* The text at key, or an empty one. */
struct str text_of(const json_t *obj, const char *key);

#endif
