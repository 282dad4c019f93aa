/*
 * The program of one unwind entry (DWARF 5, 6.4.2): run once from the start, it gives a row of
 * rules for every stretch of code.  A row is written when the next begins, and only what differs
 * from the row before.  A rule that the text cannot say is written as .undef and counted: silence
 * would let readers go on with the rule of the line before.
 *
 * What has no name in the text (vector registers) is followed through the program and never
 * written.  Writers and readers of the format agree that a register which functions preserve keeps
 * its value without a rule, so `same value` needs no word in the first line of an entry, but does
 * in a later one, where it takes back a rule.
 */
#include "tools/dump-syms/cfi_program.h"

#include <dwarf.h>
#include <inttypes.h>

#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/cfi_text.h"
#include "tools/dump-syms/sym.h"

enum {
    /*
     * Of DW_CFA_remember_state; compilers nest it once or twice.  A text of rules beyond
     * SCRATCH_MAX bytes is no row of a compiler.
     */
    REMEMBERED_MAX = 64,
    SCRATCH_MAX = 1 << 16,
    AARCH64_NEGATE_RA_STATE = 0x2d, /* also DW_CFA_GNU_window_save of SPARC */
};

/* How to find one value of the caller.  Rules with equal members are equal. */
struct dwarf_rule {
    enum { UNSPECIFIED, UNDEFINED, SAME, OFFSET, VAL_OFFSET, REGISTER, EXPR, VAL_EXPR } kind;
    uint64_t reg; /* REGISTER, and the base of a CFA given as register and offset */
    int64_t offset;
    const uint8_t *expr; /* EXPR and VAL_EXPR */
    size_t expr_size;
};

struct row {
    struct dwarf_rule cfa; /* OFFSET: reg + offset; VAL_EXPR */
    struct dwarf_rule regs[CFI_REGISTERS_MAX];
};

struct cfi_machine {
    const struct cfi_section *section;
    const struct cie *cie;
    struct sym *s;
    struct row row, initial, written;
    struct row *remembered; /* owned, REMEMBERED_MAX of them */
    size_t remembered_count;
    uint64_t at, end;
    bool has_cfa;        /* the first row has one: without it the entry is useless */
    struct strbuf *text; /* rules of the current row */
};

static bool same_rule(const struct dwarf_rule *a, const struct dwarf_rule *b)
{
    return a->kind == b->kind && a->reg == b->reg && a->offset == b->offset && a->expr == b->expr &&
           a->expr_size == b->expr_size;
}

/*
 * The text calls the column of the return address ".ra" in every entry, whichever register it is:
 * $rip on amd64, which no instruction can address otherwise, and x30 on arm64, where the caller's
 * x30 is found by the same rule.
 */
static const char *register_name(const struct cfi_machine *m, uint64_t number)
{
    return number == m->cie->ra ? ".ra" : cfi_register_name(m->section->machine, number);
}

/* Appends the value of a rule; false when the text cannot say it. */
static bool rule_text(const struct cfi_machine *m, uint64_t number, const struct dwarf_rule *r,
                      struct strbuf *out)
{
    struct rd expr = rd_init(r->expr, r->expr_size);
    expr.big = m->section->bytes.big;
    const char *name;
    switch (r->kind) {
    case OFFSET:
        sb_printf(out, ".cfa %" PRId64 " + ^", r->offset);
        return true;
    case VAL_OFFSET:
        sb_printf(out, ".cfa %" PRId64 " +", r->offset);
        return true;
    case UNDEFINED:
        sb_text(out, ".undef");
        return true;
    case UNSPECIFIED:
    case SAME:
    case REGISTER:
        name = cfi_register_name(m->section->machine, r->kind == REGISTER ? r->reg : number);
        sb_text(out, name ? name : "");
        return name != NULL;
    case EXPR:
        if (!cfi_expression(expr, m->section->machine, m->section->addr_size, true, out))
            return false;
        sb_text(out, " ^");
        return true;
    case VAL_EXPR:
        return cfi_expression(expr, m->section->machine, m->section->addr_size, true, out);
    default:
        return false;
    }
}

