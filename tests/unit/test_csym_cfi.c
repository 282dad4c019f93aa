/* csym: which STACK CFI rules hold at an address, and what they evaluate to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/csym.h"

#define MODULE_LINE "MODULE Linux x86_64 0123456789ABCDEF0123456789ABCDEF0 prog\n"

/* The callee: rsp 0x8000, rbx 7, x29 0x8100, big = all ones; memory word at A holds A ^ 0xff. */
static bool reg(void *ctx, uint32_t index, uint64_t *ret)
{
    static const struct {
        const char *name;
        uint64_t value;
    } regs[] = {{"rsp", 0x8000}, {"rbx", 7}, {"x29", 0x8100}, {"big", UINT64_MAX}, {"5", 0x55}};
    struct str name = csym_reg_name(ctx, index);
    for (size_t i = 0; i < ARRAY_LEN(regs); i++)
        if (str_eq(name, str_of(regs[i].name))) {
            *ret = regs[i].value;
            return true;
        }
    return false;
}

static bool word(void *ctx, uint64_t addr, uint64_t *ret)
{
    (void)ctx;
    if (addr < 0x8000 || addr >= 0x9000)
        return false;
    *ret = addr ^ 0xff;
    return true;
}

/* "cfa=8010 ra=80f7 rbx=?" in alphabetical order of appearance; "-" where CFI says nothing. */
static void show(const struct csym *c, uint64_t addr, struct strbuf *out)
{
    struct csym_cfi cfi;
    if (!csym_cfi_find(c, addr, &cfi)) {
        sb_text(out, "-");
        return;
    }
    struct csym_env env = {.ctx = (void *)c, .reg = reg, .word = word};
    for (uint32_t i = 0; i < cfi.rule_count; i++)
        if (cfi.rules[i].reg == CSYM_REG_CFA)
            env.has_cfa = csym_cfi_eval(c, cfi.rules[i].program, &env, &env.cfa);
    for (uint32_t i = 0; i < cfi.rule_count; i++) {
        uint16_t r = cfi.rules[i].reg;
        struct str name = r == CSYM_REG_CFA  ? STR("cfa")
                          : r == CSYM_REG_RA ? STR("ra")
                                             : csym_reg_name(c, r);
        uint64_t v = env.cfa;
        bool ok =
            r == CSYM_REG_CFA ? env.has_cfa : csym_cfi_eval(c, cfi.rules[i].program, &env, &v);
        sb_printf(out, "%s" STR_FMT "=", out->n ? " " : "", STR_ARG(name));
        if (ok)
            sb_printf(out, "%llx", (unsigned long long)v);
        else
            sb_char(out, csym_cfi_is_undef(c, cfi.rules[i].program) ? 'u' : '?');
    }
}

static void check(const char *label, const char *records, uint64_t addr, const char *want)
{
    STRBUF_AUTO text, got;
    sb_init(&text, 1 << 20);
    sb_init(&got, 1 << 16);
    sb_text(&text, MODULE_LINE);
    sb_text(&text, records);
    struct err err = {0};
    struct csym c;
    FREE_LATER void *block = NULL;
    size_t n = 0;
    if (!csym_compile_mem(sb_view(&text), 0, &block, &n, NULL, &err) ||
        !csym_open_mem(block, n, &c, &err))
        fail_msg("%s: %s", label, err.msg);
    show(&c, addr, &got);
    if (!str_eq(sb_view(&got), str_of(want)))
        fail_msg("%s: '%s', not '%s'", label, sb_cstr(&got), want);
}

#define INIT "STACK CFI INIT 1000 100 .cfa: $rsp 16 + .ra: .cfa -8 + ^\n"
#define DELTAS                                                                                     \
    INIT "STACK CFI 1010 $rbx: .cfa -16 + ^ .cfa: $rsp 24 +\nSTACK CFI 1020 .cfa: $rsp 32 +\n"     \
         "STACK CFI 1030 .cfa: $rsp 16 + rbx: rbx\n"

