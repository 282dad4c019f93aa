/*
 * Which kind of file it is, by its first bytes, and what all kinds share: names, debug files that
 * come along, and the end, where sym_finish puts everything in order.  Which code a symbol without
 * size names can only be decided there, when all functions and all unwind entries are known.
 */
#include "tools/dump-syms/module_symbols.h"

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "tools/dump-syms/extents.h"
#include "tools/dump-syms/file_bytes.h"
#include "tools/dump-syms/macho_file.h"
#include "tools/dump-syms/module_kinds.h"
#include "tools/dump-syms/pdb_file.h"
#include "tools/dump-syms/pe_file.h"

enum { TEXT_MAX = 64 * 1024 }; /* of problems and of notes: some hundred lines, as in image.c */

bool module_open_debug(const struct image_options *o, struct file_bytes *ret, struct err *err)
{
    if (!o->given_debug)
        return file_bytes_open(o->debug_file, ret, err);
    *ret = *o->given_debug;
    *o->given_debug = (struct file_bytes){0};
    return true;
}

static bool read_bytes(struct file_bytes *f, const struct image_options *o, struct dumped_module *m,
                       struct err *err)
{
    struct str bytes = file_bytes_view(f);
    if (pe_is(bytes))
        return module_read_pe(bytes, o, m, err);
    if (pdb_is(bytes))
        return module_read_pdb(bytes, o, m, err);
    if (macho_is(bytes))
        return module_read_macho(bytes, o, m, err);
    if (!str_starts(bytes, STR("\177ELF")))
        return err_set(err, ERR_INVALID,
                       "%s: not a program, library or debug file (ELF, PE, PDB, Mach-O)", o->path);
    return module_read_elf(f, o, m, err);
}

bool module_read(const struct image_options *o, struct dumped_module *ret, struct err *err)
{
    struct file_bytes f;
    struct dumped_module m = {.parts = 1};
    if (o->given_module) {
        f = *o->given_module;
        *o->given_module = (struct file_bytes){0};
    } else if (!file_bytes_open(o->path, &f, err)) {
        return false;
    }
    sym_init(&m.sym);
    sb_init(&m.problems, TEXT_MAX);
    sb_init(&m.notes, TEXT_MAX);
    struct image_options inside = *o;
    FREE_LATER char *path = xstrdup(f.path);
    inside.path = path;
    bool ok = read_bytes(&f, &inside, &m, err);
    file_bytes_close(&f);
    if (!ok) {
        module_release(&m);
        return false;
    }
    sym_finish(&m.sym);
    extents_add(&m.sym);
    *ret = m;
    return true;
}

void module_release(struct dumped_module *m)
{
    sym_release(&m->sym);
    sb_release(&m->problems);
    sb_release(&m->notes);
}
