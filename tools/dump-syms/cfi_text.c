/*
 * DWARF expressions as the postfix text of STACK CFI records, which knows + - * / % @ ^ only.  The
 * expression is run with texts instead of values: each place of the stack holds the text that
 * computes it.  Linkers' PLT entries are the expressions that occur in practice; they test bits,
 * which is said with arithmetic here.  What cannot be said fails, and the rule becomes .undef.
 *
 * Texts are put together from left to right and never taken apart again.  An upper bound goes with
 * each, because some bit operations equal arithmetic only below a bound; a value from a register or
 * memory has none.
 */
#include "tools/dump-syms/cfi_text.h"

#include <dwarf.h>
#include <elf.h>
#include <inttypes.h>

#include "lib/base/util.h"

/*
 * The linker's expression for a PLT is nine operations, three places deep and thirty bytes as text;
 * these are some multiple of that.  An expression that grows beyond cannot be said and becomes
 * .undef.
 */
enum { STACK_MAX = 16, VALUE_BYTES_MAX = 160, STEPS_MAX = 64 };

/*
 * LEB128 (DWARF 5, 7.6): seven bits a byte, the lowest first.  Bits beyond 64 are dropped; the
 * number still ends where the file says, so that what follows is read in its place.
 */
uint64_t cfi_uleb(struct rd *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; rd_ok(r); shift += 7) {
        uint8_t byte = rd_u8(r);
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            break;
    }
    return value;
}

int64_t cfi_sleb(struct rd *r)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte = 0x80;
    while (rd_ok(r) && (byte & 0x80)) {
        byte = rd_u8(r);
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    }
    if (shift < 64 && (byte & 0x40))
        value |= ~(uint64_t)0 << shift;
    return (int64_t)value;
}

/*
 * By the numbers of DWARF, which every architecture gives in an order of its own: System V ABI for
 * AMD64 and i386, "DWARF Register Number Mapping"; DWARF for the Arm Architecture, for arm and
 * arm64.  The spelling is Breakpad's, with $ on x86 and amd64 alone.
 */
static const char *const amd64[] = {"$rax", "$rdx", "$rcx", "$rbx", "$rsi", "$rdi",
                                    "$rbp", "$rsp", "$r8",  "$r9",  "$r10", "$r11",
                                    "$r12", "$r13", "$r14", "$r15", "$rip"};
static const char *const x86[] = {"$eax", "$ecx", "$edx", "$ebx", "$esp",
                                  "$ebp", "$esi", "$edi", "$eip"};
static const char *const arm[] = {"r0", "r1", "r2",  "r3",  "r4",  "r5", "r6", "r7",
                                  "r8", "r9", "r10", "r11", "r12", "sp", "lr", "pc"};
static const char *const arm64[] = {"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",
                                    "x8",  "x9",  "x10", "x11", "x12", "x13", "x14", "x15",
                                    "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",
                                    "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp"};

static const struct {
    uint16_t machine;
    const char *const *names;
    size_t count;
} registers[] = {
    {EM_X86_64, amd64, ARRAY_LEN(amd64)},
    {EM_386, x86, ARRAY_LEN(x86)},
    {EM_ARM, arm, ARRAY_LEN(arm)},
    {EM_AARCH64, arm64, ARRAY_LEN(arm64)},
};

const char *cfi_register_name(uint16_t machine, uint64_t number)
{
    for (size_t i = 0; i < ARRAY_LEN(registers); i++)
        if (registers[i].machine == machine)
            return number < registers[i].count ? registers[i].names[number] : NULL;
    return NULL;
}

/*
 * A value of the DWARF stack as text.  `max` is an upper bound: with it, the bit
 * operations of the linker's PLT entries can be said with division and remainder.
 */
struct value {
    char text[VALUE_BYTES_MAX];
    uint64_t max;
    bool is_constant;
    uint64_t constant;
};

