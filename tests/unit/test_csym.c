/* csym: symbol text compiled and asked: functions, lines, inlines, PUBLICs, CFI, STACK WIN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/csym.h"

#define MODULE_LINE "MODULE Linux x86_64 0123456789ABCDEF0123456789ABCDEF0 prog\n"

/* Compiles into a heap block of exact size and opens it. */
static void compile(const char *text, struct csym *ret, void **ret_block, struct csym_stats *stats)
{
    struct err err = {0};
    size_t n = 0;
    if (!csym_compile_mem(str_of(text), 0, ret_block, &n, stats, &err) ||
        !csym_open_mem(*ret_block, n, ret, &err))
        fail_msg("%s", err.msg);
    assert_true(csym_verify(ret, &err));
}

/* "name@start/param file:line < inlined file:line < …", the inlined ones innermost first. */
static void show_hit(const struct csym *c, uint64_t addr, struct strbuf *out)
{
    struct csym_hit hit;
    if (!csym_lookup(c, addr, &hit)) {
        assert_false(csym_is_code(c, addr));
        sb_text(out, "-");
        return;
    }
    assert_true(csym_is_code(c, addr));
    for (size_t i = 0; i < hit.inline_count; i++)
        sb_printf(out, STR_FMT " " STR_FMT ":%u < ", STR_ARG(hit.inlines[i].function),
                  STR_ARG(hit.inlines[i].file), hit.inlines[i].line);
    sb_printf(out, "%s" STR_FMT "@%llx/%x", hit.is_public ? "PUBLIC " : "", STR_ARG(hit.function),
              (unsigned long long)hit.function_addr, hit.param_size);
    if (hit.file.n || hit.line)
        sb_printf(out, " " STR_FMT ":%u", STR_ARG(hit.file), hit.line);
}

#define FILES "FILE 0 a.c\nFILE 1 b.c\nFILE 7 c.h\n"

