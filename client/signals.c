/*
 * The signal handlers.  Everything in here must be async-signal-safe: no malloc, no stdio, no
 * locks; memory and descriptors were made ready by datil_client_start.
 *
 * A crash asks the handler for a dump, waits for its answer, and then lets the signal take the
 * course that it would have taken without us, so that exit status, core file and the parent's view
 * of the death stay the same.
 */
#include "client/state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "client/descriptor.h"
#include "client/handler_wire.h"

static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
enum { CRASH_SIGNALS = sizeof crash_signals / sizeof crash_signals[0] };

static struct sigaction previous[CRASH_SIGNALS];
static bool taken;

static pid_t this_thread(void)
{
    return (pid_t)syscall(SYS_gettid);
}

/* Monotonic: a clock that is set meanwhile must neither end the wait nor make it longer. */
static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A socket pair even when the program has used up its descriptors. */
static bool answer_pair(int pair[2])
{
    int type = SOCK_STREAM | SOCK_CLOEXEC;
    if (socketpair(AF_UNIX, type, 0, pair) == 0)
        return true;
    for (int i = 0; i < 2; i++)
        descriptor_close(&datil_client_state.spare[i]);
    return socketpair(AF_UNIX, type, 0, pair) == 0;
}

/* The request with the handler's end of the answer socket; credentials are added by the kernel. */
static bool send_request(int channel, const struct wire_request *request, int answer_fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec io = {(void *)request, sizeof *request};
    struct msghdr m = {
        .msg_iov = &io,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &answer_fd, sizeof answer_fd);

    ssize_t sent;
    do
        sent = sendmsg(channel, &m, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof *request;
}

/* True when the answer came in time and says that there is a dump. */
static bool wait_for_answer(int fd)
{
    long deadline = now_ms() + (long)datil_client_state.timeout_ms;
    for (;;) {
        long left = deadline - now_ms();
        if (left <= 0)
            return false;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, (int)left);
        if (ready == 0)
            return false;
        /* Being stopped and continued by the tracer interrupts the wait. */
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0)
            return false;
        struct wire_answer answer;
        ssize_t n = read(fd, &answer, sizeof answer);
        if (n < 0 && errno == EINTR)
            continue;
        return n == (ssize_t)sizeof answer && answer.magic == WIRE_MAGIC && answer.error == 0;
    }
}

/*
 * Also for reports without a crash (info and ucontext NULL).  A program may have closed or reused
 * our descriptor; then the second door is a new connection by the handler's name.
 *
 * Permission to read our memory is given for the time of the question only.
 */
bool datil_client_ask(unsigned kind, siginfo_t *info, void *ucontext)
{
    const struct descriptor *socket = &datil_client_state.socket;
    if (socket->fd < 0)
        return false;
    int second_door = descriptor_is_ours(socket) ? -1 : datil_client_reconnect();
    int channel = second_door >= 0 ? second_door : socket->fd;
    int pair[2];
    bool can_ask = (second_door >= 0 || descriptor_is_ours(socket)) && answer_pair(pair);
    if (!can_ask) {
        if (second_door >= 0)
            close(second_door);
        return false;
    }

    /* Reading our memory needs a dumpable process and, with Yama, our permission. */
    int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    if (dumpable != 1)
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    prctl(PR_SET_PTRACER, datil_client_state.handler_pid, 0, 0, 0);

    struct wire_request request = {
        .magic = WIRE_MAGIC,
        .kind = kind,
        .flags = datil_client_state.wait_for_upload ? WIRE_WAIT_FOR_UPLOAD : 0,
        .tid = this_thread(),
        .siginfo_addr = (uint64_t)(uintptr_t)info,
        .ucontext_addr = (uint64_t)(uintptr_t)ucontext,
        .key = datil_client_state.key,
    };
    bool sent = send_request(channel, &request, pair[1]);
    close(pair[1]);
    if (second_door >= 0)
        close(second_door);
    bool done = sent && wait_for_answer(pair[0]);
    close(pair[0]);

    prctl(PR_SET_PTRACER, 0, 0, 0, 0);
    if (dumpable >= 0 && dumpable != 1)
        prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0);
    return done;
}

/* Another thread is being reported: the process ends soon, so wait for that. */
static void wait_for_the_end(void)
{
    struct timespec pause = {.tv_nsec = 50 * 1000000};
    for (unsigned ms = 0; ms < datil_client_state.timeout_ms; ms += 50)
        nanosleep(&pause, NULL);
}

/*
 * Puts the signal back on its way.  A fault that the CPU found happens again when
 * this handler returns; everything else (abort, kill, a trap behind its
 * instruction) is sent again with the information of the first time.
 */
static void pass_on(int signal, siginfo_t *info)
{
    bool happens_again = info->si_code > 0 && (signal == SIGSEGV || signal == SIGBUS ||
                                               signal == SIGFPE || signal == SIGILL);
    if (happens_again)
        return;
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), this_thread(), signal, info) != 0)
        syscall(SYS_tgkill, getpid(), this_thread(), signal);
}

/*
 * What was installed before us, for this one signal: a handler of the program's own is called next.
 */
static void restore(int signal)
{
    for (int i = 0; i < CRASH_SIGNALS; i++)
        if (crash_signals[i] == signal)
            sigaction(signal, &previous[i], NULL);
}

/*
 * The first thread that crashes is reported; others wait for the end, or they would end the process
 * in the middle of the dump.
 */
static void on_crash(int signal, siginfo_t *info, void *ucontext)
{
    int saved_errno = errno;
    int nobody = 0, me = this_thread();
    if (atomic_compare_exchange_strong(&datil_client_state.crashing_tid, &nobody, me))
        datil_client_ask(WIRE_CRASH, info, ucontext);
    else if (nobody != me)
        wait_for_the_end();
    /* else: reporting itself crashed; there is nobody left to tell. */
    restore(signal);
    errno = saved_errno;
    pass_on(signal, info);
}

/* On the alternate stack, for an overflow has left no room on the thread's own. */
bool datil_client_take_signals(void)
{
    struct sigaction act = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&act.sa_mask);
    for (int i = 0; i < CRASH_SIGNALS; i++)
        if (sigaction(crash_signals[i], &act, &previous[i]) != 0)
            return false;
    taken = true;
    return true;
}

/* Leaves alone what somebody else has installed since. */
void datil_client_release_signals(void)
{
    if (!taken)
        return;
    for (int i = 0; i < CRASH_SIGNALS; i++) {
        struct sigaction now;
        if (sigaction(crash_signals[i], NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
            now.sa_sigaction == on_crash)
            sigaction(crash_signals[i], &previous[i], NULL);
    }
    taken = false;
}
