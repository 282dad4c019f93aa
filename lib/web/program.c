/*
 * The life of a FastCGI program: options, configuration, identity, socket, workers.
 *
 * Who may connect decides who may be a web server: a FastCGI request says by itself which address
 * it comes from.  So the socket is for its owner and its group only, and the group is that of the
 * directory (set-group-ID, made by tools/run/datilctl or tmpfiles.d): the web server's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/identity.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/opts.h"
#include "lib/base/proc.h"
#include "lib/base/shared.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/tpl/tpl.h"
#include "lib/web/internal.h"
#include "lib/web/rate.h"
#include "lib/web/turns.h"

enum {
    BACKLOG = 511, /* as nginx asks for its own; the kernel takes less where somaxconn is lower */
    SOCKET_MODE = 0660,
    GROUPS_MAX = 8, /* kinds of processes of one program; the collector has two */
};

/*
 * The start of a worker takes milliseconds; on a machine that does nothing but compile, less than
 * a second was measured.  A client that waits as long as this has a worse answer than a 503.
 */
enum { START_LIMIT_MS = 10000 };

const struct conf *web_conf(const struct web_app *web)
{
    return &web->conf;
}

const struct field_table *web_fields(const struct web_app *web)
{
    return web->fields;
}

struct db *web_db(const struct web_app *web)
{
    return web->db;
}

void *web_arg(const struct web_app *web)
{
    return web->program->arg;
}

struct metrics *web_metrics(const struct web_app *web)
{
    return web->program->metrics;
}

const struct tpl_set *web_templates(const struct web_app *web)
{
    return web->templates;
}

static void print_help(const struct web_program *p)
{
    printf("usage: %s [--help | --help-config | --help-routes | --version]\n\n"
           "FastCGI program; serves the unix socket $DATIL_RUN/web/%s.sock until TERM.\n"
           "Configuration comes from the environment and the file named by DATIL_CONFIG:\n"
           "--help-config lists the keys with their present values.  --help-routes lists the\n"
           "addresses that are answered, with their parameters.\n",
           p->name, p->name);
}

/*
 * Also with a configuration that is no good: then the keys are listed with their defaults, and the
 * status says that it is no good.
 */
static int print_config(const struct web_program *p)
{
    struct conf conf = {0};
    struct err err = {0};
    bool ok = conf_load(&conf, &err);
    conf_print_help(ok ? &conf : NULL, stdout);
    if (!ok)
        fprintf(stderr, "%s: %s\n", p->name, err.msg);
    conf_release(&conf);
    return ok ? 0 : 1;
}

/* True if there was an option; *ret_status is then the program's. */
static bool handle_options(const struct web_program *p, int argc, char **argv, int *ret_status)
{
    enum { SERVE, HELP, VERSION, CONFIG, ROUTES } mode = SERVE;
    const struct opt opts[] = {
        {"--help", OPT_CHOICE, &(struct opt_choice){&mode, HELP, NULL}},
        {"-h", OPT_CHOICE, &(struct opt_choice){&mode, HELP, NULL}},
        {"--version", OPT_CHOICE, &(struct opt_choice){&mode, VERSION, NULL}},
        {"--help-config", OPT_CHOICE, &(struct opt_choice){&mode, CONFIG, NULL}},
        {"--help-routes", OPT_CHOICE, &(struct opt_choice){&mode, ROUTES, NULL}},
    };
    struct args args = {.n = argc - 1, .v = argv + 1};
    *ret_status = 0;
    if (!OPTS_PARSE(opts, &args, 0, 0, ERR_IGNORED)) {
        fprintf(stderr, "%s: unknown option '%s'; try --help\n", p->name, args.bad);
        *ret_status = 2;
    } else if (mode == HELP) {
        print_help(p);
    } else if (mode == VERSION) {
        printf("%s %s\n", p->name, DATIL_VERSION);
    } else if (mode == CONFIG) {
        *ret_status = print_config(p);
    } else if (mode == ROUTES) {
        web_print_routes(p, stdout);
    } else {
        return false;
    }
    return true;
}

/* A socket file that nobody answers is left over from a program that was killed. */
static bool clear_socket(const struct sockaddr_un *addr, struct err *err)
{
    FD_AUTO fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0)
        return err_set(err, ERR_CONFLICT, "another program serves %s", addr->sun_path);
    if (unlink(addr->sun_path) != 0 && errno != ENOENT)
        return err_errno(err, errno, "removing the old socket %s", addr->sun_path);
    return true;
}

/*
 * The socket appears with its directory's group and SOCKET_MODE.  It does not block: of several
 * workers that are woken by one connection only one gets it, and the others must not wait inside
 * accept.
 */
static bool open_socket(struct web_app *web, struct sockaddr_un *addr, struct err *err)
{
    char dir[PATH_MAX];
    addr->sun_family = AF_UNIX;
    snprintf(dir, sizeof dir, "%s/web", conf_text(&web->conf, CONF_DATIL_RUN));
    int n = snprintf(addr->sun_path, sizeof addr->sun_path, "%s/%s.sock", dir, web->program->name);
    if (n < 0 || (size_t)n >= sizeof addr->sun_path)
        return err_set(err, ERR_INVALID, "DATIL_RUN: the path of a socket has at most %zu bytes",
                       sizeof addr->sun_path - 1);
    if (!fs_mkdirs(dir, FS_DIR_MODE, err) || !clear_socket(addr, err))
        return false;
    FD_AUTO fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)addr, sizeof *addr) != 0 ||
        chmod(addr->sun_path, SOCKET_MODE) != 0 || listen(fd, BACKLOG) != 0)
        return err_errno(err, errno, "listening on %s", addr->sun_path);
    web->listen_fd = TAKE_FD(fd);
    return true;
}

