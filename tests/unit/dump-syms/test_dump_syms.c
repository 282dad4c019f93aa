/* DWARF expressions and call frame programs as STACK CFI rules; paths; names; order of records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dwarf.h>
#include <elf.h>

#include "lib/base/time.h"
#include "lib/base/util.h"
#include "tools/dump-syms/cfi.h"
#include "tools/dump-syms/extents.h"
#include "tools/dump-syms/cfi_text.h"
#include "tools/dump-syms/lines.h"
#include "tools/dump-syms/rust_name.h"

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static const struct {
    const char *label;
    const uint8_t *bytes;
    size_t n;
    bool cfa_first;
    const char *want; /* NULL: cannot be said */
} expressions[] = {
    {"register and offset", BYTES(DW_OP_breg7, 8), false, "$rsp 8 +"},
    {"register alone", BYTES(DW_OP_breg6, 0), false, "$rbp"},
    {"negative offset", BYTES(DW_OP_breg6, 0x58), false, "$rbp -40 +"},
    {"signal frame", BYTES(DW_OP_breg7, 0xa0, 0x01, DW_OP_deref), false, "$rsp 160 + ^"},
    {"realigned stack", BYTES(DW_OP_breg6, 0x78, DW_OP_deref), false, "$rbp -8 + ^"},
    {"PLT entry",
     BYTES(DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and, DW_OP_lit11, DW_OP_ge,
           DW_OP_lit3, DW_OP_shl, DW_OP_plus),
     false, "$rsp 8 + $rip 16 % 11 / 8 * +"},
    {"comparison that division cannot say",
     BYTES(DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and, DW_OP_lit5, DW_OP_ge), false, NULL},
    {"from the CFA", BYTES(DW_OP_plus_uconst, 16), true, ".cfa 16 +"},
    {"constants", BYTES(DW_OP_const1s, 0xff, DW_OP_const2u, 1, 2, DW_OP_plus), false, "-1 513 +"},
    {"swap and minus", BYTES(DW_OP_lit1, DW_OP_breg7, 0, DW_OP_swap, DW_OP_minus), false,
     "$rsp 1 -"},
    {"empty", BYTES(DW_OP_nop), false, NULL},
    {"too few values", BYTES(DW_OP_lit1, DW_OP_plus), false, NULL},
    {"drop of nothing", BYTES(DW_OP_drop), false, NULL},
    {"branch", BYTES(DW_OP_lit1, DW_OP_bra, 0, 0), false, NULL},
    {"vector register", BYTES(DW_OP_breg0 + 20, 0), false, NULL},
    {"cut off", BYTES(DW_OP_breg7, 0x80), false, NULL},
    {"constant cut off", BYTES(DW_OP_const8u, 1, 2), false, NULL},
};

static void test_expressions(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(expressions); i++) {
        FREE_LATER uint8_t *copy = xmalloc(expressions[i].n);
        memcpy(copy, expressions[i].bytes, expressions[i].n);
        STRBUF_AUTO out;
        sb_init(&out, 4096);
        bool ok = cfi_expression(rd_init(copy, expressions[i].n), EM_X86_64, 8,
                                 expressions[i].cfa_first, &out);
        if (ok != (expressions[i].want != NULL) ||
            strcmp(sb_cstr(&out), ok ? expressions[i].want : "") != 0)
            fail_msg("%s: %d '%s'", expressions[i].label, ok, sb_cstr(&out));
    }
}

/* Many duplicates and pushes: an error, not an overrun. */
static void test_expression_limits(void **state)
{
    (void)state;
    uint8_t code[300];
    STRBUF_AUTO out;
    sb_init(&out, 1 << 20);
    memset(code, DW_OP_dup, sizeof code);
    code[0] = DW_OP_breg7;
    code[1] = 0;
    assert_false(cfi_expression(rd_init(code, sizeof code), EM_X86_64, 8, false, &out));
    memset(code, DW_OP_deref, sizeof code);
    code[0] = DW_OP_lit1;
    assert_false(cfi_expression(rd_init(code, sizeof code), EM_X86_64, 8, false, &out));
    assert_int_equal(out.n, 0);
}

/*
 * A section of one CIE and one FDE (code alignment 1, data alignment -8, return address in
 * column 16, CFA rsp + 8), as .debug_frame: addresses are absolute.
 */
