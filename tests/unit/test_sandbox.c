/* sandbox: what a walker may still do, tried in forked children. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/base/util.h"
#include "lib/sandbox/sandbox.h"

/* A descriptor of a file with some bytes, opened before. */
static int open_file(void)
{
    FILE *f = tmpfile();
    fputs("0123456789", f);
    fflush(f);
    return fileno(f);
}

/* Each answers 0 when it did what it should, if it comes back at all. */
static int try_open(int fd)
{
    (void)fd;
    return open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? 0 : 1;
}

static int try_stat(int fd)
{
    (void)fd;
    return access("/etc/passwd", R_OK) < 0 && errno == EACCES ? 0 : 1;
}

static int try_socket(int fd)
{
    (void)fd;
    return socket(AF_INET, SOCK_STREAM, 0);
}

static int try_unix_socket(int fd)
{
    (void)fd;
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int try_exec(int fd)
{
    (void)fd;
    return execl("/bin/true", "true", NULL);
}

static int try_fork(int fd)
{
    (void)fd;
    return (int)syscall(SYS_fork);
}

static int try_clone(int fd)
{
    (void)fd;
    return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static int try_kill(int fd)
{
    (void)fd;
    return kill(getppid(), 0);
}

static int try_signal_other(int fd)
{
    (void)fd;
    return (int)syscall(SYS_tgkill, 1, 1, 0);
}

static int try_ptrace(int fd)
{
    (void)fd;
    return (int)ptrace(PTRACE_TRACEME, 0, 0, 0);
}

static int try_unlink(int fd)
{
    (void)fd;
    return unlink("/nonexistent");
}

static int try_raise_limit(int fd)
{
    (void)fd;
    struct rlimit r;
    return getrlimit(RLIMIT_DATA, &r);
}

static int try_map_exec(int fd)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED;
}

static int try_make_exec(int fd)
{
    (void)fd;
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int try_map_writable(int fd)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED;
}

static int try_mount(int fd)
{
    (void)fd;
    return (int)syscall(SYS_mount, "a", "b", "c", 0, 0);
}

static int try_io_uring(int fd)
{
    (void)fd;
    return (int)syscall(425 /* io_uring_setup */, 1, 0);
}

static int try_grow_file(int fd)
{
    lseek(fd, 0, SEEK_END);
    return write(fd, "x", 1) == 1; /* SIGXFSZ */
}

static int try_work(int fd)
{
    char c;
    const char *p = mmap(NULL, 10, PROT_READ, MAP_PRIVATE, fd, 0);
    char *heap = malloc(20 << 20);
    struct timespec now;
    if (p == MAP_FAILED || !heap)
        return 1;
    memset(heap, 1, 20 << 20);
    int pair_ok = pread(fd, &c, 1, 3) == 1 && c == '3' && p[9] == '9';
    free(heap);
    return pair_ok && clock_gettime(CLOCK_MONOTONIC, &now) == 0 && !getenv("PATH") ? 0 : 1;
}

static int try_abort(int fd)
{
    (void)fd;
    abort();
}

#if !defined(__SANITIZE_ADDRESS__)
static int try_much_memory(int fd)
{
    (void)fd;
    char *volatile p = malloc(65 << 20); /* volatile: a malloc nobody looks at may be left out */
    return p == NULL ? 0 : 1;
}
#endif

static int try_spin(int fd)
{
    (void)fd;
    volatile unsigned i = 0;
    while (i < 10)
        i &= 7;
    return 1;
}

static const struct {
    const char *label;
    int (*attempt)(int fd);
    int want; /* exit status, or minus the signal */
} cases[] = {
    {"ordinary work", try_work, 0},
    {"opening fails", try_open, 0},
    {"asking for files fails", try_stat, 0},
    {"network socket", try_socket, -SIGSYS},
    {"unix socket", try_unix_socket, -SIGSYS},
    {"another program", try_exec, -SIGSYS},
    {"another process", try_fork, -SIGSYS},
    {"another thread", try_clone, -SIGSYS},
    {"signal to the parent", try_kill, -SIGSYS},
    {"signal to init", try_signal_other, -SIGSYS},
    {"tracing", try_ptrace, -SIGSYS},
    {"removing a file", try_unlink, -SIGSYS},
    {"limits", try_raise_limit, -SIGSYS},
    {"executable file map", try_map_exec, -SIGSYS},
    {"executable memory", try_make_exec, -SIGSYS},
    {"writable shared map", try_map_writable, -SIGSYS},
    {"mounting", try_mount, -SIGSYS},
    {"io_uring", try_io_uring, -SIGSYS},
    {"growing a file", try_grow_file, -SIGXFSZ},
    {"abort is told as abort", try_abort, -SIGABRT},
    {"endless loop", try_spin, -SIGXCPU},
#if !defined(__SANITIZE_ADDRESS__)
    {"too much memory", try_much_memory, 0},
#endif
};

static int run_case(int (*attempt)(int fd))
{
    int fd = open_file();
    pid_t pid = fork();
    if (pid == 0) {
        const struct sandbox_limits limits = {
            .memory_bytes = 64 << 20, .mapped_bytes = 64 << 20, .cpu_s = 1, .files = 64};
        struct err err = {0};
        if (!sandbox_enter(&limits, &err))
            _exit(99);
        _exit(attempt(fd));
    }
    int status;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_attempts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int got = run_case(cases[i].attempt);
        if (got != cases[i].want)
            fail_msg("%s: %d", cases[i].label, got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_attempts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
