/*
 * datil-processor: a parent with its workers, the index keeper, the scrub and the queue watch. With
 * an option it is one of the entry points without services instead (offline.c), on the same code.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/identity.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/opts.h"
#include "lib/base/proc.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/search/collection.h"
#include "processor/crash.h"
#include "processor/offline.h"
#include "processor/worker.h"

/*
 * EXIT_USAGE is what shells and getopt programs use.  A folder of symbols is searched for every
 * module of every dump, so sixteen are many.  Each worker has a connection
 * to PostgreSQL, which takes 100 unless it is told otherwise: WORKERS_MAX is well above that.
 */
enum { EXIT_USAGE = 2, SYMBOL_DIRS_MAX = 16, WORKERS_MAX = 256 };

static const char usage[] =
    "usage: datil-processor                      takes crashes from the queue until told to stop\n"
    "       datil-processor --offline DIR…       raw_crash.json and dumps of DIR -> processed "
    "crash\n"
    "       datil-processor --apply-rule NAME    one rule on the document on standard input\n"
    "       datil-processor --public             public form of the processed crash on standard "
    "input\n"
    "       datil-processor --telemetry          export record of the processed crash on standard "
    "input\n"
    "       datil-processor --version-key        versions, one a line -> X.Y.Z-PRE to sort them "
    "by, "
    "or null\n"
    "\n"
    "  --ruleset NAME           rule set for --offline (default: default)\n"
    "  --symbols DIR            directory of symbols files; may be repeated\n"
    "  --product-versions FILE  table for the rule BetaVersion\n"
    "  --jsonl                  one document a line, in and out\n"
    "  --help, --help-config, --version\n";

enum processor_mode {
    MODE_RUN,
    MODE_OFFLINE,
    MODE_RULE,
    MODE_PUBLIC,
    MODE_TELEMETRY,
    MODE_VERSION_KEY,
    MODE_HELP,
    MODE_CONFIG,
    MODE_VERSION,
};

struct processor_options {
    enum processor_mode mode;
    const char *rule;
    struct opt_list symbol_dirs;
    struct offline_options offline;
};

/* Folders, the positional arguments, are for --offline alone; they stay in *args. */
static bool read_options(struct args *args, struct processor_options *o)
{
    *o = (struct processor_options){.offline.ruleset = "default"};
    o->offline.symbol_dirs = o->symbol_dirs.v;
    const struct opt opts[] = {
        {"--offline", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_OFFLINE, NULL}},
        {"--apply-rule", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_RULE, &o->rule}},
        {"--public", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_PUBLIC, NULL}},
        {"--telemetry", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_TELEMETRY, NULL}},
        {"--version-key", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_VERSION_KEY, NULL}},
        {"--ruleset", OPT_TEXT, &o->offline.ruleset},
        {"--symbols", OPT_LIST, &o->symbol_dirs},
        {"--product-versions", OPT_TEXT, &o->offline.product_versions},
        {"--jsonl", OPT_FLAG, &o->offline.is_jsonl},
        {"--help", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_HELP, NULL}},
        {"--help-config", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_CONFIG, NULL}},
        {"--version", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_VERSION, NULL}},
    };
    if (!OPTS_PARSE(opts, args, 0, -1, ERR_IGNORED) || o->symbol_dirs.n > SYMBOL_DIRS_MAX)
        return false;
    return (o->mode == MODE_OFFLINE) == (args->n > 0);
}

/*
 * One processor flushes and replays an index.  The lock lies beside the directory, which may be
 * replaced; it is this process's alone (children do not inherit it) and ends with it.
 */
