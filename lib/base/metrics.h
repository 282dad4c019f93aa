#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdint.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/metrics_table.h"
#include "lib/base/str.h"

/*
 * metrics - what a program counts and measures, over all its processes: as statsd lines
 * (STATSD_HOST) and as Prometheus text.
 *
 *     metric_add(m, METRIC_MALFORMED, 1, reason);
 *     metric_time(m, METRIC_POST_TIME, mono_us() - begun_us);
 *
 * One table (metric_rows.def) declares every metric of every program; docs/metrics.md and the HELP
 * lines are printed from it.  Values of labels are given in the order of the table.  They come from
 * us (rules, routes, queues, configured products), never from a stranger; whatever they are, a
 * metric has at most METRIC_SERIES_MAX of them, and what comes later counts as "other".
 *
 * Ownership  A program makes one struct metrics before it forks and starts it; each process has its
 *            own copy, and what is counted is memory of all of them.
 * Threads    Atomic; a process that is killed leaves nothing half counted.
 * Cost       Some 0.2 microseconds, 2 with statsd (decisions, 165), and no system call before
 * metrics_flush, which whoever counts calls behind each request, crash or job, and before it forks.
 *
 * A struct metrics that is NULL or not started counts nothing: tools and tests need none.
 */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);
/*
 * From now on m counts.  with_page: others can read it (metrics_read), so the program must be the
 * only one of its kind here.  What cannot be had (the file, a host of statsd that is unknown) is
 * said in the log and done without.
 */
void metrics_start(struct metrics *m, const struct conf *conf, enum metric_program program,
                   bool with_page);

/* A count grows, a gauge is set. */
#define metric_add(m, id, n, ...)                                                                  \
    metrics_record((m), (id), (int64_t)(n), 1, METRIC_LABELS(__VA_ARGS__))
#define metric_set(m, id, value, ...)                                                              \
    metrics_record((m), (id), (int64_t)(value), 1, METRIC_LABELS(__VA_ARGS__))
/* Timings are in microseconds, other histograms in their unit. */
#define metric_time(m, id, us, ...)                                                                \
    metrics_record((m), (id), (int64_t)(us), 1, METRIC_LABELS(__VA_ARGS__))
#define metric_size(m, id, value, ...)                                                             \
    metrics_record((m), (id), (int64_t)(value), 1, METRIC_LABELS(__VA_ARGS__))
/* n events that took so long together: each counts as their mean. */
#define metric_times(m, id, us, n, ...)                                                            \
    metrics_record((m), (id), (int64_t)(us), (n), METRIC_LABELS(__VA_ARGS__))

/* The first element only gives the comma something to stand behind. */
#define METRIC_LABELS(...) (&((const char *const[]){"", ##__VA_ARGS__, NULL})[1])
void metrics_record(struct metrics *m, enum metric id, int64_t value, uint64_t events,
                    const char *const *labels);

/* Sends what was counted since. */
void metrics_flush(struct metrics *m);

/* All that the processes of this program have counted, as Prometheus text. */
void metrics_print(const struct metrics *m, struct strbuf *out);
/*
 * The same of another program of this installation on this host, by its file in DATIL_RUN.  The
 * first metric, datil_program_up, is 0 if it does not run now, and then the only one.
 * ERR_NOT_FOUND: no program has that name.
 */
bool metrics_read(const struct conf *conf, struct str program, struct strbuf *out, struct err *err);

#endif