static const struct {
    const char *label, *text;
    uint64_t addr;
    const char *want;
} lookups[] = {
    /* FUNC */
    {"first byte", "FUNC 1000 10 4 f\n", 0x1000, "f@1000/4"},
    {"last byte", "FUNC 1000 10 4 f\n", 0x100f, "f@1000/4"},
    {"one behind", "FUNC 1000 10 4 f\n", 0x1010, "-"},
    {"one before", "FUNC 1000 10 4 f\n", 0xfff, "-"},
    {"flag m", "FUNC m 1000 10 4 f\n", 0x1000, "f@1000/4"},
    {"a name m", "FUNC 1000 10 4 m\n", 0x1000, "m@1000/4"},
    {"blanks in the name", "FUNC 1000 10 4 f(int, char)\n", 0x1000, "f(int, char)@1000/4"},
    {"several blanks", "FUNC   1000  10\t4   f\n", 0x1000, "f@1000/4"},
    {"upper case", "FUNC ABCD 1F 4 f\n", 0xabeb, "f@abcd/4"},
    {"CR LF", "FUNC 1000 10 4 f\r\n1000 10 5 0\r\nFILE 0 x\r\r\r\n", 0x1000, "f@1000/4 x:5"},
    {"no newline at the end", "FUNC 1000 10 4 f", 0x1000, "f@1000/4"},
    {"line without newline at the end", FILES "FUNC 1000 10 4 f\n1000 10 5 0", 0x1000,
     "f@1000/4 a.c:5"},
    {"empty lines", "\n\nFUNC 1000 10 4 f\n\n", 0x1000, "f@1000/4"},
    {"not in order", "FUNC 2000 10 0 g\nFUNC 1000 10 0 f\n", 0x1008, "f@1000/0"},
    {"size 0", "FUNC 1000 0 4 f\n", 0x1000, "-"},
    {"overflow", "FUNC fffffffffffffff0 20 4 f\n", 0xfffffffffffffff8, "-"},
    {"above 4 GiB", "FUNC 123456789a 20 4 f\n", 0x12345678b0, "f@123456789a/4"},
    {"reaches over 4 GiB", "FUNC fffffff0 20 4 f\n", 0x100000008, "f@fffffff0/4"},
    {"starts inside another", "FUNC 1000 20 0 f\nFUNC 1010 20 0 g\n", 0x1018, "f@1000/0"},
    {"what it covered alone", "FUNC 1000 20 0 f\nFUNC 1010 20 0 g\n", 0x1028, "-"},
    {"same start, shorter wins", "FUNC 1000 20 0 f\nFUNC 1000 10 0 g\n", 0x1008, "g@1000/0"},
    {"same range, first wins", "FUNC 1000 20 0 f\nFUNC 1000 20 0 g\n", 0x1008, "f@1000/0"},
    {"touching", "FUNC 1000 20 0 f\nFUNC 1020 20 0 g\n", 0x1020, "g@1020/0"},
    {"no name", "FUNC 1000 20 0\n", 0x1000, "-"},
    /* lines */
    {"line", FILES "FUNC 1000 20 0 f\n1000 8 3 0\n1008 8 4 7\n", 0x1008, "f@1000/0 c.h:4"},
    {"before the first line", FILES "FUNC 1000 20 0 f\n1008 8 4 7\n", 0x1000, "f@1000/0"},
    {"between lines", FILES "FUNC 1000 20 0 f\n1000 2 1 0\n1008 8 4 7\n", 0x1003, "f@1000/0"},
    {"size 0 is dropped", FILES "FUNC 1000 20 0 f\n1000 10 3 0\n1008 0 4 7\n", 0x1008,
     "f@1000/0 a.c:3"},
    {"lines not in order", FILES "FUNC 1000 20 0 f\n1008 8 4 7\n1000 8 3 0\n", 0x1001,
     "f@1000/0 a.c:3"},
    {"overlap differs", FILES "FUNC 1000 20 0 f\n1000 8 3 0\n1004 8 4 0\n", 0x1009, "f@1000/0"},
    {"overlap is equal", FILES "FUNC 1000 20 0 f\n1000 8 3 0\n1004 8 3 0\n", 0x1009,
     "f@1000/0 a.c:3"},
    {"unknown file", FILES "FUNC 1000 20 0 f\n1000 8 3 99\n", 0x1000, "f@1000/0"},
    {"file comes later", "FUNC 1000 20 0 f\n1000 8 3 9\nFILE 9 late.c\n", 0x1000,
     "f@1000/0 late.c:3"},
    {"file twice", "FILE 9 x\nFILE 9 y\nFUNC 1000 20 0 f\n1000 8 3 9\n", 0x1000, "f@1000/0 y:3"},
    {"line of a dropped FUNC", FILES "FUNC 1000 8 0 f\nFUNC 2000 0 0 g\n1000 8 3 0\n", 0x1000,
     "f@1000/0"},
    {"line of a bad FUNC", FILES "FUNC 1000 8 0 f\nFUNC 2000 zz 0 g\n1000 8 3 0\n", 0x1000,
     "f@1000/0"},
    {"line behind a PUBLIC", FILES "FUNC 1000 8 0 f\nPUBLIC 2000 0 p\n1000 8 3 0\n", 0x1000,
     "f@1000/0"},
    {"lines go on after FILE", "FUNC 1000 8 0 f\nFILE 0 a.c\n1000 8 3 0\n", 0x1000,
     "f@1000/0 a.c:3"},
    {"line from before its FUNC", FILES "FUNC 1000 8 0 f\nff0 14 3 0\n", 0x1000, "f@1000/0 a.c:3"},
    {"line above 2^31", FILES "FUNC 1000 8 0 f\n1000 4 4294967295 0\n1004 4 1 0\n", 0x1000,
     "f@1000/0 a.c:4294967295"},
    {"after a line above 2^31", FILES "FUNC 1000 8 0 f\n1000 4 4294967295 0\n1004 4 1 0\n", 0x1004,
     "f@1000/0 a.c:1"},
    /* inlines */
    {"one level",
     FILES "INLINE_ORIGIN 3 g\nFUNC 1000 20 0 f\nINLINE 0 50 1 3 1004 8\n1000 20 9 0\n", 0x1004,
     "g a.c:9 < f@1000/0 b.c:50"},
    {"beside the inline",
     FILES "INLINE_ORIGIN 3 g\nFUNC 1000 20 0 f\nINLINE 0 50 1 3 1004 8\n1000 20 9 0\n", 0x100c,
     "f@1000/0 a.c:9"},
    {"two levels, innermost first",
     FILES "INLINE_ORIGIN 3 g\nINLINE_ORIGIN 4 h\nFUNC 1000 20 0 f\nINLINE 0 50 1 3 1000 10\n"
           "INLINE 1 60 7 4 1004 8\n1000 20 9 0\n",
     0x1004, "h a.c:9 < g c.h:60 < f@1000/0 b.c:50"},
    {"several ranges", FILES "INLINE_ORIGIN 3 g\nFUNC 1000 20 0 f\nINLINE 0 50 1 3 1000 2 1010 2\n",
     0x1011, "g :0 < f@1000/0 b.c:50"},
    {"origin between lines",
     FILES "FUNC 1000 20 0 f\nINLINE_ORIGIN 3 g\n1000 20 9 0\nINLINE 0 50 1 3 1000 2\n", 0x1000,
     "g a.c:9 < f@1000/0 b.c:50"},
    {"unknown origin is left out",
     FILES "INLINE_ORIGIN 4 h\nFUNC 1000 20 0 f\nINLINE 0 50 1 3 1000 10\nINLINE 1 60 7 4 1004 "
           "8\n1000 20 9 0\n",
     0x1004, "h a.c:9 < f@1000/0 b.c:50"},
    {"unknown call file",
     FILES "INLINE_ORIGIN 3 g\nFUNC 1000 20 0 f\nINLINE 0 50 99 3 1000 10\n1000 20 9 0\n", 0x1000,
     "g a.c:9 < f@1000/0"},
    {"level without the one above",
     FILES "INLINE_ORIGIN 3 g\nFUNC 1000 20 0 f\nINLINE 1 50 1 3 1000 10\n1000 20 9 0\n", 0x1000,
     "f@1000/0 a.c:9"},
    {"a gap at level 0 hides level 1",
     FILES "INLINE_ORIGIN 3 g\nFUNC 1000 20 0 f\nINLINE 0 50 1 3 1000 4\nINLINE 1 60 1 3 1000 "
           "10\n1000 20 9 0\n",
     0x1008, "f@1000/0 a.c:9"},
    {"the nearest start decides",
     FILES "INLINE_ORIGIN 3 g\nINLINE_ORIGIN 4 h\nFUNC 1000 20 0 f\nINLINE 0 50 1 3 1000 "
           "20\nINLINE 0 51 1 4 1004 4\n",
     0x1010, "f@1000/0"},
    {"INLINE without a range",
     FILES "INLINE_ORIGIN 3 g\nFUNC 1000 20 0 f\nINLINE 0 50 1 3\n1000 20 9 0\n", 0x1000,
     "f@1000/0 a.c:9"},
    /* PUBLIC */
    {"public", "PUBLIC 1000 8 p\n", 0x1000, "PUBLIC p@1000/8"},
    {"public far below", "PUBLIC 1000 8 p\n", 0x99999, "PUBLIC p@1000/8"},
    {"nothing below", "PUBLIC 1000 8 p\n", 0xfff, "-"},
    {"public with m", "PUBLIC m 1000 8 p q\n", 0x1000, "PUBLIC p q@1000/8"},
    {"FUNC wins", "PUBLIC 1000 8 p\nFUNC 1000 10 0 f\n", 0x1000, "f@1000/0"},
    {"public ended at FUNC", "PUBLIC 1000 8 p\nFUNC 1010 10 0 f\n", 0x1020, "-"},
    {"FUNC at the same address ended it", "PUBLIC 1000 8 p\nFUNC 1000 10 0 f\n", 0x1020, "-"},
    {"public before FUNC", "PUBLIC 1000 8 p\nFUNC 1010 10 0 f\n", 0x100f, "PUBLIC p@1000/8"},
    {"public behind FUNC", "FUNC 1000 10 0 f\nPUBLIC 1010 8 p\n", 0x1020, "PUBLIC p@1010/8"},
    {"public inside FUNC, behind its end", "FUNC 1000 10 0 f\nPUBLIC 1008 8 p\n", 0x1020,
     "PUBLIC p@1008/8"},
    {"equal address: last by name", "PUBLIC 1000 8 b\nPUBLIC 1000 4 c\nPUBLIC 1000 9 a\n", 0x1000,
     "PUBLIC c@1000/4"},
    {"equal name: last by size", "PUBLIC 1000 8 b\nPUBLIC 1000 4 b\n", 0x1000, "PUBLIC b@1000/8"},
    /* parameter sizes */
    {"frame data first",
     "FUNC 1000 20 4 f\nSTACK WIN 0 1000 20 0 0 8 0 0 0 0 0\nSTACK WIN 4 1000 20 0 0 c 0 0 0 1 x\n",
     0x1000, "f@1000/c"},
    {"then FPO", "FUNC 1000 20 4 f\nSTACK WIN 0 1000 20 0 0 8 0 0 0 0 0\n", 0x1000, "f@1000/8"},
    {"neither at this address", "FUNC 1000 20 4 f\nSTACK WIN 0 1000 10 0 0 8 0 0 0 0 0\n", 0x1010,
     "f@1000/4"},
};

