#ifndef WEBAPP_ROUTES_H
#define WEBAPP_ROUTES_H

#include "lib/web/web.h"

/* routes - the table of what this program answers, and of the documentation made from it. */
extern const struct route routes[];
extern const size_t route_count;

#endif
