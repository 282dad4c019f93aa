#include "unwind/insn.h"

#include <stdio.h>

#include "base/str.h"
#include "base/util.h"

/* Encoding order of general registers -> index in the context layout. */
static const uint8_t layout_of[16] = {0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};
enum { RIP = 16 };

struct decoder {
    struct rd r;
    bool has_66, has_67, has_rep, has_repne; /* prefixes */
    char segment;
    uint8_t rex;
    bool has_rex;
    bool is_vex, is_256;
    uint8_t vvvv; /* VEX: the register operand in the prefix */
    bool has_modrm;
    uint8_t modrm;
    uint8_t opcode;
    struct insn *out;
};

enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };

static unsigned operand_bytes(const struct decoder *d)
{
    return d->rex & REX_W ? 8 : d->has_66 ? 2 : 4;
}

static int64_t read_signed(struct decoder *d, unsigned bytes)
{
    switch (bytes) {
    case 1:
        return (int8_t)rd_u8(&d->r);
    case 2:
        return (int16_t)rd_u16(&d->r);
    case 4:
        return (int32_t)rd_u32(&d->r);
    default:
        return (int64_t)rd_u64(&d->r);
    }
}

static struct insn_operand *push_operand(struct decoder *d, enum insn_kind kind, unsigned bytes)
{
    struct insn_operand *o = &d->out->operands[d->out->operand_count++];
    *o = (struct insn_operand){.kind = kind,
                               .bytes = (uint16_t)bytes,
                               .reg = MDMP_REG_NONE,
                               .base = MDMP_REG_NONE,
                               .index = MDMP_REG_NONE};
    return o;
}

