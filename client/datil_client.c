/*
 * The library's functions for programs.  Annotations and the way to the handler survive what
 * programs do to their descriptors: see descriptor.h and handler_wire.h.
 *
 * Everything that a crash needs is made in datil_client_start, since a program that has crashed can
 * make nothing: the table of annotations is a mapping that the handler has too, the socket is
 * connected, two more descriptors are held in reserve.  What is set here is read by signal
 * handlers, so it is complete before they are installed and taken back only after they are removed.
 */
#include "client/datil_client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/annotations.h"
#include "client/descriptor.h"
#include "client/state.h"
#include "client/handler_wire.h"

struct datil_client_state datil_client_state = {
    .annotations_fd = DESCRIPTOR_NONE,
    .socket = DESCRIPTOR_NONE,
    .spare = {DESCRIPTOR_NONE, DESCRIPTOR_NONE},
};

static pthread_mutex_t annotations_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * How long a crashed program waits at most for its report: time for a dump and its upload.  A
 * handler that hangs must not keep a program from ending.
 */
enum { DEFAULT_TIMEOUT_MS = 30000 };

/* False, with `what` and the text of errno for the caller's `why`, which may be NULL. */
static bool fail(char *why, size_t why_size, const char *what)
{
    if (why && why_size)
        snprintf(why, why_size, "%s: %s", what, strerror(errno));
    return false;
}

/*
 * Maps a new file with this content (zeros without), at the place of the old mapping if there is
 * one.  The file may be sealed: that is how a handler finds out whether anybody still has it
 * mapped.
 */
static struct annotations *map_table(const struct annotations *content)
{
    struct datil_client_state *s = &datil_client_state;
    const size_t size = sizeof(struct annotations);
    int fd = memfd_create("datil-annotations", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return NULL;
    void *p = MAP_FAILED;
    if (ftruncate(fd, (off_t)size) == 0 &&
        (!content || pwrite(fd, content, size, 0) == (ssize_t)size))
        p = mmap(s->annotations, size, PROT_READ | PROT_WRITE,
                 MAP_SHARED | (s->annotations ? MAP_FIXED : 0), fd, 0);
    if (p == MAP_FAILED) {
        close(fd);
        return NULL;
    }
    descriptor_close(&s->annotations_fd);
    s->annotations_fd = descriptor_of(fd);
    s->annotations = p;
    return p;
}

/* The table, made on first use.  The caller holds the lock. */
static struct annotations *own_table(void)
{
    struct datil_client_state *s = &datil_client_state;
    if (s->annotations || !map_table(NULL))
        return s->annotations;
    datil_annotations_init(s->annotations);
    return s->annotations;
}

/*
 * The same table in a new file: for a handler that is started after the program has closed the
 * descriptor of the old one, and so that the handler of before sees that nobody needs it any more.
 */
static bool renew_table(void)
{
    struct datil_client_state *s = &datil_client_state;
    pthread_mutex_lock(&annotations_lock);
    bool ok = !s->annotations || map_table(s->annotations);
    pthread_mutex_unlock(&annotations_lock);
    return ok;
}

/*
 * The lock is for threads of the program.  The handler reads without it, while the program stands
 * still or has crashed in the middle of this: annotations.h says how the table stays readable.
 */
bool datil_client_annotate(const char *key, const char *value)
{
    if (!key || !value)
        return false;
    pthread_mutex_lock(&annotations_lock);
    struct annotations *t = own_table();
    bool ok = t && datil_annotations_set(t, key, value, strlen(value));
    pthread_mutex_unlock(&annotations_lock);
    return ok;
}

bool datil_client_annotate_int(const char *key, long long value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", value);
    return datil_client_annotate(key, text);
}

void datil_client_forget(const char *key)
{
    pthread_mutex_lock(&annotations_lock);
    if (key && datil_client_state.annotations)
        datil_annotations_forget(datil_client_state.annotations, key);
    pthread_mutex_unlock(&annotations_lock);
}

/*
 * A report without product or version tells nobody anything, and without a database it has no
 * place.
 */
static bool options_are_complete(const struct datil_client_options *o, char *why, size_t why_size)
{
    const char *missing = !o->product    ? "product"
                          : !o->version  ? "version"
                          : !o->database ? "database"
                                         : NULL;
    if (missing)
        snprintf(why, why_size, "options.%s is required", missing);
    else if (datil_client_state.socket.fd >= 0)
        snprintf(why, why_size, "started already");
    return !missing && datil_client_state.socket.fd < 0;
}

/* What every report needs; the program's own annotations come beside them and may replace them. */
static bool annotate_start(const struct datil_client_options *o)
{
    return datil_client_annotate("ProductName", o->product) &&
           datil_client_annotate("Version", o->version) &&
           datil_client_annotate_int("StartupTime", (long long)time(NULL));
}

/*
 * In this order: the table, the handler with its hello, the descriptors in reserve, and the signals
 * last: from then on a crash is reported, and before it everything the report needs is there.
 */
bool datil_client_start(const struct datil_client_options *options, char *why, size_t why_size)
{
    char unused[2];
    if (!why || !why_size) {
        why = unused;
        why_size = sizeof unused;
    }
    if (!options_are_complete(options, why, why_size))
        return false;
    if (!annotate_start(options) ||
        (!descriptor_is_ours(&datil_client_state.annotations_fd) && !renew_table()))
        return fail(why, why_size, "cannot make the annotation table");

    struct datil_client_state *s = &datil_client_state;
    s->timeout_ms = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    s->wait_for_upload = options->wait_for_upload;
    atomic_store(&s->crashing_tid, 0);
    if (!datil_client_spawn(options, why, why_size))
        return false;
    for (int i = 0; i < 2; i++)
        s->spare[i] = descriptor_of(fcntl(s->socket.fd, F_DUPFD_CLOEXEC, 0));

    if (!datil_client_protect_thread() || !datil_client_take_signals()) {
        fail(why, why_size, "cannot install signal handlers");
        datil_client_stop();
        return false;
    }
    return true;
}

bool datil_client_report(void)
{
    return datil_client_ask(WIRE_REPORT, NULL, NULL);
}

/*
 * Signals first, so that no crash finds half of it.  The table goes on in a new file, for the
 * handler of before to see that nobody has the old one and to end.
 */
void datil_client_stop(void)
{
    struct datil_client_state *s = &datil_client_state;
    datil_client_release_signals();
    bool was_started = s->socket.fd >= 0;
    descriptor_close(&s->socket);
    for (int i = 0; i < 2; i++)
        descriptor_close(&s->spare[i]);
    if (was_started)
        renew_table();
}
