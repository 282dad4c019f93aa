/*
 * What the crashing instruction says (x86 and amd64): it is decoded, and what it was about to do is
 * held against what the exception and the memory map say.  Zydis tells of each memory operand
 * whether it is read or written, so every instruction counts, not a table of the commonest.
 */
#include "lib/unwind/analysis.h"

#include <stdio.h>

#include "lib/base/rd.h"
#include "lib/base/util.h"
#include "lib/minidump/memory.h"
#include "lib/unwind/fault.h"
#include "lib/unwind/insn.h"

enum {
    GUARD_PAGES_MAX = 32 << 10, /* guard areas are a page or a few */
    VECTOR_BYTES_MIN = 16,      /* of SSE; wider registers come in multiples of it */
};

/*
 * What may raise "privileged instruction"; mov because of control registers.  A '*' at the end
 * stands for any rest.
 */
static const char *const privileged[] = {
    "cli",    "clts",    "hlt",     "in",      "ins",     "int",      "into",
    "invd",   "invept",  "invlpg",  "invvpid", "iret*",   "lgdt",     "lidt",
    "lldt",   "lmsw",    "ltr",     "monitor", "mov",     "mwait",    "out",
    "outs",   "rdmsr",   "rdpmc",   "rdtsc",   "rdtscp",  "retf",     "sti",
    "swapgs", "sysexit", "sysret",  "vmcall",  "vmclear", "vmfunc",   "vmlaunch",
    "vmload", "vmmcall", "vmptrld", "vmptrst", "vmread",  "vmresume", "vmrun",
    "vmsave", "vmwrite", "vmxoff",  "vmxon",   "wbinvd",  "wrmsr",    "xsetbv",
};

const char *access_kind_name(enum access_kind kind)
{
    static const char *const names[] = {NULL, "read", "write", "readwrite"};
    return names[kind];
}

static bool is_accessible(const struct mdmp_mapping *m)
{
    return m && (m->can_read || m->can_write || m->can_execute);
}

/* A small area without any access that touches one with some. */
static bool is_guard_page(const struct facts *f, uint64_t address)
{
    const struct mdmp_mapping *m = mdmp_maps_at(&f->maps, address);
    if (!m || is_accessible(m) || m->size >= GUARD_PAGES_MAX)
        return false;
    return (m->base > 0 && is_accessible(mdmp_maps_at(&f->maps, m->base - 1))) ||
           is_accessible(mdmp_maps_at(&f->maps, m->base + m->size));
}

/* An instruction that Zydis lists with no action on an operand only names the memory. */
static enum access_kind kind_of(const struct insn_memory *m)
{
    switch (m->actions) {
    case INSN_READS:
        return ACCESS_READ;
    case INSN_WRITES:
        return ACCESS_WRITE;
    case INSN_READS | INSN_WRITES:
        return ACCESS_READWRITE;
    default:
        return ACCESS_UNKNOWN;
    }
}

/* All or nothing: with one address unknown, what the others say would look like the whole truth. */
static void find_accesses(const struct facts *f, const struct mdmp_context *c, const struct insn *i,
                          struct analysis *a)
{
    for (size_t k = 0; k < i->memory_count; k++)
        if (!i->memory[k].has_address)
            return;
    a->has_accesses = true;
    for (size_t k = 0; k < i->memory_count; k++) {
        const struct insn_memory *m = &i->memory[k];
        uint64_t address = insn_address(i, m, c);
        a->accesses[a->access_count++] = (struct memory_access){
            .address = address,
            .bytes = m->bytes,
            .kind = kind_of(m),
            .is_guard_page = is_guard_page(f, address),
            .has_null_base = m->base != MDMP_REG_NONE && c->r[m->base] == 0,
        };
    }
}

/* Where the instruction sends the program counter, when the registers and the dump tell. */
static void find_update(const struct facts *f, const struct mdmp_context *c, const struct insn *i,
                        struct analysis *a)
{
    uint8_t word = c->layout->word_bytes;
    if (i->flow == INSN_RETURN) {
        a->has_update = mdmp_memory_uint(&f->memory, c->r[c->layout->sp], word, &a->update);
    } else if (i->target_reg != MDMP_REG_NONE) {
        a->has_update = true;
        a->update = c->r[i->target_reg];
    } else if (i->target_memory < i->memory_count && i->memory[i->target_memory].has_address) {
        uint64_t at = insn_address(i, &i->memory[i->target_memory], c);
        a->has_update = mdmp_memory_uint(&f->memory, at, word, &a->update);
    }
    a->update_is_guard_page = a->has_update && is_guard_page(f, a->update);
}

