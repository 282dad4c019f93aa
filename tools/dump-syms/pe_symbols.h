#ifndef DUMP_SYMS_PE_SYMBOLS_H
#define DUMP_SYMS_PE_SYMBOLS_H

#include "tools/dump-syms/pe_file.h"
#include "tools/dump-syms/sym.h"

/*
 * pe_symbols - names of code that a PE file itself has: what it exports, and the COFF symbols
 * that MinGW leaves in programs.  They become s->symbols, without sizes.
 */
void pe_add_exports(const struct pe_file *f, struct sym *s);
void pe_add_coff_symbols(const struct pe_file *f, struct sym *s);

/* One name for the code at the address, if there is code; `rank` as in struct sym_symbol. */
void pe_add_symbol(const struct pe_file *f, uint32_t rva, struct str name, int rank, struct sym *s);

#endif
