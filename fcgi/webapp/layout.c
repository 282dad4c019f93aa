/*
 * What stands around the pages of Crash Stats beside what all pages have (lib/web/site.h): menus of
 * products and versions, and links that stay with what they show.  A part that cannot be made (no
 * search) is left out: the layout of an error page must not be a second error.
 */
#include "fcgi/webapp/layout.h"

#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/live_versions.h"
#include "fcgi/webapp/url_query.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "rows.h"

/* What fits into a menu on a screen of 900 pixels; older ones are found by search. */
enum { VERSIONS_SHOWN = 30 };
/* What fits into the head of a page; of more versions the number is told. */
enum { VERSIONS_NAMED = 3 };

/* An empty version asks for all of them, NULL leaves the choice to the page. */
struct str layout_url(struct arena *a, const char *path, const char *product, const char *version)
{
    struct str text = str_of(version ? version : "");
    return layout_versions_url(a, path, product, (struct strs){&text, version ? 1 : 0});
}

struct str layout_versions_url(struct arena *a, const char *path, const char *product,
                               struct strs versions)
{
    struct query q = query_new(a);
    query_addc(&q, "product", product);
    for (size_t i = 0; i < versions.n; i++)
        query_add(&q, "version", versions.v[i]);
    return query_url(&q, path);
}

/* What the menu and the headings say about the versions that are shown. */
static const char *versions_label(struct arena *a, struct strs versions)
{
    const char *label = "All versions";
    for (size_t i = 0; i < versions.n && i < VERSIONS_NAMED; i++)
        label =
            arena_printf(a, "%s%s" STR_FMT, i ? label : "", i ? ", " : "", STR_ARG(versions.v[i]));
    if (versions.n > VERSIONS_NAMED)
        label = arena_printf(a, "%s and %zu more", label, versions.n - VERSIONS_NAMED);
    return label;
}

/* The page of one product. */
static struct str product_home(struct arena *a, const char *product)
{
    struct str name = url_encode(a, str_of(product));
    return str_of(arena_printf(a, "/home/product/" STR_FMT, STR_ARG(name)));
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
    site_add_choice(rows, "All versions", layout_url(a, version_path(l), product->name, ""),
                    l->versions.n == 0);
    for (size_t i = 0; i < versions->n && i < VERSIONS_SHOWN; i++) {
        const char *text = versions->v[i].text;
        site_add_choice(rows, text, layout_url(a, version_path(l), product->name, text),
                        strs_have(l->versions, str_of(text)));
    }
    tpl_cstr(v, "product", product->name);
    tpl_cstr(v, "version_label", versions_label(a, l->versions));
    tpl_url(v, "overview_url", product_home(a, product->name));
}

/*
 * Links that stay with the product and version that are shown.  Symbols are for those who have
 * something to do there: uploads are nobody else's business.
 */
static void set_links(struct req *r, struct tpl_values *v, const struct layout *l,
                      const struct product *product)
{
    struct arena *a = req_arena(r);
    struct tpl_rows *nav = tpl_list(v, LIST_NAV_LINKS);
    const char *at = l->nav ? l->nav : "";
    struct query q = query_new(a);
    if (product) {
        site_add_choice(nav, "Overview", product_home(a, product->name), !strcmp(at, "overview"));
        site_add_choice(nav, "Top crashers",
                        layout_versions_url(a, "/topcrashers/", product->name, l->versions),
                        !strcmp(at, "topcrashers"));
        query_addc(&q, "product", product->name);
    }
    for (size_t i = 0; product && i < l->versions.n; i++)
        query_add(&q, "version", l->versions.v[i]);
    query_addc(&q, "_dont_run", "1");
    site_add_choice(nav, "Super Search", query_url(&q, "/search/"), !strcmp(at, "search"));
    if (req_may(r, "upload_symbols") || req_may(r, "upload_try_symbols") ||
        req_may(r, "view_all_uploads"))
        site_add_choice(nav, "Symbols", STR("/symbols/"), false);

    static const char *const foot[][2] = {
        {"API", "/api/"},
        {"Help", "/documentation/"},
        {"Privacy", "/documentation/protected_data_access/"},
        {"Monitoring", "/monitoring/"},
    };
    struct tpl_rows *links = tpl_list(v, LIST_FOOT_LINKS);
    for (size_t i = 0; i < ARRAY_LEN(foot); i++)
        site_add_link(links, str_of(foot[i][0]), str_of(foot[i][1]));
    struct tpl_rows *account = tpl_list(v, LIST_ACCOUNT_LINKS);
    site_add_link(account, STR("Profile"), STR("/profile/"));
    if (req_user(r)->is_superuser)
        site_add_link(account, STR("Administration"), STR("/siteadmin/"));
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
        site_add_choice(rows, products->v[i].name, product_home(req_arena(r), products->v[i].name),
                        &products->v[i] == product);
    tpl_bool(v, "has_product", product != NULL);
    if (product) {
        set_product(r, v, l, product);
    } else {
        static const char *const names[] = {"product", "version_label", "overview_url"};
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            tpl_cstr(v, names[i], "");
        tpl_list(v, LIST_NAV_VERSIONS);
    }
    set_links(r, v, l, product);
}

struct tpl_values *layout_new(struct req *r, const struct layout *l)
{
    struct tpl_values *v = site_new(r, l->title);
    tpl_bool(v, "has_search", true);
    tpl_cstr(v, "quick_query", "");
    tpl_bool(v, "sees_protected", req_may(r, "view_pii"));
    set_header(r, v, l);
    return v;
}

struct tpl_values *layout_titled(struct req *r, const char *title)
{
    return layout_new(r, &(struct layout){.title = title});
}

bool layout_send(struct req *r, int status, const char *template_name, struct tpl_values *v,
                 struct err *err)
{
    return resp_page(r, status, template_name, v, err);
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
    if (is_api)
        return false;
    if (site_wants_page(r))
        return site_error_page(r, status, err);
    return str_find(req_header(r, "Accept"), STR("application/json"), 0) != SIZE_MAX &&
           send_json_error(r, status, err);
}
