#ifndef CRASH_SCHEMA_H
#define CRASH_SCHEMA_H

#include "lib/crash/field.h"
#include "lib/json/json.h"

/*
 * schema - does a JSON value have the shape the field table says?
 */

/* Whether the value itself, not what is below it, is of one of the types. */
bool schema_fits(unsigned types, const json_t *v);

/*
 * The name of the first key, anywhere below, that the table knows and whose value has a
 * wrong type; NULL if there is none.  Keys that the table does not know do not count.
 * Borrowed from the table: never a text of the document, so that it may be shown.
 */
const char *schema_misfit(const struct schema_key *key, const json_t *v);

#endif
