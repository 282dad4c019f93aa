/* Compressed bytes and sections: what unpacks, and what must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <bzlib.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/base/util.h"
#include "tools/dump-syms/elf_file.h"
#include "tools/dump-syms/decompress.h"

enum { PLAIN_BYTES = 3 << 20, PACKED_MAX = 1 << 16 };

struct packed {
    enum packing packing;
    uint8_t bytes[PACKED_MAX];
    size_t n;
};

/* Three megabytes of zeros, a few kilobytes when packed. */
static void pack(enum packing packing, struct packed *ret)
{
    FREE_LATER uint8_t *plain = xcalloc(1, PLAIN_BYTES);
    uLongf zlib_n = PACKED_MAX;
    ret->packing = packing;
    ret->n = 0;
    switch (packing) {
    case PACKED_ZLIB:
        assert_int_equal(compress(ret->bytes, &zlib_n, plain, PLAIN_BYTES), Z_OK);
        ret->n = zlib_n;
        break;
    case PACKED_ZSTD:
        ret->n = ZSTD_compress(ret->bytes, PACKED_MAX, plain, PLAIN_BYTES, 1);
        assert_false(ZSTD_isError(ret->n));
        break;
    case PACKED_XZ:
        assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, plain, PLAIN_BYTES,
                                                 ret->bytes, &ret->n, PACKED_MAX),
                         LZMA_OK);
        break;
    case PACKED_BZIP2: {
        unsigned n = PACKED_MAX;
        assert_int_equal(
            BZ2_bzBuffToBuffCompress((char *)ret->bytes, &n, (char *)plain, PLAIN_BYTES, 1, 0, 0),
            BZ_OK);
        ret->n = n;
        break;
    }
    case PACKED_NOT:
        break;
    }
}

static enum err_code unpack_code(const struct packed *p, size_t n, size_t max, size_t out_max)
{
    struct strbuf out;
    struct err err = {0};
    FREE_LATER uint8_t *copy = xmalloc(n);
    memcpy(copy, p->bytes, n);
    sb_init(&out, out_max);
    bool ok = unpack_bytes(p->packing, copy, n, max, &out, &err);
    assert_true(out.n <= out_max && (!ok || out.n == PLAIN_BYTES));
    sb_release(&out);
    return ok ? ERR_NONE : err.code;
}

static void test_unpacking_has_limits(void **state)
{
    (void)state;
    static const enum packing packings[] = {PACKED_ZLIB, PACKED_ZSTD, PACKED_XZ, PACKED_BZIP2};
    for (size_t i = 0; i < ARRAY_LEN(packings); i++) {
        struct packed p;
        pack(packings[i], &p);
        assert_int_equal(unpack_code(&p, p.n, PLAIN_BYTES, PLAIN_BYTES), ERR_NONE);
        assert_int_equal(unpack_code(&p, p.n, PLAIN_BYTES - 1, PLAIN_BYTES), ERR_TOO_LARGE);
        assert_int_equal(unpack_code(&p, p.n, PLAIN_BYTES, PLAIN_BYTES - 1), ERR_TOO_LARGE);
        assert_int_equal(unpack_code(&p, p.n - 1, PLAIN_BYTES, PLAIN_BYTES), ERR_INVALID);
        assert_int_equal(unpack_code(&p, 1, PLAIN_BYTES, PLAIN_BYTES), ERR_INVALID);
        assert_int_equal(unpack_code(&p, 0, PLAIN_BYTES, PLAIN_BYTES), ERR_INVALID);
    }
    assert_true(file_bytes_unpacked_max(0) >= 1 << 20);
    assert_true(file_bytes_unpacked_max(SIZE_MAX) == file_bytes_unpacked_max(SIZE_MAX / 2));
}

enum { SECTION_AT = 256, TABLE_AT = 192 * 1024, NAMES_AT = 160 * 1024 };

