/*
 * When which job runs.  State and history are in the database, so several schedulers (and the
 * command line) may exist; a job runs under an advisory lock of its session, which the server lets
 * go when the process ends, however it ends.  Whether a job is due is asked once more below the
 * lock, since somebody may just have finished it.
 */
#include "cron/scheduler.h"

#include <stdlib.h>

#include "cron/job_run.h"
#include "cron/schedule.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "queries.h"

enum {
    /*
     * Of one run of a backfilling job; the rest is left for the next look.  A job of every hour is
     * at the present again after six weeks at most, one of every day after three years.
     */
    SLOTS_MAX = 1000,
    ALERT_AFTER_ERRORS = 3, /* a failure is tried again after a minute: so many are no hiccup */
    FORCE_WAIT_MS = 60000,  /* a person waits */
    DEATH_WAIT_MS = 2000,   /* the server sees in milliseconds that a session is gone */
    LOCK_POLL_MS = 200,     /* between two tries to get the job's lock */
    ALERT_EVERY_MS = 3600 * 1000, /* a job that is overdue stays so for hours */
};

/* What monitors go by: for how long each job has had no success, and whether it is late for that.
 */
static void set_gauges(const struct scheduler *s, const struct cron_job *job,
                       const struct job_state *st)
{
    int64_t now = now_us();
    int64_t since = st->last_success_us != TIME_NEVER ? st->last_success_us : st->first_run_us;
    metric_set(s->metrics, METRIC_CRON_LAST_SUCCESS,
               since == TIME_NEVER ? 0 : (now - since) / SECOND_US, job->name);
    metric_set(s->metrics, METRIC_CRON_ERRORS, st->error_count, job->name);
    metric_set(s->metrics, METRIC_CRON_OVERDUE, st->is_overdue, job->name);
}

/* A job that has no row yet gets one: a new row of the table in jobs.c needs no migration. */
static bool load_state(struct scheduler *s, const struct cron_job *job, struct job_state *ret,
                       struct err *err)
{
    DB_ROWS rows = {0};
    struct arena a;
    struct plan plan;
    arena_init(&a, 1 << 12);
    bool is_planned =
        !(job->flags & JOB_OFF) && plan_parse(job->frequency, job->time, false, &plan, ERR_IGNORED);
    bool ok = DB_EXEC(s->db, &q_cron_add, err, job->name, job->depends_on ? job->depends_on : "",
                      is_planned ? db_int(&a, plan.every_us / SECOND_US) : NULL, job->help,
                      conf_text(s->conf, job->needs)[0] ? "" : conf_keys[job->needs].name);
    arena_release(&a);
    if (!ok || !DB_RUN(s->db, &q_cron_state, &rows, err, job->name))
        return false;
    if (rows.count == 0)
        return err_set(err, ERR_CONFLICT, "the state of %s was reset meanwhile", job->name);
    *ret = (struct job_state){
        .next_run_us = db_col_int(&rows, 0, Q_CRON_STATE_COL_NEXT_RUN, TIME_NEVER),
        .first_run_us = db_col_int(&rows, 0, Q_CRON_STATE_COL_FIRST_RUN, TIME_NEVER),
        .last_run_us = db_col_int(&rows, 0, Q_CRON_STATE_COL_LAST_RUN, TIME_NEVER),
        .last_success_us = db_col_int(&rows, 0, Q_CRON_STATE_COL_LAST_SUCCESS, TIME_NEVER),
        .error_count = (int)db_col_int(&rows, 0, Q_CRON_STATE_COL_ERROR_COUNT, 0),
        .is_overdue = db_col_bool(&rows, 0, Q_CRON_STATE_COL_IS_OVERDUE),
    };
    return true;
}

/* "" is SQL's NULL in the statements below: never. */
static const char *time_param(struct arena *a, int64_t us)
{
    char text[TIME_TEXT_MAX];
    if (us == TIME_NEVER)
        return "";
    time_iso(us, true, text);
    return arena_strdup(a, text);
}

/* The shape of the column last_error: class and message, and the last lines of the output. */
static const char *error_param(struct arena *a, const struct run_result *r)
{
    if (!r || r->ok)
        return "{}";
    json_auto_t *doc = json_object();
    jset_text(doc, "type", str_of(r->type));
    jset_text(doc, "value", str_of(r->value));
    jset_text(doc, "traceback", str_of(r->tail));
    size_t n;
    FREE_LATER char *text = jdump(doc, &n);
    return arena_strdup(a, text);
}

static const char *seconds_param(struct arena *a, const struct run_result *r)
{
    return arena_printf(a, "%.3f", (double)r->duration_ms / 1000);
}

