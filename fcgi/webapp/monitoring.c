/*
 * Addresses for machines that watch this one, and small files that browsers ask for by themselves.
 * A health check that fails says so with its status; the reason goes to the log, since anybody may
 * ask.
 */
#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/url_query.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/ledger/ledger.h"
#include "lib/store/store.h"
#include "lib/tpl/tpl.h"
#include "lib/web/health.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "rows.h"

/*
 * That it is the store of this installation, by its mark, and that it can be listed: a mount that
 * is gone leaves an empty directory, which would look like a store without crashes.
 */
static bool check_store(struct req *r, struct err *err)
{
    struct webapp *app = app_of(r);
    struct strs days = {0};
    return ledger_store_check(req_db(r), app->store, app->installation, err) &&
           store_days(app->store, req_arena(r), &days, err);
}

/* One search as anybody may do it: default product, one hit, no part of the index missing. */
static bool check_search(struct req *r, struct err *err)
{
    const struct products *products = app_products(r);
    struct query q = query_new(req_arena(r));
    json_auto_t *answer = NULL;
    if (products->n > 0)
        query_addf(&q, "product", "%s", products->v[0].name);
    query_addc(&q, "_results_number", "1");
    query_addc(&q, "_facets_size", "0");
    if (!app_search(r, &q, (struct app_search){.as_public = true, .is_check = true}, &answer, NULL,
                    err))
        return false;
    if (json_array_size(jget_arr(answer, "errors")) > 0)
        return err_set(err, ERR_INTERNAL, "a part of the index cannot be read");
    return true;
}

/* The answer says no more than yes or no; the log names the part. */
static bool answer_health(struct req *r, const struct health_verdict *v, size_t n, struct err *err)
{
    bool ok = n == 0 || v[n - 1].holds;
    json_auto_t *body = json_pack("{s:b}", "ok", (int)ok);
    return answer_json(r, ok ? 200 : 500, body, err);
}

static const struct health_check health_checks[] = {
    {"database", health_database},
    {"store", check_store},
    {"search", check_search},
};
const struct health webapp_health = {
    .checks = health_checks,
    .check_count = ARRAY_LEN(health_checks),
    .ends_at_failure = true, /* no store without the database, which knows its mark */
    .answer = answer_health,
    .version_type = "application/json; charset=UTF-8",
};

/*
 * GET /__broken__: to see that errors are noticed.  Only through the operators' door (ROUTE_LOCAL):
 * a stranger could fill the log with it.
 */
bool broken_get(struct req *r, struct err *err)
{
    (void)r;
    return err_set(err, ERR_INTERNAL, "this page is broken on purpose");
}

/* GET /monitoring/ */
bool monitoring_get(struct req *r, struct err *err)
{
    static const char *const links[][2] = {
        {"/__heartbeat__", "database, store and search answer"},
        {"/__lbheartbeat__", "this program answers"},
        {"/__version__", "what is installed"},
        {"/monitoring/cron/", "state of the scheduled jobs"},
    };
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "Monitoring"});
    struct tpl_rows *rows = tpl_list(v, LIST_MONITORING_LINKS);
    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        site_add_link(rows, str_of(links[i][1]), str_of(links[i][0]));
    return layout_send(r, 200, "monitoring.html", v, err);
}

/* GET /robots.txt: crash reports are no business of search engines. */
bool robots_get(struct req *r, struct err *err)
{
    (void)err;
    return resp_bytes(r, 200, "text/plain; charset=utf-8", STR("User-agent: *\nDisallow: /\n"));
}

/* Browsers ask for it whatever a page says; the picture is where all static files are. */
bool favicon_get(struct req *r, struct err *err)
{
    (void)err;
    return resp_redirect(r, 301, STR("/static/img/favicon.svg"));
}

/* GET /contribute.json: what this is and under which license, in the form of Mozilla's sites. */
bool contribute_get(struct req *r, struct err *err)
{
    json_auto_t *body = json_pack("{s:s, s:s, s:{s:s}}", "name", "Datil", "description",
                                  "Crash-ingestion: collects, processes and ranks crash reports",
                                  "repository", "license", "GPL-3.0-or-later");
    return answer_json(r, 200, body, err);
}

/*
 * POST /__cspreport__: browsers tell what the policy stopped; only that it happened is noted.  The
 * body is not even read: anybody can send one, and it would put a stranger's text into the log.
 */
bool csp_report_post(struct req *r, struct err *err)
{
    (void)err;
    log_event(LOG_WARN, "csp_report", "a browser stopped something on a page",
              LOG_S("request_id", req_id(r)));
    return resp_bytes(r, 204, NULL, STR(""));
}

/* /query/… of old links */
bool old_query_get(struct req *r, struct err *err)
{
    (void)err;
    struct str q = req_query(r);
    return resp_redirect(
        r, 301,
        str_of(arena_printf(req_arena(r), "/search/%s" STR_FMT, q.n ? "?" : "", STR_ARG(q))));
}

bool old_profile_get(struct req *r, struct err *err)
{
    (void)err;
    return resp_redirect(r, 301, STR("/profile/"));
}

/* GET /about/throttling/ */
bool throttling_get(struct req *r, struct err *err)
{
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "Why a report may be missing"});
    return layout_send(r, 200, "throttling.html", v, err);
}
