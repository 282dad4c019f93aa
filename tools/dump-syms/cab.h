#ifndef DUMP_SYMS_CAB_H
#define DUMP_SYMS_CAB_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * cab - a cabinet with one file, as Microsoft's tools make of what they store: xul.pdb becomes
 * xul.pd_.
 *
 * Ownership  ret_name is new: what the file was called before it was packed.
 * Trust      The bytes are hostile, and libmspack is a stranger's library: in a process with
 * limits.
 */
bool cab_is(struct str bytes);

/*
 * Appends the first file of the cabinet to out.  ERR_TOO_LARGE: it is more than max_bytes, or more
 * than out may hold.  ERR_INVALID: damaged.
 */
bool cab_unpack(struct str bytes, size_t max_bytes, struct strbuf *out, char **ret_name,
                struct err *err);

#endif
