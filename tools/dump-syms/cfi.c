#include "cfi.h"

#include <dwarf.h>
#include <inttypes.h>

#include "base/util.h"
#include "cfi_text.h"

enum {
    REMEMBERED_MAX = 64,
    ENCODING_OMIT = 0xff,
    ENCODING_PC_RELATIVE = 0x10,
    SCRATCH_MAX = 1 << 16,
    AARCH64_NEGATE_RA_STATE = 0x2d, /* also DW_CFA_GNU_window_save of SPARC */
};

/* How to find one value of the caller.  Rules with equal members are equal. */
struct rule {
    enum { UNSPECIFIED, UNDEFINED, SAME, OFFSET, VAL_OFFSET, REGISTER, EXPR, VAL_EXPR } kind;
    uint64_t reg; /* REGISTER, and the base of a CFA given as register and offset */
    int64_t offset;
    const uint8_t *expr; /* EXPR and VAL_EXPR */
    size_t expr_size;
};

struct row {
    struct rule cfa; /* OFFSET: reg + offset; VAL_EXPR */
    struct rule regs[CFI_REGISTERS_MAX];
};

struct cie {
    uint64_t code_align;
    int64_t data_align;
    uint64_t ra;      /* column of the return address */
    uint8_t encoding; /* of addresses in the FDE */
    bool has_data;    /* augmentation data in the FDE */
    struct rd instructions;
};

struct machine {
    const struct cfi_section *section;
    const struct cie *cie;
    struct sym *s;
    struct row row, initial, written;
    struct row *remembered; /* owned, REMEMBERED_MAX of them */
    size_t remembered_count;
    uint64_t start, end, at;
    bool has_cfa;        /* the first row has one: without it the entry is useless */
    struct strbuf *text; /* rules of the current row */
};

/* ---- encoded pointers ---- */

static uint64_t read_encoded_value(struct rd *r, const struct cfi_section *sec, uint8_t format)
{
    switch (format) {
    case DW_EH_PE_absptr:
        return sec->addr_size == 8 ? rd_u64(r) : rd_u32(r);
    case DW_EH_PE_uleb128:
        return cfi_uleb(r);
    case DW_EH_PE_sleb128:
        return (uint64_t)cfi_sleb(r);
    case DW_EH_PE_udata2:
        return rd_u16(r);
    case DW_EH_PE_sdata2:
        return (uint64_t)(int16_t)rd_u16(r);
    case DW_EH_PE_udata4:
        return rd_u32(r);
    case DW_EH_PE_sdata4:
        return (uint64_t)(int32_t)rd_u32(r);
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
        return rd_u64(r);
    default:
        r->bad = true;
        return 0;
    }
}

/* Absolute or relative to the field itself; others need tables that are not at hand. */
static uint64_t read_encoded(struct rd *r, uint64_t window_at, const struct cfi_section *sec,
                             uint8_t encoding)
{
    uint64_t field = sec->addr + window_at + r->off;
    uint64_t value = read_encoded_value(r, sec, encoding & 0x0f);
    uint8_t how = encoding & 0x70;
    if (how == ENCODING_PC_RELATIVE)
        value += field;
    else if (how != 0)
        r->bad = true;
    if (encoding & DW_EH_PE_indirect)
        r->bad = true;
    return sec->addr_size == 4 ? (uint32_t)value : value;
}

/* ---- CIE ---- */

static void read_augmentation(struct rd *r, const struct cfi_section *sec, const char *letters,
                              struct cie *c)
{
    c->has_data = true;
    uint64_t size = cfi_uleb(r);
    struct rd data = rd_window(r, r->off, size);
    rd_skip(r, rd_ok(r) ? (size_t)size : 0);
    for (const char *l = letters; *l; l++) {
        switch (*l) {
        case 'R':
            c->encoding = rd_u8(&data);
            break;
        case 'P': { /* personality: only its size matters */
            uint8_t encoding = rd_u8(&data);
            if (encoding != ENCODING_OMIT)
                read_encoded_value(&data, sec, encoding & 0x0f);
            break;
        }
        case 'L':
            rd_u8(&data);
            break;
        case 'S': /* signal frame */
        case 'B': /* pointer authentication key B */
            break;
        default: /* the rest cannot be understood, but its size is known */
            return;
        }
    }
    if (!rd_ok(&data))
        r->bad = true;
}

