/*
 * Unwind tables of Windows on arm64 against a machine that runs prologs and epilogs.  A random
 * prolog is made as steps of the machine and as codes; after each step, in the body and after each
 * step of the epilog our rules must give back what the registers were at the entry.  Shapes of 30
 * bits are made the other way round: the steps are those that Microsoft's table of canonical
 * prologs gives for them.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "tools/dump-syms/pe_file.h"
#include "tools/dump-syms/pe_unwind.h"
#include "tools/dump-syms/sym.h"

enum {
    ROUNDS = 3000,
    STACK_BYTES = 1 << 17,
    CODE_RVA = 0x1000,
    DATA_RVA = 0x2000,
    DATA_AT = 0x400,
    DATA_BYTES = 0x1000,
    FP = 29,
    LR = 30,
    SP = 31,
    ENTRY_SP = STACK_BYTES - 256,
    BODY = 40, /* bytes between prolog and epilog */
    NOTHING = 99,
};

static uint64_t seed = 88172645463325252ull;

static uint32_t any(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 20) % below;
}

struct machine {
    uint64_t reg[32];
    uint8_t stack[STACK_BYTES];
};

/* One instruction: sp goes down by `down`, then up to two registers are stored at sp + at. */
struct step {
    uint32_t down, at;
    unsigned first, second; /* NOTHING: none */
    bool sets_fp;
    uint32_t fp_above; /* x29 = sp + this */
    uint8_t code[4];   /* its unwind code */
    size_t code_bytes;
    bool is_of_prolog; /* nothing of the kind in the epilog */
};

struct prolog {
    struct step v[32];
    size_t n;
};

static struct step *add(struct prolog *p, uint32_t code, size_t code_bytes)
{
    struct step *s = &p->v[p->n++];
    *s = (struct step){.first = NOTHING, .second = NOTHING, .code_bytes = code_bytes};
    for (size_t i = 0; i < code_bytes; i++)
        s->code[i] = (uint8_t)(code >> 8 * (code_bytes - 1 - i));
    return s;
}

static void add_alloc(struct prolog *p, uint32_t units)
{
    bool is_large = units >= 1 << 11 || any(8) == 0;
    struct step *s = units < 32 && any(2) ? add(p, units, 1)
                     : is_large           ? add(p, 0xe0000000 | units, 4)
                                          : add(p, 0xc000 | units, 2);
    s->down = units * 16;
}

/* Registers of one area; the first save makes room for all of them. */
static void add_saves(struct prolog *p, uint32_t pairs)
{
    uint32_t units = 2 * pairs + 2;
    for (uint32_t i = 0; i < pairs; i++) {
        unsigned reg = 19 + 2 * i;
        struct step *s;
        if (i == 0 && units < 32 && any(2))
            s = add(p, 0x20 | units, 1);
        else if (i == 0)
            s = add(p, 0xcc00 | (units - 1), 2);
        else if (any(2))
            s = add(p, 0xe6, 1);
        else
            s = add(p, 0xc800 | 2 * i << 6 | 2 * i, 2);
        s->down = i == 0 ? units * 8 : 0;
        s->at = 16 * i;
        s->first = reg;
        s->second = reg + 1;
    }
    if (any(2)) {
        struct step *s = add(p, 0xd400 | 8 << 5 | 1, 2); /* str x27, [sp, #-16]! */
        s->down = 16;
        s->first = 27;
    }
    if (any(3) == 0)
        add(p, 0xd800 | 2 * pairs, 2); /* d8 and d9 */
}

