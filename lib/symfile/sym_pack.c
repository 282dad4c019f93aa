/*
 * The writing side of runs (csym_format.h): a count, a table of the blocks behind the first,
 * records. The table has its room before the records are known and is filled while they are
 * written, so a run is made in one pass.  Numbers are copied as they are in memory: the format is
 * little-endian as the machines that read it are.
 */
#include "lib/base/vec.h"
#include "lib/symfile/sym_build.h"

void put_bytes(bytes_vec *out, const void *p, size_t n)
{
    if (n == 0)
        return;
    VEC_RESERVE(out, out->n + n);
    memcpy(out->v + out->n, p, n);
    out->n += n;
}

void put_u32(bytes_vec *out, uint32_t v)
{
    put_bytes(out, &v, sizeof v);
}

void put_u64(bytes_vec *out, uint64_t v)
{
    put_bytes(out, &v, sizeof v);
}

void run_begin(struct run_out *r, bytes_vec *out, size_t count)
{
    put_varint(out, count);
    *r = (struct run_out){.out = out, .table = out->n};
    for (size_t block = 1; block * CSYM_BLOCK < count; block++)
        put_u64(out, 0);
    r->data = out->n;
}

/* Record i - 1 begins a block; the first block is in no table.  Offsets count from behind the
 * table, so a run can be copied to another place. */
void run_block(struct run_out *r, uint32_t key)
{
    size_t block = (r->i - 1) / CSYM_BLOCK;
    if (block == 0)
        return;
    uint32_t entry[2] = {key, (uint32_t)(r->out->n - r->data)};
    memcpy(r->out->v + r->table + (block - 1) * sizeof entry, entry, sizeof entry);
}