static size_t section(uint8_t out[256], uint64_t start, uint64_t size, const uint8_t *code,
                      size_t n)
{
    static const uint8_t cie[] = {20,
                                  0,
                                  0,
                                  0,
                                  0xff,
                                  0xff,
                                  0xff,
                                  0xff,
                                  1,
                                  0,
                                  1,
                                  0x78,
                                  16,
                                  DW_CFA_def_cfa,
                                  7,
                                  8,
                                  DW_CFA_offset | 16,
                                  1,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0};
    memcpy(out, cie, sizeof cie);
    uint8_t *f = out + sizeof cie;
    memset(f, 0, 24);
    f[0] = (uint8_t)(20 + n);
    memcpy(f + 8, &start, 8);
    memcpy(f + 16, &size, 8);
    memcpy(f + 24, code, n);
    return sizeof cie + 24 + n;
}

static const struct {
    const char *label;
    const uint8_t *code;
    size_t n;
    const char *want; /* text behind STACK CFI INIT */
} programs[] = {
    {"nothing happens", BYTES(DW_CFA_nop), "1000 40 .cfa: $rsp 8 + .ra: .cfa -8 + ^\n"},
    {"push and pop",
     BYTES(DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16, DW_CFA_offset | 6, 2,
           DW_CFA_advance_loc | 3, DW_CFA_def_cfa_register, 6, DW_CFA_advance_loc | 0x20,
           DW_CFA_restore | 6, DW_CFA_def_cfa, 7, 8),
     "1000 40 .cfa: $rsp 8 + .ra: .cfa -8 + ^\n"
     "STACK CFI 1001 .cfa: $rsp 16 + $rbp: .cfa -16 + ^\n"
     "STACK CFI 1004 .cfa: $rbp 16 +\n"
     "STACK CFI 1024 .cfa: $rsp 8 + $rbp: $rbp\n"},
    {"remember and restore",
     BYTES(DW_CFA_remember_state, DW_CFA_def_cfa_offset, 32, DW_CFA_advance_loc | 2,
           DW_CFA_restore_state),
     "1000 40 .cfa: $rsp 32 + .ra: .cfa -8 + ^\nSTACK CFI 1002 .cfa: $rsp 8 +\n"},
    {"outermost frame", BYTES(DW_CFA_undefined, 16), "1000 40 .cfa: $rsp 8 + .ra: .undef\n"},
    {"in another register", BYTES(DW_CFA_register, 16, 3), "1000 40 .cfa: $rsp 8 + .ra: $rbx\n"},
    {"expression that cannot be said",
     BYTES(DW_CFA_advance_loc | 4, DW_CFA_def_cfa_expression, 2, DW_OP_lit1, DW_OP_neg),
     "1000 40 .cfa: $rsp 8 + .ra: .cfa -8 + ^\nSTACK CFI 1004 .cfa: .undef\n"},
    {"vector registers are nobody's business",
     BYTES(DW_CFA_offset | 40, 1, DW_CFA_offset_extended, 99, 1),
     "1000 40 .cfa: $rsp 8 + .ra: .cfa -8 + ^\n"},
    {"runs past its end", BYTES(DW_CFA_advance_loc | 0x3f, DW_CFA_advance_loc4, 0, 0, 0, 1),
     "1000 40 .cfa: $rsp 8 + .ra: .cfa -8 + ^\n"},
    {"restore without remember", BYTES(DW_CFA_restore_state), NULL},
    {"unknown operation", BYTES(0x3f), NULL},
    {"expression longer than the entry", BYTES(DW_CFA_def_cfa_expression, 0xff, 0xff, 3), NULL},
};

static void test_programs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        uint8_t bytes[256];
        size_t n = section(bytes, 0x401000, 0x40, programs[i].code, programs[i].n);
        FREE_LATER uint8_t *copy = xmalloc(n);
        memcpy(copy, bytes, n);
        struct cfi_section sec = {
            .bytes = rd_init(copy, n), .base = 0x400000, .addr_size = 8, .machine = EM_X86_64};
        struct sym s;
        sym_init(&s);
        cfi_add_section(&sec, &s);
        STRBUF_AUTO text;
        sb_init(&text, 1 << 16);
        if (s.frames.n == 1) {
            sb_printf(&text, "%llx %llx ", (unsigned long long)s.frames.v[0].addr,
                      (unsigned long long)s.frames.v[0].size);
            sb_put(&text, s.cfi.p + s.frames.v[0].text, s.frames.v[0].text_length);
        }
        if (strcmp(sb_cstr(&text), programs[i].want ? programs[i].want : "") != 0)
            fail_msg("%s: '%s'", programs[i].label, sb_cstr(&text));
        sym_release(&s);
    }
}

