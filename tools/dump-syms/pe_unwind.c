/*
 * Unwind codes say what the prolog of a function has done, latest first, each with the offset at
 * which its instruction ends (Microsoft, "x64 exception handling").  Windows undoes those whose
 * offset has been reached; here they are done in the order of the code, and after each offset the
 * state is a row of STACK CFI.  Behind the prolog the last row holds: Windows recognises epilogs by
 * decoding instructions, which a text cannot do, so in the few instructions of an epilog the rules
 * are those of the body.  (UWOP_EPILOG of version 2 only says where epilogs are.)
 *
 * What is found without rows: everything is measured from P, the place of the return address.
 * `depth` is P - rsp; a pushed register lies at P - depth.  The CFA of other systems is P + 8.  An
 * interrupt frame has no such place, since the processor pushed rsp itself; there the rules are
 * said with rsp and the CFA is read from the frame.
 *
 * A chained entry is a part of a function that goes on with the state of another: all codes of that
 * one have been done, whatever their offset.  Registers that were moved (not pushed) lie at an
 * offset from the frame: the frame register minus its offset where the entry has one, else rsp at
 * the address that is unwound.
 *
 * Functions without an entry change neither rsp nor preserved registers; they get no row here, and
 * a walker that finds none looks at the top of the stack first.
 */
#include "tools/dump-syms/pe_unwind.h"

#include <inttypes.h>

#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

enum {
    ENTRY_BYTES = 12, /* RUNTIME_FUNCTION: begin, end, information */
    CHAIN_MAX = 32,   /* as many as Windows follows (ntdll stops a chain there) */
    OPS_MAX = 1024,   /* an entry has at most 255, and prologs a dozen */
    REGISTERS = 16,   /* in the order of the processor's encoding */
    RULE_MAX = 48,    /* a register, a number of 64 bits and three signs */
    FLAG_CHAIN = 4,   /* UNW_FLAG_CHAININFO */
    INDIRECT = 1,     /* in the address of the information: it is that of another entry */
    RSP = 4,
    CFI_MAX_PER_ENTRY = 1 << 16, /* bytes; sixteen rules on a hundred offsets */
};

/* UNWIND_CODE, operation codes: Microsoft, "x64 exception handling". */
enum unwind_code {
    UWOP_PUSH_NONVOL = 0,
    UWOP_ALLOC_LARGE = 1,
    UWOP_ALLOC_SMALL = 2,
    UWOP_SET_FPREG = 3,
    UWOP_SAVE_NONVOL = 4,
    UWOP_SAVE_NONVOL_FAR = 5,
    UWOP_EPILOG = 6,
    UWOP_SPARE = 7,
    UWOP_SAVE_XMM128 = 8,
    UWOP_SAVE_XMM128_FAR = 9,
    UWOP_PUSH_MACHFRAME = 10,
};

static const char *const names[REGISTERS] = {"$rax", "$rcx", "$rdx", "$rbx", "$rsp", "$rbp",
                                             "$rsi", "$rdi", "$r8",  "$r9",  "$r10", "$r11",
                                             "$r12", "$r13", "$r14", "$r15"};

struct unwind_op {
    uint8_t at; /* end of the instruction in the prolog; 0 for what a chain has done before */
    uint8_t code, info;
    uint8_t frame_reg, frame_offset; /* of the information that the code stands in */
    uint32_t value;                  /* bytes */
};

/* Of one entry, in the order in which the code does them. */
struct unwind_ops {
    struct unwind_op v[OPS_MAX];
    size_t n;
};

struct saved {
    enum { NOT_SAVED, BEFORE_P, ABOVE_RSP } kind;
    int64_t offset; /* P - place, or place - rsp */
};

struct unwind_state {
    int64_t depth;
    bool has_frame; /* a frame register is set */
    uint8_t frame_reg;
    int64_t frame_depth; /* P - frame register */
    int64_t base_depth;  /* P - what saved registers of such a function are relative to */
    bool is_interrupt;
    struct saved regs[REGISTERS];
};

struct rules {
    char cfa[RULE_MAX], ra[RULE_MAX], regs[REGISTERS][RULE_MAX];
};

static size_t slots_of(uint8_t code, uint8_t info)
{
    switch (code) {
    case UWOP_ALLOC_LARGE:
        return info == 0 ? 2 : 3;
    case UWOP_SAVE_NONVOL:
    case UWOP_SAVE_XMM128:
        return 2;
    case UWOP_SAVE_NONVOL_FAR:
    case UWOP_SAVE_XMM128_FAR:
        return 3;
    case UWOP_EPILOG: /* in pairs; of version 1, where it meant something that nobody wrote, too */
        return 2;
    case UWOP_SPARE:
        return 3;
    default:
        return 1;
    }
}