static void add_record(struct prolog *p)
{
    uint32_t kind = any(4);
    if (kind == 0) {
        struct step *s = add(p, 0xd600 | 3 << 6, 2); /* stp x25, lr, [sp] */
        s->first = 25;
        s->second = LR;
        return;
    }
    uint32_t units = 2 * (1 + any(20));
    struct step *s = kind == 1 ? add(p, 0x40, 1) : add(p, 0x80 | (units - 1), 1);
    s->down = kind == 1 ? 0 : units * 8;
    s->first = FP;
    s->second = LR;
    if (kind == 2) {
        add(p, 0xe1, 1)->sets_fp = true;
    } else if (kind == 3) {
        uint32_t above = any(8);
        s = add(p, 0xe200 | above, 2);
        s->sets_fp = true;
        s->fp_above = above * 8;
    }
}

static struct prolog random_prolog(void)
{
    struct prolog p = {0};
    if (any(4) == 0)
        add(&p, 0xfc, 1);
    add_saves(&p, 1 + any(3)); /* x19 to x24, so that x25 and x27 are free */
    add_alloc(&p, 2 + any(30));
    add_record(&p);
    if (any(2))
        add_alloc(&p, any(2) ? any(30) : any(3000));
    if (any(5) == 0)
        add(&p, 0xe3, 1);
    return p;
}

static uint64_t load(const struct machine *m, uint64_t at)
{
    uint64_t v = 0;
    assert_true(at + 8 <= STACK_BYTES);
    memcpy(&v, m->stack + at, 8);
    return v;
}

static void save(struct machine *m, const struct step *s)
{
    const unsigned regs[] = {s->first, s->second};
    for (size_t i = 0; i < ARRAY_LEN(regs); i++) {
        uint64_t at = m->reg[SP] + s->at + 8 * i;
        if (regs[i] == NOTHING)
            continue;
        assert_true(at + 8 <= STACK_BYTES);
        memcpy(m->stack + at, &m->reg[regs[i]], 8);
        if (regs[i] != FP) /* what was saved may be used for something else */
            m->reg[regs[i]] = 0xdead0000u + regs[i];
    }
}

static void do_step(struct machine *m, const struct step *s)
{
    m->reg[SP] -= s->down;
    save(m, s);
    if (s->sets_fp)
        m->reg[FP] = m->reg[SP] + s->fp_above;
}

static void undo_step(struct machine *m, const struct step *s)
{
    const unsigned regs[] = {s->first, s->second};
    if (s->sets_fp)
        m->reg[SP] = m->reg[FP] - s->fp_above;
    for (size_t i = 0; i < ARRAY_LEN(regs); i++)
        if (regs[i] != NOTHING)
            m->reg[regs[i]] = load(m, m->reg[SP] + s->at + 8 * i);
    m->reg[SP] += s->down;
}

static unsigned reg_of(struct str name)
{
    uint64_t n = SP;
    if (!str_eq(name, STR("sp")))
        assert_true(name.p[0] == 'x' &&
                    str_to_u64(str_sub(name, 1, 8), 10, LR, "register", &n, ERR_IGNORED));
    return (unsigned)n;
}

static uint64_t value_of(const struct machine *m, struct str rule, uint64_t cfa)
{
    uint64_t stack[8];
    size_t n = 0;
    struct str word;
    while (str_split(&rule, ' ', &word)) {
        int64_t number;
        if (str_eq(word, STR("+"))) {
            n--;
            stack[n - 1] += stack[n];
        } else if (str_eq(word, STR("^"))) {
            stack[n - 1] = load(m, stack[n - 1]);
        } else if (str_eq(word, STR(".cfa"))) {
            stack[n++] = cfa;
        } else if (str_to_i64(word, INT64_MIN, INT64_MAX, "number", &number, ERR_IGNORED)) {
            stack[n++] = (uint64_t)number;
        } else {
            stack[n++] = m->reg[reg_of(word)];
        }
        assert_true(n >= 1 && n < 8);
    }
    assert_int_equal(n, 1);
    return stack[0];
}

/* Rules in force at an address; those of registers by number, .cfa and .ra behind them. */
enum { CFA = 32, RA = 33, RULES = 34 };

