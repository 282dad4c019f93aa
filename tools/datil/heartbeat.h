#ifndef DATIL_HEARTBEAT_H
#define DATIL_HEARTBEAT_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * heartbeat - asks a FastCGI program for its own word on its health, on its socket, without the
 * web server between.  A socket that accepts proves nothing: the kernel does that for a program
 * whose workers hang as well.
 *
 * Ownership  The body lives in the arena.
 * Errors     ERR_UNAVAILABLE: no connection, no answer in time, or none of a web program.
 * Trust      The answer is bounded in bytes and time, whoever listens there.
 */
bool heartbeat_ask(struct arena *a, const char *socket_path, int timeout_ms, int *ret_status,
                   struct str *ret_body, struct err *err);

#endif
