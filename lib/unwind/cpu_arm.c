/*
 * arm, arm64 and mips: return addresses in link registers.
 *
 * Threads of systems that keep frame pointers begin with a frame pointer of 0, and the
 * oldest frame record holds zeros.  Both are the end of the stack and not a reason to scan
 * the words above it, where old return addresses lie.
 */
#include "lib/unwind/cpu.h"

#include "lib/base/util.h"
#include "lib/minidump/context.h"

#define BIT(reg)       (UINT64_C(1) << (reg))
#define BITS(from, to) (BIT((to) + 1) - BIT(from))

/*
 * Which registers a function gives back unchanged is set by the procedure call standards: AAPCS (r4
 * to r11), AAPCS64 (x19 to x28 and the frame pointer), and for mips s0 to s7, gp and fp.
 */
/* Indices of the registers in their layouts (report order). */
enum { ARM_R4 = 4, ARM_R7 = 7, ARM_R10 = 10, ARM_FP = 12, ARM_SP = 13, ARM_LR = 14, ARM_PC = 15 };
enum { A64_X19 = 19, A64_X28 = 28, A64_FP = 29, A64_LR = 30, A64_SP = 31, A64_PC = 32 };
enum { MIPS_GP = 0, MIPS_SP = 1, MIPS_FP = 2, MIPS_RA = 3, MIPS_S0 = 5, MIPS_S7 = 12 };

/*
 * Linux and Android use at most 52 bits of an address for user space; above lie kernel and pointer
 * signatures.
 */
static const uint64_t A64_TOP = UINT64_C(0x000fffffffffffff);

/*
 * Only the function that was interrupted can be one that has not touched the stack: every other one
 * has made a call.
 */
static bool leaf_may_keep_sp(const struct step *s, const struct mdmp_context *caller,
                             enum walk_trust trust)
{
    (void)caller;
    (void)trust;
    return s->frame->trust == TRUST_CONTEXT;
}

/* A frame record is two words: the caller's frame pointer, then the return address. */
static enum cpu_found arm_frame_at(const struct step *s, uint8_t fp_reg, struct mdmp_context *ret)
{
    uint64_t fp, caller_fp, caller_pc;
    if (!mdmp_reg_get(s->callee, fp_reg, &fp))
        return FOUND_NOTHING;
    if (fp == 0)
        return FOUND_END;
    if (fp > UINT32_MAX - 8 || !step_word(s, fp, &caller_fp) || !step_word(s, fp + 4, &caller_pc))
        return FOUND_NOTHING;
    if (caller_fp == 0 && caller_pc == 0)
        return FOUND_END;
    struct mdmp_context caller = step_caller(s);
    mdmp_reg_set(&caller, ARM_PC, caller_pc);
    mdmp_reg_set(&caller, ARM_SP, fp + 8);
    mdmp_reg_set(&caller, fp_reg, caller_fp);
    *ret = caller;
    return FOUND_CALLER;
}

/* Only iOS keeps frame pointers: Apple's compilers in r7, others in r11. */
static enum cpu_found arm_frame_pointer(const struct step *s, struct mdmp_context *ret)
{
    if (s->walk->facts->system.os != MDMP_OS_IOS)
        return FOUND_NOTHING;
    enum cpu_found r7 = arm_frame_at(s, ARM_R7, ret);
    if (r7 == FOUND_CALLER)
        return r7;
    enum cpu_found r11 = arm_frame_at(s, ARM_FP, ret);
    return r11 == FOUND_NOTHING ? r7 : r11;
}

static uint64_t strip(const struct step *s, uint64_t pointer)
{
    return pointer & s->walk->pointer_mask;
}

/* An equal stack pointer is fine for leaf functions and where CFI says so. */
static bool a64_may_keep_sp(const struct step *s, const struct mdmp_context *caller,
                            enum walk_trust trust)
{
    return caller->r[A64_PC] != s->callee->r[A64_PC] &&
           (s->frame->trust == TRUST_CONTEXT || trust == TRUST_CFI);
}

/* After a frame pointer step lr is a guess; only at a function's entry may it be used. */
static bool a64_may_read(const struct step *s, uint8_t reg, uint64_t init_addr)
{
    return reg != A64_LR || s->frame->trust != TRUST_FRAME_POINTER ||
           s->frame->instruction == init_addr;
}

