/*
 * Everything the collector answers. It looks at no session and no token (ROUTE_NO_SESSION): who
 * sends a report is nobody it knows, and a database that is away must not keep reports out. Bodies
 * are read by their handlers (ROUTE_RAW_BODY), because a report is taken as it streams in and never
 * lies in memory as a whole.
 *
 * "/api/" is a prefix for clients of Sentry, whose addresses have the number of a project in them,
 * and the handler decides what below it exists (sentry.c). What only operators may see goes through
 * a door of its own (ROUTE_LOCAL).
 */
#include "fcgi/collector/collector.h"
#include "lib/base/util.h"
#include "lib/web/health.h"
#include "lib/web/web.h"

/* clang-format off */
const struct route collector_routes[] = {
    {METHOD_POST, "/submit", ROUTE_RAW_BODY | ROUTE_NO_SESSION, NULL, submit_post, submit_params,
     "takes one crash report"},
    {METHOD_POST, "/submit/", ROUTE_PREFIX | ROUTE_RAW_BODY | ROUTE_NO_SESSION, NULL, token_submit_post, submit_params,
     "TOKEN: one crash report of the product that has this token"},
    {METHOD_POST, "/api/", ROUTE_PREFIX | ROUTE_RAW_BODY | ROUTE_NO_SESSION, NULL, sentry_post, sentry_params,
     "PROJECT/minidump/: one crash report of a program built for Sentry"},
    {METHOD_GET, "/__heartbeat__", ROUTE_NO_SESSION, NULL, heartbeat_get, NULL,
     "checks everything the collector needs: 200, or 503 with the list of errors"},
    {METHOD_GET, "/__lbheartbeat__", ROUTE_NO_SESSION, NULL, lbheartbeat_get, NULL,
     "200 as long as the program answers"},
    {METHOD_GET, "/__version__", ROUTE_NO_SESSION, NULL, version_get, NULL,
     "version.json of the deployment"},
    {METHOD_GET, "/__broken__", ROUTE_NO_SESSION | ROUTE_LOCAL, NULL, broken_get, NULL,
     "fails, to test error reporting"},
    {METHOD_GET, "/__metrics__", ROUTE_NO_SESSION | ROUTE_LOCAL, NULL, metrics_get, metrics_params,
     "what was counted, as Prometheus text"},
};
/* clang-format on */

const size_t collector_route_count = ARRAY_LEN(collector_routes);