/*
 * Two kinds of addresses hide the real fault.  A null pointer with an offset looks like a small
 * address (or, with an index, like any address): the base register tells.  And for a non-canonical
 * address the processor does not report which one it was, so the operating system reports 0 or all
 * ones; the operands tell.
 */
static void adjust(const struct facts *f, struct analysis *a)
{
    for (size_t k = 0; k < a->access_count; k++) {
        if (a->accesses[k].has_null_base) {
            a->adjustment = ADJUST_NULL_POINTER;
            a->adjusted = a->accesses[k].address;
            return;
        }
    }
    if (a->has_update && a->update == 0) {
        a->adjustment = ADJUST_NULL_POINTER;
        return;
    }
    if (!fault_is_hidden_address(f))
        return;
    for (size_t k = 0; k <= a->access_count; k++) {
        bool is_update = k == a->access_count;
        uint64_t address = is_update ? a->update : a->accesses[k].address;
        if ((is_update && !a->has_update) || !fault_is_non_canonical(address))
            continue;
        a->adjustment = ADJUST_NON_CANONICAL;
        a->adjusted = address;
        return;
    }
}

static bool is_privileged(const struct insn *i)
{
    for (size_t k = 0; k < ARRAY_LEN(privileged); k++) {
        size_t n = strlen(privileged[k]);
        if (privileged[k][n - 1] == '*' ? strncmp(i->name, privileged[k], n - 1) == 0
                                        : strcmp(i->name, privileged[k]) == 0)
            return true;
    }
    return false;
}

static bool is_covered(const struct analysis *a, uint64_t address, enum access_kind kind)
{
    for (size_t k = 0; k < a->access_count; k++) {
        const struct memory_access *m = &a->accesses[k];
        bool fits = kind == ACCESS_UNKNOWN || m->kind == kind || m->kind == ACCESS_READWRITE;
        if (fits && address >= m->address && address - m->address < MAX(m->bytes, 1))
            return true;
    }
    return false;
}

/*
 * Vector instructions want their operand on a multiple of its size, and fault like a bad address
 * when it is not.
 */
static bool may_be_misaligned(const struct analysis *a)
{
    for (size_t k = 0; k < a->access_count; k++)
        if (a->accesses[k].bytes >= VECTOR_BYTES_MIN &&
            a->accesses[k].address % a->accesses[k].bytes != 0)
            return true;
    return false;
}

static bool any_non_canonical(const struct analysis *a)
{
    for (size_t k = 0; k < a->access_count; k++)
        if (fault_is_non_canonical(a->accesses[k].address))
            return true;
    return a->has_update && fault_is_non_canonical(a->update);
}

static bool is_allowed(const struct facts *f, enum operation op)
{
    const struct mdmp_mapping *m = mdmp_maps_at(&f->maps, f->crash_address);
    return m && ((op == OP_READ && m->can_read) || (op == OP_WRITE && m->can_write) ||
                 (op == OP_EXECUTE && m->can_execute));
}

/*
 * The exception names a kind of access at an address: is there such an operand? A stack overflow
 * must come from an instruction that touches memory.
 */
static bool is_crashing_access_lost(const struct facts *f, const struct mdmp_context *c,
                                    const struct insn *i, const struct analysis *a,
                                    enum operation op)
{
    if (op == OP_EXECUTE)
        return c->r[c->layout->pc] != f->crash_address;
    if (!i || !a->has_accesses)
        return false;
    if (op == OP_READ || op == OP_WRITE)
        return !is_covered(a, f->crash_address, op == OP_READ ? ACCESS_READ : ACCESS_WRITE);
    return fault_is_windows(f, WINDOWS_STACK_OVERFLOW) && a->access_count == 0;
}

static void contradict(struct analysis *a, bool is_true, const char *what)
{
    if (is_true)
        a->inconsistencies[a->inconsistency_count++] = what;
}

