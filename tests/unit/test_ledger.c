#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/ledger/ledger.h"

static const struct {
    int attempts, pause_s;
} backoff[] = {{0, 10}, {1, 40}, {2, 160}, {3, 640}, {4, 2560}, {5, 3600}, {50, 3600}};

static void test_backoff(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(backoff); i++)
        assert_int_equal(ledger_backoff_s(backoff[i].attempts), backoff[i].pause_s);
}

static void test_queue_names(void **state)
{
    (void)state;
    assert_string_equal(queue_kind_name(QUEUE_PRIORITY), "priority");
    assert_string_equal(queue_kind_name(QUEUE_REPROCESSING), "reprocessing");
    assert_string_equal(queue_kind_name((enum queue_kind)7), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_queue_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
