#ifndef DUMP_SYMS_PE_ARM64_OPS_H
#define DUMP_SYMS_PE_ARM64_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/rd.h"

/*
 * pe_arm64_ops - what prologs and epilogs of Windows on arm64 do, out of both forms of unwind data.
 *
 * Trust      The bytes are hostile: lists are bounded, and registers are 19 to 30 or ARM64_SP.
 */
enum {
    ARM64_X19 = 19,
    ARM64_FP = 29,
    ARM64_LR = 30,
    ARM64_SP = 31,       /* in a save: floating point registers, which have no name in the text */
    ARM64_OPS_MAX = 128, /* the longest prolog that 30 bits can say has 24 */
};

enum arm64_kind {
    ARM64_NOTHING, /* an instruction that moves nothing we know */
    ARM64_ALLOC,
    ARM64_ONE, /* a register at sp + value */
    ARM64_PAIR,
    ARM64_WITH_LR, /* a register and x30 */
    ARM64_NEXT,    /* the pair behind that of the code before it */
    ARM64_SET_FP,
    ARM64_ADD_FP,
    ARM64_MACHINE_FRAME, /* sp and pc, put there by the kernel */
    ARM64_CONTEXT,       /* all registers */
    ARM64_END,
    ARM64_END_C,
};

struct arm64_op {
    uint8_t kind, reg;
    bool is_pre;  /* the save moves sp by value, and lies at its new place */
    bool is_fact; /* no instruction: what lies on the stack when the code is entered */
    uint32_t value;
};

/*
 * Latest first.  The first `own` instructions are those of this entry; what stands behind them was
 * done before its code begins.
 */
struct arm64_ops {
    struct arm64_op v[ARM64_OPS_MAX];
    size_t n, own;
};

/* The codes from a byte of the table to their end. */
bool arm64_read_ops(struct rd table, size_t at, struct arm64_ops *ret);

/* The usual shapes, "packed unwind data". */
struct arm64_shape {
    uint32_t floats, ints, frame_bytes, saved_bytes, chain;
    bool homes, has_ends; /* arguments are put on the stack; there are a prolog and an epilog */
};

/* False: no compiler can mean it. */
bool arm64_read_shape(uint32_t word, struct arm64_shape *ret);
void arm64_expand_shape(const struct arm64_shape *p, bool is_epilog, struct arm64_ops *ret);

#endif
