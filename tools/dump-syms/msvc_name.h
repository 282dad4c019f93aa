#ifndef DUMP_SYMS_MSVC_NAME_H
#define DUMP_SYMS_MSVC_NAME_H

#include "tools/dump-syms/sym.h"

/*
 * msvc_name - the readable part of a symbol of Windows: C++ names of Microsoft's compiler as
 * scopes and name without parameters, those of MinGW demangled in full, C names as they are.
 *
 * Names whose form is not understood (templates, operators) stay as they are.  In the arena of s.
 */
struct str msvc_name(struct sym *s, const char *symbol);

#endif
