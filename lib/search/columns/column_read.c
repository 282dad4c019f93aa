/*
 * Reading for loops: what lies open in the mapping is used where it lies, what is packed is
 * unpacked to the stack, the whole block or, of few rows, just those.
 */
#include "lib/search/columns/column_read.h"

#include <string.h>

#include "lib/base/util.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/packed.h"

/*
 * Unpacking a block takes as long as reading some two hundred rows one by one, whatever their width
 * (tests/bench/search).
 */
enum { ROWS_ONE_BY_ONE = 200 };

static void read_codes(const struct column *c, const uint32_t *rows, size_t n, uint64_t first,
                       struct code_room *room)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t code = column_code(c, rows[i]);
        uint8_t *to = (uint8_t *)room->codes + (rows[i] - first) * c->width;
        memcpy(to, &code, c->width); /* the low bytes */
    }
}

const void *column_codes(const struct column *c, const uint32_t *rows, size_t n,
                         struct code_room *room)
{
    const uint8_t *data = c->rows.base ? mfile_data(&c->rows) : NULL;
    uint64_t first = rows[0] / BLOCK_ROWS * BLOCK_ROWS;
    if (first >= c->packed_rows)
        return data + first * c->width;
    if (n < ROWS_ONE_BY_ONE) {
        read_codes(c, rows, n, first, room);
        return room->codes;
    }
    packed_codes(&c->packed, first / BLOCK_ROWS, c->width, room->codes);
    size_t packed = packed_block_rows(c->packed_rows, first / BLOCK_ROWS);
    uint64_t end = MIN(first + BLOCK_ROWS, c->part->rows);
    if (data && first + packed < end) /* the block is packed to its middle */
        memcpy((uint8_t *)room->codes + packed * c->width, data + (first + packed) * c->width,
               (size_t)(end - first - packed) * c->width);
    return room->codes;
}

/* Rows behind the packed ones of the block are read one by one: they are few. */
static void read_rest(struct column_numbers *n, const struct column *c)
{
    uint64_t end = MIN(n->first + BLOCK_ROWS, c->part->rows);
    for (uint64_t row = c->packed_rows; row < end; row++) {
        uint64_t at = row - n->first;
        uint8_t bit = (uint8_t)(1u << (at % 8));
        if (c->h->index == INDEX_DOUBLE) {
            double d = column_double(c, row);
            memcpy(&n->values[at], &d, sizeof d);
        } else {
            n->values[at] = (uint64_t)column_int(c, row);
        }
        n->present[at / 8] =
            (uint8_t)(column_has(c, row) ? n->present[at / 8] | bit : n->present[at / 8] & ~bit);
    }
}

void numbers_read(struct column_numbers *n, const struct column *c, const uint32_t *rows,
                  size_t count)
{
    n->c = c;
    n->is_unpacked = false;
    if (count < ROWS_ONE_BY_ONE || rows[0] >= c->packed_rows)
        return;
    n->is_unpacked = true;
    n->first = rows[0] / BLOCK_ROWS * BLOCK_ROWS;
    packed_numbers(&c->packed, n->first / BLOCK_ROWS, n->values, n->present);
    read_rest(n, c);
}
