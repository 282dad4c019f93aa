#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/ledger/ledger.h"
#include "lib/store/mark.h"

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

/* While the database was never reached, any mark will do. */
static void test_store_check_without_database(void **state)
{
    char dir[] = "/tmp/test-ledger-XXXXXX", installation[INSTALLATION_ID_SIZE] = "";
    const struct store_config config = {.backend = "fs", .fs_root = dir, .wants_mark = true};
    struct store *store;
    struct err err = {0};
    (void)state;
    assert_non_null(mkdtemp(dir));
    struct db *db = db_new("host=/nonexistent", "test", 0);
    assert_true(store_open(&config, &store, ERR_IGNORED));
    assert_false(ledger_store_check(db, store, installation, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_true(mark_write(dir, "0123456789abcdef0123456789abcdef", ERR_IGNORED));
    assert_true(ledger_store_check(db, store, installation, ERR_IGNORED));
    assert_string_equal(installation, "");
    store_close(store);
    db_free(db);
    assert_true(fs_remove_tree(dir, ERR_IGNORED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_queue_names),
        cmocka_unit_test(test_store_check_without_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
