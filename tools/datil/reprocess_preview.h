#ifndef DATIL_REPROCESS_PREVIEW_H
#define DATIL_REPROCESS_PREVIEW_H

#include "tools/datil/found_ids.h"

/*
 * Prints which signatures a sample of the crashes would get with the lists as they are now, and of
 * how many it would be another one.  Changes nothing; needs the store (app_store).
 */
bool reprocess_preview(struct app *app, const struct found_ids *ids, struct err *err);

#endif