/* i NULL: the instruction is not known. */
static void find_inconsistencies(const struct facts *f, const struct mdmp_context *c,
                                 const struct insn *i, struct analysis *a)
{
    contradict(a,
               i && fault_is_divide_by_zero(f) && strcmp(i->name, "div") != 0 &&
                   strcmp(i->name, "idiv") != 0,
               "int_div_by_zero_not_possible");
    contradict(a, i && fault_is_windows(f, WINDOWS_PRIVILEGED) && !is_privileged(i),
               "priv_instruction_crash_without_priv_instruction");
    if (f->system.os != MDMP_OS_WINDOWS)
        return;
    enum operation op =
        fault_is_windows(f, WINDOWS_ACCESS_VIOLATION) ? fault_operation(f) : OP_UNKNOWN;
    if (fault_is_hidden_address(f)) {
        contradict(a,
                   i && a->has_accesses && !is_covered(a, f->crash_address, ACCESS_UNKNOWN) &&
                       !may_be_misaligned(a) && !any_non_canonical(a),
                   "non_canonical_address_falsely_reported");
        return;
    }
    contradict(a, op != OP_UNKNOWN && is_allowed(f, op), "access_violation_when_access_allowed");
    contradict(a, is_crashing_access_lost(f, c, i, a, op),
               "crashing_access_not_found_in_memory_accesses");
}

/* The address that faulted, the beginning of the access it lies in if one is known. */
static uint64_t faulting_address(const struct facts *f, const struct analysis *a,
                                 uint64_t *ret_bytes)
{
    uint64_t at = a->adjustment == ADJUST_NON_CANONICAL ? a->adjusted : f->crash_address;
    *ret_bytes = 0;
    for (size_t k = 0; k < a->access_count; k++) {
        const struct memory_access *m = &a->accesses[k];
        if (at >= m->address && at - m->address < MAX(m->bytes, 1)) {
            *ret_bytes = m->bytes;
            return m->address;
        }
    }
    return at;
}

/* Base and index registers of the memory operands, each once. */
static size_t address_registers(const struct mdmp_context *c, const struct insn *i, uint8_t *out)
{
    size_t n = 0;
    for (size_t k = 0; k < i->memory_count; k++) {
        const uint8_t pair[] = {i->memory[k].base, i->memory[k].index};
        for (size_t p = 0; p < 2; p++)
            if (pair[p] != MDMP_REG_NONE && pair[p] != c->layout->pc && !memchr(out, pair[p], n))
                out[n++] = pair[p];
    }
    return n;
}

/* i NULL: the instruction is not known, and only the address itself is looked at. */
static void find_flips(const struct facts *f, const struct mdmp_context *c, const struct insn *i,
                       struct analysis *a)
{
    uint8_t registers[2 * INSN_MEMORY_MAX];
    struct flip_suspect suspects[1 + ARRAY_LEN(registers)];
    uint64_t access_bytes;
    if (f->maps.n == 0 || a->adjustment == ADJUST_NULL_POINTER)
        return;
    size_t n = 0, register_count = i ? address_registers(c, i, registers) : 0;
    suspects[n++] = (struct flip_suspect){faulting_address(f, a, &access_bytes), MDMP_REG_NONE};
    for (size_t k = 0; k < register_count; k++)
        suspects[n++] = (struct flip_suspect){c->r[registers[k]], registers[k]};
    a->flip_count = bit_flips_find(f, c, suspects, n, access_bytes, a->flips);
}

static bool decode_at_pc(const struct facts *f, const struct mdmp_context *c, struct insn *ret)
{
    uint64_t pc = c->r[c->layout->pc];
    const struct mdmp_region *region = mdmp_memory_at(&f->memory, pc);
    if (!region)
        return false;
    size_t off = (size_t)(pc - region->base);
    return insn_decode(rd_try_window(&region->bytes, off, region->bytes.n - off), c->layout, ret);
}

void analysis_run(const struct facts *f, const struct mdmp_context *c, struct analysis *ret)
{
    *ret = (struct analysis){0};
    bool is_x86 = f->system.cpu == MDMP_CPU_AMD64 || f->system.cpu == MDMP_CPU_X86;
    if (!f->has_exception || !c || !is_x86)
        return;
    struct insn i = {0};
    ret->has_instruction = decode_at_pc(f, c, &i);
    if (ret->has_instruction) {
        snprintf(ret->instruction, sizeof ret->instruction, "%s", i.text);
        find_accesses(f, c, &i, ret);
        find_update(f, c, &i, ret);
        adjust(f, ret);
    }
    const struct insn *known = ret->has_instruction ? &i : NULL;
    if (f->system.cpu == MDMP_CPU_AMD64) /* 32-bit address spaces are too full for it */
        find_flips(f, c, known, ret);
    find_inconsistencies(f, c, known, ret);
}
