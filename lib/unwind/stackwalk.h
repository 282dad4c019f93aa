#ifndef UNWIND_STACKWALK_H
#define UNWIND_STACKWALK_H

#include "lib/unwind/report.h"

/*
 * stackwalk - the whole way: dump bytes in, report out.
 *
 * Errors     err->msg starts with the public name of the failure and " - ".
 * Trust      Dump, symbol files and annotations are hostile.  What may be allocated is
 *            bounded by counts and by the arena's maximum; beyond that the process
 *            aborts, which its parent takes as a result.
 */
enum stackwalk_format { STACKWALK_TEXT, STACKWALK_JSON, STACKWALK_DIRECTORY };

struct stackwalk {
    const void *bytes; /* borrowed */
    size_t len;
    struct symbol_source source;
    uint64_t symbols_max_bytes; /* mapped symbol files */
    const json_t *annotations;  /* or NULL */
    size_t frames_max;          /* per thread; 0: default */
    enum stackwalk_format format;
    bool is_pretty, is_brief;
};

/* out is initialised by the caller, with its maximum. */
bool stackwalk(const struct stackwalk *in, struct strbuf *out, struct err *err);

/* A source without any symbols. */
struct symbol_source no_symbols(void);

#endif