/*
 * The CFA itself: a register and an offset nearly always, an expression in the linker's PLT.  It is
 * on no stack yet, so such an expression starts with an empty one, unlike those of registers.
 */
static bool cfa_text(const struct cfi_machine *m, struct strbuf *out)
{
    const struct dwarf_rule *r = &m->row.cfa;
    if (r->kind == OFFSET) {
        const char *name = cfi_register_name(m->section->machine, r->reg);
        if (name)
            sb_printf(out, "%s %" PRId64 " +", name, r->offset);
        return name != NULL;
    }
    struct rd expr = rd_init(r->expr, r->expr_size);
    expr.big = m->section->bytes.big;
    return r->kind == VAL_EXPR &&
           cfi_expression(expr, m->section->machine, m->section->addr_size, false, out);
}

static void check_said(struct cfi_machine *m, bool said, size_t before)
{
    if (said)
        return;
    /* The reader must not go on with the rule of the row before. */
    m->text->n = before;
    sb_text(m->text, ".undef");
    m->s->skipped_expressions++;
}

static void separate(struct strbuf *text)
{
    if (text->n)
        sb_char(text, ' ');
}

/*
 * What has changed since the last row, or (first) everything that is known.  The first line of an
 * entry needs a rule for the return address even where the program has none (a leaf function of
 * arm64 still has it in x30): without one a reader gives the entry up.
 */
static void row_text(struct cfi_machine *m, bool first)
{
    struct strbuf *t = m->text;
    sb_reset(t);
    if (first)
        m->has_cfa = m->row.cfa.kind != UNSPECIFIED;
    if (first || !same_rule(&m->row.cfa, &m->written.cfa)) {
        sb_text(t, ".cfa: ");
        size_t before = t->n;
        check_said(m, cfa_text(m, t), before);
    }
    for (uint64_t i = 0; i < CFI_REGISTERS_MAX; i++) {
        const struct dwarf_rule *now = &m->row.regs[i];
        const char *name = register_name(m, i);
        bool is_ra = i == m->cie->ra;
        bool changed = first ? is_ra || (now->kind != UNSPECIFIED && now->kind != SAME)
                             : !same_rule(now, &m->written.regs[i]);
        if (!name || !changed)
            continue;
        separate(t);
        sb_printf(t, "%s: ", name);
        size_t before = t->n;
        check_said(m, rule_text(m, i, now, t), before);
    }
}

/*
 * The first row stands on the line of STACK CFI INIT, which sym_write begins.  A later row without
 * changes is no line at all.
 */
static void write_row(struct cfi_machine *m, bool first)
{
    row_text(m, first);
    if (m->text->n && !first)
        sb_printf(&m->s->cfi, "STACK CFI %" PRIx64 " ", m->at - m->section->base);
    if (m->text->n) {
        sb_str(&m->s->cfi, sb_view(m->text));
        sb_char(&m->s->cfi, '\n');
    }
    m->written = m->row;
}

static struct dwarf_rule *rule_of(struct cfi_machine *m, uint64_t number)
{
    static _Thread_local struct dwarf_rule ignored; /* registers without a name */
    return number < CFI_REGISTERS_MAX ? &m->row.regs[number] : &ignored;
}

static void set_rule(struct cfi_machine *m, uint64_t number, struct dwarf_rule r)
{
    *rule_of(m, number) = r;
}

/* Back to the rule that the instructions of the CIE have set up, not to that of the row before. */
static void restore(struct cfi_machine *m, uint64_t number)
{
    if (number < CFI_REGISTERS_MAX)
        m->row.regs[number] = m->initial.regs[number];
}

/*
 * The expression stays where it is in the section; a rule borrows it, which makes copies of whole
 * rows cheap.  It is only read when its row is written.
 */
static struct dwarf_rule expression(struct rd *r, int kind)
{
    uint64_t size = cfi_uleb(r);
    const uint8_t *p = size <= rd_left(r) ? rd_bytes(r, (size_t)size) : (r->bad = true, NULL);
    return (struct dwarf_rule){.kind = kind, .expr = p, .expr_size = p ? (size_t)size : 0};
}

