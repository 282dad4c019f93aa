/*
 * Packets between the sandboxed reader of symbols and its parent.  The first byte chooses: packets
 * of a hostile reader (u16 length and bytes each), read as every answer there is; a request with
 * several descriptors beside it; texts that are written and read again.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/rd.h"
#include "lib/base/util.h"
#include "lib/symfile/symwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DESCRIPTORS_MAX = 4 };

/* A text that was taken lies in the packet, and is not longer than any that is sent. */
static void check_text(struct rd *in, const uint8_t buf[SYMWIRE_PACKET_MAX])
{
    struct str s = symwire_take_text(in);
    assert(s.n <= SYMWIRE_TEXT_MAX);
    assert(s.n == 0 || (rd_ok(in) && (const uint8_t *)s.p >= buf &&
                        (const uint8_t *)s.p + s.n <= buf + SYMWIRE_PACKET_MAX));
}

/* What the parent does with an answer: symreader.c, from the same calls. */
static void read_answer(struct rd in, const uint8_t buf[SYMWIRE_PACKET_MAX])
{
    unsigned status = rd_u8(&in);
    rd_u8(&in); /* the code of an error, or whether a member is ignored */
    if (status != SYMWIRE_ERROR)
        rd_u64(&in);
    if (status == SYMWIRE_OK)
        rd_bytes(&in, SYMWIRE_MD5);
    for (size_t i = 0; i < (status == SYMWIRE_OK ? SYMWIRE_HEADER_TEXTS : 1); i++)
        check_text(&in, buf);
}

/* u16 length and bytes, or what is left of them. */
static struct str next_piece(struct rd *r)
{
    size_t n = rd_u16(r);
    n = MIN(n, rd_left(r));
    return str_n((const char *)rd_bytes(r, n), n);
}

static void at_parent(const int sock[2], struct rd r)
{
    while (rd_left(&r) >= 2) {
        struct str piece = next_piece(&r);
        if (piece.n == 0 || send(sock[0], piece.p, piece.n, MSG_DONTWAIT) < 0)
            return; /* an empty packet looks like the end */
        uint8_t buf[SYMWIRE_PACKET_MAX];
        struct rd in;
        bool ok = symwire_receive(sock[1], buf, &in, NULL, ERR_IGNORED);
        assert(ok == (piece.n <= SYMWIRE_PACKET_MAX));
        if (ok)
            read_answer(in, buf);
    }
}

/* The lowest free descriptor: the same before and after, or one was left open. */
static int next_fd(void)
{
    int fd = dup(STDERR_FILENO);
    util_close_fd(&fd);
    return fd;
}

static bool send_with_descriptors(int sock, struct rd r, size_t count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
    } control = {.bytes = {0}};
    size_t n = rd_left(&r);
    struct iovec iov = {(void *)(uintptr_t)rd_bytes(&r, n), n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    FD_AUTO null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0 && count > 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (size_t i = 0; i < count; i++)
            memcpy(CMSG_DATA(c) + i * sizeof null, &null, sizeof null);
    }
    return sendmsg(sock, &msg, MSG_DONTWAIT) >= 0;
}

/* One descriptor is handed out, of several none; whoever wants none has none. */
static void at_reader(const int sock[2], struct rd r)
{
    uint8_t buf[SYMWIRE_PACKET_MAX];
    struct rd in;
    uint8_t choice = rd_u8(&r);
    size_t count = choice % (DESCRIPTORS_MAX + 1);
    bool wants_one = choice < 128;
    int free_before = next_fd(), fd = -1;
    if (rd_left(&r) == 0 || !send_with_descriptors(sock[0], r, count))
        return;
    bool ok = symwire_receive(sock[1], buf, &in, wants_one ? &fd : NULL, ERR_IGNORED);
    assert(fd < 0 || (wants_one && count == 1));
    assert(!ok || count != 1 || !wants_one || fd >= 0);
    util_close_fd(&fd);
    assert(next_fd() == free_before);
}

/* Long texts come out cut, and a packet that is too long is not sent. */
static void there_and_back(const int sock[2], struct rd r)
{
    struct symwire_out out = {0};
    struct rd sent = r, in;
    uint8_t buf[SYMWIRE_PACKET_MAX];
    size_t texts = 0;
    for (; rd_left(&r) >= 2; texts++)
        symwire_text(&out, next_piece(&r));
    if (texts == 0)
        return;
    bool ok = symwire_send(sock[0], &out, -1, ERR_IGNORED);
    assert(ok == !out.overflow);
    if (!ok || !symwire_receive(sock[1], buf, &in, NULL, ERR_IGNORED))
        return;
    for (size_t i = 0; i < texts; i++)
        assert(str_eq(symwire_take_text(&in), str_sub(next_piece(&sent), 0, SYMWIRE_TEXT_MAX)));
    assert(rd_ok(&in) && rd_left(&in) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const modes[])(const int sock[2], struct rd r) = {at_parent, at_reader,
                                                                    there_and_back};
    int sock[2];
    struct rd r = rd_init(data, size);
    uint8_t mode = rd_u8(&r);
    if (!rd_ok(&r) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) != 0)
        return 0;
    modes[mode % ARRAY_LEN(modes)](sock, r);
    close(sock[0]);
    close(sock[1]);
    return 0;
}
