/*
 * A module of Windows: program and PDB belong together when GUID and age are the same.  The program
 * knows how to unwind (amd64) and what it exports, the PDB functions, lines and all other names;
 * each alone is worth something.  Programs of MinGW carry DWARF in themselves instead of a PDB.
 *
 * A module has two ids.  The debug id is GUID and age out of the debug directory, by which reports
 * ask for symbols; the code id is time stamp and size of the image, by which Microsoft's servers
 * keep the program.  Both halves say the debug id, so nothing is joined that was not built
 * together: a PDB of another build would put every name at the wrong address and would not look
 * wrong.
 *
 * What one half lacks is no failure where the files come from somebody else (in the sandbox) and
 * one where a person has named them.
 *
 * The PDB is looked for beside the program under the name in it, the program beside the PDB under
 * the same name with the ending of a program.
 */
#include <elf.h>
#include <limits.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/debug_files.h"
#include "tools/dump-syms/file_bytes.h"
#include "tools/dump-syms/foreign_dwarf.h"
#include "tools/dump-syms/image.h"
#include "tools/dump-syms/module_symbols.h"
#include "tools/dump-syms/module_kinds.h"
#include "tools/dump-syms/module_name.h"
#include "tools/dump-syms/pdb_file.h"
#include "tools/dump-syms/pdb_symbols.h"
#include "tools/dump-syms/pe_file.h"
#include "tools/dump-syms/pe_symbols.h"
#include "tools/dump-syms/pe_unwind.h"
#include "tools/dump-syms/sym.h"

/* IMAGE_FILE_MACHINE_… of the PE format, and the same processor for libdw. */
static const struct {
    uint16_t pe, elf;
    const char *arch;
} machines[] = {
    {0x8664, EM_X86_64, "x86_64"},
    {0x14c, EM_386, "x86"},
    {0xaa64, EM_AARCH64, "arm64"},
    {0x1c4, EM_ARM, "arm"},
};

static bool set_machine(struct sym *s, uint16_t machine, const char *path, uint16_t *ret_elf,
                        struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(machines); i++)
        if (machines[i].pe == machine) {
            s->arch = machines[i].arch;
            *ret_elf = machines[i].elf;
            return true;
        }
    return err_set(err, ERR_INVALID, "%s: processor 0x%x of Windows is not supported", path,
                   machine);
}

/*
 * The name of the module is that of its PDB, since reports name it so; without one its own. Letters
 * stay as the linker wrote them, though Windows does not tell upper from lower case: who looks
 * symbols up compares names as they are.
 */
static bool identify(const struct pe_file *pe, const struct image_options *o,
                     struct dumped_module *m, struct pe_identity *id, struct err *err)
{
    struct sym *s = &m->sym;
    if (!pe_identify(pe, o->path, id, err))
        return false;
    sym_set_guid(s, id->guid, id->age);
    snprintf(s->code_id, sizeof s->code_id, "%08X%x", pe->timestamp, pe->image_size);
    char own[MODULE_NAME_MAX];
    if (!module_file_name(o->path, o->is_sandboxed, own, err))
        return false;
    s->code_file = arena_strdup(&s->arena, own);
    struct str name = module_windows_file(id->pdb);
    if (o->name)
        name = str_of(o->name);
    return module_set_name(s, name.n ? name : str_of(own), err);
}

/*
 * For libdw the sections are put into an ELF image in memory, at the addresses that they have in
 * the program.  A section may be larger in memory than in the file (size) or the other way round,
 * by alignment (raw_size); what counts is what both have.
 */
static void add_dwarf(const struct pe_file *pe, const struct image_options *o, uint16_t machine,
                      struct dumped_module *m)
{
    struct foreign_dwarf f = {
        .path = o->path, .machine = machine, .is_64 = pe->is_wide, .base = pe->base};
    for (size_t i = 0; i < pe->sections.n; i++) {
        const struct pe_section *s = &pe->sections.v[i];
        uint32_t n = s->size ? MIN(s->size, s->raw_size) : s->raw_size;
        struct rd bytes = rd_try_window(&pe->bytes, s->raw_at, n);
        char name[32];
        snprintf(name, sizeof name, STR_FMT, (int)MIN(s->name.n, sizeof name - 1), s->name.p);
        if (s->is_code)
            VEC_PUSH(&f.code,
                     ((struct code_range){pe->base + s->rva,
                                          pe->base + s->rva + (s->size ? s->size : n), NULL}));
        if (rd_ok(&bytes))
            foreign_add_section(&f, name, bytes.p, bytes.n);
    }
    m->has_debug_info |= foreign_add_functions(&f, &m->sym, &m->problems);
    for (size_t i = 0; i < pe->sections.n; i++) {
        const struct pe_section *s = &pe->sections.v[i];
        bool is_eh = str_eq(s->name, STR(".eh_frame"));
        struct rd bytes =
            rd_try_window(&pe->bytes, s->raw_at, s->size ? MIN(s->size, s->raw_size) : s->raw_size);
        if (rd_ok(&bytes) && (is_eh || str_eq(s->name, STR(".debug_frame"))))
            foreign_add_cfi(&f, bytes, pe->base + s->rva, is_eh, &m->sym);
    }
    foreign_release(&f);
}

/* All that a program knows by itself; of 32-bit processors it has no unwind data. */
static void add_program(const struct pe_file *pe, const struct image_options *o, uint16_t machine,
                        struct dumped_module *m)
{
    if (machine == EM_X86_64)
        pe_add_unwind_amd64(pe, &m->sym);
    if (machine == EM_AARCH64)
        pe_add_unwind_arm64(pe, &m->sym);
    add_dwarf(pe, o, machine, m);
    pe_add_exports(pe, &m->sym);
    pe_add_coff_symbols(pe, &m->sym);
}