static void test_lookup(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lookups); i++) {
        STRBUF_AUTO text, got;
        sb_init(&text, 1 << 16);
        sb_init(&got, 1 << 16);
        sb_text(&text, MODULE_LINE);
        sb_text(&text, lookups[i].text);
        struct csym c;
        FREE_LATER void *block = NULL;
        compile(sb_cstr(&text), &c, &block, NULL);
        show_hit(&c, lookups[i].addr, &got);
        if (!str_eq(sb_view(&got), str_of(lookups[i].want)))
            fail_msg("%s: '%s', not '%s'", lookups[i].label, sb_cstr(&got), lookups[i].want);
    }
}

static const struct {
    const char *label, *line;
    unsigned bad;
} line_cases[] = {
    {"comment", "# x\n", 1},
    {"unknown keyword", "FUNCTION 1000 10 0 f\n", 1},
    {"line outside of a FUNC", "1000 10 5 0\n", 1},
    {"INLINE outside of a FUNC", "INLINE 0 1 0 0 1000 10\n", 1},
    {"INLINE with half a range", "FUNC 1000 10 0 f\nINLINE 0 1 0 0 1000\n", 1},
    {"line with a word too much", "FUNC 1000 10 0 f\n1000 10 5 0 7\n", 1},
    {"line with a word too few", "FUNC 1000 10 0 f\n1000 10 5\n", 1},
    {"line number in hex", "FUNC 1000 10 0 f\n1000 10 5a 0\n", 1},
    {"line number beyond 32 bits", "FUNC 1000 10 0 f\n1000 10 4294967296 0\n", 1},
    {"size beyond 32 bits", "FUNC 1000 100000000 0 f\n", 1},
    {"address beyond 64 bits", "FUNC 10000000000000000 10 0 f\n", 1},
    {"address with zeros in front", "FUNC 00000000000000000001000 10 0 f\n", 0},
    {"0x", "FUNC 0x1000 10 0 f\n", 1},
    {"second MODULE", MODULE_LINE, 1},
    {"unknown INFO", "INFO FOO bar\n", 0},
    {"unknown STACK", "STACK FOO bar\n", 1},
    {"PUBLIC without name", "PUBLIC 1000 0\n", 1},
    {"CFI row without INIT", "STACK CFI 1000 .cfa: 1\n", 1},
    {"CFI INIT without rules", "STACK CFI INIT 1000 10\n", 1},
    {"rows of a bad INIT", "STACK CFI INIT 1000 10\nSTACK CFI 1004 .cfa: 1\n", 1},
    {"rows of an empty INIT", "STACK CFI INIT 1000 0 .cfa: 1\nSTACK CFI 1004 .cfa: 1\n", 0},
    {"malformed rules are a record", "STACK CFI INIT 1000 10 foo\n", 0},
    {"STACK WIN cut short", "STACK WIN 4 1000 10 0 0\n", 1},
    {"STACK WIN of another type", "STACK WIN 3 1000 10 0 0 0 0 0 0 0 0\n", 0},
    {"STACK WIN that contradicts itself", "STACK WIN 4 1000 10 0 0 0 0 0 0 0 0\n", 0},
    {"blanks in front", " FUNC 1000 10 0 f\n", 1},
    {"upper-case line record", "FUNC FF0 10 0 f\nFF0 10 5 0\n", 0},
};

