#ifndef SANDBOX_WIRE_H
#define SANDBOX_WIRE_H

#include "lib/symfile/symfind.h"

/*
 * wire - the questions and answers between the sandboxed walker and its parent, on a
 * SOCK_SEQPACKET pair: one packet asks for the symbols of a module, one answers, with
 * the file's descriptor beside it.
 *
 *     request   four texts, each u16 length and bytes: debug_file, debug_id, code_file,
 *               code_id
 *     answer    u8 state (enum symfind_state), the URL
 *
 * Trust      Each side checks what the other sends.
 */
enum {
    WIRE_TEXT_MAX = 1024,   /* of one text; longer names have no symbols */
    WIRE_PACKET_MAX = 8192, /* four texts of that length, and as much again for the answer */
    /* Descriptors of the walker. */
    WIRE_FD_DUMP = 0,
    WIRE_FD_SOCKET = 3,
    WIRE_FD_ANNOTATIONS = 4,
};

/* Walker: asks and waits.  MISSING when anything goes wrong. */
void wire_ask(int sock, const struct symfind_key *key, struct symfind_result *ret);

/* Parent: takes one request, key texts point into buf.  ERR_NOT_FOUND: the walker hung up. */
bool wire_receive(int sock, char buf[WIRE_PACKET_MAX], struct symfind_key *ret, struct err *err);

/* Parent: answers; never blocks.  The descriptor in `found` stays the caller's. */
bool wire_answer(int sock, const struct symfind_result *found, struct err *err);

#endif
