#ifndef DATIL_AFFECTED_H
#define DATIL_AFFECTED_H

#include "tools/datil/found_ids.h"

/*
 * affected - crashes whose signatures the lists and rules as they are now would change.
 *
 * Prints each affected signature, the number of its crashes and what its samples would be called;
 * fills ids with all crashes of those signatures.  Changes nothing; needs store and index.
 */
bool affected_by_signatures(struct app *app, struct found_ids *ids, struct err *err);

#endif
