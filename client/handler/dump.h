#ifndef HANDLER_DUMP_H
#define HANDLER_DUMP_H

#include "client/handler/registers.h"
#include "client/handler/target.h"

/*
 * dump - writes the minidump of a stopped process.
 *
 * Ownership  The caller owns the target and the buffer.
 * Errors     Missing pieces (a thread that runs away, unreadable memory, a file of
 *            /proc) are left out; only a dump that has become too large fails.
 */
struct dump_request {
    const struct target *target;
    pid_t requesting_tid;   /* the crashed thread, or the one that asked */
    uint64_t siginfo_addr;  /* in the target; 0: it did not crash */
    uint64_t ucontext_addr; /* in the target; 0: it did not crash */
    bool is_report;         /* asked for by the living program: exception DUMP_REQUESTED */
    int64_t now_s;
    bool send_command_line, send_environment; /* false: not in stacks either */
};

enum {
    DUMP_BYTES_MAX = 24 << 20, /* what a collector takes by default, less the annotations */
    /* Of the thread in question: an eighth of what Linux lets it grow to (ulimit -s, 8 MiB). */
    DUMP_STACK_MAX = 1 << 20,
    /* Of any other: 256 bytes for each frame that a walk shows of it (WALK_FRAMES_DEFAULT). */
    DUMP_OTHER_STACK_MAX = 256 << 10,
    DUMP_STACKS_MAX = 14 << 20, /* of all threads: the one in question and 52 whole others */
    DUMP_SHORT_STACK = 8 << 10, /* the innermost calls: all that is kept of later threads */
    DUMP_CODE_BYTES = 256, /* around the instruction that crashed, as Breakpad's (kIPMemorySize) */
};

/*
 * How many bytes the stacks of a process may take.  The thread in question comes first.  As long as
 * less than `whole` bytes are in use a stack is taken up to its own limit; then only
 * DUMP_SHORT_STACK bytes of each, until `all` bytes are in use; threads behind that have their
 * registers and name and no stack.  `room` is what is free in the dump once everything but the
 * threads is written.
 */
struct stack_budget {
    size_t whole, all;
};
struct stack_budget dump_stack_budget(size_t room, size_t threads);

/* Appends the dump to the empty buffer. */
bool dump_write(const struct dump_request *q, struct strbuf *out, struct err *err);

#endif
