/*
 * STACK WIN records: how Microsoft's compiler describes frames of 32-bit x86 (Breakpad, "Symbol
 * file format", from DIA's FRAMEDATA). Type 0 (FPO) gives sizes only: how many bytes of locals,
 * saved registers and parameters lie on the stack, and whether ebp was pushed; the caller follows
 * from adding them up. Type 4 has a program in postfix notation over 32-bit values and variables,
 * such as "$T0 $ebp = $eip $T0 4 + ^ =", where ^ reads memory and = assigns.
 *
 * A program runs on a machine of its own, below.  What it leaves in $eip and $esp is the caller; a
 * register that it did not assign keeps its value.  Before it starts the walker has set variables:
 * .cbParams, .cbLocals and .cbSavedRegs are sizes, .raSearch and .raSearchStart the place where the
 * return address should lie.
 *
 * A symbol file is a stranger's: variables, stack and tokens have limits, memory is read through
 * the dump alone, and a program that breaks a rule gives no frame instead of a wrong one.
 */
#include "lib/unwind/x86_win.h"

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/minidump/context.h"
#include "lib/symfile/csym.h"
#include "lib/unwind/walk_symbols.h"

enum { EIP, ESP, EBP, EBX, ESI, EDI, REGISTERS };
/*
 * Limits of a program: real ones have below ten variables and some thirty tokens; the numbers bound
 * what a hostile symbol file can make a walk do.
 */
enum { VARIABLES_MAX = 32, STACK_MAX = 64, TOKENS_MAX = 1024 };

struct variable {
    struct str name;
    uint32_t value;
    bool is_set;
};

/* A stack element: a number or, until it is used, a variable. */
struct element {
    uint32_t number;
    struct variable *variable; /* NULL: number */
};

struct postfix_machine {
    const struct step *step;
    struct variable variables[VARIABLES_MAX];
    size_t variable_count;
    struct element stack[STACK_MAX];
    size_t depth;
};

static const char *const register_names[REGISTERS] = {"$eip", "$esp", "$ebp",
                                                      "$ebx", "$esi", "$edi"};

/*
 * Made on first use: a program may assign to names of its own.  A search of at most 32 names is
 * fast enough.
 */
static struct variable *variable_named(struct postfix_machine *m, struct str name)
{
    for (size_t i = 0; i < m->variable_count; i++)
        if (str_eq(m->variables[i].name, name))
            return &m->variables[i];
    if (m->variable_count == VARIABLES_MAX)
        return NULL;
    m->variables[m->variable_count] = (struct variable){.name = name};
    return &m->variables[m->variable_count++];
}

/* All values are of 32 bits, and what overflows wraps around, as on the machine. */
static bool set_variable(struct postfix_machine *m, const char *name, uint64_t value)
{
    struct variable *v = variable_named(m, str_of(name));
    if (!v)
        return false;
    v->value = (uint32_t)value;
    v->is_set = true;
    return true;
}

static bool push_element(struct postfix_machine *m, struct element e)
{
    if (m->depth == STACK_MAX)
        return false;
    m->stack[m->depth++] = e;
    return true;
}

static bool pop_element(struct postfix_machine *m, struct element *ret)
{
    if (m->depth == 0)
        return false;
    *ret = m->stack[--m->depth];
    return true;
}

static bool pop_number(struct postfix_machine *m, uint32_t *ret)
{
    struct element e;
    if (!pop_element(m, &e) || (e.variable && !e.variable->is_set))
        return false;
    *ret = e.variable ? e.variable->value : e.number;
    return true;
}

static bool apply_binary(struct postfix_machine *m, char op)
{
    uint32_t r, l, v;
    if (!pop_number(m, &r) || !pop_number(m, &l))
        return false;
    switch (op) {
    case '+':
        v = l + r;
        break;
    case '-':
        v = l - r;
        break;
    case '*':
        v = l * r;
        break;
    case '/':
    case '%':
        if (r == 0)
            return false;
        v = op == '/' ? l / r : l % r;
        break;
    default: /* '@', align */
        if (r == 0 || r & (r - 1))
            return false;
        v = l & ~(r - 1);
    }
    return push_element(m, (struct element){.number = v});
}

/*
 * Reads the stack in the dump; an address outside of it ends the program, and the frame is left to
 * other ways of unwinding.
 */
static bool dereference(struct postfix_machine *m)
{
    uint32_t addr;
    uint64_t word;
    return pop_number(m, &addr) && step_word(m->step, addr, &word) &&
           push_element(m, (struct element){.number = (uint32_t)word});
}

/* ".undef" takes a value back: the register is unknown in the caller. */
static bool assign(struct postfix_machine *m)
{
    struct element value, target;
    if (!pop_element(m, &value) || !pop_element(m, &target) || !target.variable)
        return false;
    if (value.variable && str_eq(value.variable->name, STR(".undef"))) {
        target.variable->is_set = false;
        return true;
    }
    if (value.variable && !value.variable->is_set)
        return false;
    target.variable->value = value.variable ? value.variable->value : value.number;
    target.variable->is_set = true;
    return true;
}