static const struct {
    const char *label, *text;
    uint64_t addr;
    const char *want;
} ranges[] = {
    {"INIT alone", INIT, 0x1000, "cfa=8010 ra=80f7"},
    {"last byte", INIT, 0x10ff, "cfa=8010 ra=80f7"},
    {"behind", INIT, 0x1100, "-"},
    {"before", INIT, 0xfff, "-"},
    {"before the first delta", DELTAS, 0x100f, "cfa=8010 ra=80f7"},
    {"at the first delta", DELTAS, 0x1010, "cfa=8018 ra=80ef rbx=80f7"},
    {"one more", DELTAS, 0x1020, "cfa=8020 ra=80e7 rbx=80ef"},
    {"a later rule replaces", DELTAS, 0x1040, "cfa=8010 ra=80f7 rbx=7"},
    {"deltas not in order", INIT "STACK CFI 1020 .cfa: $rsp 32 +\nSTACK CFI 1010 .cfa: $rsp 24 +\n",
     0x1015, "cfa=8018 ra=80ef"},
    {"deltas not in order, both",
     INIT "STACK CFI 1020 .cfa: $rsp 32 +\nSTACK CFI 1010 .cfa: $rsp 24 +\n", 0x1025,
     "cfa=8020 ra=80e7"},
    {"two deltas at one address", INIT "STACK CFI 1010 .cfa: $rsp 32 +\nSTACK CFI 1010 rbx: 1\n",
     0x1010, "cfa=8020 ra=80e7 rbx=1"},
    {"delta before INIT counts", INIT "STACK CFI 800 .cfa: $rsp 32 +\n", 0x1000,
     "cfa=8020 ra=80e7"},
    {"delta behind INIT does not", INIT "STACK CFI 1100 .cfa: $rsp 32 +\n", 0x10ff,
     "cfa=8010 ra=80f7"},
    {"malformed delta fails from there",
     INIT "STACK CFI 1010 rbx\nSTACK CFI 1020 .cfa: $rsp 32 +\n", 0x1020, "-"},
    {"and not before", INIT "STACK CFI 1010 rbx\n", 0x100f, "cfa=8010 ra=80f7"},
    {"malformed INIT", "STACK CFI INIT 1000 100 16 .cfa: 1\nSTACK CFI 1010 .cfa: 2\n", 0x1010, "-"},
    {"register without expression", "STACK CFI INIT 1000 100 .cfa: .ra: 1\n", 0x1000, "-"},
    {"last register without expression", "STACK CFI INIT 1000 100 .cfa: 1 .ra:\n", 0x1000, "-"},
    {"overlapping INIT is dropped", INIT "STACK CFI INIT 1080 100 .cfa: 1\n", 0x1110, "-"},
    {"INITs not in order", "STACK CFI INIT 2000 10 .cfa: 2\nSTACK CFI INIT 1000 10 .cfa: 1\n",
     0x2000, "cfa=2"},
    {"row belongs to the last INIT in the file",
     "STACK CFI INIT 2000 10 .cfa: 2\nSTACK CFI INIT 1000 10 .cfa: 1\nSTACK CFI 1008 .cfa: 3\n",
     0x1008, "cfa=3"},
    {"rows go on behind other records", INIT "FILE 0 x\nSTACK CFI 1010 .cfa: 3\n", 0x1010,
     "cfa=3 ra=?"},
    {"above 4 GiB", "STACK CFI INIT 123456789a 10 .cfa: 2\nSTACK CFI 123456789c .cfa: 3\n",
     0x123456789c, "cfa=3"},
    {"same register twice in a record", "STACK CFI INIT 1000 10 .cfa: 2 .cfa: 3\n", 0x1000,
     "cfa=3"},
    {"tabs", "STACK CFI INIT 1000 10 .cfa:\t$rsp\t8\t+\n", 0x1000, "cfa=8008"},
};

static void test_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        check(ranges[i].label, ranges[i].text, ranges[i].addr, ranges[i].want);
}

/* The value of an expression as a register's rule, with CFA 0x8010. */
static const struct {
    const char *expression, *want;
} values[] = {
    {"5", "5"},
    {"-5", "fffffffffffffffb"},
    {"+5", "5"},
    {"007", "7"},
    {"9223372036854775807", "7fffffffffffffff"},
    {"-9223372036854775808", "8000000000000000"},
    {"9223372036854775808", "?"},
    {"0x10", "?"},
    {"+-5", "?"},
    {"$rsp", "8000"},
    {"rsp", "8000"},
    {"x29", "8100"},
    {"$5", "55"},
    {"$nope", "?"},
    {"nope", "?"},
    {"$", "?"},
    {".ra", "?"},
    {".cfa", "8010"},
    {".undef", "u"},
    {"1 .undef +", "?"},
    {".undef 1 +", "?"},
    {"2 3 +", "5"},
    {"2 3 -", "ffffffffffffffff"},
    {"2 3 *", "6"},
    {"big big *", "1"},
    {"big 1 +", "0"},
    {"7 2 /", "3"},
    {"-1 2 /", "7fffffffffffffff"},
    {"7 0 /", "?"},
    {"7 2 %", "1"},
    {"7 0 %", "?"},
    {"-1 10 %", "5"},
    {"1234 16 @", "4d0"},
    {"1234 15 @", "?"},
    {"1234 0 @", "?"},
    {"1234 1 @", "4d2"},
    {"32768 ^", "80ff"},
    {"rsp ^", "80ff"},
    {"0 ^", "?"},
    {"rsp 8 + ^", "80f7"},
    {".cfa -8 + ^", "80f7"},
    {".cfa 8 - ^", "80f7"},
    {".cfa 8 -", "8008"},
    {"rsp 8 -", "7ff8"},
    {"rsp ^ ^", "8000"},
    {"8 rsp +", "8008"},
    {"1 rsp 8 + +", "8009"},
    {"1 2 rsp 8 + + +", "800b"},
    {"rsp rbx 1 + +", "8008"},
    {"rsp 1 2 + +", "8003"},
    {"rsp 1 2 - -", "8001"},
    {"", "-"},
    {"1 2", "?"},
    {"+", "?"},
    {"1 +", "?"},
    {"^", "?"},
    {"1 2 3 + + +", "?"},
};

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char text[256], want[128];
        snprintf(text, sizeof text, "STACK CFI INIT 1000 10 .cfa: rsp 16 + r: %s\n",
                 values[i].expression);
        snprintf(want, sizeof want, "cfa=8010 r=%s", values[i].want);
        check(values[i].expression, text, 0x1000, *values[i].want == '-' ? "-" : want);
    }
}