static void name_register(struct insn_operand *o, unsigned number, unsigned bytes, bool has_rex)
{
    static const char *const low[8] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
    static const char *const byte[8] = {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"};
    static const char *const high[4] = {"ah", "ch", "dh", "bh"};
    if (number >= 8)
        snprintf(o->name, sizeof o->name, "r%u%s", number,
                 bytes == 8   ? ""
                 : bytes == 4 ? "d"
                 : bytes == 2 ? "w"
                              : "b");
    else if (bytes == 1)
        snprintf(o->name, sizeof o->name, "%s",
                 number >= 4 && !has_rex ? high[number - 4] : byte[number]);
    else
        snprintf(o->name, sizeof o->name, "%s%s",
                 bytes == 8   ? "r"
                 : bytes == 4 ? "e"
                              : "",
                 low[number]);
}

static void push_gpr(struct decoder *d, unsigned number, unsigned bytes)
{
    struct insn_operand *o = push_operand(d, INSN_REG, bytes);
    bool is_high = bytes == 1 && number >= 4 && number < 8 && !d->has_rex;
    o->reg = layout_of[is_high ? number - 4 : number];
    name_register(o, number, bytes, d->has_rex);
}

static void push_xmm(struct decoder *d, unsigned number)
{
    struct insn_operand *o = push_operand(d, INSN_REG, d->is_256 ? 32 : 16);
    snprintf(o->name, sizeof o->name, "%cmm%u", d->is_256 ? 'y' : 'x', number & 15);
}

static void push_imm(struct decoder *d, unsigned bytes)
{
    push_operand(d, INSN_IMM, bytes)->value = read_signed(d, bytes);
}

static void need_modrm(struct decoder *d)
{
    if (!d->has_modrm)
        d->modrm = rd_u8(&d->r);
    d->has_modrm = true;
}

static unsigned modrm_reg(struct decoder *d)
{
    need_modrm(d);
    return (d->modrm >> 3 & 7u) | (d->rex & REX_R ? 8u : 0);
}

static void read_sib(struct decoder *d, struct insn_operand *o, unsigned mod)
{
    uint8_t sib = rd_u8(&d->r);
    unsigned index = (sib >> 3 & 7u) | (d->rex & REX_X ? 8u : 0);
    unsigned base = (sib & 7u) | (d->rex & REX_B ? 8u : 0);
    if (index != 4) {
        o->index = layout_of[index];
        o->scale = (uint8_t)(1 << (sib >> 6));
    }
    if ((base & 7) == 5 && mod == 0)
        o->value = read_signed(d, 4);
    else
        o->base = layout_of[base];
}

/* Memory as ModRM says; mod is not 3. */
static void push_memory(struct decoder *d, unsigned bytes)
{
    unsigned mod = d->modrm >> 6, rm = d->modrm & 7u;
    struct insn_operand *o = push_operand(d, INSN_MEM, bytes);
    o->segment = d->segment;
    if (rm == 4)
        read_sib(d, o, mod);
    else if (rm == 5 && mod == 0) {
        o->base = RIP;
        o->value = read_signed(d, 4);
    } else {
        o->base = layout_of[rm | (d->rex & REX_B ? 8u : 0)];
    }
    if (mod == 1)
        o->value = read_signed(d, 1);
    else if (mod == 2)
        o->value = read_signed(d, 4);
}

/* E: register or memory. */
static void push_e(struct decoder *d, unsigned bytes)
{
    need_modrm(d);
    if (d->modrm >> 6 == 3)
        push_gpr(d, (d->modrm & 7u) | (d->rex & REX_B ? 8u : 0), bytes);
    else
        push_memory(d, bytes);
}

/* W: SSE register or memory of `bytes`. */
static void push_w(struct decoder *d, unsigned bytes)
{
    need_modrm(d);
    if (d->modrm >> 6 == 3)
        push_xmm(d, (d->modrm & 7u) | (d->rex & REX_B ? 8u : 0));
    else
        push_memory(d, bytes);
}

static bool push_m(struct decoder *d, unsigned bytes)
{
    need_modrm(d);
    if (d->modrm >> 6 == 3)
        return false;
    push_memory(d, bytes);
    return true;
}

/* VEX instructions other than these have a second source in the prefix. */
static bool has_two_operands(const char *name)
{
    static const char *const prefixes[] = {"mov", "pshuf", "ucomis", "comis", "cvt", "sqrtp"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static void push_v(struct decoder *d)
{
    push_xmm(d, modrm_reg(d));
    if (d->is_vex && !has_two_operands(d->out->mnemonic))
        push_xmm(d, d->vvvv);
}

static void push_g(struct decoder *d, unsigned bytes)
{
    push_gpr(d, modrm_reg(d), bytes);
}

static unsigned opcode_register(const struct decoder *d)
{
    return (d->opcode & 7u) | (d->rex & REX_B ? 8u : 0);
}

static void push_rel(struct decoder *d, unsigned bytes)
{
    push_operand(d, INSN_REL, 8)->value = read_signed(d, bytes);
}

/* Scalars by prefix, whole registers otherwise. */
static unsigned sse_bytes(const struct decoder *d)
{
    return d->has_rep ? 4 : d->has_repne ? 8 : d->is_256 ? 32 : 16;
}

static void push_one(struct decoder *d)
{
    push_operand(d, INSN_IMM, 1)->value = 1;
}

static bool read_sse_form(struct decoder *d, enum insn_form form)
{
    unsigned scalar = d->has_rep || !(d->has_66 || d->has_repne) ? 4 : 8;
    unsigned general = d->rex & REX_W ? 8 : 4;
    switch (form) {
    case FORM_V_W:
    case FORM_V_W_IB:
        push_v(d);
        push_w(d, form == FORM_V_W_IB ? (d->is_256 ? 32 : 16) : sse_bytes(d));
        if (form == FORM_V_W_IB)
            push_imm(d, 1);
        return true;
    case FORM_W_V:
        push_w(d, sse_bytes(d));
        push_v(d);
        return true;
    case FORM_V_MQ:
        push_v(d);
        return push_m(d, 8);
    case FORM_MQ_V:
        if (!push_m(d, 8))
            return false;
        push_v(d);
        return true;
    case FORM_V_EV:
        push_v(d);
        push_e(d, general);
        return true;
    case FORM_EV_V:
        push_e(d, general);
        push_v(d);
        return true;
    case FORM_V_WQ:
        push_v(d);
        push_w(d, 8);
        return true;
    case FORM_WQ_V:
        push_w(d, 8);
        push_v(d);
        return true;
    case FORM_V_WS:
        push_v(d);
        push_w(d, scalar);
        return true;
    case FORM_GV_WS:
        push_g(d, general);
        push_w(d, scalar);
        return true;
    default:
        return false;
    }
}

/* movdqa and movdqu are whole registers though they share the prefixes of scalars. */
static bool read_whole_sse(struct decoder *d, bool to_memory)
{
    unsigned bytes = d->is_256 ? 32 : 16;
    if (to_memory)
        push_w(d, bytes);
    push_v(d);
    if (!to_memory)
        push_w(d, bytes);
    return true;
}

static void push_string(struct decoder *d, unsigned register_number, unsigned bytes)
{
    push_operand(d, INSN_MEM, bytes)->base = layout_of[register_number];
}

/* movs, cmps, stos, lods, scas: even opcodes work on bytes. */
static void read_string(struct decoder *d)
{
    enum { RSI = 6, RDI = 7 };
    unsigned bytes = d->opcode & 1 ? operand_bytes(d) : 1;
    switch (d->opcode & 0xfe) {
    case 0xa4: /* movs */
        push_string(d, RDI, bytes);
        push_string(d, RSI, bytes);
        return;
    case 0xa6: /* cmps */
        push_string(d, RSI, bytes);
        push_string(d, RDI, bytes);
        return;
    case 0xaa: /* stos */
        push_string(d, RDI, bytes);
        push_gpr(d, 0, bytes);
        return;
    case 0xac: /* lods */
        push_gpr(d, 0, bytes);
        push_string(d, RSI, bytes);
        return;
    default: /* scas */
        push_gpr(d, 0, bytes);
        push_string(d, RDI, bytes);
    }
}

static bool read_form(struct decoder *d, enum insn_form form)
{
    unsigned v = operand_bytes(d), z = MIN(v, 4u), q = d->has_66 ? 2 : 8;
    switch (form) {
    case FORM_BAD:
        return false;
    case FORM_NONE:
    case FORM_BY_SIZE:
        return true;
    case FORM_STRING:
        read_string(d);
        return true;
    case FORM_EB_GB:
        push_e(d, 1);
        push_g(d, 1);
        return true;
    case FORM_EV_GV:
    case FORM_EV_GV_IB:
    case FORM_EV_GV_CL:
        push_e(d, v);
        push_g(d, v);
        if (form == FORM_EV_GV_IB)
            push_imm(d, 1);
        else if (form == FORM_EV_GV_CL)
            push_gpr(d, 1, 1);
        return true;
    case FORM_GB_EB:
        push_g(d, 1);
        push_e(d, 1);
        return true;
    case FORM_GV_EV:
    case FORM_GV_EV_IZ:
    case FORM_GV_EV_IB:
        push_g(d, v);
        push_e(d, v);
        if (form != FORM_GV_EV)
            push_imm(d, form == FORM_GV_EV_IZ ? z : 1);
        return true;
    case FORM_AL_IB:
        push_gpr(d, 0, 1);
        push_imm(d, 1);
        return true;
    case FORM_AX_IZ:
        push_gpr(d, 0, v);
        push_imm(d, z);
        return true;
    case FORM_ZQ:
        push_gpr(d, opcode_register(d), q);
        return true;
    case FORM_IZ:
        push_imm(d, z);
        return true;
    case FORM_IB:
        push_imm(d, 1);
        return true;
    case FORM_IW:
        push_imm(d, 2);
        return true;
    case FORM_JB:
        push_rel(d, 1);
        return true;
    case FORM_JZ:
        push_rel(d, 4);
        return true;
    case FORM_EB_IB:
        push_e(d, 1);
        push_imm(d, 1);
        return true;
    case FORM_EV_IZ:
        push_e(d, v);
        push_imm(d, z);
        return true;
    case FORM_EV_IB:
        push_e(d, v);
        push_imm(d, 1);
        return true;
    case FORM_EB:
        push_e(d, 1);
        return true;
    case FORM_EV:
        push_e(d, v);
        return true;
    case FORM_EQ:
        push_e(d, q);
        return true;
    case FORM_EW:
        push_e(d, 2);
        return true;
    case FORM_GV_M:
        push_g(d, v);
        return push_m(d, v);
    case FORM_GV_ED:
        push_g(d, v);
        push_e(d, 4);
        return true;
    case FORM_GV_EB:
        push_g(d, v);
        push_e(d, 1);
        return true;
    case FORM_GV_EW:
        push_g(d, v);
        push_e(d, 2);
        return true;
    case FORM_ZV_IV:
        push_gpr(d, opcode_register(d), v);
        push_imm(d, v);
        return true;
    case FORM_ZB_IB:
        push_gpr(d, opcode_register(d), 1);
        push_imm(d, 1);
        return true;
    case FORM_AX_ZV:
        push_gpr(d, 0, v);
        push_gpr(d, opcode_register(d), v);
        return true;
    case FORM_EB_1:
        push_e(d, 1);
        push_one(d);
        return true;
    case FORM_EV_1:
        push_e(d, v);
        push_one(d);
        return true;
    case FORM_EB_CL:
        push_e(d, 1);
        push_gpr(d, 1, 1);
        return true;
    case FORM_EV_CL:
        push_e(d, v);
        push_gpr(d, 1, 1);
        return true;
    case FORM_ZV:
        push_gpr(d, opcode_register(d), v);
        return true;
    case FORM_M:
        return push_m(d, 0);
    case FORM_M16:
        return push_m(d, d->rex & REX_W ? 16 : 8);
    case FORM_RQ_C:
        need_modrm(d);
        return true;
    default:
        return read_sse_form(d, form);
    }
}

/* Part `index` of a list; false for a hole or past the end. */
static bool pick(const char *names, char separator, size_t index, char *out, size_t size)
{
    struct str rest = str_of(names), part;
    for (size_t i = 0; str_split(&rest, separator, &part); i++) {
        if (i != index)
            continue;
        snprintf(out, size, STR_FMT, STR_ARG(part));
        return part.n > 0;
    }
    return false;
}

static bool pick_name(struct decoder *d, const struct insn_row *row)
{
    char *out = d->out->mnemonic;
    size_t size = sizeof d->out->mnemonic;
    if (row->form == FORM_GROUP) {
        need_modrm(d);
        return pick(row->name, ',', d->modrm >> 3 & 7, out, size);
    }
    if (row->form == FORM_BY_SIZE)
        return pick(row->name, ',', d->rex & REX_W ? 2 : d->has_66 ? 1 : 0, out, size);
    if (!strchr(row->name, '|')) {
        snprintf(out, size, "%s", row->name);
        return true;
    }
    size_t by_prefix = d->has_repne ? 3 : d->has_rep ? 2 : d->has_66 ? 1 : 0;
    return pick(row->name, '|', by_prefix, out, size);
}

/* Members of groups whose operands are not those of their neighbours. */
static enum insn_form member_form(const struct decoder *d, const struct insn_row *row)
{
    unsigned reg = d->modrm >> 3 & 7u;
    if (row->member == FORM_EB && d->opcode == 0xf6 && reg < 2)
        return FORM_EB_IB;
    if (row->member == FORM_EV && d->opcode == 0xf7 && reg < 2)
        return FORM_EV_IZ;
    if (d->opcode == 0xff && (reg == 2 || reg == 4 || reg == 6))
        return FORM_EQ;
    return row->member;
}

static bool read_operands(struct decoder *d, const struct insn_row *row, bool is_0f)
{
    bool is_mov_dq = is_0f && (d->opcode == 0x6f || d->opcode == 0x7f);
    if (is_mov_dq)
        return read_whole_sse(d, d->opcode == 0x7f);
    return read_form(d, row->form == FORM_GROUP ? member_form(d, row) : row->form);
}

static void read_prefixes(struct decoder *d)
{
    for (;;) {
        struct rd ahead = d->r;
        uint8_t b = rd_u8(&ahead);
        if (!rd_ok(&ahead))
            return;
        if (b == 0x66)
            d->has_66 = true;
        else if (b == 0x67)
            d->has_67 = true;
        else if (b == 0xf3)
            d->has_rep = true;
        else if (b == 0xf2)
            d->has_repne = true;
        else if (b == 0x64 || b == 0x65)
            d->segment = b == 0x64 ? 'f' : 'g';
        else if (b != 0xf0 && b != 0x26 && b != 0x2e && b != 0x36 && b != 0x3e)
            break;
        d->r = ahead;
    }
    struct rd ahead = d->r;
    uint8_t b = rd_u8(&ahead);
    if (rd_ok(&ahead) && (b & 0xf0) == 0x40) {
        d->rex = b & 15;
        d->has_rex = true;
        d->r = ahead;
    }
}

/* C5: two bytes of prefix, C4: three.  Only the map of 0F; the others are rare. */
static bool read_vex(struct decoder *d)
{
    bool is_long = d->opcode == 0xc4;
    uint8_t b = rd_u8(&d->r);
    d->rex |= b & 0x80 ? 0 : REX_R; /* stored inverted */
    if (is_long) {
        d->rex |= (b & 0x40 ? 0 : REX_X) | (b & 0x20 ? 0 : REX_B);
        if ((b & 0x1f) != 1)
            return false;
        b = rd_u8(&d->r);
        d->rex |= b & 0x80 ? REX_W : 0;
    }
    d->vvvv = ~(b >> 3) & 15;
    d->is_256 = b & 4;
    d->has_66 = (b & 3) == 1;
    d->has_rep = (b & 3) == 2;
    d->has_repne = (b & 3) == 3;
    d->is_vex = true;
    d->opcode = rd_u8(&d->r);
    return true;
}

/* Forms that VEX encodes; a 'v' goes before their names. */
static bool is_vex_form(enum insn_form form)
{
    return form >= FORM_V_W && form <= FORM_GV_WS && form != FORM_V_MQ;
}

static void prepend_v(struct insn *i)
{
    char name[sizeof i->mnemonic];
    snprintf(name, sizeof name, "v%s", i->mnemonic);
    memcpy(i->mnemonic, name, sizeof name);
}

static uint8_t next_byte(const struct decoder *d)
{
    struct rd ahead = d->r;
    return rd_u8(&ahead);
}

/* Where prefixes choose between quite different instructions. */
static struct insn_row special_row(const struct decoder *d)
{
    if (d->opcode == 0x1e && d->has_rep && next_byte(d) == 0xfa)
        return (struct insn_row){"endbr64", FORM_RQ_C, FORM_BAD};
    if (d->opcode == 0x1e && d->has_rep) /* shadow stack hints */
        return (struct insn_row){"nop", FORM_EV, FORM_BAD};
    if (d->opcode == 0x7e && d->has_rep)
        return (struct insn_row){"movq", FORM_V_WQ, FORM_BAD};
    if (d->opcode == 0x7e && d->has_66)
        return (struct insn_row){d->rex & REX_W ? "movq" : "movd", FORM_EV_V, FORM_BAD};
    if (d->opcode == 0x6e && d->has_66 && d->rex & REX_W)
        return (struct insn_row){"movq", FORM_V_EV, FORM_BAD};
    if (d->opcode == 0x7f && (d->has_rep || d->has_66))
        return (struct insn_row){d->has_rep ? "movdqu" : "movdqa", FORM_W_V, FORM_BAD};
    return insn_row_0f(d->opcode);
}

bool insn_decode(struct rd bytes, struct insn *ret)
{
    struct insn i = {0};
    struct decoder d = {.r = bytes, .out = &i};
    d.r.n = MIN(d.r.n, d.r.off + INSN_BYTES_MAX);
    size_t start = d.r.off;
    read_prefixes(&d);
    d.opcode = rd_u8(&d.r);
    bool is_0f = d.opcode == 0x0f;
    if (is_0f)
        d.opcode = rd_u8(&d.r);
    else if (d.opcode == 0xc4 || d.opcode == 0xc5)
        is_0f = read_vex(&d);
    if (!rd_ok(&d.r) || d.has_67) /* 32-bit addresses are not worth the trouble */
        return false;
    struct insn_row row = is_0f ? special_row(&d) : insn_row_1(d.opcode);
    if (row.form == FORM_BAD || (d.is_vex && !is_vex_form(row.form)) || !pick_name(&d, &row) ||
        !read_operands(&d, &row, is_0f) || !rd_ok(&d.r))
        return false;
    if (d.is_vex)
        prepend_v(&i);
    i.bytes = (uint8_t)(d.r.off - start);
    *ret = i;
    return true;
}
