#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include <limits.h>
#include <sys/types.h>

#include "lib/base/err.h"

/*
 * child - starts one of our own programs with nothing inherited but the descriptors it is
 * given: no environment, no other file, no signal mask.  It lives in a session of its own,
 * because Ctrl-C in a terminal must not cost the work it does.
 *
 * Ownership  The descriptors stay the caller's; the child has copies.
 * Errors     ERR_IO: no such program, or the system is out of processes or descriptors.
 * Processes  The caller waits for the child.
 */
struct child_fd {
    int from, to; /* from -1: /dev/null */
};

/* Where the program `name` is: beside this one, or in bin/ of the build tree this one is in. */
bool child_find(const char *name, char out[PATH_MAX], struct err *err);

/* fds is ascending by `to` and begins with 0, 1 and 2; everything above the last is closed. */
bool child_start(const char *program, const char *const argv[], const struct child_fd *fds,
                 size_t n, pid_t *ret_pid, struct err *err);

/*
 * Of a status from waitpid: people or the system have ended the child (SIGTERM, SIGINT, SIGKILL),
 * which says nothing about what it was given to read.  Its own limits end it by other signals.
 */
bool child_was_stopped(int status);

#endif
