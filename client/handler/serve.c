/*
 * The handler's loop, and what one request sets off.
 *
 * The handler must outlive what it watches, and a report must not depend on whether the next one
 * goes well.  So this process only takes requests; each is worked off in a child: stopping the
 * program, writing the dump, adding the report, sending it.  If fork fails, the request is worked
 * off here, since a slow report is better than none.  A dump that cannot be made still gives a
 * report, and the answer to the program comes as soon as the report is on disk, unless it asked to
 * wait for the sending.
 *
 * That the program's socket is closed does not mean that the program has ended, since a program
 * may close descriptors it does not know.  While there is a second door (door.h) and a process has
 * the annotations mapped, the handler stays, and looks once a second.
 */
#include "client/handler/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "client/handler/door.h"
#include "client/handler/dump.h"
#include "client/handler/notes.h"
#include "client/handler/target.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

enum { ALIVE_EVERY_MS = 1000 }; /* how often a program that has closed the socket is looked for */

static void send_answer(int fd, int error)
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
static bool add_report(const struct serve *s, const struct request *q,
                       struct pending_report *ret_report, struct err *err)
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

static void answer_request(const struct serve *s, const struct request *q)
{
    struct err err = {0};
    struct pending_report report = {.lock = -1};
    bool ok = add_report(s, q, &report, &err);
    if (!ok)
        reports_tell(s->reports, "crash report lost: %s", err.msg);
    bool wait = q->body.flags & WIRE_WAIT_FOR_UPLOAD;
    if (!wait)
        send_answer(q->answer_fd, ok ? 0 : EIO);
    if (ok)
        reports_send(s->reports, &report, ERR_IGNORED);
    if (wait)
        send_answer(q->answer_fd, ok ? 0 : EIO);
}

/*
 * Old reports go out from a process of their own: a slow collector must not keep a
 * crashing program waiting.  It may outlive the program, so it lets go of standard
 * error, which may be a pipe that somebody reads to its end.
 */
static void retry_pending(const struct serve *s, struct door *door)
{
    if (!s->reports->url || fork() != 0)
        return;
    close(s->socket);
    door_close(door);
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
static void handle_apart(const struct serve *s, struct door *door, const struct request *q)
{
    pid_t worker = fork();
    if (worker > 0)
        return;
    if (worker == 0) {
        close(s->socket);
        door_close(door);
        signal(SIGCHLD, SIG_DFL); /* stopped threads are waited for */
    }
    answer_request(s, q);
    if (worker == 0)
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

/* One request of the program's own socket; false: the socket has been closed. */
static bool answer_program(const struct serve *s, struct door *door)
{
    struct request q;
    enum request_state state = request_receive(s->socket, 0, &q);
    if (state == REQUEST_HERE && q.pid > 0 && q.answer_fd >= 0)
        handle_apart(s, door, &q);
    request_release(&q);
    return state != REQUEST_NEVER;
}

static void answer_visitors(const struct serve *s, struct door *door)
{
    struct request q;
    while (door_receive(door, &q)) {
        handle_apart(s, door, &q);
        request_release(&q);
    }
}

void serve_run(const struct serve *s)
{
    struct door door;
    /* The key is taken now, before wild pointers reach it. */
    door_open(&door, s->channel, s->annotations ? s->annotations->key : 0);
    request_socket(s->socket);
    signal(SIGCHLD, SIG_IGN); /* nobody waits for the processes below */
    send_answer(s->socket, 0);
    retry_pending(s, &door);
    bool has_program = true;
    for (;;) {
        struct pollfd polls[1 + DOOR_POLLS] = {
            {.fd = has_program ? s->socket : -1, .events = POLLIN}};
        door_polls(&door, polls + 1);
        poll(polls, ARRAY_LEN(polls), has_program ? -1 : ALIVE_EVERY_MS);
        if (polls[0].revents && !answer_program(s, &door))
            has_program = false;
        answer_visitors(s, &door);
        /* Asked in every turn: a crowd at the door must not keep the handler of the dead alive. */
        if (!has_program && (door.listener < 0 || !is_program_alive()))
            return;
    }
}

bool serve_dump_pid(const struct serve *s, int64_t pid, const char *path, struct err *err)
{
    struct request q = {.pid = (pid_t)pid, .answer_fd = -1, .body = {.tid = (int32_t)pid}};
    STRBUF_AUTO dump;
    sb_init(&dump, DUMP_BYTES_MAX);
    return write_dump(s, &q, &dump, err) && fs_write_atomic(path, dump.p, dump.n, 0600, err);
}
