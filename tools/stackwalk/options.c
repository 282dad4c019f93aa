/*
 * Options of datil-stackwalk.  The names are those of minidump-stackwalk, so that scripts written
 * for it go on; what it knows and we do not need is accepted and ignored.
 */
#include "tools/stackwalk/options.h"

#include <getopt.h>

#include "lib/base/util.h"

enum code {
    OPT_JSON = 256,
    OPT_HUMAN,
    OPT_DUMP,
    OPT_PRETTY,
    OPT_BRIEF,
    OPT_SYMBOLS,
    OPT_SYMBOLS_URL,
    OPT_CACHE,
    OPT_TMP,
    OPT_ANNOTATIONS,
    OPT_OUTPUT,
    OPT_LOG,
    OPT_NO_COLOR,
    OPT_VERBOSE,
    OPT_FRAMES,
    OPT_HELP,
    OPT_VERSION,
    OPT_SANDBOX,
    OPT_MEMORY,
    OPT_CPU,
};

static const struct {
    const char *name;
    bool has_value;
    enum code code;
    const char *help; /* NULL: not for people */
} table[] = {
    {"json", false, OPT_JSON, "write the report as JSON"},
    {"human", false, OPT_HUMAN, "write the report as text (default)"},
    {"dump", false, OPT_DUMP, "list the streams, threads, modules and memory of the file"},
    {"pretty", false, OPT_PRETTY, "indent JSON"},
    {"brief", false, OPT_BRIEF, "text: only the crashing thread"},
    {"symbols", true, OPT_SYMBOLS,
     "folder of FILE/ID/FILE.sym, or one .sym, .sym.gz or .sym.zst; may be repeated"},
    {"symbols-path", true, OPT_SYMBOLS, NULL},
    {"symbols-url", true, OPT_SYMBOLS_URL, NULL},
    {"symbols-cache", true, OPT_CACHE, "folder for compiled symbol files"},
    {"symbols-tmp", true, OPT_TMP, "ignored: temporary files are made inside the cache"},
    {"annotations", true, OPT_ANNOTATIONS, "JSON file with annotations of the crash report"},
    {"evil-json", true, OPT_ANNOTATIONS, NULL},
    {"output-file", true, OPT_OUTPUT, "write the report there instead of standard output"},
    {"log-file", true, OPT_LOG, "write messages there instead of standard error"},
    {"no-color", false, OPT_NO_COLOR, "accepted; output has no colors"},
    {"verbose", true, OPT_VERBOSE, "off, error, warn, info, debug or trace (default error)"},
    {"frames", true, OPT_FRAMES, "most frames per thread (default 1024)"},
    {"help", false, OPT_HELP, "this text"},
    {"version", false, OPT_VERSION, "print the version"},
    {"sandbox", false, OPT_SANDBOX, NULL},
    {"memory-bytes", true, OPT_MEMORY, NULL},
    {"cpu-s", true, OPT_CPU, NULL},
};

void options_help(FILE *out)
{
    fputs("usage: datil-stackwalk [OPTION]... DUMP [SYMBOL_DIR]...\n"
          "\n"
          "Reads a minidump and prints why and where the program crashed.\n"
          "Exit status 0, or 1 with a line `ERROR Name - text`.\n\n",
          out);
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].help)
            fprintf(out, "  --%s%-*s %s\n", table[i].name, (int)(20 - strlen(table[i].name)),
                    table[i].has_value ? " VALUE" : "", table[i].help);
}

static bool number(const char *name, const char *text, int64_t max, int64_t *ret, struct err *err)
{
    return str_to_i64(str_of(text), 1, max, name, ret, err);
}

static bool add_dir(struct options *o, const char *dir, struct err *err)
{
    if (o->dir_count == OPTIONS_DIRS_MAX)
        return err_set(err, ERR_INVALID, "more than %d symbol folders", OPTIONS_DIRS_MAX);
    o->dirs[o->dir_count++] = dir;
    return true;
}

static bool apply(struct options *o, enum code code, const char *value, struct err *err)
{
    switch (code) {
    case OPT_JSON:
        o->format = WALK_JSON;
        return true;
    case OPT_HUMAN:
        o->format = WALK_TEXT;
        return true;
    case OPT_DUMP:
        o->format = WALK_DIRECTORY;
        return true;
    case OPT_PRETTY:
        o->is_pretty = true;
        return true;
    case OPT_BRIEF:
        o->is_brief = true;
        return true;
    case OPT_SYMBOLS:
        return add_dir(o, value, err);
    case OPT_SYMBOLS_URL:
        return err_set(err, ERR_INVALID,
                       "--symbols-url: this program has no network; fetch the files and name their "
                       "folder with --symbols");
    case OPT_CACHE:
        o->cache_dir = value;
        return true;
    case OPT_ANNOTATIONS:
        o->annotations = value;
        return true;
    case OPT_OUTPUT:
        o->output_file = value;
        return true;
    case OPT_LOG:
        o->log_file = value;
        return true;
    case OPT_VERBOSE:
        o->verbose = value;
        return true;
    case OPT_FRAMES:
        return number("--frames", value, WALK_FRAMES_MAX, &o->frames_max, err);
    case OPT_HELP:
        o->show_help = true;
        return true;
    case OPT_VERSION:
        o->show_version = true;
        return true;
    case OPT_SANDBOX:
        o->is_sandbox = true;
        return true;
    case OPT_MEMORY:
        return number("--memory-bytes", value, INT64_C(1) << 40, &o->memory_bytes, err);
    case OPT_CPU:
        return number("--cpu-s", value, 1 << 20, &o->cpu_s, err);
    case OPT_TMP:
    case OPT_NO_COLOR:
        return true;
    }
    return true;
}

static bool check_level(const char *level, struct err *err)
{
    static const char *const levels[] = {"off", "error", "warn", "info", "debug", "trace"};
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (strcmp(level, levels[i]) == 0)
            return true;
    return err_set(err, ERR_INVALID, "--verbose: no level %s", level);
}

bool options_parse(int argc, char **argv, struct options *ret, struct err *err)
{
    struct options o = {.memory_bytes = INT64_C(1) << 30, .cpu_s = 120, .verbose = "error"};
    struct option longs[ARRAY_LEN(table) + 1] = {0};
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        longs[i] = (struct option){table[i].name, table[i].has_value, NULL, (int)table[i].code};

    opterr = 0;
    for (int code; (code = getopt_long(argc, argv, "hV", longs, NULL)) != -1;) {
        if (code == 'h' || code == 'V')
            code = code == 'h' ? OPT_HELP : OPT_VERSION;
        else if (code == '?')
            return err_set(err, ERR_INVALID, "bad option %s", argv[optind - 1]);
        if (!apply(&o, (enum code)code, optarg, err))
            return false;
    }
    if (!check_level(o.verbose, err))
        return false;
    if (optind < argc)
        o.dump = argv[optind++];
    while (optind < argc)
        if (!add_dir(&o, argv[optind++], err))
            return false;
    if (!o.dump && !o.is_sandbox && !o.show_help && !o.show_version)
        return err_set(err, ERR_INVALID, "no dump was named; see --help");
    *ret = o;
    return true;
}
