/*
 * Bodies that were compressed: gzip (also several members), deflate with zlib's header or, as many
 * old clients send it, without, and zstd.  Unpacked bytes go on piece by piece; their number and
 * their ratio to what was received are looked at with each piece, so a bomb costs one window of
 * memory.
 */
#include "lib/web/unpack.h"

#include <assert.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "lib/base/rd.h"
#include "lib/base/util.h"

/*
 * zlib's windowBits: 15 is the largest window, plus 16 asks for a gzip header, negative for no
 * header at all. 64 KiB of output at a time keep a piece in the cache of the processor.
 */
enum { WINDOW_BYTES = 64 << 10, RAW_BITS = -15, ZLIB_BITS = 15, GZIP_BITS = 15 + 16 };

/* clang-format off */
static const struct {
    const char *word;
    enum unpack_coding coding;
} codings[] = {
    {"identity", UNPACK_IDENTITY}, {"gzip", UNPACK_GZIP}, {"deflate", UNPACK_DEFLATE},
    {"zstd", UNPACK_ZSTD}, {"x-gzip", UNPACK_GZIP},
};
/* clang-format on */

bool unpack_coding_of(struct str header, enum unpack_coding *ret)
{
    struct str word = str_trim(header);
    if (word.n == 0)
        word = STR("identity");
    for (size_t i = 0; i < ARRAY_LEN(codings); i++)
        if (str_eq_nocase(word, str_of(codings[i].word))) {
            *ret = codings[i].coding;
            return true;
        }
    return false;
}

const char *unpack_coding_name(enum unpack_coding coding)
{
    return codings[coding].word;
}

void unpack_init(struct unpack *u, enum unpack_coding coding, uint64_t max_bytes,
                 bool (*sink)(void *arg, const void *p, size_t n, struct err *err), void *arg)
{
    assert(codings[coding].coding == coding);
    *u = (struct unpack){.coding = coding, .max_bytes = max_bytes, .sink = sink, .arg = arg};
    if (coding != UNPACK_IDENTITY)
        u->window = xmalloc(WINDOW_BYTES);
}

static void free_decoder(struct unpack *u)
{
    if (u->decoder && u->coding == UNPACK_ZSTD)
        ZSTD_freeDStream(u->decoder);
    else if (u->decoder)
        inflateEnd(u->decoder);
    if (u->coding != UNPACK_ZSTD)
        free(u->decoder);
    u->decoder = NULL;
}

void unpack_release(struct unpack *u)
{
    free_decoder(u);
    free(u->window);
    u->window = NULL;
}

static bool bad(struct unpack *u, const char *what, struct err *err)
{
    u->is_bad_data = true;
    return err_set(err, ERR_INVALID, "%s: %s", unpack_coding_name(u->coding), what);
}

/*
 * The ratio counts only from UNPACK_RATIO_FROM on, because a small text of one letter may compress
 * a thousandfold and does no harm.
 */
static bool deliver(struct unpack *u, const void *p, size_t n, struct err *err)
{
    u->out_bytes += n;
    bool grows_wildly = u->coding != UNPACK_IDENTITY && u->out_bytes > UNPACK_RATIO_FROM &&
                        u->out_bytes / UNPACK_RATIO_MAX > u->in_bytes;
    if (u->out_bytes > u->max_bytes || grows_wildly) {
        u->is_too_large = true;
        return err_set(err, ERR_TOO_LARGE, "the body has more than %llu bytes when unpacked",
                       (unsigned long long)u->out_bytes);
    }
    return n == 0 || u->sink(u->arg, p, n, err);
}

static void start_inflate(struct unpack *u, int window_bits)
{
    z_stream *z = xcalloc(1, sizeof *z);
    if (inflateInit2(z, window_bits) != Z_OK)
        abort(); /* out of memory */
    u->decoder = z;
    u->state = UNPACK_RUNNING;
}

