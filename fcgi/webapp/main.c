#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/routes.h"
#include "lib/web/web.h"
#include "rows.h"

static const struct web_turns search_turns = {"searches", CONF_SEARCH_MAX_CONCURRENT,
                                              CONF_SEARCH_MAX_PER_ADDRESS};

/* datil-webapp: pages, JSON API and access control. */
int main(int argc, char **argv)
{
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
        .turns = &search_turns,
        .error_body = layout_error,
    };
    return web_main(&program, argc, argv);
}
