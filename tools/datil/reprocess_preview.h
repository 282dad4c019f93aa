#ifndef DATIL_REPROCESS_PREVIEW_H
#define DATIL_REPROCESS_PREVIEW_H

#include "lib/json/json.h"
#include "lib/signature/signature.h"
#include "tools/datil/found_ids.h"

/*
 * Prints which signatures a sample of the crashes would get with the lists as they are now, and of
 * how many it would be another one.  Changes nothing; needs the store (app_store).
 */
bool reprocess_preview(struct app *app, const struct found_ids *ids, struct err *err);

/* One crash: if its signature changes, adds 1 to the member "old -> new" of changes.  seen counts
 * those that are stored. */
bool preview_crash(struct app *app, const struct siglists *lists, const char *id, json_t *changes,
                   size_t *seen, struct err *err);

#endif