static void test_bad_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(line_cases); i++) {
        STRBUF_AUTO text;
        sb_init(&text, 1 << 16);
        sb_text(&text, MODULE_LINE);
        sb_text(&text, line_cases[i].line);
        struct csym c;
        struct csym_stats stats;
        FREE_LATER void *block = NULL;
        compile(sb_cstr(&text), &c, &block, &stats);
        if (stats.bad_lines != line_cases[i].bad)
            fail_msg("%s: %llu bad lines", line_cases[i].label,
                     (unsigned long long)stats.bad_lines);
    }
}

static void test_corrupt_above_100(void **state)
{
    (void)state;
    for (int bad = 100; bad <= 101; bad++) {
        STRBUF_AUTO text;
        sb_init(&text, 1 << 16);
        sb_text(&text, MODULE_LINE);
        for (int i = 0; i < bad; i++)
            sb_text(&text, "?\n");
        struct csym c;
        FREE_LATER void *block = NULL;
        compile(sb_cstr(&text), &c, &block, NULL);
        assert_int_equal(c.is_corrupt, bad > 100);
    }
}

/* 80 KB names occur; a line above 1 MiB is skipped like a bad one. */
static void test_long_lines(void **state)
{
    (void)state;
    static const size_t lengths[] = {80 << 10, (1 << 20) - 32, 1 << 20};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        STRBUF_AUTO text;
        sb_init(&text, 4 << 20);
        sb_text(&text, MODULE_LINE "FUNC 1000 10 0 ");
        for (size_t k = 0; k < lengths[i]; k++)
            sb_char(&text, 'x');
        sb_text(&text, "\nFUNC 2000 10 0 g\n");
        struct csym c;
        struct csym_hit hit;
        FREE_LATER void *block = NULL;
        compile(sb_cstr(&text), &c, &block, NULL);
        bool found = csym_lookup(&c, 0x1000, &hit);
        assert_int_equal(found, i < 2);
        if (found)
            assert_int_equal(hit.function.n, lengths[i]);
        assert_true(csym_lookup(&c, 0x2000, &hit));
    }
}

