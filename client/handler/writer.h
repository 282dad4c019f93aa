#ifndef HANDLER_WRITER_H
#define HANDLER_WRITER_H

#include <stdint.h>

#include "lib/base/str.h"

/*
 * writer - the bytes of a minidump: little-endian numbers, strings, locations.
 *
 * A minidump refers to its parts by offset (RVA), so parts are appended first and
 * the records that point at them after.  The directory comes last; its place is
 * patched into the header.
 */
struct location {
    uint32_t size, rva;
};

enum { WRITER_STREAMS_MAX = 32 }; /* 16 kinds are written, each once at most */

struct writer {
    struct strbuf *out; /* borrowed */
    struct {
        uint32_t type;
        struct location at;
    } streams[WRITER_STREAMS_MAX];
    size_t stream_count;
};

void writer_begin(struct writer *w, struct strbuf *out, int64_t now_s);
/* False when the buffer's limit was crossed. */
bool writer_end(struct writer *w, struct err *err);

void w_u8(struct writer *w, uint8_t v);
void w_u16(struct writer *w, uint16_t v);
void w_u32(struct writer *w, uint32_t v);
void w_u64(struct writer *w, uint64_t v);
void w_location(struct writer *w, struct location at);
void w_zeros(struct writer *w, size_t n);

/* Starts a part at the next multiple of 8; w_since gives where it lies. */
uint32_t w_begin(struct writer *w);
struct location w_since(const struct writer *w, uint32_t begin);

struct location w_blob(struct writer *w, const void *p, size_t n);
uint32_t w_string(struct writer *w, struct str utf8); /* UTF-16 with length; gives its RVA */

/* Everything from `begin` on is the stream `type`. */
void w_stream(struct writer *w, uint32_t type, uint32_t begin);

#endif
