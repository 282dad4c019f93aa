/*
 * DWARF is the same in every container; libdw wants it in ELF.  So the sections are copied behind
 * an ELF head (elf_write.c), and the rest of this folder works on that as on any separate debug
 * file: what it asks of the module itself is which addresses are code.
 *
 * Sections keep their names and bytes; addresses in them are those of the foreign file already, so
 * nothing is relocated. What libdw would read of the module besides (its symbol table, its own
 * unwind tables) comes from the readers of the foreign format instead.
 */
#include "tools/dump-syms/foreign_dwarf.h"

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/cfi.h"
#include "tools/dump-syms/cfi_program.h"
#include "tools/dump-syms/elf_file.h"
#include "tools/dump-syms/functions.h"

/*
 * HEADERS_MAX is room for the ELF head, a section header of 64 bytes for each of the twelve pieces,
 * and their names: about 2 KiB.  PROBLEMS_MAX is some hundred lines; who reads more of them learns
 * nothing new about the file.
 */
enum { HEADERS_MAX = 64 * 1024, PROBLEMS_MAX = 64 * 1024 };

void foreign_add_section(struct foreign_dwarf *f, const char *name, const void *bytes, size_t n)
{
    static const char *const wanted[] = {
        ".debug_info",        ".debug_abbrev", ".debug_line",  ".debug_str",
        ".debug_line_str",    ".debug_ranges", ".debug_types", ".debug_rnglists",
        ".debug_str_offsets", ".debug_addr",   ".debug_loc",   ".debug_loclists",
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (n && strcmp(name, wanted[i]) == 0)
            VEC_PUSH(&f->pieces, ((struct elf_piece){wanted[i], bytes, n}));
}

static bool has_info(const struct foreign_dwarf *f)
{
    for (size_t i = 0; i < f->pieces.n; i++)
        if (strcmp(f->pieces.v[i].name, ".debug_info") == 0)
            return true;
    return false;
}

static bool is_code(const void *foreign, uint64_t addr, uint64_t size)
{
    const struct foreign_dwarf *f = foreign;
    for (size_t k = 0; k < f->code.n; k++)
        if (addr >= f->code.v[k].from && addr < f->code.v[k].to)
            return size <= f->code.v[k].to - addr;
    return false;
}

/* The file is named as the debug information; the module has no ELF file. */
static bool open_image(const struct foreign_dwarf *f, struct image *i)
{
    STRBUF_AUTO out;
    size_t bytes = HEADERS_MAX;
    for (size_t k = 0; k < f->pieces.n; k++)
        bytes += f->pieces.v[k].n;
    sb_init(&out, bytes);
    elf_write(f->pieces.v, f->pieces.n, false, &out);
    if (out.overflow || !elf_file_from_bytes(out.p, out.n, f->path, &i->file, ERR_IGNORED))
        return false;
    i->elf = i->file.elf;
    i->dwarf = dwarf_begin_elf(i->elf, DWARF_C_READ, NULL);
    return i->dwarf != NULL;
}

bool foreign_add_functions(const struct foreign_dwarf *f, struct sym *s, struct strbuf *problems)
{
    struct image i = {.machine = f->machine, .is_64 = f->is_64, .base = f->base};
    if (!has_info(f))
        return false;
    sb_init(&i.problems, PROBLEMS_MAX);
    for (size_t k = 0; k < f->code.n; k++)
        VEC_PUSH(&i.code, f->code.v[k]);
    if (open_image(f, &i))
        functions_add(&i, s);
    else
        sb_printf(problems, "%s: debug information cannot be read: %s\n", f->path,
                  dwarf_errmsg(-1));
    sb_str(problems, sb_view(&i.problems));
    image_close(&i);
    return true;
}

void foreign_add_cfi(const struct foreign_dwarf *f, struct rd bytes, uint64_t addr, bool is_eh,
                     struct sym *s)
{
    struct cfi_section section = {
        .bytes = bytes,
        .addr = addr,
        .base = f->base,
        .is_eh = is_eh,
        .addr_size = f->is_64 ? 8 : 4,
        .machine = f->machine,
        .is_code = is_code,
        .arg = f,
    };
    cfi_add_section(&section, s);
}

void foreign_release(struct foreign_dwarf *f)
{
    VEC_RELEASE(&f->code);
    VEC_RELEASE(&f->pieces);
}
