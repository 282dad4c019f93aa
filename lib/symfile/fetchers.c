/*
 * Fetching symbols may take minutes, and a walk that needs them has seconds.  So it is done in
 * processes of their own, which go on when the one that asked has stopped waiting.
 *
 * That a process has ended is seen by a pipe whose other end it holds: the kernel closes it however
 * the process ends, and poll can wait for it with a time limit, which waitpid cannot.
 */
#include "lib/symfile/fetchers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/base/child.h"

/* Of one process that asks.  They mostly wait for the network; what compiles is a core each. */
enum { FETCHERS_MAX = 4 };

struct fetcher {
    char *name;
    pid_t pid;
    int end; /* a pipe that the process holds open: readable when it is gone */
};

struct fetchers {
    struct fetcher v[FETCHERS_MAX];
    size_t n;
};

struct fetchers *fetchers_new(void)
{
    return xcalloc(1, sizeof(struct fetchers));
}

/* Takes the status of a process that has ended, and its place; the last one moves there. */
static void collect_ended(struct fetchers *f, size_t i)
{
    while (waitpid(f->v[i].pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    util_close_fd(&f->v[i].end);
    free(f->v[i].name);
    f->v[i] = f->v[--f->n];
}

void fetchers_free(struct fetchers *f)
{
    if (!f)
        return;
    while (f->n > 0) {
        kill(f->v[0].pid, SIGKILL);
        collect_ended(f, 0);
    }
    free(f);
}

/* Waits until the deadline; a deadline that is over is a look without waiting. */
static bool has_ended(const struct fetcher *one, int64_t deadline_ms)
{
    struct pollfd p = {.fd = one->end, .events = POLLIN};
    for (;;) {
        int64_t left = MAX(deadline_ms - mono_ms(), (int64_t)0);
        int n = poll(&p, 1, (int)MIN(left, (int64_t)INT_MAX));
        if (n > 0)
            return true;
        if (n == 0 && left <= INT_MAX)
            return false;
        if (n < 0 && errno != EINTR)
            return true;
    }
}

/* The task goes through memory and not through arguments, which everybody on the machine may read:
 * addresses of servers may have passwords. */
static bool start_fetcher(const json_t *task, struct fetcher *ret, struct err *err)
{
    char program[PATH_MAX];
    int ends[2];
    size_t n;
    FREE_LATER char *text = jdump(task, &n);
    FD_AUTO in = memfd_create("task", MFD_CLOEXEC);
    if (!child_find("datil-symfetch", program, err))
        return false;
    if (in < 0 || pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(err, errno, "descriptors of a fetcher of symbols");
    FD_AUTO ours = ends[0], theirs = ends[1];
    if (!fs_write_all(in, text, n, "task", err) || lseek(in, 0, SEEK_SET) != 0)
        return false;
    const char *const argv[] = {"datil-symfetch", NULL};
    const struct child_fd fds[] = {{in, 0}, {theirs, 1}, {STDERR_FILENO, 2}};
    if (!child_start(program, argv, fds, ARRAY_LEN(fds), &ret->pid, err))
        return false;
    ret->end = TAKE_FD(ours);
    return true;
}

/*
 * The process of that name.  NULL: all places are taken, or (*ret_is_over) it could not be started,
 * which callers treat like one that has found nothing.
 */
static struct fetcher *find_or_start(struct fetchers *f, const char *name, const json_t *task,
                                     bool *ret_is_over)
{
    struct err err = {0};
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->v[i].name, name) == 0)
            return &f->v[i];
    for (size_t i = f->n; i-- > 0;)
        if (has_ended(&f->v[i], 0))
            collect_ended(f, i);
    if (f->n == FETCHERS_MAX)
        return NULL;
    struct fetcher one = {.end = -1};
    if (!start_fetcher(task, &one, &err)) {
        log_event(LOG_ERROR, "symfetch_start", "cannot start a fetcher of symbols", LOG_E(&err));
        *ret_is_over = true;
        return NULL;
    }
    one.name = xstrdup(name);
    f->v[f->n] = one;
    return &f->v[f->n++];
}

/* With all places taken there is nothing to wait for but the oldest. */
enum fetchers_state fetchers_wait(struct fetchers *f, const char *name, const json_t *task,
                                  int64_t deadline_ms)
{
    for (;;) {
        bool is_over = false;
        struct fetcher *one = find_or_start(f, name, task, &is_over);
        if (is_over)
            return FETCHERS_DONE;
        bool is_ours = one != NULL;
        if (!is_ours)
            one = &f->v[0];
        if (!has_ended(one, deadline_ms))
            return FETCHERS_PENDING;
        collect_ended(f, (size_t)(one - f->v));
        if (is_ours)
            return FETCHERS_DONE;
    }
}
