/*
 * Mach exceptions: exception_code is the type, exception_flags the low half of code[0],
 * and Crashpad keeps type, code[0] and code[1] as parameters.
 *
 * The names are those of Apple's headers (mach/exception_types.h, mach/kern_return.h,
 * mach/machine/exception.h, and sys/reason.h for guards), and what a crash on macOS is called in
 * Apple's own reports. Codes mean different things on different processors, so a row has a family.
 * EXC_RESOURCE and EXC_GUARD pack several fields into code[0]; they are taken apart below, and an
 * unknown part is printed as a number rather than guessed.
 */
#include "lib/minidump/reason.h"

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

enum { EXC_RESOURCE = 11, EXC_GUARD = 12 }; /* mach/exception_types.h */

static const struct {
    uint32_t type;
    const char *name;
    bool is_alone; /* printed without a second part */
} types[] = {
    {1, "EXC_BAD_ACCESS", false},
    {2, "EXC_BAD_INSTRUCTION", false},
    {3, "EXC_ARITHMETIC", false},
    {4, "EXC_EMULATION", false},
    {5, "EXC_SOFTWARE", false},
    {6, "EXC_BREAKPOINT", false},
    {7, "EXC_SYSCALL", false},
    {8, "EXC_MACH_SYSCALL", false},
    {9, "EXC_RPC_ALERT", false},
    {0x43507378, "Simulated Exception", true},
    {0x43506e78, "Uncaught NSException", true},
};

/* CPUs a code belongs to; ANY for all. */
enum family { ANY, ARM, PPC, X86 };

static const struct {
    uint32_t type;
    enum family family;
    uint32_t code;
    const char *name;
} codes[] = {
    {1, ANY, 1, "KERN_INVALID_ADDRESS"},
    {1, ANY, 2, "KERN_PROTECTION_FAILURE"},
    {1, ANY, 5, "KERN_FAILURE"},
    {1, ANY, 8, "KERN_NO_ACCESS"},
    {1, ANY, 9, "KERN_MEMORY_FAILURE"},
    {1, ANY, 10, "KERN_MEMORY_ERROR"},
    {1, ANY, 50, "KERN_CODESIGN_ERROR"},
    {1, ARM, 0x101, "EXC_ARM_DA_ALIGN"},
    {1, ARM, 0x102, "EXC_ARM_DA_DEBUG"},
    {1, ARM, 0x103, "EXC_ARM_SP_ALIGN"},
    {1, ARM, 0x104, "EXC_ARM_SWP"},
    {1, ARM, 0x105, "EXC_ARM_PAC_FAIL"},
    {1, PPC, 0x101, "EXC_PPC_VM_PROT_READ"},
    {1, PPC, 0x102, "EXC_PPC_BADSPACE"},
    {1, PPC, 0x103, "EXC_PPC_UNALIGNED"},
    {1, X86, 13, "EXC_I386_GPFLT"},
    {2, ARM, 1, "EXC_ARM_UNDEFINED"},
    {2, PPC, 1, "EXC_PPC_INVALID_SYSCALL"},
    {2, PPC, 2, "EXC_PPC_UNIPL_INST"},
    {2, PPC, 3, "EXC_PPC_PRIVINST"},
    {2, PPC, 4, "EXC_PPC_PRIVREG"},
    {2, PPC, 5, "EXC_PPC_TRACE"},
    {2, PPC, 6, "EXC_PPC_PERFMON"},
    {2, X86, 1, "EXC_I386_INVOP"},
    {2, X86, 10, "EXC_I386_INVTSSFLT"},
    {2, X86, 11, "EXC_I386_SEGNPFLT"},
    {2, X86, 12, "EXC_I386_STKFLT"},
    {2, X86, 13, "EXC_I386_GPFLT"},
    {2, X86, 17, "EXC_I386_ALIGNFLT"},
    {3, ARM, 1, "EXC_ARM_FP_IO"},
    {3, ARM, 2, "EXC_ARM_FP_DZ"},
    {3, ARM, 3, "EXC_ARM_FP_OF"},
    {3, ARM, 4, "EXC_ARM_FP_UF"},
    {3, ARM, 5, "EXC_ARM_FP_IX"},
    {3, ARM, 6, "EXC_ARM_FP_ID"},
    {3, PPC, 1, "EXC_PPC_OVERFLOW"},
    {3, PPC, 2, "EXC_PPC_ZERO_DIVIDE"},
    {3, PPC, 3, "EXC_FLT_INEXACT"},
    {3, PPC, 4, "EXC_PPC_FLT_ZERO_DIVIDE"},
    {3, PPC, 5, "EXC_PPC_FLT_UNDERFLOW"},
    {3, PPC, 6, "EXC_PPC_FLT_OVERFLOW"},
    {3, PPC, 7, "EXC_PPC_FLT_NOT_A_NUMBER"},
    {3, PPC, 8, "EXC_PPC_NOEMULATION"},
    {3, PPC, 9, "EXC_PPC_ALTIVECASSIST"},
    {3, X86, 1, "EXC_I386_DIV"},
    {3, X86, 2, "EXC_I386_INTO"},
    {3, X86, 3, "EXC_I386_NOEXT"},
    {3, X86, 4, "EXC_I386_EXTOVR"},
    {3, X86, 5, "EXC_I386_EXTERR"},
    {3, X86, 6, "EXC_I386_EMERR"},
    {3, X86, 7, "EXC_I386_BOUND"},
    {3, X86, 8, "EXC_I386_SSEEXTERR"},
    {5, ANY, 0x10002, "SIGABRT"},
    {5, ANY, 0xdeadc0de, "UNCAUGHT_NS_EXCEPTION"},
    {5, ANY, 1, "EXC_PPC_TRAP"},
    {5, ANY, 0x10100, "EXC_PPC_MIGRATE"},
    {6, ARM, 1, "EXC_ARM_BREAKPOINT"},
    {6, PPC, 1, "EXC_PPC_BREAKPOINT"},
    {6, X86, 1, "EXC_I386_SGL"},
    {6, X86, 2, "EXC_I386_BPT"},
};

