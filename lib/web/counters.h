#ifndef WEB_COUNTERS_H
#define WEB_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * counters - counters and sums of all processes of a program, in shared memory, as Prometheus text
 * and as datagrams to statsd.
 *
 * Ownership  counters_new maps the table before the workers are forked; it lives as long as they
 *            do.
 * Threads    Atomic; a killed process leaves them consistent.
 */
struct counter_row {
    const char *name;
    const char *tag;  /* fixed one such as "result:accept", or NULL */
    const char *kind; /* statsd: c count, ms timing, h histogram */
};

struct counter_table {
    const char *prefix; /* of every name: "socorro.collector." */
    const struct counter_row *rows;
    size_t n;
};

struct counters {
    const struct counter_table *table;
    _Atomic uint64_t v[]; /* by row */
};

bool counters_new(const struct counter_table *table, struct counters **ret, struct err *err);
/* This process also sends statsd lines from now on, if STATSD_HOST is set. */
void counters_open_statsd(const struct conf *conf);

/* tag: "reason:bad_gzip", only for statsd; or NULL. */
void counter_add(struct counters *c, size_t row, uint64_t n, const char *tag);

/* Prometheus text. */
void counters_print(const struct counters *c, struct strbuf *out);

#endif