static void test_paths(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"/a/b.c", "/a/b.c"},
        {"/a/./b.c", "/a/b.c"},
        {"/a/x/../b.c", "/a/b.c"},
        {"/a//b.c", "/a/b.c"},
        {"x/../../b.c", "../b.c"},
        {"../../b.c", "../../b.c"},
        {"./b.c", "b.c"},
        {"/a/..b/c.c", "/a/..b/c.c"},
        {"", ""},
        {"/a/b/../../../c.c", "/../c.c"},
    };
    struct arena a;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str got = lines_clean_path(&a, str_of(cases[i][0]));
        if (!str_eq(got, str_of(cases[i][1])))
            fail_msg("%s: " STR_FMT, cases[i][0], STR_ARG(got));
    }
    arena_release(&a);
}

static void test_rust_names(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad"},
        {"_ZN50_$LT$a..B$LT$T$GT$$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
         "<a::B<T> as core::fmt::Debug>::fmt"},
        {"_ZN3std2rt10lang_start28_$u7b$$u7b$closure$u7d$$u7d$17hfedcba9876543210E.llvm.77",
         "std::rt::lang_start::{{closure}}"},
        {"_ZN3foo3barEv", NULL},               /* C++ */
        {"_ZN3foo17h0123456789abcdegE", NULL}, /* no hash */
        {"_ZN3foo17h0123456789abcdef", NULL},  /* cut off */
        {"_ZN9foo17h0123456789abcdefE", NULL}, /* length beyond the end */
        {"_ZN99999999999999999999fooE", NULL},
        {"_ZN4$XX$17h0123456789abcdefE", NULL},
        {"_ZN2$a17h0123456789abcdefE", NULL},
        {"_ZN17h0123456789abcdefE", NULL},
        {"_ZN", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        STRBUF_AUTO out;
        sb_init(&out, 1000);
        bool ok = rust_name(cases[i][0], &out);
        if (ok != (cases[i][1] != NULL) || strcmp(sb_cstr(&out), ok ? cases[i][1] : "") != 0)
            fail_msg("%s: %d %s", cases[i][0], ok, sb_cstr(&out));
    }
}

static void test_rust_v0_names(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"_RNvMCs2wvwJDwge2F_6adler2NtB2_7Adler3211write_slice", "<adler2::Adler32>::write_slice"},
        {"_RNvXs1g_NtCsgEmfK2I1SDS_4core3fmtRDNtB6_5DebugEL_Bx_3fmtB8_",
         "<&dyn core::fmt::Debug as core::fmt::Debug>::fmt"},
        {"_RNvXse_NtCsfoXig8kEbyV_12simd_adler324hashAhje_NtB7_11Adler32Hash4hash",
         "<[u8; 14] as simd_adler32::Adler32Hash>::hash"},
        {"_RINvNtCsbLd7R6uW4Ys_6ruzstd5frame17read_frame_headerQRShEB4_",
         "ruzstd::frame::read_frame_header::<&mut &[u8]>"},
        {"_RNCNvNtCsjrHSEGnQ3l9_3std5alloc8rust_oom0B5_", "std::alloc::rust_oom::{closure#0}"},
        {"_RINvC1a1fDG_INtB2_1TTRL0_eEEp6OutputbEL_E",
         "a::f::<dyn for<'a> a::T<(&'a str,), Output = bool>>"},
        {"_RINvC1a1fFUKCPaOtEuE", "a::f::<unsafe extern \"C\" fn(*const i8, *mut u16)>"},
        {"_RINvC1a1fKl_Kln1f_Kb1_Kc41_E", "a::f::<0, -31, true, 'A'>"},
        {"_RINvC1a1fKc27_Kc22_Kca_Kc0_Kc5c_Kc7f_Kce9_E",
         "a::f::<'\\'', '\"', '\\n', '\\0', '\\\\', '\\u{7f}', '\\u{e9}'>"},
        /* A trait by reference, whose arguments go on with the type it is bound to. */
        {"_RINvC1a1fINtC1b1TTmEEDB7_p6OutputmEL_E",
         "a::f::<b::T<(u32,)>, dyn b::T<(u32,), Output = u32>>"},
        {"_RINvC1a1fINtC1b1TTmEEDB7_EL_E", "a::f::<b::T<(u32,)>, dyn b::T<(u32,)>>"},
        {"_RINvC1a1fINtC1b1TTmEEDBk_p6OutputmEL_E", NULL}, /* a trait that is itself */
        {"_RNvC1a1f.llvm.123", "a::f"},
        {"_RIC0B_E", NULL},   /* a reference to itself */
        {"_RNvC1a9f", NULL},  /* length beyond the end */
        {"_RNvC1a1fX", NULL}, /* something behind the end */
        {"_RNvC1a", NULL},
        {"_R", NULL},
        {"_RINvC1a1fRL5_eE", NULL}, /* a lifetime that nobody has bound */
        {"_Resume", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        STRBUF_AUTO out;
        sb_init(&out, 1000);
        bool ok = rust_v0_name(cases[i][0], &out);
        if (ok != (cases[i][1] != NULL) || strcmp(sb_cstr(&out), ok ? cases[i][1] : "") != 0)
            fail_msg("%s: %d %s", cases[i][0], ok, sb_cstr(&out));
    }
}

