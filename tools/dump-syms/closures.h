#ifndef DUMP_SYMS_CLOSURES_H
#define DUMP_SYMS_CLOSURES_H

#include <elfutils/libdw.h>

#include "tools/dump-syms/name_scopes.h"

/*
 * closures - the types of lambdas, which have no name but a number in their scope.
 *
 * Trust      Of hostile files: depth and number are limited.
 */

/* Notes the numbers of the closure types of one scope; returns whether it is worth going in. */
bool closures_number(struct names *n, Dwarf_Die *scope);

/* The call operator of a closure type; false: it is none. */
bool closure_call_operator(Dwarf_Die *type, Dwarf_Die *ret);

/* Whether what has this tag is written in front of the names in it, with "::" behind. */
bool is_scope_tag(int tag);

#endif
