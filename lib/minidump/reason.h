#ifndef MINIDUMP_REASON_H
#define MINIDUMP_REASON_H

#include "lib/minidump/system.h"
#include "lib/minidump/thread.h"

/*
 * reason - the crash reason and crash address of an exception record, by operating
 * system: "SIGSEGV / SEGV_MAPERR", "EXCEPTION_ACCESS_VIOLATION_READ",
 * "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS".  Always answers; unknown codes in hex.
 */
struct str mdmp_reason(const struct mdmp_system *sys, const struct mdmp_exception *x,
                       struct arena *a);
uint64_t mdmp_crash_address(const struct mdmp_system *sys, const struct mdmp_exception *x);

/* Name of a Windows error or status code: "ERROR_SUCCESS", "unknown 0x…". */
struct str mdmp_windows_error(uint32_t code, struct arena *a);

/* Per system, used by mdmp_reason. */
struct str reason_windows(const struct mdmp_exception *x, struct arena *a);
struct str reason_mac(enum mdmp_cpu cpu, const struct mdmp_exception *x, struct arena *a);

#endif