/* Each tuple refers twice to the one before: the text would double fifty times. */
static void test_rust_references_do_not_explode(void **state)
{
    (void)state;
    STRBUF_AUTO name, out;
    sb_init(&name, 10000);
    sb_init(&out, 1 << 20);
    sb_text(&name, "_RINvC1a1f");
    size_t before = name.n - 2; /* where the first tuple starts, behind _R */
    sb_text(&name, "TuuE");
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (int i = 0; i < 50; i++) {
        size_t here = name.n - 2, n = before - 1;
        char ref[8];
        snprintf(ref, sizeof ref, "B%s%c_", n >= 62 ? (char[]){digits[n / 62], '\0'} : "",
                 digits[n % 62]);
        sb_printf(&name, "T%s%sE", ref, ref);
        before = here;
    }
    sb_text(&name, "E");
    int64_t start = mono_ms();
    assert_false(rust_v0_name(sb_cstr(&name), &out));
    assert_true(mono_ms() - start < 1000);
}

static void add_func(struct sym *s, uint64_t addr, uint32_t size, const char *name)
{
    struct sym_func f = {
        .addr = addr, .size = size, .name = textmap_number(&s->names, &s->arena, str_of(name))};
    VEC_PUSH(&s->funcs, f);
}

static void add_symbol(struct sym *s, uint64_t addr, uint64_t size, int rank, const char *name)
{
    struct sym_symbol one = {.addr = addr,
                             .size = size,
                             .limit = 0x1000,
                             .rank = rank,
                             .name = textmap_number(&s->names, &s->arena, str_of(name))};
    VEC_PUSH(&s->symbols, one);
}

static void add_plt(struct sym *s, uint64_t addr, uint64_t end, const char *name)
{
    struct sym_section one = {addr, end, textmap_number(&s->names, &s->arena, str_of(name))};
    VEC_PUSH(&s->plt, one);
}

static void add_frame(struct sym *s, uint64_t addr, uint64_t size)
{
    VEC_PUSH(&s->frames, ((struct sym_frame){.addr = addr, .size = size}));
}

static void named_module(struct sym *s)
{
    sym_init(s);
    s->arch = "x86_64";
    s->name = "m";
    s->no_cfi = true;
    snprintf(s->debug_id, sizeof s->debug_id, "0");
}

/* The records behind the head of the file; releases the symbols. */
static void assert_records(struct sym *s, const char *want)
{
    sym_finish(s);
    extents_add(s);
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    assert_true(sym_write(s, out, ERR_IGNORED));
    fclose(out);
    const char *head = strstr(text, "INFO GENERATOR");
    assert_string_equal(strchr(head, '\n') + 1, want);
    free(text);
    sym_release(s);
}

static void test_order(void **state)
{
    (void)state;
    struct sym s;
    named_module(&s);
    add_func(&s, 0x300, 0x10, "late");
    add_func(&s, 0x100, 0x20, "one");
    add_func(&s, 0x100, 0x20, "same code");
    add_func(&s, 0x110, 0x20, "overlaps one");
    add_symbol(&s, 0x118, 0, 300, "inside one");
    add_symbol(&s, 0x200, 0x30, 280, "__write");
    add_symbol(&s, 0x200, 0x30, 300, "write");
    add_symbol(&s, 0x200, 0, 0, "local");
    assert_records(&s, "FUNC m 100 20 0 one\n"
                       "FUNC m 200 30 0 write\n"
                       "FUNC 300 10 0 late\n");
}

