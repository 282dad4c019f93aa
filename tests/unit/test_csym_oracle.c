/*
 * csym against a linear oracle: random symbol files, every address of a window looked up
 * both ways.  The oracle reads its own list of records, sorts nothing it need not, and
 * applies the rules as they are worded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/csym.h"

enum {
    FUNCS = 12,
    LINES = 40,
    INLINES = 24,
    PUBLICS = 10,
    INITS = 8,
    ROWS = 12,
    WINDOW = 0x400,
    ROUNDS = 400
};

struct line {
    uint64_t start, end;
    unsigned line, file;
};

struct inlined {
    uint64_t start, end;
    unsigned level, line, file, origin;
};

struct func {
    uint64_t start, end;
    unsigned param;
    size_t line_count, inline_count;
    struct line lines[LINES];
    struct inlined inlines[INLINES];
    bool kept;
};

struct init {
    uint64_t start, end;
    size_t row_count;
    struct {
        uint64_t addr;
        unsigned reg, value;
    } rows[ROWS];
    bool kept;
};

struct file {
    uint64_t base;
    size_t func_count, public_count, init_count;
    struct func funcs[FUNCS];
    struct {
        uint64_t addr;
        unsigned name, param;
    } publics[PUBLICS];
    struct init inits[INITS];
};

static uint64_t seed;

static unsigned pick(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % below;
}

static void make_func(const struct file *f, struct func *fn, struct strbuf *out, unsigned number)
{
    *fn = (struct func){.start = f->base + pick(WINDOW), .param = pick(3)};
    fn->end = fn->start + pick(200);
    sb_printf(out, "FUNC %s%llx %llx %x f%u\n", pick(4) ? "" : "m ", (unsigned long long)fn->start,
              (unsigned long long)(fn->end - fn->start), fn->param, number);
    uint64_t at = fn->start;
    for (unsigned n = pick(LINES); fn->line_count < n;) {
        struct line *l = &fn->lines[fn->line_count++];
        at = pick(8) ? at : fn->start - 8 + pick(220);
        *l = (struct line){at, at + pick(12), pick(5), pick(4)};
        at = l->end;
        sb_printf(out, "%llx %llx %u %u\n", (unsigned long long)l->start,
                  (unsigned long long)(l->end - l->start), l->line, l->file);
    }
    for (unsigned n = pick(INLINES); fn->inline_count < n;) {
        struct inlined *i = &fn->inlines[fn->inline_count++];
        uint64_t start = fn->start - 4 + pick(210);
        *i = (struct inlined){start, start + pick(40), pick(4), pick(90), pick(4), pick(5)};
        sb_printf(out, "INLINE %u %u %u %u %llx %llx\n", i->level, i->line, i->file, i->origin,
                  (unsigned long long)i->start, (unsigned long long)(i->end - i->start));
    }
}

static void make_init(const struct file *f, struct init *in, struct strbuf *out)
{
    *in = (struct init){.start = f->base + pick(WINDOW)};
    in->end = in->start + pick(160);
    sb_printf(out, "STACK CFI INIT %llx %llx .cfa: 0 .ra: 1\n", (unsigned long long)in->start,
              (unsigned long long)(in->end - in->start));
    for (unsigned n = pick(ROWS); in->row_count < n; in->row_count++) {
        uint64_t addr = in->start - 8 + pick(180);
        in->rows[in->row_count].addr = addr;
        in->rows[in->row_count].reg = pick(4);
        in->rows[in->row_count].value = pick(6);
        sb_printf(out, "STACK CFI %llx r%u: %u\n", (unsigned long long)addr,
                  in->rows[in->row_count].reg, in->rows[in->row_count].value);
    }
}

static void make(struct file *f, struct strbuf *out)
{
    *f = (struct file){.base = pick(4) ? 0x1000 : 0x1000000000ULL};
    f->func_count = pick(FUNCS);
    f->public_count = pick(PUBLICS);
    f->init_count = pick(INITS);
    sb_text(out,
            "MODULE Linux x86_64 ABC0 prog\nFILE 0 a\nFILE 1 b\nFILE 2 c\n"); /* 3 is unknown */
    sb_text(out,
            "INLINE_ORIGIN 0 o0\nINLINE_ORIGIN 1 o1\nINLINE_ORIGIN 2 o2\nINLINE_ORIGIN 3 o3\n");
    for (unsigned i = 0; i < f->func_count; i++)
        make_func(f, &f->funcs[i], out, i);
    for (unsigned i = 0; i < f->public_count; i++) {
        f->publics[i].addr = f->base + pick(WINDOW);
        f->publics[i].name = pick(4);
        f->publics[i].param = pick(4);
        sb_printf(out, "PUBLIC %llx %x p%u\n", (unsigned long long)f->publics[i].addr,
                  f->publics[i].param, f->publics[i].name);
    }
    for (size_t i = 0; i < f->init_count; i++)
        make_init(f, &f->inits[i], out);
}

