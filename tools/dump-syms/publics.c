/*
 * Names out of symbol tables.  The dynamic table has what a library exports, .symtab everything
 * unless it was stripped; a separate debug file and .gnu_debugdata bring back what was.
 */
#include <gelf.h>
#include <limits.h>

#include "lib/base/arena.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/functions.h"
#include "tools/dump-syms/image.h"
#include "tools/dump-syms/function_names.h"
#include "tools/dump-syms/sym.h"

/*
 * Several symbols often name one address (write, __write, __libc_write).  The one a reader knows is
 * global and has the fewest underscores in front.  Global counts more than weak, weak more than
 * local, and no number of underscores outweighs that.
 */
static int rank_of(const GElf_Sym *sym, const char *name)
{
    int rank = 0;
    switch (GELF_ST_BIND(sym->st_info)) {
    case STB_GLOBAL:
        rank = 300;
        break;
    case STB_WEAK:
        rank = 200;
        break;
    default:
        break;
    }
    for (int i = 0; i < 9 && name[i] == '_'; i++)
        rank -= 10;
    return rank;
}

/* Functions; and what assembler files have marked global without a type. */
static bool is_function(const GElf_Sym *sym)
{
    switch (GELF_ST_TYPE(sym->st_info)) {
    case STT_FUNC:
    case STT_GNU_IFUNC:
        return true;
    case STT_NOTYPE:
        return GELF_ST_BIND(sym->st_info) != STB_LOCAL;
    default:
        return false;
    }
}

/* The name that other tools give to stubs of the linker. */
static void add_plt_sections(const struct image *image, struct sym *s)
{
    for (size_t i = 0; i < image->code.n; i++) {
        const struct code_range *r = &image->code.v[i];
        if (!r->plt_name || r->from < image->base || r->from >= r->to)
            continue;
        const char *name = arena_printf(&s->arena, "<%s ELF section in %s>", r->plt_name, s->name);
        struct sym_section one = {.addr = r->from - image->base,
                                  .end = r->to - image->base,
                                  .name = textmap_number(&s->names, &s->arena, str_of(name))};
        VEC_PUSH(&s->plt, one);
    }
}

/*
 * A symbol of ARM has bit 0 set when its code is Thumb (ELF for the Arm Architecture, 5.5.3); the
 * address has not.  A symbol whose section holds no code (data, or a section that was dropped)
 * names nothing here, and none reaches beyond its section.
 */
static void add_symbol(const struct image *image, const char *name, const GElf_Sym *symbol,
                       uint64_t bias, struct sym *s)
{
    uint64_t addr = symbol->st_value + bias;
    if (image->machine == EM_ARM)
        addr &= ~(uint64_t)1; /* Thumb */
    uint64_t limit = image_code_end(image, addr);
    if (addr < image->base || limit == 0)
        return;
    struct sym_symbol one = {.addr = addr - image->base,
                             .size = MIN(symbol->st_size, limit - addr),
                             .limit = limit - image->base,
                             .name = textmap_number(&s->names, &s->arena, names_of_symbol(s, name)),
                             .rank = rank_of(symbol, name),
                             .is_mangled = name[0] == '_' && (name[1] == 'Z' || name[1] == 'R')};
    VEC_PUSH(&s->symbols, one);
}

/*
 * Entry 0 of a symbol table is empty by definition (gABI, "Symbol Table").  Undefined symbols are
 * those of other modules.
 */
static void add_table(const struct image *image, const struct elf_file *f, GElf_Word type,
                      uint64_t bias, struct sym *s)
{
    Elf_Scn *scn = NULL;
    while (f->elf && (scn = elf_nextscn(f->elf, scn))) {
        GElf_Shdr mem, *h = gelf_getshdr(scn, &mem);
        Elf_Data *data = h && h->sh_type == type ? elf_getdata(scn, NULL) : NULL;
        GElf_Sym symbol;
        for (int i = 1; data && i < INT_MAX && gelf_getsym(data, i, &symbol); i++) {
            const char *name = elf_strptr(f->elf, h->sh_link, symbol.st_name);
            if (name && name[0] && symbol.st_shndx != SHN_UNDEF && is_function(&symbol))
                add_symbol(image, name, &symbol, bias, s);
        }
    }
}

/* Each table may know what the others do not: what was local when the file was stripped, … */
void publics_add(const struct image *image, struct sym *s)
{
    add_table(image, &image->file, SHT_SYMTAB, 0, s);
    add_table(image, &image->file, SHT_DYNSYM, 0, s);
    add_table(image, &image->debug, SHT_SYMTAB, image->dwarf_bias, s);
    add_table(image, &image->packed_symbols, SHT_SYMTAB, 0, s);
    add_plt_sections(image, s);
}