/* r NULL: no run, somebody has said that it counts as one. */
static bool save_state(struct scheduler *s, const struct cron_job *job, const struct job_state *st,
                       const struct run_result *r, struct err *err)
{
    struct arena a;
    arena_init(&a, 1 << 16);
    bool ok = DB_EXEC(s->db, &q_cron_save, err, job->name, time_param(&a, st->next_run_us),
                      time_param(&a, st->first_run_us), time_param(&a, st->last_run_us),
                      time_param(&a, st->last_success_us), db_int(&a, st->error_count),
                      error_param(&a, r), r ? seconds_param(&a, r) : NULL,
                      r && r->items >= 0 ? db_int(&a, r->items) : NULL);
    arena_release(&a);
    return ok;
}

/* One row for each run; cleanse_cronlog deletes them after half a year. */
static bool save_log(struct scheduler *s, const struct cron_job *job, int64_t slot_us,
                     const struct run_result *r, struct err *err)
{
    struct arena a;
    arena_init(&a, 1 << 16);
    /* The tail may hold any bytes; the database wants UTF-8. */
    const char *tail = str_adup(&a, utf8_clean(&a, str_of(r->tail)));
    bool ok = DB_EXEC(s->db, &q_cron_log_add, err, job->name, seconds_param(&a, r),
                      time_param(&a, r->ok ? slot_us : TIME_NEVER), r->ok ? NULL : r->type,
                      r->ok ? NULL : r->value, r->ok ? NULL : tail,
                      r->items >= 0 ? db_int(&a, r->items) : NULL);
    arena_release(&a);
    return ok;
}

/* What keep_lock needs while a child runs. */
struct lock {
    struct scheduler *s;
    const char *name;
};

/* While the database is away nobody else can begin either, so the job goes on.  Behind a restart of
 * the server the lock is taken anew; if another scheduler was faster, this run ends. */
static bool keep_lock(void *arg)
{
    const struct lock *l = arg;
    DB_ROWS rows = {0};
    return !DB_RUN(l->s->db, &q_cron_keep_lock, &rows, ERR_IGNORED, l->name) ||
           db_col_bool(&rows, 0, Q_CRON_KEEP_LOCK_COL_IS_LOCKED);
}

/* The lock is the session's and not the transaction's: it lasts for the run.  The mark beside it
 * only says since when, for people. */
static bool try_lock(struct scheduler *s, const struct cron_job *job, bool *ret, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(s->db, &q_cron_lock, &rows, err, job->name))
        return false;
    *ret = db_col_bool(&rows, 0, Q_CRON_LOCK_COL_IS_LOCKED);
    return !*ret || DB_EXEC(s->db, &q_cron_mark, err, job->name);
}

/* A failure is a warning; only one that stays is for somebody to act upon. */
static void log_result(struct metrics *m, const struct cron_job *job, const struct job_state *st,
                       const struct run_result *r)
{
    metric_time(m, METRIC_CRON_JOB_RUN, r->duration_ms * 1000, job->name,
                r->ok ? "success" : "failure");
    if (r->items > 0)
        metric_add(m, METRIC_CRON_JOB_ITEMS, r->items, job->name);
    log_event(r->ok ? LOG_INFO : LOG_WARN, "job_run", r->ok ? "done" : "failed",
              LOG_S("job", job->name), LOG_S("result", r->ok ? "success" : "failure"),
              LOG_I("duration_ms", r->duration_ms), LOG_I("items", r->items),
              LOG_S("error", r->ok ? "" : r->value));
    if (!r->ok && st->error_count >= ALERT_AFTER_ERRORS)
        log_event(LOG_ERROR, "job_alert", "a scheduled job fails again and again",
                  LOG_S("job", job->name), LOG_I("error_count", st->error_count));
}

/*
 * One run.  State and log are written behind it, still under the lock.  A scheduler that is killed
 * before that has run the job and does not know it: the job is due again, and may be repeated.
 */
static bool run_slot(struct scheduler *s, const struct cron_job *job, const struct plan *plan,
                     struct job_state *st, int64_t slot_us, bool *ret_ok, struct err *err)
{
    struct lock lock = {s, job->name};
    struct run_result r;
    struct run_request q = {
        .conf = s->conf,
        .metrics = s->metrics,
        .fields = s->fields,
        .job = job,
        .run_time_us = slot_us,
        .last_success_us = st->last_success_us,
        .keep_alive = keep_lock,
        .arg = &lock,
    };
    if (!run_job(&q, &r, err))
        return false;
    if (r.ok)
        plan_success(plan, st, slot_us, now_us());
    else
        plan_failure(st, now_us());
    log_result(s->metrics, job, st, &r);
    *ret_ok = r.ok;
    return save_log(s, job, slot_us, &r, err) && save_state(s, job, st, &r, err);
}

