#ifndef LEDGER_COUNTED_H
#define LEDGER_COUNTED_H

#include <stddef.h>

#include "lib/json/json.h"

/*
 * counted - what processed crashes add to the statistics: an array of `counted_crash`
 * (migrations/0012_statistics.sql and 0013) as JSON text, for the
 * function count_crashes of the database.
 *
 * Values     Public ones alone.  An installation is 8 bytes of a SHA-256, in hexadecimal.
 * Ownership  The text is the caller's, free().
 */
char *counted_json(const json_t *const *docs, const char *const *crash_ids, size_t n);

#endif
