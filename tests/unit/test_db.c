#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/db/db.h"
#include "queries.h"

/* The generated table and the parameter texts; what needs a server is in tests/api. */

static void test_index_is_position(void **state)
{
    (void)state;
    size_t n = 0;
    for (; db_queries[n]; n++) {
        assert_int_equal(db_queries[n]->index, n);
        assert_true(db_queries[n]->name[0] && db_queries[n]->text[0]);
    }
    assert_int_equal(n, db_query_total);
    assert_string_equal(q_migration_add.name, "migration_add");
    assert_int_equal(q_migration_add.param_count, 2);
}

static void test_no_trailing_semicolon(void **state)
{
    (void)state;
    for (size_t i = 0; db_queries[i]; i++)
        if (strchr(db_queries[i]->text, ';'))
            fail_msg("%s holds a semicolon", db_queries[i]->name);
}

static const struct {
    const char *label;
    const char *values[3];
    size_t n;
    const char *want;
} array_cases[] = {
    {"empty", {NULL}, 0, "{}"},
    {"one", {"a"}, 1, "{\"a\"}"},
    {"quotes and backslashes", {"a\"b", "c\\d"}, 2, "{\"a\\\"b\",\"c\\\\d\"}"},
    {"separators and NULL as text", {"a,b", "{}", "NULL"}, 3, "{\"a,b\",\"{}\",\"NULL\"}"},
    {"empty text", {""}, 1, "{\"\"}"},
};

static void test_text_array(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 16);
    for (size_t i = 0; i < ARRAY_LEN(array_cases); i++) {
        struct str v[3];
        for (size_t k = 0; k < array_cases[i].n; k++)
            v[k] = str_of(array_cases[i].values[k]);
        const char *got = db_text_array(&a, (struct strs){v, array_cases[i].n});
        if (strcmp(got, array_cases[i].want) != 0)
            fail_msg("%s: %s", array_cases[i].label, got);
    }
    assert_string_equal(db_int(&a, INT64_MIN), "-9223372036854775808");
    arena_release(&a);
}

static void test_no_server(void **state)
{
    (void)state;
    struct db *db = db_new("host=/nonexistent dbname=x", "test", 0);
    struct err err = {0};
    assert_false(DB_EXEC(db, &q_db_ping, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_false(db_is_connected(db));
    assert_int_equal(db_fd(db), -1);
    db_free(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_is_position),
        cmocka_unit_test(test_no_trailing_semicolon),
        cmocka_unit_test(test_text_array),
        cmocka_unit_test(test_no_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
