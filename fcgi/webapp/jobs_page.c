/*
 * GET /monitoring/cron/: how the scheduled jobs are, as JSON for what watches this installation and
 * as a page for people.  Always 200; the word says it.  A job in error counts more than a scheduler
 * that has not run for two hours (the time is in sql/webapp.sql) or jobs that are overdue: whoever
 * is told "Broken" looks at the jobs and sees the others as well.
 *
 * Anybody may look, so of an error only its kind is told; its text may name paths and addresses and
 * is for superusers.
 */
#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/webapp.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

static json_t *names_json(const char *names)
{
    json_t *list = json_array();
    struct str rest = str_of(names), name;
    while (str_split(&rest, ',', &name))
        json_array_append_new(list, jtext(name));
    return list;
}

/* "Broken", "Stale" or "ALLGOOD", and why. */
static void set_status(json_t *body, const struct db_rows *health)
{
    const char *broken = db_col(health, 0, Q_WEB_CRON_HEALTH_COL_BROKEN);
    const char *overdue = db_col(health, 0, Q_WEB_CRON_HEALTH_COL_OVERDUE);
    bool is_broken = broken && *broken, is_late = overdue && *overdue;
    if (is_broken) {
        jset_cstr(body, "status", "Broken");
        json_object_set_new(body, "broken", names_json(broken));
    } else if (is_late || db_col_bool(health, 0, Q_WEB_CRON_HEALTH_COL_IS_STALE)) {
        jset_cstr(body, "status", "Stale");
        jset_cstr(body, "last_run", db_col(health, 0, Q_WEB_CRON_HEALTH_COL_LAST_RUN));
    } else {
        jset_cstr(body, "status", "ALLGOOD");
    }
    const char *unconfigured = db_col(health, 0, Q_WEB_CRON_HEALTH_COL_UNCONFIGURED);
    if (unconfigured && *unconfigured)
        json_object_set_new(body, "unconfigured", names_json(unconfigured));
    if (is_late)
        json_object_set_new(body, "overdue", names_json(overdue));
}

/* What of a job's last error this reader may see; "" without one. */
static const char *error_of(struct req *r, const struct db_rows *rows, int i)
{
    const char *type = db_col(rows, i, Q_WEB_CRON_JOBS_COL_ERROR_TYPE);
    const char *text = db_col(rows, i, Q_WEB_CRON_JOBS_COL_ERROR_TEXT);
    if (!type)
        return "";
    return req_user(r)->is_superuser && text ? arena_printf(req_arena(r), "%s: %s", type, text)
                                             : type;
}

static void set_time(json_t *job, const char *key, const struct db_rows *rows, int i, int column)
{
    char text[TIME_TEXT_MAX];
    int64_t us = db_col_int(rows, i, column, INT64_MIN);
    if (us != INT64_MIN)
        time_iso_s(us / SECOND_US, text);
    jset_cstr(job, key, us == INT64_MIN ? NULL : text);
}

static json_t *job_json(struct req *r, const struct db_rows *rows, int i)
{
    json_t *job = json_object();
    double seconds;
    const char *took = db_col(rows, i, Q_WEB_CRON_JOBS_COL_LAST_DURATION);
    const char *items = db_col(rows, i, Q_WEB_CRON_JOBS_COL_LAST_ITEMS);
    const char *error = error_of(r, rows, i);
    jset_cstr(job, "job", db_col(rows, i, Q_WEB_CRON_JOBS_COL_APP_NAME));
    jset_bool(job, "is_off", db_col_bool(rows, i, Q_WEB_CRON_JOBS_COL_IS_OFF));
    const char *lacks = db_col(rows, i, Q_WEB_CRON_JOBS_COL_LACKS);
    jset_cstr(job, "lacks", *lacks ? lacks : NULL);
    jset_bool(job, "is_running", db_col_bool(rows, i, Q_WEB_CRON_JOBS_COL_IS_RUNNING));
    jset_bool(job, "is_overdue", db_col_bool(rows, i, Q_WEB_CRON_JOBS_COL_IS_OVERDUE));
    set_time(job, "last_run", rows, i, Q_WEB_CRON_JOBS_COL_LAST_RUN);
    set_time(job, "last_success", rows, i, Q_WEB_CRON_JOBS_COL_LAST_SUCCESS);
    set_time(job, "next_run", rows, i, Q_WEB_CRON_JOBS_COL_NEXT_RUN);
    json_object_set_new(job, "last_duration",
                        took && str_to_double(str_of(took), "duration", &seconds, ERR_IGNORED)
                            ? json_real(seconds)
                            : json_null());
    json_object_set_new(job, "last_items",
                        items ? json_integer(db_col_int(rows, i, Q_WEB_CRON_JOBS_COL_LAST_ITEMS, 0))
                              : json_null());
    jset_int(job, "error_count", db_col_int(rows, i, Q_WEB_CRON_JOBS_COL_ERROR_COUNT, 0));
    jset_cstr(job, "last_error", *error ? error : NULL);
    return job;
}

static const char *time_text(struct req *r, const struct db_rows *rows, int i, int column,
                             const char *never)
{
    int64_t us = db_col_int(rows, i, column, INT64_MIN);
    return us == INT64_MIN ? never : human_time(req_arena(r), us);
}