/*
 * Offsets are stored divided by the data alignment of the CIE, -8 on amd64.  Computed without a
 * sign, because a hostile product may be too large for one.
 */
static int64_t scaled(const struct cfi_machine *m, int64_t n)
{
    return (int64_t)((uint64_t)n * (uint64_t)m->cie->data_align);
}

/*
 * The rows up to here are done: write what has changed at their address.  A distance that leaves
 * the function, or wraps, ends the program at the end of the code: the rules of the row before hold
 * up to there.
 */
static bool advance(struct cfi_machine *m, uint64_t delta, bool *first)
{
    write_row(m, *first);
    *first = false;
    uint64_t bytes = delta * m->cie->code_align;
    bool wraps = m->cie->code_align && bytes / m->cie->code_align != delta;
    m->at = wraps || bytes >= m->end - m->at ? m->end : m->at + bytes;
    return true;
}

/* The stack of whole rows.  The CFA is part of a row and comes back with it. */
static bool remember(struct cfi_machine *m)
{
    if (m->remembered_count == REMEMBERED_MAX)
        return false;
    m->remembered[m->remembered_count++] = m->row;
    return true;
}

static bool recall(struct cfi_machine *m)
{
    if (m->remembered_count == 0)
        return false;
    m->row = m->remembered[--m->remembered_count];
    return true;
}

static bool def_cfa(struct cfi_machine *m, uint64_t reg, int64_t offset)
{
    m->row.cfa = (struct dwarf_rule){.kind = OFFSET, .reg = reg, .offset = offset};
    return true;
}

/*
 * Register rules: the operation, then the register.  Names and operands are those of DWARF 5,
 * 6.4.2.3 and 6.4.2.2; DW_CFA_GNU_negative_offset_extended is an early form of the signed one.  An
 * instruction that nobody knows has an unknown length, so the whole entry is given up.
 */
static bool do_register_instruction(struct cfi_machine *m, struct rd *r, uint8_t op)
{
    uint64_t reg = cfi_uleb(r);
    switch (op) {
    case DW_CFA_offset_extended:
        set_rule(m, reg,
                 (struct dwarf_rule){.kind = OFFSET, .offset = scaled(m, (int64_t)cfi_uleb(r))});
        return true;
    case DW_CFA_offset_extended_sf:
        set_rule(m, reg, (struct dwarf_rule){.kind = OFFSET, .offset = scaled(m, cfi_sleb(r))});
        return true;
    case DW_CFA_GNU_negative_offset_extended:
        set_rule(m, reg,
                 (struct dwarf_rule){.kind = OFFSET, .offset = -scaled(m, (int64_t)cfi_uleb(r))});
        return true;
    case DW_CFA_val_offset:
        set_rule(
            m, reg,
            (struct dwarf_rule){.kind = VAL_OFFSET, .offset = scaled(m, (int64_t)cfi_uleb(r))});
        return true;
    case DW_CFA_val_offset_sf:
        set_rule(m, reg, (struct dwarf_rule){.kind = VAL_OFFSET, .offset = scaled(m, cfi_sleb(r))});
        return true;
    case DW_CFA_restore_extended:
        restore(m, reg);
        return true;
    case DW_CFA_undefined:
        set_rule(m, reg, (struct dwarf_rule){.kind = UNDEFINED});
        return true;
    case DW_CFA_same_value:
        set_rule(m, reg, (struct dwarf_rule){.kind = SAME});
        return true;
    case DW_CFA_register:
        set_rule(m, reg, (struct dwarf_rule){.kind = REGISTER, .reg = cfi_uleb(r)});
        return true;
    case DW_CFA_expression:
        set_rule(m, reg, expression(r, EXPR));
        return true;
    case DW_CFA_val_expression:
        set_rule(m, reg, expression(r, VAL_EXPR));
        return true;
    case DW_CFA_def_cfa: {
        uint64_t offset = cfi_uleb(r);
        return def_cfa(m, reg, (int64_t)offset);
    }
    case DW_CFA_def_cfa_sf:
        return def_cfa(m, reg, scaled(m, cfi_sleb(r)));
    case DW_CFA_def_cfa_register:
        m->row.cfa.reg = reg;
        return m->row.cfa.kind == OFFSET;
    default:
        return false;
    }
}

