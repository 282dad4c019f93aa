#ifndef BASE_RD_H
#define BASE_RD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * rd - the one bounds-checked reader of bytes that come from outside.
 *
 * Sticky     Read a whole record, then ask rd_ok() once.  After the first
 *            misfit every read gives 0 and nothing moves any more.
 * Ownership  Borrows the bytes.
 * Threads    A value; copy it freely.
 */
struct rd {
    const uint8_t *p; /* borrowed; outlives the reader */
    size_t n;         /* bytes in the window */
    size_t off;       /* next byte to read, always <= n */
    bool big;         /* integers are big-endian */
    bool bad;         /* sticky: after the first misfit every read gives 0 */
};

struct rd rd_init(const void *bytes, size_t len);

/*
 * A reader over `len` bytes at `off` of r's window (absolute, not from r->off).
 * Out of range: the result is bad, and so is r, unless rd_try_window is used.
 */
struct rd rd_window(struct rd *r, uint64_t off, uint64_t len);
struct rd rd_try_window(const struct rd *r, uint64_t off, uint64_t len);

static inline bool rd_ok(const struct rd *r)
{
    return !r->bad;
}

static inline size_t rd_left(const struct rd *r)
{
    return r->bad ? 0 : r->n - r->off;
}

uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
void rd_skip(struct rd *r, size_t len);
void rd_seek(struct rd *r, size_t off);
const uint8_t *rd_bytes(struct rd *r, size_t len); /* borrowed; NULL if they do not fit */

/* Little-endian loads from memory whose bounds are already known. */
uint16_t rd_le16(const void *p);
uint32_t rd_le32(const void *p);
uint64_t rd_le64(const void *p);

#endif