/* Position among the not yet taken of the first by (start, end), or n. */
#define NEXT_RANGE(v, n, taken)                                                                    \
    ({                                                                                             \
        size_t best_ = (n);                                                                        \
        for (size_t i_ = 0; i_ < (n); i_++)                                                        \
            if (!(taken)[i_] &&                                                                    \
                (best_ == (n) || (v)[i_].start < (v)[best_].start ||                               \
                 ((v)[i_].start == (v)[best_].start && (v)[i_].end < (v)[best_].end)))             \
                best_ = i_;                                                                        \
        best_;                                                                                     \
    })

static void keep_funcs(struct file *f)
{
    bool taken[FUNCS] = {0};
    uint64_t end = 0;
    for (size_t i; (i = NEXT_RANGE(f->funcs, f->func_count, taken)) < f->func_count;) {
        taken[i] = true;
        f->funcs[i].kept = f->funcs[i].start < f->funcs[i].end && f->funcs[i].start >= end;
        if (f->funcs[i].kept)
            end = f->funcs[i].end;
    }
}

static void keep_inits(struct file *f)
{
    bool taken[INITS] = {0};
    uint64_t end = 0;
    for (size_t i; (i = NEXT_RANGE(f->inits, f->init_count, taken)) < f->init_count;) {
        taken[i] = true;
        f->inits[i].kept = f->inits[i].start < f->inits[i].end && f->inits[i].start >= end;
        if (f->inits[i].kept)
            end = f->inits[i].end;
    }
}

static bool find_line(const struct func *fn, uint64_t addr, struct line *ret)
{
    bool taken[LINES] = {0};
    struct line last = {0};
    bool any = false;
    for (size_t i; (i = NEXT_RANGE(fn->lines, fn->line_count, taken)) < fn->line_count;) {
        const struct line *l = &fn->lines[i];
        taken[i] = true;
        if (l->start == l->end)
            continue;
        bool same = any && l->line == last.line && l->file == last.file;
        if (same && l->start <= last.end) {
            last.end = MAX(last.end, l->end);
        } else if (!any || l->start >= last.end) {
            if (any && addr >= last.start && addr < last.end)
                break;
            last = *l;
            any = true;
        }
    }
    *ret = last;
    return any && addr >= last.start && addr < last.end;
}

static bool find_inline(const struct func *fn, unsigned level, uint64_t addr, struct inlined *ret)
{
    const struct inlined *best = NULL;
    for (size_t i = 0; i < fn->inline_count; i++) {
        const struct inlined *in = &fn->inlines[i];
        if (in->level == level && in->start < in->end && in->start <= addr &&
            (!best || in->start >= best->start))
            best = in;
    }
    if (!best || addr >= best->end)
        return false;
    *ret = *best;
    return true;
}

static const char *file_name(unsigned file)
{
    static const char *const names[] = {"a", "b", "c", ""};
    return names[file];
}

static void show_func(const struct func *fn, unsigned number, uint64_t addr, struct strbuf *out)
{
    struct inlined calls[8];
    struct line line = {0};
    size_t n = 0;
    while (find_inline(fn, (unsigned)n, addr, &calls[n]))
        n++;
    bool has_line = find_line(fn, addr, &line);
    for (size_t k = n; k-- > 0;) {
        if (calls[k].origin == 4)
            continue; /* unknown */
        if (k + 1 < n)
            sb_printf(out, "o%u %s:%u < ", calls[k].origin, file_name(calls[k + 1].file),
                      calls[k + 1].line);
        else if (has_line)
            sb_printf(out, "o%u %s:%u < ", calls[k].origin, file_name(line.file), line.line);
        else
            sb_printf(out, "o%u :0 < ", calls[k].origin);
    }
    unsigned file = n ? calls[0].file : line.file, at = n ? calls[0].line : line.line;
    if ((!n && !has_line) || file == 3)
        sb_printf(out, "f%u@%llx/%x :0", number, (unsigned long long)fn->start, fn->param);
    else
        sb_printf(out, "f%u@%llx/%x %s:%u", number, (unsigned long long)fn->start, fn->param,
                  file_name(file), at);
}

static void oracle(const struct file *f, uint64_t addr, struct strbuf *out)
{
    uint64_t before = 0;
    for (unsigned i = 0; i < f->func_count; i++) {
        const struct func *fn = &f->funcs[i];
        if (!fn->kept || fn->start > addr)
            continue;
        if (addr < fn->end) {
            show_func(fn, i, addr, out);
            return;
        }
        before = MAX(before, fn->start);
    }
    size_t best = f->public_count;
    for (size_t i = 0; i < f->public_count; i++) {
        if (f->publics[i].addr > addr)
            continue;
        if (best == f->public_count || f->publics[i].addr > f->publics[best].addr ||
            (f->publics[i].addr == f->publics[best].addr &&
             (f->publics[i].name > f->publics[best].name ||
              (f->publics[i].name == f->publics[best].name &&
               f->publics[i].param >= f->publics[best].param))))
            best = i;
    }
    if (best == f->public_count || before >= f->publics[best].addr)
        sb_text(out, "-");
    else
        sb_printf(out, "p%u@%llx/%x :0", f->publics[best].name,
                  (unsigned long long)f->publics[best].addr, f->publics[best].param);
}