static enum family family_of(enum mdmp_cpu cpu)
{
    switch (cpu) {
    case MDMP_CPU_ARM:
    case MDMP_CPU_ARM64:
        return ARM;
    case MDMP_CPU_PPC:
    case MDMP_CPU_PPC64:
        return PPC;
    case MDMP_CPU_X86:
    case MDMP_CPU_AMD64:
        return X86;
    default:
        return ANY;
    }
}

/* A field of `bits` bits of v starting at bit `from`. */
static unsigned long long field(uint64_t v, unsigned from, unsigned bits)
{
    return v >> from & ((UINT64_C(1) << bits) - 1);
}

static struct str unknown_flavor(const char *head, uint64_t code, uint64_t subcode, struct arena *a)
{
    return str_of(arena_printf(a, "%s / 0x%016llx / 0x%016llx", head, (unsigned long long)code,
                               (unsigned long long)subcode));
}

/*
 * EXC_RESOURCE packs everything into bit fields (kern/exc_resource.h): the kind in the top three
 * bits of the code, the flavour in the next three, then limits and intervals whose place differs by
 * kind.  The 64-bit code and its companion are parameters 1 and 2; of these exceptions and of
 * EXC_GUARD Crashpad keeps the upper half of the code in exception_flags, not the lower one.
 */
static struct str resource(const struct mdmp_exception *x, struct arena *a)
{
    static const char *const kinds[] = {NULL,
                                        "RESOURCE_TYPE_CPU",
                                        "RESOURCE_TYPE_WAKEUPS",
                                        "RESOURCE_TYPE_MEMORY",
                                        "RESOURCE_TYPE_IO",
                                        "RESOURCE_TYPE_THREADS"};
    uint32_t kind = x->flags >> 29;
    uint64_t code = x->parameters[1], sub = x->parameters[2];
    unsigned flavor = (unsigned)field(code, 58, 3);
    if (kind == 0 || kind >= ARRAY_LEN(kinds))
        return str_of(arena_printf(a, "EXC_RESOURCE / 0x%08x", x->flags));
    const char *head = arena_printf(a, "EXC_RESOURCE / %s", kinds[kind]);

