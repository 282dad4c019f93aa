#ifndef WEB_UNPACK_H
#define WEB_UNPACK_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * unpack - streaming decompression of a body (Content-Encoding) into a callback, with limits
 * against bodies that grow without end.
 *
 * Codings    gzip (also x-gzip; several members; what is behind the last is ignored), deflate
 *            (zlib or raw), zstd (several frames, no formats from before 1.0, window of at most
 *            8 MiB), identity.
 * Ownership  unpack_release frees the decoder; the window of output is inside.
 * Errors     ERR_INVALID with is_bad_data: not that coding, cut off, or its checksum disagrees.
 *            ERR_TOO_LARGE with is_too_large: more than max_bytes, or more than UNPACK_RATIO_MAX
 *            times the input once over 32 MiB.  Errors of the callback are passed on.
 * Trust      The bytes are hostile.
 */
enum unpack_coding { UNPACK_IDENTITY, UNPACK_GZIP, UNPACK_DEFLATE, UNPACK_ZSTD };
/*
 * RATIO_MAX is chosen: symbols and JSON pack to a tenth or twentieth.  Below RATIO_FROM it does not
 * matter, for so much may come unpacked as well.  WINDOW_LOG: 8 MiB, what RFC 8878 asks every
 * decoder to support, and no more.
 */
enum { UNPACK_RATIO_MAX = 200, UNPACK_RATIO_FROM = 32 << 20, UNPACK_ZSTD_WINDOW_LOG = 23 };

struct unpack {
    enum unpack_coding coding;
    bool (*sink)(void *arg, const void *p, size_t n, struct err *err);
    void *arg;
    uint64_t max_bytes, in_bytes, out_bytes;
    void *decoder; /* z_stream or ZSTD_DStream, owned */
    uint8_t *window;
    uint8_t
        held[4]; /* first bytes of a deflate body, a zstd frame, or what follows a gzip member */
    size_t held_n;
    enum { UNPACK_START, UNPACK_RUNNING, UNPACK_BETWEEN, UNPACK_IGNORING } state;
    bool is_bad_data, is_too_large;
};

/* By a Content-Encoding header (absent or empty: identity).  False: unknown. */
bool unpack_coding_of(struct str header, enum unpack_coding *ret);
const char *unpack_coding_name(enum unpack_coding coding); /* "gzip", … */

void unpack_init(struct unpack *u, enum unpack_coding coding, uint64_t max_bytes,
                 bool (*sink)(void *arg, const void *p, size_t n, struct err *err), void *arg);
void unpack_release(struct unpack *u);
bool unpack_feed(struct unpack *u, const void *bytes, size_t n, struct err *err);
/* Call at the end of the body. */
bool unpack_finish(struct unpack *u, struct err *err);

#endif
