/*
 * Packets between a program and the sandboxed reader of symbols.  The reader has read strangers'
 * bytes, so the other side takes its packets as hostile: sizes are bounded before they are used,
 * and a packet that is too long, too short or cut is an error and never a guess.
 *
 * Both sides are programs of one installation, so numbers are sent as they are in memory, and
 * there is no version.  Writing never fails half-way: a packet that became too long is noted and
 * not sent.
 */
#include "lib/symfile/symwire.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/util.h"
#include "lib/base/pass_fd.h"

void symwire_bytes(struct symwire_out *o, const void *p, size_t n)
{
    if (n > sizeof o->bytes - o->n) {
        o->overflow = true;
        return;
    }
    if (n > 0) /* an empty text may have no address */
        memcpy(o->bytes + o->n, p, n);
    o->n += n;
}

void symwire_u8(struct symwire_out *o, uint8_t v)
{
    symwire_bytes(o, &v, sizeof v);
}

void symwire_u64(struct symwire_out *o, uint64_t v)
{
    symwire_bytes(o, &v, sizeof v);
}

/* Texts are for people, or names that were checked to be shorter: cutting loses nothing that
 * counts. */
void symwire_text(struct symwire_out *o, struct str s)
{
    uint16_t n = (uint16_t)MIN(s.n, (size_t)SYMWIRE_TEXT_MAX);
    symwire_bytes(o, &n, sizeof n);
    symwire_bytes(o, s.p, n);
}

struct str symwire_take_text(struct rd *r)
{
    size_t n = rd_u16(r);
    const uint8_t *p = rd_bytes(r, n);
    if (n > SYMWIRE_TEXT_MAX)
        r->bad = true;
    return rd_ok(r) ? str_n((const char *)p, n) : STR("");
}

bool symwire_send(int sock, const struct symwire_out *o, int fd, struct err *err)
{
    union pass_fd_room room;
    struct iovec iov = {(void *)o->bytes, o->n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (o->overflow)
        return err_set(err, ERR_INTERNAL, "a packet that is too long");
    if (fd >= 0)
        pass_fd_put(&msg, &room, fd);
    ssize_t n;
    do
        n = sendmsg(sock, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n >= 0 || err_errno(err, errno, "packet to the reader of symbols");
}

/* SOCK_SEQPACKET keeps packets apart, and hands out no part of one unless the buffer is too
 * small. */
bool symwire_receive(int sock, uint8_t buf[SYMWIRE_PACKET_MAX], struct rd *ret, int *ret_fd,
                     struct err *err)
{
    union pass_fd_room room;
    struct iovec iov = {buf, SYMWIRE_PACKET_MAX};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (ret_fd)
        pass_fd_expect(&msg, &room);
    ssize_t n;
    do
        n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != ECONNRESET)
        return err_errno(err, errno, "packet of the reader of symbols");
    if (n <= 0)
        return err_set(err, ERR_NOT_FOUND, "the other side hung up");
    int fd = pass_fd_take(&msg);
    if (ret_fd)
        *ret_fd = fd;
    if (msg.msg_flags & MSG_TRUNC)
        return err_set(err, ERR_INVALID, "a packet of the reader of symbols is too long");
    *ret = rd_init(buf, (size_t)n);
    return true;
}
