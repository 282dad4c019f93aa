/*
 * Jobs beside each other.  The scheduler asks which are due and starts a runner for each while
 * there is a place; the runner does the rest as if it were alone (scheduler_run_one).  Nothing of a
 * run is kept here but who runs what, so the scheduler may be killed at any moment: its runners and
 * their jobs are killed by the kernel (PR_SET_PDEATHSIG), the job's lock ends with the runner's
 * session, and the job is due as before.  The job has inherited that session's socket, so the lock
 * lasts until the job, too, is gone: it never runs twice.
 *
 * Places are counted by limits of time and not by how long a job has taken: what hangs has taken
 * no longer than others so far.  With a place that jobs of hours never get, a job of minutes is
 * late by the limit of another job of minutes at worst.
 */
#include "cron/side_by_side.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cron/jobs.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"

enum {
    LONG_RUNNERS_MAX = RUNNERS_MAX - 1,
    LONG_S = 3600, /* in the table of jobs: a job goes through all there is, or ends in minutes */
    /* From TERM to KILL: the job has 5 seconds, then state and log are written. */
    STOP_MS = 15000,
    RUN_FAILED = 1, /* exit statuses of a runner */
    RUN_TROUBLE = 2,
};

static bool is_long(const struct cron_job *job)
{
    return job->timeout_s >= LONG_S;
}

static bool is_running(const struct scheduler *s, const struct cron_job *job)
{
    for (size_t i = 0; i < s->runner_count; i++)
        if (s->runners[i].job == job)
            return true;
    return false;
}

static bool has_place(const struct scheduler *s, const struct cron_job *job)
{
    size_t n_long = 0;
    for (size_t i = 0; i < s->runner_count; i++)
        n_long += is_long(s->runners[i].job);
    return s->runner_count < RUNNERS_MAX && (!is_long(job) || n_long < LONG_RUNNERS_MAX);
}

/* The session of the scheduler is the scheduler's: the child has its own and leaves that alone. */
static int be_runner(struct scheduler *s, const struct cron_job *job)
{
    struct err err = {0};
    size_t failed = 0;
    s->db = db_new(conf_text(s->conf, CONF_DATABASE_URL), "datil-cron", SCHEDULER_STATEMENT_MS);
    s->runner_count = 0;
    bool ok = scheduler_run_one(s, job, &failed, &err);
    metrics_flush(s->metrics);
    db_free(s->db);
    if (!ok)
        log_event(LOG_WARN, "cron_retry", "the table of jobs cannot be used",
                  LOG_S("job", job->name), LOG_E(&err));
    return !ok ? RUN_TROUBLE : failed ? RUN_FAILED : 0;
}

static bool start_runner(struct scheduler *s, const struct cron_job *job, struct err *err)
{
    fflush(stdout); /* or the child writes it once more */
    metrics_flush(s->metrics);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return err_errno(err, errno, "starting the runner of %s", job->name);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(getppid() != parent ? RUN_TROUBLE : be_runner(s, job));
    }
    int exit = pidfd_open(pid, 0);
    if (exit < 0) { /* nobody could watch over it */
        int why = errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return err_errno(err, why, "watching the runner of %s", job->name);
    }
    s->runners[s->runner_count++] = (struct runner){job, pid, exit, mono_ms()};
    return true;
}

void side_by_side_look(struct scheduler *s)
{
    if (!s->is_to_ask)
        s->is_to_ask = xcalloc(s->jobs.n, sizeof *s->is_to_ask);
    for (size_t i = 0; i < s->jobs.n; i++)
        s->is_to_ask[i] = true;
}

/*
 * A job is asked once in a look, or one that is due and cannot run (another scheduler has it) would
 * be started again and again.  Who finds no place is the first to be asked next time.
 */
bool side_by_side_start(struct scheduler *s, struct err *err)
{
    size_t first = s->first_asked;
    s->first_asked = s->jobs.n;
    for (size_t k = 0; k < s->jobs.n && !proc_stopping(); k++) {
        size_t i = (first + k) % s->jobs.n;
        const struct cron_job *job = &s->jobs.v[i];
        bool is_due;
        if (!s->is_to_ask[i])
            continue;
        if (!scheduler_is_due(s, job, &is_due, err))
            return err_wrap(err, "job %s", job->name);
        if (is_due && !is_running(s, job) && !has_place(s, job)) {
            s->first_asked = MIN(s->first_asked, i);
            continue;
        }
        s->is_to_ask[i] = false;
        if (is_due && !is_running(s, job) && !start_runner(s, job, err))
            return false;
    }
    return true;
}

bool side_by_side_is_busy(const struct scheduler *s)
{
    return s->runner_count > 0;
}

bool side_by_side_has_more(const struct scheduler *s)
{
    for (size_t i = 0; i < s->jobs.n; i++)
        if (s->is_to_ask[i])
            return true;
    return false;
}

/* The runner of a job that has ended; it has left its place. */
static bool reap(struct scheduler *s, const struct runner *r, size_t *failed, struct err *err)
{
    int status = 0;
    close(r->exit);
    while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
        ;
    *failed += status != 0;
    if (!WIFSIGNALED(status))
        return true;
    log_event(LOG_ERROR, "runner_died",
              "the process that ran a job was killed, and the job with it",
              LOG_S("job", r->job->name), LOG_I("signal", WTERMSIG(status)));
    return scheduler_note_death(s, r->job, WTERMSIG(status), mono_ms() - r->begun_ms, err);
}

bool side_by_side_wait(struct scheduler *s, int wait_ms, size_t *failed, struct err *err)
{
    int fds[RUNNERS_MAX] = {0};
    size_t n = s->runner_count, kept = 0;
    struct runner ended[RUNNERS_MAX];
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        fds[i] = s->runners[i].exit;
    unsigned ready = proc_wait(fds, n, wait_ms);
    for (size_t i = 0; i < n; i++)
        if (ready & (1u << i))
            ended[i - kept] = s->runners[i];
        else
            s->runners[kept++] = s->runners[i];
    s->runner_count = kept;
    for (size_t i = 0; i < n - kept; i++)
        ok = reap(s, &ended[i], failed, ok ? err : ERR_IGNORED) && ok;
    return ok;
}

bool side_by_side_once(struct scheduler *s, size_t *failed, struct err *err)
{
    bool ok = true;
    side_by_side_look(s);
    while (ok && !proc_stopping() && (side_by_side_has_more(s) || side_by_side_is_busy(s)))
        ok = side_by_side_start(s, err) &&
             (!side_by_side_is_busy(s) || side_by_side_wait(s, -1, failed, err));
    side_by_side_stop(s);
    return ok && scheduler_tell_overdue(s, err);
}

/* A runner passes TERM on to its job and writes what became of it. */
void side_by_side_stop(struct scheduler *s)
{
    int64_t end_ms = mono_ms() + STOP_MS;
    for (size_t i = 0; i < s->runner_count; i++)
        kill(s->runners[i].pid, SIGTERM);
    for (size_t i = 0; i < s->runner_count; i++) {
        /* A further TERM for us ends the wait, and nothing else. */
        while (mono_ms() < end_ms &&
               !proc_wait(&s->runners[i].exit, 1, (int)MAX(end_ms - mono_ms(), (int64_t)1)))
            ;
        kill(s->runners[i].pid, SIGKILL); /* harmless for one that has ended */
        while (waitpid(s->runners[i].pid, NULL, 0) < 0 && errno == EINTR)
            ;
        close(s->runners[i].exit);
    }
    s->runner_count = 0;
    free(TAKE(s->is_to_ask));
}
