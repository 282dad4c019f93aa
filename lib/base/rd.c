/*
 * The reader of bytes that strangers wrote.  Every parser of dumps, symbol files, archives and wire
 * messages goes through take(), so whether a byte is inside is decided by one comparison in one
 * place, and the invariant off <= n holds between any two calls.
 *
 * A misfit sticks: from then on every read answers 0 and nothing moves, so a parser reads a whole
 * record and asks rd_ok once, and a loop over a count from the file reads zeroes rather than past
 * the end.  What is read is copied out (memcpy), never a pointer cast to a struct: records of files
 * are not aligned, and the compiler makes one load of it.
 */
#include "lib/base/rd.h"

#include <string.h>

struct rd rd_init(const void *bytes, size_t len)
{
    return (struct rd){.p = bytes, .n = len};
}

/*
 * The only place that compares with the end.  n - off cannot wrap: off <= n.  The length is as wide
 * as in any file, so that no caller narrows a number before it is compared.
 */
static const uint8_t *take(struct rd *r, uint64_t len)
{
    if (r->bad || len > r->n - r->off) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->p + r->off;
    r->off += (size_t)len; /* exact: at most n */
    return p;
}

/* The reader itself turns bad with the window: for what must be there. */
struct rd rd_window(struct rd *r, uint64_t off, uint64_t len)
{
    struct rd w = rd_try_window(r, off, len);
    r->bad |= w.bad;
    return w;
}

/* Leaves the reader as it is: for what may be missing, a stream or a table that one record
 * names. */
struct rd rd_try_window(const struct rd *r, uint64_t off, uint64_t len)
{
    struct rd whole = {.p = r->p, .n = r->n, .big = r->big, .bad = r->bad};
    take(&whole, off); /* a misfit sticks, and the next take answers NULL */
    const uint8_t *p = take(&whole, len);
    return (struct rd){.p = p, .n = p ? (size_t)len : 0, .big = r->big, .bad = !p};
}

uint8_t rd_u8(struct rd *r)
{
    const uint8_t *p = take(r, 1);
    return p ? *p : 0;
}

uint16_t rd_u16(struct rd *r)
{
    const uint8_t *p = take(r, 2);
    if (!p)
        return 0;
    uint16_t v = rd_le16(p);
    return r->big ? __builtin_bswap16(v) : v;
}

uint32_t rd_u32(struct rd *r)
{
    const uint8_t *p = take(r, 4);
    if (!p)
        return 0;
    uint32_t v = rd_le32(p);
    return r->big ? __builtin_bswap32(v) : v;
}

uint64_t rd_u64(struct rd *r)
{
    const uint8_t *p = take(r, 8);
    if (!p)
        return 0;
    uint64_t v = rd_le64(p);
    return r->big ? __builtin_bswap64(v) : v;
}

void rd_skip(struct rd *r, size_t len)
{
    take(r, len);
}

/* From the start; a reader that is bad stays bad, so that no seek hides a misfit. */
void rd_seek(struct rd *r, size_t off)
{
    if (r->bad)
        return;
    r->off = 0;
    take(r, off);
}

const uint8_t *rd_bytes(struct rd *r, size_t len)
{
    return take(r, len);
}

/* The hosts we build for are little-endian (x86-64, arm64), checked here once. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian hosts only");

uint16_t rd_le16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

uint32_t rd_le32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

uint64_t rd_le64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
