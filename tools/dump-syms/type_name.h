#ifndef DUMP_SYMS_TYPE_NAME_H
#define DUMP_SYMS_TYPE_NAME_H

#include <elfutils/libdw.h>

#include "tools/dump-syms/name_scopes.h"

/*
 * type_name - types of C++ as the demangler of the C++ library writes them.
 *
 * Trust      Types of hostile files may contain themselves: depth is limited, and the text by
 *            the limit of `out`.
 */

/*
 * "(int, char const*)" of a function, and " const" behind it for a method that does not change its
 * object.  Names of types get their scopes from n->scope_of, as far as they are noted there.
 */
void type_name_parameters(const struct names *n, Dwarf_Die *function, struct strbuf *out);

/*
 * "{lambda(int)#1}" when the type is the closure of a lambda that was noted; auto:1 for what is
 * generic.  `depth` counts the types around: of a hostile file, a lambda may take itself.
 */
bool type_name_closure(const struct names *n, Dwarf_Die *type, int depth, struct strbuf *out);

#endif