/* Oldest first, and none behind one that failed: a later success would move the state past it. */
static bool run_slots(struct scheduler *s, const struct cron_job *job, const struct plan *plan,
                      struct job_state *st, size_t *ret_failed, struct err *err)
{
    FREE_LATER int64_t *slots = xcalloc(SLOTS_MAX, sizeof *slots);
    size_t n = plan_slots(plan, st, now_us(), slots, SLOTS_MAX);
    for (size_t i = 0; i < n && !proc_stopping(); i++) {
        bool ok;
        if (!run_slot(s, job, plan, st, slots[i], &ok, err))
            return false;
        if (!ok) {
            ++*ret_failed;
            break;
        }
    }
    return true;
}

/* Every job it depends on has had a success since this one's own last. */
static bool dependencies_met(struct scheduler *s, const struct cron_job *job, bool *ret,
                             struct err *err)
{
    *ret = true;
    if (!job->depends_on)
        return true;
    struct arena a;
    struct str v[16], rest = str_of(job->depends_on);
    size_t n = 0;
    while (n < ARRAY_LEN(v) && str_split(&rest, ',', &v[n]))
        n++;
    DB_ROWS rows = {0};
    arena_init(&a, 1 << 14);
    bool ok = DB_RUN(s->db, &q_cron_dependencies_met, &rows, err, job->name,
                     db_text_array(&a, (struct strs){v, n}));
    arena_release(&a);
    if (ok)
        *ret = db_col_bool(&rows, 0, Q_CRON_DEPENDENCIES_MET_COL_IS_MET);
    return ok;
}

bool scheduler_is_due(struct scheduler *s, const struct cron_job *job, bool *ret, struct err *err)
{
    struct plan plan;
    struct job_state st;
    *ret = false;
    if (!plan_parse(job->frequency, job->time, job->flags & JOB_BACKFILL, &plan, err))
        return err_wrap(err, "job %s", job->name);
    if (!load_state(s, job, &st, err))
        return false;
    set_gauges(s, job, &st);
    return (job->flags & JOB_OFF) || !plan_is_due(&plan, &st, now_us()) ||
           dependencies_met(s, job, ret, err);
}

/*
 * Due? Allowed? Locked? Still due?  The order keeps the common answer, not due, at one statement,
 * and the lock short.  A job whose dependencies are not met yet is asked about again at the next
 * look.
 */
bool scheduler_run_one(struct scheduler *s, const struct cron_job *job, size_t *ret_failed,
                       struct err *err)
{
    struct plan plan;
    struct job_state st;
    bool is_due, is_locked;
    if (!scheduler_is_due(s, job, &is_due, err))
        return false;
    if (!is_due)
        return true;
    if (!try_lock(s, job, &is_locked, err))
        return false;
    if (!is_locked) {
        log_event(LOG_INFO, "job_ongoing", "another process runs it", LOG_S("job", job->name));
        return true;
    }
    /* Once more under the lock: somebody may have just finished it. */
    bool ok = plan_parse(job->frequency, job->time, job->flags & JOB_BACKFILL, &plan, err) &&
              load_state(s, job, &st, err);
    if (ok && plan_is_due(&plan, &st, now_us()))
        ok = run_slots(s, job, &plan, &st, ret_failed, err);
    if (ok)
        set_gauges(s, job, &st);
    return DB_EXEC(s->db, &q_cron_unlock, ok ? err : ERR_IGNORED, job->name) && ok;
}

bool scheduler_tell_overdue(struct scheduler *s, struct err *err)
{
    DB_ROWS rows = {0};
    if (s->alerted_ms && mono_ms() - s->alerted_ms < ALERT_EVERY_MS)
        return true;
    if (!DB_RUN(s->db, &q_cron_overdue, &rows, err))
        return false;
    for (int i = 0; i < rows.count; i++)
        log_event(LOG_ERROR, "job_alert", "a scheduled job is overdue",
                  LOG_S("job", db_col(&rows, i, Q_CRON_OVERDUE_COL_APP_NAME)),
                  LOG_S("last_success", db_col(&rows, i, Q_CRON_OVERDUE_COL_LAST_SUCCESS)));
    if (rows.count)
        s->alerted_ms = mono_ms();
    return true;
}

/*
 * Somebody else's run of the same job comes to its end first.  The lock is asked for again and
 * again rather than waited for in the server: a statement that waits could not be left by a signal.
 */
