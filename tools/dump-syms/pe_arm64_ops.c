/*
 * Unwind codes of Windows on arm64 (Microsoft, "ARM64 exception handling").  They are bytes in
 * .xdata, each for one instruction; or, for the usual shapes of functions, the shape itself in 30
 * bits of .pdata, which is turned into the codes that it stands for here, so that there is one way
 * from then on.  Microsoft's table of canonical prologs says which those are; LLVM prints the same
 * ones, but for the one that has no code (x19 and x30 alone): a subtraction before it is what moves
 * sp there.
 *
 * Behind "end_c" stand the codes of the function that a fragment was cut from: all of them have
 * been done before the fragment begins.
 */
#include "tools/dump-syms/pe_arm64_ops.h"

#include <string.h>

#include "lib/base/util.h"

enum { X28 = 28 }; /* the last register that a function must give back as it was */

/*
 * Codes by their first byte: the bits in `mask` are `bits`.  The rest, with the bytes that follow,
 * is a register number above the low bits of a value.
 */
static const struct {
    uint8_t mask, bits, bytes, kind, reg;
    uint8_t value_bits, unit;
    uint8_t reg_step; /* 0: always `reg`; reg ARM64_SP: floating point */
    bool is_pre, is_plus_one;
} codes[] = {
    {0xe0, 0x00, 1, ARM64_ALLOC, 0, 5, 16, 0, false, false},          /* alloc_s */
    {0xe0, 0x20, 1, ARM64_PAIR, ARM64_X19, 5, 8, 0, true, false},     /* save_r19r20_x */
    {0xc0, 0x40, 1, ARM64_PAIR, ARM64_FP, 6, 8, 0, false, false},     /* save_fplr */
    {0xc0, 0x80, 1, ARM64_PAIR, ARM64_FP, 6, 8, 0, true, true},       /* save_fplr_x */
    {0xf8, 0xc0, 2, ARM64_ALLOC, 0, 11, 16, 0, false, false},         /* alloc_m */
    {0xfc, 0xc8, 2, ARM64_PAIR, ARM64_X19, 6, 8, 1, false, false},    /* save_regp */
    {0xfc, 0xcc, 2, ARM64_PAIR, ARM64_X19, 6, 8, 1, true, true},      /* save_regp_x */
    {0xfc, 0xd0, 2, ARM64_ONE, ARM64_X19, 6, 8, 1, false, false},     /* save_reg */
    {0xfe, 0xd4, 2, ARM64_ONE, ARM64_X19, 5, 8, 1, true, true},       /* save_reg_x */
    {0xfe, 0xd6, 2, ARM64_WITH_LR, ARM64_X19, 6, 8, 2, false, false}, /* save_lrpair */
    {0xfe, 0xd8, 2, ARM64_PAIR, ARM64_SP, 6, 8, 0, false, false},     /* save_fregp */
    {0xfe, 0xda, 2, ARM64_PAIR, ARM64_SP, 6, 8, 0, true, true},       /* save_fregp_x */
    {0xfe, 0xdc, 2, ARM64_ONE, ARM64_SP, 6, 8, 0, false, false},      /* save_freg */
    {0xff, 0xde, 2, ARM64_ONE, ARM64_SP, 5, 8, 0, true, true},        /* save_freg_x */
    {0xff, 0xe0, 4, ARM64_ALLOC, 0, 24, 16, 0, false, false},         /* alloc_l */
    {0xff, 0xe1, 1, ARM64_SET_FP, 0, 0, 0, 0, false, false},
    {0xff, 0xe2, 2, ARM64_ADD_FP, 0, 8, 8, 0, false, false},
    {0xff, 0xe3, 1, ARM64_NOTHING, 0, 0, 0, 0, false, false}, /* nop */
    {0xff, 0xe4, 1, ARM64_END, 0, 0, 0, 0, false, false},
    {0xff, 0xe5, 1, ARM64_END_C, 0, 0, 0, 0, false, false},
    {0xff, 0xe6, 1, ARM64_NEXT, 0, 0, 0, 0, false, false},
    {0xff, 0xe9, 1, ARM64_MACHINE_FRAME, 0, 0, 0, 0, false, false},
    {0xff, 0xea, 1, ARM64_CONTEXT, 0, 0, 0, 0, false, false},
    {0xff, 0xec, 1, ARM64_NOTHING, 0, 0, 0, 0, false, false}, /* clear_unwound_to_call */
    {0xff, 0xfc, 1, ARM64_NOTHING, 0, 0, 0, 0, false, false}, /* pac_sign_lr */
};

