/*
 * Four ways of packing occur: zlib (sections since 2005, and debug files packed as a whole with
 * gzip), zstd (sections since binutils 2.40), xz (the symbols in .gnu_debugdata) and bzip2
 * (archives of dSYM folders).  Each decoder is asked for pieces of one buffer until it says that
 * the end is reached, so that a small file cannot take more memory than its caller allows.
 *
 * Each of the four loops ends: a decoder that neither reads nor writes is stopped by its own error
 * (zlib and xz report a missing end, zstd and bzip2 are watched for it), and output is bounded by
 * the sink.
 */
#include "tools/dump-syms/decompress.h"

#include <bzlib.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/base/util.h"

enum {
    PIECE_BYTES = 256 * 1024,      /* chosen: the output grows by it; far above a decoder's block */
    XZ_MEMORY_MAX = 256 << 20,     /* a dictionary of xz -9 takes 65 MiB */
    ZSTD_WINDOW_LOG_MAX = 27,      /* 128 MiB, what `zstd -d` allows without being asked */
    ZLIB_WINDOW_ANY_HEAD = 15 + 32 /* zlib.h, inflateInit2: zlib and gzip are told apart */
};

enum packing packing_of_file(const void *bytes, size_t n)
{
    static const struct {
        enum packing packing;
        const char *magic;
        size_t n;
        /*
         * The first bytes of each format: RFC 1952 (gzip, with deflate as its only method), RFC
         * 8878 (zstd), the .xz file format, 2.1.1.1, and the block size of bzip2 with the first
         * block's mark (pi).  zlib's own head is not among them: whole
         * files are never packed so, and its two bytes fit many others.
         */
    } magics[] = {
        {PACKED_ZLIB, "\x1f\x8b\x08", 3},
        {PACKED_ZSTD, "\x28\xb5\x2f\xfd", 4},
        {PACKED_XZ, "\xfd\x37zXZ\0", 6},
    };
    if (n >= 10 && memcmp(bytes, "BZh", 3) == 0 &&
        memcmp((const char *)bytes + 4, "1AY&SY", 6) == 0)
        return PACKED_BZIP2;
    for (size_t i = 0; i < ARRAY_LEN(magics); i++)
        if (n >= magics[i].n && memcmp(bytes, magics[i].magic, magics[i].n) == 0)
            return magics[i].packing;
    return PACKED_NOT;
}

/* What the decoders share: where a piece goes, and how much may still come. */
struct sink {
    struct strbuf *out;
    size_t left;
    uint8_t *piece;
};

/*
 * Two limits: what the caller allows for this section or file, and what the buffer may hold
 * altogether.  Both are said as ERR_TOO_LARGE; neither is damage.
 */
static bool sink_take(struct sink *s, size_t n, struct err *err)
{
    if (n > s->left)
        return err_set(err, ERR_TOO_LARGE, "unpacks to more than it may");
    s->left -= n;
    sb_put(s->out, s->piece, n);
    return !s->out->overflow ||
           err_set(err, ERR_TOO_LARGE, "unpacks to more than %zu bytes", s->out->max);
}

static bool unpack_zlib(const uint8_t *p, size_t n, struct sink *s, struct err *err)
{
    z_stream z = {0};
    if (inflateInit2(&z, ZLIB_WINDOW_ANY_HEAD) != Z_OK)
        return err_set(err, ERR_INTERNAL, "zlib does not start");
    bool ok = true;
    int state = Z_OK;
    while (ok && state == Z_OK) {
        if (z.avail_in == 0) { /* it counts in 32 bits */
            z.next_in = (uint8_t *)p;
            z.avail_in = (uInt)MIN(n, (size_t)1 << 30);
            p += z.avail_in;
            n -= z.avail_in;
        }
        z.next_out = s->piece;
        z.avail_out = PIECE_BYTES;
        state = inflate(&z, Z_NO_FLUSH);
        ok = sink_take(s, PIECE_BYTES - z.avail_out, err);
    }
    inflateEnd(&z);
    return ok && (state == Z_STREAM_END || err_set(err, ERR_INVALID, "zlib data is damaged"));
}

/*
 * Debug sections are one frame; packed files may be several frames behind each other (pzstd), so
 * the loop goes on until the input is used up as well.  state is what zstd wants next: 0 only
 * between frames.
 */