static void a64_after_cfi(const struct step *s, struct mdmp_context *caller)
{
    static const uint8_t pointers[] = {A64_PC, A64_LR, A64_FP};
    for (size_t i = 0; i < ARRAY_LEN(pointers); i++)
        if (caller->valid & BIT(pointers[i]))
            caller->r[pointers[i]] = strip(s, caller->r[pointers[i]]);
}

static bool a64_is_candidate(uint64_t p)
{
    return p >= 0x1000 && p <= A64_TOP;
}

static enum cpu_found a64_frame_pointer(const struct step *s, struct mdmp_context *ret)
{
    uint64_t fp, caller_fp, caller_pc, lr;
    if (!mdmp_reg_get(s->callee, A64_FP, &fp) || !(s->callee->valid & BIT(A64_SP)))
        return FOUND_NOTHING;
    if (fp == 0)
        return FOUND_END;
    if (fp > UINT64_MAX - 16 || !step_word(s, fp, &caller_fp) || !step_word(s, fp + 8, &caller_pc))
        return FOUND_NOTHING;
    caller_fp = strip(s, caller_fp);
    caller_pc = strip(s, caller_pc);
    if (caller_fp == 0 && caller_pc == 0)
        return FOUND_END;
    if (!a64_is_candidate(caller_pc))
        return FOUND_NOTHING;
    struct mdmp_context caller = step_caller(s);
    mdmp_reg_set(&caller, A64_PC, caller_pc);
    mdmp_reg_set(&caller, A64_SP, fp + 16);
    mdmp_reg_set(&caller, A64_FP, caller_fp);
    if (caller_fp && caller_fp <= UINT64_MAX - 16 && step_word(s, caller_fp + 8, &lr))
        mdmp_reg_set(&caller, A64_LR, strip(s, lr));
    *ret = caller;
    return FOUND_CALLER;
}

/* The first page is never mapped.  Code lies low in 32-bit mips, so nothing more can be asked. */
static bool mips_is_candidate(uint64_t p)
{
    return p >= 0x1000;
}

/* Callers have four words of argument space above their stack pointer. */
static size_t mips_scan_skip(const struct step *s)
{
    return s->frame->trust == TRUST_CONTEXT ? 0 : 4;
}

const struct cpu_ops cpu_arm = {
    .cpu = MDMP_CPU_ARM,
    .word_bytes = 4,
    .call_bytes = 2,
    .callee_saved = BITS(ARM_R4, ARM_R10) | BIT(ARM_FP),
    .link_register = ARM_LR,
    .may_keep_sp = leaf_may_keep_sp,
    .frame_pointer = arm_frame_pointer,
};

const struct cpu_ops cpu_arm64 = {
    .cpu = MDMP_CPU_ARM64,
    .word_bytes = 8,
    .call_bytes = 4,
    .callee_saved = BITS(A64_X19, A64_X28) | BIT(A64_FP),
    .link_register = A64_LR,
    .may_keep_sp = a64_may_keep_sp,
    .may_read = a64_may_read,
    .after_cfi = a64_after_cfi,
    .frame_pointer = a64_frame_pointer,
    .is_candidate = a64_is_candidate,
};

const struct cpu_ops cpu_mips = {
    .cpu = MDMP_CPU_MIPS,
    .word_bytes = 4,
    .call_bytes = 8,
    .callee_saved = BIT(MIPS_GP) | BIT(MIPS_FP) | BITS(MIPS_S0, MIPS_S7),
    .link_register = MIPS_RA,
    .may_keep_sp = leaf_may_keep_sp,
    .is_candidate = mips_is_candidate,
    .scan_skip = mips_scan_skip,
};

const struct cpu_ops cpu_mips64 = {
    .cpu = MDMP_CPU_MIPS64,
    .word_bytes = 8,
    .call_bytes = 8,
    .callee_saved = BIT(MIPS_GP) | BIT(MIPS_FP) | BITS(MIPS_S0, MIPS_S7),
    .link_register = MIPS_RA,
    .may_keep_sp = leaf_may_keep_sp,
    .is_candidate = mips_is_candidate,
};
