/*
 * Entries of the symbol table (Apple, <mach-o/nlist.h>) have no sizes; where functions begin is
 * also known from LC_FUNCTION_STARTS, which `strip` leaves in place: a symbol ends at the next of
 * either.  Entries of the debugger ("stabs") are left out: they say in which object files the debug
 * information lies.
 */
#include "tools/dump-syms/macho_symbols.h"

#include "lib/base/map.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/cfi_text.h"
#include "tools/dump-syms/function_names.h"

enum {
    NLIST_BYTES = 16, /* struct nlist_64; the masks below are those of its n_type and n_desc */
    NAME_BYTES_MAX = 1 << 16, /* of Swift and Rust they may have thousands */
    N_STAB = 0xe0,
    N_TYPE = 0x0e,
    N_SECT = 0x0e,
    N_EXT = 0x01,
    N_WEAK_DEF = 0x80,
    /* As in publics.c: of several names for one place that one which other files go by. */
    RANK_EXTERNAL = 300,
    RANK_WEAK = 200,
    RANK_LOCAL = 100,
};

/*
 * C names have an underscore in front of what was written.  Labels of compilers (ltmp0, l_…) are
 * no names; they are rarely left in.
 */
static void add_symbol(const struct macho_file *f, uint64_t addr, const char *text, size_t n,
                       int rank, struct sym *s)
{
    uint64_t end = macho_code_end(f, addr);
    if (n == 0 || end == 0 || addr < f->base)
        return;
    struct str name = str_n(text, n);
    if (name.p[0] == '_')
        name = str_sub(name, 1, n);
    else if (name.p[0] == 'l' || name.p[0] == 'L')
        rank = 0;
    if (name.n == 0)
        return;
    const char *copy = str_adup(&s->arena, name);
    struct sym_symbol one = {.addr = addr - f->base,
                             .limit = end - f->base,
                             .name = textmap_number(&s->names, &s->arena, names_of_symbol(s, copy)),
                             .rank = rank,
                             .is_mangled = copy[0] == '_' && (copy[1] == 'Z' || copy[1] == 'R')};
    VEC_PUSH(&s->symbols, one);
}

void macho_add_symbols(const struct macho_file *f, struct sym *s)
{
    struct rd strings = rd_try_window(&f->bytes, f->strings_at, f->strings_n);
    struct rd r = rd_try_window(&f->bytes, f->symbols_at, (uint64_t)f->symbol_count * NLIST_BYTES);
    while (rd_ok(&strings) && rd_left(&r) >= NLIST_BYTES) {
        uint32_t name = rd_u32(&r);
        uint8_t type = rd_u8(&r);
        rd_skip(&r, 1);
        uint16_t flags = rd_u16(&r);
        uint64_t addr = rd_u64(&r);
        if ((type & N_STAB) || (type & N_TYPE) != N_SECT || name >= strings.n)
            continue;
        const char *text = (const char *)strings.p + name;
        size_t n = strnlen(text, MIN(strings.n - name, (size_t)NAME_BYTES_MAX));
        int rank = !(type & N_EXT) ? RANK_LOCAL : flags & N_WEAK_DEF ? RANK_WEAK : RANK_EXTERNAL;
        add_symbol(f, addr, text, n, rank, s);
    }
}

/* Distances as ULEB128, the first from the start of the module; 0 ends the list. */
void macho_add_starts(const struct macho_file *f, struct sym *s)
{
    struct rd r = f->starts;
    uint64_t at = 0;
    while (rd_left(&r) > 0) {
        uint64_t step = cfi_uleb(&r);
        if (step == 0 || !rd_ok(&r))
            return;
        at += step;
        VEC_PUSH(&s->starts, at);
    }
}
