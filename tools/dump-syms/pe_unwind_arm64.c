/*
 * Windows on arm64 (Microsoft, "ARM64 exception handling").  An entry of .pdata is a start and a
 * word: either the place of codes in .xdata, or, for the usual shapes of functions, the shape
 * itself in 30 bits (pe_arm64_ops.c makes codes of both).
 *
 * Each code stands for one instruction of a prolog or epilog, so unlike on amd64 the text says what
 * holds at every instruction of both.  Codes are stored in the order in which they are undone.
 * Undoing goes upwards through the frame: `sp` is where the stack pointer of that moment lies,
 * from the register that is known (sp of now, or x29 from set_fp on), and what was saved is at a
 * place relative to that.  The place that is reached in the end is the CFA.
 *
 * The return address is in x30 until it is saved.  Signed return addresses (pac_sign_lr) need no
 * rule: walkers remove the signature.  Floating point registers have no name in the text.
 */
#include <inttypes.h>

#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/pe_arm64_ops.h"
#include "tools/dump-syms/pe_file.h"
#include "tools/dump-syms/pe_unwind.h"
#include "tools/dump-syms/sym.h"

enum {
    ENTRY_BYTES = 8, /* of .pdata: a start and a word */
    INSTRUCTION = 4,
    ROWS_MAX = 1 << 14, /* of one entry: a thousand epilogs of a long prolog */
    REGISTERS = 31,     /* x0 to x30 */
    RULE_MAX = 48,      /* a register, a number of twenty digits, two operators */
    /* Fields of CONTEXT (winnt.h): x0 at 8, x29, x30, sp and pc behind x28. */
    CONTEXT_X0 = 8,
    CONTEXT_SP = 0x100,
    CONTEXT_PC = 0x108,
};

/* reg 0 (which is never one): there is no such place. */
struct arm64_place {
    uint8_t reg;
    int64_t offset;
};

struct arm64_undone {
    struct arm64_place sp, saved[REGISTERS];
    bool
        is_in_memory; /* sp is the place where the caller's is kept, and pc is in saved[ARM64_LR] */
};

struct arm64_rules {
    char cfa[RULE_MAX], ra[RULE_MAX], regs[REGISTERS][RULE_MAX];
};

static void note_saved(struct arm64_undone *u, unsigned reg, int64_t at)
{
    if (reg < REGISTERS)
        u->saved[reg] = (struct arm64_place){u->sp.reg, u->sp.offset + at};
}

static void undo_save(struct arm64_undone *u, const struct arm64_op *op)
{
    int64_t at = op->is_pre ? 0 : op->value;
    if (op->reg != ARM64_SP)
        note_saved(u, op->reg, at);
    if (op->reg != ARM64_SP && op->kind != ARM64_ONE)
        note_saved(u, op->kind == ARM64_PAIR ? op->reg + 1u : ARM64_LR, at + 8);
    if (op->is_pre)
        u->sp.offset += op->value;
}

static void undo_context(struct arm64_undone *u)
{
    for (unsigned reg = ARM64_X19; reg <= ARM64_FP; reg++)
        note_saved(u, reg, CONTEXT_X0 + 8 * (int64_t)reg);
    note_saved(u, ARM64_LR, CONTEXT_PC);
    u->sp.offset += CONTEXT_SP;
    u->is_in_memory = true;
}

/* False: x29 was restored before sp is said to be relative to it, which the text cannot say. */
static bool undo(struct arm64_undone *u, const struct arm64_op *op)
{
    switch (op->kind) {
    case ARM64_ALLOC:
        u->sp.offset += op->value;
        return true;
    case ARM64_ONE:
    case ARM64_PAIR:
    case ARM64_WITH_LR:
        undo_save(u, op);
        return true;
    case ARM64_SET_FP:
    case ARM64_ADD_FP:
        u->sp = (struct arm64_place){ARM64_FP, -(int64_t)op->value};
        return u->saved[ARM64_FP].reg == 0;
    case ARM64_MACHINE_FRAME:
        note_saved(u, ARM64_LR, 8);
        u->is_in_memory = true;
        return true;
    case ARM64_CONTEXT:
        undo_context(u);
        return true;
    default:
        return true;
    }
}

static const char *reg_name(unsigned reg, char out[8])
{
    if (reg == ARM64_SP)
        return "sp";
    snprintf(out, 8, "x%u", reg);
    return out;
}