static void take_rules(struct str line, struct str rules[RULES])
{
    struct str *to = NULL, word;
    while (str_split(&line, ' ', &word)) {
        struct str name = str_sub(word, 0, word.n - 1);
        if (word.p[word.n - 1] != ':') {
            assert_non_null(to);
            *to =
                str_n(to->n ? to->p : word.p, (size_t)(word.p + word.n - (to->n ? to->p : word.p)));
            continue;
        }
        to = &rules[str_eq(name, STR(".cfa")) ? CFA : str_eq(name, STR(".ra")) ? RA : reg_of(name)];
        *to = STR("");
    }
}

static void rules_at(const struct sym *s, uint64_t addr, struct str rules[RULES])
{
    for (size_t i = 0; i < RULES; i++)
        rules[i] = STR("");
    for (size_t i = 0; i < s->frames.n; i++) {
        const struct sym_frame *f = &s->frames.v[i];
        if (addr < f->addr || addr - f->addr >= f->size)
            continue;
        struct str text = str_n(s->cfi.p + f->text, f->text_length), line;
        for (bool is_first = true; str_split(&text, '\n', &line) && line.n; is_first = false) {
            uint64_t at = f->addr;
            size_t space = 0;
            if (!is_first) {
                line = str_sub(line, strlen("STACK CFI "), line.n);
                space = str_find_char(line, ' ', 0) + 1;
                assert_true(str_to_u64(str_sub(line, 0, space - 1), 16, UINT64_MAX, "address", &at,
                                       ERR_IGNORED));
            }
            if (at <= addr)
                take_rules(str_sub(line, space, line.n), rules);
        }
    }
}

static void check(const struct sym *s, uint64_t addr, const struct machine *now,
                  const struct machine *entry)
{
    struct str rules[RULES];
    rules_at(s, addr, rules);
    assert_true(rules[CFA].n > 0 && rules[RA].n > 0);
    uint64_t cfa = value_of(now, rules[CFA], 0);
    assert_int_equal(cfa, ENTRY_SP);
    assert_int_equal(value_of(now, rules[RA], cfa), entry->reg[LR]);
    for (unsigned i = 19; i <= FP; i++)
        assert_int_equal(rules[i].n ? value_of(now, rules[i], cfa) : now->reg[i], entry->reg[i]);
}

static void put32(struct strbuf *b, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        sb_char(b, (char)(v >> 8 * i));
}

static void read_table(const struct strbuf *data, uint32_t entries, struct sym *s)
{
    static uint8_t file[DATA_AT + DATA_BYTES];
    struct pe_file f = {.bytes = rd_init(file, sizeof file)};
    assert_true(data->n <= DATA_BYTES);
    memset(file, 0, sizeof file);
    memcpy(file + DATA_AT, data->p, data->n);
    const struct pe_section code = {.rva = CODE_RVA, .size = 0x1000, .is_code = true};
    const struct pe_section rest = {
        .rva = DATA_RVA, .size = DATA_BYTES, .raw_at = DATA_AT, .raw_size = DATA_BYTES};
    VEC_PUSH(&f.sections, code);
    VEC_PUSH(&f.sections, rest);
    f.directories[PE_EXCEPTIONS].rva = DATA_RVA;
    f.directories[PE_EXCEPTIONS].size = entries * 8;
    sym_init(s);
    pe_add_unwind_arm64(&f, s);
    pe_close(&f);
}

static void begin(struct machine *m)
{
    memset(m, 0, sizeof *m);
    for (uint64_t i = 0; i < 32; i++)
        m->reg[i] = 0x1111u * (i + 1);
    m->reg[SP] = ENTRY_SP;
}

