/*
 * Registers of amd64 threads as the record of a minidump.  They come from two places: of threads
 * that were stopped, ptrace gives them; of the crashed one, the frame that the kernel put on the
 * stack for the signal handler, because ptrace would show the handler's own registers.
 *
 * Flags say which groups were filled, so a kernel that refuses debug or floating point registers
 * costs those and no more.
 */
#ifdef __x86_64__
#include "client/handler/registers.h"
#include "client/handler/target.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/ucontext.h>
#include <sys/user.h>

const uint16_t context_processor_architecture = 9; /* PROCESSOR_ARCHITECTURE_AMD64 */
const char context_machine[] = "amd64";

/* The amd64 context of a minidump; natural alignment gives the layout of the format. */
struct mdmp_amd64 {
    uint64_t home[6];
    uint32_t flags, mx_csr;
    uint16_t cs, ds, es, fs, gs, ss;
    uint32_t eflags;
    uint64_t debug[6]; /* 0 1 2 3 6 7 */
    uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, rip;
    uint8_t float_save[512];
    uint8_t vector[26][16];
    uint64_t vector_control, debug_control, last[4];
};
_Static_assert(sizeof(struct mdmp_amd64) == CONTEXT_BYTES_MAX, "size of the format");
_Static_assert(offsetof(struct mdmp_amd64, rip) == 248, "offset of the format");
_Static_assert(sizeof(struct user_fpregs_struct) == 512, "FXSAVE area");

/* CONTEXT_* of winnt.h for amd64. */
enum {
    FLAG_AMD64 = 0x00100000,
    FLAG_CONTROL = 1,
    FLAG_INTEGER = 2,
    FLAG_SEGMENTS = 4,
    FLAG_FLOAT = 8,
    FLAG_DEBUG = 0x10,
    FXSAVE_MXCSR = 24, /* offset in the FXSAVE area */
};

static void copy_context(const struct mdmp_amd64 *c, struct context *ret_context)
{
    memcpy(ret_context->bytes, c, sizeof *c);
    ret_context->n = sizeof *c;
    ret_context->pc = c->rip;
    ret_context->sp = c->rsp;
}

/*
 * Kernel and minidump both hold the 512 bytes of the FXSAVE instruction, so they are copied as they
 * are.
 */
static void take_float(struct mdmp_amd64 *c, const void *fxsave)
{
    memcpy(c->float_save, fxsave, sizeof c->float_save);
    memcpy(&c->mx_csr, c->float_save + FXSAVE_MXCSR, sizeof c->mx_csr);
    c->flags |= FLAG_FLOAT;
}

/* Debug registers tell of hardware watchpoints; DR4 and DR5 are only other names of DR6 and DR7. */
static void take_debug(pid_t tid, struct mdmp_amd64 *c)
{
    static const int numbers[6] = {0, 1, 2, 3, 6, 7};
    for (size_t i = 0; i < 6; i++) {
        errno = 0;
        size_t offset = offsetof(struct user, u_debugreg) + (size_t)numbers[i] * 8;
        long value = ptrace(PTRACE_PEEKUSER, tid, (void *)offset, NULL);
        if (errno)
            return;
        c->debug[i] = (uint64_t)value;
    }
    c->flags |= FLAG_DEBUG;
}

bool context_of_thread(pid_t tid, struct context *ret_context, struct err *err)
{
    struct user_regs_struct r;
    if (ptrace(PTRACE_GETREGS, tid, NULL, &r) != 0)
        return err_errno(err, errno, "reading the registers of thread %d", (int)tid);
    struct mdmp_amd64 c = {
        .flags = FLAG_AMD64 | FLAG_CONTROL | FLAG_INTEGER | FLAG_SEGMENTS,
        .cs = (uint16_t)r.cs,
        .ds = (uint16_t)r.ds,
        .es = (uint16_t)r.es,
        .fs = (uint16_t)r.fs,
        .gs = (uint16_t)r.gs,
        .ss = (uint16_t)r.ss,
        .eflags = (uint32_t)r.eflags,
        .rax = r.rax,
        .rcx = r.rcx,
        .rdx = r.rdx,
        .rbx = r.rbx,
        .rsp = r.rsp,
        .rbp = r.rbp,
        .rsi = r.rsi,
        .rdi = r.rdi,
        .r8 = r.r8,
        .r9 = r.r9,
        .r10 = r.r10,
        .r11 = r.r11,
        .r12 = r.r12,
        .r13 = r.r13,
        .r14 = r.r14,
        .r15 = r.r15,
        .rip = r.rip,
    };
    struct user_fpregs_struct fp;
    if (ptrace(PTRACE_GETFPREGS, tid, NULL, &fp) == 0)
        take_float(&c, &fp);
    take_debug(tid, &c);
    copy_context(&c, ret_context);
    return true;
}

