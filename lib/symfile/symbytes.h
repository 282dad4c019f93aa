#ifndef SYMFILE_SYMBYTES_H
#define SYMFILE_SYMBYTES_H

#include <sys/stat.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * symbytes - the bytes of a symbols file, plain, gzip or zstd, as text in memory.
 *
 * Packed text is unpacked into a nameless temporary file and mapped from there, so that a
 * gigabyte of text is page cache and not memory of the process.  Mapping and unpacking is for
 * datil-symreader; others have symreader.h.
 *
 * Ownership  symbytes_close unmaps.
 * Trust      Unpacking stops at max_bytes with ERR_TOO_LARGE; a damaged file is ERR_INVALID.
 */
struct symbytes {
    struct str text;
    void *block; /* owned memory that text lies in, or NULL: it is mapped */
};

/* Maps what is in fd; empty files give an empty text. */
bool symbytes_map(int fd, struct symbytes *ret, struct err *err);
void symbytes_close(struct symbytes *t);

bool symbytes_is_packed(struct str bytes); /* gzip or zstd */
/* Unpacks into the empty file fd, which stays the caller's.  *ret_is_one_gzip: the bytes are a gzip
 * file of one member, as symbytes_gzip would have made. */
bool symbytes_unpack(struct str packed, int fd, uint64_t max_bytes, struct symbytes *ret,
                     bool *ret_is_one_gzip, struct err *err);

/* Whether what a sender has packed may be stored as it came. */
bool symbytes_is_packed_well(uint64_t packed_size, uint64_t size);

/* What identifies path, size and time of the file on disk; never 0.  ERR_NOT_FOUND. */
bool symbytes_stamp(const char *path, uint64_t *ret_stamp, struct err *err);
/* The same for a file of these facts that is or will be at path. */
uint64_t symbytes_stamp_of(const char *path, const struct stat *st);

/* Nameless file in dir for writing and reading; the caller closes it. */
bool symbytes_temp(const char *dir, int *ret_fd, struct err *err);

/* Writes bytes gzip-compressed to fd. */
bool symbytes_gzip(struct str bytes, int fd, const char *name, struct err *err);
/* Whether the gzip bytes are exactly these. */
bool symbytes_gzip_equals(struct str packed, struct str bytes);

/* Chosen: a browser's text has one GiB, so nothing real comes near, and a bomb ends on disk. */
enum { SYMBYTES_MAX_GIB = 8 };
#define SYMBYTES_MAX ((uint64_t)SYMBYTES_MAX_GIB << 30)

#endif