static bool be_alone(const struct conf *conf, int *ret_fd, struct err *err)
{
    char path[PATH_MAX], parent[PATH_MAX];
    const char *index = conf_text(conf, CONF_INDEX_DIR);
    snprintf(path, sizeof path, "%s.lock", index);
    snprintf(parent, sizeof parent, "%s", index);
    char *slash = strrchr(parent, '/');
    if (slash && slash != parent) {
        *slash = '\0';
        if (!fs_mkdirs(parent, FS_DIR_MODE, err))
            return false;
    }
    FD_AUTO fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", path);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &whole) != 0) {
        if ((errno != EACCES && errno != EAGAIN) || fcntl(fd, F_GETLK, &whole) != 0)
            return err_errno(err, errno, "locking %s", path);
        return err_set(err, ERR_CONFLICT,
                       "another processor (process %d) works on the index %s; for more workers set "
                       "PROCESSOR_WORKERS",
                       (int)whole.l_pid, index);
    }
    *ret_fd = TAKE_FD(fd);
    return true;
}

/*
 * The order matters: identity before anything is created, the lock before the index is looked at,
 * signals blocked before there are children, the index prepared before workers append to it.
 */
static bool serve(struct conf *conf, const struct field_table *fields, struct err *err)
{
    struct processor processor = {conf, fields, metrics_new()};
    FD_AUTO alone = -1;
    int64_t wanted = conf_int(conf, CONF_PROCESSOR_WORKERS);
    int workers = wanted ? (int)wanted : (int)MIN(proc_cores(), (size_t)WORKERS_MAX);
    const struct proc_group groups[] = {
        {.name = "worker", .count = workers, .run = worker_run, .arg = &processor},
        {.name = "ping-worker",
         .count = (int)conf_int(conf, CONF_PING_WORKERS),
         .run = ping_worker_run,
         .arg = &processor},
        {.name = "index-keeper", .count = COLLECTIONS, .run = index_keeper_run, .arg = &processor},
        {.name = "queue-watch", .count = 1, .run = queue_watch_run, .arg = &processor},
        {.name = "index-scrub", .count = COLLECTIONS, .run = index_scrub_run, .arg = &processor},
    };
    if (!identity_settle(conf, IDENTITY_SERVICE, err) || !be_alone(conf, &alone, err))
        return false;
    proc_block_signals();
    crash_sweep_tmp(conf_text(conf, CONF_PROCESSOR_TMP_DIR));
    index_keeper_prepare(&processor);
    metrics_start(processor.metrics, conf, IN_PROCESSOR, true);
    log_event(LOG_INFO, "start", "processor started", LOG_I("workers", workers));
    bool ok = proc_supervise(groups, ARRAY_LEN(groups), err);
    log_event(LOG_INFO, "stop", "processor stopped");
    metrics_free(processor.metrics);
    return ok;
}

static bool do_mode(struct processor_options *o, struct conf *conf, struct args args,
                    struct err *err)
{
    switch (o->mode) {
    case MODE_OFFLINE:
        return offline_process(conf, &o->offline, (const char *const *)args.v, (size_t)args.n, err);
    case MODE_RULE:
        return offline_apply_rule(conf, &o->offline, o->rule, err);
    case MODE_PUBLIC:
        return offline_public(&o->offline, err);
    case MODE_TELEMETRY:
        return offline_telemetry(&o->offline, err);
    case MODE_VERSION_KEY:
        return offline_version_keys(err);
    case MODE_CONFIG:
        conf_print_help(conf, stdout);
        return true;
    default:
        return serve(conf, o->offline.fields, err);
    }
}

int main(int argc, char **argv)
{
    struct args args = {.n = argc - 1, .v = argv + 1, .program = argv[0]};
    struct processor_options o;
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
        return puts("datil-processor " DATIL_VERSION) < 0;
    log_init("datil-processor", "info");
    bool ok = conf_load(&conf, &err);
    if (ok) {
        log_init("datil-processor", conf_text(&conf, CONF_LOGGING_LEVEL));
        ok = fields_load(conf_text(&conf, CONF_DATIL_VAR), &o.offline.fields, &err) &&
             do_mode(&o, &conf, args, &err);
        fields_free(o.offline.fields);
        conf_release(&conf);
    }
    if (!ok)
        log_event(LOG_ERROR, "failed", "datil-processor stops", LOG_E(&err));
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
