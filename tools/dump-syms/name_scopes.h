#ifndef DUMP_SYMS_NAME_SCOPES_H
#define DUMP_SYMS_NAME_SCOPES_H

#include "lib/base/map.h"
#include "tools/dump-syms/sym.h"

/*
 * name_scopes - what the first pass over the debug information has noted (function_names.c), for
 * whoever puts a name together.
 */
struct names {
    struct sym *sym;       /* borrowed */
    struct textmap scopes; /* "a::b::", copied into the arena of the symbols */
    /*
     * Entries are told apart by their address in the mapped debug information: unlike the offset
     * that is unique when two files (with and without dwz) are in play.
     */
    struct map scope_of;      /* entry of a function or type -> number in scopes + 1 */
    struct map lambda_number; /* entry of a closure type -> its number in the scope */
    struct map is_typed;      /* entry of a unit -> 1, when it describes types */
};

#endif
