/*
 * The walk itself: the methods in their order, what makes a stack end, and the frames
 * with their symbols.  What differs between processors is behind struct cpu_ops.
 *
 * A stack ends where a method says so (a frame pointer of 0, a return address that call
 * frame information calls undefined), where the result cannot be a frame (is_end), and
 * at the routines that every thread starts in (thread_starts).
 */
#include "lib/unwind/walk.h"

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/minidump/context.h"
#include "lib/minidump/memory.h"
#include "lib/minidump/module.h"
#include "lib/symfile/csym.h"
#include "lib/unwind/bad_call.h"
#include "lib/unwind/cpu.h"
#include "lib/unwind/facts.h"

/*
 * How far a scan looks for a return address.  The numbers are those of the walkers that reports are
 * compared with (Breakpad's and its successor in Rust): 40 words, four times as many behind the
 * first frame or a frame that CFI gave, since there the stack pointer is right and only the frame's
 * size is unknown.  Looking further finds more old return addresses than real ones.
 */
enum {
    SCAN_WORDS_SURE = 160, /* behind a frame whose stack pointer is known for sure */
    SCAN_WORDS = 40,
};

static const struct {
    const char *name, *text;
} trusts[] = {
    [TRUST_CONTEXT] = {"context", "given as instruction pointer in context"},
    [TRUST_CALL] = {"cfi", "return address of a call through a bad pointer"},
    [TRUST_CFI] = {"cfi", "call frame info"},
    [TRUST_FRAME_POINTER] = {"frame_pointer", "previous frame's frame pointer"},
    [TRUST_SCAN] = {"scan", "stack scanning"},
};

const char *walk_trust_name(enum walk_trust trust)
{
    return trusts[trust].name;
}

const char *walk_trust_text(enum walk_trust trust)
{
    return trusts[trust].text;
}

/*
 * Inlines count against a sum for the whole dump: one line of a symbol file may hold hundreds, and
 * every frame of a deep recursion would copy them.
 */
static void copy_inlines(struct walk *w, const struct csym_hit *hit, struct walk_frame *frame)
{
    if (hit->inline_count > w->inlines_left) {
        w->was_cut = true;
        return;
    }
    w->inlines_left -= hit->inline_count;
    struct walk_inline *out = arena_array(w->arena, hit->inline_count, sizeof *out);
    for (size_t i = 0; i < hit->inline_count; i++)
        out[i] = (struct walk_inline){hit->inlines[i].function, hit->inlines[i].file,
                                      hit->inlines[i].line};
    frame->inlines = out;
    frame->inline_count = hit->inline_count;
}

/*
 * No function name: `function` stays without pointer.  A function whose record has no name gets an
 * empty one instead, which says that the address was found.  The size of parameters in a STACK WIN
 * record is the linker's own and better than the one the symbol text repeats; x86_win.c needs it of
 * the next younger frame.
 */
static void symbolicate(struct walk *w, struct walk_frame *frame)
{
    frame->module = mdmp_module_at(&w->facts->modules, frame->instruction);
    if (frame->module == SIZE_MAX)
        return;
    const struct module_symbols *m = walk_symbols_of(w->symbols, frame->module);
    if (!m->is_open)
        return;
    uint64_t base = w->facts->modules.v[frame->module].base;
    uint64_t offset = frame->instruction - base;
    struct csym_hit hit;
    if (!csym_lookup(&m->csym, offset, &hit))
        return;
    frame->function = hit.function.p ? hit.function : STR("");
    frame->function_addr = base + hit.function_addr;
    frame->param_size = hit.param_size;
    frame->file = hit.file;
    frame->line = hit.line;
    if (hit.inline_count)
        copy_inlines(w, &hit, frame);
    struct csym_win win;
    if (w->facts->system.cpu == MDMP_CPU_X86 && csym_win_find(&m->csym, offset, &win))
        frame->param_size = win.param_size;
}

struct cfi_env {
    const struct step *step;
    const struct module_symbols *symbols;
    uint64_t init_addr; /* absolute */
};

/*
 * Rules may only use registers whose value is known in this frame.  Names that the CPU does not
 * have map to MDMP_REG_NONE, which is never valid.
 */
static bool cfi_reg(void *ctx, uint32_t index, uint64_t *ret)
{
    const struct cfi_env *env = ctx;
    if (index >= MIN(env->symbols->csym.reg_count, (uint32_t)WALK_SYMBOLS_REGS_MAX))
        return false;
    uint8_t reg = env->symbols->regs[index];
    const struct cpu_ops *cpu = env->step->cpu;
    if (cpu->may_read && !cpu->may_read(env->step, reg, env->init_addr))
        return false;
    return mdmp_reg_get(env->step->callee, reg, ret);
}

