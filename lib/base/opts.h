#ifndef BASE_OPTS_H
#define BASE_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/util.h"

/*
 * opts - the command line as a table, read by getopt_long of the C library.
 *
 *     struct args args = {.n = argc - 1, .v = argv + 1};
 *     const struct opt opts[] = {{"--group", OPT_LIST, &groups}, {"-o", OPT_TEXT, &output}};
 *     if (!OPTS_PARSE(opts, &args, 1, 2, &err)) …
 *
 * Options stand anywhere, as "--x value" or "--x=value", shortened as long as they are clear; "--"
 * ends them.  What is no option stays in args, in order.
 *
 * Ownership  Everything borrows from the arguments.
 * Errors     ERR_INVALID.  For who has words of his own, args says what the trouble was.
 * Threads    One: getopt_long keeps its place in global variables.
 */
enum opt_kind {
    OPT_FLAG,   /* into: bool, set to true */
    OPT_TEXT,   /* const char * */
    OPT_INT,    /* int64_t, any */
    OPT_RANGE,  /* struct opt_range */
    OPT_LIST,   /* struct opt_list; may be repeated */
    OPT_CHOICE, /* struct opt_choice */
};

enum { OPT_LIST_MAX = 64 }; /* written by hand, or by a script over a folder or two */

struct opt_list {
    const char *v[OPT_LIST_MAX + 1]; /* NULL-ended */
    size_t n;
};

struct opt_range {
    int64_t *value;
    int64_t least, most;
};

/* One of several ways to go; the last one named counts. */
struct opt_choice {
    unsigned *choice; /* an enum without negative values */
    unsigned value;
    const char **text; /* NULL: the option has no value of its own */
};

struct opt {
    const char *name; /* "--group", "-o" */
    enum opt_kind kind;
    void *into; /* NULL, with OPT_FLAG and OPT_TEXT: accepted and ignored */
};

enum opts_trouble { OPTS_GOOD, OPTS_UNKNOWN, OPTS_NO_VALUE, OPTS_OTHER };

struct args {
    int n;
    char **v;            /* without the program's name; opts_parse leaves the positional ones */
    const char *program; /* when given, getopt_long itself says on standard error what is wrong */
    enum opts_trouble trouble;
    const char *bad; /* argument at fault when there is trouble, or NULL */
};

/* Between min and max positional arguments; max < 0: any number. */
bool opts_parse(const struct opt *opts, size_t n, struct args *args, int min, int max,
                struct err *err);
#define OPTS_PARSE(opts, args, min, max, err)                                                      \
    opts_parse((opts), ARRAY_LEN(opts), (args), (min), (max), (err))
#define NO_OPTS(args, min, max, err) opts_parse(NULL, 0, (args), (min), (max), (err))

#endif