static bool unpack_zstd(const uint8_t *p, size_t n, struct sink *s, struct err *err)
{
    ZSTD_DCtx *z = ZSTD_createDCtx();
    if (!z || ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX))) {
        ZSTD_freeDCtx(z);
        return err_set(err, ERR_INTERNAL, "zstd does not start");
    }
    ZSTD_inBuffer in = {p, n, 0};
    size_t state = n ? 1 : 0; /* 0: a frame is complete */
    bool ok = true, is_bad = n == 0;
    while (ok && !is_bad && (state != 0 || in.pos < in.size)) {
        size_t before = in.pos;
        ZSTD_outBuffer out = {s->piece, PIECE_BYTES, 0};
        state = ZSTD_decompressStream(z, &out, &in);
        is_bad = ZSTD_isError(state) || (state != 0 && out.pos == 0 && in.pos == before);
        ok = sink_take(s, out.pos, err);
    }
    ZSTD_freeDCtx(z);
    return ok && (!is_bad || err_set(err, ERR_INVALID, "zstd data is damaged"));
}

/*
 * LZMA_CONCATENATED: a file may be several streams behind each other (.xz file format, 2).  With
 * LZMA_FINISH the decoder knows that no more input comes, and tells a cut file from a slow one.
 */
static bool unpack_xz(const uint8_t *p, size_t n, struct sink *s, struct err *err)
{
    lzma_stream z = LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&z, XZ_MEMORY_MAX, LZMA_CONCATENATED) != LZMA_OK)
        return err_set(err, ERR_INTERNAL, "xz does not start");
    z.next_in = p;
    z.avail_in = n;
    lzma_ret state = LZMA_OK;
    bool ok = true;
    while (ok && state == LZMA_OK) {
        z.next_out = s->piece;
        z.avail_out = PIECE_BYTES;
        state = lzma_code(&z, LZMA_FINISH);
        ok = sink_take(s, PIECE_BYTES - z.avail_out, err);
    }
    lzma_end(&z);
    return ok && (state == LZMA_STREAM_END || err_set(err, ERR_INVALID, "xz data is damaged"));
}

/* pbzip2 writes streams behind each other, each complete. */
static bool unpack_bzip2(const uint8_t *p, size_t n, struct sink *s, struct err *err)
{
    bz_stream z = {0};
    bool ok = true, is_open = false;
    int state = BZ_OK;
    while (ok && (state == BZ_OK || n > 0 || z.avail_in > 0)) {
        if (!is_open && BZ2_bzDecompressInit(&z, 0, 0) != BZ_OK)
            return err_set(err, ERR_INTERNAL, "bzip2 does not start");
        is_open = true;
        if (z.avail_in == 0) { /* it counts in 32 bits */
            z.next_in = (char *)p;
            z.avail_in = (unsigned)MIN(n, (size_t)1 << 30);
            p += z.avail_in;
            n -= z.avail_in;
        }
        unsigned before = z.avail_in;
        z.next_out = (char *)s->piece;
        z.avail_out = PIECE_BYTES;
        state = BZ2_bzDecompress(&z);
        ok = sink_take(s, PIECE_BYTES - z.avail_out, err);
        bool is_stuck = state == BZ_OK && z.avail_in == before && z.avail_out == PIECE_BYTES;
        if ((state != BZ_OK && state != BZ_STREAM_END) || is_stuck)
            break;
        if (state == BZ_STREAM_END) {
            BZ2_bzDecompressEnd(&z);
            is_open = false;
        }
    }
    if (is_open)
        BZ2_bzDecompressEnd(&z);
    return ok && (!is_open || err_set(err, ERR_INVALID, "bzip2 data is damaged"));
}

bool unpack_bytes(enum packing packing, const void *bytes, size_t n, size_t max_bytes,
                  struct strbuf *out, struct err *err)
{
    FREE_LATER uint8_t *piece = xmalloc(PIECE_BYTES);
    struct sink s = {out, max_bytes, piece};
    switch (packing) {
    case PACKED_ZLIB:
        return unpack_zlib(bytes, n, &s, err);
    case PACKED_ZSTD:
        return unpack_zstd(bytes, n, &s, err);
    case PACKED_XZ:
        return unpack_xz(bytes, n, &s, err);
    case PACKED_BZIP2:
        return unpack_bzip2(bytes, n, &s, err);
    case PACKED_NOT:
        break;
    }
    return err_set(err, ERR_INVALID, "packed in a way that is not known");
}
