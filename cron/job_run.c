/*
 * One run of a job, in a child of its own: whatever the job does to memory, to its connection or
 * to the process, the scheduler goes on.  Standard output comes back line by line, the reason of a
 * failure as class and message over a second pipe.  The parent ends the child when its time is
 * over, when it is told to stop itself, or when the lock of the job is lost; TERM first, KILL for
 * one that does not listen.
 *
 * A child ends with its parent (PR_SET_PDEATHSIG): the lock is the parent's, and without it another
 * scheduler may begin the same job.
 */
#include "cron/job_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cron/job_context.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/base/shared.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/ledger/ledger.h"
#include "lib/store/store.h"

enum {
    LINE_MAX_BYTES = 2000, /* a longer line becomes several, as a log takes it */
    POLL_MS = 1000,        /* how late a limit of time may be noticed */
    KEEP_ALIVE_MS = 60000, /* between two looks at the lock, each of which is one statement */
    KILL_AFTER_MS = 5000,  /* behind TERM; every job may be killed */
};

/* In the child: a connection and a store of its own.  Statements have no limit of their own, the
 * job has one. */
static bool open_and_run(const struct run_request *q, struct err *err)
{
    struct arena arena;
    struct job_context x = {
        .conf = q->conf,
        .metrics = q->metrics,
        .fields = q->fields,
        .arena = &arena,
        .run_time_us = q->run_time_us,
        .last_success_us = q->last_success_us,
        .args = q->args,
        .items = q->items,
    };
    struct store_config cfg = store_config_of(q->conf);
    char installation[INSTALLATION_ID_SIZE] = "";
    bool needs_store = q->job->flags & JOB_STORE;
    if (needs_store && !store_open(&cfg, &x.store, err))
        return false;
    /* Against a job that runs wild, as for a command of datil: docs/decisions/125. */
    arena_init(&arena, (size_t)1 << 30);
    x.db = db_new(conf_text(q->conf, CONF_DATABASE_URL), "datil-cron job", 0);
    bool ok = (!needs_store || ledger_store_check(x.db, x.store, installation, err)) &&
              q->job->run(&x, err) && arena_within(&arena, "the job", err);
    db_free(x.db);
    store_close(x.store);
    arena_release(&arena);
    return ok;
}

/*
 * The error goes to the parent as "class\nmessage" over a pipe of its own.  Signals are as in a
 * fresh process: TERM ends a job at once, since it may be repeated.  Lines are written when they
 * are whole, so that the log has what a job said before it was killed.
 */
static void be_the_job(const struct run_request *q, int out, int status, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    dup2(out, STDOUT_FILENO);
    signal(SIGTERM, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);

    struct err err = {0};
    bool ok = open_and_run(q, &err);
    metrics_flush(q->metrics);
    fflush(stdout);
    if (!ok)
        dprintf(status, "%s\n%s", err_code_name(err.code), err.msg);
    _exit(ok ? 0 : 1);
}

/* The parent's view of a run. */
struct running {
    const struct run_request *q;
    struct run_result *r;
    pid_t pid;
    int exit;   /* readable when the child has ended (pidfd) */
    int out;    /* its standard output; -1: closed by the other side */
    int status; /* where the reason of a failure comes */
    struct strbuf line;
};

/* One line of output: to the log, and behind the lines that are kept for the table of runs. */
static void log_line(struct running *run)
{
    struct str s = sb_view(&run->line);
    size_t have = strlen(run->r->tail), room = sizeof run->r->tail - 1;
    if (run->q->is_interactive)
        printf(STR_FMT "\n", STR_ARG(s));
    else
        log_event(LOG_INFO, "job_output", "output of a job", LOG_S("job", run->q->job->name),
                  LOG_V("line", s));
    if (have + s.n + 1 > room) { /* keep the end */
        size_t drop = MIN(have, have + s.n + 1 - room);
        memmove(run->r->tail, run->r->tail + drop, have - drop + 1);
        have -= drop;
    }
    if (have + s.n + 1 <= room)
        snprintf(run->r->tail + have, sizeof run->r->tail - have, STR_FMT "\n", STR_ARG(s));
    sb_reset(&run->line);
}

/* False at the end of the output. */
static bool read_output(struct running *run)
{
    char buf[4096];
    ssize_t got = read(run->out, buf, sizeof buf);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    for (ssize_t i = 0; i < got; i++) {
        if (buf[i] != '\n')
            sb_char(&run->line, buf[i]);
        if (buf[i] == '\n' || run->line.n == LINE_MAX_BYTES)
            log_line(run);
    }
    if (got <= 0 && run->line.n)
        log_line(run);
    return got > 0;
}

static void fail(struct run_result *r, const char *type, const char *value)
{
    r->ok = false;
    snprintf(r->type, sizeof r->type, "%s", type);
    snprintf(r->value, sizeof r->value, "%s", value);
}

