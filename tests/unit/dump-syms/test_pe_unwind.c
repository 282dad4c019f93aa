/*
 * Unwind tables of Windows against a machine that runs prologs.  A random prolog is made as
 * instructions and as unwind codes.  The machine does the instructions with real memory, and after
 * each of them our rules must give back what the registers were at the entry; behind the prolog
 * the stack pointer moves on, where a frame register is set.  Chained entries, both forms of every
 * code and the interrupt frame are among them.
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
    STACK_BYTES = 1 << 16,
    CODE_RVA = 0x1000,
    DATA_RVA = 0x2000,
    DATA_AT = 0x400,
    DATA_BYTES = 0x1000,
    RSP = 4,
    ENTRY_RSP = STACK_BYTES - 256,
    CHILD_AT = 0x100, /* the part of the function that is chained to the first */
};

static const char *const names[16] = {"$rax", "$rcx", "$rdx", "$rbx", "$rsp", "$rbp",
                                      "$rsi", "$rdi", "$r8",  "$r9",  "$r10", "$r11",
                                      "$r12", "$r13", "$r14", "$r15"};

static uint64_t seed = 88172645463325252ull;

static uint32_t any(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 20) % below;
}

struct machine {
    uint64_t reg[16];
    uint8_t stack[STACK_BYTES];
};

static uint64_t load(const struct machine *m, uint64_t at)
{
    uint64_t v = 0;
    assert_true(at + 8 <= STACK_BYTES);
    memcpy(&v, m->stack + at, 8);
    return v;
}

static void store(struct machine *m, uint64_t at, uint64_t v)
{
    assert_true(at + 8 <= STACK_BYTES);
    memcpy(m->stack + at, &v, 8);
}

/* A prolog: what it does, and the bytes of its unwind codes, latest first. */
struct step {
    uint8_t at, code, info;
    uint32_t value;
};

struct prolog {
    struct step steps[24];
    size_t n;
    uint8_t frame_reg, frame_offset;
    bool is_interrupt;
};

static void add_step(struct prolog *p, uint8_t code, uint8_t info, uint32_t value)
{
    uint8_t before = p->n ? p->steps[p->n - 1].at : 0;
    p->steps[p->n++] = (struct step){(uint8_t)(before + 1 + any(4)), code, info, value};
}

static uint8_t preserved(void)
{
    static const uint8_t regs[] = {3, 5, 6, 7, 12, 13, 14, 15};
    return regs[any(ARRAY_LEN(regs))];
}

/* Pushes, the frame, a frame register, then moves into the frame; as compilers order them. */
static struct prolog random_prolog(bool is_child)
{
    struct prolog p = {0};
    bool used[16] = {0};
    p.is_interrupt = !is_child && any(8) == 0;
    if (p.is_interrupt)
        add_step(&p, 10, (uint8_t)any(2), 0);
    for (uint32_t n = is_child ? 0 : any(5); n > 0; n--) {
        uint8_t reg = preserved();
        if (!used[reg])
            add_step(&p, 0, reg, 0);
        used[reg] = true;
    }
    uint32_t size = 8 * (8 + any(200));
    if (is_child)
        size = 0;
    else if (size <= 128)
        add_step(&p, 2, (uint8_t)(size / 8 - 1), size);
    else
        add_step(&p, 1, (uint8_t)any(2), size);
    if (!is_child && used[5] && any(4)) {
        p.frame_reg = 5;
        p.frame_offset = (uint8_t)any(MIN(16u, size / 16));
        add_step(&p, 3, 0, 0);
    }
    for (uint32_t n = any(4), at = is_child ? 4 : 0; n > 0; n--) {
        uint8_t reg = preserved();
        bool is_far = any(2);
        if (!used[reg] && reg != 5)
            add_step(&p, is_far ? 5 : 4, reg, 8 * at++);
        used[reg] = true;
        if (any(3) == 0)
            add_step(&p, is_far ? 9 : 8, (uint8_t)(6 + any(4)), 16);
    }
    return p;
}

static void put16(struct strbuf *b, uint32_t v)
{
    sb_char(b, (char)v);
    sb_char(b, (char)(v >> 8));
}

