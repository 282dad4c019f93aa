/*
 * datil-webapp: pages, JSON API and access control.
 *
 * A program of the web is a value: routes, what a worker makes before its first request (webapp.c),
 * templates and their layout, and the form of errors. lib/web does everything else, from the
 * command line and the configuration over the workers to the log; so there is nothing to read here
 * but what makes this program differ from the other two.
 */
#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/routes.h"
#include "fcgi/webapp/version_documents.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/base/util.h"
#include "lib/web/web.h"
#include "rows.h"

/* What few may do at once, since a search occupies a worker for seconds: decisions, 096. */
static const struct web_turns search_turns = {"searches", CONF_SEARCH_MAX_CONCURRENT,
                                              CONF_SEARCH_MAX_PER_ADDRESS};

int main(int argc, char **argv)
{
    struct version_keeper keeper = {.metrics = metrics_new()};
    const struct proc_group groups[] = {
        {.name = "versions", .count = 1, .run = version_keeper_run, .arg = &keeper},
    };
    const struct web_program program = {
        .name = "datil-webapp",
        .workers_key = CONF_WEBAPP_WORKERS,
        .routes = routes,
        .route_count = route_count,
        .params = answer_params,
        .start = app_start,
        .stop = app_stop,
        .reload = app_reload,
        .template_dir = "templates",
        .template_rows = &page_rows,
        .layout = layout_titled,
        .uses_db = true,
        .health = &webapp_health,
        .metrics = keeper.metrics,
        .metrics_program = IN_WEBAPP,
        .request_metric = METRIC_PAGEVIEW,
        .turns = &search_turns,
        .extra_groups = groups,
        .extra_group_count = ARRAY_LEN(groups),
        .error_body = layout_error,
    };
    return web_main(&program, argc, argv);
}
