/*
 * Super Search for people: the form, and below it hits and facets.
 *
 * The address is the state: what the form sends is what the API would be asked (search_form.h), so
 * a search can be bookmarked, sent to somebody and opened as JSON. The page works without scripts;
 * the form is sent to itself, and the script only fills in lines. Columns, facets and sort keys
 * that this reader may not use are left out as if they had not been asked for, because an address
 * is often that of somebody who may see more; a filter on such a field is dropped by lib/search. A
 * search that fails by what was asked shows its words above a form that still has everything in it;
 * half a result is never shown.  What was left out because it is protected is named above the
 * results.
 */
#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/extract_answer.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/results.h"
#include "fcgi/webapp/results_facets.h"
#include "fcgi/webapp/search_form.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/crash/field.h"
#include "lib/crash/product.h"
#include "lib/search/facet_kind.h"
#include "lib/tpl/tpl.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"
#include "rows.h"

/* Everything else in an address of the search is a field or begins with "_", and lib/search's. */
static const struct param_spec dont_run = {"_dont_run", PARAM_FLAG, PARAM_SKIP_EMPTY,
                                           .help = "shows the form filled in, without results"};
const struct param_spec *const search_params[] = {SEARCH_FORM_PARAMS, &dont_run,
                                                  &results_page_param, EXTRACT_PARAMS, NULL};
const struct param_spec *const search_results_params[] = {&results_page_param, EXTRACT_PARAMS,
                                                          NULL};
static const struct param_spec exclude = {"exclude", PARAM_LIST, .help = "fields to leave out"};
const struct param_spec *const search_fields_params[] = {&exclude, NULL};
static const struct param_spec quick = {"query", PARAM_TEXT, PARAM_TRIMMED,
                                        .help = "crash id or part of a signature"};
const struct param_spec *const search_quick_params[] = {&quick, NULL};

static const char *const default_columns[] = {"date",     "signature", "product", "version",
                                              "build_id", "platform",  NULL};
static const char *const default_facets[] = {"signature", NULL};
static const char *const default_sort[] = {"-date", NULL};

/* The values of a parameter, or those that an address without it means. */
static struct strs list_or(const struct query *q, const char *name, const char *const *fallback)
{
    struct strs l = query_all(q, name);
    if (l.n > 0)
        return l;
    size_t n = 0;
    while (fallback[n])
        n++;
    l.v = arena_array(q->a, n + 1, sizeof *l.v);
    for (size_t i = 0; i < n; i++)
        l.v[l.n++] = str_of(fallback[i]);
    return l;
}

/* Only what this reader may use: the rest is as if it had not been asked for. */
static struct strs visible(struct req *r, struct strs names)
{
    size_t kept = 0;
    for (size_t i = 0; i < names.n; i++) {
        struct str name = names.v[i];
        facet_kind_take(&name);
        if (str_starts(name, STR("-")))
            name = str_sub(name, 1, SIZE_MAX);
        const struct search_field *f = search_field_find(app_fields(r), name);
        if (f && f->perm <= app_reader(r) && !str_eq(names.v[i], STR("uuid")))
            names.v[kept++] = names.v[i];
    }
    names.n = kept;
    return names;
}

/* The defaults come back when all that was asked for fell away: a table of nothing helps nobody. */
static struct strs visible_or(struct req *r, const struct query *q, const char *name,
                              const char *const *fallback)
{
    struct query nothing = query_new(q->a);
    struct strs found = visible(r, list_or(q, name, fallback));
    return found.n > 0 ? found : list_or(&nothing, name, fallback);
}

/* The request, with the fields that this reader may use. */
struct asked {
    struct query query; /* as in the address */
    struct strs columns, facets, sort;
    size_t page;
};

static bool read_request(struct req *r, struct asked *q, struct err *err)
{
    q->query = query_of_request(r);
    q->columns = visible_or(r, &q->query, "_columns", default_columns);
    q->facets = visible_or(r, &q->query, "_facets", default_facets);
    q->sort = visible_or(r, &q->query, "_sort", default_sort);
    q->page = (size_t)req_int(r, &results_page_param);
    return req_params_fit(r, err);
}

