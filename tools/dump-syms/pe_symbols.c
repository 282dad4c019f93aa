/*
 * Two tables name code in a PE file.  The export directory has what other modules may call: names
 * in a sorted list, each with an index into the list of addresses; addresses without a name are
 * known by their ordinal alone.  An address inside the directory itself is no code but the text
 * "OTHER.name": a forwarder, whose code lies in another module.  The COFF symbol table is that of
 * object files; linkers of MinGW keep it unless the program is stripped.
 *
 * Neither says how long a function is: extents.c ends each at the next thing that is known, of
 * which unwind entries are the most.
 */
#include "tools/dump-syms/pe_symbols.h"

#include <stdlib.h>

#include "lib/base/map.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/msvc_name.h"

/*
 * Exports: ordinals have 16 bits, so sixteen times what can be; names: as long as the longest
 * mangled one that MSVC writes.  The rest is the format of COFF symbol tables.
 */
enum {
    EXPORTS_MAX = 1 << 20,
    NAME_BYTES_MAX = 4096,
    COFF_SYMBOL = 18,
    CLASS_EXTERNAL = 2,
    CLASS_STATIC = 3,
    TYPE_FUNCTION = 0x20, /* IMAGE_SYM_DTYPE_FUNCTION in the upper byte's place */
    MACHINE_I386 = 0x14c,
    RANK_EXPORT = 200,
    RANK_EXTERNAL = 300, /* of the same code, the symbol is the better name: exports are renamed */
    RANK_STATIC = 100,
    RANK_ORDINAL = 0,
};

/*
 * 32-bit Windows decorates C names: _name for cdecl, _name@12 for stdcall, @name@12 for fastcall.
 * C++ names begin with '?', of MinGW with "__Z".
 */
static struct str undecorate(const struct pe_file *f, struct str name)
{
    if (f->machine != MACHINE_I386 || name.n < 2 || name.p[0] == '?')
        return name;
    if (name.p[0] == '_' || name.p[0] == '@')
        name = str_sub(name, 1, name.n);
    size_t at = str_rfind_char(name, '@');
    bool is_number = at != SIZE_MAX && at + 1 < name.n;
    for (size_t i = at + 1; is_number && i < name.n; i++)
        is_number = name.p[i] >= '0' && name.p[i] <= '9';
    return is_number && at > 0 ? str_sub(name, 0, at) : name;
}

void pe_add_symbol(const struct pe_file *f, uint32_t rva, struct str name, int rank, struct sym *s)
{
    uint32_t end = pe_code_end(f, rva);
    if (end == 0 || name.n == 0)
        return;
    const char *text = str_adup(&s->arena, undecorate(f, name));
    struct sym_symbol one = {.addr = rva,
                             .limit = end,
                             .name = textmap_number(&s->names, &s->arena, msvc_name(s, text)),
                             .rank = rank,
                             .is_mangled = text[0] == '_' && (text[1] == 'Z' || text[1] == 'R')};
    VEC_PUSH(&s->symbols, one);
}

static struct str text_at(const struct pe_file *f, uint32_t rva)
{
    struct rd r = pe_from(f, rva);
    if (!rd_ok(&r))
        return STR("");
    return str_n((const char *)r.p, strnlen((const char *)r.p, MIN(r.n, (size_t)NAME_BYTES_MAX)));
}

static uint32_t entry_of(struct rd list, uint64_t index)
{
    rd_seek(&list, index <= EXPORTS_MAX ? (size_t)index * 4 : SIZE_MAX);
    return rd_u32(&list);
}

static bool is_forwarder(const struct pe_file *f, uint32_t rva)
{
    return rva - f->directories[PE_EXPORTS].rva < f->directories[PE_EXPORTS].size;
}

void pe_add_exports(const struct pe_file *f, struct sym *s)
{
    struct rd r = pe_from(f, f->directories[PE_EXPORTS].rva);
    if (f->directories[PE_EXPORTS].size == 0)
        return;
    rd_skip(&r, 16);
    uint32_t base = rd_u32(&r), addresses = rd_u32(&r), names = rd_u32(&r);
    addresses = MIN(addresses, (uint32_t)EXPORTS_MAX);
    names = MIN(names, (uint32_t)EXPORTS_MAX);
    struct rd address_list = pe_from(f, rd_u32(&r));
    struct rd name_list = pe_from(f, rd_u32(&r));
    struct rd ordinal_list = pe_from(f, rd_u32(&r));
    if (!rd_ok(&r))
        return;
    uint8_t *has_name = xcalloc((size_t)addresses + 1, 1);
    for (uint32_t i = 0; i < names && rd_ok(&name_list) && rd_ok(&ordinal_list); i++) {
        uint32_t name = rd_u32(&name_list);
        uint16_t index = rd_u16(&ordinal_list);
        uint32_t rva = index < addresses ? entry_of(address_list, index) : 0;
        has_name[MIN(index, addresses)] = 1;
        if (rva && !is_forwarder(f, rva))
            pe_add_symbol(f, rva, text_at(f, name), RANK_EXPORT, s);
    }
    for (uint32_t i = 0; i < addresses && rd_left(&address_list) >= 4; i++) {
        uint32_t rva = rd_u32(&address_list);
        char name[32];
        int n = snprintf(name, sizeof name, "Ordinal%u", base + i);
        if (rva && !has_name[i] && !is_forwarder(f, rva))
            pe_add_symbol(f, rva, str_n(name, (size_t)n), RANK_ORDINAL, s);
    }
    free(has_name);
}

/* A name of up to eight bytes stands in the symbol, a longer one behind the table. */
static struct str coff_name(const struct pe_file *f, const uint8_t *p)
{
    if (rd_le32(p) != 0)
        return str_n((const char *)p, strnlen((const char *)p, 8));
    uint64_t at = f->symbols_at + (uint64_t)f->symbol_count * COFF_SYMBOL + rd_le32(p + 4);
    if (at >= f->bytes.n)
        return STR("");
    const char *text = (const char *)f->bytes.p + at;
    return str_n(text, strnlen(text, MIN(f->bytes.n - at, (size_t)NAME_BYTES_MAX)));
}

/* Functions; and externals of assembler files, which have no type.  Auxiliary entries follow. */
void pe_add_coff_symbols(const struct pe_file *f, struct sym *s)
{
    if (f->symbols_at == 0)
        return;
    struct rd r = rd_try_window(&f->bytes, f->symbols_at,
                                f->bytes.n - MIN((size_t)f->symbols_at, f->bytes.n));
    for (uint32_t i = 0; i < f->symbol_count && rd_left(&r) >= COFF_SYMBOL; i++) {
        const uint8_t *p = rd_bytes(&r, COFF_SYMBOL);
        uint32_t value = rd_le32(p + 8);
        uint16_t section = rd_le16(p + 12), type = rd_le16(p + 14);
        uint8_t class = p[16], more = p[17];
        bool is_function = (type & 0xf0) == TYPE_FUNCTION;
        if (section > 0 && section <= f->sections.n &&
            (class == CLASS_EXTERNAL || (class == CLASS_STATIC && is_function)))
            pe_add_symbol(f, f->sections.v[section - 1].rva + value, coff_name(f, p),
                          class == CLASS_EXTERNAL ? RANK_EXTERNAL : RANK_STATIC, s);
        rd_skip(&r, (size_t)more * COFF_SYMBOL);
        i += more;
    }
}