static bool cfi_word(void *ctx, uint64_t addr, uint64_t *ret)
{
    const struct cfi_env *env = ctx;
    return step_word(env->step, addr, ret);
}

/* The program of the rule for `reg`; false without one. */
static bool special_rule(const struct csym_cfi *cfi, uint16_t reg, uint32_t *ret_program)
{
    for (uint32_t i = 0; i < cfi->rule_count; i++) {
        if (cfi->rules[i].reg == reg) {
            *ret_program = cfi->rules[i].program;
            return true;
        }
    }
    return false;
}

/*
 * A function gives these registers back unchanged, so where its CFI has no rule for one of them the
 * caller's value is the callee's.  Registers that calls may destroy are unknown in the caller
 * instead.
 */
static void forward_callee_saved(const struct step *s, struct mdmp_context *caller)
{
    uint64_t kept = s->callee->valid & s->cpu->callee_saved;
    for (uint8_t i = 0; i < caller->layout->reg_count; i++)
        if (kept >> i & 1)
            mdmp_reg_set(caller, i, s->callee->r[i]);
}

/*
 * The canonical frame address is the caller's stack pointer by definition (System V, AAPCS), and
 * the return address its pc; the rules of a range may set both otherwise, and then win, since they
 * are applied last.  Each rule reads the callee's registers, so their order does not matter.  A
 * rule that cannot be computed makes its register unknown, not the whole step wrong.
 */
static enum cpu_found by_cfi(const struct step *s, struct mdmp_context *ret)
{
    if (s->frame->module == SIZE_MAX)
        return FOUND_NOTHING;
    const struct module_symbols *m = walk_symbols_state(s->walk->symbols, s->frame->module);
    uint64_t base = s->walk->facts->modules.v[s->frame->module].base;
    struct csym_cfi cfi;
    uint32_t cfa_program, ra_program;
    if (!m->is_open || !csym_cfi_find(&m->csym, s->frame->instruction - base, &cfi) ||
        !special_rule(&cfi, CSYM_REG_RA, &ra_program))
        return FOUND_NOTHING;
    if (csym_cfi_is_undef(&m->csym, ra_program))
        return FOUND_END;

    struct cfi_env ctx = {s, m, base + cfi.init_addr};
    struct csym_env env = {.ctx = &ctx, .reg = cfi_reg, .word = cfi_word};
    uint64_t cfa, ra, value;
    if (!special_rule(&cfi, CSYM_REG_CFA, &cfa_program) ||
        !csym_cfi_eval(&m->csym, cfa_program, &env, &cfa))
        return FOUND_NOTHING;
    env.has_cfa = true;
    env.cfa = cfa;
    if (!csym_cfi_eval(&m->csym, ra_program, &env, &ra))
        return FOUND_NOTHING;

    struct mdmp_context caller = step_caller(s);
    forward_callee_saved(s, &caller);
    mdmp_reg_set(&caller, caller.layout->sp, cfa);
    mdmp_reg_set(&caller, caller.layout->pc, ra);
    for (uint32_t i = 0; i < cfi.rule_count; i++) {
        uint16_t index = cfi.rules[i].reg;
        if (index >= MIN(m->csym.reg_count, (uint32_t)WALK_SYMBOLS_REGS_MAX) ||
            m->regs[index] == MDMP_REG_NONE)
            continue;
        uint8_t reg = m->regs[index];
        if (csym_cfi_eval(&m->csym, cfi.rules[i].program, &env, &value))
            mdmp_reg_set(&caller, reg, value);
        else
            caller.valid &= ~(UINT64_C(1) << reg);
    }
    if (s->cpu->after_cfi)
        s->cpu->after_cfi(s, &caller);
    *ret = caller;
    return FOUND_CALLER;
}

/*
 * The last resort: the nearest word of the stack that could be a return address.  Old values of
 * finished calls look the same, so what is found is marked as such and signatures trust it less.
 */
