#ifndef DUMP_SYMS_EXTENTS_H
#define DUMP_SYMS_EXTENTS_H

#include "tools/dump-syms/sym.h"

/*
 * extents - which code each symbol of the symbol tables names.
 *
 * Turns s->symbols into FUNC records around those of the debug information, and the
 * PLT sections into PUBLIC records.  The functions of the debug information and the
 * frames must be in order (sym_finish).
 */
void extents_add(struct sym *s);

#endif
