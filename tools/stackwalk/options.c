/*
 * Options of datil-stackwalk.  The names are those of minidump-stackwalk, so that scripts written
 * for it go on; what it knows and we do not need is accepted and ignored.  --sandbox and the limits
 * are for lib/sandbox/walker.c, which starts this program; the help does not name them.
 */
#include "tools/stackwalk/options.h"

#include "lib/base/err.h"
#include "lib/base/util.h"

/* clang-format off */
static const char usage[] =
    "usage: datil-stackwalk [OPTION]... DUMP [SYMBOL_DIR]...\n"
    "\n"
    "Reads a minidump and prints why and where the program crashed.\n"
    "Exit status 0, or 1 with a line `ERROR Name - text`.\n"
    "\n"
    "  --json                 write the report as JSON\n"
    "  --human                write the report as text (default)\n"
    "  --dump                 list the streams, threads, modules and memory of the file\n"
    "  --pretty               indent JSON\n"
    "  --brief                text: only the crashing thread\n"
    "  --symbols VALUE        folder of FILE/ID/FILE.sym, or one .sym, .sym.gz or .sym.zst; may be repeated\n"
    "  --symbols-url VALUE    server to ask for symbols that no folder has; may be repeated; with\n"
    "                         microsoft+, microsoft2+ or debuginfod+ before it for those kinds\n"
    "  --symbols-cache VALUE  folder for compiled and fetched symbol files\n"
    "  --symbols-tmp VALUE    ignored: temporary files are made inside the cache\n"
    "  --annotations VALUE    JSON file with annotations of the crash report\n"
    "  --output-file VALUE    write the report there instead of standard output\n"
    "  --log-file VALUE       write messages there instead of standard error\n"
    "  --no-color             accepted; output has no colors\n"
    "  --verbose VALUE        off, error, warn, info, debug or trace (default error)\n"
    "  --frames VALUE         most frames per thread (default 1024)\n"
    "  --help                 this text\n"
    "  --version              print the version\n";
/* clang-format on */

void options_help(FILE *out)
{
    fputs(usage, out);
}

/* The names of levels are those of minidump-stackwalk; start_log (main.c) maps them to ours. */
static bool check_level(const char *level, struct err *err)
{
    static const char *const levels[] = {"off", "error", "warn", "info", "debug", "trace"};
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (strcmp(level, levels[i]) == 0)
            return true;
    return err_set(err, ERR_INVALID, "--verbose: no level %s", level);
}

/*
 * The defaults of the limits are for a sandbox that is started by hand. --evil-json is
 * minidump-stackwalk's name for --annotations.
 */
bool options_parse(int argc, char **argv, struct stackwalk_options *ret, struct err *err)
{
    struct args args = {.n = argc - 1, .v = argv + 1};
    struct stackwalk_options o = {
        .memory_bytes = INT64_C(1) << 30, .cpu_s = 120, .verbose = "error"};
    const struct opt opts[] = {
        {"--json", OPT_CHOICE, &(struct opt_choice){&o.format, WALK_JSON, NULL}},
        {"--human", OPT_CHOICE, &(struct opt_choice){&o.format, WALK_TEXT, NULL}},
        {"--dump", OPT_CHOICE, &(struct opt_choice){&o.format, WALK_DIRECTORY, NULL}},
        {"--pretty", OPT_FLAG, &o.is_pretty},
        {"--brief", OPT_FLAG, &o.is_brief},
        {"--symbols", OPT_LIST, &o.dirs},
        {"--symbols-path", OPT_LIST, &o.dirs},
        {"--symbols-url", OPT_LIST, &o.urls},
        {"--symbols-cache", OPT_TEXT, &o.cache_dir},
        {"--symbols-tmp", OPT_TEXT, NULL},
        {"--annotations", OPT_TEXT, &o.annotations},
        {"--evil-json", OPT_TEXT, &o.annotations},
        {"--output-file", OPT_TEXT, &o.output_file},
        {"--log-file", OPT_TEXT, &o.log_file},
        {"--no-color", OPT_FLAG, NULL},
        {"--verbose", OPT_TEXT, &o.verbose},
        {"--frames", OPT_RANGE, &(struct opt_range){&o.frames_max, 1, WALK_FRAMES_MAX}},
        {"--help", OPT_FLAG, &o.show_help},
        {"--version", OPT_FLAG, &o.show_version},
        {"--sandbox", OPT_FLAG, &o.is_sandbox},
        {"--memory-bytes", OPT_RANGE, &(struct opt_range){&o.memory_bytes, 1, INT64_C(1) << 40}},
        {"--cpu-s", OPT_RANGE, &(struct opt_range){&o.cpu_s, 1, 1 << 20}},
        {"-h", OPT_FLAG, &o.show_help},
        {"-V", OPT_FLAG, &o.show_version},
    };
    if (!OPTS_PARSE(opts, &args, 0, -1, err))
        return args.bad ? err_set(err, ERR_INVALID, "bad option %s", args.bad) : false;
    if (!check_level(o.verbose, err))
        return false;
    if (args.n > 0)
        o.dump = args.v[0];
    for (int i = 1; i < args.n; i++) {
        if (o.dirs.n == OPT_LIST_MAX)
            return err_set(err, ERR_INVALID, "more than %d symbol folders", OPT_LIST_MAX);
        o.dirs.v[o.dirs.n++] = args.v[i];
    }
    if (!o.dump && !o.is_sandbox && !o.show_help && !o.show_version)
        return err_set(err, ERR_INVALID, "no dump was named; see --help");
    *ret = o;
    return true;
}
