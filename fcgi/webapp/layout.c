/*
 * What stands around every page: header with the menus of products and versions, the notices of
 * the administrator, the user, and the page for errors.  A part that cannot be made (no database,
 * no search) is left out: the layout of an error page must not be a second error.
 */
#include "fcgi/webapp/layout.h"

#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/live_versions.h"
#include "fcgi/webapp/url_query.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

enum { NOTICES_KEEP_MS = 10000, VERSIONS_SHOWN = 30 };

/* An empty version asks for all of them, NULL leaves the choice to the page. */
struct str layout_url(struct arena *a, const char *path, const char *product, const char *version)
{
    struct query q = query_new(a);
    query_addc(&q, "product", product);
    if (version)
        query_addc(&q, "version", version);
    return query_url(&q, path);
}

void layout_add_link(struct tpl_rows *rows, struct str text, struct str url)
{
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_text(row, LINK_TEXT, text);
    tpl_col_url(row, LINK_URL, url);
}

void layout_add_choice(struct tpl_rows *rows, const char *text, struct str url, bool is_current)
{
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, CHOICE_TEXT, text);
    tpl_col_url(row, CHOICE_URL, url);
    tpl_col_bool(row, CHOICE_IS_CURRENT, is_current);
}

/* The page of one product. */
static struct str product_home(struct arena *a, const char *product)
{
    struct str name = url_encode(a, str_of(product));
    return str_of(arena_printf(a, "/home/product/" STR_FMT, STR_ARG(name)));
}

/* Kept by the worker for a while: every page shows them, and they hardly ever change. */
static void load_notices(struct req *r)
{
    struct webapp *app = app_of(r);
    DB_ROWS rows = {0};
    struct err err = {0};
    app->notices_until_ms = mono_ms() + NOTICES_KEEP_MS;
    if (!DB_RUN(req_db(r), &q_web_notices, &rows, &err))
        return; /* the page works without; the log has it from the database module */
    for (size_t i = 0; i < app->notice_count; i++) {
        free(app->notices[i].severity);
        free(app->notices[i].message);
    }
    free(app->notices);
    app->notices = xcalloc((size_t)rows.count + 1, sizeof *app->notices);
    app->notice_count = 0;
    for (int i = 0; i < rows.count; i++)
        app->notices[app->notice_count++] =
            (struct notice){xstrdup(db_col(&rows, i, Q_WEB_NOTICES_COL_SEVERITY)),
                            xstrdup(db_col(&rows, i, Q_WEB_NOTICES_COL_MESSAGE))};
}

/* "bug #123" becomes a link, the rest is text. */
static void add_notice_text(struct req *r, struct tpl_rows *parts, struct str text)
{
    size_t shown = 0;
    for (size_t at = 0; (at = str_find(text, STR("bug #"), at)) != SIZE_MAX;) {
        size_t digits = at + 5, end = digits;
        while (end < text.n && text.p[end] >= '0' && text.p[end] <= '9')
            end++;
        if (end > digits) {
            const char *id = str_adup(req_arena(r), str_sub(text, digits, end - digits));
            layout_add_link(parts, str_sub(text, shown, at - shown), STR(""));
            layout_add_link(parts, str_sub(text, at, end - at), app_bug_url(r, id));
            shown = end;
        }
        at = end;
    }
    layout_add_link(parts, str_sub(text, shown, SIZE_MAX), STR(""));
}

static void set_notices(struct req *r, struct tpl_values *v)
{
    struct webapp *app = app_of(r);
    if (app->notices_until_ms <= mono_ms())
        load_notices(r);
    struct tpl_rows *rows = tpl_list(v, LIST_NOTICES);
    for (size_t i = 0; i < app->notice_count; i++) {
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, NOTICE_SEVERITY, app->notices[i].severity);
        add_notice_text(r, tpl_col_rows(row, NOTICE_PARTS), str_of(app->notices[i].message));
    }
}

