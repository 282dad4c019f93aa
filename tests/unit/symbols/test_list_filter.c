/* Filters of lists: every operator, unit and kind of time, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fcgi/symbols/list_filter.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

enum { K = 1024, M = 1024 * 1024, G = 1024 * 1024 * 1024 };

static const struct {
    const char *text;
    int64_t least, most; /* least -1: refused */
    const char *refusal;
} sizes[] = {
    {"100", 100, 100, NULL},
    {"=100", 100, 100, NULL},
    {"100b", 100, 100, NULL},
    {">100", 101, INT64_MAX, NULL},
    {">= 100 KB", 100 * K, INT64_MAX, NULL},
    {"<10m", 0, 10 * M - 1, NULL},
    {"<=10Mb", 0, 10 * M, NULL},
    {">1k,<1g", K + 1, (int64_t)G - 1, NULL},
    {" , >1k , ", K + 1, INT64_MAX, NULL},
    {">1.5k", 1537, INT64_MAX, NULL},
    {">=1.5m", 1572864, INT64_MAX, NULL},
    {">=1.0001k", 1025, INT64_MAX, NULL},
    {"<1.0001k", 0, 1024, NULL},
    {"<=1.0001k", 0, 1024, NULL},
    {"1.0001k", 1025, 1024, NULL}, /* half a byte: nothing has that size */
    {"<0", 0, -1, NULL},
    {">5,<3", 6, 2, NULL},
    {"999999999999999g", INT64_MAX - 1, INT64_MAX - 1, NULL},
    {"x", -1, 0, "'x' is not a valid size"},
    {"1000,>", -1, 0, "'>' is not a valid size"},
    {"-5", -1, 0, "'-5' is not a valid size"},
    {"1.", -1, 0, "'1.' is not a valid size"},
    {".5m", -1, 0, "'.5m' is not a valid size"},
    {"1tb", -1, 0, "'1tb' is not a valid size"},
    {"1 000", -1, 0, "'1 000' is not a valid size"},
    {"1000000000000000", -1, 0, "'1000000000000000' is not a valid size"},
};

static void test_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct size_range r = {0};
        struct err err = {0};
        bool ok = size_filter_parse(str_of(sizes[i].text), &r, &err);
        if (ok != (sizes[i].least >= 0) ||
            (ok && (r.least != sizes[i].least || r.most != sizes[i].most || !r.is_set)) ||
            (!ok && strcmp(err.msg, sizes[i].refusal) != 0))
            fail_msg("%s: %d %lld to %lld, %s", sizes[i].text, ok, (long long)r.least,
                     (long long)r.most, err.msg);
    }
    struct size_range none;
    assert_true(size_filter_parse(STR(""), &none, ERR_IGNORED));
    assert_false(none.is_set);
}

/* Seconds behind 2024-08-14T00:00:00Z; OPEN is no limit. */
enum { OPEN = INT32_MIN, DAY = 86400 };
static const struct {
    const char *text;
    int from_s, end_s;
    int from_more_us, end_more_us;
    bool is_null;
} times[] = {
    {"2024-08-14", 0, DAY, 0, 0, false},
    {"=2024-08-14", 0, DAY, 0, 0, false},
    {"=2024-08-14T12:00:01", 43201, 43202, 0, 0, false},
    {"2024-08-14 12:00:01.25Z", 43201, 43201, 250000, 250001, false},
    {">2024-08-14", 1, OPEN, 1, 0, false},
    {">=2024-08-14", 0, OPEN, 0, 0, false},
    {"<2024-08-14", OPEN, 0, 0, 0, false},
    {"<=2024-08-14", OPEN, 0, 0, 1, false},
    {">2024-08-14T12:18:50.123Z", 44331, OPEN, 123001, 0, false},
    {">=2024-08-14T02:00:00+02:00", 0, OPEN, 0, 0, false},
    {">=2024-08-13,<2024-08-15", -DAY, DAY, 0, 0, false},
    {"today", 0, DAY, 0, 0, false},
    {">=Yesterday", -DAY, OPEN, 0, 0, false},
    {"yesterday", -DAY, 0, 0, 0, false},
    {"null", OPEN, OPEN, 0, 0, true},
    {"Incomplete", OPEN, OPEN, 0, 0, true},
};

static void test_times(void **state)
{
    (void)state;
    int64_t zero_us, now_us;
    assert_true(time_parse(STR("2024-08-14"), &zero_us, ERR_IGNORED));
    now_us = zero_us + 50000LL * 1000000;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct time_range r;
        struct err err = {0};
        if (!time_filter_parse(str_of(times[i].text), now_us, &r, &err))
            fail_msg("%s: %s", times[i].text, err.msg);
        int64_t from = (r.from_us - zero_us), end = (r.end_us - zero_us);
        bool fits_from = times[i].from_s == OPEN
                             ? from < -DAY * 300000LL
                             : from == times[i].from_s * 1000000LL + times[i].from_more_us;
        bool fits_end = times[i].end_s == OPEN
                            ? end > DAY * 300000LL
                            : end == times[i].end_s * 1000000LL + times[i].end_more_us;
        if (!fits_from || !fits_end || r.must_be_null != times[i].is_null ||
            r.is_set == times[i].is_null)
            fail_msg("%s: %lld to %lld", times[i].text, (long long)from, (long long)end);
    }
    static const char *const bad[] = {"x",     ">",        "2024-13-01",  "2024-02-30",
                                      "12:00", "tomorrow", "2024-08-14,x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct time_range r;
        struct err err = {0};
        if (time_filter_parse(str_of(bad[i]), now_us, &r, &err) ||
            strncmp(err.msg, "Unable to parse '", 17) != 0)
            fail_msg("%s: %s", bad[i], err.msg);
    }
}

static void test_patterns(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_string_equal(like_pattern(&a, STR("xul")), "%xul%");
    assert_string_equal(like_pattern(&a, STR("50%_\\x")), "%50\\%\\_\\\\x%");
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
