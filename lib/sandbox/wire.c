/*
 * Packets between the sandboxed walker and its parent, on a socket that keeps their bounds.
 * Either end may be in the hands of somebody who broke into the walker, so each packet is
 * read through rd, and what does not fit the format to the last byte is no packet.
 */
#include "lib/sandbox/wire.h"

#include <errno.h>
#include <sys/socket.h>

#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/pass_fd.h"

enum { KEY_TEXTS = 4 }; /* of a module: debug file and id, code file and id */

/*
 * SOCK_SEQPACKET: one call, one packet.  Descriptors that arrive are closed on exec like all of
 * ours.
 */
static ssize_t receive(int sock, struct msghdr *msg, int flags)
{
    ssize_t n;
    do
        n = recvmsg(sock, msg, flags | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    return n;
}

static bool transmit(int sock, const struct msghdr *msg, int flags)
{
    ssize_t n;
    do
        n = sendmsg(sock, msg, flags | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n >= 0;
}

/*
 * A packet is four texts, each behind its length in two bytes; both ends are the same program on
 * the same machine, so byte order does not matter.
 */
static bool send_key(int sock, const struct symfind_key *key)
{
    const struct str texts[KEY_TEXTS] = {key->debug_file, key->debug_id, key->code_file,
                                         key->code_id};
    uint16_t lengths[KEY_TEXTS];
    struct iovec iov[2 * KEY_TEXTS];
    for (size_t i = 0; i < KEY_TEXTS; i++) {
        if (texts[i].n > WIRE_TEXT_MAX)
            return false;
        lengths[i] = (uint16_t)texts[i].n;
        iov[2 * i] = (struct iovec){&lengths[i], sizeof lengths[i]};
        iov[2 * i + 1] = (struct iovec){(void *)texts[i].p, texts[i].n};
    }
    return transmit(sock, &(struct msghdr){.msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov)}, 0);
}

/*
 * Any answer that is not understood means that there are no symbols: a walk with fewer names is
 * better than none.
 */
void wire_ask(int sock, const struct symfind_key *key, struct symfind_result *ret)
{
    *ret = (struct symfind_result){.state = SYMFIND_MISSING, .fd = -1};
    uint8_t state;
    union pass_fd_room room;
    struct iovec iov[] = {{&state, 1}, {ret->url, sizeof ret->url - 1}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov)};
    pass_fd_expect(&msg, &room);
    if (!send_key(sock, key))
        return;
    ssize_t n = receive(sock, &msg, 0);
    if (n < 1)
        return;
    ret->fd = pass_fd_take(&msg);
    ret->url[n - 1] = '\0';
    if (state == SYMFIND_LOADED && ret->fd >= 0)
        ret->state = SYMFIND_LOADED;
    else if (state == SYMFIND_CORRUPT)
        ret->state = SYMFIND_CORRUPT;
}

static bool take_text(struct rd *r, struct str *ret)
{
    size_t n = rd_u16(r);
    const uint8_t *p = rd_bytes(r, n);
    *ret = str_n((const char *)p, n);
    return rd_ok(r) && n <= WIRE_TEXT_MAX;
}

bool wire_receive(int sock, char buf[WIRE_PACKET_MAX], struct symfind_key *ret, struct err *err)
{
    /* No room for descriptors: the kernel drops any that the walker sends. */
    struct iovec iov = {buf, WIRE_PACKET_MAX};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n = receive(sock, &msg, MSG_DONTWAIT);
    if (n < 0)
        return err_errno(err, errno, "request of the walker");
    if (n == 0)
        return err_set(err, ERR_NOT_FOUND, "the walker hung up");
    struct rd r = rd_init(buf, (size_t)n);
    struct symfind_key key;
    if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || !take_text(&r, &key.debug_file) ||
        !take_text(&r, &key.debug_id) || !take_text(&r, &key.code_file) ||
        !take_text(&r, &key.code_id) || rd_left(&r))
        return err_set(err, ERR_INVALID, "the walker sent a malformed request of %zd bytes", n);
    *ret = key;
    return true;
}

bool wire_answer(int sock, const struct symfind_result *found, struct err *err)
{
    uint8_t state = (uint8_t)found->state;
    struct iovec iov[] = {{&state, 1},
                          {(void *)found->url, strnlen(found->url, sizeof found->url - 1)}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov)};
    union pass_fd_room room;
    if (found->state == SYMFIND_LOADED && found->fd >= 0)
        pass_fd_put(&msg, &room, found->fd);
    return transmit(sock, &msg, MSG_DONTWAIT) || err_errno(err, errno, "answer to the walker");
}
