#ifndef WEBAPP_LIVE_VERSIONS_H
#define WEBAPP_LIVE_VERSIONS_H

#include "fcgi/webapp/versions_kept.h"
#include "lib/crash/product.h"
#include "lib/web/web.h"

/*
 * live_versions - which versions of a product are alive: those in the reports of the last 60 days,
 * newest first, featured ones in front.
 *
 * Cache      By product, in the worker; ten minutes, one second while a product has none.
 * Errors     None: an index that cannot be searched means no versions (logged).
 */
const struct live_versions *live_versions_of(struct req *r, const struct product *product);

#endif
