#ifndef SEARCH_COLUMNS_COLUMN_READ_H
#define SEARCH_COLUMNS_COLUMN_READ_H

#include "lib/search/columns/part.h"

/*
 * column_read - many rows of a block at once, for the loops of a search.  The column is in use, and
 * the rows are in order, at least one, and all of one block of BLOCK_ROWS.
 */

/*
 * The codes of some rows of one block, c->width bytes each: that of row r is number r - first of
 * what is returned, where first is the first row of the block.  What is packed is unpacked to
 * `room`.
 */
struct code_room {
    uint32_t codes[BLOCK_ROWS];
};
const void *column_codes(const struct column *c, const uint32_t *rows, size_t n,
                         struct code_room *room);

/* The same for COLUMN_NUMBER. */
struct column_numbers {
    const struct column *c;
    uint64_t first;
    bool is_unpacked; /* else they are read one by one */
    uint64_t values[BLOCK_ROWS];
    uint8_t present[BLOCK_ROWS / 8];
};
void numbers_read(struct column_numbers *n, const struct column *c, const uint32_t *rows,
                  size_t count);

static inline bool numbers_has(const struct column_numbers *n, uint64_t row)
{
    uint64_t at = row - n->first;
    return n->is_unpacked ? n->present[at / 8] >> (at % 8) & 1 : column_has(n->c, row);
}

static inline int64_t numbers_int(const struct column_numbers *n, uint64_t row)
{
    return n->is_unpacked ? (int64_t)n->values[row - n->first] : column_int(n->c, row);
}

static inline double numbers_double(const struct column_numbers *n, uint64_t row)
{
    double d;
    if (!n->is_unpacked)
        return column_double(n->c, row);
    memcpy(&d, &n->values[row - n->first], sizeof d);
    return d;
}

#endif