static bool by_scan(const struct step *s, struct mdmp_context *ret)
{
    const struct mdmp_layout *layout = s->callee->layout;
    uint64_t sp, word;
    if (!mdmp_reg_get(s->callee, layout->sp, &sp))
        return false;
    bool is_sure = s->frame->trust <= TRUST_CFI;
    size_t words = is_sure ? SCAN_WORDS_SURE : SCAN_WORDS;
    for (size_t i = s->cpu->scan_skip ? s->cpu->scan_skip(s) : 0; i < words; i++) {
        uint64_t at = sp + i * s->cpu->word_bytes;
        if (!step_word(s, at, &word))
            return false;
        if (!step_is_return_address(s, word))
            continue;
        struct mdmp_context caller = step_caller(s);
        mdmp_reg_set(&caller, layout->pc, word);
        mdmp_reg_set(&caller, layout->sp, at + s->cpu->word_bytes);
        if (s->cpu->scan_frame_pointer)
            s->cpu->scan_frame_pointer(s, at, i, &caller);
        *ret = caller;
        return true;
    }
    return false;
}

/*
 * Where threads begin.  Nothing called these, and the words above their frames are the
 * arguments of the program or the thread's own data.  Common words count in the
 * system's library only, whose file name begins so.
 */
static const struct {
    const char *function, *module;
} thread_starts[] = {
    {"_start", ""},
    {"_dl_start_user", "ld"},
    {"clone", "lib"},
    {"__clone", "lib"},
    {"clone3", "lib"},
    {"__clone3", "lib"},
    {"__bionic_clone", "libc."},
    {"__start_thread", "libc."},
    {"start", "dyld"},
    {"start", "libdyld"},
    {"thread_start", "libsystem_pthread"},
    {"start_wqthread", "libsystem_pthread"},
    {"RtlUserThreadStart", "ntdll"},
    {"_RtlUserThreadStart", "ntdll"},
    {"_RtlUserThreadStart@8", "ntdll"},
};

/* Not for frame 0: the thread may be in clone to start another one. */
static bool is_thread_start(const struct step *s)
{
    if (s->frame->trust == TRUST_CONTEXT || s->frame->module == SIZE_MAX)
        return false;
    struct str module = s->walk->facts->modules.v[s->frame->module].file;
    for (size_t i = 0; i < ARRAY_LEN(thread_starts); i++)
        if (str_eq(s->frame->function, str_of(thread_starts[i].function)) &&
            str_starts(module, str_of(thread_starts[i].module)))
            return true;
    return false;
}

/*
 * The order is by how much each method knows.  A call through a bad pointer is first, because every
 * other method would skip its caller.  STACK WIN is for x86 code of MSVC, which has no CFI.  The
 * thread's own start routine is asked for before frame pointers and scans, which would find
 * something above it in any case.
 */
static bool find_caller(const struct step *s, struct mdmp_context *ret, enum walk_trust *ret_trust)
{
    *ret_trust = TRUST_CALL;
    if (walk_bad_call(s, ret))
        return true;
    *ret_trust = TRUST_CFI;
    if (s->cpu->windows_cfi && s->cpu->windows_cfi(s, ret))
        return true;
    enum cpu_found found = by_cfi(s, ret);
    if (found == FOUND_NOTHING && is_thread_start(s))
        return false;
    if (found == FOUND_NOTHING && s->cpu->frame_pointer) {
        *ret_trust = TRUST_FRAME_POINTER;
        found = s->cpu->frame_pointer(s, ret);
    }
    if (found != FOUND_NOTHING)
        return found == FOUND_CALLER;
    *ret_trust = TRUST_SCAN;
    return by_scan(s, ret);
}

/* The outermost frame was passed: what was found is not a frame. */
static bool is_end(const struct step *s, const struct mdmp_context *caller, enum walk_trust trust)
{
    const struct mdmp_layout *l = caller->layout;
    uint64_t pc, sp, callee_sp;
    if (!mdmp_reg_get(caller, l->pc, &pc) || pc < CPU_LOWEST_PC ||
        !mdmp_reg_get(caller, l->sp, &sp) || !mdmp_reg_get(s->callee, l->sp, &callee_sp))
        return true;
    if (sp == callee_sp && s->cpu->may_keep_sp && s->cpu->may_keep_sp(s, caller, trust))
        return false;
    return sp <= callee_sp;
}

/* The memory the stack pointer points into: the thread's own stack, else any region. */
static const struct mdmp_region *stack_of(const struct facts *f, const struct mdmp_thread *t,
                                          const struct mdmp_context *context)
{
    uint64_t sp;
    if (!mdmp_reg_get(context, context->layout->sp, &sp))
        return NULL;
    if (t->stack.bytes.n && sp >= t->stack.base && sp - t->stack.base < t->stack.bytes.n)
        return &t->stack;
    const struct mdmp_region *region = mdmp_memory_at(&f->memory, sp);
    return region ? region : t->stack.bytes.n ? &t->stack : NULL;
}

