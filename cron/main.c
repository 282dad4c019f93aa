/*
 * datil-cron: looks at the table of jobs every few minutes, or does one thing and exits.
 *
 * The process itself does nothing but look at the clock and at the database: each job that is due
 * has a runner (side_by_side.h), each run of it a child of that one (job_run.h).  So it needs
 * little, and a job that fails, hangs or dies is a line in its log.
 */
#include <assert.h>
#include <locale.h>
#include <stdlib.h>

#include "cron/jobs.h"
#include "cron/jobs_configured.h"
#include "cron/scheduler.h"
#include "cron/side_by_side.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/identity.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/opts.h"
#include "lib/base/proc.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/db/db.h"

enum {
    EXIT_USAGE = 2,
    ARGS_MAX = 32,   /* --job-arg: no job takes more than a few */
    RETRY_MS = 5000, /* while the database is away; CRON_INTERVAL_S may be long */
};

static const char usage[] =
    "usage: datil-cron                     runs due jobs every CRON_INTERVAL_S seconds\n"
    "       datil-cron --once              runs the jobs that are due and exits\n"
    "       datil-cron --job NAME          runs this job if it is due\n"
    "       datil-cron --job NAME --force [--job-arg KEY=VALUE]…\n"
    "                                      runs it now and leaves its state alone\n"
    "       datil-cron --list              shows jobs and their state\n"
    "       datil-cron --reset NAME|all    forgets the state\n"
    "       datil-cron --mark-success NAME|all\n"
    "       datil-cron --help | --help-config | --version\n";

enum cron_mode {
    MODE_LOOP,
    MODE_ONCE,
    MODE_LIST,
    MODE_RESET,
    MODE_MARK,
    MODE_HELP,
    MODE_CONFIG,
    MODE_VERSION
};

struct cron_options {
    enum cron_mode mode;
    const char *name; /* of a job, or "all" */
    bool force;
    struct opt_list args;
};

/*
 * The last mode on the command line counts; a name goes with it.  --force needs a job: all of them
 * at once would be much to start by accident.
 */
static bool read_options(struct args *args, struct cron_options *o)
{
    *o = (struct cron_options){0};
    const struct opt opts[] = {
        {"--once", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_ONCE, NULL}},
        {"--job", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_ONCE, &o->name}},
        {"--force", OPT_FLAG, &o->force},
        {"--job-arg", OPT_LIST, &o->args},
        {"--list", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_LIST, NULL}},
        {"--reset", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_RESET, &o->name}},
        {"--mark-success", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_MARK, &o->name}},
        {"--help", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_HELP, NULL}},
        {"--help-config", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_CONFIG, NULL}},
        {"--version", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_VERSION, NULL}},
    };
    return OPTS_PARSE(opts, args, 0, 0, ERR_IGNORED) && o->args.n <= ARGS_MAX &&
           (!o->force || o->name);
}

static bool find_job(const struct scheduler *s, const char *name, const struct cron_job **ret,
                     struct err *err)
{
    for (size_t i = 0; i < s->jobs.n; i++)
        if (strcmp(name, s->jobs.v[i].name) == 0) {
            *ret = &s->jobs.v[i];
            return true;
        }
    return err_set(err, ERR_NOT_FOUND, "there is no job '%.60s'; --list shows all", name);
}

/* Until the interval is over; who waits for a place gets it as soon as another has ended. */
static bool look_once(struct scheduler *s, struct err *err)
{
    int64_t end_ms = mono_ms() + conf_int(s->conf, CONF_CRON_INTERVAL_S) * 1000;
    size_t failed = 0;
    side_by_side_look(s);
    do {
        bool ok = side_by_side_start(s, err);
        metrics_flush(s->metrics);
        int64_t left_ms = MAX(end_ms - mono_ms(), (int64_t)0);
        if (!ok || !side_by_side_wait(s, (int)left_ms, &failed, err))
            return false;
        proc_take_hangup(); /* nothing is kept that could be read again */
    } while (!proc_stopping() && mono_ms() < end_ms);
    return scheduler_tell_overdue(s, err);
}

