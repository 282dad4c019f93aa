#ifndef CRASHSIG_CRASHSIG_H
#define CRASHSIG_CRASHSIG_H

#include <stdio.h>

#include "lib/signature/signature.h"

/*
 * crashsig - signatures on the command line, by the very code of the processor.
 */
enum format { FORMAT_TEXT, FORMAT_CSV, FORMAT_MARKDOWN };

struct crashsig_options {
    enum { MODE_SIGNATURES, MODE_HELP, MODE_VERSION } mode;
    bool is_jsonl, is_processed, is_frames, is_walk_only, with_debug, is_ids, is_different_only;
    const char *siglists;   /* directory or NULL */
    const char *compare_to; /* second directory, or NULL */
    const char *host, *format_name;
    enum format format;
    char **ids; /* borrowed from argv */
    size_t id_count;
};

/* Crash data of a document: it may be that already, or a processed crash.  New reference. */
json_t *crash_data_of(const json_t *doc, bool is_processed);

/* One document per line; false at the end or on an error (then err->code is set). */
bool next_document(FILE *in, int *line, json_t **ret, struct err *err);

bool run_stdin(const struct crashsig_options *o, const struct siglists *l, struct err *err);
bool run_compare(const struct crashsig_options *o, const struct siglists *before,
                 const struct siglists *after, struct err *err);
bool run_ids(const struct crashsig_options *o, const struct siglists *l, struct err *err);

#endif
