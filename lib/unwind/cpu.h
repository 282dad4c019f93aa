#ifndef UNWIND_CPU_H
#define UNWIND_CPU_H

#include "lib/unwind/walk_frames.h"

/*
 * cpu - what differs between processors in a stack walk: one row of operations each.
 * A CPU without a row gets frame 0 only.
 */

enum { CPU_LOWEST_PC = 4096 }; /* the first page is never mapped */

/* How a method fared. */
enum cpu_found {
    FOUND_NOTHING, /* it does not apply: try the next one */
    FOUND_CALLER,
    FOUND_END, /* it knows that there is no caller */
};

/* One step from a frame (callee) to the one that called it. */
struct step {
    const struct walk *walk;
    const struct cpu_ops *cpu;
    const struct mdmp_region *stack; /* of this thread; never NULL */
    const struct mdmp_context *callee;
    const struct walk_frame *frame; /* the callee's */
    const struct walk_frame *grand; /* the frame younger than the callee, or NULL */
    size_t stack_index;             /* the thread's */
};

struct cpu_ops {
    enum mdmp_cpu cpu;
    uint8_t word_bytes;
    uint8_t call_bytes;    /* return address minus this lies in the call */
    uint64_t callee_saved; /* registers a function gives back unchanged */
    /* Where a call puts the return address; MDMP_REG_NONE: on top of the stack. */
    uint8_t link_register;
    /*
     * Which step may keep the stack pointer: a leaf function may have its return
     * address in a register.
     */
    bool (*may_keep_sp)(const struct step *s, const struct mdmp_context *caller,
                        enum walk_trust trust);
    /* STACK WIN; NULL: not on this CPU. */
    bool (*windows_cfi)(const struct step *s, struct mdmp_context *ret);
    /* Whether a CFI rule may read this register of the callee; NULL: always. */
    bool (*may_read)(const struct step *s, uint8_t reg, uint64_t init_addr);
    /* Last touch on registers that came from CFI; NULL: none. */
    void (*after_cfi)(const struct step *s, struct mdmp_context *caller);
    /* NULL: no method. */
    enum cpu_found (*frame_pointer)(const struct step *s, struct mdmp_context *ret);
    bool (*is_candidate)(uint64_t address);    /* can this be a return address; NULL: always */
    size_t (*scan_skip)(const struct step *s); /* words not worth looking at; NULL: 0 */
    /* Sets the caller's frame pointer if it can be known; NULL: never. */
    void (*scan_frame_pointer)(const struct step *s, uint64_t at, size_t word_index,
                               struct mdmp_context *caller);
};

/* NULL: no row for this CPU. */
const struct cpu_ops *cpu_ops_of(enum mdmp_cpu cpu);

extern const struct cpu_ops cpu_amd64, cpu_x86, cpu_arm, cpu_arm64, cpu_mips, cpu_mips64;

/*
 * Whether a word looks like a return address: it points behind something in a module,
 * and where the module has symbols, into or behind a function.
 */
bool step_is_return_address(const struct step *s, uint64_t address);

/* A word of the thread's stack; false outside it. */
static inline bool step_word(const struct step *s, uint64_t addr, uint64_t *ret)
{
    return mdmp_region_uint(s->stack, addr, s->cpu->word_bytes, ret);
}

static inline bool step_in_stack(const struct step *s, uint64_t addr)
{
    uint64_t unused;
    return step_word(s, addr, &unused);
}

/* The registers a method starts the caller with: none, in the callee's layout. */
static inline struct mdmp_context step_caller(const struct step *s)
{
    return (struct mdmp_context){.layout = s->callee->layout};
}

#endif
