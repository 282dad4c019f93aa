/*
 * Counters in memory that all workers and the mover share: an atomic addition and, if anybody wants
 * it, a datagram to statsd.  Nothing is read back, so no lock is needed and a killed worker leaves
 * no counter in between.  They begin at 0 with the program.  Names and tags are those of Socorro's
 * collector, so that dashboards made for it go on working.
 */
#include "fcgi/collector/metrics.h"

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/shared.h"
#include "lib/base/util.h"

/* clang-format off */
static const struct {
    const char *name; /* behind "socorro.collector." */
    const char *tag;  /* fixed one, or NULL */
    const char *kind; /* statsd: c count, ms timing, h histogram */
} table[METRIC_TOTAL] = {
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

/* Connected UDP socket of this process, or -1: only the counters count.  A descriptor means nothing
 * in another process, so it is no part of what they share. */
static int statsd = -1;

bool metrics_new(struct metrics **ret, struct err *err)
{
    struct metrics *m = shared_map(sizeof *m, "the table of counters", err);
    if (!m)
        return false;
    *ret = m;
    return true;
}

/* The name is looked up once for each worker; a server that moves is found at the next start. */
void metrics_open_statsd(const struct conf *conf)
{
    const char *host = conf_text(conf, CONF_STATSD_HOST);
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    if (!*host || getaddrinfo(host, conf_text(conf, CONF_STATSD_PORT), &hints, &found) != 0) {
        if (*host)
            log_event(LOG_WARN, "statsd_unknown", "STATSD_HOST is not a known host");
        return;
    }
    int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0)
        statsd = fd;
    else if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
}

/* The form of DogStatsD: name, value, kind, and tags behind "|#".  Too long is not sent at all. */
static void send_line(enum metric what, uint64_t n, const char *tag)
{
    char line[300];
    if (!tag)
        tag = table[what].tag;
    int len = snprintf(line, sizeof line, "socorro.collector.%s:%llu|%s%s%s", table[what].name,
                       (unsigned long long)n, table[what].kind, tag ? "|#" : "", tag ? tag : "");
    if (len > 0 && (size_t)len < sizeof line)
        send(statsd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL); /* lost ones are lost */
}

void metric_add(struct metrics *m, enum metric what, uint64_t n, const char *tag)
{
    atomic_fetch_add_explicit(&m->v[what], n, memory_order_relaxed);
    if (statsd >= 0)
        send_line(what, n, tag);
}

/* "a.b" becomes "a_b"; "result:accept" becomes {result="accept"}. */
void metrics_print(const struct metrics *m, struct strbuf *out)
{
    for (size_t i = 0; i < METRIC_TOTAL; i++) {
        sb_text(out, "socorro_collector_");
        for (const char *c = table[i].name; *c; c++)
            sb_char(out, *c == '.' ? '_' : *c);
        struct str tag = str_of(table[i].tag);
        size_t colon = tag.p ? str_find_char(tag, ':', 0) : 0;
        if (tag.p)
            sb_printf(out, "{" STR_FMT "=\"" STR_FMT "\"}", STR_ARG(str_sub(tag, 0, colon)),
                      STR_ARG(str_sub(tag, colon + 1, SIZE_MAX)));
        sb_printf(out, " %llu\n", (unsigned long long)atomic_load(&m->v[i]));
    }
}