/* A file with one section .debug_line, packed, that claims `claimed` bytes. */
static size_t write_file(uint8_t *out, const struct packed *p, uint64_t claimed, bool is_old)
{
    static const char names[] = "\0.debug_line\0.zdebug_line\0.shstrtab";
    Elf64_Ehdr *h = (Elf64_Ehdr *)out;
    Elf64_Shdr *s = (Elf64_Shdr *)(out + TABLE_AT);
    memset(out, 0, TABLE_AT + 3 * sizeof *s);
    memcpy(h->e_ident, ELFMAG, SELFMAG);
    h->e_ident[EI_CLASS] = ELFCLASS64;
    h->e_ident[EI_DATA] = ELFDATA2LSB;
    h->e_ident[EI_VERSION] = EV_CURRENT;
    h->e_type = ET_DYN;
    h->e_version = EV_CURRENT;
    h->e_ehsize = sizeof *h;
    h->e_shoff = TABLE_AT;
    h->e_shentsize = sizeof *s;
    h->e_shnum = 3;
    h->e_shstrndx = 2;
    memcpy(out + NAMES_AT, names, sizeof names);
    s[2] = (Elf64_Shdr){
        .sh_name = 26, .sh_type = SHT_STRTAB, .sh_offset = NAMES_AT, .sh_size = sizeof names};
    uint8_t *body = out + SECTION_AT;
    size_t head = is_old ? 12 : sizeof(Elf64_Chdr);
    if (is_old) {
        memcpy(body, "ZLIB", 4);
        for (int i = 0; i < 8; i++)
            body[4 + i] = (uint8_t)(claimed >> (56 - 8 * i));
    } else {
        Elf64_Chdr c = {.ch_type = p->packing == PACKED_ZSTD ? 2 : ELFCOMPRESS_ZLIB,
                        .ch_size = claimed,
                        .ch_addralign = 1};
        memcpy(body, &c, sizeof c);
    }
    memcpy(body + head, p->bytes, p->n);
    s[1] = (Elf64_Shdr){.sh_name = is_old ? 13 : 1,
                        .sh_type = SHT_PROGBITS,
                        .sh_flags = is_old ? 0 : SHF_COMPRESSED,
                        .sh_offset = SECTION_AT,
                        .sh_size = head + p->n,
                        .sh_addralign = 8};
    return TABLE_AT + 3 * sizeof *s;
}

static void test_sections(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        enum packing packing;
        int64_t more; /* than it has, in what the section claims */
        bool is_old, want;
    } cases[] = {
        {"zlib", PACKED_ZLIB, 0, false, true},
        {"zstd", PACKED_ZSTD, 0, false, true},
        {".zdebug", PACKED_ZLIB, 0, true, true},
        {"claims less", PACKED_ZLIB, -1, false, false},
        {"claims more", PACKED_ZSTD, 1, false, false},
        {"old form claims more than there is room", PACKED_ZLIB, INT64_MAX / 2, true, false},
    };
    FREE_LATER uint8_t *bytes = xmalloc(TABLE_AT + 1024);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct packed p;
        struct elf_file f;
        struct err err = {0};
        pack(cases[i].packing, &p);
        uint64_t claimed = (uint64_t)(PLAIN_BYTES + cases[i].more);
        size_t n = write_file(bytes, &p, claimed, cases[i].is_old);
        if (!elf_file_from_bytes(bytes, n, cases[i].label, &f, &err))
            fail_msg("%s: %s", cases[i].label, err.msg);
        struct str section = elf_file_section(&f, ".debug_line");
        bool ok = section.n == PLAIN_BYTES && section.p[PLAIN_BYTES - 1] == 0 && f.bad.n == 0;
        if (ok != cases[i].want || (!ok && !strstr(sb_cstr(&f.bad), "debug_line: ")))
            fail_msg("%s: %zu bytes, bad: %s", cases[i].label, section.n, sb_cstr(&f.bad));
        elf_file_close(&f);
        /* Every cut of the table is a value or an error. */
        for (size_t cut = 1; cut < 3 * sizeof(Elf64_Shdr); cut += 7)
            if (elf_file_from_bytes(bytes, n - cut, "cut", &f, ERR_IGNORED))
                elf_file_close(&f);
    }
}

/* A FIFO would block whoever opens it; names of files come out of other files. */
static void test_only_regular_files_are_opened(void **state)
{
    (void)state;
    struct elf_file f;
    struct err err = {0};
    assert_false(elf_file_open("/dev/zero", &f, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(elf_file_open("/tmp", &f, &err));
    assert_false(elf_file_open("/nonexistent/file", &f, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unpacking_has_limits),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_only_regular_files_are_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
