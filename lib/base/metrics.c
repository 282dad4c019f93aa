/*
 * Counting.  What is counted lies in memory that all processes of a program share: a mapped file in
 * DATIL_RUN, so that the pages of operators can show what programs without a socket of their own
 * (processor, cron) have counted.  An event is a look-up in a hash table and one or two atomic
 * additions; nobody waits for anybody but when a new series comes, which happens some hundred times
 * in the life of a program.
 *
 * The file is allocated whole before it is mapped, since a full disk would end a program that
 * writes to a hole.  It is never synced and never truncated, and a program makes a new one at its
 * start: counters begin at 0, as Prometheus expects of a restart.  The parent holds a record lock
 * on it for as long as it lives, by which a reader knows whether the numbers are of a program that
 * runs.
 *
 * To statsd go lines of DogStatsD's form (type, tags, the host as a tag), several in a datagram.
 * Nobody waits for them: what the socket does not take is lost.
 */
#include "lib/base/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/metrics_memory.h"
#include "lib/base/shared.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

/*
 * DATAGRAM_BYTES: what fits an Ethernet frame with the headers of IPv6 and UDP, as DogStatsD's own
 * clients have it.
 */
enum { DATAGRAM_BYTES = 1432, LINE_BYTES_MAX = 400, HOST_BYTES_MAX = 100 };

struct metrics {
    struct metric_memory *memory; /* NULL: not started */
    int lock_fd;                  /* the parent's; -1: nobody else reads it */
    int statsd;                   /* connected UDP socket, or -1 */
    char host[HOST_BYTES_MAX];
    size_t line_bytes;
    char lines[DATAGRAM_BYTES];
};

struct metrics *metrics_new(void)
{
    struct metrics *m = xcalloc(1, sizeof *m);
    m->lock_fd = m->statsd = -1;
    return m;
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    metrics_flush(m);
    if (m->statsd >= 0)
        close(m->statsd);
    if (m->memory)
        munmap(m->memory, sizeof *m->memory);
    if (m->lock_fd >= 0)
        close(m->lock_fd);
    free(m);
}

void metrics_flush(struct metrics *m)
{
    if (!m || m->line_bytes == 0)
        return;
    if (m->statsd >= 0)
        send(m->statsd, m->lines, m->line_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    m->line_bytes = 0;
}

/* Lines are separated by line feeds, within what one datagram takes. */
static void add_line(struct metrics *m, const char *line, size_t n)
{
    if (m->line_bytes + n + 1 > sizeof m->lines)
        metrics_flush(m);
    if (m->line_bytes)
        m->lines[m->line_bytes++] = '\n';
    memcpy(m->lines + m->line_bytes, line, n);
    m->line_bytes += n;
}

/*
 * Times go as milliseconds with a fraction.  An event that stands for several says so by its rate:
 * "1.5|ms|@0.25" are four of 1.5 ms.
 */
static void send_line(struct metrics *m, const struct metric_row *row, int64_t value,
                      uint64_t events, const char *labels)
{
    static const char *const kinds[] = {"c", "g", "ms", "h"};
    char line[LINE_BYTES_MAX], number[48], rate[32] = "";
    if (row->unit == UNIT_SECONDS && row->type != METRIC_IS_GAUGE)
        snprintf(number, sizeof number, "%.3f", (double)value / (double)events / 1000);
    else
        snprintf(number, sizeof number, "%lld", (long long)(value / (int64_t)events));
    if (events > 1)
        snprintf(rate, sizeof rate, "|@%.9g", 1.0 / (double)events);
    int n = snprintf(line, sizeof line, "%s:%s|%s%s|#%s%shost:%s", row->name, number,
                     kinds[row->type], rate, labels, *labels ? "," : "", m->host);
    if (n > 0 && (size_t)n < sizeof line)
        add_line(m, line, (size_t)n);
}

static void measure(const struct metric_row *row, struct metric_series *s, int64_t value,
                    uint64_t events)
{
    const int64_t *bounds = metric_buckets[row->unit];
    int64_t each = value / (int64_t)events;
    size_t i = 0;
    while (i < METRIC_BUCKETS && each > bounds[i])
        i++;
    atomic_fetch_add_explicit(&s->buckets[i], events, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->value, (uint64_t)value, memory_order_relaxed);
}

void metrics_record(struct metrics *m, enum metric id, int64_t value, uint64_t events,
                    const char *const *labels)
{
    if (!m || !m->memory || events == 0)
        return;
    const struct metric_row *row = &metric_rows[id];
    struct metric_series *s = metric_series_of(m->memory, id, labels);
    if (!s)
        return;
    value = MAX(value, (int64_t)0); /* a clock that was set back measures less than nothing */
    if (row->type == METRIC_IS_GAUGE)
        atomic_store_explicit(&s->value, (uint64_t)value, memory_order_relaxed);
    else if (row->type == METRIC_IS_COUNT)
        atomic_fetch_add_explicit(&s->value, (uint64_t)value, memory_order_relaxed);
    else
        measure(row, s, value, events);
    if (m->statsd >= 0)
        send_line(m, row, value, events, s->labels);
}

static void open_statsd(struct metrics *m, const struct conf *conf)
{
    const char *host = conf_text(conf, CONF_STATSD_HOST);
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    if (!*host)
        return;
    if (getaddrinfo(host, conf_text(conf, CONF_STATSD_PORT), &hints, &found) != 0) {
        log_event(LOG_WARN, "statsd_unknown", "STATSD_HOST is not a known host");
        return;
    }
    FD_AUTO fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0)
        m->statsd = TAKE_FD(fd);
    freeaddrinfo(found);
}

