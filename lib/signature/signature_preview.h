#ifndef SIGNATURE_SIGNATURE_PREVIEW_H
#define SIGNATURE_SIGNATURE_PREVIEW_H

#include "lib/base/err.h"
#include "lib/json/json.h"
#include "lib/signature/signature.h"
#include "lib/store/store.h"

/*
 * One crash: if its signature would change, adds 1 to the member "old -> new" of changes.  seen
 * counts those that are stored.  Changes nothing.
 */
bool signature_preview(struct store *store, const struct siglists *lists, const char *id,
                       json_t *changes, size_t *seen, struct err *err);

#endif