static void oracle_cfi(const struct file *f, uint64_t addr, struct strbuf *out)
{
    for (size_t i = 0; i < f->init_count; i++) {
        const struct init *in = &f->inits[i];
        if (!in->kept || addr < in->start || addr >= in->end)
            continue;
        int value[4] = {-1, -1, -1, -1};
        for (unsigned reg = 0; reg < 4; reg++) {
            uint64_t last = 0;
            for (size_t r = 0; r < in->row_count; r++)
                if (in->rows[r].reg == reg && in->rows[r].addr <= addr &&
                    in->rows[r].addr >= last) {
                    value[reg] = (int)in->rows[r].value;
                    last = in->rows[r].addr;
                }
        }
        sb_text(out, "0 1");
        for (unsigned reg = 0; reg < 4; reg++)
            if (value[reg] >= 0)
                sb_printf(out, " r%u=%d", reg, value[reg]);
        return;
    }
    sb_text(out, "-");
}

static void show_csym(const struct csym *c, uint64_t addr, struct strbuf *out)
{
    struct csym_hit hit;
    if (!csym_lookup(c, addr, &hit)) {
        sb_text(out, "-");
        return;
    }
    for (size_t i = 0; i < hit.inline_count; i++)
        sb_printf(out, STR_FMT " " STR_FMT ":%u < ", STR_ARG(hit.inlines[i].function),
                  STR_ARG(hit.inlines[i].file), hit.inlines[i].line);
    sb_printf(out, STR_FMT "@%llx/%x " STR_FMT ":%u", STR_ARG(hit.function),
              (unsigned long long)hit.function_addr, hit.param_size, STR_ARG(hit.file), hit.line);
}

static void show_csym_cfi(const struct csym *c, uint64_t addr, struct strbuf *out)
{
    struct csym_cfi cfi;
    const struct csym_env env = {0};
    if (!csym_cfi_find(c, addr, &cfi)) {
        sb_text(out, "-");
        return;
    }
    int value[4] = {-1, -1, -1, -1};
    uint64_t cfa = 99, ra = 99;
    for (uint32_t i = 0; i < cfi.rule_count; i++) {
        uint64_t v = 99;
        assert_true(csym_cfi_eval(c, cfi.rules[i].program, &env, &v));
        if (cfi.rules[i].reg == CSYM_REG_CFA)
            cfa = v;
        else if (cfi.rules[i].reg == CSYM_REG_RA)
            ra = v;
        else
            value[csym_reg_name(c, cfi.rules[i].reg).p[1] - '0'] = (int)v;
    }
    sb_printf(out, "%d %d", (int)cfa, (int)ra);
    for (unsigned reg = 0; reg < 4; reg++)
        if (value[reg] >= 0)
            sb_printf(out, " r%u=%d", reg, value[reg]);
}

static void compare(const struct file *f, const struct csym *c, unsigned round, const char *text)
{
    STRBUF_AUTO want, got;
    sb_init(&want, 1 << 16);
    sb_init(&got, 1 << 16);
    for (uint64_t addr = f->base - 16; addr < f->base + WINDOW + 256; addr++) {
        sb_reset(&want);
        sb_reset(&got);
        oracle(f, addr, &want);
        sb_text(&want, " | ");
        oracle_cfi(f, addr, &want);
        show_csym(c, addr, &got);
        sb_text(&got, " | ");
        show_csym_cfi(c, addr, &got);
        if (!str_eq(sb_view(&want), sb_view(&got))) {
            fputs(text, stderr);
            fail_msg("round %u, address %llx: '%s', not '%s'", round, (unsigned long long)addr,
                     sb_cstr(&got), sb_cstr(&want));
        }
    }
}

static void test_random_files(void **state)
{
    (void)state;
    FREE_LATER struct file *f = xmalloc(sizeof *f);
    for (unsigned round = 0; round < ROUNDS; round++) {
        STRBUF_AUTO text;
        sb_init(&text, 1 << 20);
        seed = round;
        make(f, &text);
        keep_funcs(f);
        keep_inits(f);
        struct csym c;
        struct err err = {0};
        FREE_LATER void *image = NULL;
        size_t n;
        if (!csym_compile_mem(sb_view(&text), 0, &image, &n, NULL, &err) ||
            !csym_open_mem(image, n, &c, &err))
            fail_msg("round %u: %s", round, err.msg);
        compare(f, &c, round, sb_cstr(&text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