/* Relative to the CFA where both are measured from one register. */
static void place_text(const struct arm64_undone *u, const struct arm64_place *p,
                       char out[RULE_MAX])
{
    char name[8];
    if (p->reg == u->sp.reg && !u->is_in_memory)
        snprintf(out, RULE_MAX, ".cfa %" PRId64 " + ^", p->offset - u->sp.offset);
    else
        snprintf(out, RULE_MAX, "%s %" PRId64 " + ^", reg_name(p->reg, name), p->offset);
}

/* The rules where the first `done` instructions of the list are undone already. */
static bool make_rules(const struct arm64_ops *o, size_t done, struct arm64_rules *r)
{
    struct arm64_undone u = {.sp = {ARM64_SP, 0}};
    char name[8];
    size_t i = 0;
    memset(r, 0, sizeof *r);
    for (; done > 0; i++)
        done -= !o->v[i].is_fact;
    for (; i < o->n && !u.is_in_memory; i++)
        if (!undo(&u, &o->v[i]))
            return false;
    snprintf(r->cfa, RULE_MAX, "%s %" PRId64 " +%s", reg_name(u.sp.reg, name), u.sp.offset,
             u.is_in_memory ? " ^" : "");
    snprintf(r->ra, RULE_MAX, "x30");
    if (u.saved[ARM64_LR].reg)
        place_text(&u, &u.saved[ARM64_LR], r->ra);
    for (unsigned reg = ARM64_X19; reg <= ARM64_FP; reg++)
        if (u.saved[reg].reg)
            place_text(&u, &u.saved[reg], r->regs[reg]);
    return true;
}

/* Rows of one entry; `last` is what the text says so far. */
struct arm64_rows {
    struct strbuf *out;
    const struct arm64_ops *body;
    uint64_t from, to, next;
    uint64_t resume; /* where the body goes on, unless an epilog begins there */
    struct arm64_rules last;
    size_t n;
};

static void put_rule(struct arm64_rows *w, size_t line, const char *name, const char *rule,
                     const char *before)
{
    if (strcmp(rule, before) != 0)
        sb_printf(w->out, "%s%s: %s", w->out->n == line ? "" : " ", name, rule[0] ? rule : name);
}

/* What differs from the row before; a row without a difference is no line. */
static bool put_row(struct arm64_rows *w, uint64_t addr, const struct arm64_ops *o, size_t done)
{
    struct arm64_rules now;
    char name[8];
    if (addr < w->next || addr >= w->to || w->n++ == ROWS_MAX || !make_rules(o, done, &now))
        return false;
    size_t begin = w->out->n;
    if (addr != w->from)
        sb_printf(w->out, "STACK CFI %" PRIx64 " ", addr);
    size_t line = w->out->n;
    put_rule(w, line, ".cfa", now.cfa, w->last.cfa);
    put_rule(w, line, ".ra", now.ra, w->last.ra);
    for (unsigned reg = ARM64_X19; reg <= ARM64_FP; reg++)
        put_rule(w, line, reg_name(reg, name), now.regs[reg], w->last.regs[reg]);
    if (w->out->n == line)
        w->out->n = begin;
    else
        sb_char(w->out, '\n');
    w->last = now;
    w->next = addr + 1;
    return !w->out->overflow;
}

/* After each instruction of the prolog one code more has to be undone. */
static bool put_prolog(struct arm64_rows *w)
{
    size_t own = w->body->own;
    for (size_t i = 0; i < own && w->from + i * INSTRUCTION < w->to; i++)
        if (!put_row(w, w->from + i * INSTRUCTION, w->body, own - i))
            return false;
    w->resume = w->from + own * INSTRUCTION;
    return true;
}

static bool put_body(struct arm64_rows *w, uint64_t until)
{
    return w->resume >= until || put_row(w, w->resume, w->body, 0);
}

/* An epilog is as long as its codes, and one more for the jump at its end. */
static bool put_epilog(struct arm64_rows *w, uint64_t at, const struct arm64_ops *o)
{
    if (at < w->resume || !put_body(w, at))
        return false;
    for (size_t i = 0; i <= o->own; i++)
        if (!put_row(w, at + i * INSTRUCTION, o, i))
            return false;
    w->resume = at + (o->own + 1) * INSTRUCTION;
    return true;
}

static void begin_rows(struct arm64_rows *w, struct sym *s, uint64_t from, uint64_t to,
                       const struct arm64_ops *body)
{
    *w = (struct arm64_rows){
        .out = &s->cfi, .body = body, .from = from, .to = to, .next = from, .resume = from};
}

