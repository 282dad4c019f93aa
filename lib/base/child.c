/*
 * Starts the programs that read strangers' bytes: beside the one that runs, with an empty
 * environment, in a session of their own, with exactly the descriptors they are given.  The child
 * is started anew rather than forked on, so nothing of the parent's memory (tokens, the database
 * connection) is in it.
 */
#include "lib/base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/util.h"

enum {
    FDS_MAX = 8,        /* the walker, which has most, is given five */
    FIRST_FREE_FD = 16, /* above every descriptor that a child is given */
};

/* Beside us when installed; tests and benchmarks are one or two folders away from bin/. */
static const char *const places[] = {"", "../bin/", "../../bin/"};

bool child_find(const char *name, char out[PATH_MAX], struct err *err)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return err_errno(err, errno, "/proc/self/exe");
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash)
        slash[1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        int len = snprintf(out, PATH_MAX, "%s%s%s", self, places[i], name);
        if (len > 0 && len < PATH_MAX && faccessat(AT_FDCWD, out, X_OK, AT_EACCESS) == 0)
            return true;
    }
    return err_set(err, ERR_IO, "the program %s is not where this one is", name);
}

/* Copies above those that the child is given, so that dup2 cannot clobber one. */
static bool lift_all(const struct child_fd *fds, size_t n, int high[FDS_MAX], struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        FD_AUTO null = fds[i].from < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
        high[i] = fcntl(fds[i].from < 0 ? null : fds[i].from, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
        if (high[i] < 0)
            return err_errno(err, errno, "descriptors of a child");
    }
    return true;
}

/*
 * posix_spawn and not fork: nothing of ours runs in the child, and the parent's memory is not
 * copied for it.  All signals have their default action and none is blocked, whatever the parent
 * does; a session of its own keeps a terminal's Ctrl-C from it.
 */
static int spawn_with(const char *program, const char *const argv[], const struct child_fd *fds,
                      size_t n, const int high[FDS_MAX], pid_t *ret_pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    for (size_t i = 0; i < n; i++)
        posix_spawn_file_actions_adddup2(&files, high[i], fds[i].to);
    posix_spawn_file_actions_addclosefrom_np(&files, fds[n - 1].to + 1);

    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    char *const no_environment[] = {NULL};
    int status = posix_spawn(ret_pid, program, &files, &attr, (char *const *)argv, no_environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return status;
}

bool child_start(const char *program, const char *const argv[], const struct child_fd *fds,
                 size_t n, pid_t *ret_pid, struct err *err)
{
    int high[FDS_MAX] = {-1, -1, -1, -1, -1, -1, -1, -1};
    if (n == 0 || n > FDS_MAX)
        return err_set(err, ERR_INTERNAL, "a child with %zu descriptors", n);
    bool ok = lift_all(fds, n, high, err);
    if (ok) {
        int status = spawn_with(program, argv, fds, n, high, ret_pid);
        ok = status == 0 || err_errno(err, status, "cannot start %s", program);
    }
    for (size_t i = 0; i < n; i++)
        util_close_fd(&high[i]);
    return ok;
}

bool child_was_stopped(int status)
{
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return signal == SIGTERM || signal == SIGINT || signal == SIGKILL;
}
