/*
 * What was counted as Prometheus' text form 0.0.4.
 *
 * Names and units are those that Prometheus' statsd_exporter makes of the statsd lines, so that
 * dashboards need not care which way numbers came: dots become underscores, times are seconds,
 * timings and histograms have _bucket, _sum and _count.
 */
#include <inttypes.h>
#include <string.h>

#include "lib/base/metrics_memory.h"
#include "lib/base/metrics_table.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

static void print_name(struct strbuf *out, const struct metric_row *row, const char *suffix)
{
    for (const char *c = row->name; *c; c++)
        sb_char(out, *c == '.' || *c == '-' ? '_' : *c);
    sb_text(out, suffix);
}

/* "rule:x,result:y" becomes {rule="x",result="y"}; metrics.c has taken out what would need an
 * escape.  further: one more, such as le="0.5", or "". */
static void print_labels(struct strbuf *out, const char *labels, const char *further)
{
    struct str rest = str_of(labels), one;
    const char *before = "{";
    while (rest.n && str_split(&rest, ',', &one)) {
        size_t colon = str_find_char(one, ':', 0);
        sb_printf(out, "%s" STR_FMT "=\"" STR_FMT "\"", before, STR_ARG(str_sub(one, 0, colon)),
                  STR_ARG(colon == SIZE_MAX ? STR("") : str_sub(one, colon + 1, SIZE_MAX)));
        before = ",";
    }
    if (*further)
        sb_printf(out, "%s%s", before, further);
    if (*labels || *further)
        sb_char(out, '}');
}

static void number_text(const struct metric_row *row, int64_t value, char out[32])
{
    if (row->unit == UNIT_SECONDS && row->type != METRIC_IS_GAUGE)
        snprintf(out, 32, "%.12g", (double)value / 1000000);
    else
        snprintf(out, 32, "%" PRId64, value);
}

static void print_line(struct strbuf *out, const struct metric_row *row, const char *suffix,
                       const char *labels, const char *further, const char *value)
{
    print_name(out, row, suffix);
    print_labels(out, labels, further);
    sb_printf(out, " %s\n", value);
}

/* The count is that of the buckets, so that the two agree whatever comes meanwhile. */
static void print_measured(struct strbuf *out, const struct metric_row *row,
                           const struct metric_series *s, const char *labels)
{
    char bound[32], further[48], value[32];
    uint64_t events = 0;
    for (size_t i = 0; i <= METRIC_BUCKETS; i++) {
        events += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
        if (i < METRIC_BUCKETS)
            number_text(row, metric_buckets[row->unit][i], bound);
        snprintf(further, sizeof further, "le=\"%s\"", i < METRIC_BUCKETS ? bound : "+Inf");
        snprintf(value, sizeof value, "%" PRIu64, events);
        print_line(out, row, "_bucket", labels, further, value);
    }
    number_text(row, (int64_t)atomic_load_explicit(&s->value, memory_order_relaxed), bound);
    print_line(out, row, "_sum", labels, "", bound);
    print_line(out, row, "_count", labels, "", value);
}

static void print_series(struct strbuf *out, const struct metric_row *row,
                         const struct metric_series *s)
{
    char labels[METRIC_LABELS_BYTES], value[32];
    memcpy(labels, s->labels, sizeof labels);
    labels[sizeof labels - 1] = '\0';
    if (row->type == METRIC_IS_TIMING || row->type == METRIC_IS_HISTOGRAM) {
        print_measured(out, row, s, labels);
        return;
    }
    number_text(row, (int64_t)atomic_load_explicit(&s->value, memory_order_relaxed), value);
    print_line(out, row, "", labels, "", value);
}

/* A metric's lines have to stand together, behind its HELP and TYPE. */
void metrics_print_memory(const struct metric_memory *mem, struct strbuf *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram", "histogram"};
    uint32_t n = MIN(atomic_load(&mem->n), (uint32_t)ALL_SERIES_MAX);
    for (uint32_t id = 0; id < METRIC_TOTAL; id++) {
        const struct metric_row *row = &metric_rows[id];
        bool is_begun = false;
        for (uint32_t i = 0; i < n; i++) {
            if (mem->series[i].metric != id)
                continue;
            if (!is_begun) {
                sb_text(out, "# HELP ");
                print_name(out, row, " ");
                sb_printf(out, "%s\n# TYPE ", row->help);
                print_name(out, row, " ");
                sb_printf(out, "%s\n", types[row->type]);
            }
            is_begun = true;
            print_series(out, row, &mem->series[i]);
        }
    }
}
