#ifndef DUMP_SYMS_PDB_SYMBOLS_H
#define DUMP_SYMS_PDB_SYMBOLS_H

#include "tools/dump-syms/pdb_file.h"
#include "tools/dump-syms/sym.h"

/*
 * pdb_symbols - functions, lines and public symbols of a PDB.
 *
 * Functions come with their sizes and lines (FUNC records), public symbols without sizes
 * (s->symbols): for those extents.c finds the end.
 * Errors     What is there and cannot be read is named in `problems`, a line each.
 * Trust      Streams are windows of rd; every list ends with its stream.
 */
void pdb_add_symbols(const struct pdb_file *f, const char *path, struct sym *s,
                     struct strbuf *problems);

#endif
