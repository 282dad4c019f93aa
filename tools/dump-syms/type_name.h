#ifndef DUMP_SYMS_TYPE_NAME_H
#define DUMP_SYMS_TYPE_NAME_H

#include "tools/dump-syms/function_names.h"

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
 * The same without what is behind the closing bracket, and with auto:1 for what is generic. `depth`
 * counts the types around: of a hostile file, a lambda may take itself.
 */
void type_name_lambda(const struct names *n, Dwarf_Die *call_operator, int depth,
                      struct strbuf *out);

#endif
