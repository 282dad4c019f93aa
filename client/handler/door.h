#ifndef HANDLER_DOOR_H
#define HANDLER_DOOR_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/handler_wire.h"

/*
 * door - requests from the program's socket, and the second door (handler_wire.h) with the visitors
 * who have come through it and have not said anything yet.
 *
 * Trust      Anybody on the machine can read the door's name in /proc/net/unix and connect.  Other
 *            users are shown out at once, unless the handler is root's: its program may have become
 *            somebody else.  Whoever stays is one descriptor until a request with the right key is
 *            there; who comes when all places are taken gets the place of the first.
 * Ownership  The descriptor in a request belongs to whoever received it.
 * Limits     A program has a few processes that crash at once (BACKLOG of door.c);
 * DOOR_VISITORS_MAX is twice that, so that a stranger's connections have to come fast to push one
 * out.
 */
enum { DOOR_VISITORS_MAX = 16, DOOR_POLLS = 1 + DOOR_VISITORS_MAX };

/* A request with what the kernel says about its sender. */
struct request {
    struct wire_request body;
    pid_t pid;     /* 0: not for us */
    int answer_fd; /* owned; -1: none came along */
};

enum request_state {
    REQUEST_WAITED_FOR,
    REQUEST_HERE,
    REQUEST_NEVER, /* the other side has gone */
};

/* Waits unless flags has MSG_DONTWAIT.  The socket passes credentials (request_socket). */
enum request_state request_receive(int socket, int flags, struct request *ret);
void request_socket(int fd);
void request_release(struct request *q);

struct door {
    int listener; /* -1: there is no second door */
    uint64_t key;
    int visitors[DOOR_VISITORS_MAX]; /* in the order they came */
    size_t visitor_count;
};

/* Without name or key there is no door, which costs only programs that close everything. */
void door_open(struct door *d, const char *channel, uint64_t key);
void door_close(struct door *d); /* also in a child: the door is the handler's alone */

void door_polls(const struct door *d, struct pollfd polls[DOOR_POLLS]);
/* The next request that may be answered; false: nobody has one.  Never waits. */
bool door_receive(struct door *d, struct request *ret);

#endif
