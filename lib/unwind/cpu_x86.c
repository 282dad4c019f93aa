/*
 * x86 and amd64: frame pointers that chain through the stack, and scans that follow them.
 *
 * Code that keeps no frame pointers uses ebp and rbp for anything, so 0 in the register
 * says nothing by itself.  At the end of a chain it does: the ABIs of both CPUs mark the
 * oldest frame with a saved frame pointer of 0.
 */
#include "lib/unwind/cpu.h"

#include "lib/base/util.h"
#include "lib/minidump/context.h"
#include "lib/unwind/x86_win.h"

/* Indices of the registers in their layouts (report order). */
enum { EIP, ESP, EBP, EBX, ESI, EDI };
enum { RBX = 3, RSI = 4, RDI = 5, RBP = 6, RSP = 7, R12 = 12, R15 = 15, RIP = 16 };

enum {
    FRAME_GAP_MAX = 128 << 10,  /* no frame is larger, for guessing: Breakpad's number */
    WINDOWS_FRAME_OFFSETS = 16, /* the frame register points up to 240 bytes into the frame */
    WINDOWS_FRAME_STEP = 16,
};

#define BIT(reg) (UINT64_C(1) << (reg))

/*
 * [ebp] is the caller's ebp and [ebp + 4] the return address.  Nothing is checked beyond their
 * being in the stack: code without frame pointers uses ebp as it likes, and then the caller's pc is
 * in no module and the walk ends there or scans, as other walkers do.
 */
static enum cpu_found x86_frame_pointer(const struct step *s, struct mdmp_context *ret)
{
    uint64_t ebp, caller_eip, caller_ebp;
    if (!mdmp_reg_get(s->callee, EBP, &ebp))
        return FOUND_NOTHING;
    if (ebp == 0 && s->frame->trust == TRUST_FRAME_POINTER)
        return FOUND_END;
    if (ebp >= UINT32_MAX - 8 || !step_word(s, ebp, &caller_ebp) ||
        !step_word(s, ebp + 4, &caller_eip))
        return FOUND_NOTHING;
    struct mdmp_context caller = step_caller(s);
    mdmp_reg_set(&caller, EIP, caller_eip);
    mdmp_reg_set(&caller, ESP, ebp + 8);
    mdmp_reg_set(&caller, EBP, caller_ebp);
    *ret = caller;
    return FOUND_CALLER;
}

/* A frame pointer saved by a callee points further up the same stack, and not absurdly far. */
static bool is_plausible_saved_bp(const struct step *s, uint64_t slot, uint64_t bp)
{
    return bp > slot + s->cpu->word_bytes && bp - slot <= FRAME_GAP_MAX && step_in_stack(s, bp);
}

/*
 * A return address was found at `at`.  The word below it may be the saved frame
 * pointer; otherwise the callee's may still be the caller's.
 */
static void recover_bp(const struct step *s, uint64_t at, size_t word_index, uint8_t bp_reg,
                       bool must_be_callees, struct mdmp_context *caller)
{
    uint64_t slot = at - s->cpu->word_bytes, saved, callee_bp = 0;
    bool has_callee_bp = mdmp_reg_get(s->callee, bp_reg, &callee_bp);
    if (word_index > 0 && step_word(s, slot, &saved) && is_plausible_saved_bp(s, slot, saved) &&
        (!must_be_callees || (has_callee_bp && callee_bp == slot)))
        mdmp_reg_set(caller, bp_reg, saved);
    else if (has_callee_bp && callee_bp >= at + s->cpu->word_bytes && step_in_stack(s, callee_bp))
        mdmp_reg_set(caller, bp_reg, callee_bp);
}

static void x86_scan_frame_pointer(const struct step *s, uint64_t at, size_t word_index,
                                   struct mdmp_context *caller)
{
    recover_bp(s, at, word_index, EBP, false, caller);
}

/*
 * Bit 47 must be repeated in all higher bits; the processor faults on any other address (with four-
 * level page tables, which every user space gets unless it asks for more).
 */
