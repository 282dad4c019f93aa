#ifndef DUMP_SYMS_FUNCTION_NAMES_H
#define DUMP_SYMS_FUNCTION_NAMES_H

#include <elfutils/libdw.h>

#include "tools/dump-syms/name_scopes.h"
#include "tools/dump-syms/sym.h"

/*
 * function_names - what a function is called in a report.
 *
 * C++ and Rust functions by their demangled linkage name (C++ with parameters, Rust
 * without hash); functions without one, or with one of a kind that is not known, by
 * the names of the scopes around them joined with "::"; C functions by their name.
 *
 * DWARF has no way from an entry to the one around it, and a function's code, its
 * declaration in a class and its inlined copies are entries in different places,
 * even different units.  So the scopes of all functions are noted in a first pass.
 */
void names_init(struct names *n, struct sym *sym);
void names_release(struct names *n);

/* First pass: notes the scopes of the functions of one unit. */
void names_add_unit(struct names *n, Dwarf_Die *unit);

/*
 * Result lives in the arena of the symbols or in the debug information.  Unsure: made of the names
 * of scopes because there is no linkage name; a symbol for the same code may have a better one.
 */
struct str names_of_function(struct names *n, Dwarf_Die *die, bool *ret_is_unsure);

/* The entry where the function was first described: the end of the chain of origins. */
Dwarf_Die names_origin(Dwarf_Die die);

/* A symbol of the symbol table: version suffix cut, demangled where it is a C++ name. */
struct str names_of_symbol(struct sym *s, const char *symbol);

#endif
