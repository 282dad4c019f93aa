/*
 * What the exception of a dump means, independent of the system that raised it.  The three families
 * report the same fault in different ways: Windows names the kind of access in a parameter, Mach
 * and Linux do not; a fault at an address the processor cannot report (a general protection fault)
 * is a read of all ones on Windows, code 13 with address 0 on Apple's systems, and a SIGSEGV sent
 * by the kernel (SI_KERNEL) with address 0 on Linux.
 */
#include "lib/unwind/fault.h"

#include "lib/minidump/system.h"

bool fault_is_non_canonical(uint64_t address)
{
    return address >= UINT64_C(0x0000800000000000) && address <= UINT64_C(0xffff7fffffffffff);
}

bool fault_is_windows(const struct facts *f, uint32_t code)
{
    return f->system.os == MDMP_OS_WINDOWS && f->exception.code == code;
}

enum operation fault_operation(const struct facts *f)
{
    if (!(fault_is_windows(f, WINDOWS_ACCESS_VIOLATION) ||
          fault_is_windows(f, WINDOWS_IN_PAGE_ERROR)) ||
        f->exception.parameter_count == 0)
        return OP_UNKNOWN;
    switch (f->exception.parameters[0]) {
    case 0:
        return OP_READ;
    case 1:
        return OP_WRITE;
    case 8:
        return OP_EXECUTE;
    default:
        return OP_UNKNOWN;
    }
}

bool fault_is_hidden_address(const struct facts *f)
{
    const struct mdmp_exception *x = &f->exception;
    switch (f->system.os) {
    case MDMP_OS_WINDOWS:
        return x->code == WINDOWS_ACCESS_VIOLATION && fault_operation(f) == OP_READ &&
               f->crash_address == UINT64_MAX;
    case MDMP_OS_MAC:
    case MDMP_OS_IOS:
        return x->code == MACH_BAD_ACCESS && x->flags == MACH_GENERAL_PROTECTION &&
               f->crash_address == 0;
    case MDMP_OS_LINUX:
    case MDMP_OS_ANDROID:
        return (x->code == SIGNAL_SEGV || x->code == SIGNAL_BUS) && x->flags == SI_CODE_KERNEL &&
               f->crash_address == 0;
    default:
        return false;
    }
}

bool fault_is_divide_by_zero(const struct facts *f)
{
    const struct mdmp_exception *x = &f->exception;
    if (f->system.os == MDMP_OS_WINDOWS)
        return x->code == WINDOWS_DIVIDE_BY_ZERO;
    if (mdmp_os_is_apple(f->system.os))
        return x->code == MACH_ARITHMETIC && x->flags == 1;
    return (f->system.os == MDMP_OS_LINUX || f->system.os == MDMP_OS_ANDROID) &&
           x->code == SIGNAL_FPE && x->flags == 1;
}
