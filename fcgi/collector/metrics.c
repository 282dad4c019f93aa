/*
 * What the collector counts.  Names and tags are those of Socorro's collector, so that dashboards
 * made for it go on working.
 */
#include "fcgi/collector/metrics.h"

/* clang-format off */
static const struct counter_row rows[METRIC_TOTAL] = {
    [METRIC_INCOMING] = {"breakpad_resource.incoming_crash", NULL, "c"},
    [METRIC_MALFORMED] = {"breakpad_resource.malformed", NULL, "c"},
    [METRIC_UNAUTHORIZED] = {"breakpad_resource.unauthorized_uuid", NULL, "c"},
    [METRIC_COMPRESSED] = {"breakpad_resource.gzipped_crash", NULL, "c"},
    [METRIC_CRASH_BYTES] = {"breakpad_resource.crash_size", NULL, "h"},
    [METRIC_POST_TIME_MS] = {"breakpad_resource.on_post.time", NULL, "ms"},
    [METRIC_ACCEPT] = {"breakpad_resource.throttle", "result:accept", "c"},
    [METRIC_DEFER] = {"breakpad_resource.throttle", "result:defer", "c"},
    [METRIC_REJECT] = {"breakpad_resource.throttle", "result:reject", "c"},
    [METRIC_FAKEACCEPT] = {"breakpad_resource.throttle", "result:fakeaccept", "c"},
    [METRIC_OVERLOAD] = {"overload", NULL, "c"},
    [METRIC_DECOMPRESS_LIMIT] = {"decompress_limit", NULL, "c"},
    [METRIC_DUPLICATE] = {"duplicate", NULL, "c"},
    [METRIC_SAVED] = {"crashmover.save_crash.count", NULL, "c"},
    [METRIC_SAVE_RETRY] = {"crashmover.retry_count", "count:save_crash_exception.count", "c"},
    [METRIC_PUBLISH_RETRY] = {"crashmover.retry_count", "count:publish_crash_exception.count", "c"},
    [METRIC_HANDLING_TIME_MS] = {"crashmover.crash_handling.time", NULL, "ms"},
    [METRIC_HEARTBEAT] = {"health.heartbeat.count", NULL, "c"},
    [METRIC_LBHEARTBEAT] = {"health.lbheartbeat.count", NULL, "c"},
    [METRIC_VERSION] = {"health.version.count", NULL, "c"},
    [METRIC_BROKEN] = {"health.broken.count", NULL, "c"},
};
/* clang-format on */

const struct counter_table collector_metrics = {"socorro.collector.", rows, METRIC_TOTAL};
