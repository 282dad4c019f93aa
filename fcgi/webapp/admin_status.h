#ifndef WEBAPP_ADMIN_STATUS_H
#define WEBAPP_ADMIN_STATUS_H

#include "lib/base/err.h"
#include "lib/tpl/tpl.h"
#include "lib/web/web.h"

/*
 * admin_status - tables of the administration that tell how this installation is.
 */
/* How much waits in each queue, and what became of the reports of the last week. */
bool admin_queue_sections(struct req *r, struct tpl_rows *sections, struct err *err);

#endif
