/*
 * crashsig - crash data in, signature out.
 */
#include "tools/crashsig/crashsig.h"

#include "lib/base/log.h"
#include "lib/base/util.h"

static const char usage[] =
    "usage: crashsig [--siglists DIR]            one JSON document on standard input\n"
    "       crashsig --jsonl [--processed] [--debug]   one document per line\n"
    "       crashsig --frames                    one frame object per line\n"
    "       crashsig --walk-only [--processed]   frames and walk alone, one document per line\n"
    "       crashsig --ids [--host URL] [--format text|csv|markdown] [--different-only] [ID...]\n"
    "       crashsig --compare DIR_OLD DIR_NEW --jsonl [--processed]\n"
    "Documents are crash data or processed crashes.  --ids fetches processed crashes (ids also\n"
    "from standard input); an API token is taken from the variable AUTH_TOKEN.\n";

/* The value behind an option, or NULL with a message. */
static const char *value_of(int argc, char **argv, int *i)
{
    if (*i + 1 < argc)
        return argv[++*i];
    fprintf(stderr, "crashsig: %s needs a value\n", argv[*i]);
    return NULL;
}

static bool take_flag(struct options *o, const char *arg)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"--jsonl", &o->is_jsonl},
        {"--processed", &o->is_processed},
        {"--frames", &o->is_frames},
        {"--walk-only", &o->is_walk_only},
        {"--debug", &o->with_debug},
        {"--ids", &o->is_ids},
        {"--different-only", &o->is_different_only},
    };
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (strcmp(arg, flags[i].name) == 0)
            return *flags[i].flag = true;
    return false;
}

static bool take_values(struct options *o, int argc, char **argv, int *i)
{
    const char *arg = argv[*i];
    if (strcmp(arg, "--compare") == 0)
        return (o->siglists = value_of(argc, argv, i)) && (o->compare_to = value_of(argc, argv, i));
    if (strcmp(arg, "--siglists") == 0)
        return (o->siglists = value_of(argc, argv, i)) != NULL;
    if (strcmp(arg, "--host") == 0)
        return (o->host = value_of(argc, argv, i)) != NULL;
    if (strcmp(arg, "--format") == 0)
        return (o->format_name = value_of(argc, argv, i)) != NULL;
    if (arg[0] == '-') {
        fprintf(stderr, "crashsig: unknown option %s\n%s", arg, usage);
        return false;
    }
    o->ids[o->id_count++] = argv[*i];
    return true;
}

static bool check(struct options *o)
{
    static const char *const formats[] = {"text", "csv", "markdown"};
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (strcmp(o->format_name, formats[i]) == 0) {
            o->format = (enum format)i;
            if (o->id_count == 0 || o->is_ids)
                return true;
            fprintf(stderr, "crashsig: %s: input comes from standard input (or say --ids)\n",
                    o->ids[0]);
            return false;
        }
    }
    fprintf(stderr, "crashsig: --format is text, csv or markdown\n");
    return false;
}

static bool make_signatures(const struct options *o, struct err *err)
{
    struct siglists *lists = NULL, *other = NULL;
    if (!siglists_load(o->siglists, &lists, err))
        return false;
    bool ok;
    if (o->compare_to)
        ok = siglists_load(o->compare_to, &other, err) && run_compare(o, lists, other, err);
    else if (o->is_ids)
        ok = run_ids(o, lists, err);
    else
        ok = run_stdin(o, lists, err);
    siglists_free(lists);
    siglists_free(other);
    return ok;
}

int main(int argc, char **argv)
{
    FREE_LATER char **ids = xcalloc((size_t)argc + 1, sizeof *ids);
    struct options o = {.host = "http://127.0.0.1:8080", .format_name = "text", .ids = ids};
    struct err err = {0};
    log_init("crashsig", "warn");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("crashsig " DATIL_VERSION);
            return 0;
        }
        if (!take_flag(&o, argv[i]) && !take_values(&o, argc, argv, &i))
            return 2;
    }
    if (!check(&o))
        return 2;
    if (make_signatures(&o, &err) && fflush(stdout) == 0)
        return 0;
    fprintf(stderr, "crashsig: %s\n", err.code ? err.msg : "cannot write");
    return 1;
}
