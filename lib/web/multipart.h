#ifndef WEB_MULTIPART_H
#define WEB_MULTIPART_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * multipart - a streaming reader of multipart/form-data: bytes go in as they arrive, in pieces of
 * any size; parts come out through three callbacks.  Memory does not grow with the body.
 *
 * Grammar    A delimiter is CR LF "--" boundary, followed by "--" (the end) or by blanks and
 *            CR LF; anything else behind it makes it data.  The first may stand at offset 0.
 *            What is before the first and behind the last is skipped.  A part may end with its
 *            header block: the line end before a delimiter is the delimiter's.
 * Ownership  multipart_release frees the buffers.  Texts of struct multipart_part live until
 *            the next part begins.
 * Errors     ERR_INVALID with *is_structure set in the reader: the body is not multipart as above,
 *            a header block is incomplete or over MULTIPART_HEADER_MAX bytes, the transfer
 *            encoding is not binary, 8bit or 7bit.  Errors of callbacks are passed on.
 * Trust      The bytes are hostile.  The result does not depend on how they are cut.
 */
enum {
    MULTIPART_BOUNDARY_MAX = 70, /* RFC 2046, section 5.1.1 */
    MULTIPART_HEADER_MAX = 8192, /* clients send some 200: two headers with the name of a file */
    MULTIPART_PADDING_MAX = 256, /* blanks behind a boundary that still count as padding */
    MULTIPART_HOLD_MAX = 4 + MULTIPART_BOUNDARY_MAX + MULTIPART_PADDING_MAX + 2,
};

struct multipart_part {
    struct str name;         /* decoded; empty if there is none */
    struct str filename;     /* decoded; empty if there is none */
    struct str content_type; /* whole header value; "text/plain" if absent */
    bool has_type;           /* the header was there */
    bool is_undecodable;     /* the name is not UTF-8 or the type not ASCII */
};

struct multipart_events {
    /* Once for each part, in order; also for parts without a name. */
    bool (*begin)(void *arg, const struct multipart_part *part, struct err *err);
    bool (*data)(void *arg, const void *p, size_t n, struct err *err);
    bool (*end)(void *arg, struct err *err);
};

struct multipart {
    const struct multipart_events *events;
    void *arg;
    enum { MULTIPART_PREAMBLE, MULTIPART_HEADERS, MULTIPART_BODY, MULTIPART_EPILOGUE } state;
    char delimiter[4 + MULTIPART_BOUNDARY_MAX];
    size_t delimiter_n;
    uint8_t hold[MULTIPART_HOLD_MAX]; /* bytes that may be the start of a delimiter */
    size_t hold_n, borrowed;          /* the first `borrowed` of them are not in the body */
    struct strbuf header;             /* the header block read so far, behind a line end */
    size_t header_line;               /* where in it the line end before the present line is */
    struct strbuf name, filename, content_type;
    bool is_structure; /* the last error was one of the grammar */
};

/* ERR_INVALID: the boundary is empty, longer than 70 characters, or has control characters. */
bool multipart_init(struct multipart *m, struct str boundary, const struct multipart_events *events,
                    void *arg, struct err *err);
void multipart_release(struct multipart *m);
bool multipart_feed(struct multipart *m, const void *bytes, size_t n, struct err *err);
/* Call at the end of the body: ERR_INVALID unless the final delimiter was seen. */
bool multipart_finish(struct multipart *m, struct err *err);

#endif
