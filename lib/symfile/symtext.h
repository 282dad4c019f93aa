#ifndef SYMFILE_SYMTEXT_H
#define SYMFILE_SYMTEXT_H

#include <sys/stat.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * symtext - the bytes of a symbols file, plain, gzip or zstd, as text in memory.
 *
 * Packed text is unpacked into a nameless temporary file and mapped from there, so that a
 * gigabyte of text is page cache and not memory of the process.  Mapping and unpacking is for
 * datil-symreader; others have symreader.h.
 *
 * Ownership  symtext_close unmaps.
 * Trust      Unpacking stops at max_bytes with ERR_TOO_LARGE; a damaged file is ERR_INVALID.
 */
struct symtext {
    struct str text;
    void *block; /* owned memory that text lies in, or NULL: it is mapped */
};

/* Maps what is in fd; empty files give an empty text. */
bool symtext_map(int fd, struct symtext *ret, struct err *err);
void symtext_close(struct symtext *t);

bool symtext_is_packed(struct str bytes); /* gzip or zstd */
/* Unpacks into the empty file fd, which stays the caller's. */
bool symtext_unpack(struct str packed, int fd, uint64_t max_bytes, struct symtext *ret,
                    struct err *err);

/* What identifies path, size and time of the file on disk; never 0.  ERR_NOT_FOUND. */
bool symtext_stamp(const char *path, uint64_t *ret_stamp, struct err *err);
/* The same for a file of these facts that is or will be at path. */
uint64_t symtext_stamp_of(const char *path, const struct stat *st);

/* Nameless file in dir for writing and reading; the caller closes it. */
bool symtext_temp(const char *dir, int *ret_fd, struct err *err);

/* Writes bytes gzip-compressed to fd. */
bool symtext_gzip(struct str bytes, int fd, const char *name, struct err *err);
/* Whether the gzip bytes are exactly these. */
bool symtext_gzip_equals(struct str packed, struct str bytes);

enum { SYMTEXT_MAX_GIB = 8 };
#define SYMTEXT_MAX_BYTES ((uint64_t)SYMTEXT_MAX_GIB << 30)

#endif
