/*
 * From Zydis' decoded operands to ours.  A decoder of our own knew four fifths of the memory
 * operands in a libc (no EVEX) and one CPU, and typed accesses by a table of mnemonics; Zydis knows
 * all of them and says of each operand whether it is read, written or both.
 *
 * Three kinds of memory operand touch nothing and are left out: addresses only computed (lea, and
 * the multi-byte nops), prefetches (they never fault), and bounds of MPX.
 *
 * The text is in the style of the stack walkers that reports are compared with: Intel order, the
 * size as a word before the bracket, hexadecimal numbers without padding.
 */
#include "lib/unwind/insn.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/base/util.h"

/* Zydis decodes by machine mode; 16-bit code and other CPUs are left alone. */
static bool is_mode_of(const struct mdmp_layout *layout, ZydisMachineMode *mode,
                       ZydisStackWidth *stack)
{
    if (!layout || (layout->cpu != MDMP_CPU_AMD64 && layout->cpu != MDMP_CPU_X86))
        return false;
    bool is_64 = layout->cpu == MDMP_CPU_AMD64;
    *mode = is_64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32;
    *stack = is_64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32;
    return true;
}

struct decoded {
    const struct mdmp_layout *layout;
    ZydisMachineMode mode;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

/* Index in the context of the register that holds this one ("al" is in "rax"). */
static uint8_t layout_reg(const struct decoded *d, ZydisRegister reg)
{
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(d->mode, reg);
    const char *name = ZydisRegisterGetString(whole == ZYDIS_REGISTER_NONE ? reg : whole);
    return name ? mdmp_reg_index(d->layout, str_of(name)) : MDMP_REG_NONE;
}

static bool is_stack_pointer(ZydisRegister reg)
{
    return reg == ZYDIS_REGISTER_RSP || reg == ZYDIS_REGISTER_ESP || reg == ZYDIS_REGISTER_SP;
}

/* Contexts have no bases of fs and gs, where threads keep their own data; the others are 0. */
static bool has_segment_base(ZydisRegister segment)
{
    return segment == ZYDIS_REGISTER_FS || segment == ZYDIS_REGISTER_GS;
}

static bool touches_nothing(const struct decoded *d, const ZydisDecodedOperand *o)
{
    return o->mem.type == ZYDIS_MEMOP_TYPE_AGEN || o->mem.type == ZYDIS_MEMOP_TYPE_MIB ||
           d->insn.meta.category == ZYDIS_CATEGORY_PREFETCH ||
           d->insn.meta.category == ZYDIS_CATEGORY_WIDENOP ||
           d->insn.mnemonic == ZYDIS_MNEMONIC_NOP;
}

static struct insn_memory memory_of(const struct decoded *d, const ZydisDecodedOperand *o)
{
    struct insn_memory m = {
        .bytes = (uint16_t)(o->size / 8),
        .base = layout_reg(d, o->mem.base),
        .index = layout_reg(d, o->mem.index),
        .scale = o->mem.scale,
        .displacement = o->mem.disp.has_displacement ? o->mem.disp.value : 0,
        .has_address = !has_segment_base(o->mem.segment) && o->mem.type != ZYDIS_MEMOP_TYPE_VSIB,
    };
    if (o->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
        m.actions |= INSN_READS;
    if (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
        m.actions |= INSN_WRITES;
    /* What push and call write lies below the stack pointer, which the crashed instruction has not
     * moved yet; leave reads where the frame pointer points. */
    bool is_hidden_stack =
        o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && is_stack_pointer(o->mem.base);
    if (is_hidden_stack && m.actions == INSN_WRITES)
        m.displacement -= m.bytes;
    else if (is_hidden_stack && d->insn.mnemonic == ZYDIS_MNEMONIC_LEAVE)
        m.base = d->layout->fp;
    return m;
}

/*
 * What the instruction does to the program counter, from Zydis' category, which holds for all
 * encodings of a mnemonic.
 */
static enum insn_flow flow_of(const ZydisDecodedInstruction *i)
{
    switch (i->meta.category) {
    case ZYDIS_CATEGORY_CALL:
        return INSN_CALL;
    case ZYDIS_CATEGORY_UNCOND_BR:
        return INSN_JUMP;
    case ZYDIS_CATEGORY_RET:
        return INSN_RETURN;
    case ZYDIS_CATEGORY_COND_BR:
        return INSN_BRANCH;
    default:
        return INSN_NEXT;
    }
}

/* Memory operands and, of near calls and jumps, what they go through. */
static void read_operands(const struct decoded *d, struct insn *i)
{
    bool is_near_jump = (i->flow == INSN_CALL || i->flow == INSN_JUMP) &&
                        d->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR;
    for (size_t k = 0; k < d->insn.operand_count; k++) {
        const ZydisDecodedOperand *o = &d->operands[k];
        bool is_target = is_near_jump && k == 0;
        if (is_target && o->type == ZYDIS_OPERAND_TYPE_REGISTER)
            i->target_reg = layout_reg(d, o->reg.value);
        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || touches_nothing(d, o) ||
            i->memory_count == INSN_MEMORY_MAX)
            continue;
        if (is_target)
            i->target_memory = i->memory_count;
        i->memory[i->memory_count++] = memory_of(d, o);
    }
}

static const char *size_word(unsigned bits)
{
    static const struct {
        unsigned bits;
        const char *word;
    } words[] = {{8, "byte "},   {16, "word "},     {32, "dword "},    {64, "qword "},
                 {80, "tword "}, {128, "xmmword "}, {256, "ymmword "}, {512, "zmmword "}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (words[i].bits == bits)
            return words[i].word;
    return "";
}

/* "-0x8"; with a plus sign where a sign must stand. */
static void put_number(struct strbuf *b, int64_t v, const char *minus, const char *plus)
{
    sb_printf(b, "%s0x%llx", v < 0 ? minus : plus,
              (unsigned long long)(v < 0 ? 0 - (uint64_t)v : (uint64_t)v));
}

static void put_memory(struct strbuf *b, const ZydisDecodedOperand *o)
{
    if (o->mem.type != ZYDIS_MEMOP_TYPE_AGEN)
        sb_text(b, size_word(o->size));
    if (has_segment_base(o->mem.segment))
        sb_printf(b, "%s:", ZydisRegisterGetString(o->mem.segment));
    sb_char(b, '[');
    const char *separator = "";
    if (o->mem.base != ZYDIS_REGISTER_NONE) {
        sb_text(b, ZydisRegisterGetString(o->mem.base));
        separator = " + ";
    }
    if (o->mem.index != ZYDIS_REGISTER_NONE) {
        sb_printf(b, "%s%s * %u", separator, ZydisRegisterGetString(o->mem.index), o->mem.scale);
        separator = " + ";
    }
    if (*separator == '\0')
        sb_printf(b, "0x%llx", (unsigned long long)o->mem.disp.value);
    else if (o->mem.disp.has_displacement && o->mem.disp.value)
        put_number(b, o->mem.disp.value, " - ", " + ");
    sb_char(b, ']');
}

static void put_operand(struct strbuf *b, const ZydisDecodedOperand *o)
{
    switch (o->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
        sb_text(b, ZydisRegisterGetString(o->reg.value));
        break;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        put_memory(b, o);
        break;
    case ZYDIS_OPERAND_TYPE_POINTER:
        sb_printf(b, "0x%x:0x%x", o->ptr.segment, o->ptr.offset);
        break;
    default:
        if (o->imm.is_relative)
            put_number(b, o->imm.value.s, "$-", "$+");
        else if (o->imm.is_signed)
            put_number(b, o->imm.value.s, "-", "");
        else
            sb_printf(b, "0x%llx", (unsigned long long)o->imm.value.u);
    }
}

/* What the manuals write (k0 as a mask means none), and the pointers that string instructions take
 * for granted. */
static bool is_shown(const struct decoded *d, const ZydisDecodedOperand *o)
{
    if (o->encoding == ZYDIS_OPERAND_ENCODING_MASK && o->reg.value == ZYDIS_REGISTER_K0)
        return false;
    return o->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN ||
           (d->insn.meta.category == ZYDIS_CATEGORY_STRINGOP &&
            o->type == ZYDIS_OPERAND_TYPE_MEMORY);
}

static void write_assembly(const struct decoded *d, struct insn *i)
{
    STRBUF_AUTO b;
    sb_init(&b, 512);
    sb_text(&b, i->name);
    const char *separator = " ";
    for (size_t k = 0; k < d->insn.operand_count; k++) {
        if (!is_shown(d, &d->operands[k]))
            continue;
        sb_text(&b, separator);
        put_operand(&b, &d->operands[k]);
        separator = ", ";
    }
    snprintf(i->text, sizeof i->text, "%s", sb_cstr(&b));
}

/*
 * Fewer bytes than an instruction may have are given where the dump's memory ends there; Zydis then
 * says that it needs more, which counts as not decoded.
 */
bool insn_decode(struct rd bytes, const struct mdmp_layout *layout, struct insn *ret)
{
    ZydisDecoder decoder;
    ZydisStackWidth stack;
    struct decoded d = {.layout = layout};
    size_t n = MIN(rd_left(&bytes), (size_t)ZYDIS_MAX_INSTRUCTION_LENGTH);
    const uint8_t *p = rd_bytes(&bytes, n);
    if (!p || !is_mode_of(layout, &d.mode, &stack) ||
        !ZYAN_SUCCESS(ZydisDecoderInit(&decoder, d.mode, stack)) ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, p, n, &d.insn, d.operands)))
        return false;
    struct insn i = {
        .bytes = d.insn.length,
        .address_mask =
            d.insn.address_width >= 64 ? UINT64_MAX : (1ull << d.insn.address_width) - 1,
        .flow = flow_of(&d.insn),
        .target_reg = MDMP_REG_NONE,
        .target_memory = SIZE_MAX,
    };
    snprintf(i.name, sizeof i.name, "%s", ZydisMnemonicGetString(d.insn.mnemonic));
    read_operands(&d, &i);
    write_assembly(&d, &i);
    *ret = i;
    return true;
}

/*
 * Computed modulo the address size of the instruction, as the processor does: a 32-bit operand in
 * 64-bit code (prefix 67) wraps at 4 GiB.
 */
uint64_t insn_address(const struct insn *i, const struct insn_memory *m,
                      const struct mdmp_context *c)
{
    uint64_t address = (uint64_t)m->displacement;
    if (m->base != MDMP_REG_NONE)
        address += c->r[m->base];
    if (m->index != MDMP_REG_NONE)
        address += c->r[m->index] * m->scale;
    return address & i->address_mask;
}
