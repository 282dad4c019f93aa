#ifndef PROCESSOR_SETUP_H
#define PROCESSOR_SETUP_H

#include "lib/base/conf.h"
#include "processor/crash.h"

/*
 * setup - what the rules of every crash need and a process makes once: signature lists, symbol
 * finder, walker limits, host name.  Workers and the test entry points share it.
 *
 * Ownership  setup_open fills it (also when it fails); setup_release frees it.  Borrows conf and
 *            fields.
 */
struct setup {
    const struct conf *conf;
    const struct field_table *fields;
    struct siglists *siglists;
    struct symfind *symbols;
    struct walker_options walker;
    const char *tmp_dir;
    const char *symbol_hosts; /* or NULL */
    char host[64];
};

bool setup_open(const struct conf *conf, const struct field_table *fields, struct setup *s,
                struct err *err);
/* As setup_open, with plain directories of .sym files instead of the store; NULL-ended. */
bool setup_open_offline(const struct conf *conf, const struct field_table *fields,
                        const char *const *sym_dirs, struct setup *s, struct err *err);
void setup_release(struct setup *s);
/* Loads the lists again; the old ones stay if that fails. */
bool setup_reload(struct setup *s, struct err *err);

struct crash_setup setup_for_crash(const struct setup *s, const struct version_source *versions);

#endif
