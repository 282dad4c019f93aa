#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/base/util.h"
#include "lib/web/unpack.h"

static bool sink(void *arg, const void *p, size_t n, struct err *err)
{
    (void)err;
    sb_put(arg, p, n);
    return true;
}

static void pack_zlib(struct str in, int window_bits, struct strbuf *out)
{
    z_stream z = {0};
    uint8_t buf[4096];
    deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)in.p;
    z.avail_in = (uInt)in.n;
    int rc = Z_OK;
    while (rc != Z_STREAM_END) {
        z.next_out = buf;
        z.avail_out = sizeof buf;
        rc = deflate(&z, Z_FINISH);
        sb_put(out, buf, sizeof buf - z.avail_out);
    }
    deflateEnd(&z);
}

static void pack_zstd(struct str in, int window_log, struct strbuf *out)
{
    size_t cap = ZSTD_compressBound(in.n);
    FREE_LATER char *buf = xmalloc(cap);
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    ZSTD_outBuffer o = {buf, cap, 0};
    ZSTD_inBuffer i = {in.p, in.n, 0};
    while (ZSTD_compressStream2(c, &o, &i, ZSTD_e_end) != 0)
        continue;
    ZSTD_freeCCtx(c);
    sb_put(out, buf, o.pos);
}

enum outcome { GOOD, BAD, TOO_LARGE };

static enum outcome unpack_in_pieces(enum unpack_coding coding, struct str in, size_t first,
                                     size_t step, struct strbuf *out)
{
    struct unpack u;
    unpack_init(&u, coding, 100 << 20, sink, out);
    bool ok = true;
    for (size_t at = 0, n = first; ok && at < in.n; at += n, n = step) {
        n = MIN(n, in.n - at);
        ok = unpack_feed(&u, in.p + at, n, ERR_IGNORED);
    }
    ok = ok && unpack_finish(&u, ERR_IGNORED);
    enum outcome o = ok ? GOOD : u.is_too_large ? TOO_LARGE : BAD;
    assert_true(ok || u.is_bad_data || u.is_too_large);
    unpack_release(&u);
    return o;
}

/* The outcome and the bytes must not depend on how the input is cut. */
static void check(const char *label, enum unpack_coding coding, struct str in, enum outcome want,
                  struct str want_bytes)
{
    for (size_t first = 0; first <= in.n; first++)
        for (size_t step = 1; step <= in.n + 1; step += MAX(in.n, (size_t)1)) {
            STRBUF_AUTO out;
            sb_init(&out, 1 << 20);
            enum outcome got = unpack_in_pieces(coding, in, first, step, &out);
            if (got != want || (want == GOOD && !str_eq(sb_view(&out), want_bytes)))
                fail_msg("%s, cut at %zu: outcome %d, %zu bytes", label, first, (int)got, out.n);
        }
}

static const struct str plain = STR_INIT("hello hello hello, this is the body of a report");

static void test_gzip(void **state)
{
    (void)state;
    STRBUF_AUTO z;
    sb_init(&z, 1000);
    pack_zlib(plain, 31, &z);
    check("gzip", UNPACK_GZIP, sb_view(&z), GOOD, plain);
    for (size_t n = 0; n < z.n; n++)
        check("cut off", UNPACK_GZIP, str_sub(sb_view(&z), 0, n), BAD, plain);
    sb_char(&z, 'j');
    check("one byte behind", UNPACK_GZIP, sb_view(&z), GOOD, plain);
    sb_text(&z, "unk");
    check("junk behind", UNPACK_GZIP, sb_view(&z), GOOD, plain);
    z.p[z.n - 4 - 8] ^= 1; /* the checksum */
    check("wrong checksum", UNPACK_GZIP, sb_view(&z), BAD, plain);
    check("no gzip", UNPACK_GZIP, plain, BAD, plain);
}

static void test_gzip_members(void **state)
{
    (void)state;
    STRBUF_AUTO z;
    sb_init(&z, 1000);
    pack_zlib(str_sub(plain, 0, 10), 31, &z);
    size_t first = z.n;
    pack_zlib(str_sub(plain, 10, 100), 31, &z);
    check("two members", UNPACK_GZIP, sb_view(&z), GOOD, plain);
    check("second cut off", UNPACK_GZIP, str_sub(sb_view(&z), 0, z.n - 1), BAD, plain);
    check("second is two bytes", UNPACK_GZIP, str_sub(sb_view(&z), 0, first + 2), BAD, plain);
}

static void test_deflate(void **state)
{
    (void)state;
    static const int bits[] = {15, -15};
    for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
        STRBUF_AUTO z;
        sb_init(&z, 1000);
        pack_zlib(plain, bits[i], &z);
        check("deflate", UNPACK_DEFLATE, sb_view(&z), GOOD, plain);
        check("cut off", UNPACK_DEFLATE, str_sub(sb_view(&z), 0, z.n - 1), BAD, plain);
    }
    check("one byte", UNPACK_DEFLATE, STR("x"), BAD, plain);
}