static bool read_op(struct rd *r, struct unwind_op *op, size_t *ret_slots)
{
    op->at = rd_u8(r);
    uint8_t bits = rd_u8(r);
    op->code = bits & 15;
    op->info = bits >> 4;
    size_t slots = slots_of(op->code, op->info);
    uint32_t number = slots == 2 ? rd_u16(r) : slots == 3 ? rd_u32(r) : 0;
    switch (op->code) {
    case UWOP_ALLOC_LARGE:
        op->value = op->info == 0 ? number * 8 : number;
        break;
    case UWOP_ALLOC_SMALL:
        op->value = op->info * 8u + 8;
        break;
    case UWOP_SAVE_NONVOL:
        op->value = number * 8;
        break;
    default:
        op->value = number;
        break;
    }
    *ret_slots = slots;
    return rd_ok(r) && op->code <= UWOP_PUSH_MACHFRAME;
}

/* xmm registers have no name in the text; where epilogs are is of no use (see above). */
static bool changes_state(uint8_t code)
{
    return code != UWOP_EPILOG && code != UWOP_SPARE && code != UWOP_SAVE_XMM128 &&
           code != UWOP_SAVE_XMM128_FAR;
}

/* Reads one UNWIND_INFO to the end of `ops`, latest first.  ret_next: the entry it is
 * chained to. */
static bool read_info(const struct pe_file *f, uint32_t rva, bool is_first, struct unwind_ops *ops,
                      struct rd *ret_next, bool *ret_chained)
{
    struct rd r = pe_from(f, rva);
    uint8_t head = rd_u8(&r), version = head & 7, flags = head >> 3;
    rd_skip(&r, 1);
    size_t count = rd_u8(&r);
    uint8_t frame = rd_u8(&r);
    if (!rd_ok(&r) || version < 1 || version > 2)
        return false;
    size_t start = r.off;
    for (size_t i = 0, slots; i < count; i += slots) {
        struct unwind_op op = {.frame_reg = frame & 15, .frame_offset = frame >> 4};
        if (!read_op(&r, &op, &slots) || i + slots > count + 1 || ops->n == OPS_MAX)
            return false;
        if (!is_first)
            op.at = 0;
        if (changes_state(op.code))
            ops->v[ops->n++] = op;
    }
    *ret_chained = (flags & FLAG_CHAIN) != 0;
    *ret_next = rd_try_window(&r, start + (count + 1) / 2 * 4, *ret_chained ? ENTRY_BYTES : 0);
    return rd_ok(ret_next);
}

/* All codes of an entry, its chain included. */
static bool collect_codes(const struct pe_file *f, uint32_t rva, struct unwind_ops *ops)
{
    bool is_chained = true;
    ops->n = 0;
    for (int depth = 0; is_chained; depth++) {
        if (rva & INDIRECT) {
            struct rd other = pe_at(f, rva & ~(uint32_t)INDIRECT, ENTRY_BYTES);
            rd_skip(&other, 8);
            rva = rd_u32(&other);
        }
        struct rd next;
        if (depth == CHAIN_MAX || !read_info(f, rva, depth == 0, ops, &next, &is_chained))
            return false;
        rd_skip(&next, is_chained ? 8 : 0);
        rva = is_chained ? rd_u32(&next) : 0;
    }
    for (size_t i = 0; i < ops->n / 2; i++) {
        struct unwind_op swap = ops->v[i];
        ops->v[i] = ops->v[ops->n - 1 - i];
        ops->v[ops->n - 1 - i] = swap;
    }
    return true;
}

static void note_saved(struct unwind_state *st, const struct unwind_op *op)
{
    if (op->frame_reg && st->has_frame)
        st->regs[op->info] = (struct saved){BEFORE_P, st->base_depth - (int64_t)op->value};
    else
        st->regs[op->info] = (struct saved){ABOVE_RSP, (int64_t)op->value};
}

static void do_op(struct unwind_state *st, const struct unwind_op *op)
{
    switch (op->code) {
    case UWOP_PUSH_NONVOL:
        st->depth += 8;
        st->regs[op->info] = (struct saved){BEFORE_P, st->depth};
        break;
    case UWOP_ALLOC_LARGE:
    case UWOP_ALLOC_SMALL:
        st->depth += op->value;
        break;
    case UWOP_SET_FPREG:
        st->has_frame = op->frame_reg != 0;
        st->frame_reg = op->frame_reg;
        st->base_depth = st->depth;
        st->frame_depth = st->depth - op->frame_offset * 16;
        break;
    case UWOP_SAVE_NONVOL:
    case UWOP_SAVE_NONVOL_FAR:
        note_saved(st, op);
        break;
    case UWOP_PUSH_MACHFRAME: /* an error code lies below the address, or not */
        *st = (struct unwind_state){.is_interrupt = true, .depth = op->info ? 8 : 0};
        break;
    default:
        break;
    }
}

