#ifndef SEARCH_COLUMNS_RECOVER_H
#define SEARCH_COLUMNS_RECOVER_H

#include "lib/search/columns/root_parts.h"

/*
 * recover - what a writer does before it begins: finish or undo the commit of one that was
 * killed; after a restart of the machine go back to what is known to be on disk.
 */
bool recover_intent(struct root *r, struct err *err);
bool recover_after_boot(struct root *r, struct err *err);
void recover_boot_id(char out[40]);

#endif