static bool is_canonical(uint64_t p)
{
    return p <= UINT64_C(0x7fffffffffff) || p >= UINT64_C(0xffff800000000000);
}

/*
 * Stricter than on x86, because amd64 compilers leave frame pointers out by default: the saved
 * frame pointer must lie above the record, in the stack, and the return address must be canonical.
 */
static bool amd64_frame_at(const struct step *s, uint64_t rbp, struct mdmp_context *ret,
                           bool *ret_read_failed)
{
    uint64_t rsp, caller_rip, caller_rbp;
    *ret_read_failed = rbp > UINT64_MAX - 16 || !mdmp_reg_get(s->callee, RSP, &rsp) ||
                       !step_word(s, rbp, &caller_rbp) || !step_word(s, rbp + 8, &caller_rip);
    if (*ret_read_failed)
        return false;
    uint64_t caller_rsp = rbp + 16;
    if (caller_rbp < caller_rsp || !step_in_stack(s, caller_rbp) || !is_canonical(caller_rip) ||
        caller_rsp <= rsp || !step_in_stack(s, caller_rsp))
        return false;
    struct mdmp_context caller = step_caller(s);
    mdmp_reg_set(&caller, RIP, caller_rip);
    mdmp_reg_set(&caller, RSP, caller_rsp);
    mdmp_reg_set(&caller, RBP, caller_rbp);
    *ret = caller;
    return true;
}

/*
 * On Windows UWOP_SET_FPREG lets rbp point into the frame, up to 240 bytes above its bottom in
 * steps of 16, so those places are tried in turn.
 */
static enum cpu_found amd64_frame_pointer(const struct step *s, struct mdmp_context *ret)
{
    uint64_t rbp;
    if (!mdmp_reg_get(s->callee, RBP, &rbp))
        return FOUND_NOTHING;
    bool is_windows = s->walk->facts->system.os == MDMP_OS_WINDOWS;
    for (unsigned i = 0; i < (is_windows ? WINDOWS_FRAME_OFFSETS : 1); i++) {
        bool read_failed;
        uint64_t at = rbp + i * WINDOWS_FRAME_STEP;
        if (amd64_frame_at(s, at, ret, &read_failed))
            return FOUND_CALLER;
        if (read_failed)
            return FOUND_NOTHING;
    }
    return FOUND_NOTHING;
}

static void amd64_scan_frame_pointer(const struct step *s, uint64_t at, size_t word_index,
                                     struct mdmp_context *caller)
{
    recover_bp(s, at, word_index, RBP, true, caller);
}

static void amd64_after_cfi(const struct step *s, struct mdmp_context *caller)
{
    /* Windows functions give these two back as well. */
    if (s->walk->facts->system.os != MDMP_OS_WINDOWS)
        return;
    for (int reg = RSI; reg <= RDI; reg++)
        if (!(caller->valid & BIT(reg)) && s->callee->valid & BIT(reg))
            mdmp_reg_set(caller, (uint8_t)reg, s->callee->r[reg]);
}

const struct cpu_ops cpu_x86 = {
    .cpu = MDMP_CPU_X86,
    .word_bytes = 4,
    .call_bytes = 1,
    .callee_saved = BIT(EBP) | BIT(EBX) | BIT(ESI) | BIT(EDI),
    .link_register = MDMP_REG_NONE,
    .windows_cfi = x86_windows_cfi,
    .frame_pointer = x86_frame_pointer,
    .scan_frame_pointer = x86_scan_frame_pointer,
};

const struct cpu_ops cpu_amd64 = {
    .cpu = MDMP_CPU_AMD64,
    .word_bytes = 8,
    .call_bytes = 1,
    .callee_saved = BIT(RBX) | BIT(RBP) | BIT(R12) | BIT(R12 + 1) | BIT(R12 + 2) | BIT(R15),
    .link_register = MDMP_REG_NONE,
    .after_cfi = amd64_after_cfi,
    .frame_pointer = amd64_frame_pointer,
    .is_candidate = is_canonical,
    .scan_frame_pointer = amd64_scan_frame_pointer,
};
