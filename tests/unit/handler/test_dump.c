/* Minidumps of a child process, read back with the minidump reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/handler/dump.h"
#include "client/handler/modules.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/minidump/mdmp.h"

static const char secret[] = "a text in the memory of the child";

struct child {
    pid_t pid;
    int ready; /* read end */
};

static void *second_thread(void *fd)
{
    prctl(PR_SET_NAME, "second \xc3\xa4");
    ssize_t n = write(*(int *)fd, "x", 1);
    (void)n;
    for (;;)
        pause();
    return NULL;
}

/* Two threads that wait; killed by stop_child. */
static struct child start_child(void)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    struct child c = {.pid = fork(), .ready = pipe_fds[0]};
    if (c.pid == 0) {
        pthread_t t;
        pthread_create(&t, NULL, second_thread, &pipe_fds[1]);
        for (;;)
            pause();
    }
    close(pipe_fds[1]);
    char byte;
    assert_int_equal(read(c.ready, &byte, 1), 1);
    return c;
}

static void stop_child(struct child *c)
{
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    close(c->ready);
}

static void test_memory_of_child(void **state)
{
    (void)state;
    struct child c = start_child();
    struct target t;
    struct err err = {0};
    if (!target_open(c.pid, &t, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(t.threads.n, 2);
    assert_int_equal(t.threads.v[0].tid, c.pid);
    assert_string_equal(t.threads.v[1].name, "second \xc3\xa4");
    char copy[sizeof secret];
    assert_int_equal(target_read(&t, (uint64_t)(uintptr_t)secret, copy, sizeof copy), sizeof copy);
    assert_string_equal(copy, secret);
    assert_int_equal(target_read(&t, 16, copy, sizeof copy), 0);
    assert_int_equal(target_read(&t, UINT64_MAX - 4, copy, sizeof copy), 0);
    target_close(&t);
    stop_child(&c);
}

/* Reading stops at the first page that is not there. */
static void test_read_up_to_a_hole(void **state)
{
    (void)state;
    long page = sysconf(_SC_PAGESIZE);
    char *p =
        mmap(NULL, (size_t)page * 3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 'x', (size_t)page * 3);
    munmap(p + 2 * page, (size_t)page);
    struct child c = start_child();
    struct target t;
    assert_true(target_open(c.pid, &t, ERR_IGNORED));
    FREE_LATER char *copy = xmalloc((size_t)page * 3);
    assert_int_equal(target_read(&t, (uint64_t)(uintptr_t)p + 10, copy, (size_t)page * 3 - 10),
                     page * 2 - 10);
    target_close(&t);
    stop_child(&c);
    munmap(p, (size_t)page * 2);
}

static void test_dump_is_readable(void **state)
{
    (void)state;
    struct child c = start_child();
    struct target t;
    struct err err = {0};
    STRBUF_AUTO out;
    sb_init(&out, DUMP_BYTES_MAX);
    assert_true(target_open(c.pid, &t, &err));
    struct dump_request q = {
        .target = &t, .requesting_tid = t.threads.v[1].tid, .is_report = true, .now_s = 1800000000};
    if (!dump_write(&q, &out, &err))
        fail_msg("%s", err.msg);
    target_close(&t);

    struct mdmp d;
    if (!mdmp_open(out.p, out.n, &d, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(d.time_s, 1800000000);
    struct rd body;
    struct mdmp_list threads, modules;
    assert_true(mdmp_stream(&d, MDMP_THREAD_LIST, &body, &err));
    assert_true(mdmp_list(body, 48, &threads, &err));
    assert_int_equal(threads.count, 2);
    assert_true(mdmp_stream(&d, MDMP_MODULE_LIST, &body, &err));
    assert_true(mdmp_list(body, 108, &modules, &err));
    assert_true(modules.count >= 3);
    assert_true(mdmp_stream(&d, MDMP_EXCEPTION, &body, &err));
    assert_int_equal(rd_u32(&body), (uint32_t)q.requesting_tid);
    rd_u32(&body);
    assert_int_equal(rd_u32(&body), 0xffffffff);
    assert_int_equal(kill(c.pid, 0), 0); /* it lives on */
    stop_child(&c);
}

static void test_stack_budget(void **state)
{
    (void)state;
    static const struct {
        size_t room, threads;
        bool all_short_fit;
    } cases[] = {
        {DUMP_BYTES_MAX, 1, true},   {DUMP_BYTES_MAX, 100, true},
        {DUMP_BYTES_MAX, 800, true}, {DUMP_BYTES_MAX, 4096, false},
        {5 << 20, 60, true},         {5 << 20, 4096, false},
        {100, 4096, false},          {0, 1, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t threads = cases[i].threads, room = cases[i].room;
        struct stack_budget b = dump_stack_budget(room, threads);
        assert_true(b.whole <= b.all && b.all <= DUMP_STACKS_MAX && b.all <= room);
        assert_true(b.whole >= b.all / 2);
        assert_true(b.all == 0 || b.all + threads * CONTEXT_BYTES_MAX < room);
        assert_int_equal(b.all - b.whole >= threads * DUMP_SHORT_STACK, cases[i].all_short_fit);
    }
}

enum { CROWD = 1500, CROWD_STACK = 512 << 10, CROWD_USED = 300 << 10 };

static void *deep_thread(void *fd)
{
    volatile char deep[CROWD_USED];
    deep[0] = 'x';
    ssize_t n = write(*(int *)fd, (const char *)deep, 1);
    (void)n;
    for (;;)
        pause();
    return NULL;
}

/* A dump in which each thread had a stack would be larger than a dump may be. */
static void test_crowd_of_threads(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct child c = {.pid = fork(), .ready = fds[0]};
    if (c.pid == 0) {
        pthread_attr_t attr;
        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, CROWD_STACK);
        for (size_t i = 0; i < CROWD; i++) {
            pthread_t t;
            if (pthread_create(&t, &attr, deep_thread, &fds[1]) != 0)
                _exit(1);
        }
        for (;;)
            pause();
    }
    close(fds[1]);
    for (size_t i = 0; i < CROWD; i++) {
        char byte;
        assert_int_equal(read(c.ready, &byte, 1), 1);
    }
    struct target t;
    struct err err = {0};
    STRBUF_AUTO out;
    sb_init(&out, DUMP_BYTES_MAX);
    assert_true(target_open(c.pid, &t, &err));
    assert_int_equal(t.threads.n, CROWD + 1);
    struct dump_request q = {
        .target = &t, .requesting_tid = t.threads.v[CROWD].tid, .is_report = true, .now_s = 1};
    if (!dump_write(&q, &out, &err))
        fail_msg("%s", err.msg);
    target_close(&t);
    stop_child(&c);

    struct mdmp d;
    struct rd body;
    struct mdmp_list threads;
    size_t whole = 0, shorter = 0, none = 0, last = 0;
    assert_true(mdmp_open(out.p, out.n, &d, &err));
    assert_true(mdmp_stream(&d, MDMP_THREAD_LIST, &body, &err));
    assert_true(mdmp_list(body, 48, &threads, &err));
    assert_int_equal(threads.count, CROWD + 1);
    for (size_t i = 0; i < threads.count; i++) {
        struct rd one = mdmp_list_entry(&threads, i);
        rd_skip(&one, 32);
        last = rd_u32(&one);
        whole += last > DUMP_SHORT_STACK;
        shorter += last > 0 && last <= DUMP_SHORT_STACK;
        none += last == 0;
    }
    assert_true(last >= CROWD_USED); /* of the thread in question, the last one of the list */
    assert_true(whole > 20 && shorter > 500 && none > 100);
    assert_int_equal(whole + shorter + none, CROWD + 1);
}

/* Addresses of signal information that are nonsense cost the exception, not the dump. */
static void test_bad_signal_addresses(void **state)
{
    (void)state;
    struct child c = start_child();
    struct target t;
    struct err err = {0};
    STRBUF_AUTO out;
    sb_init(&out, DUMP_BYTES_MAX);
    assert_true(target_open(c.pid, &t, &err));
    struct dump_request q = {.target = &t,
                             .requesting_tid = 1, /* not a thread of it */
                             .siginfo_addr = UINT64_MAX - 8,
                             .ucontext_addr = 24,
                             .now_s = 1};
    assert_true(dump_write(&q, &out, &err));
    target_close(&t);
    struct mdmp d;
    struct rd body;
    assert_true(mdmp_open(out.p, out.n, &d, &err));
    assert_false(mdmp_stream(&d, MDMP_EXCEPTION, &body, &err));
    assert_true(mdmp_stream(&d, MDMP_THREAD_LIST, &body, &err));
    stop_child(&c);
}

/* Shared with the child. */
struct tally {
    int sent, seen;
    bool stop, done;
};
static volatile struct tally *tally;

static void count_signal(int sig)
{
    (void)sig;
    tally->seen++;
}

/* A thread that is asked to stop may report a signal instead: that one must not get lost. */
static void test_no_signal_is_lost(void **state)
{
    (void)state;
    tally = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGUSR1, count_signal);
        while (!tally->stop) {
            tally->sent++;
            raise(SIGUSR1);
        }
        tally->done = true;
        _exit(0);
    }
    /* Long enough for many stops, and until the child has got its turn on a busy machine. */
    int64_t end = mono_ms() + 300, deadline = mono_ms() + 30000;
    while (mono_ms() < end || (tally->sent <= 100 && mono_ms() < deadline)) {
        struct target t;
        assert_true(target_open(pid, &t, ERR_IGNORED));
        target_close(&t);
    }
    tally->stop = true;
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(tally->done && tally->sent > 100);
    assert_int_equal(tally->seen, tally->sent);
    munmap((void *)tally, 4096);
}

static void *survivor(void *fd)
{
    ssize_t n = write(*(int *)fd, "x", 1);
    (void)n;
    for (;;)
        pause();
    return NULL;
}

/* The first thread may end while others go on; then it has neither memory nor registers. */
static void test_first_thread_has_ended(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t t;
        pthread_create(&t, NULL, survivor, &fds[1]);
        pthread_exit(NULL);
    }
    char byte;
    assert_int_equal(read(fds[0], &byte, 1), 1);
    struct target t;
    struct err err = {0};
    int64_t deadline = mono_ms() + 5000;
    for (;;) { /* until it is a zombie */
        STRBUF_AUTO status;
        sb_init(&status, 4096);
        target_slurp(pid, "status", &status);
        if (strstr(sb_cstr(&status), "State:\tZ") || mono_ms() > deadline)
            break;
        usleep(1000);
    }
    if (!target_open(pid, &t, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(t.threads.n, 1);
    assert_true(t.alive != pid && t.maps.n > 3);
    struct dump_request q = {.target = &t, .requesting_tid = t.alive, .now_s = 1};
    STRBUF_AUTO out;
    sb_init(&out, DUMP_BYTES_MAX);
    assert_true(dump_write(&q, &out, &err));
    struct mdmp d;
    struct rd body;
    struct mdmp_list modules;
    assert_true(mdmp_open(out.p, out.n, &d, &err));
    assert_true(mdmp_stream(&d, MDMP_MODULE_LIST, &body, &err));
    assert_true(mdmp_list(body, 108, &modules, &err) && modules.count >= 2);
    target_close(&t);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(fds[0]);
    close(fds[1]);
}

/* Symbols are stored under the name a library gives itself, so the dump carries it too. */
static void test_library_has_its_soname(void **state)
{
    (void)state;
    void *lib = dlopen("tests/golden/dump-syms/cases/libfoo.so.1.2.3", RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        fail_msg("%s", dlerror());
    struct child c = start_child();
    struct target t;
    struct err err = {0};
    if (!target_open(c.pid, &t, &err))
        fail_msg("%s", err.msg);
    struct modules modules;
    modules_read(&t, &modules);
    size_t by_soname = 0, by_file = 0;
    for (size_t i = 0; i < modules.list.n; i++) {
        struct str name = str_n(modules.list.v[i].name, modules.list.v[i].name_length);
        by_soname += str_ends(name, STR("/tests/golden/dump-syms/cases/libfoo.so.1"));
        by_file += str_ends(name, STR("libfoo.so.1.2.3"));
    }
    assert_int_equal(by_soname, 1);
    assert_int_equal(by_file, 0);
    modules_release(&modules);
    target_close(&t);
    stop_child(&c);
    dlclose(lib);
}

static void test_no_such_process(void **state)
{
    (void)state;
    struct child c = start_child();
    stop_child(&c);
    struct target t;
    struct err err = {0};
    assert_false(target_open(c.pid, &t, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_of_child),   cmocka_unit_test(test_read_up_to_a_hole),
        cmocka_unit_test(test_dump_is_readable),  cmocka_unit_test(test_bad_signal_addresses),
        cmocka_unit_test(test_no_signal_is_lost), cmocka_unit_test(test_first_thread_has_ended),
        cmocka_unit_test(test_no_such_process),   cmocka_unit_test(test_library_has_its_soname),
        cmocka_unit_test(test_stack_budget),      cmocka_unit_test(test_crowd_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
