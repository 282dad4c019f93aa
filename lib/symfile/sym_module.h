#ifndef SYMFILE_SYM_MODULE_H
#define SYMFILE_SYM_MODULE_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/* sym_module - the MODULE record of symbol text: whose symbols they are. */

struct sym_module { /* borrows the line */
    struct str os, arch, debug_id, debug_file;
};

/* One line without its end.  ERR_INVALID. */
bool sym_parse_module(struct str line, struct sym_module *ret, struct err *err);

#endif