    if (kind == 1 && (flavor == 1 || flavor == 2))
        return str_of(
            arena_printf(a, "%s / %s interval: %llus CPU limit: %llu%% CPU consumed: %llu%%", head,
                         flavor == 1 ? "FLAVOR_CPU_MONITOR" : "FLAVOR_CPU_MONITOR_FATAL",
                         field(code, 7, 25), field(code, 0, 3), field(sub, 0, 3)));
    if (kind == 2 && flavor == 1)
        return str_of(arena_printf(
            a,
            "%s / FLAVOR_WAKEUPS_MONITOR interval: %llus wakeups permitted: %llu wakeups "
            "observed: %llu",
            head, field(code, 20, 20), field(code, 0, 12), field(sub, 0, 12)));
    if (kind == 3 && flavor == 1)
        return str_of(arena_printf(a, "%s / FLAVOR_HIGH_WATERMARK high watermark limit: %lluMiB",
                                   head, field(code, 0, 13)));
    if (kind == 4 && (flavor == 1 || flavor == 2))
        return str_of(
            arena_printf(a, "%s / %s interval: %llus I/O limit: %llu%% I/O observed: %llu%%", head,
                         flavor == 1 ? "FLAVOR_IO_PHYSICAL_WRITES" : "FLAVOR_IO_LOGICAL_WRITES",
                         field(code, 15, 17), field(code, 0, 15), field(sub, 0, 15)));
    if (kind == 5 && flavor == 1)
        return str_of(arena_printf(a,
                                   "%s / FLAVOR_THREADS_HIGH_WATERMARK high watermark limit: %llu",
                                   head, field(code, 0, 15)));
    return unknown_flavor(head, code, sub, a);
}

/* Flavours of EXC_GUARD by kind; all are printed with GUARD_EXC_ in front but MACH_TRAP. */
static const struct {
    uint32_t kind, flavor;
    const char *name;
} guards[] = {
    {1, 1, "DESTROY"},
    {1, 2, "MOD_REFS"},
    {1, 3, "INVALID_OPTIONS"},
    {1, 4, "SET_CONTEXT"},
    {1, 5, "THREAD_SET_STATE"},
    {1, 8, "UNGUARDED"},
    {1, 0x10, "INCORRECT_GUARD"},
    {1, 0x20, "IMMOVABLE"},
    {1, 0x40, "STRICT_REPLY"},
    {1, 0x80, "MSG_FILTERED"},
    {1, 0x100, "INVALID_RIGHT"},
    {1, 0x200, "INVALID_NAME"},
    {1, 0x400, "INVALID_VALUE"},
    {1, 0x800, "INVALID_ARGUMENT"},
    {1, 0x1000, "RIGHT_EXISTS"},
    {1, 0x2000, "KERN_NO_SPACE"},
    {1, 0x4000, "KERN_FAILURE"},
    {1, 0x8000, "KERN_RESOURCE"},
    {1, 0x10000, "SEND_INVALID_REPLY"},
    {1, 0x20000, "SEND_INVALID_VOUCHER"},
    {1, 0x40000, "SEND_INVALID_RIGHT"},
    {1, 0x80000, "RCV_INVALID_NAME"},
    {1, 0x100000, "RCV_GUARDED_DESC"},
    {1, 0x200000, "MOD_REFS_NON_FATAL"},
    {1, 0x400000, "IMMOVABLE_NON_FATAL"},
    {1, 0x800000, "REQUIRE_REPLY_PORT_SEMANTICS"},
    {1, 0x1000000, "EXCEPTION_BEHAVIOR_ENFORCE"},
    {2, 1, "CLOSE"},
    {2, 2, "DUP"},
    {2, 4, "NOCLOEXEC"},
    {2, 8, "SOCKET_IPC"},
    {2, 0x10, "FILEPORT"},
    {2, 0x20, "MISMATCH"},
    {2, 0x40, "WRITE"},
    {4, 1, "RENAME_TO"},
    {4, 2, "RENAME_FROM"},
    {4, 4, "UNLINK"},
    {4, 8, "WRITE_OTHER"},
    {4, 0x10, "TRUNC_OTHER"},
    {4, 0x20, "LINK"},
    {4, 0x40, "EXCHDATA"},
    {5, 1, "DEALLOC_GAP"},
    {6, 0, "MACH_TRAP"},
};

