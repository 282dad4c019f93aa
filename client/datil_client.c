#include "datil_client.h"

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

#include "state.h"
#include "wire.h"

struct datil_client_state datil_client_state = {
    .annotations_fd = -1,
    .socket = -1,
    .spare = {-1, -1},
};

static pthread_mutex_t annotations_lock = PTHREAD_MUTEX_INITIALIZER;

enum { DEFAULT_TIMEOUT_MS = 30000 };

static bool fail(char *why, size_t why_size, const char *what)
{
    if (why && why_size)
        snprintf(why, why_size, "%s: %s", what, strerror(errno));
    return false;
}

/* ---- annotations ---- */

/* The table, made on first use.  The caller holds the lock. */
static struct annotations *table(void)
{
    if (datil_client_state.annotations)
        return datil_client_state.annotations;
    int fd = memfd_create("datil-annotations", MFD_CLOEXEC);
    if (fd < 0)
        return NULL;
    void *p = MAP_FAILED;
    if (ftruncate(fd, sizeof(struct annotations)) == 0)
        p = mmap(NULL, sizeof(struct annotations), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        close(fd);
        return NULL;
    }
    datil_annotations_init(p);
    datil_client_state.annotations_fd = fd;
    datil_client_state.annotations = p;
    return p;
}

bool datil_client_annotate(const char *key, const char *value)
{
    if (!key || !value)
        return false;
    pthread_mutex_lock(&annotations_lock);
    struct annotations *t = table();
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

/* ---- start and stop ---- */

static bool check(const struct datil_client_options *o, char *why, size_t why_size)
{
    const char *missing = !o->product    ? "product"
                          : !o->version  ? "version"
                          : !o->database ? "database"
                                         : NULL;
    if (missing)
        snprintf(why, why_size, "options.%s is required", missing);
    else if (datil_client_state.socket >= 0)
        snprintf(why, why_size, "started already");
    return !missing && datil_client_state.socket < 0;
}

static bool annotate_start(const struct datil_client_options *o)
{
    return datil_client_annotate("ProductName", o->product) &&
           datil_client_annotate("Version", o->version) &&
           datil_client_annotate_int("StartupTime", (long long)time(NULL));
}

bool datil_client_start(const struct datil_client_options *options, char *why, size_t why_size)
{
    char unused[2];
    if (!why || !why_size) {
        why = unused;
        why_size = sizeof unused;
    }
    if (!check(options, why, why_size))
        return false;
    if (!annotate_start(options))
        return fail(why, why_size, "cannot make the annotation table");

    struct datil_client_state *s = &datil_client_state;
    s->timeout_ms = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    s->wait_for_upload = options->wait_for_upload;
    atomic_store(&s->crashing_tid, 0);
    if (!datil_client_spawn(options, why, why_size))
        return false;
    for (int i = 0; i < 2; i++)
        s->spare[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);

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

void datil_client_stop(void)
{
    struct datil_client_state *s = &datil_client_state;
    datil_client_release_signals();
    if (s->socket >= 0)
        close(s->socket);
    s->socket = -1;
    for (int i = 0; i < 2; i++) {
        if (s->spare[i] >= 0)
            close(s->spare[i]);
        s->spare[i] = -1;
    }
}