/* Where the version menu leads: top crashers from top crashers, else the search. */
static const char *version_path(const struct layout *l)
{
    return l->nav && strcmp(l->nav, "topcrashers") == 0 ? "/topcrashers/" : "/search/";
}

/* The menu of versions, and links that stay with the product and version that are shown. */
static void set_product(struct req *r, struct tpl_values *v, const struct layout *l,
                        const struct product *product)
{
    struct arena *a = req_arena(r);
    struct tpl_rows *rows = tpl_list(v, LIST_NAV_VERSIONS);
    const struct live_versions *versions = live_versions_of(r, product);
    /* An empty version asks for all of them; without one top crashers take the newest. */
    layout_add_choice(rows, "All versions", layout_url(a, version_path(l), product->name, ""),
                      !l->version);
    for (size_t i = 0; i < versions->n && i < VERSIONS_SHOWN; i++) {
        const char *text = versions->v[i].text;
        layout_add_choice(rows, text, layout_url(a, version_path(l), product->name, text),
                          l->version && strcmp(l->version, text) == 0);
    }
    tpl_cstr(v, "product", product->name);
    tpl_cstr(v, "version_label", l->version ? l->version : "All versions");
    tpl_url(v, "overview_url", product_home(a, product->name));
    tpl_url(v, "topcrashers_url", layout_url(a, "/topcrashers/", product->name, l->version));

    struct query q = query_new(a);
    query_addc(&q, "product", product->name);
    if (l->version)
        query_addc(&q, "version", l->version);
    query_addc(&q, "_dont_run", "1");
    tpl_url(v, "search_url", query_url(&q, "/search/"));
}

/*
 * The product in the header is that of the page; a page without one shows the first, so that there
 * is always a way to go on.  An installation without products has no menu, and every name of it is
 * empty.
 */
