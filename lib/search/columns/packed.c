/*
 * Rows of a column, packed by blocks of BLOCK_ROWS: each block has the smallest number it holds,
 * the largest number that divides all differences from it, and the quotients in as few bits as the
 * greatest of them needs; or, where that is less, what is left of them above a straight line from
 * the first to the last.  The first makes numbers of one kind narrow, the second whole seconds of
 * microseconds and whole numbers of doubles, the third dates in the order of arrival; a block of
 * one value has no bits at all, nor have the codes of crash ids, which count the rows.  Every row
 * is found by a multiplication, so a page of hits reads some hundred bytes and no block is unpacked
 * for it.
 */
#include "lib/search/columns/packed.h"

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/util.h"
#include "lib/search/columns/file_out.h"
#include "lib/search/columns/format.h"

static const struct packed_head *head_of(const struct packed_column *p)
{
    return mfile_data(&p->file);
}

static uint64_t sum_of(const struct packed_head *h, const struct packed_block *blocks, uint64_t n)
{
    return hash64_seed(blocks, n * sizeof *blocks, hash64(h, offsetof(struct packed_head, sum)));
}

static uint64_t block_count(uint64_t rows)
{
    return (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
}

static size_t presence_bytes(const struct packed_block *b)
{
    return b->presence == PRESENT_BITS ? BLOCK_ROWS / 8 : 0;
}

/* Inside the file, behind the table. */
static bool is_block_right(const struct packed_column *p, uint64_t i, uint64_t data_start)
{
    const struct packed_block *b = &p->blocks[i];
    uint64_t at = (uint64_t)b->at * PACKED_ALIGN;
    return b->width <= BITS_WIDTH_MAX && b->presence <= PRESENT_BITS && at >= data_start &&
           at <= p->file.bytes &&
           bits_bytes(packed_block_rows(p->rows, i), b->width) + presence_bytes(b) <=
               p->file.bytes - at;
}

bool packed_open(struct packed_column *p, const char *path, uint64_t generation, uint64_t rows,
                 struct err *err)
{
    struct packed_column new = {.rows = rows};
    struct mfile_kind kind = {FILE_PACKED, 1, generation};
    uint64_t n = block_count(rows);
    size_t heads = sizeof(struct packed_head) + (size_t)n * sizeof *new.blocks;
    if (!mfile_open(&new.file, path, kind, heads, false, err))
        return false;
    const struct packed_head *h = head_of(&new);
    new.blocks = (const void *)(h + 1);
    bool ok = h->rows == rows && h->bytes == new.file.bytes && h->sum == sum_of(h, new.blocks, n);
    for (uint64_t i = 0; ok && i < n; i++)
        ok = is_block_right(&new, i, FILE_HEAD_BYTES + heads);
    if (!ok) {
        packed_close(&new);
        return err_set(err, ERR_DAMAGED, "%s is not what was written", path);
    }
    packed_close(p);
    *p = new;
    return true;
}

void packed_close(struct packed_column *p)
{
    mfile_close(&p->file);
    *p = (struct packed_column){0};
}

bool packed_size(const uint8_t *bytes, size_t n, uint64_t *ret)
{
    struct packed_head h;
    if (n < FILE_HEAD_BYTES + sizeof h)
        return false;
    memcpy(&h, bytes + FILE_HEAD_BYTES, sizeof h);
    *ret = h.bytes;
    return true;
}

static const uint8_t *bits_of(const struct packed_column *p, const struct packed_block *b)
{
    return p->file.base + (size_t)b->at * PACKED_ALIGN;
}

static const uint8_t *presence_of(const struct packed_column *p, uint64_t block)
{
    const struct packed_block *b = &p->blocks[block];
    return bits_of(p, b) + bits_bytes(packed_block_rows(p->rows, block), b->width);
}

bool packed_has(const struct packed_column *p, uint64_t row)
{
    uint64_t i = row / BLOCK_ROWS, at = row % BLOCK_ROWS;
    const struct packed_block *b = &p->blocks[i];
    if (b->presence != PRESENT_BITS)
        return b->presence == PRESENT_ALL;
    return presence_of(p, i)[at / 8] >> (at % 8) & 1;
}

uint64_t packed_get(const struct packed_column *p, uint64_t row)
{
    uint64_t i = row / BLOCK_ROWS;
    const struct packed_block *b = &p->blocks[i];
    if (b->presence != PRESENT_ALL && !packed_has(p, row))
        return 0;
    uint64_t at = row % BLOCK_ROWS, bits = 0;
    if (b->width > 0)
        bits = bits_get(bits_of(p, b), packed_block_rows(p->rows, i), b->width, at);
    return b->base + b->unit * (b->step * at + bits);
}

/* Nearly always the width alone tells. */
bool packed_codes_within(const struct packed_column *p, uint64_t block, uint32_t max)
{
    enum { CODE_BITS = 31 }; /* more than ROWS_MAX has; so base and bits do not exceed 32 */
    const struct packed_block *b = &p->blocks[block];
    if (b->presence != PRESENT_ALL || b->unit != 1 || b->base > max || b->width > CODE_BITS)
        return false;
    size_t n = packed_block_rows(p->rows, block);
    uint64_t line = (uint64_t)b->step * (n - 1);
    if (b->base + line + ((uint64_t)1 << b->width) - 1 <= max)
        return true;
    if (b->base + line > max)
        return false;
    uint32_t codes[BLOCK_ROWS], highest = 0;
    packed_codes(p, block, sizeof codes[0], codes);
    for (size_t i = 0; i < n; i++)
        highest = MAX(highest, codes[i]);
    return highest <= max;
}

#define ADD_LINE(type)                                                                             \
    do {                                                                                           \
        type *codes = out;                                                                         \
        for (size_t i = 0; i < n; i++)                                                             \
            codes[i] = (type)(codes[i] + (type)(b->step * i));                                     \
    } while (0)

void packed_codes(const struct packed_column *p, uint64_t block, uint32_t width, void *out)
{
    const struct packed_block *b = &p->blocks[block];
    size_t n = packed_block_rows(p->rows, block);
    const uint8_t *in = bits_of(p, b);
    if (width == 1)
        bits_unpack8(in, n, b->width, (uint8_t)b->base, out);
    else if (width == 2)
        bits_unpack16(in, n, b->width, (uint16_t)b->base, out);
    else
        bits_unpack32(in, n, b->width, (uint32_t)b->base, out);
    if (b->step == 0)
        return;
    if (width == 1)
        ADD_LINE(uint8_t);
    else if (width == 2)
        ADD_LINE(uint16_t);
    else
        ADD_LINE(uint32_t);
}

void packed_numbers(const struct packed_column *p, uint64_t block, uint64_t *out,
                    uint8_t present[BLOCK_ROWS / 8])
{
    const struct packed_block *b = &p->blocks[block];
    size_t n = packed_block_rows(p->rows, block);
    bool is_plain = b->unit == 1 && b->step == 0;
    bits_unpack64(bits_of(p, b), n, b->width, is_plain ? b->base : 0, out);
    for (size_t i = 0; !is_plain && i < n; i++)
        out[i] = b->base + b->unit * (b->step * i + out[i]);
    if (b->presence == PRESENT_BITS)
        memcpy(present, presence_of(p, block), BLOCK_ROWS / 8);
    else
        memset(present, b->presence == PRESENT_ALL ? 0xff : 0, BLOCK_ROWS / 8);
}

static bool has_bit(const uint8_t *bits, size_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}

static uint64_t divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* What is in a block while it is being written. */
struct plain_block {
    uint64_t values[BLOCK_ROWS];
    uint8_t present[BLOCK_ROWS / 8];
    uint8_t bits[BLOCK_ROWS * 8];
    size_t n;
};

static bool is_less(uint64_t a, uint64_t b, enum packed_as as)
{
    return as == PACKED_WHOLE ? (int64_t)a < (int64_t)b : a < b;
}

static enum packed_presence presence_in(const struct plain_block *p)
{
    size_t has = 0;
    for (size_t i = 0; i < p->n; i++)
        has += has_bit(p->present, i);
    return has == p->n ? PRESENT_ALL : has == 0 ? PRESENT_NONE : PRESENT_BITS;
}

/*
 * The smallest number becomes the base, what lies above it is counted in units; codes in ones,
 * since they are unpacked without a multiplication.
 */
static void reduce(struct plain_block *p, enum packed_as as, struct packed_block *b)
{
    uint64_t unit = as == PACKED_CODES, most = 0;
    size_t first = 0;
    while (first < p->n && !has_bit(p->present, first))
        first++;
    b->base = first < p->n ? p->values[first] : 0;
    for (size_t i = first; i < p->n; i++)
        if (has_bit(p->present, i) && is_less(p->values[i], b->base, as))
            b->base = p->values[i];
    for (size_t i = 0; i < p->n; i++) {
        p->values[i] = has_bit(p->present, i) ? p->values[i] - b->base : 0;
        most = MAX(most, p->values[i]);
        unit = unit == 1 ? 1 : divisor(p->values[i], unit);
    }
    b->unit = MAX(unit, (uint64_t)1);
    for (size_t i = 0; b->unit > 1 && i < p->n; i++)
        p->values[i] /= b->unit;
    b->width = (uint8_t)bits_width(most / b->unit);
}

/*
 * The numbers of a block as what is left of them above a line from the first to the last, if that
 * takes fewer bits.  Only for blocks without gaps, since a gap lies nowhere; and codes are the line
 * or not, so that none is below its block's base.
 */
static void reduce_by_line(struct plain_block *p, enum packed_as as, struct packed_block *b)
{
    int64_t lowest = 0, highest = 0;
    uint64_t span = p->values[p->n - 1] - p->values[0];
    if (b->presence != PRESENT_ALL || p->n < 2 || b->width >= 63 ||
        p->values[p->n - 1] < p->values[0] || span / (p->n - 1) > UINT32_MAX)
        return;
    uint64_t step = span / (p->n - 1);
    for (size_t i = 0; i < p->n; i++) {
        int64_t left = (int64_t)(p->values[i] - step * i);
        lowest = i == 0 ? left : MIN(lowest, left);
        highest = i == 0 ? left : MAX(highest, left);
    }
    uint32_t width = bits_width((uint64_t)highest - (uint64_t)lowest);
    if (step == 0 || width >= b->width || (as == PACKED_CODES && width > 0))
        return;
    for (size_t i = 0; i < p->n; i++)
        p->values[i] -= step * i + (uint64_t)lowest;
    b->base += b->unit * (uint64_t)lowest;
    b->step = (uint32_t)step;
    b->width = (uint8_t)width;
}

static bool write_block(struct file_out *o, struct plain_block *p, enum packed_as as,
                        struct packed_block *b, struct err *err)
{
    b->presence = (uint8_t)presence_in(p);
    reduce(p, as, b);
    reduce_by_line(p, as, b);
    if (!file_out_align(o, PACKED_ALIGN, err))
        return false;
    if (o->at / PACKED_ALIGN > UINT32_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: too many rows to pack", o->path);
    b->at = (uint32_t)(o->at / PACKED_ALIGN);
    bits_pack(p->values, p->n, b->width, p->bits);
    return file_out_add(o, p->bits, bits_bytes(p->n, b->width), err) &&
           file_out_add(o, p->present, presence_bytes(b), err);
}

bool packed_write(const char *path, uint64_t generation, uint64_t rows, enum packed_as as,
                  packed_fill *fill, void *arg, struct err *err)
{
    uint64_t n = block_count(rows);
    struct packed_head h = {.rows = rows};
    FREE_LATER struct packed_block *blocks = xcalloc(n + 1, sizeof *blocks);
    FREE_LATER struct plain_block *plain = xmalloc(sizeof *plain);
    struct file_out o;
    bool ok = file_out_open(&o, path, FILE_HEAD_BYTES + sizeof h + n * sizeof *blocks, err);
    for (uint64_t i = 0; ok && i < n; i++) {
        plain->n = packed_block_rows(rows, i);
        memset(plain->present, 0xff, sizeof plain->present);
        fill(arg, i * BLOCK_ROWS, plain->n, plain->values, plain->present);
        ok = write_block(&o, plain, as, &blocks[i], err);
    }
    if (ok) {
        h.bytes = o.at;
        h.sum = sum_of(&h, blocks, n);
        struct file_piece pieces[] = {{&h, sizeof h}, {blocks, n * sizeof *blocks}};
        ok = file_out_head(&o, (struct mfile_kind){FILE_PACKED, 1, generation}, pieces,
                           ARRAY_LEN(pieces), err);
    }
    file_out_close(&o);
    return ok;
}
