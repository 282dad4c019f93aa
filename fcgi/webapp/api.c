/*
 * The page /api/: every endpoint with its parameters and a form to try it, made from the rows of
 * routes.c.  What stands there for the reference is what people read here, so neither can name a
 * parameter that the runner does not check.
 */
#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/routes.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/tpl/tpl.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"
#include "rows.h"

static void add_params(struct tpl_rows *rows, const struct route *route)
{
    for (size_t i = 0; route->params && route->params[i]; i++) {
        const struct param_spec *p = route->params[i];
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, ENDPOINT_PARAM_NAME, p->name);
        tpl_col_cstr(row, ENDPOINT_PARAM_IS_REQUIRED, p->flags & PARAM_REQUIRED ? "yes" : "");
        tpl_col_cstr(row, ENDPOINT_PARAM_TYPE, param_type_name(p->type));
        tpl_col_cstr(row, ENDPOINT_PARAM_TEXT, p->help);
    }
}

/* 0 in the configuration means no limit, which a number would say wrongly. */
static const char *limit_text(struct req *r, enum conf_name key)
{
    int64_t n = conf_int(req_conf(r), key);
    return n ? arena_printf(req_arena(r), "%lld calls", (long long)n) : "as many calls as you like";
}

/* The form to try it sends one method; where an endpoint has two, GET, which changes nothing. */
static enum method main_method(const struct route *route)
{
    return route->methods & METHOD_GET ? METHOD_GET : METHOD_POST;
}

static void add_endpoint(struct req *r, struct tpl_rows *rows, const struct route *route)
{
    struct tpl_row *row = tpl_row_add(rows);
    struct str name = str_of(route->path + strlen("/api/"));
    bool lacks = route->permission && !req_may(r, route->permission);
    tpl_col_text(row, ENDPOINT_NAME, str_sub(name, 0, name.n - 1)); /* without the slash */
    tpl_col_cstr(row, ENDPOINT_METHOD, method_name(main_method(route)));
    tpl_col_cstr(row, ENDPOINT_TEXT, route->doc);
    tpl_col_cstr(row, ENDPOINT_ADDRESS,
                 arena_printf(req_arena(r), "%s%s", app_of(r)->base_url, route->path));
    add_params(tpl_col_rows(row, ENDPOINT_PARAMS), route);
    tpl_col_cstr(row, ENDPOINT_PERMISSION, lacks ? web_permission_label(route->permission) : "");
    tpl_col_url(row, ENDPOINT_PATH, str_of(route->path));
}

/*
 * GET /api/.  Prefixes are left out: they catch what no endpoint answers and are none themselves.
 */
bool api_docs_get(struct req *r, struct err *err)
{
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "API"});
    struct tpl_rows *rows = tpl_list(v, LIST_ENDPOINTS);
    for (size_t i = 0; i < route_count; i++)
        if (routes[i].flags & ROUTE_API && !(routes[i].flags & ROUTE_PREFIX))
            add_endpoint(r, rows, &routes[i]);
    tpl_cstr(v, "limit_anonymous", limit_text(r, CONF_RATE_LIMIT_API_ANONYMOUS));
    tpl_cstr(v, "limit_user", limit_text(r, CONF_RATE_LIMIT_API_USER));
    return layout_send(r, 200, "api.html", v, err);
}

/*
 * Anything else below /api/.  In the API's form and not as a page, since a program reads it; the
 * name is cut to 100 bytes, because strangers choose it.
 */
bool api_unknown_get(struct req *r, struct err *err)
{
    (void)err;
    struct str name = req_path_rest(r);
    name = str_sub(name, 0, str_find_char(name, '/', 0));
    return answer_error(r, 404, "No service called '" STR_FMT "'", STR_ARG(str_sub(name, 0, 100)));
}
