#ifndef SEARCH_COLUMNS_PACKED_H
#define SEARCH_COLUMNS_PACKED_H

#include "lib/search/columns/bits.h"
#include "lib/search/columns/mfile.h"

/*
 * packed - the rows of a column in a week that was packed: written once, read as they lie.
 *
 * Ownership  packed_close gives back the mapping; a zeroed struct is closed.
 * Errors     ERR_DAMAGED: the file is not one that packed_write wrote.
 * Trust      packed_open looks at the sum of the head and that every block lies inside the file, so
 *            reading a row needs no check.  What numbers mean is the caller's to check.
 */
struct packed_column {
    struct mfile file;
    const struct packed_block *blocks;
    uint64_t rows;
};

bool packed_open(struct packed_column *p, const char *path, uint64_t generation, uint64_t rows,
                 struct err *err);
void packed_close(struct packed_column *p);

/* How many rows block i of a file of so many rows has. */
static inline size_t packed_block_rows(uint64_t rows, uint64_t block)
{
    uint64_t left = rows - block * BLOCK_ROWS;
    return left < BLOCK_ROWS ? (size_t)left : BLOCK_ROWS;
}

/* row < p->rows.  The number of a row without one is 0. */
bool packed_has(const struct packed_column *p, uint64_t row);
uint64_t packed_get(const struct packed_column *p, uint64_t row);

/* Whether a block holds nothing but codes from 0 to `max`. */
bool packed_codes_within(const struct packed_column *p, uint64_t block, uint32_t max);
/*
 * The codes of a block as integers of `width` bytes (1, 2 or 4; what does not fit is cut off);
 * `out` has room for BLOCK_ROWS.
 */
void packed_codes(const struct packed_column *p, uint64_t block, uint32_t width, void *out);
/* Numbers, and a bit for each row that has one. */
void packed_numbers(const struct packed_column *p, uint64_t block, uint64_t *out,
                    uint8_t present[BLOCK_ROWS / 8]);

/*
 * Writes a file of `rows` rows.  `fill` gives those of one block, n of them from row `first` on,
 * and clears the bits of those that have no number.
 */
enum packed_as {
    PACKED_CODES,   /* of a dictionary: read by packed_codes */
    PACKED_WHOLE,   /* int64_t */
    PACKED_DOUBLES, /* their bits */
};
typedef void packed_fill(void *arg, uint64_t first, size_t n, uint64_t *values, uint8_t *present);
bool packed_write(const char *path, uint64_t generation, uint64_t rows, enum packed_as as,
                  packed_fill *fill, void *arg, struct err *err);

/* The size that the file says it has, from its first bytes. */
bool packed_size(const uint8_t *bytes, size_t n, uint64_t *ret);

#endif