/* The parameter has just these values afterwards. */
static void replace(struct query *q, const char *name, struct strs values)
{
    query_drop(q, name);
    for (size_t i = 0; i < values.n; i++)
        query_add(q, name, values.v[i]);
}

/* The search behind the page. */
static struct query full_query(const struct asked *q)
{
    struct query full = query_copy(&q->query);
    replace(&full, "_columns", q->columns);
    replace(&full, "_facets", q->facets);
    replace(&full, "_sort", q->sort);
    query_add(&full, "_columns", STR("uuid"));
    query_drop(&full, "_results_number");
    query_drop(&full, "_results_offset");
    query_drop(&full, "_return_query");
    query_addf(&full, "_results_number", "%d", RESULTS_PER_PAGE);
    query_addf(&full, "_results_offset", "%zu", (q->page - 1) * RESULTS_PER_PAGE);
    return full;
}

static bool set_results(struct req *r, struct tpl_values *v, const struct asked *q, struct err *err)
{
    struct query full = full_query(q);
    json_auto_t *answer = NULL;
    if (!search_form_check(r, &q->query, err) ||
        !app_search(r, &full, (struct app_search){.is_html = true}, &answer, NULL, err))
        return false;
    const struct results_page page = {.fields = app_fields(r),
                                      .query = &q->query,
                                      .path = "/search/",
                                      .refine_path = "/search/",
                                      .columns = q->columns,
                                      .sort = q->sort,
                                      .page = q->page};
    return results_set_hits(r, v, &page, answer, err) &&
           results_set_facets(r, v, &page, q->facets, answer, err);
}

/* What the page shows as a file: its columns, the crash id in front. */
static bool send_extract(struct req *r, const struct asked *q, struct err *err)
{
    struct query file = query_copy(&q->query);
    query_drop(&file, "_columns");
    query_add(&file, "_columns", STR("uuid"));
    for (size_t i = 0; i < q->columns.n; i++)
        query_add(&file, "_columns", q->columns.v[i]);
    app_ignored(r, &q->query);
    return search_form_check(r, &q->query, err) && extract_answer(r, &file, false, NULL, err);
}

