#ifndef MINIDUMP_CRASHPAD_H
#define MINIDUMP_CRASHPAD_H

#include "lib/json/json.h"
#include "lib/minidump/mdmp.h"

/*
 * crashpad - the annotations that Crashpad's clients put into a dump, as one JSON
 * object: report_id, client_id, simple_annotations, modules.  Protected data.
 *
 * Crashpad itself bounds a value to 5 * 4096 bytes and a simple dictionary to 64 entries for each
 * module; the limits here are a multiple of that.
 */
enum { CRASHPAD_ANNOTATIONS_MAX = 4096, CRASHPAD_VALUE_MAX = 64 << 10 };

/* New reference, or NULL when the dump has no such stream. */
json_t *crashpad_json(const struct mdmp *d);

/* Mask of valid pointer bits for arm64; 0 when the dump does not say. */
uint64_t crashpad_address_mask(const struct mdmp *d);

#endif
