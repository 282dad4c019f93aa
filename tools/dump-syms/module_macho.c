/*
 * A module of macOS: the program has symbols and rules for unwinding, its dSYM (another Mach-O file
 * of the same UUID) the debug information.  The dSYM is looked for beside the program, where
 * Xcode and dsymutil put it.  The debug id is the UUID as it is written, and 0 for the age that
 * only Windows has.
 *
 * A universal file is several modules in one, a part for each processor, and each part has a UUID
 * of its own; so has its dSYM, which is universal, too.  Parts are therefore paired by UUID and
 * never by processor.  Only 64-bit ones are read.
 *
 * Debug information is DWARF as everywhere, in sections of other names.  It is handed to libdw as
 * ELF, at the addresses of the program; code that has no line then still has its name from the
 * symbol table, and function starts say where code without any name begins.
 */
#include <elf.h>
#include <limits.h>

#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/file_bytes.h"
#include "tools/dump-syms/foreign_dwarf.h"
#include "tools/dump-syms/image.h"
#include "tools/dump-syms/macho_file.h"
#include "tools/dump-syms/macho_symbols.h"
#include "tools/dump-syms/macho_unwind.h"
#include "tools/dump-syms/module_symbols.h"
#include "tools/dump-syms/module_kinds.h"
#include "tools/dump-syms/module_name.h"

/* "__debug_str_offs": names have sixteen bytes, and two do not fit. */
static const char *elf_name(const char *name, char out[32])
{
    if (strcmp(name, "__debug_str_offs") == 0)
        return ".debug_str_offsets";
    snprintf(out, 32, ".%s", strncmp(name, "__", 2) == 0 ? name + 2 : name);
    return out;
}

/* Sections of debug information of `from`, code of the module: a dSYM has both, the first alone
 * with content. */
static void add_dwarf(const struct macho_file *module, const struct macho_file *from,
                      const char *path, struct dumped_module *m)
{
    struct foreign_dwarf f = {.path = path,
                              .machine = module->cpu == MACHO_ARM64 ? EM_AARCH64 : EM_X86_64,
                              .is_64 = true,
                              .base = module->base};
    char name[32];
    for (size_t i = 0; i < module->sections.n; i++) {
        const struct macho_section *s = &module->sections.v[i];
        if (s->is_code)
            VEC_PUSH(&f.code, ((struct code_range){s->addr, s->addr + s->size, NULL}));
    }
    for (size_t i = 0; i < from->sections.n; i++) {
        const struct macho_section *s = &from->sections.v[i];
        if (strcmp(s->segment, "__DWARF") == 0)
            foreign_add_section(&f, elf_name(s->name, name), s->bytes.p, s->bytes.n);
    }
    const struct macho_section *eh = macho_section(module, "__TEXT", "__eh_frame");
    if (eh && module == from)
        foreign_add_cfi(&f, eh->bytes, eh->addr, true, &m->sym);
    m->has_debug_info |= foreign_add_functions(&f, &m->sym, &m->problems);
    foreign_release(&f);
}

/* The part of the other file with the same UUID. */
static bool add_dsym(struct str bytes, const char *path, const struct macho_file *module,
                     struct dumped_module *m, struct err *err)
{
    struct str part;
    const char *arch;
    bool is_found = false;
    for (size_t i = 0; !is_found && macho_part(bytes, i, &part, &arch); i++) {
        struct macho_file other;
        if (!macho_open(part, path, &other, ERR_IGNORED))
            continue;
        is_found = other.has_uuid && memcmp(other.uuid, module->uuid, sizeof other.uuid) == 0;
        if (is_found) {
            add_dwarf(module, &other, path, m);
            macho_add_symbols(&other, &m->sym);
        }
        macho_close(&other);
    }
    return is_found || err_set(err, ERR_CONFLICT, "%s: of another build (the UUIDs differ)", path);
}

/* Not in the sandbox, where there are no paths. */
static void find_dsym(const struct image_options *o, const struct macho_file *module,
                      struct dumped_module *m)
{
    char path[PATH_MAX];
    struct file_bytes f;
    struct err err = {0};
    const char *base = strrchr(o->path, '/');
    base = base ? base + 1 : o->path;
    if (o->is_sandboxed ||
        snprintf(path, sizeof path, "%s.dSYM/Contents/Resources/DWARF/%s", o->path, base) >=
            (int)sizeof path ||
        !file_bytes_open(path, &f, ERR_IGNORED))
        return;
    if (!add_dsym(file_bytes_view(&f), path, module, m, &err))
        sb_printf(&m->problems, "%s\n", err.msg);
    file_bytes_close(&f);
}

/* What was named or came along is used, else what lies beside; a program that has its debug
 * information in itself needs neither. */
static bool add_debug_file(const struct image_options *o, const struct macho_file *module,
                           struct dumped_module *m, struct err *err)
{
    struct file_bytes f;
    if (!o->debug_file && !o->given_debug) {
        if (!macho_section(module, "__DWARF", "__debug_info"))
            find_dsym(o, module, m);
        return true;
    }
    if (!module_open_debug(o, &f, err))
        return false;
    bool ok = add_dsym(file_bytes_view(&f), f.path, module, m, err);
    file_bytes_close(&f);
    return ok;
}

/* Two digits for each byte and a last 0, which is written over by the next byte but for the last.
 */
static bool identify(const struct macho_file *f, const struct image_options *o, struct sym *s,
                     struct err *err)
{
    char own[MODULE_NAME_MAX];
    if (!f->has_uuid)
        return err_set(err, ERR_INVALID, "%s: no debug id: it was linked without a UUID", o->path);
    for (size_t i = 0; i < sizeof f->uuid; i++)
        snprintf(s->debug_id + 2 * i, 4, "%02X0", f->uuid[i]);
    s->os = "mac";
    return module_file_name(o->path, o->is_sandboxed, own, err) &&
           module_set_name(s, str_of(o->name ? o->name : own), err);
}

/* Another file that does not fit is a mistake of who named it; of a stranger's upload the program
 * is taken without it. */
static bool read_part(struct str part, const struct image_options *o, struct dumped_module *m,
                      struct err *err)
{
    struct macho_file f;
    if (!macho_open(part, o->path, &f, err))
        return false;
    bool ok = identify(&f, o, &m->sym, err);
    if (ok && !add_debug_file(o, &f, m, err)) {
        ok = o->is_sandboxed;
        if (ok)
            sb_printf(&m->problems, "%s\n", err->msg);
    }
    if (ok) {
        add_dwarf(&f, &f, o->path, m);
        macho_add_symbols(&f, &m->sym);
        macho_add_starts(&f, &m->sym);
        macho_add_compact_unwind(&f, &m->sym);
    }
    macho_close(&f);
    return ok;
}

/* Of a universal file the part for the wanted processor, or number o->part of those we know. */
bool module_read_macho(struct str bytes, const struct image_options *o, struct dumped_module *m,
                       struct err *err)
{
    struct str part, chosen = STR_NONE;
    const char *arch;
    m->parts = 0;
    for (size_t i = 0; macho_part(bytes, i, &part, &arch); i++) {
        if (!arch || (o->arch && strcmp(o->arch, arch) != 0))
            continue;
        if (m->parts++ == o->part) {
            chosen = part;
            m->sym.arch = arch;
        }
    }
    if (!chosen.p)
        return err_set(err, ERR_INVALID, "%s: no part for %s", o->path,
                       o->arch ? o->arch : "64-bit Intel or ARM");
    return read_part(chosen, o, m, err);
}
