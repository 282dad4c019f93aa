#ifndef DUMP_SYMS_DECOMPRESS_H
#define DUMP_SYMS_DECOMPRESS_H

#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * decompress - compressed bytes of sections and of whole files.
 *
 * Trust      The bytes are hostile: nothing is appended beyond the given maximum.
 */
enum packing {
    PACKED_NOT,
    PACKED_ZLIB, /* with zlib's or gzip's head */
    PACKED_ZSTD,
    PACKED_XZ,
    PACKED_BZIP2,
};

/* How a whole file is packed, by its first bytes. */
enum packing packing_of_file(const void *bytes, size_t n);

/*
 * Appends the unpacked bytes to out.  ERR_TOO_LARGE: they are more than max_bytes, or more than
 * out may hold.  ERR_INVALID: damaged, or the end is missing.  Out holds a part after a failure.
 */
bool unpack_bytes(enum packing packing, const void *bytes, size_t n, size_t max_bytes,
                  struct strbuf *out, struct err *err);

#endif
