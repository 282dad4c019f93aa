#ifndef UNWIND_FAULT_H
#define UNWIND_FAULT_H

#include "lib/unwind/facts.h"

/*
 * fault - what the exception of a dump says was tried, as far as systems tell: the numbers of the
 * exception records and what follows from them.  Pure functions of the facts.
 */
enum fault_number {
    WINDOWS_ACCESS_VIOLATION = 0xc0000005, /* ntstatus.h */
    WINDOWS_IN_PAGE_ERROR = 0xc0000006,
    WINDOWS_DIVIDE_BY_ZERO = 0xc0000094,
    WINDOWS_PRIVILEGED = 0xc0000096,
    WINDOWS_STACK_OVERFLOW = 0xc00000fd,
    SIGNAL_BUS = 7, /* Linux on x86 */
    SIGNAL_FPE = 8,
    SIGNAL_SEGV = 11,
    SI_CODE_KERNEL = 0x80, /* asm-generic/siginfo.h: SI_KERNEL */
    MACH_BAD_ACCESS = 1,   /* mach/exception_types.h */
    MACH_ARITHMETIC = 3,
    MACH_GENERAL_PROTECTION = 13, /* mach/i386/exception.h: EXC_I386_GPFLT */
};

enum operation { OP_UNKNOWN, OP_READ, OP_WRITE, OP_EXECUTE };

/* OP_UNKNOWN: the system does not say, as all but Windows. */
enum operation fault_operation(const struct facts *f);
/* A Windows exception with this code. */
bool fault_is_windows(const struct facts *f, uint32_t code);
/* A general protection fault: the processor does not tell the address. */
bool fault_is_hidden_address(const struct facts *f);
bool fault_is_divide_by_zero(const struct facts *f);
/* An address that amd64 with 48-bit addresses cannot have. */
bool fault_is_non_canonical(uint64_t address);

#endif