/* Grows by doubling in the arena; what is left behind is at most as much again. */
static struct walk_frame *push_frame(struct walk *w, struct walk_stack *stack, size_t *cap)
{
    if (stack->n == *cap) {
        *cap = *cap ? *cap * 2 : 32;
        struct walk_frame *bigger = arena_array(w->arena, *cap, sizeof *bigger);
        if (stack->n)
            memcpy(bigger, stack->frames, stack->n * sizeof *bigger);
        stack->frames = bigger;
    }
    w->frames_left--;
    return &stack->frames[stack->n++];
}

static void add_frame(struct walk *w, struct walk_stack *stack, size_t *cap,
                      const struct mdmp_context *context, enum walk_trust trust, unsigned back)
{
    struct walk_frame *frame = push_frame(w, stack, cap);
    uint64_t pc = context->r[context->layout->pc];
    *frame = (struct walk_frame){.trust = trust, .resume = pc, .instruction = pc - back};
    symbolicate(w, frame);
}

/*
 * Each step replaces the registers of the callee by those of the caller.  The loop ends: is_end
 * refuses a step that does not move the stack pointer up (but for leaf functions, which may keep
 * it), and frames are counted.
 */
static void walk_thread(struct walk *w, size_t index, struct walk_stack *stack)
{
    struct mdmp_context context, caller;
    if (w->frames_left == 0 || !facts_context(w->facts, index, &context))
        return;
    size_t cap = 0;
    stack->context = context;
    add_frame(w, stack, &cap, &context, TRUST_CONTEXT, 0);

    struct step s = {
        .walk = w,
        .cpu = cpu_ops_of(w->facts->system.cpu),
        .stack = stack_of(w->facts, &w->facts->threads.v[index], &context),
        .callee = &context,
        .stack_index = index,
    };
    if (!s.cpu || !s.stack)
        return;
    for (;;) {
        s.frame = &stack->frames[stack->n - 1];
        s.grand = stack->n > 1 ? s.frame - 1 : NULL;
        enum walk_trust trust;
        if (!find_caller(&s, &caller, &trust) || is_end(&s, &caller, trust))
            return;
        if (stack->n >= w->frames_max || w->frames_left == 0) {
            stack->is_cut = w->was_cut = true;
            return;
        }
        add_frame(w, stack, &cap, &caller, trust, s.cpu->call_bytes);
        context = caller;
    }
}

/*
 * Bits of a 64-bit pointer that are an address: pointer authentication puts a signature
 * into the others.  All of them up to 2^47, or up to the highest module.
 */
static uint64_t pointer_mask(const struct facts *f)
{
    uint64_t top = (UINT64_C(1) << 47) - 1;
    for (size_t i = 0; i < f->modules.n; i++)
        top = MAX(top, f->modules.v[i].base + f->modules.v[i].size);
    for (unsigned bit = 47; bit < 64; bit++)
        if (UINT64_C(1) << bit >= top)
            return (UINT64_C(1) << bit) - 1;
    return UINT64_MAX;
}

void walk_run(const struct facts *facts, struct walk_symbols *symbols, struct arena *arena,
              size_t frames_max, struct walk *ret)
{
    frames_max = frames_max ? MIN(frames_max, (size_t)WALK_FRAMES_MAX) : WALK_FRAMES_DEFAULT;
    *ret = (struct walk){
        .facts = facts,
        .symbols = symbols,
        .arena = arena,
        .frames_max = frames_max,
        .frames_left = MAX((size_t)WALK_FRAMES_TOTAL, frames_max),
        .inlines_left = WALK_INLINES_TOTAL,
        .pointer_mask = facts->pointer_mask ? facts->pointer_mask : pointer_mask(facts),
        .stacks = arena_array(arena, facts->threads.n, sizeof *ret->stacks),
    };
    /* The crashing thread first: if the frames of a dump run out, it has its own. */
    if (facts->crashing_thread != SIZE_MAX)
        walk_thread(ret, facts->crashing_thread, &ret->stacks[facts->crashing_thread]);
    for (size_t i = 0; i < facts->threads.n; i++)
        if (i != facts->crashing_thread)
            walk_thread(ret, i, &ret->stacks[i]);
}
