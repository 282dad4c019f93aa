/* Quotas of products: windows, both limits together, and many workers at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fcgi/collector/quota.h"

static const int64_t midnight = 20000 * (int64_t)86400;

static size_t taken(struct quota_table *t, const struct product *p, int64_t now_s, size_t tries)
{
    size_t n = 0;
    for (size_t i = 0; i < tries; i++)
        n += quota_take(t, p, now_s);
    return n;
}

static void test_windows(void **state)
{
    struct quota_table *t;
    (void)state;
    const struct product minute = {.name = "minute", .quota_per_minute = 3},
                         day = {.name = "day", .quota_per_day = 5}, free_one = {.name = "free"},
                         both = {.name = "both", .quota_per_minute = 4, .quota_per_day = 6};
    assert_true(quota_new(&t, ERR_IGNORED));
    assert_int_equal(taken(t, &minute, midnight + 59, 10), 3);
    assert_int_equal(taken(t, &minute, midnight + 60, 10), 3);
    assert_int_equal(taken(t, &minute, midnight + 119, 10), 0);
    assert_int_equal(taken(t, &day, midnight, 10), 5);
    assert_int_equal(taken(t, &day, midnight + 86399, 10), 0);
    assert_int_equal(taken(t, &day, midnight + 86400, 10), 5);
    assert_int_equal(taken(t, &free_one, midnight, 1000), 1000);
    assert_int_equal(taken(t, &both, midnight, 10), 4);      /* the minute; six were not counted */
    assert_int_equal(taken(t, &both, midnight + 60, 10), 2); /* the day */
    assert_int_equal(taken(t, &both, midnight + 120, 10), 0);
}

static void test_workers(void **state)
{
    enum { WORKERS = 8, TRIES = 5000, QUOTA = 12345 };
    struct quota_table *t;
    (void)state;
    const struct product p = {.name = "p", .quota_per_day = QUOTA};
    int counts[2];
    assert_true(quota_new(&t, ERR_IGNORED));
    assert_int_equal(pipe(counts), 0);
    for (int i = 0; i < WORKERS; i++)
        if (fork() == 0) {
            size_t n = taken(t, &p, midnight, TRIES);
            _exit(write(counts[1], &n, sizeof n) != sizeof n);
        }
    size_t all = 0, n;
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(read(counts[0], &n, sizeof n), sizeof n);
        all += n;
    }
    while (wait(NULL) > 0)
        continue;
    assert_int_equal(all, QUOTA);
    close(counts[0]);
    close(counts[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