/* False: cut short, or a code that nobody has described. */
static bool read_op(struct rd *r, struct arm64_op *ret)
{
    uint8_t first = rd_u8(r);
    size_t i = 0;
    while (i < ARRAY_LEN(codes) && (first & codes[i].mask) != codes[i].bits)
        i++;
    if (i == ARRAY_LEN(codes))
        return false;
    uint32_t bits = first & (uint8_t)~codes[i].mask;
    for (size_t k = 1; k < codes[i].bytes; k++)
        bits = bits << 8 | rd_u8(r);
    uint32_t value = bits & (((uint32_t)1 << codes[i].value_bits) - 1);
    *ret = (struct arm64_op){
        .kind = codes[i].kind,
        .reg = (uint8_t)(codes[i].reg + (bits >> codes[i].value_bits) * codes[i].reg_step),
        .is_pre = codes[i].is_pre,
        .value = (value + codes[i].is_plus_one) * codes[i].unit,
    };
    ret->is_fact = (first & 0xf8) == 0xe8; /* of Microsoft's own, as Windows counts them */
    bool is_pair = ret->kind == ARM64_PAIR && ret->reg != ARM64_SP;
    return rd_ok(r) &&
           (is_pair ? ret->reg <= X28 - 1 || ret->reg == ARM64_FP
                    : ret->kind != ARM64_ONE || ret->reg <= ARM64_LR || ret->reg == ARM64_SP);
}

/* "The next pair" counts from the pair that was saved before it, which stands behind it here. */
static bool resolve_next(struct arm64_ops *o)
{
    for (size_t i = 0; i < o->n; i++) {
        size_t of = i;
        while (of < o->n && o->v[of].kind == ARM64_NEXT)
            of++;
        if (of == i)
            continue;
        const struct arm64_op first = of < o->n ? o->v[of] : (struct arm64_op){0};
        if (first.kind != ARM64_PAIR || first.reg == ARM64_FP)
            return false;
        for (size_t k = i; k < of; k++) {
            uint32_t steps = (uint32_t)(of - k), reg = first.reg + 2 * steps;
            bool is_float = first.reg == ARM64_SP || reg > X28 - 1;
            o->v[k] = (struct arm64_op){.kind = ARM64_PAIR,
                                        .reg = is_float ? ARM64_SP : (uint8_t)reg,
                                        .value = (first.is_pre ? 0 : first.value) + 16 * steps};
        }
        i = of;
    }
    return true;
}

bool arm64_read_ops(struct rd table, size_t at, struct arm64_ops *ret)
{
    bool is_own = true;
    ret->n = ret->own = 0;
    rd_skip(&table, at);
    for (;;) {
        struct arm64_op op;
        if (!rd_ok(&table) || !read_op(&table, &op))
            return false;
        if (op.kind == ARM64_END || op.kind == ARM64_END_C)
            is_own = false;
        if (op.kind == ARM64_END)
            return resolve_next(ret);
        if (op.kind == ARM64_END_C)
            continue;
        if (ret->n == ARM64_OPS_MAX)
            return false;
        ret->v[ret->n++] = op;
        ret->own += is_own && !op.is_fact;
    }
}

enum { CHAIN_NO, CHAIN_LR, CHAIN_SIGNED, CHAIN_FP };

static void add_op(struct arm64_ops *o, enum arm64_kind kind, unsigned reg, uint32_t value)
{
    o->v[o->n++] = (struct arm64_op){.kind = (uint8_t)kind, .reg = (uint8_t)reg, .value = value};
}

