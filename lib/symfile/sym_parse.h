#ifndef SYMFILE_SYM_PARSE_H
#define SYMFILE_SYM_PARSE_H

#include "lib/symfile/sym_build.h"

/* sym_parse - from Breakpad symbol text to the records of a builder. */

struct sym_module { /* the MODULE record; borrows the line */
    struct str os, arch, debug_id, debug_file;
};

/* One line without its end.  ERR_INVALID. */
bool sym_parse_module(struct str line, struct sym_module *ret, struct err *err);

/*
 * Reads b->text.  A line that is no record is counted and skipped, as is one of more than
 * 1 MiB.  ERR_INVALID: the text does not begin with a MODULE record.
 */
bool sym_parse(struct builder *b, struct err *err);

#endif
