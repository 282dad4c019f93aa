#ifndef FUZZ_CSYM_POKE_H
#define FUZZ_CSYM_POKE_H

#include "lib/symfile/csym.h"

/* Asks an open csym everything at one address; shared by the fuzz targets sym and csym. */
static volatile uint64_t poke_sink;

static bool poke_reg(void *ctx, uint32_t index, uint64_t *ret)
{
    struct str name = csym_reg_name(ctx, index);
    *ret = 0x7fff0000 + index;
    return name.n % 2 == 1;
}

static bool poke_word(void *ctx, uint64_t addr, uint64_t *ret)
{
    (void)ctx;
    *ret = addr * 3;
    return addr % 8 == 0;
}

static void poke_str(struct str s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s.n; i++)
        sum += (uint8_t)s.p[i];
    poke_sink += sum;
}

static void poke_csym(const struct csym *c, uint64_t addr)
{
    struct csym_hit hit;
    if (csym_lookup(c, addr, &hit)) {
        poke_str(hit.function);
        poke_str(hit.file);
        for (size_t i = 0; i < hit.inline_count; i++) {
            poke_str(hit.inlines[i].function);
            poke_str(hit.inlines[i].file);
        }
    }
    poke_sink += csym_is_code(c, addr);
    struct csym_cfi cfi;
    if (csym_cfi_find(c, addr, &cfi)) {
        struct csym_env env = {.ctx = (void *)c, .reg = poke_reg, .word = poke_word};
        for (uint32_t i = 0; i < cfi.rule_count; i++) {
            uint64_t value;
            env.has_cfa = i % 2;
            if (csym_cfi_eval(c, cfi.rules[i].program, &env, &value))
                env.cfa = value;
            poke_sink += csym_cfi_is_undef(c, cfi.rules[i].program);
        }
    }
    struct csym_win win;
    if (csym_win_find(c, addr, &win))
        poke_str(win.program);
}

#endif
