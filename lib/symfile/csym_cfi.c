/*
 * STACK CFI: which rules hold at an address, and what they give.
 *
 * The compiler has applied all deltas (sym_build_cfi.c): a row names the complete set of rules in
 * force from there on, so a look-up is a bisection over INIT records, one over the blocks of a row
 * run, at most CSYM_BLOCK rows read, and one set.  A rule is a program of csym_op in CFI_PROGRAM.
 *
 * The file may be damaged, and what the rules read is the memory of a crashed program.  Nothing
 * here trusts a number: offsets go through vr, registers are compared with reg_count, a program
 * ends after CSYM_PROGRAM_OPS_MAX instructions and has a stack of STACK_MAX words.  What fails is
 * "no value", and the walker goes on by frame pointer or scan.
 */
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/csym_format.h"
#include "lib/symfile/csym_read.h"

enum { STACK_MAX = 64 }; /* words; the expression of a PLT, the deepest of linkers, needs three */

/* The rule set of the last row at or below key. */
static bool find_row(struct vr run, uint32_t key, uint32_t *ret_set)
{
    struct run_in in;
    if (!run_seek(run, key, &in))
        return false;
    uint64_t at = in.base;
    bool found = false;
    for (; in.left > 0; in.left--) {
        at += vr_u64(&in.at);
        uint32_t set = vr_u32(&in.at);
        if (in.at.bad)
            return false;
        if (at > key)
            break;
        *ret_set = set;
        found = true;
    }
    return found;
}

/* False for set 0, which has no rules: it stands for a record that could not be understood. */
static bool read_set(const struct csym *c, uint32_t set, struct csym_cfi *ret)
{
    uint32_t off;
    if (!csym_u32_at(c, SEC_CFI_SET, set, &off))
        return false;
    struct vr r = vr_at(c->sec[SEC_CFI_RULE].p, c->sec[SEC_CFI_RULE].n, off);
    uint64_t count = vr_u64(&r);
    if (count == 0 || count > CSYM_CFI_RULES_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        uint64_t reg = vr_u64(&r);
        ret->rules[i].program = vr_u32(&r);
        if (reg >= CSYM_RULE_REG && reg - CSYM_RULE_REG >= c->reg_count)
            return false;
        ret->rules[i].reg = reg == CSYM_RULE_CFA  ? CSYM_REG_CFA
                            : reg == CSYM_RULE_RA ? CSYM_REG_RA
                                                  : (uint16_t)(reg - CSYM_RULE_REG);
    }
    ret->rule_count = (uint32_t)count;
    return !r.bad;
}

/* A FUNC and the INIT record that covers it are independent: only the address connects them. */
bool csym_cfi_find(const struct csym *c, uint64_t addr, struct csym_cfi *ret)
{
    size_t i;
    uint64_t start;
    if (!csym_floor(c, SEC_CFI_START, c->is_wide, addr, &i, &start))
        return false;
    const uint8_t *p = csym_record(c, SEC_CFI, i, CSYM_CFI_SIZE);
    if (!p || addr - start >= csym_u32(p))
        return false;
    struct vr run = vr_at(c->sec[SEC_CFI_ROW].p, c->sec[SEC_CFI_ROW].n, csym_u32(p + 4));
    uint32_t set = 0; /* the malformed one */
    ret->init_addr = start;
    return !run.bad && find_row(run, (uint32_t)(addr - start), &set) && read_set(c, set, ret);
}

struct str csym_reg_name(const struct csym *c, uint32_t index)
{
    return index < c->reg_count ? csym_string_at(c, SEC_REG, index) : STR("");
}

/* Unsigned and wrapping; false for what has no value. */
static bool eval_binary(enum csym_op op, uint64_t left, uint64_t right, uint64_t *ret)
{
    switch (op) {
    case OP_ADD:
        *ret = left + right;
        return true;
    case OP_SUB:
        *ret = left - right;
        return true;
    case OP_MUL:
        *ret = left * right;
        return true;
    case OP_DIV:
        *ret = right ? left / right : 0;
        return right != 0;
    case OP_MOD:
        *ret = right ? left % right : 0;
        return right != 0;
    case OP_ALIGN:
        *ret = left & ~(right - 1);
        return right != 0 && (right & (right - 1)) == 0;
    default:
        return false;
    }
}

static uint64_t take_constant(struct vr *code)
{
    return (uint64_t)unzigzag(vr_u64(code));
}

/* One instruction that makes a value out of its operands in the code. */
static bool eval_operand(enum csym_op op, struct vr *code, const struct csym_env *env,
                         uint64_t *ret)
{
    switch (op) {
    case OP_PUSH:
        *ret = take_constant(code);
        return true;
    case OP_REG:
        return env->reg(env->ctx, vr_u32(code), ret);
    case OP_CFA:
        *ret = env->cfa;
        return env->has_cfa;
    case OP_REG_ADD: {
        bool known = env->reg(env->ctx, vr_u32(code), ret);
        *ret += take_constant(code);
        return known;
    }
    case OP_CFA_ADD:
        *ret = env->cfa + take_constant(code);
        return env->has_cfa;
    case OP_CFA_DEREF:
        return env->has_cfa && env->word(env->ctx, env->cfa + take_constant(code), ret);
    default:
        return false;
    }
}

/*
 * An expression that leaves more or less than one word has no value; OP_FAIL and OP_UNDEF have
 * none, because eval_operand knows neither.  Division by zero and alignment to what is no power of
 * two are no value, too: the numbers come from a crashed program.
 */
bool csym_cfi_eval(const struct csym *c, uint32_t program, const struct csym_env *env,
                   uint64_t *ret)
{
    uint64_t stack[STACK_MAX];
    size_t n = 0;
    struct vr code = vr_at(c->sec[SEC_CFI_PROGRAM].p, c->sec[SEC_CFI_PROGRAM].n, program);
    for (size_t step = 0; !code.bad && step <= CSYM_PROGRAM_OPS_MAX; step++) {
        enum csym_op op = vr_byte(&code);
        if (code.bad)
            return false;
        if (op == OP_END) {
            if (n == 1)
                *ret = stack[0];
            return n == 1;
        }
        if (op >= OP_ADD && op <= OP_ALIGN) {
            if (n < 2 || !eval_binary(op, stack[n - 2], stack[n - 1], &stack[n - 2]))
                return false;
            n--;
        } else if (op == OP_DEREF) {
            if (n < 1 || !env->word(env->ctx, stack[n - 1], &stack[n - 1]))
                return false;
        } else {
            uint64_t value = 0;
            if (n == STACK_MAX || !eval_operand(op, &code, env, &value))
                return false;
            stack[n++] = value;
        }
    }
    return false;
}

/* Exactly ".undef"; an expression that merely holds it fails when it is evaluated. */
bool csym_cfi_is_undef(const struct csym *c, uint32_t program)
{
    struct vr code = vr_at(c->sec[SEC_CFI_PROGRAM].p, c->sec[SEC_CFI_PROGRAM].n, program);
    return vr_byte(&code) == OP_UNDEF && vr_byte(&code) == OP_END;
}
