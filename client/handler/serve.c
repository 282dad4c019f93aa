#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/time.h"
#include "base/util.h"
#include "dump.h"
#include "notes.h"

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

/* ---- making one report ---- */

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

/* ---- receiving ---- */

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

/* ---- processes ---- */

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

void serve_run(const struct serve *s)
{
    int on = 1;
    setsockopt(s->socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    signal(SIGCHLD, SIG_IGN); /* nobody waits for the processes below */
    answer(s->socket, 0);
    retry_pending(s);
    for (;;) {
        struct request q = {.answer_fd = -1};
        if (!receive(s->socket, &q))
            return;
        if (q.pid > 0 && q.answer_fd >= 0)
            handle_apart(s, &q);
        if (q.answer_fd >= 0)
            close(q.answer_fd);
    }
}

bool serve_dump_pid(const struct serve *s, int64_t pid, const char *path, struct err *err)
{
    struct request q = {.pid = (pid_t)pid, .answer_fd = -1, .body = {.tid = (int32_t)pid}};
    STRBUF_AUTO dump;
    sb_init(&dump, DUMP_BYTES_MAX);
    return write_dump(s, &q, &dump, err) && fs_write_atomic(path, dump.p, dump.n, 0600, err);
}