/*
 * EXC_GUARD likewise (kern/exc_guard.h): kind in three bits, flavour in the 29 below, and 28 bits
 * that are a port name, descriptor or process by kind; the companion is the guard's identifier.
 * The missing blank before "/ namespace" is what other walkers print and what stored reports are
 * compared with.
 */
static struct str guard(const struct mdmp_exception *x, struct arena *a)
{
    static const char *const kinds[] = {
        "GUARD_TYPE_NONE", "GUARD_TYPE_MACH_PORT",   "GUARD_TYPE_FD",         "GUARD_TYPE_USER",
        "GUARD_TYPE_VN",   "GUARD_TYPE_VIRT_MEMORY", "GUARD_TYPE_REJECTED_SC"};
    uint32_t kind = x->flags >> 29;
    uint64_t code = x->parameters[1];
    unsigned long long sub = x->parameters[2], low = field(code, 0, 28);
    if (kind >= ARRAY_LEN(kinds))
        return str_of(arena_printf(a, "EXC_GUARD / 0x%08x", x->flags));
    const char *head = arena_printf(a, "EXC_GUARD / %s", kinds[kind]);
    if (kind == 0)
        return str_of(head);
    if (kind == 3)
        return str_of(arena_printf(a, "%s/ namespace: %llu guard identifier: %llu", head,
                                   field(code, 0, 32), sub));

    const char *flavor = NULL;
    for (size_t i = 0; i < ARRAY_LEN(guards); i++)
        if (guards[i].kind == kind && guards[i].flavor == field(code, 32, 29))
            flavor = arena_printf(a, "%s%s", kind == 6 ? "" : "GUARD_EXC_", guards[i].name);
    if (!flavor)
        return unknown_flavor(head, code, sub, a);
    switch (kind) {
    case 1:
        if (sub)
            return str_of(
                arena_printf(a, "%s / %s port name: %llu subcode: %llu", head, flavor, low, sub));
        return str_of(arena_printf(a, "%s / %s port name: %llu", head, flavor, low));
    case 2:
        return str_of(arena_printf(a, "%s / %s file descriptor: %llu guard identifier: %llu", head,
                                   flavor, low, sub));
    case 4:
        return str_of(
            arena_printf(a, "%s / %s pid: %llu guard identifier: %llu", head, flavor, low, sub));
    case 5:
        return str_of(arena_printf(a, "%s / %s offset: %llu", head, flavor, sub));
    default:
        return str_of(arena_printf(a, "%s / %s syscall: %llu", head, flavor, sub));
    }
}

struct str reason_mac(enum mdmp_cpu cpu, const struct mdmp_exception *x, struct arena *a)
{
    if (x->code == EXC_RESOURCE)
        return resource(x, a);
    if (x->code == EXC_GUARD)
        return guard(x, a);
    const char *type = NULL;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (types[i].type != x->code)
            continue;
        if (types[i].is_alone)
            return str_of(types[i].name);
        type = types[i].name;
    }
    if (!type)
        return str_of(arena_printf(a, "unknown 0x%08x / 0x%08x", x->code, x->flags));

    enum family family = family_of(cpu);
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].type == x->code && codes[i].code == x->flags &&
            (codes[i].family == ANY || codes[i].family == family))
            return str_of(arena_printf(a, "%s / %s", type, codes[i].name));
    return str_of(arena_printf(a, "%s / 0x%08x", type, x->flags));
}