static bool wait_for_lock(struct scheduler *s, const struct cron_job *job, int wait_ms,
                          struct err *err)
{
    int64_t end_ms = mono_ms() + wait_ms;
    bool is_locked = false;
    while (try_lock(s, job, &is_locked, err)) {
        if (is_locked)
            return true;
        if (proc_stopping() || mono_ms() > end_ms)
            return err_set(err, ERR_CONFLICT, "another process runs the job %s", job->name);
        proc_wait(NULL, 0, LOCK_POLL_MS);
    }
    return false;
}

/* Neither due nor a success: the state is not touched, so the plan goes on as if nothing had
 * been. */
bool scheduler_force(struct scheduler *s, const struct cron_job *job, const char *const *args,
                     struct err *err)
{
    struct lock lock = {s, job->name};
    struct run_result r;
    struct run_request q = {
        .conf = s->conf,
        .metrics = s->metrics,
        .fields = s->fields,
        .job = job,
        .run_time_us = now_us(),
        .last_success_us = TIME_NEVER,
        .args = args,
        .is_interactive = true,
        .keep_alive = keep_lock,
        .arg = &lock,
    };
    if (!wait_for_lock(s, job, FORCE_WAIT_MS, err))
        return false;
    bool ok = run_job(&q, &r, err);
    DB_EXEC(s->db, &q_cron_unlock, ERR_IGNORED, job->name);
    return ok && (r.ok || err_set(err, ERR_INTERNAL, "%s: %s: %s", job->name, r.type, r.value));
}

/*
 * Under the lock, as for a run: if another scheduler has it by now, its run is the newer one and
 * tells the state.
 */
bool scheduler_note_death(struct scheduler *s, const struct cron_job *job, int signal,
                          int64_t duration_ms, struct err *err)
{
    struct job_state st;
    struct run_result r = {.duration_ms = duration_ms, .items = -1, .value = "the job died"};
    snprintf(r.type, sizeof r.type, "killed by signal %d", signal);
    if (!wait_for_lock(s, job, DEATH_WAIT_MS, err))
        return err->code == ERR_CONFLICT;
    bool ok = load_state(s, job, &st, err);
    if (ok) {
        plan_failure(&st, now_us());
        log_result(s->metrics, job, &st, &r);
        ok = save_log(s, job, TIME_NEVER, &r, err) && save_state(s, job, &st, &r, err);
    }
    return DB_EXEC(s->db, &q_cron_unlock, ok ? err : ERR_IGNORED, job->name) && ok;
}

static void print_time(const char *label, int64_t us)
{
    char text[TIME_TEXT_MAX] = "never";
    if (us != TIME_NEVER)
        time_iso_s(us / 1000000, text);
    printf("    %-13s %s\n", label, text);
}

/* A job without a row was never run. */
bool scheduler_list(struct scheduler *s, struct err *err)
{
    for (size_t i = 0; i < s->jobs.n; i++) {
        const struct cron_job *job = &s->jobs.v[i];
        DB_ROWS rows = {0};
        if (!DB_RUN(s->db, &q_cron_state, &rows, err, job->name))
            return false;
        printf("%s\n    %s\n    schedule:     every %s%s%s%s%s\n", job->name, job->help,
               job->frequency, job->time ? " @ " : "", job->time ? job->time : "",
               job->time ? " UTC" : "", job->flags & JOB_OFF ? " (off)" : "");
        if (rows.count == 0) {
            puts("    Never run.");
            continue;
        }
        print_time("last run:", db_col_int(&rows, 0, Q_CRON_STATE_COL_LAST_RUN, TIME_NEVER));
        print_time("last success:",
                   db_col_int(&rows, 0, Q_CRON_STATE_COL_LAST_SUCCESS, TIME_NEVER));
        print_time("next run:", db_col_int(&rows, 0, Q_CRON_STATE_COL_NEXT_RUN, TIME_NEVER));
        if (*db_col(&rows, 0, Q_CRON_STATE_COL_LAST_ERROR))
            printf("    %-13s %s\n", "last error:", db_col(&rows, 0, Q_CRON_STATE_COL_LAST_ERROR));
    }
    return true;
}

/* A job without state is due at once, or at its time of day. */
bool scheduler_reset(struct scheduler *s, const char *name, struct err *err)
{
    return DB_EXEC(s->db, &q_cron_reset, err, name);
}

/* For a job that must not catch up with what it has missed. */
bool scheduler_mark_success(struct scheduler *s, const struct cron_job *job, struct err *err)
{
    struct plan plan;
    struct job_state st;
    if (!plan_parse(job->frequency, job->time, job->flags & JOB_BACKFILL, &plan, err) ||
        !load_state(s, job, &st, err))
        return false;
    plan_success(&plan, &st, now_us(), now_us());
    return save_state(s, job, &st, NULL, err);
}
