#ifndef WEB_CONTENT_RANGE_H
#define WEB_CONTENT_RANGE_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * content_range - the header of a request that sends a piece of a file (RFC 9110, 14.4, and what
 * resumable uploads make of it).  # stands for a star here, which would end this comment.
 *
 *     bytes 0-16777215/40000000      this piece of a file of so many bytes
 *     bytes 0-16777215/#             the same, and how many there will be is not known yet
 *     bytes #/40000000               no bytes: how many of the file are there?
 *     bytes #/#
 *     bytes 0-0/0, bytes 7-6/7       no bytes, as clients write that their file ends here
 */
struct content_range {
    bool is_question;
    uint64_t first, n; /* of the piece */
    bool has_total;
    uint64_t total;
};

/*
 * body_bytes is the Content-Length: a piece of one byte and the end of an empty file are written
 * alike.  ERR_INVALID: not of this form, a piece beyond its file, or of another length than the
 * body.
 */
bool content_range_parse(struct str header, uint64_t body_bytes, struct content_range *ret,
                         struct err *err);

#endif
