#ifndef SEARCH_COLUMNS_FILE_OUT_H
#define SEARCH_COLUMNS_FILE_OUT_H

#include "lib/search/columns/mfile.h"

/*
 * file_out - a file that is written once, from its front to its end, with a head that is known only
 * then: struct file_head, the head of its kind, a table.
 *
 * Ownership  file_out_close closes it, whatever became of it; a file that failed is left to whoever
 *            removes the folder.
 */
struct file_out {
    int fd;
    const char *path; /* borrowed */
    uint64_t at;      /* where the next bytes go */
};

/* Leaves `head_bytes` free at the front. */
bool file_out_open(struct file_out *o, const char *path, uint64_t head_bytes, struct err *err);
bool file_out_add(struct file_out *o, const void *p, size_t n, struct err *err);
/* Fills up to a multiple of `align`. */
bool file_out_align(struct file_out *o, size_t align, struct err *err);
/* The struct file_head, then the pieces of the head, one behind the other. */
struct file_piece {
    const void *p;
    size_t n;
};
bool file_out_head(struct file_out *o, struct mfile_kind kind, const struct file_piece *pieces,
                   size_t n, struct err *err);
void file_out_close(struct file_out *o);

#endif
