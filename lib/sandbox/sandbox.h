#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdint.h>

#include "lib/base/err.h"

/*
 * sandbox - gives up, for the rest of this process's life, everything that reading one
 * stranger's file does not need.
 *
 * After sandbox_enter the process can read and map (not write, not execute) the
 * descriptors it has or is sent, write to them, get memory up to its limit, ask for the
 * time, and exit.  Sockets, new processes and programs, signals to others and everything
 * unheard-of end it with SIGSYS.  What libc tries by itself (opening a file, stat by name,
 * sysinfo) fails with EACCES instead, since it goes on without.
 *
 * Errors     False: some part could not be set up; the caller must not go on.
 * Threads    Call while there is one thread.
 */
struct sandbox_limits {
    int64_t memory_bytes; /* heap and anonymous memory */
    int64_t mapped_bytes; /* besides: dump and symbol files, which the page cache holds */
    int64_t output_bytes; /* of one file that it writes to; pipes and sockets have no limit */
    int64_t cpu_s;
    int files; /* highest descriptor plus one */
};

bool sandbox_enter(const struct sandbox_limits *limits, struct err *err);

#endif