static bool load_templates(struct web_app *web, struct err *err)
{
    if (!web->program->template_dir)
        return true;
    const char *share = conf_text(&web->conf, CONF_DATIL_SHARE);
    STRBUF_AUTO dir;
    sb_init(&dir, 4096);
    sb_printf(&dir, "%s/%s", *share ? share : fs_share_dir(), web->program->template_dir);
    return tpl_load(sb_cstr(&dir), web->program->template_rows, &web->templates, err);
}

/* Secrets are shown as *****. */
static void log_configuration(const struct web_app *web)
{
    for (size_t i = 0; i < CONF_KEY_COUNT; i++) {
        const char *value = web->conf.values[i];
        if (strcmp(value, conf_keys[i].fallback) != 0)
            log_event(LOG_DEBUG, "configuration", conf_keys[i].name,
                      LOG_S("value", conf_keys[i].is_secret && *value ? "*****" : value));
    }
}

/* In the parent; workers reload by themselves (request_worker.c). */
static void hangup(void *arg)
{
    struct web_app *web = arg;
    if (web->program->reprepare)
        web->program->reprepare(&web->conf, web->program->arg);
}

static bool prepare_program(struct web_app *web, struct err *err)
{
    const struct web_program *p = web->program;
    return !p->prepare || p->prepare(&web->conf, p->arg, err);
}

/* The program's own workers are the first group; a collector adds its mover. */
static bool supervise(struct web_app *web, struct err *err)
{
    const struct web_program *p = web->program;
    struct proc_group groups[GROUPS_MAX] = {
        {.name = p->name,
         .count = (int)conf_int(&web->conf, p->workers_key),
         .run = web_worker,
         .arg = web,
         .stand_in = web_stand_in,
         .hangup = hangup,
         .is_at_work = web->is_at_work,
         .start_limit_ms = START_LIMIT_MS},
    };
    if (p->extra_group_count >= GROUPS_MAX)
        return err_set(err, ERR_INTERNAL, "%zu extra groups", p->extra_group_count);
    if (p->extra_group_count)
        memcpy(groups + 1, p->extra_groups, p->extra_group_count * sizeof *groups);
    log_event(LOG_INFO, "started", p->name, LOG_I("workers", groups[0].count),
              LOG_S("version", DATIL_VERSION));
    bool ok = proc_supervise(groups, 1 + p->extra_group_count, err);
    log_event(LOG_INFO, "stopped", p->name);
    return ok;
}

/*
 * All that workers share is made before they are forked, and templates and prepare() are judged
 * before the socket exists: a program that cannot work must not take requests from one that might.
 */
static bool serve_until_told(struct web_app *web, struct err *err)
{
    struct sockaddr_un addr = {0};
    proc_block_signals();
    size_t workers = (size_t)conf_int(&web->conf, web->program->workers_key);
    web->is_at_work = shared_map(workers * sizeof *web->is_at_work, "flags of workers", err);
    web->is_busy = shared_map(workers * sizeof *web->is_busy, "flags of workers", err);
    if (!web->is_at_work || !web->is_busy || !load_templates(web, err) ||
        !rate_new(&web->rates, err) || !turns_new(workers, &web->turns, err) ||
        !prepare_program(web, err) || !open_socket(web, &addr, err))
        return false;
    /* Behind the socket: now this program is the only one of its kind here. */
    metrics_start(web->program->metrics, &web->conf, web->program->metrics_program, true);
    log_configuration(web);
    bool ok = supervise(web, err);
    unlink(addr.sun_path);
    return ok;
}

/*
 * The log starts twice, since the configuration, which has its level, may itself be what is wrong.
 */
int web_main(const struct web_program *program, int argc, char **argv)
{
    int status = 0;
    if (handle_options(program, argc, argv, &status))
        return status;
    log_init(program->name, "info");
    struct web_app web = {.program = program, .listen_fd = -1};
    struct err err = {0};
    bool ok = conf_load(&web.conf, &err);
    if (ok) {
        log_init(program->name, conf_text(&web.conf, CONF_LOGGING_LEVEL));
        ok = identity_settle(&web.conf, IDENTITY_SERVICE, &err) &&
             fields_load(conf_text(&web.conf, CONF_DATIL_VAR), &web.fields, &err) &&
             serve_until_told(&web, &err);
    }
    if (!ok)
        log_event(LOG_ERROR, "start_failed", "the program cannot start", LOG_E(&err));
    if (web.listen_fd >= 0)
        close(web.listen_fd);
    rate_free(web.rates);
    turns_free(web.turns);
    if (web.templates)
        tpl_free(web.templates);
    fields_free(web.fields);
    conf_release(&web.conf);
    return ok ? 0 : 1;
}
