/*
 * Counters in memory that all processes of a program share: an atomic addition and, if anybody
 * wants it, a datagram to statsd.  Nothing is read back, so no lock is needed and a killed worker
 * leaves no counter in between.  They begin at 0 with the program.
 */
#include "lib/web/counters.h"

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/shared.h"
#include "lib/base/util.h"

/* Connected UDP socket of this process, or -1: only the counters count.  A descriptor means nothing
 * in another process, so it is no part of what they share. */
static int statsd = -1;

bool counters_new(const struct counter_table *table, struct counters **ret, struct err *err)
{
    struct counters *c =
        shared_map(sizeof *c + table->n * sizeof c->v[0], "the table of counters", err);
    if (!c)
        return false;
    c->table = table;
    *ret = c;
    return true;
}

void counters_open_statsd(const struct conf *conf)
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

static void send_line(const struct counter_table *table, const struct counter_row *row, uint64_t n,
                      const char *tag)
{
    char line[300];
    if (!tag)
        tag = row->tag;
    int len = snprintf(line, sizeof line, "%s%s:%llu|%s%s%s", table->prefix, row->name,
                       (unsigned long long)n, row->kind, tag ? "|#" : "", tag ? tag : "");
    if (len > 0 && (size_t)len < sizeof line)
        send(statsd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL); /* lost ones are lost */
}

void counter_add(struct counters *c, size_t row, uint64_t n, const char *tag)
{
    atomic_fetch_add_explicit(&c->v[row], n, memory_order_relaxed);
    if (statsd >= 0)
        send_line(c->table, &c->table->rows[row], n, tag);
}

static void print_name(struct strbuf *out, const char *name)
{
    for (const char *c = name; *c; c++)
        sb_char(out, *c == '.' ? '_' : *c);
}

/* "a.b" becomes "a_b"; "result:accept" becomes {result="accept"}. */
void counters_print(const struct counters *c, struct strbuf *out)
{
    for (size_t i = 0; i < c->table->n; i++) {
        print_name(out, c->table->prefix);
        print_name(out, c->table->rows[i].name);
        struct str tag = str_of(c->table->rows[i].tag);
        size_t colon = tag.p ? str_find_char(tag, ':', 0) : 0;
        if (tag.p)
            sb_printf(out, "{" STR_FMT "=\"" STR_FMT "\"}", STR_ARG(str_sub(tag, 0, colon)),
                      STR_ARG(str_sub(tag, colon + 1, SIZE_MAX)));
        sb_printf(out, " %llu\n", (unsigned long long)atomic_load(&c->v[i]));
    }
}
