/*
 * From the table of a program to the tables of getopt_long, and from what that finds back to the
 * places of the program.  argp of the C library was looked at as well: it also writes the usage,
 * in a form of its own, and exits by itself.
 *
 * Options are asked for in the order in which they stand ("-" in front of the letters), so getopt
 * moves no arguments and the variable POSIXLY_CORRECT has no say.
 */
#include "lib/base/opts.h"

#include <assert.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

enum {
    CODE_FIRST = 256, /* of a row of the table: codes below are letters */
    LETTERS_MAX = 64, /* for the letters of one program; asserted when they are written */
    IN_ORDER = 1,     /* getopt's code for an argument that is no option */
};

/* A choice may carry a text ("--job NAME" chooses a mode and names the job). */
static bool has_value(const struct opt *o)
{
    const struct opt_choice *choice = o->into;
    return o->kind == OPT_CHOICE ? choice->text != NULL : o->kind != OPT_FLAG;
}

static bool is_long(const struct opt *o)
{
    return o->name[1] == '-';
}

/* Long names go to `longs`, which has room for all rows and an end; letters behind "-" or "-:". */
static void make_tables(const struct opt *opts, size_t n, bool is_silent, struct option *longs,
                        char letters[LETTERS_MAX])
{
    size_t at = (size_t)snprintf(letters, LETTERS_MAX, is_silent ? "-:" : "-");
    for (size_t i = 0; i < n; i++) {
        if (is_long(&opts[i]))
            *longs++ =
                (struct option){opts[i].name + 2, has_value(&opts[i]), NULL, CODE_FIRST + (int)i};
        else
            at += (size_t)snprintf(letters + at, LETTERS_MAX - at, "%c%s", opts[i].name[1],
                                   has_value(&opts[i]) ? ":" : "");
        assert(at < LETTERS_MAX);
    }
}

/* The row of one of getopt's codes; NULL: of none. */
static const struct opt *opt_of(const struct opt *opts, size_t n, int code)
{
    if (code >= CODE_FIRST)
        return &opts[code - CODE_FIRST];
    for (size_t i = 0; i < n; i++)
        if (!is_long(&opts[i]) && opts[i].name[1] == code)
            return &opts[i];
    return NULL;
}

/* `into` NULL: the option is accepted, for those who still write it, and means nothing. */
static bool store_value(const struct opt *o, const char *value, struct err *err)
{
    struct opt_list *list = o->into;
    const struct opt_range *range = o->into;
    const struct opt_choice *choice = o->into;
    switch (o->kind) {
    case OPT_FLAG:
        if (o->into)
            *(bool *)o->into = true;
        return true;
    case OPT_TEXT:
        if (o->into)
            *(const char **)o->into = value;
        return true;
    case OPT_INT:
        return str_to_i64(str_of(value), INT64_MIN, INT64_MAX, o->name, o->into, err);
    case OPT_RANGE:
        return str_to_i64(str_of(value), range->least, range->most, o->name, range->value, err);
    case OPT_LIST:
        if (list->n == OPT_LIST_MAX)
            return err_set(err, ERR_INVALID, "%s: at most %d times", o->name, OPT_LIST_MAX);
        list->v[list->n++] = value;
        return true;
    case OPT_CHOICE:
        *choice->choice = choice->value;
        if (choice->text)
            *choice->text = value;
        return true;
    }
    return false;
}

/* getopt has refused an argument; optopt says which row it meant, if it was clear. */
static bool refuse(const struct opt *opts, size_t n, struct args *args, const char *bad,
                   struct err *err)
{
    const struct opt *o = opt_of(opts, n, optopt);
    args->bad = bad;
    if (!o) {
        args->trouble = OPTS_UNKNOWN;
        return err_set(err, ERR_INVALID, "unknown option %.*s", (int)strcspn(bad, "="), bad);
    }
    args->trouble = has_value(o) ? OPTS_NO_VALUE : OPTS_OTHER;
    return err_set(err, ERR_INVALID, has_value(o) ? "%s needs a value" : "%s takes no value",
                   o->name);
}

static bool take_options(const struct opt *opts, size_t n, struct args *args, struct err *err)
{
    int argc = args->n + 1, kept = 0;
    char letters[LETTERS_MAX];
    FREE_LATER struct option *longs = xcalloc(n + 1, sizeof *longs);
    FREE_LATER char **argv = xcalloc((size_t)argc + 1, sizeof *argv);
    make_tables(opts, n, !args->program, longs, letters);
    argv[0] = (char *)(args->program ? args->program : "");
    if (args->n)
        memcpy(argv + 1, args->v, (size_t)args->n * sizeof *argv);
    optind = 0; /* begin anew */
    for (;;) {
        int at = MAX(optind, 1);
        int code = getopt_long(argc, argv, letters, longs, NULL);
        if (code == -1)
            break;
        if (code == '?' || code == ':')
            return refuse(opts, n, args, argv[at], err);
        if (code == IN_ORDER) {
            args->v[kept++] = optarg;
        } else if (!store_value(opt_of(opts, n, code), optarg, err)) {
            args->trouble = OPTS_OTHER;
            return false;
        }
    }
    while (optind < argc) /* behind "--" */
        args->v[kept++] = argv[optind++];
    args->n = kept;
    return true;
}

bool opts_parse(const struct opt *opts, size_t n, struct args *args, int min, int max,
                struct err *err)
{
    if (!take_options(opts, n, args, err))
        return false;
    if (args->n >= min && (max < 0 || args->n <= max))
        return true;
    args->trouble = OPTS_OTHER;
    if (args->n < min)
        return err_set(err, ERR_INVALID, "something is missing on the command line");
    args->bad = args->v[max];
    return err_set(err, ERR_INVALID, "too much on the command line: %.60s", args->v[max]);
}