static void test_cfa_not_in_its_own_rule(void **state)
{
    (void)state;
    check("cfa in cfa", "STACK CFI INIT 1000 10 .cfa: .cfa 8 + .ra: 1\n", 0x1000, "cfa=? ra=1");
    check("without cfa", "STACK CFI INIT 1000 10 .ra: .cfa 8 +\n", 0x1000, "ra=?");
    check("cfa last", "STACK CFI INIT 1000 10 .ra: .cfa 8 + .cfa: rsp\n", 0x1000,
          "ra=8008 cfa=8000");
}

/* 200 rows: beyond one block of a run, each with rules of its own. */
static void test_many_rows(void **state)
{
    (void)state;
    STRBUF_AUTO text;
    sb_init(&text, 1 << 16);
    sb_text(&text, "STACK CFI INIT 1000 1000 .cfa: 0 .ra: 1\n");
    for (int i = 1; i < 200; i++)
        sb_printf(&text, "STACK CFI %x .cfa: %d\n", 0x1000 + 4 * i, i);
    for (unsigned i = 0; i < 200; i++) {
        char want[64];
        snprintf(want, sizeof want, "cfa=%x ra=1", i);
        check("many rows", sb_cstr(&text), 0x1000 + 4 * i + i % 4, want);
    }
}

static void test_limits(void **state)
{
    (void)state;
    STRBUF_AUTO text;
    sb_init(&text, 1 << 20);
    sb_text(&text, "STACK CFI INIT 1000 10 .cfa: 1");
    for (int i = 0; i < CSYM_CFI_RULES_MAX; i++)
        sb_printf(&text, " r%d: 1", i);
    check("65 registers", sb_cstr(&text), 0x1000, "-");

    sb_reset(&text);
    sb_text(&text, "STACK CFI INIT 1000 10 .cfa: 1");
    for (int i = 0; i < 200; i++)
        sb_text(&text, " 1 +");
    check("long", sb_cstr(&text), 0x1000, "cfa=?"); /* more operations than the limit */

    sb_reset(&text);
    sb_text(&text, "STACK CFI INIT 1000 10 .cfa: 1");
    for (int i = 0; i < 100; i++)
        sb_text(&text, " 1");
    for (int i = 0; i < 100; i++)
        sb_text(&text, " +");
    check("deep", sb_cstr(&text), 0x1000, "cfa=?");
}

/* Equal rules are stored once, whatever order of rows led to them. */
static void test_deduplication(void **state)
{
    (void)state;
    STRBUF_AUTO text;
    sb_init(&text, 1 << 20);
    sb_text(&text, MODULE_LINE);
    for (int i = 0; i < 1000; i++)
        sb_printf(&text,
                  "STACK CFI INIT %x 10 .cfa: $rsp 8 + .ra: .cfa -8 + ^\n"
                  "STACK CFI %x .cfa: $rsp 16 +\nSTACK CFI %x .cfa: $rsp 8 +\n",
                  0x1000 + 16 * i, 0x1004 + 16 * i, 0x1008 + 16 * i);
    struct csym_stats stats;
    FREE_LATER void *block = NULL;
    size_t n;
    struct err err;
    assert_true(csym_compile_mem(sb_view(&text), 0, &block, &n, &stats, &err));
    assert_int_equal(stats.cfi_ranges, 1000);
    assert_int_equal(stats.cfi_rule_sets, 2);
    assert_true(n < text.n / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_cfa_not_in_its_own_rule),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_deduplication),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
