/*
 * The control message that carries a descriptor is built and read here only: its lengths are easy
 * to get wrong, and a wrong one is a descriptor that leaks or one that is not ours.
 */
#include "lib/base/pass_fd.h"

#include <string.h>

#include "lib/base/util.h"

void pass_fd_expect(struct msghdr *msg, union pass_fd_room *room)
{
    memset(room, 0, sizeof *room);
    msg->msg_control = room->bytes;
    msg->msg_controllen = sizeof room->bytes;
}

void pass_fd_put(struct msghdr *msg, union pass_fd_room *room, int fd)
{
    pass_fd_expect(msg, room);
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

/*
 * -1: none, or more than one, which nobody honest sends; those are closed, or a peer could fill our
 * table of descriptors.
 */
int pass_fd_take(struct msghdr *msg)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return -1;
    size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    int fd = -1;
    for (size_t i = 0; i < n; i++) {
        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        if (n > 1)
            util_close_fd(&fd);
    }
    return n == 1 ? fd : -1;
}
