#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/json/repair.h"

#define TEXT(s) s, sizeof(s) - 1

/* clang-format off */
static const struct {
    const char *label, *in;
    size_t n;
    const char *want; /* as the strict parser writes it back, or NULL: refused */
    size_t nul_members, lone;
} cases[] = {
    {"plain", TEXT("{\"a\": \"b\", \"c\": [1, true, null, -2.5]}"), "{\"a\": \"b\", \"c\": [1, true, null, -2.5]}", 0, 0},
    {"NUL in a value", TEXT("{\"a\": \"x\\u0000y\\u0000\"}"), "{\"a\": \"xy\"}", 1, 0},
    {"NUL in a key", TEXT("{\"a\\u0000b\": 1}"), "{\"ab\": 1}", 1, 0},
    {"NUL in key and value of one member", TEXT("{\"a\\u0000\": \"\\u0000\", \"b\": \"\\u0000\"}"), "{\"a\": \"\", \"b\": \"\"}", 2, 0},
    {"NUL deeper counts once", TEXT("{\"a\": [\"\\u0000\", {\"\\u0000\": 1}]}"), "{\"a\": [\"\", {\"\": 1}]}", 1, 0},
    {"escaped backslash before u0000", TEXT("{\"a\": \"\\\\u0000\"}"), "{\"a\": \"\\\\u0000\"}", 0, 0},
    {"raw NUL byte", TEXT("{\"a\": \"x\0y\"}"), NULL, 0, 0},
    {"raw control character", TEXT("{\"a\": \"x\ny\"}"), NULL, 0, 0},
    {"lone high surrogate", TEXT("{\"a\": \"\\ud800\"}"), "{\"a\": \"\\uFFFD\"}", 0, 1},
    {"lone low surrogate", TEXT("{\"a\": \"\\uDC00x\"}"), "{\"a\": \"\\uFFFDx\"}", 0, 1},
    {"two high surrogates", TEXT("{\"a\": \"\\ud800\\ud800\"}"), "{\"a\": \"\\uFFFD\\uFFFD\"}", 0, 2},
    {"pair", TEXT("{\"a\": \"\\ud83d\\ude00\"}"), "{\"a\": \"\\uD83D\\uDE00\"}", 0, 0},
    {"half an escape", TEXT("{\"a\": \"\\ud8"), NULL, 0, 0},
    {"backslash at the end", TEXT("{\"a\": \"\\"), NULL, 0, 0},
    {"mark", TEXT("\xef\xbb\xbf{}"), "{}", 0, 0},
    {"UTF-16 little with mark", TEXT("\xff\xfe{\0\"\0a\0\"\0:\0001\0}\0"), "{\"a\": 1}", 0, 0},
    {"UTF-16 big with mark", TEXT("\xfe\xff\0{\0}"), "{}", 0, 0},
    {"UTF-16 little without mark", TEXT("{\0\"\0\xe9\0\"\0:\0001\0}\0"), "{\"\\u00E9\": 1}", 0, 0},
    {"UTF-16 big without mark", TEXT("\0{\0}"), "{}", 0, 0},
    {"UTF-16 pair", TEXT("{\0\"\0\x3d\xd8\x00\xde\"\0:\0001\0}\0"), "{\"\\uD83D\\uDE00\": 1}", 0, 0},
    {"UTF-16 lone surrogate", TEXT("{\0\"\0\x3d\xd8\"\0:\0001\0}\0"), "{\"\\uFFFD\": 1}", 0, 1},
    {"UTF-16 of odd length", TEXT("\xff\xfe{\0}"), NULL, 0, 0},
    {"UTF-32 little", TEXT("{\0\0\0}\0\0\0"), "{}", 0, 0},
    {"UTF-32 big with mark", TEXT("\0\0\xfe\xff\0\0\0{\0\0\0}"), "{}", 0, 0},
    {"UTF-32 beyond Unicode", TEXT("\0\0\xfe\xff\0\0\0{\0\x11\0\0"), NULL, 0, 0},
    {"NaN and infinities", TEXT("{\"a\": NaN, \"b\": [Infinity, -Infinity]}"), "{\"a\": \"NaN\", \"b\": [\"Infinity\", \"-Infinity\"]}", 0, 0},
    {"NaN inside a string stays", TEXT("{\"a\": \"NaN\"}"), "{\"a\": \"NaN\"}", 0, 0},
    {"other words", TEXT("{\"a\": Nan}"), NULL, 0, 0},
    {"largest integer", TEXT("{\"a\": 9223372036854775807}"), "{\"a\": 9223372036854775807}", 0, 0},
    {"one more", TEXT("{\"a\": 9223372036854775808}"), "{\"a\": \"9223372036854775808\"}", 0, 0},
    {"smallest integer", TEXT("{\"a\": -9223372036854775808}"), "{\"a\": -9223372036854775808}", 0, 0},
    {"one less", TEXT("{\"a\": -9223372036854775809}"), "{\"a\": \"-9223372036854775809\"}", 0, 0},
    {"real overflow", TEXT("{\"a\": 1e999}"), "{\"a\": \"1e999\"}", 0, 0},
    {"real underflow", TEXT("{\"a\": 1e-999}"), "{\"a\": 0.0}", 0, 0},
    {"leading zero", TEXT("{\"a\": 01}"), NULL, 0, 0},
    {"huge with leading zero", TEXT("{\"a\": 099999999999999999999}"), NULL, 0, 0},
    {"no fraction", TEXT("{\"a\": 1.}"), NULL, 0, 0},
    {"no exponent", TEXT("{\"a\": 1e}"), NULL, 0, 0},
    {"plus", TEXT("{\"a\": +1}"), NULL, 0, 0},
    {"duplicate keys", TEXT("{\"a\": 1, \"a\": 2}"), "{\"a\": 2}", 0, 0},
    {"invalid UTF-8", TEXT("{\"a\": \"\xff\"}"), NULL, 0, 0},
    {"trailing text", TEXT("{} x"), NULL, 0, 0},
    {"empty", TEXT(""), NULL, 0, 0},
    {"blanks", TEXT("  "), NULL, 0, 0},
    {"zero byte behind a number", TEXT("\xff\xfe" "4\0\0\0"), NULL, 0, 0},
    {"scalar", TEXT("5"), "5", 0, 0},
    {"open", TEXT("{\"a\": \"b"), NULL, 0, 0},
    {"brackets in strings have no depth", TEXT("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\""), "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"", 0, 0},
};
/* clang-format on */

static char *repair_and_parse(struct str in, struct jrepairs *repairs)
{
    /* A heap copy of exactly this size: a sanitizer sees a read one byte too far. */
    FREE_LATER char *copy = xmalloc(MAX(in.n, (size_t)1));
    memcpy(copy, in.p, in.n);
    STRBUF_AUTO out;
    sb_init(&out, 1 << 20);
    if (!jrepair(str_n(copy, in.n), 64, &out, repairs, ERR_IGNORED))
        return NULL;
    json_auto_t *v = jparse(sb_view(&out), 1 << 20, ERR_IGNORED);
    return v ? json_dumps(v, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct jrepairs repairs = {0};
        FREE_LATER char *got = repair_and_parse(str_n(cases[i].in, cases[i].n), &repairs);
        const char *want = cases[i].want;
        if ((want != NULL) != (got != NULL) || (want && strcmp(got, want) != 0))
            fail_msg("%s: got %s", cases[i].label, got ? got : "refused");
        if (want && (repairs.nul_members != cases[i].nul_members ||
                     repairs.lone_surrogates != cases[i].lone))
            fail_msg("%s: %zu NUL, %zu lone", cases[i].label, repairs.nul_members,
                     repairs.lone_surrogates);
    }
}

static void test_depth(void **state)
{
    (void)state;
    for (int depth = 63; depth <= 66; depth++) {
        STRBUF_AUTO in;
        sb_init(&in, 1000);
        for (int i = 0; i < depth; i++)
            sb_char(&in, '[');
        for (int i = 0; i < depth; i++)
            sb_char(&in, ']');
        struct jrepairs repairs;
        FREE_LATER char *got = repair_and_parse(sb_view(&in), &repairs);
        assert_int_equal(got != NULL, depth <= 64);
    }
}

static void test_output_limit(void **state)
{
    (void)state;
    struct jrepairs repairs;
    struct err err = {0};
    STRBUF_AUTO out;
    sb_init(&out, 5);
    assert_false(jrepair(STR("\"abcdef\""), 64, &out, &repairs, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
}

/* A list of numbers takes a hundred times its text in the parser. */
static void test_too_many_values(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        size_t values = JSON_REPAIR_VALUES_MAX - 1 + over; /* and the list */
        STRBUF_AUTO text;
        STRBUF_AUTO out;
        struct jrepairs repairs;
        sb_init(&text, 32 << 20);
        sb_init(&out, 32 << 20);
        sb_char(&text, '[');
        for (size_t i = 0; i < values; i++)
            sb_text(&text, i ? ",1" : "1");
        sb_char(&text, ']');
        assert_int_equal(jrepair(sb_view(&text), 64, &out, &repairs, ERR_IGNORED), !over);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_output_limit),
        cmocka_unit_test(test_too_many_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
