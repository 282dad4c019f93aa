#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/time.h"
#include "base/util.h"
#include "dump.h"
#include "notes.h"

/* Of the second door: few programs use it, each for one crash. */
enum {
    SECOND_DOOR_BACKLOG = 8,
    SECOND_DOOR_PATIENCE_S = 5,
    ALIVE_EVERY_MS = 1000, /* how often a program that has closed the socket is looked for */
};

/* A request with what the kernel says about its sender. */
struct request {
    struct wire_request body;
    pid_t pid;
    int answer_fd; /* owned */
};

static void answer(int fd, int error)
{
    struct wire_answer a = {.magic = WIRE_MAGIC, .pid = getpid(), .error = error};
    ssize_t n = send(fd, &a, sizeof a, MSG_NOSIGNAL);
    (void)n; /* the program may be dead by now */
}

static bool write_dump(const struct serve *s, const struct request *q, struct strbuf *dump,
                       struct err *err)
{
    struct target t;
    if (!target_open(q->pid, &t, err))
        return false;
    struct dump_request dq = {
        .target = &t,
        .requesting_tid = q->body.tid,
        .siginfo_addr = q->body.siginfo_addr,
        .ucontext_addr = q->body.ucontext_addr,
        .is_report = q->body.kind == WIRE_REPORT,
        .now_s = now_s(),
        .send_command_line = s->send_command_line,
        .send_environment = s->send_environment,
    };
    bool ok = dump_write(&dq, dump, err);
    target_close(&t);
    return ok;
}

/* A crash whose dump cannot be made is still a report: with annotations and the reason. */
static bool add_report(const struct serve *s, const struct request *q, struct report *ret_report,
                       struct err *err)
{
    struct notes_facts facts = {.now_us = now_us(),
                                .last_crash_s = reports_last_crash_s(s->reports)};
    STRBUF_AUTO dump, json;
    sb_init(&dump, DUMP_BYTES_MAX);
    sb_init(&json, NOTES_JSON_MAX);
    struct err why = {0};
    if (!write_dump(s, q, &dump, &why)) {
        sb_reset(&dump);
        facts.dumper_error = why.msg;
        reports_tell(s->reports, "no minidump: %s", why.msg);
    }
    notes_json(s->annotations, &facts, &json);
    return reports_add(s->reports, sb_view(&json), sb_view(&dump), facts.now_us, ret_report, err);
}

static void handle(const struct serve *s, const struct request *q)
{
    struct err err = {0};
    struct report report = {.lock = -1};
    bool ok = add_report(s, q, &report, &err);
    if (!ok)
        reports_tell(s->reports, "crash report lost: %s", err.msg);
    bool wait = q->body.flags & WIRE_WAIT_FOR_UPLOAD;
    if (!wait)
        answer(q->answer_fd, ok ? 0 : EIO);
    if (ok)
        reports_send(s->reports, &report, NULL);
    if (wait)
        answer(q->answer_fd, ok ? 0 : EIO);
}

/* Takes descriptor and credentials out of the control messages. */
static void read_control(struct msghdr *m, struct request *q)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
            memcpy(&q->answer_fd, CMSG_DATA(c), sizeof q->answer_fd);
        if (c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
            struct ucred who;
            memcpy(&who, CMSG_DATA(c), sizeof who);
            q->pid = who.pid;
        }
    }
}

/* False when the program has gone. */
static bool receive(int socket, struct request *q)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec io = {&q->body, sizeof q->body};
    struct msghdr m = {
        .msg_iov = &io,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    ssize_t n;
    do
        n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    read_control(&m, q);
    if ((size_t)n != sizeof q->body || q->body.magic != WIRE_MAGIC)
        q->pid = 0; /* not for us: answered by closing */
    return true;
}

/*
 * Old reports go out from a process of their own: a slow collector must not keep a
 * crashing program waiting.  It may outlive the program, so it lets go of standard
 * error, which may be a pipe that somebody reads to its end.
 */
static void retry_pending(const struct serve *s)
{
    if (!s->reports->url || fork() != 0)
        return;
    close(s->socket);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDERR_FILENO);
    reports_retry(s->reports, now_us());
    _exit(0);
}

