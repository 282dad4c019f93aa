/*
 * One CFI expression in postfix text becomes byte code (enum csym_op).
 *
 * The language is that of Breakpad's STACK CFI records: constants, registers with or without "$",
 * .cfa, .undef, the operators + - * / % @ (align) and ^ (the word at an address).  Nearly all rules
 * that compilers make have one of three shapes, "$rsp 16 +", ".cfa 8 -" and ".cfa -8 + ^",
 * and each of those is one instruction.
 *
 * Nothing is an error here: what cannot be expressed becomes OP_FAIL, so that the rule is there and
 * has no value, and the other rules of its record stay good.
 */
#include "lib/base/err.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/symfile/csym_format.h"
#include "lib/symfile/sym_build.h"

struct code {
    struct instruction {
        enum csym_op op;
        uint32_t reg;
        int64_t constant;
    } v[CSYM_PROGRAM_OPS_MAX];
    size_t n;
};

static const struct {
    const char *token;
    enum csym_op op;
} words[] = {
    {"+", OP_ADD},   {"-", OP_SUB},   {"*", OP_MUL},    {"/", OP_DIV},        {"%", OP_MOD},
    {"@", OP_ALIGN}, {"^", OP_DEREF}, {".cfa", OP_CFA}, {".undef", OP_UNDEF},
};

/*
 * The shapes that nearly all rules have become one instruction.  A constant that was
 * pushed right after its base is the operand of the sum, whatever lies below.
 */
static bool fuse(struct code *c, enum csym_op op)
{
    struct instruction *top = c->n ? &c->v[c->n - 1] : NULL;
    if (op == OP_DEREF && top && top->op == OP_CFA_ADD) {
        top->op = OP_CFA_DEREF;
        return true;
    }
    struct instruction *base = c->n > 1 ? &c->v[c->n - 2] : NULL;
    if ((op != OP_ADD && op != OP_SUB) || !base || top->op != OP_PUSH ||
        (base->op != OP_REG && base->op != OP_CFA))
        return false;
    base->constant = op == OP_ADD ? top->constant : (int64_t)(0 - (uint64_t)top->constant);
    base->op = base->op == OP_REG ? OP_REG_ADD : OP_CFA_ADD;
    c->n--;
    return true;
}

static bool append_instruction(struct code *c, const struct instruction *in)
{
    if (fuse(c, in->op))
        return true;
    if (c->n == CSYM_PROGRAM_OPS_MAX)
        return false;
    c->v[c->n++] = *in;
    return true;
}

/* A word that is no operator and no number is a register, with "$" in front or without. */
static struct instruction read_token(struct cfi_builder *c, struct str token)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(token, str_of(words[i].token)))
            return (struct instruction){.op = words[i].op};
    struct instruction in = {.op = OP_REG};
    if (str_starts(token, STR("$")))
        token = str_sub(token, 1, SIZE_MAX);
    else if (str_to_i64(token, INT64_MIN, INT64_MAX, "constant", &in.constant, ERR_IGNORED))
        in.op = OP_PUSH;
    if (in.op == OP_REG && (token.n == 0 || c->regs.texts.n >= CSYM_REG_MAX))
        in.op = OP_FAIL;
    if (in.op == OP_REG)
        in.reg = textmap_number(&c->regs, NULL, token);
    return in;
}

static void put_instruction(bytes_vec *out, const struct instruction *in)
{
    VEC_PUSH(out, (uint8_t)in->op);
    if (in->op == OP_REG || in->op == OP_REG_ADD)
        put_varint(out, in->reg);
    if (in->op == OP_PUSH || in->op == OP_REG_ADD || in->op == OP_CFA_ADD || in->op == OP_CFA_DEREF)
        put_varint(out, zigzag(in->constant));
}

/*
 * The code is put together apart and written at the end, because append_instruction may fuse the
 * last ones into one; what cannot be expressed is one OP_FAIL and no half of a program.
 */
void cfi_compile(struct cfi_builder *c, struct str expression, bytes_vec *out)
{
    struct code code = {0};
    bool ok = true;
    while (ok && expression.n) {
        size_t n = 0;
        while (n < expression.n && expression.p[n] != ' ' && expression.p[n] != '\t')
            n++;
        if (n) {
            struct instruction in = read_token(c, str_n(expression.p, n));
            ok = append_instruction(&code, &in);
        }
        expression = str_sub(expression, MAX(n, (size_t)1), SIZE_MAX);
    }
    for (size_t i = 0; ok && i < code.n; i++)
        put_instruction(out, &code.v[i]);
    VEC_PUSH(out, ok ? OP_END : OP_FAIL);
}
