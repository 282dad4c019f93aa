#ifndef SEARCH_COLLECTION_H
#define SEARCH_COLLECTION_H

#include <limits.h>

#include "lib/base/conf.h"
#include "lib/crash/field.h"

/*
 * collection - the kinds of documents that are searched, each with an index of its own: a directory
 * and a field table, which is all that index.h and search.h ask for.
 *
 * Reports    INDEX_DIR, with the table that main has loaded.
 * Pings      INDEX_DIR with "-pings" behind it, with fields_pings.
 *
 * Whoever keeps indexes whole (index keeper, scrub, retention, compaction, `datil index`, doctor)
 * goes over all of them and names none.  A third kind is a row here and a table of fields.
 *
 * Ownership  The struct is a value; its texts and its table are borrowed.
 */
enum collection_id { COLLECTION_REPORTS, COLLECTION_PINGS, COLLECTIONS };

struct collection {
    enum collection_id id;
    const char *name; /* "reports", what `datil index --collection` takes */
    const struct field_table *fields;
    char dir[PATH_MAX];
};

/* `reports` is the table of the installation (fields_load). */
struct collection collection_of(const struct conf *conf, const struct field_table *reports,
                                enum collection_id id);

/* False: there is none of this name. */
bool collection_by_name(const char *name, enum collection_id *ret);

#endif
