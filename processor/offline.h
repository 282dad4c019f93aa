#ifndef PROCESSOR_OFFLINE_H
#define PROCESSOR_OFFLINE_H

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/crash/field.h"

/*
 * offline - the entry points for tests and for looking at one crash: the code of the workers
 * without database, queue, store and index.
 *
 * Output  Indented JSON, or one compact line per input with is_jsonl.
 */
struct offline_options {
    const struct field_table *fields;
    const char *ruleset;            /* "default" */
    const char *const *symbol_dirs; /* NULL-ended */
    const char *product_versions;   /* CSV file for BetaVersion, or NULL */
    bool is_jsonl;
};

/* raw_crash.json and dump files of a directory -> processed crash on standard output. */
bool offline_process(const struct conf *conf, const struct offline_options *o,
                     const char *const *dirs, size_t dir_count, struct err *err);
/* Standard input {raw_crash, processed_crash, dump_names} -> {raw_crash, processed_crash,
 * notes}. */
bool offline_apply_rule(const struct conf *conf, const struct offline_options *o, const char *rule,
                        struct err *err);
/* Standard input: processed crashes -> their public form. */
bool offline_public(const struct offline_options *o, struct err *err);
/* Standard input: processed crashes -> their export records. */
bool offline_telemetry(const struct offline_options *o, struct err *err);
/* Standard input: versions, one a line -> the keys they are sorted by, or "null". */
bool offline_version_keys(struct err *err);

#endif