static void put32(struct strbuf *b, uint32_t v)
{
    put16(b, v);
    put16(b, v >> 16);
}

static size_t put_code(struct strbuf *b, const struct step *s)
{
    sb_char(b, (char)s->at);
    sb_char(b, (char)(s->code | s->info << 4));
    switch (s->code) {
    case 1:
        if (s->info)
            put32(b, s->value);
        else
            put16(b, s->value / 8);
        return s->info ? 3 : 2;
    case 4:
    case 8:
        put16(b, s->value / (s->code == 4 ? 8 : 16));
        return 2;
    case 5:
    case 9:
        put32(b, s->value);
        return 3;
    default:
        return 1;
    }
}

/* UNWIND_INFO; version 2 has two codes for epilogs in front, which change nothing. */
static void put_info(struct strbuf *b, const struct prolog *p, bool is_chained,
                     uint32_t parent_info)
{
    STRBUF_AUTO codes;
    size_t n = 0;
    bool has_epilogs = any(3) == 0;
    sb_init(&codes, 4096);
    if (has_epilogs) {
        put16(&codes, 0x1605);
        put16(&codes, 0x0620);
        n = 2;
    }
    for (size_t i = p->n; i-- > 0;)
        n += put_code(&codes, &p->steps[i]);
    sb_char(b, (char)((has_epilogs ? 2 : 1) | (is_chained ? 4 : 0) << 3));
    sb_char(b, (char)(p->n ? p->steps[p->n - 1].at : 0));
    sb_char(b, (char)n);
    sb_char(b, (char)(p->frame_reg | p->frame_offset << 4));
    sb_str(b, sb_view(&codes));
    if (n % 2)
        put16(b, 0);
    if (is_chained) {
        put32(b, CODE_RVA);
        put32(b, CODE_RVA + CHILD_AT);
        put32(b, parent_info);
    }
}

static void do_step(struct machine *m, const struct prolog *p, const struct step *s)
{
    switch (s->code) {
    case 0:
        m->reg[RSP] -= 8;
        store(m, m->reg[RSP], m->reg[s->info]);
        break;
    case 1:
    case 2:
        m->reg[RSP] -= s->value;
        break;
    case 3:
        m->reg[p->frame_reg] = m->reg[RSP] + p->frame_offset * 16u;
        break;
    case 4:
    case 5:
        store(m,
              (p->frame_reg ? m->reg[p->frame_reg] - p->frame_offset * 16u : m->reg[RSP]) +
                  s->value,
              m->reg[s->info]);
        break;
    default:
        break;
    }
    for (int r = 0; r < 16; r++) /* what was saved may be used for something else */
        if (r != RSP && r != p->frame_reg && s->code != 3 && r == s->info &&
            (s->code == 0 || s->code == 4 || s->code == 5))
            m->reg[r] = 0xdead0000u + (uint64_t)r;
}

/* Rules in force at an address: name -> postfix text. */
struct rule_set {
    char cfa[64], ra[64], reg[16][64];
};

static void take_rules(struct str text, struct rule_set *r)
{
    char *to = NULL;
    struct str word;
    while (str_split(&text, ' ', &word)) {
        if (word.n && word.p[word.n - 1] == ':') {
            struct str name = str_sub(word, 0, word.n - 1);
            to = str_eq(name, STR(".cfa")) ? r->cfa : str_eq(name, STR(".ra")) ? r->ra : NULL;
            for (int i = 0; i < 16; i++)
                if (str_eq(name, str_of(names[i])))
                    to = r->reg[i];
            assert_non_null(to);
            to[0] = '\0';
        } else {
            assert_non_null(to);
            snprintf(to + strlen(to), 64 - strlen(to), "%s" STR_FMT, to[0] ? " " : "",
                     STR_ARG(word));
        }
    }
}