static const struct {
    const char *label, *text;
    bool ok;
} module_cases[] = {
    {"empty", "", false},
    {"only blank lines", "\n\n\r\n", false},
    {"no MODULE", "FUNC 1000 10 0 f\n", false},
    {"MODULE is not first", "INFO CODE_ID 1\n" MODULE_LINE, false},
    {"no name", "MODULE Linux x86_64 ABC\n", false},
    {"id is no number", "MODULE Linux x86_64 XYZ prog\n", false},
    {"id too long", "MODULE Linux x86_64 01234567890123456789012345678901234567890 prog\n", false},
    {"blank in the name", "MODULE mac arm64e ABC0 Fire Fox", true},
};

static void test_module(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(module_cases); i++) {
        FREE_LATER void *block = NULL;
        size_t n;
        struct err err = {0};
        bool ok = csym_compile_mem(str_of(module_cases[i].text), 0, &block, &n, NULL, &err);
        if (ok != module_cases[i].ok || (!ok && err.code != ERR_INVALID))
            fail_msg("%s: %d %s", module_cases[i].label, ok, err.msg);
    }
}

/* What an empty mapped file gives. */
static void test_null_text(void **state)
{
    (void)state;
    void *block;
    size_t n;
    struct err err = {0};
    assert_false(csym_compile_mem(STR_NONE, 0, &block, &n, NULL, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

static void test_identity(void **state)
{
    (void)state;
    struct csym c;
    FREE_LATER void *block = NULL;
    compile("MODULE windows x86 5A9832E5287241C1838ED98914E9B7FFa test app.pdb\r\n"
            "INFO CODE_ID 652DE0ED706D000 test app.exe\r\nINFO URL https://example.com/x y\r\n",
            &c, &block, NULL);
    assert_true(str_eq(c.os, STR("windows")));
    assert_true(str_eq(c.arch, STR("x86")));
    assert_true(str_eq(c.debug_id, STR("5A9832E5287241C1838ED98914E9B7FFa")));
    assert_true(str_eq(c.debug_file, STR("test app.pdb")));
    assert_true(str_eq(c.code_id, STR("652DE0ED706D000")));
    assert_true(str_eq(c.url, STR("https://example.com/x y")));
}

/* Line k covers 0x1000 + 4 k with number k + 1; every other record is an inline of its own. */
static void test_many_lines(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    STRBUF_AUTO text;
    sb_init(&text, 1 << 20);
    sb_text(&text, MODULE_LINE FILES "INLINE_ORIGIN 3 g\n");
    sb_printf(&text, "FUNC 1000 %x 0 f\n", COUNT * 4);
    for (unsigned k = 0; k < COUNT; k++)
        sb_printf(&text, "%x 4 %u %u\n", 0x1000 + 4 * k, k + 1, k % 2);
    for (unsigned k = 0; k < COUNT; k += 2)
        sb_printf(&text, "INLINE 0 %u 7 3 %x 4\n", k + 5000, 0x1000 + 4 * k);
    struct csym c;
    FREE_LATER void *block = NULL;
    compile(sb_cstr(&text), &c, &block, NULL);
    for (unsigned k = 0; k < COUNT; k++) {
        struct csym_hit hit;
        assert_true(csym_lookup(&c, 0x1000 + 4 * k + k % 4, &hit));
        assert_int_equal(hit.inline_count, k % 2 == 0);
        assert_int_equal(k % 2 ? hit.line : hit.inlines[0].line, k + 1);
        if (k % 2 == 0)
            assert_int_equal(hit.line, k + 5000);
    }
}

static const struct {
    const char *label, *text;
    uint64_t addr;
    const char *want;
} win_cases[] = {
    {"frame data", "STACK WIN 4 1000 20 1 2 3 4 5 6 1 $eip 1 =\n", 0x101f,
     "1000+20 1 2 3 4 5 6 frame '$eip 1 ='"},
    {"FPO", "STACK WIN 0 1000 20 1 2 3 4 5 6 0 1\n", 0x1000, "1000+20 1 2 3 4 5 6 fpo bp"},
    {"FPO without base pointer", "STACK WIN 0 1000 20 1 2 3 4 5 6 0 0\n", 0x1000,
     "1000+20 1 2 3 4 5 6 fpo"},
    {"frame data preferred",
     "STACK WIN 0 1000 20 0 0 0 0 0 0 0 1\nSTACK WIN 4 1010 20 0 0 0 0 0 0 1 x\n", 0x1010,
     "1010+20 0 0 0 0 0 0 frame 'x'"},
    {"FPO where there is no frame data",
     "STACK WIN 0 1000 20 0 0 0 0 0 0 0 1\nSTACK WIN 4 1010 20 0 0 0 0 0 0 1 x\n", 0x1008,
     "1000+20 0 0 0 0 0 0 fpo bp"},
    {"the later start cuts",
     "STACK WIN 4 1000 20 0 0 0 0 0 0 1 x\nSTACK WIN 4 1010 8 0 0 0 0 0 0 1 y\n", 0x1008,
     "1000+10 0 0 0 0 0 0 frame 'x'"},
    {"and covers its own",
     "STACK WIN 4 1000 20 0 0 0 0 0 0 1 x\nSTACK WIN 4 1010 8 0 0 0 0 0 0 1 y\n", 0x1010,
     "1010+8 0 0 0 0 0 0 frame 'y'"},
    {"the cut rest is gone",
     "STACK WIN 4 1000 20 0 0 0 0 0 0 1 x\nSTACK WIN 4 1010 8 0 0 0 0 0 0 1 y\n", 0x1018, "-"},
    {"an earlier start is dropped",
     "STACK WIN 4 1010 20 0 0 0 0 0 0 1 x\nSTACK WIN 4 1000 20 0 0 0 0 0 0 1 y\n", 0x1000, "-"},
    {"same range, first stays",
     "STACK WIN 4 1010 20 0 0 0 0 0 0 1 x\nSTACK WIN 4 1010 20 0 0 0 0 0 0 1 y\n", 0x1010,
     "1010+20 0 0 0 0 0 0 frame 'x'"},
    {"contradiction", "STACK WIN 0 1000 20 0 0 0 0 0 0 1 x\n", 0x1000, "-"},
    {"behind the end", "STACK WIN 4 1000 20 0 0 0 0 0 0 1 x\n", 0x1020, "-"},
};

static void test_win(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(win_cases); i++) {
        STRBUF_AUTO text, got;
        sb_init(&text, 1 << 16);
        sb_init(&got, 1 << 16);
        sb_text(&text, MODULE_LINE);
        sb_text(&text, win_cases[i].text);
        struct csym c;
        FREE_LATER void *block = NULL;
        compile(sb_cstr(&text), &c, &block, NULL);
        struct csym_win w;
        if (!csym_win_find(&c, win_cases[i].addr, &w))
            sb_text(&got, "-");
        else
            sb_printf(&got, "%x+%x %x %x %x %x %x %x %s", w.addr, w.size, w.prologue, w.epilogue,
                      w.param_size, w.saved_regs, w.locals, w.max_stack,
                      w.is_frame_data            ? "frame"
                      : w.allocates_base_pointer ? "fpo bp"
                                                 : "fpo");
        if (sb_view(&got).n > 1 && w.is_frame_data)
            sb_printf(&got, " '" STR_FMT "'", STR_ARG(w.program));
        if (!str_eq(sb_view(&got), str_of(win_cases[i].want)))
            fail_msg("%s: '%s', not '%s'", win_cases[i].label, sb_cstr(&got), win_cases[i].want);
    }
}

/* A return address in a nameless function of a stripped library is one all the same. */
static void test_code_without_name(void **state)
{
    (void)state;
    struct csym c;
    FREE_LATER void *block = NULL;
    compile("MODULE Linux x86_64 000000000000000000000000000000000 a\n"
            "FUNC 100 20 0 named\n"
            "FUNC 200 10 0 next\n"
            "STACK CFI INIT 100 20 .cfa: $rsp 8 + .ra: .cfa -8 + ^\n"
            "STACK CFI INIT 130 40 .cfa: $rsp 8 + .ra: .cfa -8 + ^\n",
            &c, &block, NULL);
    struct csym_hit hit;
    assert_true(csym_lookup(&c, 0x11f, &hit));
    assert_false(csym_lookup(&c, 0x130, &hit));
    assert_true(csym_is_code(&c, 0x130));
    assert_true(csym_is_code(&c, 0x16f));
    assert_false(csym_is_code(&c, 0x12f));
    assert_false(csym_is_code(&c, 0x170));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_without_name), cmocka_unit_test(test_lookup),
        cmocka_unit_test(test_bad_lines),         cmocka_unit_test(test_corrupt_above_100),
        cmocka_unit_test(test_long_lines),        cmocka_unit_test(test_module),
        cmocka_unit_test(test_null_text),         cmocka_unit_test(test_identity),
        cmocka_unit_test(test_many_lines),        cmocka_unit_test(test_win),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
