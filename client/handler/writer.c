/*
 * Puts a minidump together in memory: header, streams one behind the other, and the directory at
 * the end, when their places are known.  Each piece starts on a multiple of 8, as readers with
 * aligned access want it.
 *
 * Memory may run out in the middle; then the buffer says so once (overflow), further writes do
 * nothing, and writer_end refuses the dump, so that no caller needs to check each number.
 */
#include "client/handler/writer.h"

#include <assert.h>

#include "lib/base/err.h"

/*
 * "MDMP", and the version that every writer has put there since the format exists; the header has
 * eight words, and the number of streams is the third of them.
 */
enum { MDMP_SIGNATURE = 0x504d444d, MDMP_VERSION = 0xa793, HEADER_BYTES = 32, COUNT_AT = 8 };

void w_u8(struct writer *w, uint8_t v)
{
    sb_put(w->out, &v, 1);
}

void w_u16(struct writer *w, uint16_t v)
{
    w_u8(w, (uint8_t)v);
    w_u8(w, (uint8_t)(v >> 8));
}

void w_u32(struct writer *w, uint32_t v)
{
    w_u16(w, (uint16_t)v);
    w_u16(w, (uint16_t)(v >> 16));
}

void w_u64(struct writer *w, uint64_t v)
{
    w_u32(w, (uint32_t)v);
    w_u32(w, (uint32_t)(v >> 32));
}

void w_location(struct writer *w, struct location at)
{
    w_u32(w, at.size);
    w_u32(w, at.rva);
}

void w_zeros(struct writer *w, size_t n)
{
    while (n-- > 0)
        sb_char(w->out, '\0');
}

/* Returns the place (RVA) where the next piece begins. */
uint32_t w_begin(struct writer *w)
{
    w_zeros(w, (8 - w->out->n % 8) % 8);
    return (uint32_t)w->out->n;
}

struct location w_since(const struct writer *w, uint32_t begin)
{
    return (struct location){(uint32_t)w->out->n - begin, begin};
}

struct location w_blob(struct writer *w, const void *p, size_t n)
{
    uint32_t begin = w_begin(w);
    sb_put(w->out, p, n);
    return w_since(w, begin);
}

/*
 * MINIDUMP_STRING: the length in bytes without the end, then UTF-16 and a zero.  The length is
 * known afterwards only and is patched in.
 */
uint32_t w_string(struct writer *w, struct str text)
{
    uint32_t begin = w_begin(w);
    w_u32(w, 0);
    for (size_t off = 0; off < text.n;) {
        uint32_t c = utf8_next(text, &off);
        if (c >= 0x10000) {
            w_u16(w, (uint16_t)(0xd800 + ((c - 0x10000) >> 10)));
            w_u16(w, (uint16_t)(0xdc00 + ((c - 0x10000) & 0x3ff)));
        } else {
            w_u16(w, (uint16_t)c);
        }
    }
    uint32_t bytes = (uint32_t)w->out->n - begin - 4;
    w_u16(w, 0);
    if (!w->out->overflow)
        memcpy(w->out->p + begin, &bytes, sizeof bytes); /* this CPU is little-endian */
    return begin;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "patches numbers in place");

void w_stream(struct writer *w, uint32_t type, uint32_t begin)
{
    assert(w->stream_count < WRITER_STREAMS_MAX);
    w->streams[w->stream_count].type = type;
    w->streams[w->stream_count].at = w_since(w, begin);
    w->stream_count++;
}

/* The checksum stays 0, which the format allows. */
void writer_begin(struct writer *w, struct strbuf *out, int64_t now_s)
{
    *w = (struct writer){.out = out};
    w_u32(w, MDMP_SIGNATURE);
    w_u32(w, MDMP_VERSION);
    w_u32(w, 0); /* count and place of the directory: writer_end */
    w_u32(w, 0);
    w_u32(w, 0); /* checksum */
    w_u32(w, (uint32_t)now_s);
    w_u64(w, 0); /* flags: a normal dump */
    assert(out->overflow || out->n == HEADER_BYTES);
}

bool writer_end(struct writer *w, struct err *err)
{
    uint32_t directory = w_begin(w);
    for (size_t i = 0; i < w->stream_count; i++) {
        w_u32(w, w->streams[i].type);
        w_location(w, w->streams[i].at);
    }
    if (w->out->overflow)
        return err_set(err, ERR_TOO_LARGE, "the dump is larger than %zu bytes", w->out->max);
    uint32_t patch[2] = {(uint32_t)w->stream_count, directory};
    memcpy(w->out->p + COUNT_AT, patch, sizeof patch);
    return true;
}
