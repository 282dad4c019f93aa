/*
 * The way to the handler when the program has closed the socket: its second door (handler_wire.h).
 * Everything in here must be async-signal-safe.
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/state.h"

/* Whoever listens under the name after our handler has died must not get a report. */
static bool is_our_handler(int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
           who.uid == datil_client_state.handler_uid;
}

int datil_client_reconnect(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX}; /* sun_path[0] stays 0: abstract */
    size_t n = strlen(datil_client_state.channel);
    if (n == 0)
        return -1;
    memcpy(name.sun_path + 1, datil_client_state.channel, n);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* Strangers may stand in the queue of the door: neither connect nor send waits for ever. */
    const struct timeval patience = {.tv_sec = datil_client_state.timeout_ms / 1000,
                                     .tv_usec = datil_client_state.timeout_ms % 1000 * 1000L};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
    if (connect(fd, (const struct sockaddr *)&name, size) == 0 && is_our_handler(fd))
        return fd;
    close(fd);
    return -1;
}
