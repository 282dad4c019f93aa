#ifndef SYMFILE_SYMWIRE_H
#define SYMFILE_SYMWIRE_H

#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"

/*
 * symwire - what the sandboxed reader of symbol files and the program that started it say to
 * each other: packets on a SOCK_SEQPACKET pair, descriptors beside them.  One packet asks, one
 * answers; the list of an archive's members is a packet for each and one that ends it.  Requests
 * may be sent before earlier ones are answered; answers come in the order of the requests.
 *
 *     request      u8 kind, then
 *       ZIP        u64 members at most, u64 bytes at most, text snippets, u8 whether content is
 *                  looked through for them
 *       LOAD       u64 number of the member in the list, or SYMWIRE_INPUT (unpacked if it is
 *                  packed) or SYMWIRE_INPUT_AS_IS, u8 whether MD5 and header are wanted; [scratch]
 *       SAME       u8 whether the descriptor is gzip; [file to compare with]
 *       WRITE      u8 whether to gzip; [file to write to]
 *       COMPILE    [file to write to]
 *       FORBID     text snippets
 *     answer       u8 0, u8 error code, text message; or u8 1, then
 *       ZIP        nothing: the list ends; a member is u8 2, u8 ignored, u64 bytes, text name
 *       LOAD       u64 bytes; if wanted 16 bytes MD5, u8 has header, five texts of it
 *       SAME       u8 whether the bytes are the same
 *       WRITE      u64 bytes written
 *       COMPILE    u64 source bytes, csym bytes, bad lines
 *       FORBID     text: the snippet that a FILE record has, or empty
 *     text         u16 length, bytes
 *
 * Trust      The parent checks everything the reader sends; the reader trusts its parent.
 */
enum {
    SYMWIRE_PACKET_MAX = 8192, /* SYMWIRE_HEADER_TEXTS of the largest size, and the numbers */
    SYMWIRE_TEXT_MAX = 1024,   /* NAME_MAX_BYTES of symzip.c and what an error says around it */
    SYMWIRE_MD5 = 16,
    SYMWIRE_HEADER_TEXTS = 5, /* debug file, debug id, code file, code id, generator */
    SYMWIRE_FD_INPUT = 0,
    SYMWIRE_FD_SOCKET = 3,
};
#define SYMWIRE_INPUT       UINT64_MAX
#define SYMWIRE_INPUT_AS_IS (UINT64_MAX - 1)

enum symwire_kind {
    SYMWIRE_ZIP = 'z',
    SYMWIRE_LOAD = 'l',
    SYMWIRE_SAME = 's',
    SYMWIRE_WRITE = 'w',
    SYMWIRE_COMPILE = 'c',
    SYMWIRE_FORBID = 'f'
};
enum symwire_answer { SYMWIRE_ERROR, SYMWIRE_OK, SYMWIRE_MEMBER };

/* A packet being written; what does not fit makes symwire_send fail. */
struct symwire_out {
    uint8_t bytes[SYMWIRE_PACKET_MAX];
    size_t n;
    bool overflow;
};

void symwire_u8(struct symwire_out *o, uint8_t v);
void symwire_u64(struct symwire_out *o, uint64_t v);
void symwire_bytes(struct symwire_out *o, const void *p, size_t n);
void symwire_text(struct symwire_out *o, struct str s); /* cut to SYMWIRE_TEXT_MAX */

/* fd -1: none. */
bool symwire_send(int sock, const struct symwire_out *o, int fd, struct err *err);

/*
 * Waits for one packet; ERR_NOT_FOUND: the other side hung up.  ret_fd NULL: descriptors are
 * dropped by the kernel, else -1 or one that the caller closes.
 */
bool symwire_receive(int sock, uint8_t buf[SYMWIRE_PACKET_MAX], struct rd *ret, int *ret_fd,
                     struct err *err);
/* A text, pointing into the packet; too long ones make the reader bad. */
struct str symwire_take_text(struct rd *r);

#endif