/* Inflates *p; stops at the end of a member with the rest left in *p, *n. */
static bool run_inflate(struct unpack *u, const uint8_t **p, size_t *n, struct err *err)
{
    z_stream *z = u->decoder;
    z->next_in = (Bytef *)*p;
    z->avail_in = (uInt)*n;
    int rc = Z_OK;
    do {
        z->next_out = u->window;
        z->avail_out = WINDOW_BYTES;
        rc = inflate(z, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return bad(u, z->msg ? z->msg : "not this coding", err);
        if (!deliver(u, u->window, WINDOW_BYTES - z->avail_out, err))
            return false;
    } while (rc == Z_OK && (z->avail_in || !z->avail_out));
    *p = z->next_in;
    *n = z->avail_in;
    if (rc == Z_STREAM_END) {
        u->state = u->coding == UNPACK_GZIP ? UNPACK_BETWEEN : UNPACK_IGNORING;
        u->held_n = 0;
    }
    return true;
}

/*
 * The bytes that were held to decide what comes are the first bytes of it.  Two or four bytes never
 * end a member, so all of them are consumed.
 */
static bool feed_held(struct unpack *u, struct err *err)
{
    const uint8_t *p = u->held;
    size_t n = u->held_n;
    u->held_n = 0;
    return run_inflate(u, &p, &n, err);
}

/* Moves bytes to `held` until there are `want` of them; false: more input is needed. */
static bool hold(struct unpack *u, size_t want, const uint8_t **p, size_t *n)
{
    while (*n && u->held_n < want) {
        u->held[u->held_n++] = *(*p)++;
        --*n;
    }
    return u->held_n == want;
}

/* Two bytes say whether a deflate body has a zlib header (RFC 1950: 31 divides them). */
static bool start_deflate(struct unpack *u, const uint8_t **p, size_t *n, struct err *err)
{
    if (!hold(u, 2, p, n))
        return true;
    bool has_header = (u->held[0] & 15) == 8 && (u->held[0] << 8 | u->held[1]) % 31 == 0;
    start_inflate(u, has_header ? ZLIB_BITS : RAW_BITS);
    return feed_held(u, err);
}

/* Behind a gzip member: another one, or bytes that nobody wants. */
static bool next_member(struct unpack *u, const uint8_t **p, size_t *n, struct err *err)
{
    if (!hold(u, 2, p, n))
        return true;
    if (u->held[0] != 0x1f || u->held[1] != 0x8b) {
        u->state = UNPACK_IGNORING;
        return true;
    }
    inflateReset(u->decoder);
    u->state = UNPACK_RUNNING;
    return feed_held(u, err);
}

static bool feed_zlib(struct unpack *u, const uint8_t *p, size_t n, struct err *err)
{
    while (n && u->state != UNPACK_IGNORING) {
        bool ok = true;
        if (u->state == UNPACK_RUNNING)
            ok = run_inflate(u, &p, &n, err);
        else if (u->state == UNPACK_BETWEEN)
            ok = next_member(u, &p, &n, err);
        else if (u->coding == UNPACK_DEFLATE)
            ok = start_deflate(u, &p, &n, err);
        else
            start_inflate(u, GZIP_BITS);
        if (!ok)
            return false;
    }
    return true;
}

static bool zstd_error(struct unpack *u, size_t rc, struct err *err)
{
    if (ZSTD_getErrorCode(rc) != ZSTD_error_frameParameter_windowTooLarge)
        return bad(u, ZSTD_getErrorName(rc), err);
    u->is_too_large = true;
    return err_set(err, ERR_TOO_LARGE, "zstd: the window is larger than %d MiB",
                   1 << (UNPACK_ZSTD_WINDOW_LOG - 20));
}

static void start_zstd(struct unpack *u)
{
    u->decoder = ZSTD_createDStream();
    if (!u->decoder)
        abort(); /* out of memory */
    ZSTD_DCtx_setParameter(u->decoder, ZSTD_d_windowLogMax, UNPACK_ZSTD_WINDOW_LOG);
}

/* Decompresses up to the end of a frame; the rest stays in *p, *n. */
static bool run_zstd(struct unpack *u, const uint8_t **p, size_t *n, struct err *err)
{
    ZSTD_inBuffer in = {*p, *n, 0};
    size_t rc = 1, filled = 0;
    /* A full window means that there may be more output without more input. */
    while (rc != 0 && (in.pos < in.size || filled == WINDOW_BYTES)) {
        ZSTD_outBuffer out = {u->window, WINDOW_BYTES, 0};
        rc = ZSTD_decompressStream(u->decoder, &out, &in);
        if (ZSTD_isError(rc))
            return zstd_error(u, rc, err);
        if (!deliver(u, u->window, out.pos, err))
            return false;
        filled = out.pos;
    }
    if (rc == 0)
        u->state = UNPACK_BETWEEN;
    *p += in.pos;
    *n -= in.pos;
    return true;
}

/*
 * Each frame must start with the number of the format (RFC 8878, section 3.1.1) or of a skippable
 * frame.  The library would take formats from before 1.0 too, whose decoders nobody looks at.
 */
static bool start_frame(struct unpack *u, const uint8_t **p, size_t *n, struct err *err)
{
    if (!hold(u, 4, p, n))
        return true;
    uint32_t magic = rd_le32(u->held);
    if (magic != ZSTD_MAGICNUMBER &&
        (magic & ZSTD_MAGIC_SKIPPABLE_MASK) != ZSTD_MAGIC_SKIPPABLE_START)
        return bad(u, "not a zstd frame", err);
    const uint8_t *held = u->held;
    size_t held_n = u->held_n;
    u->held_n = 0;
    u->state = UNPACK_RUNNING;
    return run_zstd(u, &held, &held_n, err);
}

static bool feed_zstd(struct unpack *u, const uint8_t *p, size_t n, struct err *err)
{
    if (!u->decoder)
        start_zstd(u);
    while (n)
        if (!(u->state == UNPACK_RUNNING ? run_zstd(u, &p, &n, err) : start_frame(u, &p, &n, err)))
            return false;
    return true;
}

bool unpack_feed(struct unpack *u, const void *bytes, size_t n, struct err *err)
{
    if (n == 0)
        return true;
    u->in_bytes += n;
    if (u->coding == UNPACK_IDENTITY)
        return deliver(u, bytes, n, err);
    return u->coding == UNPACK_ZSTD ? feed_zstd(u, bytes, n, err) : feed_zlib(u, bytes, n, err);
}

/*
 * Whole means that the last member or frame has ended.  What follows a gzip member without being
 * one is ignored, as gzip(1) does; behind a zstd frame nothing but another frame may come.
 */
bool unpack_finish(struct unpack *u, struct err *err)
{
    bool is_whole = u->state == UNPACK_IGNORING ||
                    (u->state == UNPACK_BETWEEN && (u->coding != UNPACK_ZSTD || u->held_n == 0));
    if (u->coding == UNPACK_IDENTITY || is_whole)
        return true;
    return bad(u, "the data end too early", err);
}
