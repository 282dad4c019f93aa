/* Quotas of products: windows, both limits together, and what all processes over one spool share.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fcgi/collector/quota.h"
#include "lib/base/fs.h"
#include "lib/base/util.h"

struct fixture {
    char dir[64], path[80];
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/test-quota-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/quotas", f->dir);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fs_remove_tree(f->dir, ERR_IGNORED);
    free(f);
    return 0;
}

/* As a collector that is started: a mapping of its own. */
static struct quota_table *open_table(const struct fixture *f)
{
    struct quota_table *t = NULL;
    struct err err = {0};
    if (!quota_open(&(struct spool){.dir = f->dir}, &t, &err))
        fail_msg("%s", err.msg);
    return t;
}

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
    struct quota_table *t = open_table(*state);
    const struct product minute = {.name = "minute", .quota_per_minute = 3},
                         day = {.name = "day", .quota_per_day = 5}, free_one = {.name = "free"},
                         both = {.name = "both", .quota_per_minute = 4, .quota_per_day = 6};
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

/* Each opens the file by itself, none was forked from one that has it open. */
static void test_processes(void **state)
{
    enum { PROCESSES = 8, TRIES = 5000, QUOTA = 12345 };
    const struct product p = {.name = "p", .quota_per_day = QUOTA};
    int counts[2];
    assert_int_equal(pipe(counts), 0);
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            size_t n = taken(open_table(*state), &p, midnight, TRIES);
            _exit(write(counts[1], &n, sizeof n) != sizeof n);
        }
    size_t all = 0, n;
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(read(counts[0], &n, sizeof n), sizeof n);
        all += n;
    }
    while (wait(NULL) > 0)
        continue;
    assert_int_equal(all, QUOTA);
    assert_int_equal(taken(open_table(*state), &p, midnight, 10), 0);
    close(counts[0]);
    close(counts[1]);
}

/* Takes until it is killed, and tells of each one behind it. */
static void take_and_tell(struct quota_table *t, const struct product *p, int fd)
{
    while (quota_take(t, p, midnight))
        if (write(fd, "", 1) != 1)
            break;
    pause();
}

/* One that was taken and not told of is the one that the kill came in. */
static void test_kill(void **state)
{
    enum { QUOTA = 20000, TOLD = 500 };
    const struct product p = {.name = "p", .quota_per_day = QUOTA};
    char bytes[QUOTA];
    for (int round = 0; round < 5; round++) {
        int told[2];
        fs_remove_tree(((struct fixture *)*state)->path, ERR_IGNORED);
        assert_int_equal(pipe(told), 0);
        pid_t child = fork();
        if (child == 0)
            take_and_tell(open_table(*state), &p, told[1]);
        close(told[1]);
        size_t n = 0;
        for (ssize_t got; n < TOLD * (size_t)(round + 1); n += (size_t)got) {
            got = read(told[0], bytes, TOLD);
            assert_true(got > 0);
        }
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        for (ssize_t got; (got = read(told[0], bytes, sizeof bytes)) > 0;)
            n += (size_t)got;
        size_t rest = taken(open_table(*state), &p, midnight, QUOTA);
        assert_in_range(n + rest, QUOTA - 1, QUOTA);
        close(told[0]);
    }
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    FD_AUTO fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && fs_write_all(fd, bytes, n, path, ERR_IGNORED));
}

static void test_damage(void **state)
{
    const struct fixture *f = *state;
    const struct product p = {.name = "p", .quota_per_day = 3};
    struct stat whole, now;
    open_table(f);
    assert_int_equal(stat(f->path, &whole), 0);
    size_t n = (size_t)whole.st_size;
    FREE_LATER char *bytes = xcalloc(1, n);
    memset(bytes, 0xff, n);
    write_file(f->path, bytes, n);
    assert_int_equal(taken(open_table(f), &p, midnight, 10), 3);
    assert_int_equal(taken(open_table(f), &p, midnight, 10), 0);
    write_file(f->path, bytes, 5); /* cut off, and not ours */
    assert_int_equal(taken(open_table(f), &p, midnight, 10), 3);
    write_file(f->path, "", 0);
    assert_int_equal(taken(open_table(f), &p, midnight, 10), 3);
    assert_int_equal(stat(f->path, &now), 0);
    assert_int_equal(now.st_size, whole.st_size);
}

/* Names of products that come and go do not use up the file for ever. */
static void test_many_names(void **state)
{
    char name[40];
    const struct product p = {.name = name, .quota_per_day = 1};
    struct quota_table *t = open_table(*state);
    for (int i = 0; i < 16384; i++) { /* as many as there are places */
        snprintf(name, sizeof name, "product %d", i);
        assert_int_equal(taken(t, &p, midnight, 2), 1);
    }
    snprintf(name, sizeof name, "new");
    assert_int_equal(taken(t, &p, midnight, 5), 5); /* no place, no limit */
    assert_int_equal(taken(open_table(*state), &p, midnight, 5), 1);
    assert_int_equal(taken(t, &p, midnight, 5), 0); /* the same file */
}

static void test_no_file(void **state)
{
    struct fixture gone = {0};
    const struct product p = {.name = "p", .quota_per_day = 3};
    (void)state;
    snprintf(gone.dir, sizeof gone.dir, "/nonexistent/spool");
    assert_int_equal(taken(open_table(&gone), &p, midnight, 10), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_windows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_processes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kill, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_names, set_up, tear_down),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