static void file_path(const struct conf *conf, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/metrics/%s", conf_text(conf, CONF_DATIL_RUN), name);
}

/* The new file takes the place of that of an earlier start when it is whole. */
static bool make_file(struct metrics *m, const struct conf *conf, enum metric_program program,
                      struct err *err)
{
    char path[PATH_MAX], draft[PATH_MAX + 16];
    file_path(conf, "", path);
    if (!fs_mkdirs(path, FS_DIR_MODE, err))
        return false;
    file_path(conf, metrics_name_of(program), path);
    snprintf(draft, sizeof draft, "%s.%d", path, (int)getpid());
    unlink(draft); /* of a process that had our number before and was killed */
    FD_AUTO fd = open(draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int no_room = fd < 0 ? errno : posix_fallocate(fd, 0, sizeof *m->memory);
    if (no_room || fcntl(fd, F_SETLK, &whole) != 0)
        return err_errno(err, no_room ? no_room : errno, "making %s", draft);
    void *p = mmap(NULL, sizeof *m->memory, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return err_errno(err, errno, "mapping %s", draft);
    metrics_begin_memory(p, program);
    if (rename(draft, path) != 0) {
        munmap(p, sizeof *m->memory);
        return err_errno(err, errno, "naming %s", path);
    }
    m->memory = p;
    m->lock_fd = TAKE_FD(fd);
    return true;
}

void metrics_start(struct metrics *m, const struct conf *conf, enum metric_program program,
                   bool with_page)
{
    struct err err = {0};
    const char *host = conf_text(conf, CONF_HOSTNAME);
    if (*host)
        metric_put_clean(m->host, sizeof m->host - 1, host);
    else
        gethostname(m->host, sizeof m->host - 1);
    open_statsd(m, conf);
    if (with_page && make_file(m, conf, program, &err))
        return;
    if (with_page)
        log_event(LOG_WARN, "metrics_without_file", "only this program shows its metrics",
                  LOG_E(&err));
    m->memory = shared_map(sizeof *m->memory, "metrics", &err);
    if (m->memory)
        metrics_begin_memory(m->memory, program);
}

void metrics_print(const struct metrics *m, struct strbuf *out)
{
    if (m && m->memory)
        metrics_print_memory(m->memory, out);
}

/* Whether the program that made this file still holds it. */
static bool is_locked(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

static void print_away(const char *name, struct strbuf *out)
{
    const struct metric_row *row = &metric_rows[METRIC_PROGRAM_UP];
    sb_printf(out, "# HELP datil_program_up %s\n# TYPE datil_program_up gauge\n", row->help);
    sb_printf(out, "datil_program_up{program=\"%s\"} 0\n", name);
}

/*
 * Read-only, and nothing of it is believed: it may be of another release, or a file of somebody
 * who may write there.
 */
bool metrics_read(const struct conf *conf, struct str program, struct strbuf *out, struct err *err)
{
    char path[PATH_MAX];
    const void *p = NULL;
    size_t n = 0;
    enum metric_program which = metrics_program_of(program);
    if (!which)
        return err_set(err, ERR_NOT_FOUND, "no program is called that");
    const char *name = metrics_name_of(which);
    file_path(conf, name, path);
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || !is_locked(fd)) {
        print_away(name, out);
        return true;
    }
    if (!fs_map(path, &p, &n, err))
        return false;
    bool ok = metrics_memory_is_ours(p, n);
    if (ok)
        metrics_print_memory(p, out);
    if (p)
        munmap((void *)p, n);
    return ok || err_set(err, ERR_DAMAGED, "%s is of another release", path);
}