/* Opens a PDB and adds what it knows, if it is of this build. */
static bool add_pdb(struct str bytes, const char *path, const struct pe_identity *id,
                    struct dumped_module *m, struct err *err)
{
    struct pdb_file pdb;
    if (!pdb_open(bytes, path, &pdb, err))
        return false;
    bool ok = memcmp(pdb.guid, id->guid, sizeof id->guid) == 0 && pdb.age == id->age;
    if (ok)
        pdb_add_symbols(&pdb, path, &m->sym, &m->problems);
    else
        err_set(err, ERR_CONFLICT, "%s: of another build (GUID or age differ)", path);
    m->has_debug_info |= ok;
    pdb_close(&pdb);
    return ok;
}

/* Beside the program, under the name that the linker wrote. */
static void find_pdb(const struct image_options *o, const struct pe_identity *id,
                     struct dumped_module *m)
{
    char folder[PATH_MAX], path[PATH_MAX];
    struct file_bytes f;
    struct err err = {0};
    struct str name = module_windows_file(id->pdb);
    debug_folder_of(o->path, folder, sizeof folder);
    if (name.n == 0 || o->is_sandboxed ||
        snprintf(path, sizeof path, "%s" STR_FMT, folder, STR_ARG(name)) >= (int)sizeof path ||
        !file_bytes_open(path, &f, &err))
        return;
    if (!add_pdb(file_bytes_view(&f), path, id, m, &err))
        sb_printf(&m->problems, "%s\n", err.msg);
    file_bytes_close(&f);
}

/* A file that was named must fit; one that came along need not. */
static bool add_debug_file(const struct image_options *o, const struct pe_identity *id,
                           struct dumped_module *m, struct err *err)
{
    struct file_bytes f;
    if (!o->debug_file && !o->given_debug) {
        find_pdb(o, id, m);
        return true;
    }
    if (!module_open_debug(o, &f, err))
        return false;
    bool ok = add_pdb(file_bytes_view(&f), f.path, id, m, err);
    file_bytes_close(&f);
    return ok;
}

bool module_read_pe(struct str bytes, const struct image_options *o, struct dumped_module *m,
                    struct err *err)
{
    struct pe_file pe;
    struct pe_identity id;
    uint16_t machine = EM_NONE;
    if (!pe_open(bytes, o->path, &pe, err))
        return false;
    m->sym.os = "windows";
    bool ok =
        set_machine(&m->sym, pe.machine, o->path, &machine, err) && identify(&pe, o, m, &id, err);
    if (ok && !add_debug_file(o, &id, m, err)) {
        ok = o->is_sandboxed; /* without the other file, the program is worth something */
        if (ok)
            sb_printf(&m->problems, "%s\n", err->msg);
    }
    if (ok)
        add_program(&pe, o, machine, m);
    pe_close(&pe);
    return ok;
}

/* The other way round, for the rules of unwinding: frob.pdb is that of frob.dll, frob.exe or
 * frob.sys, if one of the build lies there. */
static void find_program(const struct image_options *o, const struct pdb_file *pdb,
                         struct dumped_module *m)
{
    static const char *const endings[] = {".dll", ".exe", ".sys"};
    struct str stem = str_of(o->path);
    size_t dot = str_rfind_char(stem, '.');
    if (dot != SIZE_MAX)
        stem.n = dot;
    for (size_t i = 0; i < ARRAY_LEN(endings) && !o->is_sandboxed; i++) {
        char path[PATH_MAX];
        struct file_bytes f;
        struct pe_file pe;
        struct pe_identity id;
        struct image_options as = *o;
        as.path = path;
        if (snprintf(path, sizeof path, STR_FMT "%s", STR_ARG(stem), endings[i]) >=
                (int)sizeof path ||
            !file_bytes_open(path, &f, ERR_IGNORED))
            continue;
        bool ok = pe_open(file_bytes_view(&f), path, &pe, ERR_IGNORED);
        if (ok && pe_identify(&pe, path, &id, ERR_IGNORED) &&
            memcmp(id.guid, pdb->guid, sizeof id.guid) == 0 && id.age == pdb->age) {
            uint16_t machine = EM_NONE;
            if (set_machine(&m->sym, pe.machine, path, &machine, ERR_IGNORED) &&
                identify(&pe, &as, m, &id, ERR_IGNORED))
                add_program(&pe, &as, machine, m);
        }
        if (ok)
            pe_close(&pe);
        file_bytes_close(&f);
    }
}

/* Alone it has no rules for unwinding, which are in the program. */
bool module_read_pdb(struct str bytes, const struct image_options *o, struct dumped_module *m,
                     struct err *err)
{
    struct pdb_file pdb;
    char own[MODULE_NAME_MAX];
    uint16_t machine = EM_NONE;
    if (!pdb_open(bytes, o->path, &pdb, err))
        return false;
    m->sym.os = "windows";
    sym_set_guid(&m->sym, pdb.guid, pdb.age);
    bool ok = set_machine(&m->sym, pdb.machine, o->path, &machine, err) &&
              module_file_name(o->path, o->is_sandboxed, own, err) &&
              module_set_name(&m->sym, str_of(o->name ? o->name : own), err);
    if (ok) {
        m->has_debug_info = true;
        pdb_add_symbols(&pdb, o->path, &m->sym, &m->problems);
        find_program(o, &pdb, m);
        if ((machine == EM_X86_64 || machine == EM_AARCH64) && m->sym.frames.n == 0)
            sb_printf(&m->notes, "%s: no rules for unwinding: they are in the program\n", o->path);
    }
    pdb_close(&pdb);
    return ok;
}
