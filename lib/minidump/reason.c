/*
 * The crash reason of Linux, Android and Fuchsia; the other systems have files of their own.
 *
 * si_code names are those of asm-generic/siginfo.h as of Linux 6.12: every name that header
 * gives without leading underscores (those are of ia64).  Numbers of signals are those of
 * x86 and arm, which writers use everywhere.
 */
#include "lib/minidump/reason.h"

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

/* Linux signals from 1; exception_code is the signal, exception_flags the si_code. */
static const char *const signals[] = {
    "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",  "SIGFPE",
    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT",
    "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",  "SIGXCPU",
    "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS",
};

/* Breakpad's code for "no crash, a dump was wanted"; the longest list of codes, that of SIGFPE. */
enum { DUMP_REQUESTED = 0xffffffff, SI_CODES_MAX = 15 };

/* si_code names from 1, by signal. */
static const struct {
    uint32_t signal;
    const char *names[SI_CODES_MAX];
} si_codes[] = {
    {4,
     {"ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR", "ILL_ILLTRP", "ILL_PRVOPC", "ILL_PRVREG",
      "ILL_COPROC", "ILL_BADSTK", "ILL_BADIADDR"}},
    {5, {"TRAP_BRKPT", "TRAP_TRACE", "TRAP_BRANCH", "TRAP_HWBKPT", "TRAP_UNK", "TRAP_PERF"}},
    /* 9 to 13 are ia64's */
    {8,
     {"FPE_INTDIV", "FPE_INTOVF", "FPE_FLTDIV", "FPE_FLTOVF", "FPE_FLTUND", "FPE_FLTRES",
      "FPE_FLTINV", "FPE_FLTSUB", NULL, NULL, NULL, NULL, NULL, "FPE_FLTUNK", "FPE_CONDTRAP"}},
    {11,
     {"SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR", "SEGV_PKUERR", "SEGV_ACCADI", "SEGV_ADIDERR",
      "SEGV_ADIPERR", "SEGV_MTEAERR", "SEGV_MTESERR", "SEGV_CPERR"}},
    {17, {"CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"}},
    {29, {"POLL_IN", "POLL_OUT", "POLL_MSG", "POLL_ERR", "POLL_PRI", "POLL_HUP"}},
    {7, {"BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR", "BUS_MCEERR_AO"}},
    {31, {"SYS_SECCOMP", "SYS_USER_DISPATCH"}},
};

/* Codes that any signal may carry. */
static const struct {
    int32_t code;
    const char *name;
} generic_si_codes[] = {
    {0x80, "SI_KERNEL"}, {-1, "SI_QUEUE"},    {-2, "SI_TIMER"},
    {-3, "SI_MESGQ"},    {-4, "SI_ASYNCIO"},  {-5, "SI_SIGIO"},
    {-6, "SI_TKILL"},    {-7, "SI_DETHREAD"}, {-60, "SI_ASYNCNL"},
};

/*
 * A positive si_code belongs to its signal, and the same number means something else with another
 * one; the kernel's own and the negative ones (who sent it) are the same for all.  So the signal's
 * names come first.
 */
static const char *si_code_name(uint32_t signal, uint32_t flags)
{
    for (size_t i = 0; i < ARRAY_LEN(si_codes); i++)
        if (si_codes[i].signal == signal && flags >= 1 && flags <= SI_CODES_MAX &&
            si_codes[i].names[flags - 1])
            return si_codes[i].names[flags - 1];
    for (size_t i = 0; i < ARRAY_LEN(generic_si_codes); i++)
        if (generic_si_codes[i].code == (int32_t)flags)
            return generic_si_codes[i].name;
    return NULL;
}

/*
 * Both numbers, so that whoever knows the system better than this table can look them up, and so
 * that like crashes still have like reasons.
 */
static struct str unknown(uint32_t code, uint32_t flags, struct arena *a)
{
    return str_of(arena_printf(a, "unknown 0x%08x / 0x%08x", code, flags));
}

static struct str reason_linux(const struct mdmp_exception *x, struct arena *a)
{
    if (x->code == DUMP_REQUESTED)
        return STR("DUMP_REQUESTED");
    if (x->code < 1 || x->code > ARRAY_LEN(signals))
        return unknown(x->code, x->flags, a);
    const char *name = signals[x->code - 1];
    if (x->flags == 0) /* SI_USER */
        return str_of(name);
    const char *detail = si_code_name(x->code, x->flags);
    if (detail)
        return str_of(arena_printf(a, "%s / %s", name, detail));
    return str_of(arena_printf(a, "%s / 0x%08x", name, x->flags));
}

static const struct {
    uint32_t code;
    const char *name;
} fuchsia[] = {
    {0x8, "GENERAL"},
    {0x108, "FATAL_PAGE_FAULT"},
    {0x208, "UNDEFINED_INSTRUCTION"},
    {0x308, "SW_BREAKPOINT"},
    {0x408, "HW_BREAKPOINT"},
    {0x508, "UNALIGNED_ACCESS"},
    {0x8008, "THREAD_STARTING"},
    {0x8108, "THREAD_EXITING"},
    {0x8208, "POLICY_ERROR"},
    {0x8308, "PROCESS_STARTING"},
};

struct str mdmp_reason(const struct mdmp_system *sys, const struct mdmp_exception *x,
                       struct arena *a)
{
    switch (sys->os) {
    case MDMP_OS_WINDOWS:
        return reason_windows(x, a);
    case MDMP_OS_MAC:
    case MDMP_OS_IOS:
        return reason_mac(sys->cpu, x, a);
    case MDMP_OS_LINUX:
    case MDMP_OS_ANDROID:
        return reason_linux(x, a);
    case MDMP_OS_FUCHSIA:
        for (size_t i = 0; i < ARRAY_LEN(fuchsia); i++)
            if (fuchsia[i].code == x->code)
                return str_of(fuchsia[i].name);
        return unknown(x->code, x->flags, a);
    default:
        return unknown(x->code, x->flags, a);
    }
}

/*
 * The address of the exception is that of the code on Windows; what could not be accessed is its
 * second parameter.
 */
uint64_t mdmp_crash_address(const struct mdmp_system *sys, const struct mdmp_exception *x)
{
    enum { ACCESS_VIOLATION = 0xc0000005, IN_PAGE_ERROR = 0xc0000006 }; /* ntstatus.h */
    uint64_t address = x->address;
    if (sys->os == MDMP_OS_WINDOWS && x->parameter_count >= 2 &&
        (x->code == ACCESS_VIOLATION || x->code == IN_PAGE_ERROR))
        address = x->parameters[1];
    return sys->word_bytes == 4 ? (uint32_t)address : address; /* some writers sign-extend */
}
