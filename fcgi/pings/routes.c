/*
 * Everything the receiver of pings answers.  Nobody is asked who he is (ROUTE_NO_SESSION), and a
 * database that is away must not keep pings out.  Below /submit/ the handler decides what exists,
 * since names of products and ids stand in the middle of those addresses.
 */
#include "fcgi/pings/receiver.h"
#include "lib/base/util.h"
#include "lib/web/health.h"
#include "lib/web/web.h"

enum { SENDER = ROUTE_RAW_BODY | ROUTE_NO_SESSION, SENT = METHOD_POST | METHOD_PUT };

/* clang-format off */
const struct route receiver_routes[] = {
    {SENT, "/submit/crash-ping", SENDER, NULL, ping_post, NULL,
     "takes one crash ping, of whatever form"},
    {SENT, "/submit/", SENDER | ROUTE_PREFIX, NULL, ping_client_post, NULL,
     "APP/crash/VERSION/ID: one crash ping of Glean; telemetry/ID/crash/NAME/VERSION/CHANNEL/BUILD: an older one"},
    {METHOD_GET, "/__heartbeat__", ROUTE_NO_SESSION, NULL, heartbeat_get, NULL,
     "checks everything the receiver needs: 200, or 503 with the list of errors"},
    {METHOD_GET, "/__lbheartbeat__", ROUTE_NO_SESSION, NULL, lbheartbeat_get, NULL,
     "200 as long as the program answers"},
    {METHOD_GET, "/__version__", ROUTE_NO_SESSION, NULL, version_get, NULL,
     "version.json of the deployment"},
    {METHOD_GET, "/__metrics__", ROUTE_NO_SESSION | ROUTE_LOCAL, NULL, metrics_get, metrics_params,
     "what was counted, as Prometheus text"},
};
/* clang-format on */

const size_t receiver_route_count = ARRAY_LEN(receiver_routes);
