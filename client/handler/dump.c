/*
 * The minidump of a stopped Linux process: which memory, threads and facts go in, and in which
 * order.
 *
 * The format is Microsoft's MINIDUMP (minidumpapiset.h); the streams from 0x47670001 on are
 * Breakpad's (minidump_format.h), and readers know both.  What others are to point to is written
 * first: stacks and contexts, then the lists that name them.  Everything but the threads is written
 * before them, so that the stacks get the room that is free and a process with thousands of threads
 * still has a dump; the thread that crashed comes before all others.  Nothing here may fail because
 * of what the process looks like: a piece that cannot be read is left out.
 */
#include "client/handler/dump.h"

#include <signal.h>
#include <stdlib.h>

#include "client/handler/dump_system.h"
#include "client/handler/modules.h"
#include "client/handler/writer.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

/* As in lib/minidump/mdmp.h, which the client does not link: it stands alone. */
enum stream_type {
    THREAD_LIST = 3,
    MODULE_LIST = 4,
    MEMORY_LIST = 5,
    EXCEPTION = 6,
    THREAD_NAMES = 24,
    BREAKPAD_INFO = 0x47670001,
};

enum {
    EXCEPTION_DUMP_REQUESTED = 0xffffffff, /* Breakpad's code for "no crash, a dump was wanted" */
    CODEVIEW_ELF = 0x4270454c,             /* "LEpB": a build id follows (Breakpad, MDCVInfoELF) */
    /*
     * An overflowed stack pointer lies at most this far below its stack: Linux keeps a gap of 256
     * pages below a stack that grows (stack_guard_gap), which is as much.
     */
    STACK_GAP_MAX = 1 << 20,
    RED_ZONE = 128,    /* below the stack pointer, in use by leaf functions (System V ABI, amd64) */
    THREAD_BYTES = 48, /* MINIDUMP_THREAD */
    MEMORY_BYTES = 16, /* MINIDUMP_MEMORY_DESCRIPTOR */
    DIRECTORY_ENTRY_BYTES = 12, /* MINIDUMP_DIRECTORY */
    EXCEPTION_BYTES = 168,      /* MINIDUMP_EXCEPTION_STREAM */
    ALIGN_BYTES = 8,            /* what a piece may need in front of it (w_begin) */
    /* A thread besides its stack, which may be two pieces. */
    THREAD_COST = CONTEXT_BYTES_MAX + THREAD_BYTES + 2 * MEMORY_BYTES + 3 * ALIGN_BYTES,
    /* What is written behind the stacks once: the code, the exception, two list heads, the
       directory. */
    REST_COST = DUMP_CODE_BYTES + MEMORY_BYTES + EXCEPTION_BYTES + 2 * 4 + 5 * ALIGN_BYTES +
                WRITER_STREAMS_MAX * DIRECTORY_ENTRY_BYTES,
};

struct region {
    uint64_t addr;
    struct location at;
};

struct thread_record {
    pid_t tid;
    uint64_t sp;
    struct location context;
    struct region stack;
};

/* What the streams refer to; filled by the parts that are written first. */
struct dump {
    const struct dump_request *q;
    struct writer w;
    VEC(struct thread_record) threads;
    VEC(struct region) regions;
    struct context crash; /* registers at the signal; n 0: none */
    struct location crash_context;
    struct stack_budget budget;
    size_t stack_bytes; /* of all threads so far */
};

/*
 * Short stacks for all threads come before whole ones for some, but at most one half of the bytes
 * is kept for them: with thousands of threads some whole stacks tell more than all the ends.
 */
struct stack_budget dump_stack_budget(size_t room, size_t threads)
{
    size_t fixed = threads * THREAD_COST + REST_COST;
    size_t all = MIN(room > fixed ? room - fixed : 0, (size_t)DUMP_STACKS_MAX);
    return (struct stack_budget){all - MIN(threads * DUMP_SHORT_STACK, all / 2), all};
}

/* Zeros what lies inside the span: arguments and environment lie on the first thread's stack. */
static void hide(uint8_t *buf, uint64_t addr, size_t n, struct span secret)
{
    uint64_t from = MAX(addr, secret.start), to = MIN(addr + n, secret.end);
    if (from < to)
        memset(buf + (from - addr), 0, to - from);
}

/* Copies target memory into the dump; a part that cannot be read ends it. */
static struct region copy_memory(struct dump *d, uint64_t addr, uint64_t n)
{
    struct region r = {.addr = addr};
    FREE_LATER uint8_t *buf = xmalloc((size_t)n);
    size_t got = target_read(d->q->target, addr, buf, (size_t)n);
    if (got == 0)
        return r;
    if (!d->q->send_command_line)
        hide(buf, addr, got, d->q->target->arguments);
    if (!d->q->send_environment)
        hide(buf, addr, got, d->q->target->environment);
    r.at = w_blob(&d->w, buf, got);
    VEC_PUSH(&d->regions, r);
    return r;
}