/* A PUBLIC reached to the next one and gave its name to every nameless function between. */
static void test_symbols_end_at_their_size(void **state)
{
    (void)state;
    struct sym s;
    named_module(&s);
    add_symbol(&s, 0x100, 0x20, 300, "exported");
    add_frame(&s, 0x100, 0x20);
    add_frame(&s, 0x120, 0x80); /* nameless */
    add_symbol(&s, 0x400, 0x10, 300, "next");
    assert_records(&s, "FUNC 100 20 0 exported\n"
                       "FUNC 400 10 0 next\n");
}

static void test_symbols_around_functions(void **state)
{
    (void)state;
    struct sym s;
    named_module(&s);
    add_func(&s, 0x110, 0x10, "known");
    add_func(&s, 0x130, 0x10, "known too");
    add_symbol(&s, 0x100, 0x50, 300, "outer");
    add_symbol(&s, 0x118, 0x10, 300, "starts in known");
    add_symbol(&s, 0x130, 0x10, 300, "is known too");
    assert_records(&s, "FUNC 100 10 0 outer\n"
                       "FUNC 110 10 0 known\n"
                       "FUNC 120 8 0 starts in known\n"
                       "FUNC 128 8 0 outer\n"
                       "FUNC 130 10 0 known too\n"
                       "FUNC 140 10 0 outer\n");
}

static void test_symbols_in_symbols(void **state)
{
    (void)state;
    struct sym s;
    named_module(&s);
    add_symbol(&s, 0x100, 0x100, 300, "outer");
    add_symbol(&s, 0x120, 0x40, 300, "middle");
    add_symbol(&s, 0x140, 0x40, 300, "reaches out of middle");
    assert_records(&s, "FUNC 100 20 0 outer\n"
                       "FUNC 120 20 0 middle\n"
                       "FUNC 140 40 0 reaches out of middle\n"
                       "FUNC 180 80 0 outer\n");
}

static void test_symbols_without_size_end_where_something_begins(void **state)
{
    (void)state;
    struct sym s;
    named_module(&s);
    add_symbol(&s, 0x100, 0, 300, "until a symbol");
    add_symbol(&s, 0x110, 0, 300, "until its unwind entry ends");
    add_frame(&s, 0x110, 0x18);
    add_symbol(&s, 0x200, 0, 300, "until an unwind entry begins");
    add_frame(&s, 0x220, 0x10);
    add_func(&s, 0x330, 0x10, "function");
    add_symbol(&s, 0x300, 0, 300, "until a function");
    add_symbol(&s, 0xff0, 0, 300, "until the section ends");
    assert_records(&s, "FUNC 100 10 0 until a symbol\n"
                       "FUNC 110 18 0 until its unwind entry ends\n"
                       "FUNC 200 20 0 until an unwind entry begins\n"
                       "FUNC 300 30 0 until a function\n"
                       "FUNC 330 10 0 function\n"
                       "FUNC ff0 10 0 until the section ends\n");
}

/* Where nameless code follows, a FUNC ends the last section of the linkage table. */
static void test_linkage_table(void **state)
{
    (void)state;
    struct sym s;
    named_module(&s);
    add_symbol(&s, 0x100, 0x17, 300, "_init");
    add_plt(&s, 0x160, 0x168, "<.plt.got>");
    add_plt(&s, 0x120, 0x160, "<.plt>");
    add_symbol(&s, 0x200, 0x10, 300, "far away");
    assert_records(&s, "FUNC 100 17 0 _init\n"
                       "FUNC 160 8 0 <.plt.got>\n"
                       "FUNC 200 10 0 far away\n"
                       "PUBLIC 120 0 <.plt>\n"
                       "PUBLIC 160 0 <.plt.got>\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_expression_limits),
        cmocka_unit_test(test_programs),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_rust_names),
        cmocka_unit_test(test_rust_v0_names),
        cmocka_unit_test(test_rust_references_do_not_explode),
        cmocka_unit_test(test_symbols_end_at_their_size),
        cmocka_unit_test(test_symbols_around_functions),
        cmocka_unit_test(test_symbols_in_symbols),
        cmocka_unit_test(test_symbols_without_size_end_where_something_begins),
        cmocka_unit_test(test_linkage_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
