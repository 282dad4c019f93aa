#include "lib/base/rd.h"

#include <string.h>

struct rd rd_init(const void *bytes, size_t len)
{
    return (struct rd){.p = bytes, .n = len};
}

/* The only place that compares with the end.  n - off cannot wrap: off <= n. */
static const uint8_t *take(struct rd *r, size_t len)
{
    if (r->bad || len > r->n - r->off) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->p + r->off;
    r->off += len;
    return p;
}

struct rd rd_window(struct rd *r, uint64_t off, uint64_t len)
{
    struct rd w = rd_try_window(r, off, len);
    r->bad |= w.bad;
    return w;
}

struct rd rd_try_window(const struct rd *r, uint64_t off, uint64_t len)
{
    struct rd whole = {.p = r->p, .n = r->n, .big = r->big, .bad = r->bad};
    if (off > r->n) /* keeps the casts below exact on every machine */
        whole.bad = true;
    else
        take(&whole, (size_t)off);
    const uint8_t *p = len > r->n ? (whole.bad = true, NULL) : take(&whole, (size_t)len);
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
