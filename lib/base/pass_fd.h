#ifndef BASE_PASS_FD_H
#define BASE_PASS_FD_H

#include <sys/socket.h>

/*
 * pass_fd - one descriptor beside a packet on a unix socket (unix(7), SCM_RIGHTS).
 *
 * Ownership  The kernel copies what is sent; a descriptor that was received is the caller's.
 * Trust      Who sends may have been broken into.  For its alignment the room for one descriptor
 *            takes a second one: of several none is believed, and none stays open.
 */

/* Room for one descriptor, aligned as the kernel wants it; lives as long as the message. */
union pass_fd_room {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* Before sendmsg: fd goes with the message. */
void pass_fd_put(struct msghdr *msg, union pass_fd_room *room, int fd);
/* Before recvmsg: a descriptor may come.  Receive with MSG_CMSG_CLOEXEC. */
void pass_fd_expect(struct msghdr *msg, union pass_fd_room *room);
/* After recvmsg: the one descriptor that came, or -1. */
int pass_fd_take(struct msghdr *msg);

#endif
