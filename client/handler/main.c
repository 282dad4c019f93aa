/*
 * datil-client-handler - writes and sends the crash reports of one program.
 *
 * libdatil-client starts it with --serve; people start it with --dump-pid.  It is a process of its
 * own, because a program that has crashed cannot be trusted to read its own memory, to allocate or
 * to use a network; and it outlives the program for as long as an upload takes.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/annotations.h"
#include "client/handler/reports.h"
#include "client/handler/serve.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

static const char usage[] =
    "usage: datil-client-handler --dump-pid PID -o FILE\n"
    "           write a minidump of a running process (it runs on)\n"
    "       datil-client-handler --send-pending --database DIR --url URL\n"
    "           try the reports that could not be sent\n"
    "       datil-client-handler --serve --database DIR [--url URL] [--listen NAME]\n"
    "           started by libdatil-client, with its socket as descriptor 3\n"
    "       datil-client-handler --help | --version\n"
    "with --dump-pid and --serve:\n"
    "       --send-command-line, --send-environment\n"
    "           what else goes into dumps; left out of them otherwise\n";

struct handler_options {
    enum { MODE_NONE, MODE_SERVE, MODE_DUMP, MODE_SEND, MODE_HELP, MODE_VERSION } mode;
    const char *database, *url, *output, *channel;
    int64_t pid;
    bool send_command_line, send_environment;
};

/*
 * Each mode needs options of its own; what is missing is told with the usage and a status of 2,
 * before anything is opened.
 */
static bool read_options(struct args *args, struct handler_options *o, struct err *err)
{
    const char *pid = NULL;
    const struct opt opts[] = {
        {"--serve", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_SERVE, NULL}},
        {"--send-pending", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_SEND, NULL}},
        {"--dump-pid", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_DUMP, &pid}},
        {"--help", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_HELP, NULL}},
        {"--version", OPT_CHOICE, &(struct opt_choice){&o->mode, MODE_VERSION, NULL}},
        {"--database", OPT_TEXT, &o->database},
        {"--url", OPT_TEXT, &o->url},
        {"--listen", OPT_TEXT, &o->channel},
        {"-o", OPT_TEXT, &o->output},
        {"--send-command-line", OPT_FLAG, &o->send_command_line},
        {"--send-environment", OPT_FLAG, &o->send_environment},
    };
    if (!OPTS_PARSE(opts, args, 0, 0, err))
        return args->bad ? err_set(err, ERR_INVALID, "cannot use %s", args->bad) : false;
    if (pid && !str_to_i64(str_of(pid), 1, INT32_MAX, "--dump-pid", &o->pid, err))
        return false;
    bool database = o->mode == MODE_SERVE || o->mode == MODE_SEND;
    if (o->mode == MODE_NONE || (database && !o->database) ||
        (o->mode == MODE_DUMP && !o->output) || (o->mode == MODE_SEND && !o->url))
        return err_set(err, ERR_INVALID, "an option is missing");
    return true;
}

/*
 * Mapped through a descriptor that cannot write: a mapping of ours that could be made writable
 * would look like one of the program's when serve.c asks whether anybody has the table.
 */
static const struct annotations *map_annotations(void)
{
    struct stat st;
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", WIRE_ANNOTATIONS_FD);
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || (size_t)st.st_size < sizeof(struct annotations))
        return NULL;
    void *p = mmap(NULL, sizeof(struct annotations), PROT_READ, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

static bool serve(const struct handler_options *o, struct err *err)
{
    struct reports reports;
    if (!reports_open(&reports, o->database, o->url, err))
        return false;
    /* The program's working directory must not stay in use because of its handler. */
    if (chdir("/") != 0)
        return err_set(err, ERR_IO, "cannot leave the working directory");
    struct serve s = {
        .socket = WIRE_SOCKET_FD,
        .channel = o->channel,
        .annotations = map_annotations(),
        .reports = &reports,
        .send_command_line = o->send_command_line,
        .send_environment = o->send_environment,
    };
    serve_run(&s);
    return true;
}

/* For a job of the system: reports that stayed behind when the network was away. */
static bool send_pending(const struct handler_options *o, struct err *err)
{
    struct reports reports;
    if (!reports_open(&reports, o->database, o->url, err))
        return false;
    reports_retry(&reports, now_us());
    return true;
}

int main(int argc, char **argv)
{
    struct args args = {.n = argc - 1, .v = argv + 1};
    struct handler_options o = {0};
    struct err err = {0};
    if (!read_options(&args, &o, &err)) {
        fprintf(stderr, "datil-client-handler: %s\n%s", err.msg, usage);
        return 2;
    }
    /* A program that has ended no longer reads answers: that is no reason to end here. */
    signal(SIGPIPE, SIG_IGN);
    bool ok = true;
    switch (o.mode) {
    case MODE_HELP:
        fputs(usage, stdout);
        break;
    case MODE_VERSION:
        puts("datil-client-handler " DATIL_VERSION);
        break;
    case MODE_SERVE:
        ok = serve(&o, &err);
        break;
    case MODE_DUMP:
        ok = serve_dump_pid(&(struct serve){.send_command_line = o.send_command_line,
                                            .send_environment = o.send_environment},
                            o.pid, o.output, &err);
        break;
    case MODE_SEND:
        ok = send_pending(&o, &err);
        break;
    case MODE_NONE:
        break;
    }
    if (!ok)
        fprintf(stderr, "datil-client-handler: %s\n", err.msg);
    return ok ? 0 : 1;
}