/* The page without results needs everything that the results would set. */
static void no_results(struct tpl_values *v)
{
    const struct tpl_list *const lists[] = {LIST_COLUMNS, LIST_HITS, LIST_ERRORS, LIST_FACETS};
    static const char *const texts[] = {"total_text", "range_text", "prev_url",
                                        "next_url",   "csv_url",    "ndjson_url"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        tpl_list(v, lists[i]);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        tpl_cstr(v, texts[i], "");
    tpl_bool(v, "has_results", false);
    tpl_bool(v, "is_whole", true);
    tpl_bool(v, "is_capped", false);
    tpl_int(v, "page", 1);
    tpl_int(v, "pages", 1);
}

/* Address of the same search in the API. */
static const char *api_url(struct req *r, const struct asked *q)
{
    struct query api = query_copy(&q->query);
    query_drop(&api, "page");
    query_drop(&api, "_dont_run");
    struct str url = query_url(&api, "/api/SuperSearch/");
    return arena_printf(req_arena(r), "%s" STR_FMT, app_of(r)->base_url, STR_ARG(url));
}

/* The form shows what is asked now, whether it can be searched or not. */
static bool set_form(struct req *r, struct tpl_values *v, const struct asked *q, struct err *err)
{
    struct arena *a = req_arena(r);
    struct str size = query_get(&q->query, "_facets_size");
    search_form_set_dates(r, v, &q->query, "/search/");
    search_form_set_lines(r, v, &q->query, 2);
    search_form_warnings(r, &q->query, tpl_list(v, LIST_WARNINGS));
    tpl_cstr(v, "columns_text", fmt_names(a, q->columns));
    tpl_cstr(v, "facets_text", fmt_names(a, q->facets));
    tpl_cstr(v, "sort_text", fmt_names(a, q->sort));
    tpl_text(v, "facets_size", size.p ? size : STR("50"));
    tpl_bool(v, "by_installations",
             str_eq(query_get(&q->query, "_facets_sort"), STR("installations")));
    tpl_bool(v, "more_open",
             query_get(&q->query, "_columns").p || query_get(&q->query, "_facets").p);
    tpl_cstr(v, "more_summary",
             arena_printf(a, "%zu columns, %zu facet%s", q->columns.n, q->facets.n,
                          q->facets.n == 1 ? "" : "s"));
    tpl_cstr(v, "api_url", api_url(r, q));
    return search_form_set_simple(r, v, &q->query, err);
}

static struct layout layout_of(struct req *r, const struct asked *q)
{
    struct str product = query_get(&q->query, "product");
    return (struct layout){
        .title = "Super Search",
        .nav = "search",
        .product = product.p ? products_find(app_products(r), product) : NULL,
        .versions = query_all(&q->query, "version"),
    };
}

/*
 * GET /search/
 *
 * The form; with any parameter besides _dont_run also its results.  A search that cannot be
 * understood is a 400 that still shows the form, so that it can be mended.
 */
bool search_get(struct req *r, struct err *err)
{
    struct asked q = {0};
    struct err problem = {0};
    if (search_form_is_submitted(r)) {
        struct query sent = query_of_request(r);
        return resp_redirect(r, 302, search_form_url(r, &sent, "/search/"));
    }
    if (!read_request(r, &q, err))
        return false;
    if (extract_is_wanted(r))
        return send_extract(r, &q, err);
    const struct layout layout = layout_of(r, &q);
    struct tpl_values *v = layout_new(r, &layout);
    bool run = q.query.n > 0 && !req_flag(r, &dont_run);
    if (!set_form(r, v, &q, err))
        return false;
    if (run && !set_results(r, v, &q, &problem)) {
        v = layout_new(r, &layout); /* without half a result */
        if (!set_form(r, v, &q, err))
            return false;
    }
    if (!run || problem.code)
        no_results(v);
    if (problem.code && problem.code != ERR_INVALID) {
        *err = problem;
        return false;
    }
    tpl_text(v, "ignored", app_ignored(r, &q.query));
    tpl_cstr(v, "problem", problem.msg);
    tpl_bool(v, "was_run", run);
    tpl_cstr(v, "lead", run ? "" : "Filter, list and count every report of the last six months.");
    return layout_send(r, problem.code ? 400 : 200, "search.html", v, err);
}

/* GET /search/results/: the results alone, for pages that load them later. */
bool search_results_get(struct req *r, struct err *err)
{
    struct asked q = {0};
    struct err problem = {0};
    struct tpl_values *v = tpl_values_new(req_arena(r));
    bool is_read = read_request(r, &q, &problem);
    if (is_read && extract_is_wanted(r))
        return send_extract(r, &q, err);
    if (is_read && set_results(r, v, &q, &problem)) {
        tpl_text(v, "ignored", app_ignored(r, &q.query));
        return layout_send(r, 200, "search_results.html", v, err);
    }
    if (problem.code == ERR_INVALID &&
        str_eq_nocase(req_header(r, "X-Requested-With"), STR("XMLHttpRequest")))
        return results_send_error(r, problem.msg, err);
    *err = problem;
    return false;
}

/* GET /search/fields/?exclude=NAME: the fields this reader may use, for the form's script. */
bool search_fields_get(struct req *r, struct err *err)
{
    json_auto_t *body = json_object();
    return search_form_fields(r, req_list(r, &exclude), body, err) &&
           answer_json_cached(r, body, err);
}

/* GET /search/quick/?query=: a crash id, a part of a signature, or nothing. */
bool search_quick_get(struct req *r, struct err *err)
{
    (void)err;
    struct str text = req_text(r, &quick);
    char id[CRASH_ID_SIZE];
    struct arena *a = req_arena(r);
    if (crash_id_parse(str_alower(a, text), id))
        return resp_redirect(r, 302, results_report_url(a, id));
    struct query q = query_new(a);
    if (text.n > 0)
        query_add(&q, "signature", str_of(arena_printf(a, "~" STR_FMT, STR_ARG(text))));
    return resp_redirect(r, 302, query_url(&q, "/search/"));
}
