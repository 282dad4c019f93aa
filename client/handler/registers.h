#ifndef HANDLER_REGISTERS_H
#define HANDLER_REGISTERS_H

#include "client/handler/target.h"

/*
 * registers - registers in the layout of a minidump.
 *
 * The only part of the handler that knows the CPU: one file per architecture
 * (registers_amd64.c), compiled empty on the others.  CONTEXT_BYTES_MAX is the size of the largest
 * record, CONTEXT of winnt.h for amd64.
 */
enum { CONTEXT_BYTES_MAX = 1232 };

struct context {
    uint8_t bytes[CONTEXT_BYTES_MAX];
    size_t n;
    uint64_t pc, sp;
};

extern const uint16_t context_processor_architecture; /* of the SystemInfo stream */
extern const char context_machine[];                  /* as annotation CPUArchitecture */

/* Registers of a stopped thread. */
bool context_of_thread(pid_t tid, struct context *ret_context, struct err *err);

/* Registers at the moment of a signal, from the ucontext_t at that address of the target. */
bool context_of_signal(const struct target *t, uint64_t ucontext_addr, struct context *ret_context,
                       struct err *err);

/* Family, model and stepping as SystemInfo has them; 0 when /proc/cpuinfo does not tell. */
struct cpu_identity {
    uint16_t level, revision;
    char vendor[12];
};
struct cpu_identity context_cpu_identity(struct str cpuinfo);

#endif