static bool apply_token(struct postfix_machine *m, struct str t)
{
    if (t.n == 1 && memchr("+-*/%@", t.p[0], 6))
        return apply_binary(m, t.p[0]);
    if (str_eq(t, STR("^")))
        return dereference(m);
    if (t.p[0] == '=') /* "=TOKEN" is a slip of a known tool */
        return assign(m) && (t.n == 1 || apply_token(m, str_sub(t, 1, SIZE_MAX)));
    if (t.p[0] == '$' || t.p[0] == '.') {
        struct variable *v = variable_named(m, t);
        return v && push_element(m, (struct element){.variable = v});
    }
    int64_t number;
    return str_to_i64(t, INT32_MIN, INT32_MAX, "number", &number, ERR_IGNORED) &&
           push_element(m, (struct element){.number = (uint32_t)number});
}

/* Parameter bytes of the frame younger than the callee: they lie on the callee's stack. */
static uint32_t grand_param_size(const struct step *s)
{
    return s->grand ? s->grand->param_size : 0;
}

/*
 * What the program may use is set before it runs: the registers and sizes under the names that the
 * debugger documentation gives them. .raSearch is where the return address should lie if the frame
 * is as large as the record says; programs that align the stack ('@') have an unknown gap there and
 * keep ebp, so the search starts behind the saved one.
 */
static bool by_program(const struct step *s, const struct csym_win *win, struct mdmp_context *ret)
{
    struct postfix_machine m = {.step = s};
    uint64_t esp, ebp, ebx;
    if (!mdmp_reg_get(s->callee, ESP, &esp) || !mdmp_reg_get(s->callee, EBP, &ebp))
        return false;
    uint32_t gp = grand_param_size(s);
    uint64_t search = esp + win->locals + win->saved_regs + gp;
    if (str_find_char(win->program, '@', 0) != SIZE_MAX)
        search = ebp + 4;
    if (!set_variable(&m, "$esp", esp) || !set_variable(&m, "$ebp", ebp) ||
        !set_variable(&m, ".cbParams", win->param_size) ||
        !set_variable(&m, ".cbCalleeParams", gp) ||
        !set_variable(&m, ".cbSavedRegs", win->saved_regs) ||
        !set_variable(&m, ".cbLocals", win->locals) || !set_variable(&m, ".raSearch", search) ||
        !set_variable(&m, ".raSearchStart", search))
        return false;
    if (mdmp_reg_get(s->callee, EBX, &ebx))
        set_variable(&m, "$ebx", ebx);

    struct str rest = win->program, token;
    for (size_t i = 0; str_split(&rest, ' ', &token);) {
        if (token.n == 0)
            continue;
        if (i++ == TOKENS_MAX || !apply_token(&m, token))
            return false;
    }
    struct mdmp_context caller = step_caller(s);
    for (int reg = 0; reg < REGISTERS; reg++) {
        const struct variable *v = variable_named(&m, str_of(register_names[reg]));
        if (v && v->is_set)
            mdmp_reg_set(&caller, (uint8_t)reg, v->value);
    }
    const uint64_t needed = UINT64_C(1) << EIP | UINT64_C(1) << ESP;
    if ((caller.valid & needed) != needed)
        return false;
    *ret = caller;
    return true;
}

/*
 * Without a program only sizes are known: the return address lies above the locals, the saved
 * registers and the parameters of the frame below.
 */
static bool by_fpo(const struct step *s, const struct csym_win *win, struct mdmp_context *ret)
{
    uint64_t esp, ebp, eip, ebx, caller_eip;
    if (!mdmp_reg_get(s->callee, ESP, &esp) || !mdmp_reg_get(s->callee, EBP, &ebp))
        return false;
    uint32_t gp = grand_param_size(s);
    uint64_t at = (uint32_t)(esp + win->locals + win->saved_regs + gp);
    if (!step_word(s, at, &caller_eip))
        return false;
    if (!s->grand && mdmp_reg_get(s->callee, EIP, &eip) && eip == caller_eip) {
        at = (uint32_t)(at + 4); /* an old return address was left over */
        if (!step_word(s, at, &caller_eip))
            return false;
    }
    struct mdmp_context caller = step_caller(s);
    mdmp_reg_set(&caller, EIP, caller_eip);
    mdmp_reg_set(&caller, ESP, at + 4);
    if (win->allocates_base_pointer) {
        if (!step_word(s, (uint32_t)(esp + gp + win->saved_regs - 8), &ebp))
            return false;
    } else if (mdmp_reg_get(s->callee, EBX, &ebx)) {
        mdmp_reg_set(&caller, EBX, ebx);
    }
    mdmp_reg_set(&caller, EBP, ebp);
    *ret = caller;
    return true;
}

/*
 * Only modules whose symbols are open have such records; the address that is looked up is relative
 * to the module.
 */
bool x86_windows_cfi(const struct step *s, struct mdmp_context *ret)
{
    if (s->frame->module == SIZE_MAX)
        return false;
    const struct module_symbols *m = walk_symbols_state(s->walk->symbols, s->frame->module);
    uint64_t base = s->walk->facts->modules.v[s->frame->module].base;
    struct csym_win win;
    if (!m->is_open || !csym_win_find(&m->csym, s->frame->instruction - base, &win))
        return false;
    return win.is_frame_data ? by_program(s, &win, ret) : by_fpo(s, &win, ret);
}
