#ifndef DUMP_SYMS_MODULE_SYMBOLS_H
#define DUMP_SYMS_MODULE_SYMBOLS_H

#include "tools/dump-syms/image.h"
#include "tools/dump-syms/sym.h"

/*
 * module_symbols - everything a symbol file says about one ELF file, read from it and from the
 * files around it.
 *
 * Ownership  After true the caller releases both results (sym_release first).
 * Errors     False: there is nothing to write, and nothing to release.  What was there and could
 *            not be read is named in ret_image->problems.
 * Trust      Files are hostile, and elfutils may crash on them: call it in a child process with
 *            limits.
 */
bool module_read(const struct image_options *o, struct image *ret_image, struct sym *ret_sym,
                 struct err *err);

#endif
