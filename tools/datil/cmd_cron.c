/*
 * cron …: words for people in front of datil-cron, which does the work.  It takes the place of this
 * process, so its output and exit status are the command's.
 */
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/util.h"
#include "tools/datil/app.h"

/*
 * Two things are called force.  The option --force of datil-cron runs a job that is not due; a job
 * that is named here is meant to run, so it is always given, but with --if-due.  The job argument
 * "force" is the other: it lifts the refusals of a job (retention's doubts, docs/decisions/118), so
 * it needs a name and stands in the audit log.
 */
static bool run_cron_run(struct app *app, struct args args, struct err *err)
{
    struct opt_list job_args = {0};
    bool if_due = false, is_forced = false;
    const struct opt opts[] = {
        {"--job-arg", OPT_LIST, &job_args},
        {"--if-due", OPT_FLAG, &if_due},
        {"--force", OPT_FLAG, &is_forced},
    };
    if (!OPTS_PARSE(opts, &args, 0, 1, err))
        return false;
    if (is_forced && args.n == 0)
        return err_set(err, ERR_INVALID, "--force needs the name of a job");
    if (is_forced && (!app_db(app, err) || !app_audit(app, "job", args.v[0], "run", "forced", err)))
        return false;
    const char *argv[2 * OPT_LIST_MAX + 12] = {"datil-cron", "--once"};
    size_t n = 2;
    if (args.n) {
        n = 1;
        argv[n++] = "--job";
        argv[n++] = args.v[0];
        if (!if_due)
            argv[n++] = "--force";
    }
    if (is_forced) { /* job arguments are what a job sees */
        argv[n++] = "--job-arg";
        argv[n++] = "force";
    }
    for (size_t i = 0; i < job_args.n; i++) {
        argv[n++] = "--job-arg";
        argv[n++] = job_args.v[i];
    }
    return app_exec("datil-cron", (char *const *)argv, err);
}

static bool run_cron_list(struct app *app, struct args args, struct err *err)
{
    static char *const argv[] = {"datil-cron", "--list", NULL};
    (void)app;
    return NO_OPTS(&args, 0, 0, err) && app_exec("datil-cron", argv, err);
}

static bool run_cron_reset(struct app *app, struct args args, struct err *err)
{
    (void)app;
    if (!NO_OPTS(&args, 1, 1, err))
        return false;
    char *const argv[] = {"datil-cron", "--reset", args.v[0], NULL};
    return app_exec("datil-cron", argv, err);
}

const struct command cron_commands[] = {
    {"cron run", "[JOB [--if-due] [--force] [--job-arg KEY=VALUE]…]",
     "Runs a scheduled job now and prints what it does; without JOB, the jobs that are due.\n"
     "A named job runs whatever its state, and leaves the state alone, unless --if-due is given.\n"
     "--force makes `retention` delete what it would refuse to.",
     run_cron_run},
    {"cron list", "", "Lists scheduled jobs: plan, last run, next run, last error.", run_cron_list},
    {"cron reset", "JOB|all", "Forgets the state of a job: it is due at once.", run_cron_reset},
    {0},
};