/* `r` covers the entry behind its id field. */
static bool read_cie(struct rd r, const struct cfi_section *sec, struct cie *ret)
{
    struct cie c = {.encoding = DW_EH_PE_absptr};
    uint8_t version = rd_u8(&r);
    char letters[8] = "";
    size_t n = 0;
    for (char l; rd_ok(&r) && (l = (char)rd_u8(&r)) != '\0'; n++)
        if (n < sizeof letters - 1)
            letters[n] = l;
    if (n >= sizeof letters || (version != 1 && version != 3 && version != 4))
        return false;
    if (version == 4) {
        uint8_t addr_size = rd_u8(&r), segment_size = rd_u8(&r);
        if (addr_size != sec->addr_size || segment_size != 0)
            return false;
    }
    c.code_align = cfi_uleb(&r);
    c.data_align = cfi_sleb(&r);
    c.ra = version == 1 ? rd_u8(&r) : cfi_uleb(&r);
    if (letters[0] == 'z')
        read_augmentation(&r, sec, letters + 1, &c);
    else if (letters[0])
        return false;
    if (!rd_ok(&r))
        return false;
    c.instructions = rd_window(&r, r.off, rd_left(&r));
    *ret = c;
    return true;
}

/* ---- rules as text ---- */

static bool same_rule(const struct rule *a, const struct rule *b)
{
    return a->kind == b->kind && a->reg == b->reg && a->offset == b->offset && a->expr == b->expr &&
           a->expr_size == b->expr_size;
}

static const char *register_name(const struct machine *m, uint64_t number)
{
    return number == m->cie->ra ? ".ra" : cfi_register_name(m->section->machine, number);
}

