#ifndef HANDLER_SERVE_H
#define HANDLER_SERVE_H

#include "client/annotations.h"
#include "client/handler/reports.h"
#include "client/handler_wire.h"

/*
 * serve - the handler's life beside one program: says hello, sends what earlier
 * crashes left behind, waits for requests, ends when the program has gone.
 */
struct serve {
    int socket;
    const char *channel; /* abstract name of the second door (handler_wire.h); NULL: none */
    const struct annotations *annotations; /* NULL: none */
    const struct reports *reports;
    bool send_command_line, send_environment;
};

/* Until the other side of the socket has been closed and nobody has the annotations mapped. */
void serve_run(const struct serve *s);

/* One dump without a report, into a file; of s only what may be sent counts. */
bool serve_dump_pid(const struct serve *s, int64_t pid, const char *path, struct err *err);

#endif
