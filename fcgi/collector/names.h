#ifndef COLLECTOR_NAMES_H
#define COLLECTOR_NAMES_H

#include "lib/base/str.h"
#include "lib/json/json.h"

/* names - of file parts, and of other clients' annotations, made into ours. */
/* Thirty characters, as the collector that clients were written for cuts them. */
enum { DUMP_NAME_MAX = 30, DUMP_NAME_SIZE = DUMP_NAME_MAX + 1 };

enum dump_name_change { DUMP_NAME_PLAIN, DUMP_NAME_WAS_EMPTY, DUMP_NAME_WAS_DUMP };
/* Letters, digits and underscores of `name`, at most 30; see docs/collector.md. */
enum dump_name_change dump_name_of(struct str name, char out[DUMP_NAME_SIZE]);
bool dump_name_is_reserved(const char *name);

/* Prod, ver, … of Breakpad and Crashpad clients, and before them Electron's _productName and
 * _version, when ProductName is absent.  The originals stay.  True: something was mapped.  product
 * and version come from the query as a last resort (p NULL: none). */
bool names_map_breakpad(json_t *annotations, struct str product, struct str version);

#endif