/* The whole life of a function: prolog, body, epilog, and the body that goes on behind it. */
static void live(const struct sym *s, const struct prolog *p, size_t epilog_at, bool goes_on)
{
    static struct machine entry, now, body;
    begin(&entry);
    now = entry;
    check(s, CODE_RVA, &now, &entry);
    for (size_t i = 0; i < p->n; i++) {
        do_step(&now, &p->v[i]);
        check(s, CODE_RVA + 4 * (i + 1), &now, &entry);
    }
    body = now;
    uint64_t at = CODE_RVA + epilog_at;
    check(s, at - 4, &now, &entry);
    for (size_t i = p->n; i-- > 0;) {
        if (p->v[i].is_of_prolog)
            continue;
        check(s, at, &now, &entry);
        undo_step(&now, &p->v[i]);
        at += 4;
    }
    check(s, at, &now, &entry);
    if (goes_on)
        check(s, at + 4, &body, &entry);
}

static void put_codes(struct strbuf *b, const struct prolog *p)
{
    for (size_t i = p->n; i-- > 0;)
        sb_put(b, p->v[i].code, p->v[i].code_bytes);
}

/* Codes in .xdata, for an epilog in the middle or at the end; and a part cut off, of which all has
 * been done. */
static void one_round(void)
{
    struct prolog p = random_prolog();
    STRBUF_AUTO data, codes;
    struct sym s;
    bool is_last = any(2), is_extended = !is_last && any(4) == 0;
    uint32_t epilog = (uint32_t)(4 * p.n) + BODY, end = epilog + 4 * ((uint32_t)p.n + 1);
    uint32_t length = is_last ? end : end + 4 * any(9);
    sb_init(&data, DATA_BYTES);
    sb_init(&codes, DATA_BYTES);
    put_codes(&codes, &p);
    sb_char(&codes, (char)0xe4);
    uint32_t cut_at = (uint32_t)codes.n;
    sb_char(&codes, (char)0xe5); /* the part has no prolog of its own */
    put_codes(&codes, &p);
    sb_char(&codes, (char)0xe4);
    while (codes.n % 4)
        sb_char(&codes, (char)0xe3);
    uint32_t words = (uint32_t)codes.n / 4;
    is_extended |= words > 31;
    if (is_extended)
        is_last = false;
    put32(&data, CODE_RVA);
    put32(&data, DATA_RVA + 16);
    put32(&data, CODE_RVA + 0x800);
    uint32_t first_bytes = (is_extended ? 8 : 4) + (is_last ? 0 : 4) + (uint32_t)codes.n;
    put32(&data, DATA_RVA + 16 + first_bytes);
    put32(&data, length / 4 |
                     (is_last       ? 1u << 21
                      : is_extended ? 0
                                    : 1u << 22) |
                     (is_extended ? 0 : words << 27));
    if (is_extended)
        put32(&data, 1 | words << 16);
    if (!is_last)
        put32(&data, epilog / 4);
    sb_str(&data, sb_view(&codes));
    /* The part: its codes begin behind those of the function itself, in a table of its own. */
    put32(&data, 16u);
    put32(&data, words << 16);
    sb_put(&data, codes.p + cut_at, codes.n - cut_at);
    while (data.n % 4)
        sb_char(&data, (char)0xe3);
    read_table(&data, 2, &s);
    assert_int_equal(s.skipped_frames, 0);
    assert_int_equal(s.frames.n, 2);
    live(&s, &p, epilog, length > end);

    static struct machine entry, now;
    begin(&entry);
    now = entry;
    for (size_t i = 0; i < p.n; i++)
        do_step(&now, &p.v[i]);
    check(&s, CODE_RVA + 0x800, &now, &entry);
    check(&s, CODE_RVA + 0x83c, &now, &entry);
    sym_release(&s);
}

static void test_random_prologs(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++)
        one_round();
}

struct shape {
    uint32_t floats, ints, homes, chain, locals;
};

static struct step *add_plain(struct prolog *p, unsigned first, unsigned second, uint32_t at)
{
    struct step *s = add(p, 0, 0);
    s->first = first;
    s->second = second;
    s->at = at;
    return s;
}