static void set_header(struct req *r, struct tpl_values *v, const struct layout *l)
{
    const struct products *products = app_products(r);
    const struct product *product = l->product ? l->product : products->n ? &products->v[0] : NULL;
    struct tpl_rows *rows = tpl_list(v, LIST_NAV_PRODUCTS);
    for (size_t i = 0; i < products->n; i++)
        layout_add_choice(rows, products->v[i].name,
                          product_home(req_arena(r), products->v[i].name),
                          &products->v[i] == product);
    tpl_bool(v, "has_product", product != NULL);
    if (product) {
        set_product(r, v, l, product);
        return;
    }
    static const char *const names[] = {"product", "version_label", "overview_url",
                                        "topcrashers_url"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        tpl_cstr(v, names[i], "");
    tpl_list(v, LIST_NAV_VERSIONS);
    tpl_cstr(v, "search_url", "/search/?_dont_run=1");
}

/* Comes back to the page that it was on, the log-in page itself excepted. */
static struct str login_url(struct req *r)
{
    struct arena *a = req_arena(r);
    struct str path = req_path(r), query = req_query(r);
    if (str_starts(path, STR("/login")))
        return STR("/login/");
    struct str here =
        query.n ? str_of(arena_printf(a, STR_FMT "?" STR_FMT, STR_ARG(path), STR_ARG(query)))
                : path;
    struct str next = url_encode(a, here);
    return str_of(arena_printf(a, "/login/?next=" STR_FMT, STR_ARG(next)));
}

/* The token is for forms that change something for who is logged in; the log-in page sets its own.
 */
static void set_user(struct req *r, struct tpl_values *v)
{
    const struct web_user *user = req_user(r);
    tpl_bool(v, "is_logged_in", user->is_logged_in);
    tpl_bool(v, "is_superuser", user->is_superuser);
    tpl_cstr(v, "user_email", user->email);
    tpl_cstr(v, "csrf_token", user->is_logged_in ? req_csrf_token(r) : "");
    tpl_url(v, "login_url", login_url(r));
    tpl_bool(v, "sees_protected", req_may(r, "view_pii"));
}

struct tpl_values *layout_new(struct req *r, const struct layout *l)
{
    struct tpl_values *v = tpl_values_new(req_arena(r));
    tpl_cstr(v, "title", l->title);
    tpl_cstr(v, "nav", l->nav);
    tpl_cstr(v, "asset", app_of(r)->asset);
    tpl_cstr(v, "server_version", DATIL_VERSION);
    tpl_cstr(v, "quick_query", "");
    tpl_cstr(v, "og_title", "");
    tpl_bool(v, "needs_chart", false);
    tpl_int(v, "reload_seconds", 0);
    set_header(r, v, l);
    set_user(r, v);
    set_notices(r, v);
    return v;
}

bool layout_send(struct req *r, int status, const char *template_name, struct tpl_values *v,
                 struct err *err)
{
    return resp_page(r, status, template_name, v, err);
}

/* Words for each status.  What the server itself got wrong is told in general words only. */
static const struct {
    int status;
    const char *heading, *message; /* message NULL: that of the error */
} error_texts[] = {
    {400, "Bad request", NULL},
    {403, "Not allowed", NULL},
    {404, "Page not found",
     "Nothing is at this address. It may have moved, or there is a slip in the link."},
    {405, "Method not allowed", NULL},
    {413, "Too large", NULL},
    {429, "Too Many Requests",
     "You are asking faster than this installation answers to one address. Wait a minute."},
    {500, "Internal Server Error", "Something went wrong here. It has been noted."},
    {503, "Not available just now",
     "A part of this installation does not answer. Try again in a moment."},
};

/*
 * Whether the client would show a page: not the API, not scripts, and not programs that ask for
 * something else.  Who takes anything, or does not say, gets the page.
 */
static bool wants_page(struct req *r)
{
    struct str accept = req_header(r, "Accept");
    return !str_starts(req_path(r), STR("/api/")) &&
           !str_eq_nocase(req_header(r, "X-Requested-With"), STR("XMLHttpRequest")) &&
           (str_find(accept, STR("text/html"), 0) != SIZE_MAX || accept.n == 0 ||
            str_find(accept, STR("*/*"), 0) != SIZE_MAX);
}

/* For programs that ask for JSON where a page would be. */
static bool send_json_error(struct req *r, int status, const struct err *err)
{
    json_auto_t *body = json_object();
    jset_cstr(body, "error", err->msg);
    jset_text(body, "path", req_path(r));
    jset_text(body, "query_string", req_query(r));
    return answer_json(r, status, body, ERR_IGNORED);
}

/*
 * The runner asks for this after a handler has failed, and answers in its own way where it returns
 * false: to scripts and programs, and when the page for the error cannot be made either.
 */
bool layout_error(struct req *r, int status, const struct err *err)
{
    bool is_api = str_starts(req_path(r), STR("/api/"));
    const struct param_problem *problem = req_param_problem(r);
    if (is_api && problem && status == 400)
        return answer_param_problem(r, problem);
    if (!wants_page(r) && !is_api &&
        str_find(req_header(r, "Accept"), STR("application/json"), 0) != SIZE_MAX)
        return send_json_error(r, status, err);
    if (!wants_page(r))
        return false;
    const char *heading = "Something went wrong", *message = err->msg;
    for (size_t i = 0; i < ARRAY_LEN(error_texts); i++)
        if (error_texts[i].status == status) {
            heading = error_texts[i].heading;
            bool is_page = strcmp(err->msg, "Page not found") == 0; /* no route at all */
            bool own = error_texts[i].message && (status != 404 || is_page) &&
                       err->code != ERR_BUSY; /* whose text says what to do */
            message = own ? error_texts[i].message : err->msg;
        }
    struct tpl_values *v = layout_new(r, &(struct layout){.title = heading});
    struct err why = {0};
    tpl_int(v, "status", status);
    tpl_cstr(v, "heading", heading);
    tpl_cstr(v, "message", message);
    tpl_cstr(v, "request_id", status >= 500 ? req_id(r) : "");
    if (layout_send(r, status, "error.html", v, &why))
        return true;
    log_event(LOG_ERROR, "error_page_failed", "the error page cannot be rendered", LOG_E(&why));
    return false;
}
