#ifndef CLIENT_STATE_H
#define CLIENT_STATE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "client/annotations.h"
#include "client/descriptor.h"
#include "client/handler_wire.h"

/*
 * state - everything the signal handler needs, made ready before the crash.
 *
 * A signal handler gets no argument of ours, so this is a global variable, the
 * only one of the library.
 */
struct datil_client_state {
    struct annotations *annotations; /* shared with the handler; NULL before first use */
    struct descriptor annotations_fd;
    struct descriptor socket;   /* to the handler; fd -1 when there is none */
    struct descriptor spare[2]; /* given back when a crashing program has no descriptors left */
    char channel[WIRE_CHANNEL_SIZE]; /* name of the handler's second door, for a lost socket */
    uint64_t key;                    /* what that door asks for */
    uid_t handler_uid;
    pid_t handler_pid;
    unsigned timeout_ms;
    bool wait_for_upload;
    _Atomic int crashing_tid; /* 0, or the thread that asks for help */
};

extern struct datil_client_state datil_client_state __attribute__((visibility("hidden")));

/* spawn.c: starts the handler.  Fills socket and handler_pid. */
bool datil_client_spawn(const struct datil_client_options *options, char *why, size_t why_size);

/* signals.c */
bool datil_client_take_signals(void);
void datil_client_release_signals(void);
/* channel.c: the handler's second door, where the socket was closed by the program; -1: no.
 * Async-signal-safe. */
int datil_client_reconnect(void);
/* Asks the handler for a dump of this process and waits.  Async-signal-safe. */
bool datil_client_ask(unsigned kind, siginfo_t *info, void *ucontext);

#endif
