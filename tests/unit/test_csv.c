/* Comma-separated values, read and written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/csv.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

enum { FIELDS = 4 };

/* Records as "a|b;c": fields between bars, each record with its line behind "@". */
static const struct {
    const char *label, *text, *want; /* want "!…": the error */
} cases[] = {
    {"nothing", "", ""},
    {"one field", "a", "a@1;"},
    {"two lines", "a,b\nc,d\n", "a|b@1;c|d@2;"},
    {"CRLF, no end", "a,b\r\nc,d", "a|b@1;c|d@2;"},
    {"empty fields", ",\n,,", "|@1;||@2;"},
    {"an empty field behind a comma at the end", "a,", "a|@1;"},
    {"empty lines", "\n\r\na\n\n\nb\n", "a@3;b@6;"},
    {"byte order mark",
     "\xef\xbb\xbf"
     "a,b\n",
     "a|b@1;"},
    {"quotes", "\"a,b\",c\n", "a,b|c@1;"},
    {"doubled quotes", "\"\"\"a\"\"\",\"\"\n", "\"a\"|@1;"},
    {"a line end in quotes", "\"a\nb\",c\nd\n", "a\nb|c@1;d@3;"},
    {"a quote inside", "a\"b,c\n", "a\"b|c@1;"},
    {"a lone CR", "a\rb\n", "a\rb@1;"},
    {"no end", "x\n\"a,b\n", "!line 2: a quote that does not end"},
    {"no end behind a pair", "\"a\"\"", "!line 1: a quote that does not end"},
    {"text behind", "\"a\"b\n", "!line 1: text behind a closing quote"},
};

static void print_records(struct str text, struct strbuf *out)
{
    struct csv c;
    struct arena a;
    struct err err = {0};
    struct str fields[FIELDS];
    size_t n = 1;
    arena_init(&a, 1 << 16);
    csv_begin(&c, text);
    while (n > 0) {
        if (!csv_next(&c, &a, fields, FIELDS, &n, &err)) {
            sb_reset(out);
            sb_printf(out, "!%s", err.msg);
            break;
        }
        for (size_t i = 0; i < n; i++)
            sb_printf(out, "%s" STR_FMT, i ? "|" : "", STR_ARG(fields[i]));
        if (n > 0)
            sb_printf(out, "@%zu;", c.line);
    }
    arena_release(&a);
}

static void test_reading(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        STRBUF_AUTO out;
        sb_init(&out, 4096);
        print_records(str_of(cases[i].text), &out);
        if (!str_eq(sb_view(&out), str_of(cases[i].want)))
            fail_msg("%s: %s, not %s", cases[i].label, sb_cstr(&out), cases[i].want);
    }
}

/* More fields than there is room for are counted and not stored. */
static void test_too_many_fields(void **state)
{
    struct csv c;
    struct arena a;
    struct str fields[2] = {STR("x"), STR("x")};
    size_t n;
    (void)state;
    arena_init(&a, 4096);
    csv_begin(&c, STR("1,2,3,4\n"));
    assert_true(csv_next(&c, &a, fields, 1, &n, ERR_IGNORED));
    assert_int_equal(n, 4);
    assert_true(str_eq(fields[0], STR("1")) && str_eq(fields[1], STR("x")));
    arena_release(&a);
}

/* What is written is read as it was, whatever it is made of. */
static void test_random_records(void **state)
{
    static const char letters[] = {'a', ',', '"', '\n', '\r', ' '};
    uint64_t seed = 7;
    (void)state;
    for (int round = 0; round < 5000; round++) {
        char bytes[3][8];
        struct str put[3], got[3];
        STRBUF_AUTO b;
        sb_init(&b, 4096);
        for (size_t f = 0; f < 3; f++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            size_t n = (seed >> 40) % 8;
            for (size_t i = 0; i < n; i++)
                bytes[f][i] = letters[(seed >> (16 + 3 * i)) % ARRAY_LEN(letters)];
            put[f] = str_n(bytes[f], f == 0 && n == 0 ? (bytes[f][0] = 'x', 1) : n);
            if (f)
                sb_char(&b, ',');
            csv_put(&b, put[f]);
        }
        sb_char(&b, '\n');
        struct csv c;
        struct arena a;
        size_t n;
        arena_init(&a, 1 << 16);
        csv_begin(&c, sb_view(&b));
        assert_true(csv_next(&c, &a, got, 3, &n, ERR_IGNORED));
        assert_int_equal(n, 3);
        for (size_t f = 0; f < 3; f++)
            assert_true(str_eq(got[f], put[f]));
        assert_true(csv_next(&c, &a, got, 3, &n, ERR_IGNORED) && n == 0);
        arena_release(&a);
    }
}

static void test_guarded(void **state)
{
    (void)state;
    static const char *const guarded[][2] = {
        {"", ""},        {"a=b", "a=b"},      {"=1", "'=1"},
        {"+1", "'+1"},   {"-1", "'-1"},       {"@x", "'@x"},
        {"\t1", "'\t1"}, {"\r1", "\"'\r1\""}, {"=a,\"b\"", "\"'=a,\"\"b\"\"\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(guarded); i++) {
        STRBUF_AUTO b;
        sb_init(&b, 100);
        csv_put_guarded(&b, str_of(guarded[i][0]));
        assert_string_equal(sb_cstr(&b), guarded[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_too_many_fields),
        cmocka_unit_test(test_random_records),
        cmocka_unit_test(test_guarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
