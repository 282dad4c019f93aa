#ifndef COLLECTOR_CHARSET_H
#define COLLECTOR_CHARSET_H

#include "lib/base/str.h"

/* charset - texts of senders in other charsets than UTF-8. */

/* The text in UTF-8 appended to out; false: unknown charset, or not text of it. */
bool charset_decode(struct str bytes, const char *charset, struct strbuf *out);

#endif