/* x19 and so on, and x30 beside them if nobody chains it. */
static void add_ints(const struct arm64_shape *p, struct arm64_ops *o)
{
    bool has_lr = p->chain == CHAIN_LR;
    for (uint32_t i = 0; i < p->ints; i += 2) {
        bool is_last = i + 1 == p->ints;
        if (is_last && has_lr && i == 0) /* no code moves sp with this pair */
            add_op(o, ARM64_ALLOC, 0, p->saved_bytes);
        add_op(o, !is_last ? ARM64_PAIR : has_lr ? ARM64_WITH_LR : ARM64_ONE, ARM64_X19 + i, 8 * i);
    }
    if (has_lr && p->ints % 2 == 0)
        add_op(o, ARM64_ONE, ARM64_LR, 8 * p->ints);
}

/* The area below what was saved, and the frame record at its lower end. */
static void add_locals(const struct arm64_shape *p, struct arm64_ops *o)
{
    /* What one instruction can do: stp [sp, -512]!, and sub of twelve bits, kept aligned to 16. */
    enum { PRE_MAX = 512, SUB_MAX = 4080 };
    uint32_t bytes = p->frame_bytes - p->saved_bytes;
    bool has_record = p->chain == CHAIN_FP || p->chain == CHAIN_SIGNED;
    if (has_record && bytes <= PRE_MAX) {
        add_op(o, ARM64_PAIR, ARM64_FP, bytes);
        o->v[o->n - 1].is_pre = true;
    } else {
        if (bytes)
            add_op(o, ARM64_ALLOC, 0, MIN(bytes, (uint32_t)SUB_MAX));
        if (bytes > SUB_MAX)
            add_op(o, ARM64_ALLOC, 0, bytes - SUB_MAX);
        if (has_record)
            add_op(o, ARM64_PAIR, ARM64_FP, 0);
    }
    if (has_record)
        add_op(o, ARM64_SET_FP, 0, 0);
}

/* In the order of the prolog.  The first instruction that saves anything moves sp. */
static void add_shape(const struct arm64_shape *p, bool is_epilog, struct arm64_ops *o)
{
    if (p->chain == CHAIN_SIGNED)
        add_op(o, ARM64_NOTHING, 0, 0);
    size_t first = o->n;
    add_ints(p, o);
    for (uint32_t i = 0; i < p->floats; i += 2)
        add_op(o, i + 1 < p->floats ? ARM64_PAIR : ARM64_ONE, ARM64_SP, 0);
    bool is_bare = o->n == first;
    for (int i = 0; p->homes && i < (is_epilog ? is_bare : 4); i++)
        add_op(o, ARM64_NOTHING, 0, 0);
    if (o->n > first && o->v[first].kind == ARM64_NOTHING)
        o->v[first] = (struct arm64_op){.kind = ARM64_ALLOC, .value = p->saved_bytes};
    else if (o->n > first && o->v[first].kind != ARM64_ALLOC) {
        o->v[first].is_pre = true;
        o->v[first].value = p->saved_bytes;
    }
    add_locals(p, o);
}

void arm64_expand_shape(const struct arm64_shape *p, bool is_epilog, struct arm64_ops *ret)
{
    ret->n = 0;
    add_shape(p, is_epilog, ret);
    for (size_t i = 0; i < ret->n / 2; i++) {
        struct arm64_op swap = ret->v[i];
        ret->v[i] = ret->v[ret->n - 1 - i];
        ret->v[ret->n - 1 - i] = swap;
    }
    if (is_epilog && ret->n && ret->v[0].kind == ARM64_SET_FP) /* x29 has not moved, nor has sp */
        memmove(ret->v, ret->v + 1, --ret->n * sizeof *ret->v);
    ret->own = ret->n;
}

bool arm64_read_shape(uint32_t word, struct arm64_shape *ret)
{
    *ret = (struct arm64_shape){
        .floats = word >> 13 & 7,
        .ints = word >> 16 & 15,
        .homes = word >> 20 & 1,
        .chain = word >> 21 & 3,
        .frame_bytes = (word >> 23) * 16,
        .has_ends = (word & 3) == 1,
    };
    ret->floats += ret->floats != 0;
    ret->saved_bytes =
        (8 * (ret->ints + (ret->chain == CHAIN_LR) + ret->floats + 8 * ret->homes) + 15) & ~15u;
    return ret->ints <= 10 && ret->saved_bytes <= ret->frame_bytes;
}
