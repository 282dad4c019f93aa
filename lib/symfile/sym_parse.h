#ifndef SYMFILE_SYM_PARSE_H
#define SYMFILE_SYM_PARSE_H

#include "lib/symfile/sym_build.h"

/* sym_parse - from Breakpad symbol text to the records of a builder. */

/*
 * Reads b->text.  A line that is no record is counted and skipped, as is one of more than
 * 1 MiB.  ERR_INVALID: the text does not begin with a MODULE record.
 */
bool sym_parse(struct builder *b, struct err *err);

#endif