/* False: no frame covers the address. */
static bool rules_at(const struct sym *s, uint64_t addr, struct rule_set *ret)
{
    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < s->frames.n; i++) {
        const struct sym_frame *f = &s->frames.v[i];
        if (addr < f->addr || addr - f->addr >= f->size)
            continue;
        struct str text = str_n(s->cfi.p + f->text, f->text_length), line;
        for (bool first = true; str_split(&text, '\n', &line) && line.n; first = false) {
            if (!first) {
                uint64_t at;
                line = str_sub(line, strlen("STACK CFI "), line.n);
                size_t space = str_find_char(line, ' ', 0);
                assert_true(
                    str_to_u64(str_sub(line, 0, space), 16, UINT64_MAX, "at", &at, ERR_IGNORED));
                if (at > addr)
                    break;
                line = str_sub(line, space + 1, line.n);
            }
            take_rules(line, ret);
        }
        return true;
    }
    return false;
}

static uint64_t value_of(const struct machine *m, const char *rule, uint64_t cfa)
{
    uint64_t stack[8];
    size_t n = 0;
    struct str text = str_of(rule), word;
    while (str_split(&text, ' ', &word)) {
        int64_t number;
        if (str_eq(word, STR("+"))) {
            n--;
            stack[n - 1] += stack[n];
        } else if (str_eq(word, STR("^"))) {
            stack[n - 1] = load(m, stack[n - 1]);
        } else if (str_eq(word, STR(".cfa"))) {
            stack[n++] = cfa;
        } else if (word.p[0] == '$') {
            for (int i = 0; i < 16; i++)
                if (str_eq(word, str_of(names[i])))
                    stack[n++] = m->reg[i];
        } else {
            assert_true(str_to_i64(word, INT64_MIN, INT64_MAX, rule, &number, ERR_IGNORED));
            stack[n++] = (uint64_t)number;
        }
        assert_true(n >= 1 && n < 8);
    }
    assert_int_equal(n, 1);
    return stack[0];
}

/* A register without a rule has its value: nobody has changed it. */
static void check(const struct sym *s, uint64_t addr, const struct machine *now,
                  const struct machine *entry, uint64_t caller_rsp, uint64_t caller_rip)
{
    struct rule_set r;
    assert_true(rules_at(s, addr, &r));
    uint64_t cfa = value_of(now, r.cfa, 0);
    assert_int_equal(cfa, caller_rsp);
    assert_int_equal(value_of(now, r.ra, cfa), caller_rip);
    for (int i = 0; i < 16; i++)
        if (i != RSP && i >= 3 && (i < 8 || i > 11))
            assert_int_equal(r.reg[i][0] ? value_of(now, r.reg[i], cfa) : now->reg[i],
                             entry->reg[i]);
}

static void read_table(const struct strbuf *data, size_t entries, struct sym *s)
{
    static uint8_t file[DATA_AT + DATA_BYTES];
    struct pe_file f = {.bytes = rd_init(file, sizeof file)};
    assert_true(data->n <= DATA_BYTES);
    memset(file, 0, sizeof file);
    memcpy(file + DATA_AT, data->p, data->n);
    struct pe_section code = {.rva = CODE_RVA, .size = 0x1000, .is_code = true};
    struct pe_section rest = {
        .rva = DATA_RVA, .size = DATA_BYTES, .raw_at = DATA_AT, .raw_size = DATA_BYTES};
    VEC_PUSH(&f.sections, code);
    VEC_PUSH(&f.sections, rest);
    f.directories[PE_EXCEPTIONS].rva = DATA_RVA;
    f.directories[PE_EXCEPTIONS].size = (uint32_t)entries * 12;
    sym_init(s);
    pe_add_unwind_amd64(&f, s);
    pe_close(&f);
}