struct expr_machine {
    struct rd code;
    uint16_t elf_machine;
    uint8_t addr_size;
    struct value stack[STACK_MAX];
    size_t depth;
};

static bool push_value(struct expr_machine *m, struct value v)
{
    if (m->depth == STACK_MAX)
        return false;
    m->stack[m->depth++] = v;
    return true;
}

static bool push_constant(struct expr_machine *m, uint64_t n)
{
    struct value v = {.max = n, .is_constant = true, .constant = n};
    snprintf(v.text, sizeof v.text, "%" PRId64, (int64_t)n);
    return push_value(m, v);
}

static bool push_text(struct expr_machine *m, const char *text, uint64_t max)
{
    struct value v = {.max = max};
    snprintf(v.text, sizeof v.text, "%s", text);
    return push_value(m, v);
}

/*
 * Replaces the two topmost values by "a b operator".  `b_text` may be another text than the value's
 * own, for operations that are imitated.
 */
static bool binary(struct expr_machine *m, const char *b_text, char operator, uint64_t max)
{
    struct value *a = &m->stack[m->depth - 2];
    size_t n = strlen(a->text);
    int more = snprintf(a->text + n, sizeof a->text - n, " %s %c", b_text, operator);
    a->max = max;
    a->is_constant = false;
    m->depth--;
    return more > 0 && (size_t)more < sizeof a->text - n;
}

/*
 * Bit operations with a constant that arithmetic can imitate; everything else fails.  What has to
 * be said is the CFA in the linker's PLT, $rsp + 8 + ((($rip & 15) >= 11) << 3): the first eleven
 * bytes of an entry have pushed nothing yet.  There x & 15 is x % 16; y >= 11 is y / 11 as long as
 * y < 22, which the bound of the remainder shows; and << 3 is * 8.
 */
static bool bits(struct expr_machine *m, uint8_t op)
{
    const struct value *a = &m->stack[m->depth - 2], *b = &m->stack[m->depth - 1];
    char number[24];
    uint64_t c = b->constant;
    if (!b->is_constant)
        return false;
    if (op == DW_OP_and && c < UINT32_MAX && (c & (c + 1)) == 0) { /* low bits */
        snprintf(number, sizeof number, "%" PRIu64, c + 1);
        return binary(m, number, '%', c);
    }
    if (op == DW_OP_ge && c > 0 && a->max < 2 * c && c < UINT32_MAX)
        return binary(m, b->text, '/', 1); /* 0 or 1 */
    if (op == DW_OP_shl && c < 32) {
        snprintf(number, sizeof number, "%" PRIu64, (uint64_t)1 << c);
        return binary(m, number, '*', a->max < UINT32_MAX ? a->max << c : UINT64_MAX);
    }
    return false;
}

/* The value at that address; DW_OP_deref reads as many bytes as an address has, and so does '^'. */
static bool dereference(struct expr_machine *m)
{
    struct value *a = &m->stack[m->depth - 1];
    size_t n = strlen(a->text);
    a->max = UINT64_MAX;
    a->is_constant = false;
    return snprintf(a->text + n, sizeof a->text - n, " ^") < (int)(sizeof a->text - n);
}

/*
 * A register and an offset in one operation.  Registers of the text are those of the frame that is
 * unwound, as they are in DWARF.
 */
static bool push_register(struct expr_machine *m, uint64_t number, int64_t offset)
{
    const char *name = cfi_register_name(m->elf_machine, number);
    char text[VALUE_BYTES_MAX];
    if (!name)
        return false;
    if (offset)
        snprintf(text, sizeof text, "%s %" PRId64 " +", name, offset);
    return push_text(m, offset ? text : name, UINT64_MAX);
}

