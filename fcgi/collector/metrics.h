#ifndef COLLECTOR_METRICS_H
#define COLLECTOR_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * metrics - counters and sums of all processes of the collector, in shared memory, with the names
 * that monitoring of crash collectors knows.
 *
 * Ownership  metrics_new maps the table before the workers are forked.
 * Threads    Atomic; a killed process leaves them consistent.
 */
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

struct metrics {
    _Atomic uint64_t v[METRIC_TOTAL];
};

bool metrics_new(struct metrics **ret, struct err *err);
/* This process also sends statsd lines from now on, if STATSD_HOST is set. */
void metrics_open_statsd(const struct conf *conf);

/* tag: "reason:bad_gzip", or NULL. */
void metric_add(struct metrics *m, enum metric what, uint64_t n, const char *tag);

/* Prometheus text. */
void metrics_print(const struct metrics *m, struct strbuf *out);

#endif