/*
 * Three instructions keep their operand in the low six bits; for all others the high two are 0.
 * DW_CFA_set_loc, which would need the encoding of addresses, is not understood: compilers advance
 * instead.
 */
static bool do_instruction(struct cfi_machine *m, struct rd *r, bool *first)
{
    uint8_t op = rd_u8(r), low = op & 0x3f;
    switch (op & 0xc0) {
    case DW_CFA_advance_loc:
        return advance(m, low, first);
    case DW_CFA_offset:
        set_rule(m, low,
                 (struct dwarf_rule){.kind = OFFSET, .offset = scaled(m, (int64_t)cfi_uleb(r))});
        return true;
    case DW_CFA_restore:
        restore(m, low);
        return true;
    default:
        break;
    }
    switch (op) {
    case DW_CFA_nop:
    case AARCH64_NEGATE_RA_STATE: /* readers strip the signature from return addresses */
        return true;
    case DW_CFA_advance_loc1:
        return advance(m, rd_u8(r), first);
    case DW_CFA_advance_loc2:
        return advance(m, rd_u16(r), first);
    case DW_CFA_advance_loc4:
        return advance(m, rd_u32(r), first);
    case DW_CFA_remember_state:
        return remember(m);
    case DW_CFA_restore_state:
        return recall(m);
    case DW_CFA_def_cfa_offset:
        m->row.cfa.offset = (int64_t)cfi_uleb(r);
        return m->row.cfa.kind == OFFSET;
    case DW_CFA_def_cfa_offset_sf:
        m->row.cfa.offset = scaled(m, cfi_sleb(r));
        return m->row.cfa.kind == OFFSET;
    case DW_CFA_def_cfa_expression:
        m->row.cfa = expression(r, VAL_EXPR);
        return true;
    case DW_CFA_GNU_args_size:
        cfi_uleb(r);
        return true;
    default:
        return do_register_instruction(m, r, op);
    }
}

/*
 * The instructions of the CIE give the row that every entry of it begins with, and what
 * DW_CFA_restore goes back to.  They have no place in the code, so one that moves on is damage.
 */
static bool initial_row(struct cfi_machine *m)
{
    bool first = false;
    struct rd code = m->cie->instructions;
    while (rd_left(&code) > 0) {
        uint8_t op = code.p[code.off];
        bool moves = (op & 0xc0) == DW_CFA_advance_loc ||
                     (op >= DW_CFA_set_loc && op <= DW_CFA_advance_loc4);
        if (moves || !do_instruction(m, &code, &first) || !rd_ok(&code))
            return false;
    }
    m->initial = m->row;
    return true;
}

static bool do_instructions(struct cfi_machine *m, struct rd code)
{
    if (!initial_row(m))
        return false;
    bool first = true;
    /* Rows behind the end of the function are not written. */
    while (m->at < m->end && rd_left(&code) > 0)
        if (!do_instruction(m, &code, &first) || !rd_ok(&code))
            return false;
    if (m->at < m->end)
        write_row(m, first);
    return m->has_cfa;
}

bool cfi_add_frame(const struct cfi_section *section, const struct cie *cie, uint64_t start,
                   uint64_t size, struct rd code, struct sym *s)
{
    struct row remembered[REMEMBERED_MAX];
    STRBUF_AUTO text;
    sb_init(&text, SCRATCH_MAX);
    struct cfi_machine m = {.section = section,
                            .cie = cie,
                            .s = s,
                            .remembered = remembered,
                            .at = start,
                            .end = start + size,
                            .text = &text};
    struct sym_frame f = {.addr = start - section->base, .size = size, .text = s->cfi.n};
    if (!do_instructions(&m, code)) {
        s->cfi.n = f.text;
        return false;
    }
    f.text_length = s->cfi.n - f.text;
    VEC_PUSH(&s->frames, f);
    return true;
}