static void one_round(void)
{
    struct prolog first = random_prolog(false), second = random_prolog(true);
    STRBUF_AUTO data, info;
    struct sym s;
    sb_init(&data, DATA_BYTES);
    sb_init(&info, DATA_BYTES);
    uint32_t first_info = DATA_RVA + 24;
    put_info(&info, &first, false, 0);
    while (info.n % 4)
        sb_char(&info, 0);
    uint32_t second_info = first_info + (uint32_t)info.n;
    put_info(&info, &second, true, first_info);
    put32(&data, CODE_RVA);
    put32(&data, CODE_RVA + CHILD_AT);
    put32(&data, first_info);
    put32(&data, CODE_RVA + CHILD_AT);
    put32(&data, CODE_RVA + 2 * CHILD_AT);
    put32(&data, second_info);
    sb_str(&data, sb_view(&info));
    read_table(&data, 2, &s);
    assert_int_equal(s.skipped_frames, 0);
    assert_int_equal(s.frames.n, 2);

    static struct machine entry, now;
    memset(&entry, 0, sizeof entry);
    for (int i = 0; i < 16; i++)
        entry.reg[i] = 0x1111u * (uint64_t)(i + 1);
    entry.reg[RSP] = ENTRY_RSP;
    uint64_t caller_rsp = ENTRY_RSP + 8;
    bool has_code = first.is_interrupt && first.steps[0].info;
    store(&entry, ENTRY_RSP + (has_code ? 8 : 0), 0x7777);
    if (first.is_interrupt) {
        caller_rsp = 0x4440;
        store(&entry, ENTRY_RSP + (has_code ? 8 : 0) + 24, caller_rsp);
    }
    now = entry;
    if (!first.is_interrupt)
        check(&s, CODE_RVA, &now, &entry, caller_rsp, 0x7777);
    for (size_t i = 0; i < first.n; i++) {
        do_step(&now, &first, &first.steps[i]);
        check(&s, CODE_RVA + first.steps[i].at, &now, &entry, caller_rsp, 0x7777);
    }
    /* In the part that is chained everything of the first has happened, and nothing of its own. */
    check(&s, CODE_RVA + CHILD_AT, &now, &entry, caller_rsp, 0x7777);
    for (size_t i = 0; i < second.n; i++) {
        bool is_saved = false; /* twice the same register is no prolog of a compiler */
        for (size_t k = 0; k < first.n; k++)
            is_saved |= first.steps[k].code != 3 && first.steps[k].info == second.steps[i].info;
        if (is_saved)
            break;
        do_step(&now, &second, &second.steps[i]);
        check(&s, CODE_RVA + CHILD_AT + second.steps[i].at, &now, &entry, caller_rsp, 0x7777);
    }
    bool is_frame_set = first.frame_reg != 0;
    if (is_frame_set && second.n == 0) {
        now.reg[RSP] -= 8 * (1 + any(50)); /* alloca */
        check(&s, CODE_RVA + CHILD_AT - 1, &now, &entry, caller_rsp, 0x7777);
    }
    sym_release(&s);
}

static void test_random_prologs(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++)
        one_round();
}

static void test_damaged_tables(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        uint32_t from, to, info;
        const char *bytes;
        size_t n;
    } cases[] = {
        {"end before start", CODE_RVA + 8, CODE_RVA, DATA_RVA + 12, "\1\0\0\0", 4},
        {"not in code", DATA_RVA, DATA_RVA + 8, DATA_RVA + 12, "\1\0\0\0", 4},
        {"version 3", CODE_RVA, CODE_RVA + 8, DATA_RVA + 12, "\3\0\0\0", 4},
        {"information nowhere", CODE_RVA, CODE_RVA + 8, 0x9000, "\1\0\0\0", 4},
        {"unknown code", CODE_RVA, CODE_RVA + 8, DATA_RVA + 12, "\1\0\1\0\1\x0f\0\0", 8},
        {"more codes than said", CODE_RVA, CODE_RVA + 8, DATA_RVA + 12, "\1\0\1\0\1\x15\0\0", 8},
        {"offsets that go back", CODE_RVA, CODE_RVA + 8, DATA_RVA + 12, "\1\0\2\0\1\x30\4\x50", 8},
        {"chained to itself", CODE_RVA, CODE_RVA + 8, DATA_RVA + 12,
         "\x21\0\0\0\0\x10\0\0\x08\x10\0\0\x0c\x20\0\0", 16},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        STRBUF_AUTO data;
        struct sym s;
        sb_init(&data, DATA_BYTES);
        put32(&data, cases[i].from);
        put32(&data, cases[i].to);
        put32(&data, cases[i].info);
        sb_put(&data, cases[i].bytes, cases[i].n);
        read_table(&data, 1, &s);
        if (s.frames.n != 0 || s.skipped_frames != 1 || s.cfi.n != 0)
            fail_msg("%s: %zu frames, %zu skipped", cases[i].label, s.frames.n, s.skipped_frames);
        sym_release(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_prologs),
        cmocka_unit_test(test_damaged_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
