/*
 * One call of zlib: for files and bodies that are in memory as a whole.  What streams has its own
 * (lib/symfile/symbytes.c, lib/export/partition.c).
 */
#include "lib/base/gzip.h"

#include <limits.h>
#include <zlib.h>

#include "lib/base/util.h"

enum {
    GZIP_WINDOW = 15 + 16, /* the largest, and gzip's frame around it */
    GZIP_MEMORY = 8,       /* zlib's default */
};

/* zlib's gzip header has no time. */
bool gzip_pack(struct str text, int level, char **ret, size_t *ret_n, struct err *err)
{
    z_stream z = {0};
    if (text.n > UINT_MAX / 2)
        return err_set(err, ERR_TOO_LARGE, "%zu bytes at once", text.n);
    if (deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return err_set(err, ERR_INTERNAL, "zlib cannot start");
    size_t max = deflateBound(&z, text.n);
    char *packed = xmalloc(max);
    z.next_in = (uint8_t *)(uintptr_t)text.p;
    z.avail_in = (unsigned)text.n;
    z.next_out = (uint8_t *)packed;
    z.avail_out = (unsigned)max;
    int status = deflate(&z, Z_FINISH);
    *ret_n = z.total_out;
    deflateEnd(&z);
    if (status != Z_STREAM_END) {
        free(packed);
        return err_set(err, ERR_INTERNAL, "zlib cannot compress");
    }
    *ret = packed;
    return true;
}