/* Appends the value of a rule; false when the text cannot say it. */
static bool rule_text(const struct machine *m, uint64_t number, const struct rule *r,
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

static bool cfa_text(const struct machine *m, struct strbuf *out)
{
    const struct rule *r = &m->row.cfa;
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

static void check_said(struct machine *m, bool said, size_t before)
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

/* What has changed since the last row, or (first) everything that is known. */
static void row_text(struct machine *m, bool first)
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
        const struct rule *now = &m->row.regs[i];
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

static void write_row(struct machine *m, bool first)
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

/* ---- the program ---- */

static struct rule *rule_of(struct machine *m, uint64_t number)
{
    static _Thread_local struct rule ignored; /* registers without a name */
    return number < CFI_REGISTERS_MAX ? &m->row.regs[number] : &ignored;
}

static void set_rule(struct machine *m, uint64_t number, struct rule r)
{
    *rule_of(m, number) = r;
}

static void restore(struct machine *m, uint64_t number)
{
    if (number < CFI_REGISTERS_MAX)
        m->row.regs[number] = m->initial.regs[number];
}

static struct rule expression(struct rd *r, int kind)
{
    uint64_t size = cfi_uleb(r);
    const uint8_t *p = size <= rd_left(r) ? rd_bytes(r, (size_t)size) : (r->bad = true, NULL);
    return (struct rule){.kind = kind, .expr = p, .expr_size = p ? (size_t)size : 0};
}

static int64_t scaled(const struct machine *m, int64_t n)
{
    return (int64_t)((uint64_t)n * (uint64_t)m->cie->data_align);
}

/* The rows up to here are done: write what has changed at their address. */
static bool advance(struct machine *m, uint64_t delta, bool *first)
{
    write_row(m, *first);
    *first = false;
    uint64_t bytes = delta * m->cie->code_align;
    bool wraps = m->cie->code_align && bytes / m->cie->code_align != delta;
    m->at = wraps || bytes >= m->end - m->at ? m->end : m->at + bytes;
    return true;
}

static bool remember(struct machine *m)
{
    if (m->remembered_count == REMEMBERED_MAX)
        return false;
    m->remembered[m->remembered_count++] = m->row;
    return true;
}

static bool recall(struct machine *m)
{
    if (m->remembered_count == 0)
        return false;
    m->row = m->remembered[--m->remembered_count];
    return true;
}

static bool def_cfa(struct machine *m, uint64_t reg, int64_t offset)
{
    m->row.cfa = (struct rule){.kind = OFFSET, .reg = reg, .offset = offset};
    return true;
}

/* Register rules: the operation, then the register. */
static bool register_step(struct machine *m, struct rd *r, uint8_t op)
{
    uint64_t reg = cfi_uleb(r);
    switch (op) {
    case DW_CFA_offset_extended:
        set_rule(m, reg, (struct rule){.kind = OFFSET, .offset = scaled(m, (int64_t)cfi_uleb(r))});
        return true;
    case DW_CFA_offset_extended_sf:
        set_rule(m, reg, (struct rule){.kind = OFFSET, .offset = scaled(m, cfi_sleb(r))});
        return true;
    case DW_CFA_GNU_negative_offset_extended:
        set_rule(m, reg, (struct rule){.kind = OFFSET, .offset = -scaled(m, (int64_t)cfi_uleb(r))});
        return true;
    case DW_CFA_val_offset:
        set_rule(m, reg,
                 (struct rule){.kind = VAL_OFFSET, .offset = scaled(m, (int64_t)cfi_uleb(r))});
        return true;
    case DW_CFA_val_offset_sf:
        set_rule(m, reg, (struct rule){.kind = VAL_OFFSET, .offset = scaled(m, cfi_sleb(r))});
        return true;
    case DW_CFA_restore_extended:
        restore(m, reg);
        return true;
    case DW_CFA_undefined:
        set_rule(m, reg, (struct rule){.kind = UNDEFINED});
        return true;
    case DW_CFA_same_value:
        set_rule(m, reg, (struct rule){.kind = SAME});
        return true;
    case DW_CFA_register:
        set_rule(m, reg, (struct rule){.kind = REGISTER, .reg = cfi_uleb(r)});
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

static bool step(struct machine *m, struct rd *r, bool *first)
{
    uint8_t op = rd_u8(r), low = op & 0x3f;
    switch (op & 0xc0) {
    case DW_CFA_advance_loc:
        return advance(m, low, first);
    case DW_CFA_offset:
        set_rule(m, low, (struct rule){.kind = OFFSET, .offset = scaled(m, (int64_t)cfi_uleb(r))});
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
        return register_step(m, r, op);
    }
}

/* ---- FDE ---- */

static bool initial_row(struct machine *m)
{
    bool first = false;
    struct rd code = m->cie->instructions;
    while (rd_left(&code) > 0) {
        uint8_t op = code.p[code.off];
        bool moves = (op & 0xc0) == DW_CFA_advance_loc ||
                     (op >= DW_CFA_set_loc && op <= DW_CFA_advance_loc4);
        if (moves || !step(m, &code, &first) || !rd_ok(&code))
            return false;
    }
    m->initial = m->row;
    return true;
}

static bool run(struct machine *m, struct rd code)
{
    if (!initial_row(m))
        return false;
    bool first = true;
    /* Rows behind the end of the function concern nobody. */
    while (m->at < m->end && rd_left(&code) > 0)
        if (!step(m, &code, &first) || !rd_ok(&code))
            return false;
    if (m->at < m->end)
        write_row(m, first);
    return m->has_cfa;
}

static void write_frame(const struct cfi_section *sec, struct sym *s, const struct cie *cie,
                        struct rd r, uint64_t window_at)
{
    uint64_t start = read_encoded(&r, window_at, sec, cie->encoding);
    uint64_t size = read_encoded_value(&r, sec, cie->encoding & 0x0f);
    if (cie->has_data) {
        uint64_t skip = cfi_uleb(&r);
        rd_skip(&r, skip <= rd_left(&r) ? (size_t)skip : SIZE_MAX);
    }
    bool odd = !rd_ok(&r) || size == 0 || size > UINT32_MAX || size > UINT64_MAX - start ||
               start < sec->base;
    if (odd) {
        s->skipped_frames++;
        return;
    }
    if (sec->is_code && !sec->is_code(sec->arg, start, size))
        return; /* dropped by the linker */

    struct row remembered[REMEMBERED_MAX];
    STRBUF_AUTO text;
    sb_init(&text, SCRATCH_MAX);
    struct machine m = {.section = sec,
                        .cie = cie,
                        .s = s,
                        .remembered = remembered,
                        .start = start,
                        .at = start,
                        .end = start + size,
                        .text = &text};
    struct sym_frame f = {.addr = start - sec->base, .size = size, .text = s->cfi.n};
    if (!run(&m, rd_window(&r, r.off, rd_left(&r)))) {
        s->cfi.n = f.text;
        s->skipped_frames++;
        return;
    }
    f.text_length = s->cfi.n - f.text;
    VEC_PUSH(&s->frames, f);
}

/* One entry at `at`; its length has been read.  `id_at` is the offset of its id field. */
static void read_entry(const struct cfi_section *sec, struct sym *s, uint64_t id_at, uint64_t size,
                       bool is_wide)
{
    uint64_t id_size = is_wide && !sec->is_eh ? 8 : 4;
    struct rd r = rd_try_window(&sec->bytes, id_at, size);
    uint64_t id = id_size == 8 ? rd_u64(&r) : rd_u32(&r);
    uint64_t cie_id = sec->is_eh ? 0 : id_size == 8 ? UINT64_MAX : UINT32_MAX;
    if (!rd_ok(&r) || id == cie_id) /* a CIE is read when an FDE wants it */
        return;

    uint64_t cie_at = sec->is_eh ? id_at - id : id;
    struct rd head = rd_try_window(&sec->bytes, cie_at, 12);
    uint64_t length = rd_u32(&head), skip = 4;
    if (length == UINT32_MAX) {
        length = rd_u64(&head);
        skip = 12;
    }
    struct rd body = rd_try_window(&sec->bytes, cie_at + skip, length);
    uint64_t found = skip == 12 && !sec->is_eh ? rd_u64(&body) : rd_u32(&body);
    uint64_t wanted = sec->is_eh ? 0 : skip == 12 ? UINT64_MAX : UINT32_MAX;
    struct cie cie;
    size_t body_id = body.off;
    struct rd cie_bytes = rd_try_window(&body, body_id, rd_left(&body));
    if (!rd_ok(&body) || found != wanted || !read_cie(cie_bytes, sec, &cie)) {
        s->skipped_frames++;
        return;
    }
    struct rd fde = rd_try_window(&r, r.off, rd_left(&r));
    write_frame(sec, s, &cie, fde, id_at + id_size);
}

void cfi_add_section(const struct cfi_section *sec, struct sym *s)
{
    struct rd r = sec->bytes;
    while (rd_left(&r) >= 4) {
        uint64_t size = rd_u32(&r);
        bool is_wide = size == UINT32_MAX;
        if (is_wide)
            size = rd_u64(&r);
        if (size > rd_left(&r)) {
            s->skipped_frames++;
            return;
        }
        if (size > 0) /* 0: the end mark, behind which nothing follows in a linked file */
            read_entry(sec, s, r.off, size, is_wide);
        rd_skip(&r, (size_t)size);
    }
}
