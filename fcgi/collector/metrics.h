#ifndef COLLECTOR_METRICS_H
#define COLLECTOR_METRICS_H

#include "lib/web/counters.h"

/* metrics - the counters of all processes of the collector (lib/web/counters.h). */
enum metric {
    METRIC_INCOMING,
    METRIC_MALFORMED,
    METRIC_UNAUTHORIZED,
    METRIC_COMPRESSED,
    METRIC_CRASH_BYTES, /* after decompression */
    METRIC_POST_TIME_MS,
    METRIC_ACCEPT,
    METRIC_DEFER,
    METRIC_REJECT,
    METRIC_FAKEACCEPT,
    METRIC_OVERLOAD,
    METRIC_DECOMPRESS_LIMIT,
    METRIC_DUPLICATE,
    METRIC_SAVED,
    METRIC_SAVE_RETRY,
    METRIC_PUBLISH_RETRY,
    METRIC_HANDLING_TIME_MS, /* of the mover, entry to entry */
    METRIC_HEARTBEAT,
    METRIC_LBHEARTBEAT,
    METRIC_VERSION,
    METRIC_BROKEN,
    METRIC_TOTAL,
};

extern const struct counter_table collector_metrics;

#endif
