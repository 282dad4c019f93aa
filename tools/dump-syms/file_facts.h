#ifndef DUMP_SYMS_FILE_FACTS_H
#define DUMP_SYMS_FILE_FACTS_H

#include <stdio.h>

#include "tools/dump-syms/image.h"

/*
 * file_facts - what a file is, and which other files belong to it, without reading its symbols: so
 * that whoever has several files can put together what belongs together.
 *
 * One line for each part of o->given_module goes to out, texts separated by tabs (symnative.h has
 * them).  ERR_INVALID: the file is none of those that module.h reads.
 */
bool facts_write(const struct image_options *o, FILE *out, struct err *err);

#endif
