/*
 * The second door stands open to everybody, so nothing here may grow with the number of those who
 * come: visitors share one bounded list in the handler's own poll set.  (A process for each would
 * let any user of the machine use up the processes of this one.)  The program connects and sends in
 * one go, so its request is read in the same turn in which it is let in, as a rule.
 */
#include "client/handler/door.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Not let in yet; one program has at most a few processes that crash at once. */
enum { BACKLOG = 8 };

/* The kernel then writes beside each message who has sent it. */
void request_socket(int fd)
{
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
}

/* Closing the answer's socket tells the program that there will be none. */
void request_release(struct request *q)
{
    if (q->answer_fd >= 0)
        close(q->answer_fd);
    q->answer_fd = -1;
}

/* The one descriptor of a request.  More than that is no request of ours, and must not pile up. */
static void take_descriptors(const struct cmsghdr *c, struct request *q)
{
    size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < n; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        if (n == 1 && q->answer_fd < 0)
            q->answer_fd = fd;
        else
            close(fd);
    }
}

/* What came beside the message.  Only the kernel writes credentials, so they may be believed. */
static void read_control(struct msghdr *m, struct request *q)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_RIGHTS)
            take_descriptors(c, q);
        if (c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
            struct ucred who;
            memcpy(&who, CMSG_DATA(c), sizeof who);
            q->pid = who.pid;
        }
    }
}

enum request_state request_receive(int socket, int flags, struct request *ret)
{
    *ret = (struct request){.answer_fd = -1};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec io = {&ret->body, sizeof ret->body};
    struct msghdr m = {
        .msg_iov = &io,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    ssize_t n;
    do
        n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC | flags);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return REQUEST_WAITED_FOR;
    if (n <= 0)
        return REQUEST_NEVER;
    read_control(&m, ret);
    if ((size_t)n != sizeof ret->body || ret->body.magic != WIRE_MAGIC)
        ret->pid = 0; /* answered by closing */
    return REQUEST_HERE;
}

/*
 * An abstract name has no zero at its end: its length is the address's.  Without a door the handler
 * works all the same, for programs that keep their socket.
 */
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
    request_socket(fd); /* what is accepted inherits it */
    if (bind(fd, (const struct sockaddr *)&name, size) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

void door_open(struct door *d, const char *channel, uint64_t key)
{
    *d = (struct door){.listener = key ? listen_at(channel) : -1, .key = key};
}

/* The order is that of arrival, so that the first is who has waited longest. */
static void show_out(struct door *d, size_t i)
{
    close(d->visitors[i]);
    d->visitor_count--;
    memmove(&d->visitors[i], &d->visitors[i + 1], (d->visitor_count - i) * sizeof d->visitors[0]);
}

void door_close(struct door *d)
{
    while (d->visitor_count)
        show_out(d, d->visitor_count - 1);
    if (d->listener >= 0)
        close(d->listener);
    d->listener = -1;
}

void door_polls(const struct door *d, struct pollfd polls[DOOR_POLLS])
{
    polls[0] = (struct pollfd){.fd = d->listener, .events = POLLIN};
    for (size_t i = 0; i < DOOR_VISITORS_MAX; i++)
        polls[1 + i] =
            (struct pollfd){.fd = i < d->visitor_count ? d->visitors[i] : -1, .events = POLLIN};
}

/*
 * The abstract name of the second door has no file and so no permissions; who connects is asked
 * for instead.  A handler of root takes everybody, because its program may have given up root; the
 * key in the request decides then.
 */
static bool may_stay(int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0)
        return false;
    return geteuid() == 0 || who.uid == geteuid() || who.uid == getuid();
}

/* At most a backlog's worth in one go: a crowd at the door must not keep the program waiting. */
static void let_in(struct door *d)
{
    for (int i = 0; i < BACKLOG && d->listener >= 0; i++) {
        int fd = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (!may_stay(fd)) {
            close(fd);
            continue;
        }
        if (d->visitor_count == DOOR_VISITORS_MAX)
            show_out(d, 0);
        d->visitors[d->visitor_count++] = fd;
    }
}

/* Only the program and its handler know the key, so another process of the same user cannot ask in
 * its name. */
bool door_receive(struct door *d, struct request *ret)
{
    let_in(d);
    for (size_t i = 0; i < d->visitor_count;) {
        enum request_state state = request_receive(d->visitors[i], MSG_DONTWAIT, ret);
        if (state == REQUEST_WAITED_FOR) {
            i++;
            continue;
        }
        show_out(d, i); /* each comes for one request */
        if (state == REQUEST_HERE && ret->pid > 0 && ret->answer_fd >= 0 && ret->body.key == d->key)
            return true;
        request_release(ret);
    }
    return false;
}
