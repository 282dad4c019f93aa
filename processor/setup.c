/*
 * What a worker has for all its crashes: signature lists, the symbol finder, the limits of a walk,
 * its host's name.  Made once when it starts.  On HUP only the lists are loaded again, since people
 * change those while crashes come in; everything else is read by a new worker.
 */
#include "processor/setup.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/util.h"
#include "lib/signature/signature.h"
#include "lib/symfile/symfind.h"
#include "lib/sandbox/walker.h"

/* NULL: the lists built into the program. */
static const char *lists_dir(const struct conf *conf)
{
    const char *dir = conf_text(conf, CONF_SIGNATURE_LISTS_DIR);
    return *dir ? dir : NULL;
}

/* symbols NULL: those of the installation. */
static bool open_with(const struct conf *conf, const struct field_table *fields,
                      const struct symfind_options *symbols, struct setup *s, struct err *err)
{
    *s = (struct setup){
        .conf = conf, .fields = fields, .tmp_dir = conf_text(conf, CONF_PROCESSOR_TMP_DIR)};
    /*
     * Part of the worker's name in the queue, and of the first note of each crash. Workers of
     * several machines must differ, or they would bury each other's claims.
     */
    const char *host = conf_text(conf, CONF_HOSTNAME);
    if (*host)
        snprintf(s->host, sizeof s->host, "%s", host);
    else if (gethostname(s->host, sizeof s->host - 1) != 0 || !s->host[0])
        snprintf(s->host, sizeof s->host, "localhost");
    if (!siglists_load(lists_dir(conf), &s->siglists, err))
        return err_wrap(err, "signature lists");
    if (!(symbols ? symfind_new(symbols, &s->symbols, err)
                  : symfind_new_of_conf(conf, &s->symbols, err)))
        return err_wrap(err, "symbols");
    s->walker = (struct walker_options){
        .symbols = s->symbols,
        .timeout_ms = (int)conf_int(conf, CONF_PROCESSOR_WALK_TIMEOUT_S) * 1000,
        .memory_bytes = conf_int(conf, CONF_PROCESSOR_WALK_MEMORY_BYTES),
        .symbols_wait_ms = (int)conf_int(conf, CONF_PROCESSOR_SYMBOLS_WAIT_S) * 1000,
    };
    return true;
}

bool setup_open(const struct conf *conf, const struct field_table *fields, struct setup *s,
                struct err *err)
{
    return open_with(conf, fields, NULL, s, err);
}

/*
 * Symbols from folders of the command line, and none of the store: a run gives the same on every
 * machine.
 */
bool setup_open_offline(const struct conf *conf, const struct field_table *fields,
                        const char *const *sym_dirs, struct setup *s, struct err *err)
{
    struct symfind_options symbols = {
        .cache_dir = conf_text(conf, CONF_SYMBOLS_CACHE_DIR),
        .cache_max_bytes = conf_int(conf, CONF_SYMBOLS_CACHE_MAX_BYTES),
        .sym_dirs = sym_dirs,
    };
    return open_with(conf, fields, &symbols, s, err);
}

void setup_release(struct setup *s)
{
    siglists_free(s->siglists);
    symfind_free(s->symbols);
    *s = (struct setup){0};
}

/* The fresh lists are complete before the old ones go. */
bool setup_reload(struct setup *s, struct err *err)
{
    struct siglists *fresh;
    if (!siglists_load(lists_dir(s->conf), &fresh, err))
        return false;
    siglists_free(s->siglists);
    s->siglists = fresh;
    return true;
}

struct crash_setup setup_for_crash(const struct setup *s, const struct version_source *versions)
{
    return (struct crash_setup){
        .fields = s->fields,
        .tmp_base = s->tmp_dir,
        .siglists = s->siglists,
        .walker = &s->walker,
        .versions = versions,
        .symbol_hosts = s->symbol_hosts,
        .hostname = s->host,
    };
}
