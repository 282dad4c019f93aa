#ifndef DUMP_SYMS_ZIP_DEBUG_H
#define DUMP_SYMS_ZIP_DEBUG_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * zip_debug - the debug file out of a ZIP archive of a .dSYM folder (XUL.dSYM.zip).
 *
 * Ownership  *ret_name is the caller's to free.
 * Errors     ERR_INVALID: damaged, or no debug file in it.  ERR_TOO_LARGE: more than max_bytes.
 * Trust      The archive is hostile; nothing is appended beyond the maximum.
 */
bool zip_debug_is(struct str bytes);
bool zip_debug_unpack(struct str bytes, size_t max_bytes, struct strbuf *out, char **ret_name,
                      struct err *err);

#endif
