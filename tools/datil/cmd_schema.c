/*
 * migrate, config help.  Migrations run under an advisory lock, so that two hosts that are started
 * together apply each of them once; the first one also marks the directories of a new installation
 * (cmd_mark.c).
 */
#include <limits.h>
#include <stdlib.h>

#include "lib/base/conf.h"
#include "lib/base/fs.h"
#include "lib/base/opts.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "tools/datil/app.h"

static void applied(const char *file)
{
    printf("applied %s\n", file);
}

/*
 * Every statement of sql/ is prepared against the new schema, so that a release whose statements do
 * not fit is found here and not by the first crash.
 */
static bool run_migrate(struct app *app, struct args args, struct err *err)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s/migrations", fs_share_dir());
    if (!NO_OPTS(&args, 0, 0, err) || !app_db(app, err))
        return false;
    if (!db_migrate(app->db, dir, applied, err) || !db_check_all(app->db, err) ||
        !app_mark_new(app, err))
        return false;
    puts("the database is up to date");
    return true;
}

static bool run_config_help(struct app *app, struct args args, struct err *err)
{
    bool is_markdown = false;
    const struct opt opts[] = {{"--markdown", OPT_FLAG, &is_markdown}};
    if (!OPTS_PARSE(opts, &args, 0, 0, err))
        return false;
    if (is_markdown)
        conf_print_markdown(stdout);
    else
        conf_print_help(&app->conf, stdout);
    return true;
}

const struct command schema_commands[] = {
    {"migrate", "",
     "Brings the database schema up to date and checks every statement against it.\n"
     "The store and the symbols get the installation's mark if they never had one.",
     run_migrate},
    {"config help", "[--markdown]", "Lists every configuration key with its present value.",
     run_config_help},
    {0},
};
