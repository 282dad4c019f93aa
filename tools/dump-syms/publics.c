#include <gelf.h>

#include "base/util.h"
#include "functions.h"
#include "names.h"

/*
 * Several symbols often name one address (write, __write, __libc_write).  The one a
 * reader knows is global and has the fewest underscores in front.
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
                                  .name = pool_add(&s->names, str_of(name))};
        VEC_PUSH(&s->plt, one);
    }
}

void publics_add(const struct image *image, struct sym *s)
{
    int count = dwfl_module_getsymtab(image->module);
    for (int i = 1; i < count; i++) {
        GElf_Sym sym;
        GElf_Addr addr;
        GElf_Word section;
        const char *name =
            dwfl_module_getsym_info(image->module, i, &sym, &addr, &section, NULL, NULL);
        if (!name || !name[0] || section == SHN_UNDEF || !is_function(&sym))
            continue;
        if (image->machine == EM_ARM)
            addr &= ~(GElf_Addr)1; /* Thumb */
        uint64_t limit = image_code_end(image, addr);
        if (addr < image->base || limit == 0)
            continue;
        struct sym_symbol p = {.addr = addr - image->base,
                               .size = MIN(sym.st_size, limit - addr),
                               .limit = limit - image->base,
                               .name = pool_add(&s->names, names_of_symbol(s, name)),
                               .rank = rank_of(&sym, name)};
        VEC_PUSH(&s->symbols, p);
    }
    add_plt_sections(image, s);
}