/* Seconds with a digit behind the point up to a minute: most jobs take less than one. */
static const char *took_text(struct req *r, const struct db_rows *rows, int i)
{
    double seconds;
    const char *text = db_col(rows, i, Q_WEB_CRON_JOBS_COL_LAST_DURATION);
    if (!text || !str_to_double(str_of(text), "duration", &seconds, ERR_IGNORED))
        return "";
    return seconds < 60 ? arena_printf(req_arena(r), "%.1f s", seconds)
                        : human_duration(req_arena(r), (int64_t)seconds);
}

static void add_job(struct req *r, struct tpl_rows *list, const struct db_rows *rows, int i)
{
    const char *items = db_col(rows, i, Q_WEB_CRON_JOBS_COL_LAST_ITEMS);
    int64_t errors = db_col_int(rows, i, Q_WEB_CRON_JOBS_COL_ERROR_COUNT, 0);
    struct tpl_row *row = tpl_row_add(list);
    tpl_col_cstr(row, SCHEDULED_JOB_NAME, db_col(rows, i, Q_WEB_CRON_JOBS_COL_APP_NAME));
    tpl_col_cstr(row, SCHEDULED_JOB_HELP, db_col(rows, i, Q_WEB_CRON_JOBS_COL_HELP));
    tpl_col_bool(row, SCHEDULED_JOB_IS_OFF, db_col_bool(rows, i, Q_WEB_CRON_JOBS_COL_IS_OFF));
    tpl_col_cstr(row, SCHEDULED_JOB_LACKS, db_col(rows, i, Q_WEB_CRON_JOBS_COL_LACKS));
    tpl_col_bool(row, SCHEDULED_JOB_IS_RUNNING,
                 db_col_bool(rows, i, Q_WEB_CRON_JOBS_COL_IS_RUNNING));
    tpl_col_bool(row, SCHEDULED_JOB_IS_OVERDUE,
                 db_col_bool(rows, i, Q_WEB_CRON_JOBS_COL_IS_OVERDUE));
    tpl_col_bool(row, SCHEDULED_JOB_IS_FAILING, errors > 0);
    tpl_col_cstr(row, SCHEDULED_JOB_LAST_SUCCESS,
                 time_text(r, rows, i, Q_WEB_CRON_JOBS_COL_LAST_SUCCESS, "never"));
    tpl_col_cstr(row, SCHEDULED_JOB_NEXT_RUN,
                 time_text(r, rows, i, Q_WEB_CRON_JOBS_COL_NEXT_RUN, ""));
    tpl_col_cstr(row, SCHEDULED_JOB_TOOK, took_text(r, rows, i));
    tpl_col_cstr(
        row, SCHEDULED_JOB_ITEMS,
        items ? human_count(req_arena(r), db_col_int(rows, i, Q_WEB_CRON_JOBS_COL_LAST_ITEMS, 0))
              : "");
    tpl_col_cstr(row, SCHEDULED_JOB_ERRORS, errors ? human_count(req_arena(r), errors) : "");
    tpl_col_cstr(row, SCHEDULED_JOB_ERROR, error_of(r, rows, i));
}

static bool send_page(struct req *r, const json_t *body, const struct db_rows *jobs,
                      struct err *err)
{
    static const struct {
        const char *status, *text, *class;
    } words[] = {
        {"ALLGOOD", "Jobs run as planned.", "good"},
        {"Stale", "Jobs are overdue, or the scheduler does not run.", "warn"},
        {"Broken", "Jobs fail.", "bad"},
    };
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "Scheduled jobs"});
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(jget_str(body, "status"), words[i].status) == 0) {
            tpl_text(v, "status", str_of(words[i].status));
            tpl_text(v, "status_text", str_of(words[i].text));
            tpl_text(v, "status_class", str_of(words[i].class));
        }
    tpl_bool(v, "has_unconfigured", jget_arr(body, "unconfigured") != NULL);
    struct tpl_rows *list = tpl_list(v, LIST_SCHEDULED_JOBS);
    for (int i = 0; i < jobs->count; i++)
        add_job(r, list, jobs, i);
    return layout_send(r, 200, "monitoring_cron.html", v, err);
}

bool monitoring_cron_get(struct req *r, struct err *err)
{
    DB_ROWS health = {0};
    DB_ROWS jobs = {0};
    if (!DB_RUN(req_db(r), &q_web_cron_health, &health, err) ||
        !DB_RUN(req_db(r), &q_web_cron_jobs, &jobs, err))
        return err_wrap(err, "looking up the jobs");
    resp_header(r, "Vary", STR("Accept"));
    json_auto_t *body = json_object();
    set_status(body, &health);
    if (str_find(req_header(r, "Accept"), STR("text/html"), 0) != SIZE_MAX)
        return send_page(r, body, &jobs, err);
    json_t *list = json_array();
    json_object_set_new(body, "jobs", list);
    for (int i = 0; i < jobs.count; i++)
        json_array_append_new(list, job_json(r, &jobs, i));
    return answer_json(r, 200, body, err);
}
