#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fcgi/collector/refused.h"
#include "lib/base/util.h"

#define NINETY                                                                                     \
    "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
#define NINETY_SEVEN NINETY "0123456"
#define HUNDRED      NINETY_SEVEN "789"
#define BOX          "\xEF\xBF\xBD"

static void test_names(void **state)
{
    static const struct {
        const char *label, *product, *want;
    } cases[] = {
        {"none", "", ""},
        {"plain", "My App 2", "My App 2"},
        {"letters of other scripts", "Größe 尺", "Größe 尺"},
        {"terminal commands", "\033[2Ja\x7f\n", BOX "[2Ja" BOX BOX},
        {"C1",
         "\xC2\x9B"
         "1m",
         BOX "1m"},
        {"right to left",
         "abc\xE2\x80\xAE"
         "def",
         "abc" BOX "def"},
        {"as long as can be", HUNDRED, HUNDRED},
        {"longer", HUNDRED "x", HUNDRED BOX},
        {"never half a character", "尺" HUNDRED, "尺" NINETY_SEVEN BOX},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char got[REFUSED_NAME_SIZE], again[REFUSED_NAME_SIZE];
        refused_name(str_of(cases[i].product), got);
        refused_name(str_of(got), again); /* what comes back after a failed write */
        if (strcmp(got, again) != 0)
            fail_msg("%s: '%s' becomes '%s'", cases[i].label, got, again);
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("%s: got '%s'", cases[i].label, got);
        if (!utf8_valid(str_of(got)))
            fail_msg("%s: not UTF-8", cases[i].label);
    }
}

static void test_bounded(void **state)
{
    struct refused_table *t;
    struct refused_count got[REFUSED_NAMES];
    (void)state;
    assert_true(refused_new(&t, ERR_IGNORED));
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < REFUSED_NAMES + 100; i++) {
            char name[20];
            snprintf(name, sizeof name, "product %d", i);
            refused_add(t, str_of(name), 1);
        }
    assert_int_equal(refused_take(t, got), REFUSED_NAMES);
    assert_string_equal(got[7].name, "product 7");
    assert_int_equal(got[7].count, 2);
    assert_int_equal(refused_take(t, got), 0);
}

static void test_no_database(void **state)
{
    struct refused_table *t;
    struct refused_count got[REFUSED_NAMES];
    struct err err = {0};
    struct db *db = db_new("host=/nonexistent dbname=x", "test", 0);
    (void)state;
    assert_true(refused_new(&t, ERR_IGNORED));
    assert_true(refused_flush(t, db, &err)); /* nothing to write: nobody is asked */
    refused_add(t, STR("App"), 3);
    refused_add(t, STR(""), 1);
    assert_false(refused_flush(t, db, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    refused_add(t, STR("App"), 1);
    assert_int_equal(refused_take(t, got), 2);
    assert_int_equal(got[0].count, 4);
    db_free(db);
}

/* Workers are killed while they count; the others go on. */
static void test_killed_holder(void **state)
{
    struct refused_table *t;
    struct refused_count got[REFUSED_NAMES];
    (void)state;
    assert_true(refused_new(&t, ERR_IGNORED));
    for (int round = 0; round < 20; round++) {
        pid_t pid = fork();
        if (pid == 0)
            for (;;)
                refused_add(t, STR("theirs"), 1);
        usleep(2000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        refused_add(t, STR("ours"), 1);
    }
    size_t n = refused_take(t, got), ours = 0;
    while (ours < n && strcmp(got[ours].name, "ours") != 0)
        ours++;
    assert_true(ours < n);
    assert_int_equal(got[ours].count, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_no_database),
        cmocka_unit_test(test_killed_holder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