/* At most the text that the table of runs keeps; the child wrote it at once. */
static void read_error(struct running *run)
{
    char text[400];
    ssize_t got = read(run->status, text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    char *newline = strchr(text, '\n');
    if (!newline) {
        fail(run->r, "failed", "the job ended without a word");
        return;
    }
    *newline = '\0';
    fail(run->r, text, newline + 1);
}

/* The child has ended. */
static void collect_result(struct running *run, const char *killed_for)
{
    int status = 0;
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        run->r->ok = true;
    } else if (killed_for) {
        fail(run->r, killed_for, "the job was killed");
    } else if (WIFSIGNALED(status)) {
        char type[32];
        snprintf(type, sizeof type, "killed by signal %d", WTERMSIG(status));
        fail(run->r, type, "the job died");
    } else {
        read_error(run);
    }
}

/* Reads what comes.  True: the child has ended, and what it wrote is read. */
static bool wait_a_moment(struct running *run, bool is_killed)
{
    const int fds[] = {run->exit, run->out};
    unsigned ready = proc_wait(fds, run->out >= 0 ? 2 : 1, POLL_MS);
    bool has_ended = ready & 1, has_output = ready & 2;
    if (has_output && !read_output(run)) {
        close(run->out);
        run->out = -1;
    }
    /* A process that the child has left behind may hold the output open for ever, or fill it. */
    return has_ended && (!has_output || is_killed);
}

/*
 * Until the child has ended; returns why it was killed, or NULL.  The end of its output is no end:
 * a job may close it and go on, and the limit of time is for the process.
 */
static const char *watch(struct running *run)
{
    int64_t start_ms = mono_ms(), kept_ms = start_ms;
    int64_t limit_ms = (int64_t)run->q->job->timeout_s * 1000, stopped_ms = 0;
    const char *why = NULL;
    while (!wait_a_moment(run, why != NULL)) {
        int64_t now = mono_ms();
        /* A TERM for us is one for the child; it is not a failure of the job's own. */
        if (!why && (proc_stopping() || now - start_ms > limit_ms)) {
            why = proc_stopping() ? "stopped" : "timeout";
            stopped_ms = now;
            kill(run->pid, SIGTERM);
        }
        if (why && now - stopped_ms > KILL_AFTER_MS)
            kill(run->pid, SIGKILL);
        if (!why && run->q->keep_alive && now - kept_ms > KEEP_ALIVE_MS) {
            kept_ms = now;
            if (!run->q->keep_alive(run->q->arg)) {
                why = "lock lost";
                stopped_ms = now;
                kill(run->pid, SIGTERM);
            }
        }
    }
    if (run->line.n)
        log_line(run);
    return why;
}

/* Forks the child with a pipe for its output and one for the reason of its failure. */
static bool start_child(struct running *run, struct err *err)
{
    int out[2], status[2];
    if (pipe2(out, O_CLOEXEC) != 0)
        return err_errno(err, errno, "pipe");
    FD_AUTO out_read = out[0];
    FD_AUTO out_write = out[1];
    if (pipe2(status, O_CLOEXEC) != 0)
        return err_errno(err, errno, "pipe");
    FD_AUTO status_read = status[0];
    FD_AUTO status_write = status[1];
    fflush(stdout); /* or the child writes it once more */
    metrics_flush(run->q->metrics);
    pid_t parent = getpid();
    run->pid = fork();
    if (run->pid < 0)
        return err_errno(err, errno, "starting a job");
    if (run->pid == 0)
        be_the_job(run->q, out_write, status_write, parent);
    run->exit = pidfd_open(run->pid, 0);
    if (run->exit < 0) { /* nobody could watch over it */
        int why = errno;
        kill(run->pid, SIGKILL);
        waitpid(run->pid, NULL, 0);
        return err_errno(err, why, "watching a job");
    }
    run->out = TAKE_FD(out_read);
    run->status = TAKE_FD(status_read);
    return true;
}

/* How it went is the result; false is only for what kept it from being begun. */
bool run_job(const struct run_request *q, struct run_result *ret, struct err *err)
{
    struct running run = {.q = q, .r = ret, .exit = -1, .out = -1, .status = -1};
    int64_t start_ms = mono_ms();
    *ret = (struct run_result){.items = -1};
    /* Common memory, so that what was done is known also of a job that is killed. */
    struct run_request counted = *q;
    run.q = &counted;
    counted.items = shared_map(sizeof *counted.items, "what a job counts", err);
    if (!counted.items)
        return false;
    *counted.items = -1;
    if (!start_child(&run, err)) {
        munmap(counted.items, sizeof *counted.items);
        return false;
    }
    sb_init(&run.line, LINE_MAX_BYTES);
    collect_result(&run, watch(&run));
    sb_release(&run.line);
    ret->duration_ms = mono_ms() - start_ms;
    ret->items = *counted.items;
    munmap(counted.items, sizeof *counted.items);
    close(run.exit);
    close(run.status);
    if (run.out >= 0)
        close(run.out);
    return true;
}
