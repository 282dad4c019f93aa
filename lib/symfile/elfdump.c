/*
 * ELF files of other servers are as hostile as dumps.  They are read by datil-dump-syms, which has
 * a sandboxed child of its own for that; this file starts it, passes the files as descriptors, and
 * ends it in time.  Programs and debug files of one module may come as two files, and either may be
 * missing.
 */
#include "lib/symfile/elfdump.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/child.h"

/* A browser's library with all debug information takes 6 GiB; what needs more is not served here,
 * beside workers that need memory, too. */
#define MEMORY_GIB "8"

/*
 * Numbers of the descriptors in the child, where the arguments name them as /dev/fd/N; and the exit
 * status of a file whose symbols could be read in part only.
 */
enum { FD_PROGRAM = 3, FD_DEBUG = 4, STATUS_INCOMPLETE = 3 };

/* Waits for the child until the deadline and kills it then.  True: it ended by itself. */
static bool wait_until(pid_t pid, int64_t deadline_ms, int *ret_status)
{
    FD_AUTO child = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ready = {.fd = child, .events = POLLIN};
    bool is_over = false;
    while (!is_over) {
        int64_t left = deadline_ms - mono_ms();
        if (child < 0 || left <= 0)
            break;
        is_over = poll(&ready, 1, (int)MIN(left, (int64_t)INT_MAX)) > 0;
    }
    if (!is_over)
        kill(pid, SIGKILL);
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
        continue;
    return is_over;
}

/*
 * The files are descriptors, so the child needs no path and no right to open one. A debug file
 * without its program is read as a program: it has names and lines.
 */
bool elfdump(int program_fd, int debug_fd, const char *name, int64_t deadline_ms, int text_fd,
             struct err *err)
{
    char program[PATH_MAX];
    pid_t pid;
    int status = 0;
    if (!child_find("datil-dump-syms", program, err))
        return false;
    const char *const both[] = {
        "datil-dump-syms", "--with-parent", "--debug-file", "/dev/fd/4", "--name", name,
        "--memory-gib",    MEMORY_GIB,      "/dev/fd/3",    NULL};
    const char *const one[] = {"datil-dump-syms", "--with-parent", "--name",    name,
                               "--memory-gib",    MEMORY_GIB,      "/dev/fd/3", NULL};
    bool has_both = program_fd >= 0 && debug_fd >= 0;
    const struct child_fd fds[] = {{-1, 0},
                                   {text_fd, 1},
                                   {-1, 2},
                                   {program_fd >= 0 ? program_fd : debug_fd, FD_PROGRAM},
                                   {debug_fd, FD_DEBUG}};
    if (!child_start(program, has_both ? both : one, fds, ARRAY_LEN(fds) - !has_both, &pid, err))
        return false;
    if (!wait_until(pid, deadline_ms, &status))
        return err_set(err, ERR_UNAVAILABLE, "%s: takes too long to read", name);
    if (child_was_stopped(status))
        return err_set(err, ERR_IO, "%s: its reader was stopped", name);
    bool is_good =
        WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == STATUS_INCOMPLETE);
    return is_good || err_set(err, ERR_INVALID, "%s: the file cannot be read", name);
}