/* Constants: the operation says how they are stored. */
static bool constant(struct expr_machine *m, uint8_t op)
{
    struct rd *r = &m->code;
    switch (op) {
    case DW_OP_addr:
        return push_constant(m, m->addr_size == 8 ? rd_u64(r) : rd_u32(r));
    case DW_OP_const1u:
        return push_constant(m, rd_u8(r));
    case DW_OP_const1s:
        return push_constant(m, (uint64_t)(int8_t)rd_u8(r));
    case DW_OP_const2u:
        return push_constant(m, rd_u16(r));
    case DW_OP_const2s:
        return push_constant(m, (uint64_t)(int16_t)rd_u16(r));
    case DW_OP_const4u:
        return push_constant(m, rd_u32(r));
    case DW_OP_const4s:
        return push_constant(m, (uint64_t)(int32_t)rd_u32(r));
    case DW_OP_const8u:
    case DW_OP_const8s:
        return push_constant(m, rd_u64(r));
    case DW_OP_constu:
        return push_constant(m, cfi_uleb(r));
    case DW_OP_consts:
        return push_constant(m, (uint64_t)cfi_sleb(r));
    default:
        return false;
    }
}

static bool arithmetic(struct expr_machine *m, uint8_t op)
{
    if (m->depth < 2)
        return false;
    const char *b = m->stack[m->depth - 1].text;
    switch (op) {
    case DW_OP_plus:
        return binary(m, b, '+', UINT64_MAX);
    case DW_OP_minus:
        return binary(m, b, '-', UINT64_MAX);
    case DW_OP_mul:
        return binary(m, b, '*', UINT64_MAX);
    default: /* division is signed in DWARF, unsigned in the text */
        return bits(m, op);
    }
}

/*
 * What is not here cannot be said: other comparisons, shifts by registers, branches, thread-local
 * storage, calls.  False ends the expression.
 */
static bool do_operation(struct expr_machine *m, uint8_t op)
{
    char number[24];
    if (op >= DW_OP_lit0 && op <= DW_OP_lit31)
        return push_constant(m, op - DW_OP_lit0);
    if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
        return push_register(m, op - DW_OP_breg0, cfi_sleb(&m->code));
    switch (op) {
    case DW_OP_nop:
        return true;
    case DW_OP_bregx: {
        uint64_t number_of = cfi_uleb(&m->code);
        return push_register(m, number_of, cfi_sleb(&m->code));
    }
    case DW_OP_deref:
        return m->depth > 0 && dereference(m);
    case DW_OP_dup:
        return m->depth > 0 && push_value(m, m->stack[m->depth - 1]);
    case DW_OP_drop:
        return m->depth-- > 0;
    case DW_OP_swap: {
        if (m->depth < 2)
            return false;
        struct value top = m->stack[m->depth - 1];
        m->stack[m->depth - 1] = m->stack[m->depth - 2];
        m->stack[m->depth - 2] = top;
        return true;
    }
    case DW_OP_plus_uconst:
        snprintf(number, sizeof number, "%" PRIu64, cfi_uleb(&m->code));
        return m->depth > 0 && push_text(m, number, UINT64_MAX) && arithmetic(m, DW_OP_plus);
    case DW_OP_plus:
    case DW_OP_minus:
    case DW_OP_mul:
    case DW_OP_and:
    case DW_OP_ge:
    case DW_OP_shl:
        return arithmetic(m, op);
    default:
        return constant(m, op);
    }
}

bool cfi_expression(struct rd expr, uint16_t machine, uint8_t addr_size, bool starts_with_cfa,
                    struct strbuf *out)
{
    struct expr_machine m = {.code = expr, .elf_machine = machine, .addr_size = addr_size};
    if (starts_with_cfa)
        push_text(&m, ".cfa", UINT64_MAX);
    for (int steps = 0; rd_left(&m.code) > 0; steps++) {
        uint8_t op = rd_u8(&m.code);
        if (steps == STEPS_MAX || !do_operation(&m, op) || !rd_ok(&m.code))
            return false;
    }
    if (m.depth == 0 || !rd_ok(&m.code))
        return false;
    sb_text(out, m.stack[m.depth - 1].text);
    return true;
}
