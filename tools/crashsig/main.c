/*
 * crashsig - crash data in, signature out, by the very code of the processor.  It is what a change
 * of the signature lists is tried with before it goes to a server: --ids shows what known crashes
 * would be called, --compare what a whole day of them would.
 *
 * Exit status: 0; 1 when something could not be read, fetched or written; 2 for a command line that
 * makes no sense.
 */
#include "tools/crashsig/crashsig.h"

#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/opts.h"
#include "lib/base/util.h"
#include "lib/signature/signature.h"

static const char usage[] =
    "usage: crashsig [--siglists DIR]            one JSON document on standard input\n"
    "       crashsig --jsonl [--processed] [--debug]   one document per line\n"
    "       crashsig --frames                    one frame object per line\n"
    "       crashsig --walk-only [--processed]   frames and walk alone, one document per line\n"
    "       crashsig --ids [--host URL] [--format text|csv|markdown] [--different-only] [ID...]\n"
    "       crashsig --compare DIR_OLD DIR_NEW --jsonl [--processed]\n"
    "Documents are crash data or processed crashes.  --ids fetches processed crashes (ids also\n"
    "from standard input); an API token is taken from the variable AUTH_TOKEN.\n";

/*
 * --compare has two values: the second is the first argument that is no option.  False: said.
 * Words that are no options are crash ids, behind --ids.
 */
static bool read_options(struct args *args, struct crashsig_options *o)
{
    const char *compare = NULL;
    const struct opt opts[] = {
        {"--jsonl", OPT_FLAG, &o->is_jsonl},
        {"--processed", OPT_FLAG, &o->is_processed},
        {"--frames", OPT_FLAG, &o->is_frames},
        {"--walk-only", OPT_FLAG, &o->is_walk_only},
        {"--debug", OPT_FLAG, &o->with_debug},
        {"--ids", OPT_FLAG, &o->is_ids},
        {"--different-only", OPT_FLAG, &o->is_different_only},
        {"--compare", OPT_TEXT, &compare},
        {"--siglists", OPT_TEXT, &o->siglists},
        {"--host", OPT_TEXT, &o->host},
        {"--format", OPT_TEXT, &o->format_name},
        {"--help", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_HELP, NULL}},
        {"--version", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_VERSION, NULL}},
    };
    struct err err = {0};
    bool ok = OPTS_PARSE(opts, args, 0, -1, &err);
    if (o->mode != MODE_SIGNATURES)
        return true;
    if (ok && compare && args->n == 0)
        ok = err_set(&err, ERR_INVALID, "--compare needs a value");
    if (!ok) {
        if (args->trouble == OPTS_UNKNOWN)
            fprintf(stderr, "crashsig: unknown option %s\n%s", args->bad, usage);
        else
            fprintf(stderr, "crashsig: %s\n", err.msg);
        return false;
    }
    if (compare) {
        o->siglists = compare;
        o->compare_to = args->v[0];
    }
    o->ids = args->v + (compare != NULL);
    o->id_count = (size_t)args->n - (compare != NULL);
    return true;
}

/*
 * A crash id without --ids is most likely a forgotten --ids: the program would wait for standard
 * input otherwise, and look as if it hung.
 */
static bool options_make_sense(struct crashsig_options *o)
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

/* Lists are loaded once for all documents, since every pattern in them is compiled. */
static bool make_signatures(const struct crashsig_options *o, struct err *err)
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
    struct args args = {.n = argc - 1, .v = argv + 1};
    struct crashsig_options o = {.host = "http://127.0.0.1:8080", .format_name = "text"};
    struct err err = {0};
    log_init("crashsig", "warn");
    if (!read_options(&args, &o))
        return 2;
    if (o.mode == MODE_HELP)
        return fputs(usage, stdout) < 0;
    if (o.mode == MODE_VERSION)
        return puts("crashsig " DATIL_VERSION) < 0;
    if (!options_make_sense(&o))
        return 2;
    if (make_signatures(&o, &err) && fflush(stdout) == 0)
        return 0;
    fprintf(stderr, "crashsig: %s\n", err.code ? err.msg : "cannot write");
    return 1;
}
