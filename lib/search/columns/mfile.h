#ifndef SEARCH_COLUMNS_MFILE_H
#define SEARCH_COLUMNS_MFILE_H

#include "lib/base/err.h"
#include "lib/search/columns/format.h"

/*
 * mfile - a mapped column file: a head of 64 bytes, then elements of one size.
 *
 * Ownership  Owns the mapping; mfile_close gives it back.  A zeroed struct is closed.
 * Errors     ERR_NOT_FOUND; ERR_DAMAGED: not this file (size, kind, generation); ERR_IO.
 * Trust      Sizes are checked against the file before use; elements are the caller's.
 * Growth     Space is allocated when a file grows, so that a full disk is an error of
 *            mfile_grow and not a signal in the middle of a store.
 */
struct mfile {
    uint8_t *base;
    size_t bytes;
    uint64_t device, inode; /* of one mapped whole: tells whether the path still names it */
};

struct mfile_kind {
    uint32_t kind;
    uint32_t element_bytes;
    uint64_t generation;
};

/*
 * Elements below `from` get no room on the disk: they read as 0, and mfile_fill is called before
 * one is stored.
 */
bool mfile_create(struct mfile *f, const char *path, struct mfile_kind kind, uint64_t from,
                  uint64_t elements, struct err *err);
bool mfile_open(struct mfile *f, const char *path, struct mfile_kind kind, uint64_t min_elements,
                bool is_writable, struct err *err);
/* Makes room and maps again. */
bool mfile_grow(struct mfile *f, const char *path, uint32_t element_bytes, uint64_t elements,
                struct err *err);
/* Gives the room of whole pages back that lie between two bytes of a file and hold zeroes. */
void mfile_punch(const char *path, size_t from, size_t to);
/* Room on the disk for one element, in a file that may have none there. */
bool mfile_fill(const char *path, uint32_t element_bytes, uint64_t element, struct err *err);
bool mfile_fill_bytes(const char *path, size_t from, size_t to, struct err *err);
void mfile_close(struct mfile *f);

/* Whether what was mapped whole is still the one at this path, and has not been cut. */
bool mfile_is_at(const struct mfile *f, const char *path);

/* A whole file of fixed size, shared. */
bool mfile_map_head(struct mfile *f, const char *path, size_t bytes, bool is_writable,
                    struct err *err);
/* A whole file of any size but 0, for reading. */
bool mfile_map_whole(struct mfile *f, const char *path, struct err *err);

static inline void *mfile_data(const struct mfile *f)
{
    return f->base + FILE_HEAD_BYTES;
}

static inline uint64_t mfile_elements(const struct mfile *f, uint32_t element_bytes)
{
    return f->base ? (f->bytes - FILE_HEAD_BYTES) / element_bytes : 0;
}

#endif
