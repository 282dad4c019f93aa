/*
 * Packets between the sandboxed walker and its parent.  First byte even: packets of a
 * hostile walker (u16 length and bytes each) at the parent, which answers those it takes.
 * Odd: an answer at the walker, with as many descriptors beside it as the second byte says.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/rd.h"
#include "lib/base/util.h"
#include "lib/symfile/symkey.h"
#include "lib/sandbox/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DESCRIPTORS_MAX = 4 };

static void check_request(const struct symfind_key *key)
{
    const struct str texts[] = {key->debug_file, key->debug_id, key->code_file, key->code_id};
    size_t sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert(texts[i].n <= WIRE_TEXT_MAX);
        for (size_t k = 0; k < texts[i].n; k++)
            sum += (uint8_t)texts[i].p[k]; /* a sanitizer looks on */
    }
    struct symkey stored;
    if (symkey_of_module(key->debug_file, key->debug_id, &stored, ERR_IGNORED))
        assert(!strchr(stored.debug_file, '/') && stored.debug_file[0] != '.');
    assert(sum < SIZE_MAX);
}

static void at_parent(const int sock[2], struct rd r)
{
    while (rd_left(&r) >= 2) {
        size_t asked = rd_u16(&r), n = MIN(asked, rd_left(&r));
        const uint8_t *p = rd_bytes(&r, n);
        if (n == 0 || send(sock[0], p, n, MSG_DONTWAIT) < 0)
            return; /* an empty packet looks like the end */
        char buf[WIRE_PACKET_MAX];
        struct symfind_key key;
        if (!wire_receive(sock[1], buf, &key, ERR_IGNORED))
            continue;
        check_request(&key);
        struct symfind_result found = {.state = SYMFIND_MISSING, .fd = -1};
        wire_answer(sock[1], &found, ERR_IGNORED);
        char answer[WIRE_PACKET_MAX];
        assert(recv(sock[0], answer, sizeof answer, MSG_DONTWAIT) > 0);
    }
}

static bool send_answer(int sock, struct rd r, size_t fd_count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
    } control = {.bytes = {0}};
    size_t n = rd_left(&r);
    struct iovec iov = {(void *)(uintptr_t)rd_bytes(&r, n), n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0 && fd_count > 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        for (size_t i = 0; i < fd_count; i++)
            memcpy(CMSG_DATA(c) + i * sizeof null, &null, sizeof null);
    }
    bool ok = sendmsg(sock, &msg, MSG_DONTWAIT) >= 0;
    util_close_fd(&null);
    return ok;
}

/* The lowest free descriptor: the same before and after, or one was left open. */
static int next_fd(void)
{
    int fd = dup(STDERR_FILENO);
    util_close_fd(&fd);
    return fd;
}

static void at_walker(const int sock[2], struct rd r)
{
    size_t fd_count = rd_u8(&r) % (DESCRIPTORS_MAX + 1);
    int free_before = next_fd();
    if (rd_left(&r) == 0 || !send_answer(sock[0], r, fd_count))
        return;
    const struct symfind_key key = {STR("a"), STR("b"), STR("c"), STR("d")};
    struct symfind_result result;
    wire_ask(sock[1], &key, &result);
    assert(strnlen(result.url, sizeof result.url) < sizeof result.url);
    assert(result.state != SYMFIND_LOADED || result.fd >= 0);
    util_close_fd(&result.fd);
    assert(next_fd() == free_before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int sock[2];
    struct rd r = rd_init(data, size);
    uint8_t mode = rd_u8(&r);
    if (!rd_ok(&r) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) != 0)
        return 0;
    if (mode % 2 == 0)
        at_parent(sock, r);
    else
        at_walker(sock, r);
    close(sock[0]);
    close(sock[1]);
    return 0;
}