bool context_of_signal(const struct target *t, uint64_t ucontext_addr, struct context *ret_context,
                       struct err *err)
{
    /* The kernel's frame ends with the signal mask; libc's type is longer. */
    ucontext_t u = {0};
    size_t n = offsetof(ucontext_t, uc_sigmask);
    if (target_read(t, ucontext_addr, &u, n) != n)
        return err_set(err, ERR_INVALID, "no signal context at 0x%llx",
                       (unsigned long long)ucontext_addr);
    const greg_t *r = u.uc_mcontext.gregs;
    struct mdmp_amd64 c = {
        .flags = FLAG_AMD64 | FLAG_CONTROL | FLAG_INTEGER,
        .cs = (uint16_t)(r[REG_CSGSFS] & 0xffff),
        .gs = (uint16_t)(r[REG_CSGSFS] >> 16 & 0xffff),
        .fs = (uint16_t)(r[REG_CSGSFS] >> 32 & 0xffff),
        .ss = (uint16_t)(r[REG_CSGSFS] >> 48 & 0xffff),
        .eflags = (uint32_t)r[REG_EFL],
        .rax = (uint64_t)r[REG_RAX],
        .rcx = (uint64_t)r[REG_RCX],
        .rdx = (uint64_t)r[REG_RDX],
        .rbx = (uint64_t)r[REG_RBX],
        .rsp = (uint64_t)r[REG_RSP],
        .rbp = (uint64_t)r[REG_RBP],
        .rsi = (uint64_t)r[REG_RSI],
        .rdi = (uint64_t)r[REG_RDI],
        .r8 = (uint64_t)r[REG_R8],
        .r9 = (uint64_t)r[REG_R9],
        .r10 = (uint64_t)r[REG_R10],
        .r11 = (uint64_t)r[REG_R11],
        .r12 = (uint64_t)r[REG_R12],
        .r13 = (uint64_t)r[REG_R13],
        .r14 = (uint64_t)r[REG_R14],
        .r15 = (uint64_t)r[REG_R15],
        .rip = (uint64_t)r[REG_RIP],
    };
    uint8_t fxsave[512];
    uint64_t fp_addr = (uint64_t)(uintptr_t)u.uc_mcontext.fpregs;
    if (fp_addr && target_read(t, fp_addr, fxsave, sizeof fxsave) == sizeof fxsave)
        take_float(&c, fxsave);
    copy_context(&c, ret_context);
    return true;
}

/* "key : value" of /proc/cpuinfo, first processor. */
static struct str cpuinfo_value(struct str text, struct str key)
{
    struct str line;
    while (str_split(&text, '\n', &line)) {
        struct str name;
        if (str_split(&line, ':', &name) && str_eq(str_trim(name), key))
            return str_trim(line);
    }
    return STR_NONE;
}

static uint64_t cpuinfo_number(struct str text, struct str key)
{
    uint64_t n = 0;
    str_to_u64(cpuinfo_value(text, key), 10, UINT16_MAX, "number", &n, ERR_IGNORED);
    return n;
}

/* A minidump packs model and stepping into one number, as Windows does. */
struct cpu_identity context_cpu_identity(struct str cpuinfo)
{
    struct cpu_identity id = {
        .level = (uint16_t)cpuinfo_number(cpuinfo, STR("cpu family")),
        .revision = (uint16_t)((cpuinfo_number(cpuinfo, STR("model")) & 0xff) << 8 |
                               (cpuinfo_number(cpuinfo, STR("stepping")) & 0xff)),
    };
    struct str vendor = cpuinfo_value(cpuinfo, STR("vendor_id"));
    memcpy(id.vendor, vendor.p ? vendor.p : "", MIN(vendor.n, sizeof id.vendor));
    return id;
}
#endif
