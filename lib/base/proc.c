/*
 * A parent and its children, and signals that are not lost.  TERM, INT and HUP are blocked
 * everywhere but in proc_wait, so a signal that comes between a test and a wait ends the wait.  A
 * child that dies is started again at once, one that dies young after a pause that doubles; where
 * nobody of a group lasts, a stand-in takes its place (a listening socket without an answer would
 * be worse than an error).  A child that hangs in its start is killed, so it becomes one that dies;
 * the kernel may not be able to end it yet (a dead network file system), so until it is gone it
 * counts as nobody.
 *
 * Processes are named by number and start time (proc_name): a number alone may be somebody else's
 * by now.
 */
#include "lib/base/proc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

/* Set by signal handlers: one of the two allowed global states. */
static volatile sig_atomic_t stop_flag, hangup_flag;

/* Of SIGCHLD nothing is kept: that it comes is what ends the wait. */
static void on_signal(int sig)
{
    if (sig == SIGHUP)
        hangup_flag = 1;
    else if (sig != SIGCHLD)
        stop_flag = 1;
}

/* Those that proc_wait alone lets through. */
static void signal_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

void proc_block_signals(void)
{
    sigset_t set;
    signal_set(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
}

bool proc_stopping(void)
{
    return stop_flag;
}

/* Nothing is lost between the two lines: HUP is blocked everywhere but in proc_wait. */
bool proc_take_hangup(void)
{
    bool was = hangup_flag;
    hangup_flag = 0;
    return was;
}

/*
 * ppoll swaps the mask and waits in one step; with a separate unblocking a signal could come
 * between that and the wait, and the wait would then last its whole time.
 */
unsigned proc_wait(const int *fds, size_t n, int timeout_ms)
{
    struct pollfd p[8];
    assert(n <= ARRAY_LEN(p));
    for (size_t i = 0; i < n; i++)
        p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    struct timespec wait = {timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000};
    sigset_t open;
    sigprocmask(SIG_SETMASK, NULL, &open);
    sigdelset(&open, SIGTERM);
    sigdelset(&open, SIGINT);
    sigdelset(&open, SIGHUP);
    int ready = ppoll(p, n, timeout_ms < 0 ? NULL : &wait, &open);
    unsigned mask = 0;
    for (size_t i = 0; ready > 0 && i < n; i++)
        if (p[i].revents)
            mask |= 1u << i;
    return mask;
}

struct child {
    const struct proc_group *group;
    int index;
    pid_t pid; /* 0: to be started at start_ms */
    int64_t born_ms, start_ms;
    int pause_ms; /* of the next pause; 0: it has not died young */
    bool is_stand_in;
};

/*
 * A child that lives less than YOUNG_MS has not lasted.  The longest pause bounds how long a
 * program stays away once its trouble (a full disk, a database that starts) is over.
 */
enum { PAUSE_FIRST_MS = 100, PAUSE_MAX_MS = 5000, YOUNG_MS = 1000 };

static bool is_starting(const struct child *c)
{
    const atomic_bool *flags = c->is_stand_in ? NULL : c->group->is_at_work;
    return c->pid && flags && !atomic_load(&flags[c->index]);
}

static bool hangs_in_start(const struct child *c)
{
    return is_starting(c) && mono_ms() - c->born_ms >= c->group->start_limit_ms;
}

static void start_child(struct child *c, pid_t parent)
{
    c->born_ms = mono_ms();
    if (c->group->is_at_work && !c->is_stand_in)
        atomic_store(&c->group->is_at_work[c->index], false);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* a parent that was killed leaves no workers behind */
        if (getppid() != parent)          /* died between fork and prctl */
            _exit(1);
        signal(SIGCHLD, SIG_DFL);
        exit((c->is_stand_in ? c->group->stand_in : c->group->run)(c->group->arg, c->index));
    }
    c->pid = pid > 0 ? pid : 0;
    if (pid < 0) {
        c->start_ms = c->born_ms + PAUSE_MAX_MS;
        log_event(LOG_ERROR, "fork_failed", strerror(errno), LOG_S("group", c->group->name));
    }
}