/* Microsoft's table of canonical prologs, step by step. */
static struct prolog canonical(const struct shape *h, uint32_t *ret_saved)
{
    struct prolog p = {0};
    uint32_t ints = 8 * h->ints + (h->chain == 1 ? 8 : 0);
    uint32_t floats = h->floats ? 8 * (h->floats + 1) : 0;
    uint32_t saved = (ints + floats + 64 * h->homes + 15) / 16 * 16;
    if (h->chain == 2)
        add_plain(&p, NOTHING, NOTHING, 0); /* pacibsp */
    size_t first = p.n;
    for (uint32_t i = 0; i < h->ints; i += 2) {
        bool is_odd = i + 1 == h->ints;
        if (i == 0 && is_odd && h->chain == 1)
            add_plain(&p, NOTHING, NOTHING, 0); /* sub sp: stp x19, lr has no form that moves sp */
        add_plain(&p, 19 + i, !is_odd ? 20 + i : h->chain == 1 ? LR : NOTHING, 8 * i);
    }
    if (h->chain == 1 && h->ints % 2 == 0)
        add_plain(&p, LR, NOTHING, ints - 8);
    for (uint32_t i = 0; h->floats && i < h->floats + 1; i += 2)
        add_plain(&p, NOTHING, NOTHING, 0);
    bool is_bare = p.n == first;
    for (uint32_t i = 0; i < 4 * h->homes; i++)
        add_plain(&p, NOTHING, NOTHING, 0)->is_of_prolog = i > 0 || !is_bare;
    if (p.n > first) {
        p.v[first].down = saved;
        p.v[first].at = 0;
    }
    bool has_record = h->chain >= 2;
    if (has_record && h->locals <= 512) {
        add_plain(&p, FP, LR, 0)->down = h->locals;
    } else {
        if (h->locals)
            add_plain(&p, NOTHING, NOTHING, 0)->down = MIN(h->locals, 4080u);
        if (h->locals > 4080)
            add_plain(&p, NOTHING, NOTHING, 0)->down = h->locals - 4080;
        if (has_record)
            add_plain(&p, FP, LR, 0);
    }
    if (has_record) {
        struct step *s = add_plain(&p, NOTHING, NOTHING, 0);
        s->sets_fp = s->is_of_prolog = true;
    }
    *ret_saved = saved;
    return p;
}

static void one_shape(const struct shape *h)
{
    STRBUF_AUTO data;
    struct sym s;
    uint32_t saved, epilog_steps = 1;
    struct prolog p = canonical(h, &saved);
    sb_init(&data, DATA_BYTES);
    for (size_t i = 0; i < p.n; i++)
        epilog_steps += !p.v[i].is_of_prolog;
    uint32_t epilog = (uint32_t)(4 * p.n) + BODY, length = epilog + 4 * epilog_steps;
    put32(&data, CODE_RVA);
    put32(&data, 1 | length / 4 << 2 | h->floats << 13 | h->ints << 16 | h->homes << 20 |
                     h->chain << 21 | (saved + h->locals) / 16 << 23);
    read_table(&data, 1, &s);
    assert_int_equal(s.frames.n, 1);
    live(&s, &p, epilog, false);
    sym_release(&s);
}

static void test_every_shape(void **state)
{
    static const uint32_t locals[] = {16, 512, 528, 4080, 4096, 6000};
    (void)state;
    for (uint32_t n = 0; n < 8 * 11 * 2 * 4 * ARRAY_LEN(locals); n++) {
        const struct shape h = {n % 8, n / 8 % 11, n / 88 % 2, n / 176 % 4, locals[n / 704]};
        one_shape(&h);
    }
}