static void test_zstd(void **state)
{
    (void)state;
    STRBUF_AUTO z;
    sb_init(&z, 1000);
    pack_zstd(plain, 17, &z);
    check("zstd", UNPACK_ZSTD, sb_view(&z), GOOD, plain);
    for (size_t n = 1; n < z.n; n++)
        check("cut off", UNPACK_ZSTD, str_sub(sb_view(&z), 0, n), BAD, plain);
    check("no zstd", UNPACK_ZSTD, plain, BAD, plain);
    size_t once = z.n;
    pack_zstd(plain, 17, &z);
    STRBUF_AUTO twice;
    sb_init(&twice, 1000);
    sb_str(&twice, plain);
    sb_str(&twice, plain);
    check("two frames", UNPACK_ZSTD, sb_view(&z), GOOD, sb_view(&twice));
    z.p[once - 1] ^= 1;
    check("wrong checksum", UNPACK_ZSTD, sb_view(&z), BAD, plain);
}

static void test_identity(void **state)
{
    (void)state;
    check("identity", UNPACK_IDENTITY, plain, GOOD, plain);
    check("empty", UNPACK_IDENTITY, STR(""), GOOD, STR(""));
}

static bool discard(void *arg, const void *p, size_t n, struct err *err)
{
    (void)p, (void)err;
    *(uint64_t *)arg += n;
    return true;
}

/* 60 MiB of zeros: more than 200 times what came in, noticed soon after 32 MiB. */
static void test_bomb(void **state)
{
    (void)state;
    static const enum unpack_coding all[] = {UNPACK_GZIP, UNPACK_ZSTD};
    size_t n = 60 << 20;
    FREE_LATER char *zeros = xcalloc(1, n);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        STRBUF_AUTO z;
        sb_init(&z, 1 << 20);
        if (all[i] == UNPACK_GZIP)
            pack_zlib(str_n(zeros, n), 31, &z);
        else
            pack_zstd(str_n(zeros, n), 20, &z);
        struct unpack u;
        uint64_t out = 0;
        unpack_init(&u, all[i], 256 << 20, discard, &out);
        assert_false(unpack_feed(&u, z.p, z.n, ERR_IGNORED));
        assert_true(u.is_too_large);
        assert_true(out <= (33 << 20));
        unpack_release(&u);
    }
}

static void test_limit(void **state)
{
    (void)state;
    for (size_t max = 46; max < 49; max++) {
        struct unpack u;
        uint64_t out = 0;
        unpack_init(&u, UNPACK_IDENTITY, max, discard, &out);
        assert_int_equal(unpack_feed(&u, plain.p, plain.n, ERR_IGNORED), max >= plain.n);
        assert_int_equal(u.is_too_large, max < plain.n);
        unpack_release(&u);
    }
}

static void test_zstd_window(void **state)
{
    (void)state;
    size_t n = 20 << 20;
    FREE_LATER char *data = xmalloc(n);
    for (size_t i = 0; i < n; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    STRBUF_AUTO z;
    sb_init(&z, 30 << 20);
    pack_zstd(str_n(data, n), 25, &z);
    struct unpack u;
    uint64_t out = 0;
    unpack_init(&u, UNPACK_ZSTD, 256 << 20, discard, &out);
    assert_false(unpack_feed(&u, z.p, z.n, ERR_IGNORED));
    assert_true(u.is_too_large);
    unpack_release(&u);
}

/* clang-format off */
static const struct {
    const char *header;
    bool is_known;
    enum unpack_coding want;
} headers[] = {
    {"", true, UNPACK_IDENTITY}, {"identity", true, UNPACK_IDENTITY}, {" GZIP ", true, UNPACK_GZIP},
    {"x-gzip", true, UNPACK_GZIP}, {"Deflate", true, UNPACK_DEFLATE}, {"zstd", true, UNPACK_ZSTD},
    {"br", false, 0}, {"gzip, gzip", false, 0},
};
/* clang-format on */

static void test_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        enum unpack_coding got = UNPACK_IDENTITY;
        if (unpack_coding_of(str_of(headers[i].header), &got) != headers[i].is_known ||
            (headers[i].is_known && got != headers[i].want))
            fail_msg("%s", headers[i].header);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gzip),     cmocka_unit_test(test_gzip_members),
        cmocka_unit_test(test_deflate),  cmocka_unit_test(test_zstd),
        cmocka_unit_test(test_identity), cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_limit),    cmocka_unit_test(test_zstd_window),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
