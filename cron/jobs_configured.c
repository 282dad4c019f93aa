/*
 * The table of jobs is compiled in; an installation may run one less often, at another time, with
 * more patience, or not at all.  A word that is not understood stops the start: a retention that
 * was meant to be off and is not deletes.
 */
#include "cron/jobs_configured.h"

#include <string.h>

#include "cron/schedule.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

/* A week: what runs longer than its longest period is stuck. */
enum { LIMIT_MAX_S = 7 * 86400 };

static bool set_limit(struct cron_job *job, const char *text, struct err *err)
{
    struct plan plan;
    if (!plan_parse(text, NULL, false, &plan, err))
        return err_wrap(err, "limit");
    if (plan.every_us / SECOND_US > LIMIT_MAX_S)
        return err_set(err, ERR_INVALID, "limit: a job ends within a week");
    job->timeout_s = (int)(plan.every_us / SECOND_US);
    return true;
}

static bool take_word(struct arena *a, struct cron_job *job, struct str word, struct err *err)
{
    size_t equals = str_find_char(word, '=', 0);
    struct str key = str_sub(word, 0, equals);
    const char *value = equals == SIZE_MAX ? "" : str_adup(a, str_sub(word, equals + 1, SIZE_MAX));
    if (str_eq(word, STR("off")))
        job->flags |= JOB_OFF;
    else if (str_eq(key, STR("every")))
        job->frequency = value;
    else if (str_eq(key, STR("time")))
        job->time = strcmp(value, "none") == 0 ? NULL : value;
    else if (str_eq(key, STR("limit")))
        return set_limit(job, value, err);
    else
        return err_set(err, ERR_INVALID, "'" STR_FMT "': say every=, time=, limit= or off",
                       STR_ARG(str_sub(word, 0, 40)));
    return true;
}

static bool next_word(struct str *rest, struct str *ret)
{
    *rest = str_trim(*rest);
    return rest->n > 0 && str_split(rest, ' ', ret);
}

static struct cron_job *find_in(const struct job_list *l, struct str name)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(name, str_of(l->v[i].name)))
            return &l->v[i];
    return NULL;
}

static bool configure_job(struct arena *a, struct str entry, struct job_list *l, struct err *err)
{
    struct str name, word;
    struct plan plan;
    if (!next_word(&entry, &name))
        return true;
    struct cron_job *job = find_in(l, name);
    if (!job)
        return err_set(err, ERR_INVALID, "there is no job '" STR_FMT "'",
                       STR_ARG(str_sub(name, 0, 60)));
    while (next_word(&entry, &word))
        if (!take_word(a, job, word, err))
            return err_wrap(err, "%s", job->name);
    return plan_parse(job->frequency, job->time, false, &plan, err) ||
           err_wrap(err, "%s", job->name);
}

bool jobs_configure(struct arena *a, const char *text, struct job_list *ret, struct err *err)
{
    struct job_list l = {arena_array(a, cron_job_count, sizeof *l.v), cron_job_count};
    struct str rest = str_of(text), entry;
    memcpy(l.v, cron_jobs, cron_job_count * sizeof *l.v);
    while (str_split(&rest, ';', &entry))
        if (!configure_job(a, entry, &l, err))
            return err_wrap(err, "CRON_JOBS");
    *ret = l;
    return true;
}