/* The place P - offset: relative to the CFA, or to a register where that says nothing about P. */
static void place_text(const struct unwind_state *st, int64_t offset, char out[RULE_MAX])
{
    const char *from = st->is_interrupt ? st->has_frame ? names[st->frame_reg] : "$rsp" : ".cfa";
    int64_t of = st->is_interrupt ? st->has_frame ? st->frame_depth : st->depth : -8;
    snprintf(out, RULE_MAX, "%s %" PRId64 " + ^", from, of - offset);
}

static void write_rules(const struct unwind_state *st, struct rules *r)
{
    memset(r, 0, sizeof *r);
    if (st->is_interrupt)
        place_text(st, -24, r->cfa); /* rip, cs, flags, rsp */
    else
        snprintf(r->cfa, RULE_MAX, "%s %" PRId64 " +",
                 st->has_frame ? names[st->frame_reg] : "$rsp",
                 (st->has_frame ? st->frame_depth : st->depth) + 8);
    place_text(st, 0, r->ra);
    for (size_t i = 0; i < REGISTERS; i++)
        if (i != RSP && st->regs[i].kind == BEFORE_P)
            place_text(st, st->regs[i].offset, r->regs[i]);
        else if (i != RSP && st->regs[i].kind == ABOVE_RSP && !st->has_frame)
            place_text(st, st->depth - st->regs[i].offset, r->regs[i]);
        else if (i != RSP && st->regs[i].kind == ABOVE_RSP)
            snprintf(r->regs[i], RULE_MAX, "$rsp %" PRId64 " + ^", st->regs[i].offset);
}

static void put_rule(struct strbuf *out, bool *is_first, const char *name, const char *rule,
                     const char *before)
{
    if (!rule[0] || strcmp(rule, before) == 0)
        return;
    sb_printf(out, "%s%s: %s", *is_first ? "" : " ", name, rule);
    *is_first = false;
}

/* What differs from the row before; a row without a difference is no line. */
static void write_row(struct strbuf *out, uint64_t addr, bool is_init, const struct rules *now,
                      struct rules *before)
{
    size_t at = out->n;
    bool is_first = true;
    if (!is_init)
        sb_printf(out, "STACK CFI %" PRIx64 " ", addr);
    put_rule(out, &is_first, ".cfa", now->cfa, before->cfa);
    put_rule(out, &is_first, ".ra", now->ra, before->ra);
    for (size_t i = 0; i < REGISTERS; i++)
        put_rule(out, &is_first, names[i], now->regs[i], before->regs[i]);
    if (is_first)
        out->n = at;
    else
        sb_char(out, '\n');
    *before = *now;
}

/* Offsets of a damaged table may go back: such rows would not be in order, and the entry is
 * none. */
static bool write_frame(const struct unwind_ops *ops, uint32_t from, uint32_t to, struct sym *s)
{
    struct unwind_state st = {0};
    struct rules now, before = {0};
    struct strbuf *out = &s->cfi;
    size_t text = out->n;
    unsigned last = 0;
    bool is_ordered = true;
    for (size_t i = 0; i <= ops->n && is_ordered;) {
        for (; i < ops->n && ops->v[i].at == last; i++)
            do_op(&st, &ops->v[i]);
        if (from + last < to) {
            write_rules(&st, &now);
            write_row(out, from + last, last == 0, &now, &before);
        }
        if (i == ops->n)
            break;
        is_ordered = ops->v[i].at > last;
        last = ops->v[i].at;
    }
    if (!is_ordered || out->overflow || out->n - text > CFI_MAX_PER_ENTRY) {
        out->n = text;
        return false;
    }
    VEC_PUSH(&s->frames, ((struct sym_frame){from, to - from, text, out->n - text}));
    return true;
}

void pe_add_unwind_amd64(const struct pe_file *f, struct sym *s)
{
    struct rd r = pe_from(f, f->directories[PE_EXCEPTIONS].rva);
    uint32_t count = f->directories[PE_EXCEPTIONS].size / ENTRY_BYTES;
    struct unwind_ops *ops = xmalloc(sizeof *ops);
    for (uint32_t i = 0; i < count && rd_left(&r) >= ENTRY_BYTES; i++) {
        uint32_t from = rd_u32(&r), to = rd_u32(&r), info = rd_u32(&r);
        if (from == 0 && to == 0)
            continue; /* tables are padded with zeros */
        uint32_t end = pe_code_end(f, from);
        bool ok =
            from < to && to <= end && collect_codes(f, info, ops) && write_frame(ops, from, to, s);
        s->skipped_frames += !ok;
    }
    free(ops);
}
