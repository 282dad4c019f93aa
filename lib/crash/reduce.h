#ifndef CRASH_REDUCE_H
#define CRASH_REDUCE_H

#include "lib/crash/field.h"
#include "lib/json/json.h"

/*
 * reduce - the only way out for stored crashes: what of a document may a reader see.
 *
 * Allow-list: a key is kept only if the schema knows it, the reader may see it and
 * its basic type is right.  Unknown keys are dropped.  Pages, API, search columns,
 * export and downloads all come through here.  (Someone with view_pii may be given
 * the stored processed crash itself, where a page offers that; see reduce_raw for
 * annotations nobody has described.)
 *
 * Ownership  New reference; the input is not changed and the result shares subtrees
 *            with it: neither may be changed afterwards below the top level.
 * Errors     A known key with a wrong basic type is dropped and counted in
 *            *ret_rejected (may be NULL); a list with one wrong element is dropped
 *            as a whole.  Anything but an object gives an empty object.
 * Trust      Documents are hostile.  The walk is as deep as the schema.
 */
json_t *reduce_processed(const struct field_table *fields, const json_t *processed,
                         enum perm reader, size_t *ret_rejected);

/* The same walk by another table of keys, whatever their permissions (telemetry.h). */
json_t *reduce_to_shape(const struct schema_shape *shape, const json_t *doc, size_t *ret_rejected);

/*
 * Public readers get the public annotations that are plain values; protected readers
 * get everything, for an annotation that nobody described is protected.
 */
json_t *reduce_raw(const struct field_table *fields, const json_t *raw_crash, enum perm reader,
                   size_t *ret_rejected);

/* Whether a reader may see the value at this dotted path of a processed crash ("json_dump.pid"). */
bool reduce_may_see(const struct field_table *fields, struct str path, enum perm reader);

#endif
