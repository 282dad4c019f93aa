#ifndef SYMFILE_SYMTEXT_H
#define SYMFILE_SYMTEXT_H

#include "base/err.h"
#include "base/str.h"

/*
 * symtext - the bytes of a symbols file on disk, plain or gzip, mapped into memory.
 *
 * Compressed text is inflated into a nameless temporary file and mapped from there, so
 * that a gigabyte of text is page cache and not memory of the process.
 *
 * Ownership  symtext_close unmaps.
 * Trust      Inflating stops at max_bytes with ERR_TOO_LARGE; a damaged file is ERR_INVALID.
 */
struct symtext {
    struct str text;
    uint64_t stamp; /* identifies path, size and time of the file on disk; never 0 */
};

bool symtext_open(const char *path, const char *temp_dir, uint64_t max_bytes, struct symtext *ret,
                  struct err *err);
void symtext_close(struct symtext *t);

/* The inflated bytes of a gzip file in a nameless file, at its start; the caller closes it. */
bool symtext_inflate(const char *path, const char *temp_dir, uint64_t max_bytes, int *ret_fd,
                     struct err *err);

/* The stamp alone, without opening.  ERR_NOT_FOUND. */
bool symtext_stamp(const char *path, uint64_t *ret_stamp, struct err *err);

/* Nameless file in dir for writing and reading; the caller closes it. */
bool symtext_temp(const char *dir, int *ret_fd, struct err *err);
/* Maps what is in fd; empty files give an empty text. */
bool symtext_map(int fd, struct symtext *ret, struct err *err);

/* Writes bytes gzip-compressed to fd. */
bool symtext_gzip(struct str bytes, int fd, const char *name, struct err *err);
/* Whether the gzip file holds exactly these bytes. */
bool symtext_gzip_equals(const char *path, struct str bytes);

enum { SYMTEXT_MAX_GIB = 8 };
#define SYMTEXT_MAX_BYTES ((uint64_t)SYMTEXT_MAX_GIB << 30)

#endif