/*
 * Each request has a process of its own, too.  When that ends, the kernel lets go of
 * whatever it had stopped, even of a thread that hung in the kernel and stops late;
 * and should the program's memory make it fall, the handler stands.
 */
static void handle_apart(const struct serve *s, const struct request *q)
{
    pid_t worker = fork();
    if (worker > 0)
        return;
    if (worker == 0) {
        close(s->socket);
        signal(SIGCHLD, SIG_DFL); /* stopped threads are waited for */
    }
    handle(s, q);
    if (worker == 0)
        _exit(0);
}

static void pass_credentials(int fd)
{
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
}

/* The second door; -1 when there is none, which costs only programs that close everything. */
static int listen_at(const char *channel)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX}; /* sun_path[0] stays 0: abstract */
    size_t n = channel ? strlen(channel) : 0;
    if (n == 0 || n >= WIRE_CHANNEL_SIZE)
        return -1;
    memcpy(name.sun_path + 1, channel, n);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    pass_credentials(fd); /* what is accepted inherits it */
    if (bind(fd, (const struct sockaddr *)&name, size) == 0 && listen(fd, SECOND_DOOR_BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

/* One request that came through the second door, in a process of its own: whoever has found the
 * name and sends nothing must not hold up the handler. */
static void handle_stranger(const struct serve *s, int fd, uint64_t key)
{
    const struct timeval patience = {SECOND_DOOR_PATIENCE_S, 0};
    pid_t worker = fork();
    if (worker != 0)
        return;
    signal(SIGCHLD, SIG_DFL);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct request q = {.answer_fd = -1};
    if (receive(fd, &q) && q.pid > 0 && q.answer_fd >= 0 && q.body.key == key)
        handle(s, &q);
    _exit(0);
}

/*
 * Whether a process still has the annotations mapped.  The kernel refuses to seal a file against
 * writing as long as there is a mapping that can write, so a seal that holds says no.
 */
static bool is_program_alive(void)
{
    return fcntl(WIRE_ANNOTATIONS_FD, F_ADD_SEALS, F_SEAL_WRITE) != 0 && errno == EBUSY;
}

void serve_run(const struct serve *s)
{
    struct pollfd doors[] = {{.fd = s->socket, .events = POLLIN},
                             {.fd = listen_at(s->channel), .events = POLLIN}};
    uint64_t key = s->annotations ? s->annotations->key : 0; /* before wild pointers reach it */
    pass_credentials(s->socket);
    signal(SIGCHLD, SIG_IGN); /* nobody waits for the processes below */
    answer(s->socket, 0);
    retry_pending(s);
    for (;;) {
        int pause_ms = doors[0].fd >= 0 ? -1 : ALIVE_EVERY_MS;
        if (poll(doors, ARRAY_LEN(doors), pause_ms) == 0 && !is_program_alive())
            return;
        if (doors[0].fd >= 0 && doors[0].revents) {
            struct request q = {.answer_fd = -1};
            bool is_open = receive(s->socket, &q);
            if (is_open && q.pid > 0 && q.answer_fd >= 0)
                handle_apart(s, &q);
            if (q.answer_fd >= 0)
                close(q.answer_fd);
            if (!is_open && (doors[1].fd < 0 || key == 0 || !is_program_alive()))
                return;
            if (!is_open)
                doors[0].fd = -1;
        }
        int stranger = doors[1].revents ? accept4(doors[1].fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (stranger >= 0) {
            handle_stranger(s, stranger, key);
            close(stranger);
        }
    }
}

bool serve_dump_pid(const struct serve *s, int64_t pid, const char *path, struct err *err)
{
    struct request q = {.pid = (pid_t)pid, .answer_fd = -1, .body = {.tid = (int32_t)pid}};
    STRBUF_AUTO dump;
    sb_init(&dump, DUMP_BYTES_MAX);
    return write_dump(s, &q, &dump, err) && fs_write_atomic(path, dump.p, dump.n, 0600, err);
}
