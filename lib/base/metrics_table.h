#ifndef BASE_METRICS_TABLE_H
#define BASE_METRICS_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/str.h"

/*
 * metrics_table - what there is to be counted: the rows of metric_rows.def, and what can be said of
 * a row without a number.  Programs include metrics.h.
 */
enum metric_type { METRIC_IS_COUNT, METRIC_IS_GAUGE, METRIC_IS_TIMING, METRIC_IS_HISTOGRAM };
enum metric_unit { UNIT_EVENTS, UNIT_THINGS, UNIT_BYTES, UNIT_SECONDS, UNIT_DAYS, UNIT_KINDS };

/* Whose a metric is, or-ed; one of them says which program this is. */
enum metric_program {
    IN_COLLECTOR = 1,
    IN_PROCESSOR = 2,
    IN_SYMBOLS = 4,
    IN_WEBAPP = 8,
    IN_CRON = 16,
    IN_PINGS = 32,
    IN_ALL = 63,
};

struct metric_row {
    const char *name; /* with dots, as statsd has it */
    enum metric_type type;
    enum metric_unit unit;
    /* "rule", "result=accept/reject": names of labels in their order, with the values where those
     * are known beforehand; comma between labels.  "": none. */
    const char *labels;
    unsigned programs;
    const char *help;
};

enum metric {
#define METRIC(id, ...) METRIC_##id,
#include "lib/base/metric_rows.def"
#undef METRIC
    METRIC_TOTAL
};
extern const struct metric_row metric_rows[METRIC_TOTAL];

enum { METRIC_LABELS_MAX = 4 };

/* "collector"; NULL behind the last. */
const char *metrics_program_name(size_t i);
const char *metrics_name_of(enum metric_program program);
enum metric_program metrics_program_of(struct str name); /* 0: none */

size_t metric_label_count(const struct metric_row *row);
/* The i-th label of a row: its name, and its known values with '/' between ("": any). */
void metric_label(const struct metric_row *row, size_t i, struct str *ret_name,
                  struct str *ret_values);

/* The upper ends of the buckets of a unit; seconds in microseconds. */
enum { METRIC_BUCKETS = 13 };
extern const int64_t metric_buckets[UNIT_KINDS][METRIC_BUCKETS];

/* docs/metrics.md. */
void metrics_print_markdown(FILE *out);

#endif
