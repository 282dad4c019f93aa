#ifndef SEARCH_COLUMNS_INDEX_HEALTH_H
#define SEARCH_COLUMNS_INDEX_HEALTH_H

#include "lib/search/columns/root.h"
#include "lib/search/index.h"

/* index_health - index_health of this engine. */
bool health_of(const char *dir, const struct field_table *fields, struct index_health *ret,
               struct err *err);

#endif
