#ifndef UNWIND_WALK_DUMP_H
#define UNWIND_WALK_DUMP_H

#include "lib/unwind/report.h"

/*
 * walk_dump - the whole way: dump bytes in, report out.
 *
 * Errors     err->msg starts with the public name of the failure and " - ".
 * Trust      Dump, symbol files and annotations are hostile.  What may be allocated is
 *            bounded by counts and by the arena's maximum, beyond which the dump is
 *            refused (OutputTooLarge).  A process that may not have that much aborts,
 *            which its parent takes as a result.
 */
enum walk_format { WALK_TEXT, WALK_JSON, WALK_DIRECTORY };

struct walk_input {
    const void *bytes; /* borrowed */
    size_t len;
    struct symbol_source source;
    uint64_t symbols_max_bytes; /* mapped symbol files */
    const json_t *annotations;  /* or NULL */
    size_t frames_max;          /* per thread; 0: default */
    enum walk_format format;
    bool is_pretty, is_brief;
};

/* out is initialised by the caller, with its maximum. */
bool walk_dump(const struct walk_input *in, struct strbuf *out, struct err *err);

/* A source without any symbols. */
struct symbol_source no_symbols(void);

#endif
