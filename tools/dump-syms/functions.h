#ifndef DUMP_SYMS_FUNCTIONS_H
#define DUMP_SYMS_FUNCTIONS_H

#include "tools/dump-syms/image.h"
#include "tools/dump-syms/sym.h"

/*
 * functions - FUNC, line, INLINE, FILE and PUBLIC records.
 */

/* From the debug information, if there is any.  Adds to image->problems. */
void functions_add(struct image *image, struct sym *s);

/* From the symbol tables: names for code that no FUNC covers. */
void publics_add(const struct image *image, struct sym *s);

#endif
