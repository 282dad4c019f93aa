#ifndef UNWIND_INSN_H
#define UNWIND_INSN_H

#include "lib/base/rd.h"
#include "lib/minidump/context.h"

/*
 * insn - one x86 or amd64 instruction: its text, which memory it touches and how, where it goes.
 *
 * Decoding is Zydis' work; this module turns its answer into what the analysis of a crash asks:
 * registers as indices of the context layout, and memory operands with what the instruction does to
 * them, also the hidden ones (the stack of push and ret, the pointers of string instructions).
 *
 * Ownership  Everything is inside struct insn.
 * Trust      The bytes are those of a dump: any input is decoded or refused.
 */
enum { INSN_TEXT_MAX = 96, INSN_NAME_MAX = 20, INSN_MEMORY_MAX = 4 };

enum insn_action { INSN_READS = 1, INSN_WRITES = 2 };

struct insn_memory {
    unsigned actions;    /* enum insn_action, or-ed */
    uint16_t bytes;      /* 0: not known (xsave and its kind) */
    uint8_t base, index; /* of the layout; MDMP_REG_NONE: none */
    uint8_t scale;
    int64_t displacement;
    /* False: relative to a segment whose base contexts do not have, or many addresses in a vector
     * register. */
    bool has_address;
};

enum insn_flow { INSN_NEXT, INSN_CALL, INSN_JUMP, INSN_RETURN, INSN_BRANCH };

struct insn {
    char name[INSN_NAME_MAX]; /* "mov" */
    char text[INSN_TEXT_MAX]; /* "mov rax, qword [rdi + 0x18]" */
    uint8_t bytes;            /* length */
    struct insn_memory memory[INSN_MEMORY_MAX];
    size_t memory_count;
    uint64_t address_mask; /* addresses of the instruction are this wide */
    enum insn_flow flow;   /* INSN_BRANCH: conditional */
    /* INSN_CALL and INSN_JUMP, near: through this register or memory operand; direct and far ones
     * have neither (MDMP_REG_NONE, SIZE_MAX). */
    uint8_t target_reg;
    size_t target_memory;
};

/* False: no instruction, cut off, or a CPU (of the layout) that is not x86 or amd64. */
bool insn_decode(struct rd bytes, const struct mdmp_layout *layout, struct insn *ret);

/* Where a memory operand lies with these registers.  Only if it has an address. */
uint64_t insn_address(const struct insn *i, const struct insn_memory *m,
                      const struct mdmp_context *c);

#endif
