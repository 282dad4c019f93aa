/*
 * What the programs of this host have counted, for where no web server asks them: on a machine that
 * only processes crashes, `datil metrics` in a timer writes a file for node_exporter's textfile
 * collector.  The numbers lie in files that the programs share (lib/base/metrics.h), so nothing is
 * asked of a program, and one that hangs shows what it had counted.
 */
#include "lib/base/metrics.h"

#include "lib/base/err.h"
#include "lib/base/metrics_table.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "tools/datil/app.h"

enum { TEXT_BYTES_MAX = 32 << 20 }; /* as lib/web/health.c has it */

static bool print_one(struct app *app, const char *name, struct err *err)
{
    STRBUF_AUTO text;
    sb_init(&text, TEXT_BYTES_MAX);
    if (!metrics_read(&app->conf, str_of(name), &text, err))
        return err_wrap(err, "%s", name);
    fwrite(text.p, 1, text.n, stdout);
    return true;
}

static bool run_metrics(struct app *app, struct args args, struct err *err)
{
    bool is_markdown = false;
    const struct opt opts[] = {{"--markdown", OPT_FLAG, &is_markdown}};
    if (!OPTS_PARSE(opts, &args, 0, 1, err))
        return false;
    if (is_markdown)
        return metrics_print_markdown(stdout), true;
    if (args.n)
        return print_one(app, args.v[0], err);
    for (size_t i = 0; metrics_program_name(i); i++)
        printf("%s\n", metrics_program_name(i));
    return true;
}

const struct command metrics_commands[] = {
    {"metrics", "[PROGRAM | --markdown]",
     "Prints what a program of this host has counted, as Prometheus text.\n"
     "Without a name: the names.  A program that does not run has datil_program_up 0 alone.",
     run_metrics},
    {0},
};