/* Of a stack of n bytes that may have `max`: what the budget of all threads leaves to it. */
static size_t within_budget(const struct dump *d, uint64_t n, size_t max)
{
    size_t wanted = (size_t)MIN(n, (uint64_t)max);
    if (d->stack_bytes + wanted <= d->budget.whole)
        return wanted;
    wanted = MIN(wanted, (size_t)DUMP_SHORT_STACK);
    return d->stack_bytes + wanted <= d->budget.all ? wanted : 0;
}

/*
 * From the stack pointer to the end of its mapping, at most `max` bytes.  Of a longer stack
 * (runaway recursion) both ends: the youngest three quarters, which tell what recurs, are the
 * thread's stack; the oldest quarter, which tells who began it, is a memory range of its own. After
 * an overflow the pointer lies in the guard page or in the gap below the stack; then the part
 * begins where the stack does.
 */
static struct region copy_stack(struct dump *d, uint64_t sp, size_t max)
{
    uint64_t from = sp > RED_ZONE ? (sp - RED_ZONE) & ~(uint64_t)15 : sp;
    const struct mapping *m = target_mapping_from(d->q->target, from);
    while (m && m < d->q->target->maps.v + d->q->target->maps.n && !m->readable)
        m++;
    if (!m || m == d->q->target->maps.v + d->q->target->maps.n ||
        (m->start > from && m->start - from > STACK_GAP_MAX))
        return (struct region){.addr = sp};
    if (from < m->start)
        from = m->start;
    uint64_t n = m->end - from;
    max = within_budget(d, n, max);
    if (max == 0)
        return (struct region){.addr = from};
    d->stack_bytes += max;
    if (n <= max)
        return copy_memory(d, from, n);
    uint64_t oldest = max / 4;
    struct region youngest = copy_memory(d, from, max - oldest);
    copy_memory(d, m->end - oldest, oldest);
    return youngest;
}

/* Whether the byte is in the dump already, so that no piece of code is written twice. */
static bool covered(const struct dump *d, uint64_t addr)
{
    for (size_t i = 0; i < d->regions.n; i++)
        if (addr >= d->regions.v[i].addr && addr - d->regions.v[i].addr < d->regions.v[i].at.size)
            return true;
    return false;
}

/* The instructions around the crash, inside one mapping. */
static void copy_code(struct dump *d, uint64_t pc)
{
    const struct mapping *m = target_mapping(d->q->target, pc);
    if (!m || covered(d, pc))
        return;
    uint64_t half = DUMP_CODE_BYTES / 2;
    uint64_t from = pc - m->start > half ? pc - half : m->start;
    uint64_t to = m->end - pc > half ? pc + half : m->end;
    copy_memory(d, from, to - from);
}

static void write_memory_list(struct dump *d)
{
    uint32_t begin = w_begin(&d->w);
    w_u32(&d->w, (uint32_t)d->regions.n);
    for (size_t i = 0; i < d->regions.n; i++) {
        w_u64(&d->w, d->regions.v[i].addr);
        w_location(&d->w, d->regions.v[i].at);
    }
    w_stream(&d->w, MEMORY_LIST, begin);
}

static void copy_thread(struct dump *d, pid_t tid)
{
    bool requesting = tid == d->q->requesting_tid;
    struct context c;
    if (requesting && d->crash.n)
        c = d->crash;
    else if (!context_of_thread(tid, &c, ERR_IGNORED))
        return;
    struct thread_record r = {.tid = tid, .sp = c.sp};
    r.context = w_blob(&d->w, c.bytes, c.n);
    r.stack = copy_stack(d, c.sp, requesting ? DUMP_STACK_MAX : DUMP_OTHER_STACK_MAX);
    if (requesting) {
        d->crash_context = r.context;
        d->crash.pc = c.pc;
    }
    VEC_PUSH(&d->threads, r);
}

/* The thread in question first, so that it gets its share of the limits. */
static void copy_threads(struct dump *d)
{
    const struct target *t = d->q->target;
    copy_thread(d, d->q->requesting_tid);
    for (size_t i = 0; i < t->threads.n; i++)
        if (t->threads.v[i].tid != d->q->requesting_tid)
            copy_thread(d, t->threads.v[i].tid);
}

static const struct thread_record *record_of(const struct dump *d, pid_t tid)
{
    for (size_t i = 0; i < d->threads.n; i++)
        if (d->threads.v[i].tid == tid)
            return &d->threads.v[i];
    return NULL;
}

/* In the order of the kernel, which is that of their creation. */
static void write_thread_list(struct dump *d)
{
    const struct target *t = d->q->target;
    uint32_t begin = w_begin(&d->w);
    w_u32(&d->w, (uint32_t)d->threads.n);
    for (size_t i = 0; i < t->threads.n; i++) {
        const struct thread_record *r = record_of(d, t->threads.v[i].tid);
        if (!r)
            continue;
        w_u32(&d->w, (uint32_t)r->tid);
        w_zeros(&d->w, 4 + 4 + 4); /* suspend count, priority class, priority */
        w_u64(&d->w, 0);           /* TEB */
        w_u64(&d->w, r->stack.addr);
        w_location(&d->w, r->stack.at);
        w_location(&d->w, r->context);
    }
    w_stream(&d->w, THREAD_LIST, begin);
}

