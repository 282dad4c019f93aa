#ifndef SEARCH_COLUMNS_ROW_DOC_H
#define SEARCH_COLUMNS_ROW_DOC_H

#include "lib/search/columns/root_parts.h"
#include "lib/search/doc.h"

/*
 * row_doc - a row as the document that it was made of, for those who put it somewhere else.
 * The part has every column in use.  Texts borrow from its mappings.
 */
void row_doc(struct arena *a, const struct part *p, uint64_t row, struct doc *ret);

/* Under the lock: all rows committed so far, with every column. */
bool part_use_all(const struct root *r, struct part *p, struct err *err);

#endif
