#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../fcgi/collector/recent.h"
#include "base/util.h"

static void test_key(void **state)
{
    (void)state;
    uint8_t a[RECENT_KEY_BYTES], b[RECENT_KEY_BYTES];
    json_auto_t *ann = json_pack("{s:s, s:s}", "CrashTime", "1", "ProductName", "P");
    json_auto_t *same = json_pack("{s:s, s:s}", "ProductName", "P", "CrashTime", "1");
    json_auto_t *sums = json_pack("{s:s}", "upload_file_minidump", "abc");
    json_auto_t *none = json_object();
    assert_true(recent_key(ann, sums, a));
    assert_true(recent_key(same, sums, b));
    assert_memory_equal(a, b, sizeof a);
    assert_false(recent_key(ann, none, b)); /* no dump */
    json_object_set_new(same, "Notes", json_string("n"));
    assert_true(recent_key(same, sums, b));
    assert_memory_not_equal(a, b, sizeof a);
    json_object_del(same, "CrashTime");
    assert_false(recent_key(same, sums, b));
}

static void test_find(void **state)
{
    (void)state;
    struct recent_table *t;
    struct recent_answer got;
    const struct recent_answer first = {.crash_id = "one"},
                               second = {.is_rejected = true, .rule = "r"};
    const uint8_t a[RECENT_KEY_BYTES] = {1}, b[RECENT_KEY_BYTES] = {1, 0, 1};
    assert_true(recent_new(&t, NULL));
    assert_false(recent_find(t, a, 1000000, &got));
    recent_add(t, a, 1000000, &first);
    recent_add(t, b, 1000000, &second);
    assert_true(recent_find(t, a, 1000000 + RECENT_SECONDS - 1, &got));
    assert_string_equal(got.crash_id, "one");
    assert_true(recent_find(t, b, 1000000, &got));
    assert_true(got.is_rejected);
    assert_false(recent_find(t, a, 1000000 + RECENT_SECONDS, &got));
    for (int i = 0; i < 100; i++) { /* one set overflows: the oldest go */
        uint8_t key[RECENT_KEY_BYTES] = {2};
        key[5] = (uint8_t)i;
        recent_add(t, key, 1000000 + i, &first);
    }
    const uint8_t old[RECENT_KEY_BYTES] = {2}, fresh[RECENT_KEY_BYTES] = {2, 0, 0, 0, 0, 99};
    assert_false(recent_find(t, old, 1000100, &got));
    assert_true(recent_find(t, fresh, 1000100, &got));
}

/* Workers are killed while they write; the others go on. */
static void test_killed_holder(void **state)
{
    (void)state;
    struct recent_table *t;
    struct recent_answer got;
    assert_true(recent_new(&t, NULL));
    for (int round = 0; round < 20; round++) {
        pid_t pid = fork();
        if (pid == 0)
            for (uint8_t i = 0;; i++) {
                const uint8_t key[RECENT_KEY_BYTES] = {9, 9, i};
                recent_add(t, key, 1, &(struct recent_answer){.crash_id = "x"});
            }
        usleep(2000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        const uint8_t key[RECENT_KEY_BYTES] = {9, 9, 200, (uint8_t)round};
        recent_add(t, key, 1000000, &(struct recent_answer){.crash_id = "y"});
        assert_true(recent_find(t, key, 1000000, &got));
        assert_string_equal(got.crash_id, "y");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_killed_holder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
