#ifndef BASE_METRICS_MEMORY_H
#define BASE_METRICS_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "lib/base/metrics_table.h"
#include "lib/base/str.h"

/*
 * metrics_memory - how metrics lie in the memory that the processes of a program share, and in the
 * file that others read: what metrics.c counts into and metrics_text.c prints.
 *
 * A series is one metric with one set of label values.  Series only come, in order; `n` says how
 * many there are.  Who adds one holds `growing`, writes the series, then its number into a free
 * place of `places` and at last `n`: killed in between, the next who wants the same series counts
 * it, or one who wants another overwrites it; a place that leads to it leads to another series
 * then, which whoever looks sees.
 */
enum {
    METRIC_SERIES_MAX = 600,   /* of one metric; further ones are its "other" */
    METRIC_LABELS_BYTES = 120, /* "rule:accept_everything": all labels of a series */
    ALL_SERIES_MAX = 4096,     /* one megabyte; a program with all its rules, routes and products
                                  was seen to need some 400 */
    SERIES_PLACES = 8192,      /* a power of two, at most half full */
    SERIES_OTHER = 64,         /* kept free for the series "other" of metrics with open labels */
};

struct metric_series {
    uint32_t metric; /* enum metric */
    char labels[METRIC_LABELS_BYTES];
    _Atomic uint64_t value;                       /* count, gauge, or sum of what was measured */
    _Atomic uint64_t buckets[METRIC_BUCKETS + 1]; /* events up to each bound; the last: above all */
};

struct metric_memory {
    char magic[8];
    uint64_t table_hash; /* of another release: not ours to read */
    uint32_t program;    /* enum metric_program */
    int64_t started_s;
    pthread_mutex_t growing;
    uint32_t of_metric[METRIC_TOTAL]; /* series; under the lock */
    _Atomic uint32_t n;
    _Atomic uint32_t places[SERIES_PLACES]; /* number of a series + 1; 0: free */
    struct metric_series series[ALL_SERIES_MAX];
};

void metrics_begin_memory(struct metric_memory *mem, enum metric_program program);
/* Whether it was made by a program of this release; nothing else of it can be trusted. */
bool metrics_memory_is_ours(const struct metric_memory *mem, size_t bytes);

/* For these values of labels (NULL-ended), or "other"; NULL when even that has no place. */
struct metric_series *metric_series_of(struct metric_memory *mem, enum metric id,
                                       const char *const *values);
/* Bytes put: what would end a tag, a line or a quoted text is '_'. */
size_t metric_put_clean(char *out, size_t room, const char *text);

/* Prometheus text (metrics_text.c). */
void metrics_print_memory(const struct metric_memory *mem, struct strbuf *out);

#endif
