#ifndef STACKWALK_OPTIONS_H
#define STACKWALK_OPTIONS_H

#include "lib/base/log.h"
#include "lib/base/opts.h"
#include "lib/unwind/walk_dump.h"

/* options - the command line of datil-stackwalk. */
struct stackwalk_options {
    bool is_sandbox, show_help, show_version;
    enum walk_format format;
    bool is_pretty, is_brief;
    int64_t frames_max, memory_bytes, cpu_s;
    const char *dump, *annotations, *output_file, *log_file, *cache_dir, *verbose;
    struct opt_list dirs; /* symbol folders */
    struct opt_list urls; /* servers of symbols */
};

/* Values point into argv. */
bool options_parse(int argc, char **argv, struct stackwalk_options *ret, struct err *err);
void options_help(FILE *out);

#endif
