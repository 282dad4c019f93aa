#ifndef BASE_GZIP_H
#define BASE_GZIP_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/* gzip - a text in memory as a gzip file of one member, always the same bytes for the same text. */
enum { GZIP_FAST = 1, GZIP_SMALL = 9 }; /* zlib's levels */

/* New, also of an empty text.  ERR_TOO_LARGE: above 4 GiB, which zlib counts in one piece. */
bool gzip_pack(struct str text, int level, char **ret, size_t *ret_n, struct err *err);

#endif