static void reaped(struct child *c, int status)
{
    int64_t now = mono_ms();
    bool young = is_starting(c) || now - c->born_ms < YOUNG_MS;
    /*
     * A child that hung pauses as if it had died young twice, so that the stand-in stays meanwhile.
     */
    int first_ms = hangs_in_start(c) ? 2 * PAUSE_FIRST_MS : PAUSE_FIRST_MS;
    c->pause_ms = !young ? 0 : c->pause_ms ? MIN(c->pause_ms * 2, (int)PAUSE_MAX_MS) : first_ms;
    c->start_ms = now + c->pause_ms;
    if (!proc_stopping() && !c->is_stand_in)
        log_event(LOG_WARN, "worker_exit", "a worker ended and will be started again",
                  LOG_S("group", c->group->name), LOG_I("worker_pid", c->pid),
                  LOG_I("exit_status", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
                  LOG_I("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    c->pid = 0;
}

/*
 * Somebody of the group is at work since a second, or nobody has died young twice in a row (the
 * first pause is too short to matter) nor hangs in the start: no stand-in is needed.
 */
static bool is_served(const struct child *children, size_t n, const struct proc_group *group)
{
    bool is_missed = false;
    int64_t now = mono_ms();
    for (size_t i = 0; i < n; i++) {
        const struct child *c = &children[i];
        if (c->group != group || c->is_stand_in)
            continue;
        if (c->pid && !is_starting(c) && now - c->born_ms >= YOUNG_MS)
            return true;
        is_missed = is_missed || c->pause_ms > PAUSE_FIRST_MS || hangs_in_start(c);
    }
    return !is_missed;
}

static void place_stand_in(struct child *s, const struct child *children, size_t n, pid_t parent)
{
    bool is_served_now = is_served(children, n, s->group);
    if (s->pid && is_served_now) {
        kill(s->pid, SIGTERM);
    } else if (!s->pid && !is_served_now && s->start_ms <= mono_ms()) {
        log_event(LOG_ERROR, "no_worker", "no worker lasts; a stand-in answers in their place",
                  LOG_S("group", s->group->name));
        start_child(s, parent);
    }
}

/* A second KILL does no harm to a child that the kernel cannot end yet. */
static void kill_hanging(const struct child *children, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!hangs_in_start(&children[i]))
            continue;
        log_event(LOG_ERROR, "start_hangs", "a worker did not get through its start and is killed",
                  LOG_S("group", children[i].group->name), LOG_I("worker_pid", children[i].pid));
        kill(children[i].pid, SIGKILL);
    }
}

static void start_due(struct child *children, size_t n, pid_t parent)
{
    for (size_t i = 0; i < n; i++) {
        struct child *c = &children[i];
        if (c->is_stand_in)
            place_stand_in(c, children, n, parent);
        else if (!c->pid && c->start_ms <= mono_ms())
            start_child(c, parent);
    }
}

/* All that are gone: one SIGCHLD may stand for several.  Children of others are reaped, too. */
static size_t reap(struct child *children, size_t n)
{
    size_t gone = 0;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < n; i++)
            if (children[i].pid == pid) {
                reaped(&children[i], status);
                gone++;
            }
    return gone;
}

static void signal_all(const struct child *children, size_t n, int sig)
{
    for (size_t i = 0; i < n; i++)
        if (children[i].pid > 0)
            kill(children[i].pid, sig);
}

/* Milliseconds until the next child is due, at most a second. */
static int next_due_ms(const struct child *children, size_t n)
{
    int64_t now = mono_ms(), due = now + 1000;
    for (size_t i = 0; i < n; i++)
        if (!children[i].pid && !children[i].is_stand_in)
            due = MIN(due, children[i].start_ms);
    return (int)MAX(due - now, (int64_t)1);
}

static bool any_alive(const struct child *children, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (children[i].pid > 0)
            return true;
    return false;
}

