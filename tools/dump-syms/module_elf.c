/*
 * A module of Linux.  The order in which the parts of its symbol file come together: identity first
 * (names of sections carry the module's name), then what the debug information knows, then symbols
 * for the rest, then unwind entries, which also say where code without a name begins; sym_finish
 * puts all of it in order.
 *
 * The order matters in one more way: publics_add only collects symbols.  Which code they name can
 * be decided when all functions and all unwind entries are there, and so happens in sym_finish.
 */
#include "tools/dump-syms/module_kinds.h"

#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "tools/dump-syms/cfi.h"
#include "tools/dump-syms/cfi_program.h"
#include "tools/dump-syms/functions.h"
#include "tools/dump-syms/image.h"

static bool is_code(const void *image, uint64_t addr, uint64_t size)
{
    return image_is_code(image, addr, size);
}

/*
 * Sections have no type of their own for call frames, so they are found by name, and all of that
 * name are read.  `bias` moves addresses of a separate debug file to those of the module, which
 * only matters for pointers relative to the section.
 */
static void add_cfi_of(const struct image *i, Elf *elf, uint64_t bias, const char *wanted,
                       struct sym *s)
{
    size_t names;
    Elf_Scn *scn = NULL;
    if (!elf || elf_getshdrstrndx(elf, &names) != 0)
        return;
    while ((scn = elf_nextscn(elf, scn))) {
        GElf_Shdr mem, *h = gelf_getshdr(scn, &mem);
        const char *name = h ? elf_strptr(elf, names, h->sh_name) : NULL;
        if (!name || strcmp(name, wanted) != 0 || h->sh_type == SHT_NOBITS)
            continue;
        Elf_Data *d = elf_rawdata(scn, NULL);
        if (!d || !d->d_buf)
            continue;
        struct cfi_section section = {
            .bytes = rd_init(d->d_buf, d->d_size),
            .addr = h->sh_addr + bias,
            .base = i->base,
            .is_eh = strcmp(wanted, ".eh_frame") == 0,
            .addr_size = i->is_64 ? 8 : 4,
            .machine = i->machine,
            .is_code = is_code,
            .arg = i,
        };
        section.bytes.big = i->is_big;
        cfi_add_section(&section, s);
    }
}

/*
 * The order decides who wins where two sections describe the same code: .eh_frame is what the
 * running program unwinds with, .debug_frame of the module is next, the one of its debug file last.
 * Separate debug files keep .eh_frame as a section without content, so it is only asked for in the
 * module.
 */
static void add_cfi(const struct image *i, struct sym *s)
{
    add_cfi_of(i, i->elf, 0, ".eh_frame", s);
    add_cfi_of(i, i->elf, 0, ".debug_frame", s);
    add_cfi_of(i, i->debug.elf, i->dwarf_bias, ".debug_frame", s);
}

bool module_read_elf(struct file_bytes *taken, const struct image_options *o,
                     struct dumped_module *m, struct err *err)
{
    struct image image;
    if (!image_open(o, taken, &image, err))
        return false;
    bool ok = image_identify(&image, o, &m->sym, err);
    if (ok) {
        functions_add(&image, &m->sym);
        publics_add(&image, &m->sym);
        add_cfi(&image, &m->sym);
        m->has_debug_info = image.dwarf != NULL;
        sb_str(&m->problems, sb_view(&image.problems));
    }
    image_close(&image);
    return ok;
}
