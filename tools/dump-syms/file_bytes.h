#ifndef DUMP_SYMS_FILE_BYTES_H
#define DUMP_SYMS_FILE_BYTES_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * file_bytes - the bytes of one file in memory, unpacked when it is packed as a whole
 * (gzip, zstd, xz, bzip2, a cabinet), and of a tar or ZIP archive the debug file in it.
 *
 * Ownership  file_bytes_close releases everything; a view lives as long as that was not called.
 * Trust      The file is hostile.  Only regular files are opened, and what a file
 *            unpacks to is limited by its size (file_bytes_unpacked_max).
 */
struct file_bytes {
    char *path;   /* owned; with the name that it has inside, of a cabinet or archive */
    void *mapped; /* the file, NULL when it came from memory or was packed as a whole */
    size_t mapped_n;
    struct strbuf whole; /* then this */
    struct str member;   /* of an archive: where in it; .p NULL: no archive */
};

/*
 * Most bytes that n bytes of a file may become.  Debug information shrinks to a fifth or a tenth;
 * two hundred times its size is a bomb.
 */
size_t file_bytes_unpacked_max(size_t n);

/* ERR_NOT_FOUND: no such file.  ERR_INVALID: empty, or no file. */
bool file_bytes_open(const char *path, struct file_bytes *ret, struct err *err);

/* The same in two steps, for a process that maps descriptors before it gives up that right. */
bool file_bytes_map(int fd, const char *name, struct file_bytes *ret, struct err *err);
bool file_bytes_unpack(struct file_bytes *f, struct err *err);

/* From memory, which is copied. */
bool file_bytes_copy(const void *bytes, size_t n, const char *name, struct file_bytes *ret,
                     struct err *err);

struct str file_bytes_view(const struct file_bytes *f);
void file_bytes_close(struct file_bytes *f);

#endif