/* One entry for each child, and one for each stand-in that may be needed. */
static struct child *make_children(const struct proc_group *groups, size_t group_count, size_t *ret)
{
    size_t n = 0, at = 0;
    for (size_t g = 0; g < group_count; g++)
        n += (size_t)groups[g].count + 1;
    struct child *children = xcalloc(n, sizeof *children);
    for (size_t g = 0; g < group_count; g++) {
        for (int i = 0; i < groups[g].count; i++)
            children[at++] = (struct child){.group = &groups[g], .index = i};
        if (groups[g].stand_in)
            children[at++] = (struct child){.group = &groups[g], .is_stand_in = true};
    }
    *ret = at;
    return children;
}

static void hang_up(const struct proc_group *groups, size_t group_count)
{
    for (size_t g = 0; g < group_count; g++)
        if (groups[g].hangup)
            groups[g].hangup(groups[g].arg);
}

/*
 * SIGCHLD is not blocked.  One that comes between reap and proc_wait does not end that wait, and
 * the child is found when the wait is over: after a second at most, after 50 ms at the end.  1024
 * is a limit against a number that was typed wrong.
 */
bool proc_supervise(const struct proc_group *groups, size_t group_count, struct err *err)
{
    size_t wanted = 0, n;
    for (size_t g = 0; g < group_count; g++)
        wanted += (size_t)groups[g].count;
    if (wanted == 0 || wanted > 1024)
        return err_set(err, ERR_INVALID, "%zu worker processes", wanted);
    FREE_LATER struct child *children = make_children(groups, group_count, &n);

    proc_block_signals();
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_NOCLDSTOP};
    sigaction(SIGCHLD, &act, NULL); /* wakes proc_wait */

    pid_t self = getpid();
    while (!proc_stopping()) {
        reap(children, n);
        start_due(children, n, self);
        kill_hanging(children, n);
        proc_wait(NULL, 0, next_due_ms(children, n));
        if (proc_take_hangup()) {
            hang_up(groups, group_count);
            signal_all(children, n, SIGHUP);
        }
    }
    signal_all(children, n, SIGTERM);
    while (any_alive(children, n)) { /* each ends its request or job first */
        reap(children, n);
        proc_wait(NULL, 0, 50);
    }
    return true;
}

/* The text behind the name in parentheses, which may hold anything: "S 1 …"; NULL if unreadable. */
static const char *stat_fields(pid_t pid, char *buf, size_t size)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, buf, size - 1) : -1;
    if (n <= 0)
        return NULL;
    buf[n] = '\0';
    const char *end = strrchr(buf, ')');
    return end && end[1] == ' ' ? end + 2 : NULL;
}

/*
 * Numbers of the fields are those of proc(5); 52 numbers and a name of 16 bytes are about 1.1 KiB
 * at their longest.  A zombie counts as gone: it does nothing any more, though its number is taken.
 */
bool proc_name(pid_t pid, char out[PROC_NAME_MAX])
{
    enum { STATE_FIELD = 3, START_FIELD = 22, STAT_MAX = 2048 };
    char buf[STAT_MAX];
    const char *fields = stat_fields(pid, buf, sizeof buf);
    if (!fields || *fields == 'Z' || *fields == 'X')
        return false;
    struct str rest = str_of(fields), field = {0};
    for (int i = STATE_FIELD; i <= START_FIELD; i++)
        if (!str_split(&rest, ' ', &field))
            return false;
    snprintf(out, PROC_NAME_MAX, "%d-" STR_FMT, (int)pid, STR_ARG(field));
    return true;
}

/*
 * In doubt it is alive: a name that cannot be read, or a number without a start time that some
 * process has.  Taking work from a process that is at it is worse than waiting for its lease.
 */
bool proc_is_gone(struct str name)
{
    char now[PROC_NAME_MAX];
    int64_t pid;
    size_t dash = MIN(str_find_char(name, '-', 0), name.n);
    if (!str_to_i64(str_sub(name, 0, dash), 1, INT32_MAX, "pid", &pid, ERR_IGNORED))
        return false;
    if (!proc_name((pid_t)pid, now))
        return true;
    return dash < name.n && !str_eq(name, str_of(now));
}

size_t proc_cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}
