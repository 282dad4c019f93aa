#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/child.h"
#include "lib/base/log.h"
#include "lib/base/proc.h"
#include "lib/base/shared.h"
#include "lib/base/time.h"

/* A group of one child that hangs in its first start, deaf to TERM, and works in its second. */
enum { START_LIMIT_MS = 300, WAIT_MS = 60000 };

struct seen {
    atomic_int starts, stand_ins;
    atomic_bool is_stand_in_up, is_at_work;
};

static int child(void *arg, int index)
{
    struct seen *s = arg;
    (void)index;
    if (atomic_fetch_add(&s->starts, 1) == 0)
        for (;;)
            pause(); /* TERM is blocked outside proc_wait */
    atomic_store(&s->is_at_work, true);
    while (!proc_stopping())
        proc_wait(NULL, 0, -1);
    return 0;
}

static int stand_in(void *arg, int index)
{
    struct seen *s = arg;
    (void)index;
    atomic_fetch_add(&s->stand_ins, 1);
    atomic_store(&s->is_stand_in_up, true);
    while (!proc_stopping())
        proc_wait(NULL, 0, -1);
    atomic_store(&s->is_stand_in_up, false);
    return 0;
}

static bool wait_for(atomic_bool *flag, bool value)
{
    for (int64_t end = mono_ms() + WAIT_MS; atomic_load(flag) != value; usleep(1000))
        if (mono_ms() > end)
            return false;
    return true;
}

static void test_child_that_hangs_in_its_start_is_replaced(void **state)
{
    (void)state;
    struct err err = {0};
    struct seen *s = shared_map(sizeof *s, "test", &err);
    assert_non_null(s);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        struct proc_group group = {.name = "test",
                                   .count = 1,
                                   .run = child,
                                   .arg = s,
                                   .stand_in = stand_in,
                                   .is_at_work = &s->is_at_work,
                                   .start_limit_ms = START_LIMIT_MS};
        _exit(proc_supervise(&group, 1, &err) ? 0 : 1);
    }
    assert_true(wait_for(&s->is_stand_in_up, true));
    assert_true(wait_for(&s->is_at_work, true));
    assert_int_equal(atomic_load(&s->starts), 2);
    assert_int_equal(atomic_load(&s->stand_ins), 1); /* was there until somebody was at work */
    assert_true(wait_for(&s->is_stand_in_up, false));
    kill(parent, SIGTERM);
    int status;
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What a parent makes of the end of a child. */
static void test_a_stopped_child_is_not_at_fault(void **state)
{
    (void)state;
    static const struct {
        int signal; /* 0: it ends by itself */
        bool was_stopped;
    } ends[] = {{SIGTERM, true},  {SIGINT, true},   {SIGKILL, true}, {0, false},
                {SIGSEGV, false}, {SIGXCPU, false}, {SIGSYS, false}};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            signal(ends[i].signal ? ends[i].signal : SIGALRM, SIG_DFL);
            if (ends[i].signal)
                raise(ends[i].signal);
            _exit(1);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(child_was_stopped(status), ends[i].was_stopped);
    }
}

int main(void)
{
    log_init("test", "error");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stopped_child_is_not_at_fault),
        cmocka_unit_test(test_child_that_hangs_in_its_start_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
