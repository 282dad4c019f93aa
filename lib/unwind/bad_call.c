/*
 * The caller after a call through a bad pointer.  The processor has jumped to an address
 * that holds no code: nothing of the callee has run, so every register still is the
 * caller's, and the return address lies where the call put it - in the link register or
 * on top of the stack.  A frame pointer would skip this caller, which is the one that used
 * the bad pointer and the one a signature needs; a scan may pass over it.
 *
 * Code that belongs to no module (a just-in-time compiler's) must not be taken for a bad
 * pointer: unless the memory map or the fault itself says that pc cannot be executed, it
 * counts as code.
 */
#include "lib/unwind/bad_call.h"

#include "lib/base/util.h"
#include "lib/minidump/context.h"
#include "lib/minidump/memory.h"

/* As dumps of the three systems say that an address could not be used: signal (Linux), exc_types.h
 * of XNU, NTSTATUS. */
enum {
    SIGNAL_BUS = 7,
    SIGNAL_SEGV = 11,
    MACH_BAD_ACCESS = 1,
    WINDOWS_ACCESS_VIOLATION = 0xc0000005,
};

/* Exceptions whose address is the memory that could not be accessed. */
static bool is_access_fault(const struct facts *f)
{
    switch (f->system.os) {
    case MDMP_OS_WINDOWS:
        return f->exception.code == WINDOWS_ACCESS_VIOLATION && f->exception.parameter_count >= 2;
    case MDMP_OS_MAC:
    case MDMP_OS_IOS:
        return f->exception.code == MACH_BAD_ACCESS;
    default:
        return f->exception.code == SIGNAL_SEGV || f->exception.code == SIGNAL_BUS;
    }
}

/* Whether pc of the first frame is known to hold no code. */
static bool is_bad_pc(const struct step *s, uint64_t pc)
{
    const struct facts *f = s->walk->facts;
    if (pc < CPU_LOWEST_PC || (s->cpu->is_candidate && !s->cpu->is_candidate(pc)))
        return true;
    const struct mdmp_mapping *map = mdmp_maps_at(&f->maps, pc);
    if (map)
        return !map->can_execute;
    if (s->frame->module != SIZE_MAX)
        return false; /* a map need not be complete */
    bool is_crashing = s->stack_index == f->crashing_thread && f->has_exception;
    return f->maps.n > 0 || (is_crashing && is_access_fault(f) && f->crash_address == pc);
}

static bool is_caller(const struct step *s, uint64_t address)
{
    const struct mdmp_mapping *map = mdmp_maps_at(&s->walk->facts->maps, address - 1);
    return step_is_return_address(s, address) ||
           (address > CPU_LOWEST_PC && map && map->can_execute);
}

bool walk_bad_call(const struct step *s, struct mdmp_context *ret)
{
    const struct mdmp_layout *layout = s->callee->layout;
    uint64_t pc, sp, address;
    if (s->frame->trust != TRUST_CONTEXT || !mdmp_reg_get(s->callee, layout->pc, &pc) ||
        !mdmp_reg_get(s->callee, layout->sp, &sp) || !is_bad_pc(s, pc))
        return false;
    bool is_on_stack = s->cpu->link_register == MDMP_REG_NONE;
    if (is_on_stack ? !step_word(s, sp, &address)
                    : !mdmp_reg_get(s->callee, s->cpu->link_register, &address))
        return false;
    if (layout->cpu == MDMP_CPU_ARM64)
        address &= s->walk->pointer_mask;
    if (!is_caller(s, address))
        return false;

    struct mdmp_context caller = *s->callee;
    mdmp_reg_set(&caller, layout->pc, address);
    if (is_on_stack)
        mdmp_reg_set(&caller, layout->sp, sp + s->cpu->word_bytes);
    else /* the call has overwritten it */
        caller.valid &= ~(UINT64_C(1) << s->cpu->link_register);
    *ret = caller;
    return true;
}
