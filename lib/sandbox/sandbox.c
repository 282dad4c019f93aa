/*
 * What a process gives up before it looks at the first byte of a stranger's file: limits first,
 * then identity, then the filter of system calls, which allows none of the steps before it.
 *
 * The filter is a list of what is allowed, and everything else kills the process: a call that
 * nobody thought of is a call that an exploit may need. That a reader was killed by its filter is
 * seen by its parent and noted with the crash, so a call that a new libc makes shows up at once. A
 * list of what is forbidden would have to be kept up with every kernel.
 */
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "lib/base/identity.h"
#include "lib/base/util.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifndef HAS_ASAN
#define HAS_ASAN 0 /* AddressSanitizer reserves terabytes of address space */
#endif

/* Allowed whatever the arguments: memory, the descriptors that are open already, clocks,
 * the end. */
static const int allowed[] = {
    SCMP_SYS(read),          SCMP_SYS(pread64),      SCMP_SYS(write),
    SCMP_SYS(writev),        SCMP_SYS(close),        SCMP_SYS(fstat),
    SCMP_SYS(lseek),         SCMP_SYS(fadvise64),    SCMP_SYS(brk),
    SCMP_SYS(munmap),        SCMP_SYS(mremap),       SCMP_SYS(madvise),
    SCMP_SYS(recvmsg),       SCMP_SYS(sendmsg),      SCMP_SYS(futex),
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom),
    SCMP_SYS(getpid),        SCMP_SYS(gettid),       SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),  SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),          SCMP_SYS(exit_group),
#if HAS_ASAN
    SCMP_SYS(sigaltstack),   SCMP_SYS(sched_yield),  SCMP_SYS(prctl),
#endif
};

/* Asked by libc on its own account (qsort, abort, stdio); refused without killing. */
static const int refused[] = {
    SCMP_SYS(openat),  SCMP_SYS(open),  SCMP_SYS(readlink),          SCMP_SYS(access),
    SCMP_SYS(sysinfo), SCMP_SYS(ioctl), SCMP_SYS(sched_getaffinity),
};

static bool add(scmp_filter_ctx ctx, uint32_t action, int call, unsigned n,
                const struct scmp_arg_cmp *args)
{
    return seccomp_rule_add_array(ctx, action, call, n, args) == 0;
}

/* An argument of a call; for MASKED_EQ a is the mask and b the wanted bits. */
static struct scmp_arg_cmp compare(unsigned arg, enum scmp_compare op, scmp_datum_t a,
                                   scmp_datum_t b)
{
    return (struct scmp_arg_cmp){.arg = arg, .op = op, .datum_a = a, .datum_b = b};
}

static bool add_rules(scmp_filter_ctx ctx)
{
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (!add(ctx, SCMP_ACT_ALLOW, allowed[i], 0, NULL))
            return false;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (!add(ctx, SCMP_ACT_ERRNO(EACCES), refused[i], 0, NULL))
            return false;

    /* Memory is never executable; files are mapped to be read. */
    const struct scmp_arg_cmp anonymous[] = {
        compare(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
        compare(3, SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS),
    };
    const struct scmp_arg_cmp read_only = compare(2, SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, 0);
    const struct scmp_arg_cmp not_exec = compare(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    /* abort() signals this process and no other. */
    const struct scmp_arg_cmp myself = compare(0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);
    /* fstat() of newer libcs; other calls of it name a file. */
    const struct scmp_arg_cmp by_fd = compare(3, SCMP_CMP_EQ, AT_EMPTY_PATH, 0);
    const struct scmp_arg_cmp by_name = compare(3, SCMP_CMP_NE, AT_EMPTY_PATH, 0);
    return add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, anonymous) &&
           add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &read_only) &&
           add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &not_exec) &&
           add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &myself) &&
           add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1, &by_fd) &&
           add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), 1, &by_name);
}

static bool install_filter(struct err *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!ctx)
        return err_set(err, ERR_INTERNAL, "seccomp cannot be initialised");
    bool ok = add_rules(ctx);
    int status = ok ? seccomp_load(ctx) : -EINVAL; /* also sets no_new_privs */
    seccomp_release(ctx);
    if (status != 0)
        return err_errno(err, -status, "seccomp filter");
    return true;
}

/*
 * Soft and hard limit alike, so that nobody raises it again.  Of processor time the hard one is a
 * second later: where both are reached together the kernel sends SIGKILL, and the parent could not
 * tell the limit from a kill by somebody else.
 */
static bool limit(int what, const char *name, int64_t value, struct err *err)
{
    struct rlimit r = {.rlim_cur = (rlim_t)value, .rlim_max = (rlim_t)value + (what == RLIMIT_CPU)};
    if (setrlimit(what, &r) != 0)
        return err_errno(err, errno, "setrlimit %s %lld", name, (long long)value);
    return true;
}

/* All or nothing: with false the caller must end, since some of it is done already. */
bool sandbox_enter(const struct sandbox_limits *limits, struct err *err)
{
    const struct {
        int what;
        const char *name;
        int64_t value;
        bool fits_asan;
    } rlimits[] = {
        {RLIMIT_CORE, "CORE", 0, true},
        {RLIMIT_FSIZE, "FSIZE", limits->output_bytes, true},
        {RLIMIT_NOFILE, "NOFILE", limits->files, true},
        {RLIMIT_CPU, "CPU", limits->cpu_s, true},
        /*
         * Mapped symbol files take address space but no memory of ours, so that limit
         * leaves room for them; heap and stack are counted by DATA.
         */
        {RLIMIT_DATA, "DATA", limits->memory_bytes, false},
        {RLIMIT_AS, "AS", limits->memory_bytes + limits->mapped_bytes, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rlimits); i++)
        if ((rlimits[i].fits_asan || !HAS_ASAN) &&
            !limit(rlimits[i].what, rlimits[i].name, rlimits[i].value, err))
            return false;
    if (!identity_drop_all(err))
        return false;
    clearenv();
    /* Not dumpable: no core through a pipe handler either, no ptrace. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_errno(err, errno, "prctl");
    return install_filter(err);
}
