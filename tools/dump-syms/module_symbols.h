#ifndef DUMP_SYMS_MODULE_SYMBOLS_H
#define DUMP_SYMS_MODULE_SYMBOLS_H

#include "tools/dump-syms/image.h"
#include "tools/dump-syms/sym.h"

/*
 * module_symbols - everything a symbol file says about one program or library (ELF, PE, Mach-O) or
 * PDB, read from it and from the files around it.
 *
 * Ownership  module_release, after true.
 * Errors     False: there is nothing to write, and nothing to release.  What was there and could
 *            not be read is named in ret->problems, a line each.
 * Trust      Files are hostile, and elfutils may crash on them: call it in a child process with
 *            limits.
 */
struct dumped_module {
    struct sym sym;
    struct strbuf problems; /* debug information that is there and cannot be read */
    struct strbuf notes;    /* what a reader may want to know beside */
    bool has_debug_info;
    size_t parts; /* of a universal file: how many o->part can choose from; else 1 */
};

bool module_read(const struct image_options *o, struct dumped_module *ret, struct err *err);
void module_release(struct dumped_module *m);

#endif
