#ifndef MINIDUMP_SYSTEM_H
#define MINIDUMP_SYSTEM_H

#include "lib/minidump/mdmp.h"

/*
 * system - what machine and operating system a dump comes from.
 *
 * Ownership  Texts live in the arena of the pool, or are constants.
 */
enum mdmp_os {
    MDMP_OS_UNKNOWN,
    MDMP_OS_WINDOWS,
    MDMP_OS_MAC,
    MDMP_OS_IOS,
    MDMP_OS_LINUX,
    MDMP_OS_SOLARIS,
    MDMP_OS_ANDROID,
    MDMP_OS_PS3,
    MDMP_OS_NACL,
    MDMP_OS_FUCHSIA,
};

enum mdmp_cpu {
    MDMP_CPU_UNKNOWN,
    MDMP_CPU_X86,
    MDMP_CPU_AMD64,
    MDMP_CPU_ARM,
    MDMP_CPU_ARM64,
    MDMP_CPU_PPC,
    MDMP_CPU_PPC64,
    MDMP_CPU_SPARC,
    MDMP_CPU_MIPS,
    MDMP_CPU_MIPS64,
    MDMP_CPU_RISCV,
    MDMP_CPU_RISCV64,
};

/* Breakpad's number for arm64 from before Windows had one (12). */
enum { MDMP_ARCH_ARM64_OLD = 0x8003 };

struct mdmp_system {
    uint16_t arch; /* processor_architecture as in the file */
    enum mdmp_os os;
    enum mdmp_cpu cpu;
    size_t word_bytes;    /* 4 or 8; 0 for an unknown CPU */
    const char *os_name;  /* "Linux"; unknown platforms "0x…" */
    const char *cpu_arch; /* "amd64"; "unknown" */
    struct str os_ver;
    struct str cpu_info; /* p NULL: none */
    uint32_t cpu_count;
};

bool mdmp_system_read(const struct mdmp *d, struct mdmp_pool *pool, struct mdmp_system *ret,
                      struct err *err);

static inline bool mdmp_os_is_apple(enum mdmp_os os)
{
    return os == MDMP_OS_MAC || os == MDMP_OS_IOS;
}

#endif