static void write_thread_names(struct dump *d)
{
    const struct target *t = d->q->target;
    VEC(uint32_t) names = {0};
    for (size_t i = 0; i < t->threads.n; i++)
        VEC_PUSH(&names, w_string(&d->w, str_of(t->threads.v[i].name)));
    uint32_t begin = w_begin(&d->w);
    w_u32(&d->w, (uint32_t)t->threads.n);
    for (size_t i = 0; i < t->threads.n; i++) {
        w_u32(&d->w, (uint32_t)t->threads.v[i].tid);
        w_u64(&d->w, names.v[i]);
    }
    w_stream(&d->w, THREAD_NAMES, begin);
    VEC_RELEASE(&names);
}

static void write_breakpad_info(struct dump *d)
{
    uint32_t begin = w_begin(&d->w);
    w_u32(&d->w, 2); /* only the requesting thread is valid: the writer is another process */
    w_u32(&d->w, 0);
    w_u32(&d->w, (uint32_t)d->q->requesting_tid);
    w_stream(&d->w, BREAKPAD_INFO, begin);
}

static void write_exception(struct dump *d)
{
    siginfo_t info = {0};
    uint32_t code = EXCEPTION_DUMP_REQUESTED, flags = 0;
    uint64_t address = d->crash.pc;
    if (d->q->siginfo_addr) {
        if (target_read(d->q->target, d->q->siginfo_addr, &info, sizeof info) != sizeof info)
            return;
        code = (uint32_t)info.si_signo;
        flags = (uint32_t)info.si_code;
        address = (uint64_t)(uintptr_t)info.si_addr;
    } else if (!d->q->is_report) {
        return;
    }
    uint32_t begin = w_begin(&d->w);
    w_u32(&d->w, (uint32_t)d->q->requesting_tid);
    w_u32(&d->w, 0);
    w_u32(&d->w, code);
    w_u32(&d->w, flags);
    w_u64(&d->w, 0); /* nested record */
    w_u64(&d->w, address);
    w_u32(&d->w, 0); /* parameters */
    w_u32(&d->w, 0);
    w_zeros(&d->w, 15 * 8);
    w_location(&d->w, d->crash_context);
    w_stream(&d->w, EXCEPTION, begin);
}

static void write_module(struct writer *w, const struct module *m, uint32_t name,
                         struct location codeview)
{
    w_u64(w, m->base);
    w_u32(w, (uint32_t)m->size);
    w_u32(w, 0); /* checksum */
    w_u32(w, 0); /* time stamp */
    w_u32(w, name);
    w_zeros(w, 52); /* VS_FIXEDFILEINFO: ELF has no file version */
    w_location(w, codeview);
    w_location(w, (struct location){0});
    w_zeros(w, 16);
}

static void write_modules(struct dump *d)
{
    struct modules m;
    modules_read(d->q->target, &m);
    VEC(uint32_t) names = {0};
    VEC(struct location) codeviews = {0};
    for (size_t i = 0; i < m.list.n; i++) {
        const struct module *one = &m.list.v[i];
        VEC_PUSH(&names, w_string(&d->w, str_n(one->name, one->name_length)));
        uint32_t begin = w_begin(&d->w);
        w_u32(&d->w, CODEVIEW_ELF);
        sb_put(d->w.out, one->id, one->id_length);
        VEC_PUSH(&codeviews, w_since(&d->w, begin));
    }
    uint32_t begin = w_begin(&d->w);
    w_u32(&d->w, (uint32_t)m.list.n);
    for (size_t i = 0; i < m.list.n; i++)
        write_module(&d->w, &m.list.v[i], names.v[i],
                     m.list.v[i].id_length ? codeviews.v[i] : (struct location){0});
    w_stream(&d->w, MODULE_LIST, begin);
    VEC_RELEASE(&names);
    VEC_RELEASE(&codeviews);
    modules_release(&m);
}

bool dump_write(const struct dump_request *q, struct strbuf *out, struct err *err)
{
    struct dump d = {.q = q};
    if (q->ucontext_addr)
        context_of_signal(q->target, q->ucontext_addr, &d.crash, ERR_IGNORED);

    writer_begin(&d.w, out, q->now_s);
    write_modules(&d);
    write_breakpad_info(&d);
    write_thread_names(&d);
    dump_write_system(&d.w, q->target, q->send_command_line, q->send_environment);
    d.budget = dump_stack_budget(out->max - out->n, q->target->threads.n);
    copy_threads(&d);
    if (d.crash_context.size)
        copy_code(&d, d.crash.pc);
    write_thread_list(&d);
    write_memory_list(&d);
    write_exception(&d);
    bool ok = writer_end(&d.w, err);
    VEC_RELEASE(&d.threads);
    VEC_RELEASE(&d.regions);
    return ok;
}
