#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cron/job_run.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

/* Runs of jobs that do not behave.  SLEEP_S is far beyond what a test waits. */
enum { SLEEP_S = 300, SOON_MS = 20000 };

static bool speak(struct job_context *x, struct err *err)
{
    (void)x;
    (void)err;
    fputs("one\ntwo", stdout);
    return true;
}

static bool refuse(struct job_context *x, struct err *err)
{
    (void)x;
    return err_set(err, ERR_CONFLICT, "not today");
}

static bool count_and_die(struct job_context *x, struct err *err)
{
    (void)err;
    job_did(x, 3);
    job_did(x, 4);
    raise(SIGKILL);
    return true;
}

static bool close_output_and_sleep(struct job_context *x, struct err *err)
{
    (void)x;
    (void)err;
    puts("good bye");
    fclose(stdout);
    close(STDOUT_FILENO);
    sleep(SLEEP_S);
    return true;
}

static bool leave_somebody_behind(struct job_context *x, struct err *err)
{
    (void)x;
    (void)err;
    if (fork() == 0) {
        alarm(SOON_MS / 1000 + 5); /* what a failing test would leave */
        for (;;)
            pause();
    }
    puts("started");
    return true;
}

static void run_here(const char *label, bool (*job)(struct job_context *x, struct err *err),
                     struct run_result *ret)
{
    const struct cron_job row = {.name = label, .timeout_s = 1, .run = job};
    struct conf conf;
    const struct run_request q = {.conf = &conf, .job = &row};
    assert_true(conf_load(&conf, ERR_IGNORED));
    int64_t start_ms = mono_ms();
    assert_true(run_job(&q, ret, ERR_IGNORED));
    if (mono_ms() - start_ms > SOON_MS)
        fail_msg("%s: %lld ms", label, (long long)(mono_ms() - start_ms));
    conf_release(&conf);
}

static void test_results(void **state)
{
    struct run_result r;
    (void)state;
    run_here("speak", speak, &r);
    assert_true(r.ok);
    assert_string_equal(r.tail, "one\ntwo\n");
    run_here("refuse", refuse, &r);
    assert_false(r.ok);
    assert_string_equal(r.type, "conflict");
    assert_string_equal(r.value, "not today");
    assert_int_equal(r.items, -1);
    run_here("count_and_die", count_and_die, &r);
    assert_string_equal(r.type, "killed by signal 9");
    assert_int_equal(r.items, 7);
}

static void test_limit_holds_behind_the_end_of_the_output(void **state)
{
    struct run_result r;
    (void)state;
    run_here("close_output_and_sleep", close_output_and_sleep, &r);
    assert_false(r.ok);
    assert_string_equal(r.type, "timeout");
    assert_string_equal(r.tail, "good bye\n");
}

static void test_a_child_of_the_job_does_not_keep_it_running(void **state)
{
    struct run_result r;
    (void)state;
    run_here("leave_somebody_behind", leave_somebody_behind, &r);
    assert_true(r.ok);
    assert_string_equal(r.tail, "started\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_limit_holds_behind_the_end_of_the_output),
        cmocka_unit_test(test_a_child_of_the_job_does_not_keep_it_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