static void test_damaged_tables(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        uint32_t from, word;
        const char *bytes;
        size_t n;
    } cases[] = {
        {"not in code", DATA_RVA, 0x41, "", 0},
        {"no length", CODE_RVA, 0x01, "", 0},
        {"beyond the code", CODE_RVA + 0xff0, 0x41, "", 0},
        {"reserved kind", CODE_RVA, 0x43, "", 0},
        {"eleven registers", CODE_RVA, 0x41 | 11 << 16 | 20u << 23, "", 0},
        {"saves more than the frame has", CODE_RVA, 0x41 | 8 << 16 | 1u << 23, "", 0},
        {"information nowhere", CODE_RVA, 0x9000, "", 0},
        {"version 1", CODE_RVA, DATA_RVA + 8, "\x08\0\x04\x08\xe4\xe4\xe4\xe4", 8},
        {"codes without an end", CODE_RVA, DATA_RVA + 8, "\x08\0\0\x08\xe3\xe3\xe3\xe3", 8},
        {"unknown code", CODE_RVA, DATA_RVA + 8, "\x08\0\0\x08\xef\xe4\xe4\xe4", 8},
        {"register 31", CODE_RVA, DATA_RVA + 8, "\x08\0\0\x08\xd3\xc0\xe4\xe4", 8},
        {"next of nothing", CODE_RVA, DATA_RVA + 8, "\x08\0\0\x08\xe6\xe4\xe4\xe4", 8},
        {"epilog before the prolog's end", CODE_RVA, DATA_RVA + 8,
         "\x08\0\x40\x08\1\0\0\0\x01\x01\xe4\xe4", 12},
        {"epilog beyond the function", CODE_RVA, DATA_RVA + 8,
         "\x08\0\x40\x08\x08\0\0\0\x01\x01\xe4\xe4", 12},
        {"x29 is gone when sp is taken from it", CODE_RVA, DATA_RVA + 8,
         "\x08\0\0\x08\x81\xe1\xe4\xe4", 8},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        STRBUF_AUTO data;
        struct sym s;
        sb_init(&data, DATA_BYTES);
        put32(&data, cases[i].from);
        put32(&data, cases[i].word);
        sb_put(&data, cases[i].bytes, cases[i].n);
        read_table(&data, 1, &s);
        if (s.frames.n != 0 || s.skipped_frames != 1 || s.cfi.n != 0)
            fail_msg("%s: %zu frames, %zu skipped", cases[i].label, s.frames.n, s.skipped_frames);
        sym_release(&s);
    }
}

/* What the kernel puts on the stack of a handler: sp and pc, or a whole CONTEXT. */
static void test_frames_of_the_kernel(void **state)
{
    (void)state;
    static const struct {
        const char *codes, *text;
    } cases[] = {
        {"\x01\xe9\xe4\xe4", ".cfa: sp 0 + ^ .ra: sp 8 + ^\nSTACK CFI 1004 "
                             ".cfa: sp 16 + ^ .ra: sp 24 + ^\n"},
        {"\xea\xe4\xe4\xe4",
         ".cfa: sp 256 + ^ .ra: sp 264 + ^ x19: sp 160 + ^ x20: sp 168 + ^ x21: sp 176 + ^ "
         "x22: sp 184 + ^ x23: sp 192 + ^ x24: sp 200 + ^ x25: sp 208 + ^ x26: sp 216 + ^ "
         "x27: sp 224 + ^ x28: sp 232 + ^ x29: sp 240 + ^\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        STRBUF_AUTO data;
        struct sym s;
        sb_init(&data, DATA_BYTES);
        put32(&data, CODE_RVA);
        put32(&data, DATA_RVA + 8);
        put32(&data, 8 | 1u << 27);
        sb_put(&data, cases[i].codes, 4);
        read_table(&data, 1, &s);
        assert_int_equal(s.frames.n, 1);
        sb_char(&s.cfi, '\0');
        assert_string_equal(s.cfi.p, cases[i].text);
        sym_release(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_prologs),
        cmocka_unit_test(test_every_shape),
        cmocka_unit_test(test_damaged_tables),
        cmocka_unit_test(test_frames_of_the_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