/* The one epilog at the end of a function. */
static bool put_last_epilog(struct arm64_rows *w, const struct arm64_ops *o)
{
    uint64_t bytes = (o->own + 1) * INSTRUCTION;
    return bytes <= w->to - w->from && put_epilog(w, w->to - bytes, o);
}

/* .xdata: a head, the places of epilogs, the codes. */
struct arm64_xdata {
    uint32_t length, epilogs, code_bytes;
    bool has_one; /* epilog, at the end; `epilogs` is then where its codes begin */
    struct rd scopes, table;
};

static bool read_xdata(const struct pe_file *f, uint32_t rva, struct arm64_xdata *ret)
{
    struct rd r = pe_from(f, rva);
    uint32_t head = rd_u32(&r);
    uint32_t version = head >> 18 & 3;
    ret->length = (head & 0x3ffff) * INSTRUCTION;
    ret->has_one = head >> 21 & 1;
    ret->epilogs = head >> 22 & 31;
    uint32_t words = head >> 27;
    if (words == 0 && ret->epilogs == 0) {
        uint32_t more = rd_u32(&r);
        ret->epilogs = more & 0xffff;
        words = more >> 16 & 0xff;
    }
    uint32_t scopes = ret->has_one ? 0 : ret->epilogs * 4;
    ret->scopes = rd_try_window(&r, r.off, scopes);
    ret->table = rd_try_window(&r, r.off + scopes, words * 4);
    return rd_ok(&r) && version == 0 && rd_ok(&ret->scopes) && rd_ok(&ret->table);
}

static bool put_xdata_rows(struct arm64_xdata *x, struct arm64_rows *w)
{
    struct arm64_ops epilog;
    if (!put_prolog(w))
        return false;
    if (x->has_one)
        return arm64_read_ops(x->table, x->epilogs, &epilog) && put_last_epilog(w, &epilog) &&
               put_body(w, w->to);
    while (rd_left(&x->scopes)) {
        uint32_t scope = rd_u32(&x->scopes);
        uint64_t at = w->from + (uint64_t)(scope & 0x3ffff) * INSTRUCTION;
        if (!arm64_read_ops(x->table, scope >> 22, &epilog) || !put_epilog(w, at, &epilog))
            return false;
    }
    return put_body(w, w->to);
}

static bool put_packed_rows(const struct arm64_shape *p, struct arm64_rows *w)
{
    struct arm64_ops epilog;
    if (!p->has_ends)
        return put_body(w, w->to);
    arm64_expand_shape(p, true, &epilog);
    return put_prolog(w) && put_last_epilog(w, &epilog) && put_body(w, w->to);
}

/* One entry of .pdata; false: it cannot be read, and the text has nothing of it. */
static bool add_entry(const struct pe_file *f, uint32_t from, uint32_t word, struct sym *s)
{
    enum { KIND_XDATA = 0, KIND_RESERVED = 3 }; /* the lower two bits; others are packed shapes */
    uint32_t kind = word & 3;
    struct arm64_ops body;
    struct arm64_shape shape;
    struct arm64_xdata x = {.length = (word >> 2 & 0x7ff) * INSTRUCTION};
    bool ok = kind == KIND_XDATA      ? read_xdata(f, word, &x) && arm64_read_ops(x.table, 0, &body)
              : kind != KIND_RESERVED ? arm64_read_shape(word, &shape)
                                      : false;
    uint64_t to = (uint64_t)from + x.length;
    if (!ok || x.length == 0 || to > pe_code_end(f, from))
        return false;
    if (kind != KIND_XDATA)
        arm64_expand_shape(&shape, false, &body);
    struct arm64_rows w;
    size_t text = s->cfi.n;
    begin_rows(&w, s, from, to, &body);
    ok = kind == KIND_XDATA ? put_xdata_rows(&x, &w) : put_packed_rows(&shape, &w);
    if (ok)
        VEC_PUSH(&s->frames, ((struct sym_frame){from, x.length, text, s->cfi.n - text}));
    else
        s->cfi.n = text;
    return ok;
}

void pe_add_unwind_arm64(const struct pe_file *f, struct sym *s)
{
    struct rd r = pe_from(f, f->directories[PE_EXCEPTIONS].rva);
    uint32_t count = f->directories[PE_EXCEPTIONS].size / ENTRY_BYTES;
    for (uint32_t i = 0; i < count && rd_left(&r) >= ENTRY_BYTES; i++) {
        uint32_t from = rd_u32(&r), word = rd_u32(&r);
        if (from != 0 || word != 0) /* tables are padded with zeros */
            s->skipped_frames += !add_entry(f, from, word, s);
    }
}
