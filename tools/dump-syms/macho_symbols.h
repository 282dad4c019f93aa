#ifndef DUMP_SYMS_MACHO_SYMBOLS_H
#define DUMP_SYMS_MACHO_SYMBOLS_H

#include "tools/dump-syms/macho_file.h"
#include "tools/dump-syms/sym.h"

/*
 * macho_symbols - the symbol table and the function starts of a Mach-O file: names into
 * s->symbols, places where code begins into s->starts.
 */
void macho_add_symbols(const struct macho_file *f, struct sym *s);
void macho_add_starts(const struct macho_file *f, struct sym *s);

#endif
