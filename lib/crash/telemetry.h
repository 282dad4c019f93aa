#ifndef CRASH_TELEMETRY_H
#define CRASH_TELEMETRY_H

#include "lib/crash/field.h"
#include "lib/json/json.h"

/*
 * telemetry - the export record of a crash: a public subset for analysis elsewhere.
 *
 * The processed crash goes through the reducer as for a public reader first, so no
 * protected value can get into a record whatever the tables below say.  Fields may be
 * added to the export, never changed or removed: importers have tables made from it.
 *
 * Ownership  New reference, which shares subtrees with the input.
 * Errors     A value of a wrong type is left out and counted in *ret_rejected (may be
 *            NULL).
 * Numbers    Version and ten frames at most are what the schema of the exported records says.
 */
enum { TELEMETRY_FRAMES_MAX = 10, TELEMETRY_VERSION = 2 };

json_t *telemetry_record(const struct field_table *fields, const json_t *processed,
                         size_t *ret_rejected);

extern const struct schema_shape telemetry_shape;

#endif
