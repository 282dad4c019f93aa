/*
 * What one event costs: nanoseconds of counting, of a timing with a label, and of a timing whose
 * line also goes to a statsd that listens on this machine.  Printed as "NAME NS", for
 * bench_metrics.py, which sets them beside what a report and a crash cost.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/metrics.h"
#include "lib/base/time.h"

/* Events behind which a program flushes: about as many as a crash has. */
enum { EVENTS = 2000000, EVENTS_OF_A_FLUSH = 70 };

static void measure(const char *name, struct metrics *m, bool is_timing)
{
    static const char *const rules[] = {"Product", "SignatureGenerator", "MinidumpStackwalk",
                                        "Copy"};
    int64_t begun_us = mono_us();
    for (int i = 0; i < EVENTS; i++) {
        if (is_timing)
            metric_time(m, METRIC_RULE_TIME, i % 100000, rules[i % 4]);
        else
            metric_add(m, METRIC_PROCESSED_SAVED, 1);
        if (i % EVENTS_OF_A_FLUSH == 0)
            metrics_flush(m);
    }
    printf("%s %.1f\n", name, (double)(mono_us() - begun_us) * 1000 / EVENTS);
}

static struct metrics *start(bool with_statsd)
{
    struct conf conf;
    struct err err = {0};
    if (!with_statsd)
        unsetenv("STATSD_HOST");
    if (!conf_load(&conf, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    struct metrics *m = metrics_new();
    metrics_start(m, &conf, IN_PROCESSOR, false);
    conf_release(&conf);
    return m;
}

/* A socket that nobody reads: what does not fit is dropped by the kernel, as by a busy statsd. */
static void open_statsd(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    char port[8];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, n) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) != 0)
        exit(1);
    snprintf(port, sizeof port, "%u", ntohs(at.sin_port));
    setenv("STATSD_HOST", "127.0.0.1", 1);
    setenv("STATSD_PORT", port, 1);
}

int main(void)
{
    struct metrics *m = start(false);
    measure("count", m, false);
    measure("timing", m, true);
    metrics_free(m);
    open_statsd();
    m = start(true);
    measure("statsd", m, true);
    metrics_free(m);
    return 0;
}