/* A job's failure is a matter of the job's state; only trouble of our own ends up here. */
static void run_due_jobs(struct scheduler *s)
{
    while (!proc_stopping()) {
        struct err err = {0};
        if (look_once(s, &err))
            continue;
        log_event(LOG_WARN, "cron_retry", "the table of jobs cannot be used", LOG_E(&err));
        if (!proc_stopping())
            proc_wait(NULL, 0, RETRY_MS);
    }
    side_by_side_stop(s);
}

/* For timers of others and for people: failures of jobs become the exit status. */
static bool once(struct scheduler *s, const struct cron_options *o, struct err *err)
{
    const struct cron_job *job;
    size_t failed = 0;
    if (!o->name)
        return side_by_side_once(s, &failed, err) &&
               (failed == 0 || err_set(err, ERR_INTERNAL, "%zu jobs failed", failed));
    if (!find_job(s, o->name, &job, err))
        return false;
    if (o->force)
        return scheduler_force(s, job, o->args.v, err);
    return scheduler_run_one(s, job, &failed, err) &&
           (failed == 0 || err_set(err, ERR_INTERNAL, "%s failed", job->name));
}

/* "all" stops at the first that cannot be written; those before it are marked. */
static bool mark(struct scheduler *s, const char *name, struct err *err)
{
    const struct cron_job *job;
    if (strcmp(name, "all") != 0)
        return find_job(s, name, &job, err) && scheduler_mark_success(s, job, err);
    for (size_t i = 0; i < s->jobs.n; i++)
        if (!scheduler_mark_success(s, &s->jobs.v[i], err))
            return false;
    return true;
}

static bool do_command(struct scheduler *s, const struct cron_options *o, struct err *err)
{
    assert(o->name || (o->mode != MODE_RESET && o->mode != MODE_MARK)); /* getopt has seen to it */
    switch (o->mode) {
    case MODE_LIST:
        return scheduler_list(s, err);
    case MODE_RESET:
        return scheduler_reset(s, strcmp(o->name, "all") == 0 ? NULL : o->name, err);
    case MODE_MARK:
        return mark(s, o->name, err);
    case MODE_CONFIG:
        conf_print_help(s->conf, stdout);
        return true;
    case MODE_ONCE:
        /* A scheduler may run beside: the page is its own. */
        metrics_start(s->metrics, s->conf, IN_CRON, false);
        return once(s, o, err);
    default:
        metrics_start(s->metrics, s->conf, IN_CRON, true);
        log_event(LOG_INFO, "start", "scheduler started");
        run_due_jobs(s);
        log_event(LOG_INFO, "stop", "scheduler stopped");
        return true;
    }
}

int main(int argc, char **argv)
{
    struct args args = {.n = argc - 1, .v = argv + 1, .program = argv[0]};
    struct cron_options o;
    struct conf conf;
    struct err err = {0};
    setlocale(LC_CTYPE, "C.UTF-8");
    if (!read_options(&args, &o)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (o.mode == MODE_HELP)
        return fputs(usage, stdout) < 0;
    if (o.mode == MODE_VERSION)
        return puts("datil-cron " DATIL_VERSION) < 0;
    log_init("datil-cron", "info");
    bool ok = conf_load(&conf, &err);
    if (ok) {
        log_init("datil-cron", conf_text(&conf, CONF_LOGGING_LEVEL));
        proc_block_signals(); /* a stop request ends the wait, not a statement */
        struct scheduler s = {
            .conf = &conf,
            .metrics = metrics_new(),
            .db = db_new(conf_text(&conf, CONF_DATABASE_URL), "datil-cron", SCHEDULER_STATEMENT_MS),
        };
        struct arena arena;
        arena_init(&arena, 1 << 20); /* the table of jobs: some kB */
        ok = jobs_configure(&arena, conf_text(&conf, CONF_CRON_JOBS), &s.jobs, &err) &&
             identity_settle(&conf, IDENTITY_SERVICE, &err) &&
             fields_load(conf_text(&conf, CONF_DATIL_VAR), &s.fields, &err) &&
             do_command(&s, &o, &err);
        metrics_free(s.metrics);
        db_free(s.db);
        fields_free(s.fields);
        arena_release(&arena);
        conf_release(&conf);
    }
    if (!ok)
        log_event(LOG_ERROR, "failed", "datil-cron stops", LOG_E(&err));
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
