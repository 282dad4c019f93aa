#ifndef CLIENT_HANDLER_WIRE_H
#define CLIENT_HANDLER_WIRE_H

#include <stdint.h>

/*
 * handler_wire - what the program and its handler say to each other.
 *
 * One SOCK_SEQPACKET socket pair, made at start.  The handler says hello once.  A
 * request carries, as SCM_RIGHTS, one end of a fresh stream socket pair: the
 * answer comes there, and when the handler dies the program sees the end of that
 * stream at once instead of waiting for its time-out.  Who asks is taken from
 * SCM_CREDENTIALS, never from the message, so forked children work too.
 *
 * A program that closes all its descriptors loses that socket, and the handler sees its end.  The
 * handler then stays as long as somebody still has the annotations mapped, and can be reached
 * through a second door: a listening socket with an abstract name that only program and handler
 * know (and whoever reads /proc/net/unix, so a request that comes this way carries the key from
 * the annotations).
 */
enum {
    WIRE_MAGIC = 0x52494457, /* "WDIR" */
    WIRE_SOCKET_FD = 3,      /* in the handler process */
    WIRE_ANNOTATIONS_FD = 4,
    WIRE_CHANNEL_SIZE = 48, /* name of the second door: "datil-client-", 32 digits and a zero */
};

enum wire_kind {
    WIRE_CRASH = 1,  /* siginfo and ucontext are those of a signal */
    WIRE_REPORT = 2, /* the program lives on; siginfo_addr is 0 */
};

enum wire_flag {
    WIRE_WAIT_FOR_UPLOAD = 1, /* the answer comes when the collector has the report */
};

struct wire_request {
    uint32_t magic;
    uint32_t kind;
    uint32_t flags;
    int32_t tid;
    uint64_t siginfo_addr; /* addresses in the memory of the program */
    uint64_t ucontext_addr;
    uint64_t key; /* of the annotations; looked at when it comes through the second door */
};

/* Handler to program: once as hello (pid of the handler or an errno), then per request. */
struct wire_answer {
    uint32_t magic;
    int32_t pid;
    int32_t error; /* 0, or an errno value */
};

#endif
