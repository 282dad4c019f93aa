/*
 * /signature/: everything about one signature.  One search answers for the whole page (totals,
 * summary, graph, reports, aggregations); bugs and comments come from elsewhere.  The addresses
 * below it answer one part, for which only that part is asked and made.
 */
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/results.h"
#include "fcgi/webapp/results_facets.h"
#include "fcgi/webapp/search_form.h"
#include "fcgi/webapp/signature_params.h"
#include "fcgi/webapp/signature_correlations.h"
#include "fcgi/webapp/signature_graph.h"
#include "fcgi/webapp/signature_summary.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/crash/product.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/search/search.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

/* Parts of the page as bits, since a request wants one of them or all. */
enum page_part {
    PART_SUMMARY = 1,
    PART_GRAPH = 2,
    PART_AGGREGATIONS = 4,
    PART_REPORTS = 8,
    PART_TABS = 16, /* shows the number of reports */
    PART_BUGS = 32,
    PART_COMMENTS = 64,
    PART_CORRELATIONS = 128, /* dear: made when they are looked at */
    PARTS_SEARCHED = PART_SUMMARY | PART_GRAPH | PART_AGGREGATIONS | PART_REPORTS,
    PARTS_ALL = PARTS_SEARCHED | PART_TABS | PART_BUGS | PART_COMMENTS,
};

/* What the table of reports needs of the search, as parameters. */
static void ask_reports(const struct signature_page *p, struct query *q)
{
    struct strs sort = query_all(&p->query, "_sort");
    query_addc(q, "_columns", "uuid");
    for (size_t i = 0; i < p->columns.n; i++)
        query_add(q, "_columns", p->columns.v[i]);
    query_addc(q, "_columns", "cpu_info"); /* for the mark on faulty processors */
    query_addc(q, "_columns", "cpu_arch");
    for (size_t i = 0; i < sort.n; i++)
        query_add(q, "_sort", sort.v[i]);
    if (sort.n == 0)
        query_addc(q, "_sort", "-date");
    query_addf(q, "_results_number", "%d", RESULTS_PER_PAGE);
    query_addf(q, "_results_offset", "%zu", (p->page - 1) * RESULTS_PER_PAGE);
}

/* Values lead to the search, with this signature as one of its filters. */
static struct results_page results_of(const struct signature_page *p, const struct query *filters)
{
    return (struct results_page){.fields = app_fields(p->req),
                                 .query = filters,
                                 .path = "/signature/",
                                 .refine_path = "/search/",
                                 .columns = p->columns,
                                 .page = p->page,
                                 .marks_cpu = true};
}

/* Links of cells narrow the search; the pager stays on this page. */
static bool set_reports(const struct signature_page *p, struct tpl_values *v, const json_t *answer,
                        struct err *err)
{
    struct query filters = signature_filters(p), pager = query_copy(&p->query);
    struct results_page links = results_of(p, &filters);
    links.pager_query = &pager;
    links.sort = query_all(&pager, "_sort");
    return results_set_hits(p->req, v, &links, answer, err);
}

/*
 * The terms of each field, and the other parameters as hidden fields: the form that asks for other
 * fields must not lose the filters.
 */
static bool set_aggregations(const struct signature_page *p, struct tpl_values *v,
                             const json_t *answer, struct err *err)
{
    struct query filters = signature_filters(p);
    struct results_page links = results_of(p, &filters);
    struct tpl_rows *rows = tpl_list(v, LIST_AGGREGATIONS);
    struct tpl_rows *kept = tpl_list(v, LIST_KEPT_PARAMETERS);
    for (size_t i = 0; i < p->aggregations.n; i++) {
        const struct search_field *f = search_field_find(links.fields, p->aggregations.v[i]);
        if (!f)
            continue;
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, AGGREGATION_FIELD, f->name);
        if (!results_add_terms(p->req, tpl_col_rows(row, AGGREGATION_TERMS), &links, f,
                               app_facet(answer, f->name), jget_int_or(answer, "total", 0), err))
            return false;
    }
    for (size_t i = 0; i < p->query.n; i++) {
        if (str_eq(p->query.v[i].name, STR("_aggregations")))
            continue;
        struct tpl_row *row = tpl_row_add(kept);
        tpl_col_text(row, PARAMETER_NAME, p->query.v[i].name);
        tpl_col_text(row, PARAMETER_VALUE, p->query.v[i].value);
    }
    tpl_cstr(v, "aggregations_text", fmt_names(p->a, p->aggregations));
    return true;
}

/* Without filters: another signature may have nothing to do with them. */
static struct str related_url(struct arena *a, const char *signature)
{
    struct query q = query_new(a);
    query_addc(&q, "signature", signature);
    return query_url(&q, "/signature/");
}

/*
 * Bugs that name this signature, and the other signatures that these bugs name.  One query gives
 * both, ordered by number of bug, and is walked from its end.
 */
static bool set_bugs(const struct signature_page *p, struct tpl_values *v, struct err *err)
{
    struct tpl_rows *bugs = tpl_list(v, LIST_SIGNATURE_BUGS);
    struct tpl_rows *related = tpl_list(v, LIST_RELATED_SIGNATURES);
    DB_ROWS rows = {0};
    struct str s = p->signature;
    struct query seen = query_new(p->a); /* as a set */
    if (!DB_RUN(req_db(p->req), &q_web_bugs_related, &rows, err,
                db_text_array(p->a, (struct strs){&s, 1}), db_bool(req_user(p->req)->is_logged_in)))
        return err_wrap(err, "looking up bugs");
    for (int i = rows.count - 1; i >= 0; i--) { /* newest first */
        const char *id = db_col(&rows, i, Q_WEB_BUGS_RELATED_COL_BUG_ID),
                   *name = db_col(&rows, i, Q_WEB_BUGS_RELATED_COL_SIGNATURE);
        if (str_eq(str_of(name), p->signature)) {
            site_add_link(bugs, str_of(arena_printf(p->a, "Bug %s", id)), site_bug_url(p->req, id));
        } else if (!query_has(&seen, "s", str_of(name))) {
            query_addc(&seen, "s", arena_strdup(p->a, name));
            site_add_link(related, str_of(name), related_url(p->a, name));
        }
    }
    tpl_bool(v, "has_bugs", tpl_rows_count(bugs) > 0);
    tpl_bool(v, "has_related", tpl_rows_count(related) > 0);
    return true;
}

/* Protected: filled in only for readers with view_pii, by a search of its own. */
static bool set_comments(const struct signature_page *p, struct tpl_values *v, struct err *err)
{
    struct tpl_rows *rows = tpl_list(v, LIST_COMMENTS);
    tpl_bool(v, "no_comments", true);
    if (app_reader(p->req) != PERM_PROTECTED)
        return true;
    static const char *const columns[] = {"uuid", "user_comments", "date", "useragent_locale"};
    struct query q = signature_filters(p);
    json_auto_t *answer = NULL;
    query_addc(&q, "user_comments", "!__null__");
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        query_addc(&q, "_columns", columns[i]);
    query_addc(&q, "_sort", "-date");
    query_addc(&q, "_facets_size", "0");
    query_addf(&q, "_results_number", "%d", RESULTS_PER_PAGE);
    if (!app_search(p->req, &q, (struct app_search){.is_html = true}, &answer, NULL, err))
        return false;
    size_t i;
    const json_t *hit;
    json_array_foreach (jget_arr(answer, "hits"), i, hit) {
        const char *id = jget_str(hit, "uuid");
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, COMMENT_CRASH_ID, id);
        tpl_col_url(row, COMMENT_URL, results_report_url(p->a, id ? id : ""));
        tpl_col_text(row, COMMENT_TEXT,
                     results_text(p->a, NULL, json_object_get(hit, "user_comments")));
        tpl_col_cstr(row, COMMENT_DATE, fmt_iso_time(p->a, jget_str(hit, "date")));
        tpl_col_text(row, COMMENT_LOCALE,
                     results_text(p->a, NULL, json_object_get(hit, "useragent_locale")));
    }
    tpl_bool(v, "no_comments", i == 0);
    return true;
}

/* Comments come last, so that those who may not see them have a list that is one shorter. */
static void set_tabs(const struct signature_page *p, struct tpl_values *v, int64_t total)
{
    static const struct {
        const char *id, *label;
    } all[] = {
        {"summary", "Summary"},           {"graphs", "Graphs"},
        {"aggregations", "Aggregations"}, {"reports", "Reports"},
        {"correlations", "Correlations"}, {"bugzilla", "Bugs"},
        {"comments", "Comments"},
    };
    bool may = app_reader(p->req) == PERM_PROTECTED;
    struct tpl_rows *tabs = tpl_list(v, LIST_SIGNATURE_TABS);
    for (size_t i = 0; i < ARRAY_LEN(all) - (may ? 0 : 1); i++) {
        struct tpl_row *row = tpl_row_add(tabs);
        tpl_col_cstr(row, TAB_ID, all[i].id);
        tpl_col_cstr(row, TAB_LABEL, all[i].label);
        tpl_col_cstr(row, TAB_COUNT,
                     strcmp(all[i].id, "reports") == 0 ? human_count(p->a, total) : "");
    }
}

/*
 * Title, period and form.  The signature itself is no line of the form: it is what the page is
 * about.
 */
static void set_head(const struct signature_page *p, struct tpl_values *v)
{
    struct date_bounds b = search_form_bounds(p->req, &p->query);
    struct query without = query_copy(&p->query);
    query_drop(&without, "signature");
    query_drop_meta(&without);
    size_t filters = 0;
    for (size_t i = 0; i < without.n; i++)
        filters += !str_eq(without.v[i].name, STR("date"));
    search_form_set_dates(p->req, v, &p->query, "/signature/");
    struct query lines = query_new(p->a);
    for (size_t i = 0; i < without.n; i++) { /* here also the simple fields are lines */
        const struct search_field *f = search_field_find(app_fields(p->req), without.v[i].name);
        if (f)
            query_add(&lines, f->name, without.v[i].value);
    }
    search_form_set_all_lines(p->req, v, &lines, 2);
    tpl_text(v, "signature", p->signature);
    tpl_cstr(v, "period",
             arena_printf(p->a, "%s through %s", human_time(p->a, b.from_us),
                          human_time(p->a, b.to_us)));
    tpl_bool(v, "filters_open", false);
    tpl_bool(v, "counts_once", query_get(&p->query, search_counted_once.name.p).p == NULL);
    tpl_cstr(v, "filters_summary",
             filters ? arena_printf(p->a, "%zu besides the dates", filters) : "dates and fields");
}

/* One search for those of summary, graph, aggregations and reports that are wanted. */
static bool search_parts(const struct signature_page *p, unsigned parts, json_t **ret,
                         struct err *err)
{
    struct query q = signature_filters(p);
    if (!search_form_check(p->req, &q, err))
        return false;
    if (parts & PART_SUMMARY)
        signature_ask_summary(&q);
    if (parts & PART_GRAPH)
        signature_ask_graph(&q, p->graph_field);
    for (size_t i = 0; parts & PART_AGGREGATIONS && i < p->aggregations.n; i++)
        query_add(&q, "_facets", p->aggregations.v[i]);
    if (parts & PART_REPORTS)
        ask_reports(p, &q);
    else
        query_addc(&q, "_results_number", "0");
    if (parts == PART_REPORTS)
        query_addc(&q, "_facets_size", "0");
    return app_search(p->req, &q, (struct app_search){.is_html = true}, ret, NULL, err);
}

/* Sets everything that the wanted parts show, and nothing of the others. */
static bool set_parts(const struct signature_page *p, unsigned parts, struct tpl_values *v,
                      struct err *err)
{
    json_auto_t *answer = NULL;
    tpl_text(v, "ignored", p->ignored);
    if (parts & PARTS_SEARCHED && !search_parts(p, parts, &answer, err))
        return false;
    if (parts & PART_TABS)
        set_tabs(p, v, jget_int_or(answer, "total", 0));
    if (parts & PART_GRAPH)
        signature_set_graph(p, v, answer);
    return (!(parts & PART_AGGREGATIONS) || set_aggregations(p, v, answer, err)) &&
           (!(parts & PART_REPORTS) || set_reports(p, v, answer, err)) &&
           (!(parts & PART_SUMMARY) || signature_set_summary(p, v, answer, err)) &&
           (!(parts & PART_CORRELATIONS) || signature_set_correlations(p, v, err)) &&
           (!(parts & PART_BUGS) || set_bugs(p, v, err)) &&
           (!(parts & PART_COMMENTS) || set_comments(p, v, err));
}

/* GET /signature/?signature=S */
bool signature_get(struct req *r, struct err *err)
{
    struct signature_page p;
    if (search_form_is_submitted(r)) {
        struct query sent = query_of_request(r);
        return resp_redirect(r, 302, search_form_url(r, &sent, "/signature/"));
    }
    if (!signature_read(r, &p, err))
        return false;
    struct str product = query_get(&p.query, "product");
    const struct layout layout = {
        .title = arena_printf(p.a, STR_FMT " - signature report", STR_ARG(p.signature)),
        .product = product.p ? products_find(app_products(r), product) : NULL,
    };
    struct tpl_values *v = layout_new(r, &layout);
    set_head(&p, v);
    tpl_bool(v, "needs_chart", true);
    signature_offer_correlations(&p, v);
    if (!set_parts(&p, PARTS_ALL | (p.correlations.n > 0 ? PART_CORRELATIONS : 0), v, err))
        return false;
    return layout_send(r, 200, "signature.html", v, err);
}

/* Sends one part alone, and asks the search for nothing that this part does not show. */
static bool fragment(struct req *r, enum page_part part, const char *template_name, struct err *err)
{
    struct signature_page p;
    struct tpl_values *v = tpl_values_new(req_arena(r));
    return signature_read(r, &p, err) && set_parts(&p, part, v, err) &&
           layout_send(r, 200, template_name, v, err);
}

bool signature_summary_get(struct req *r, struct err *err)
{
    return fragment(r, PART_SUMMARY, "signature_summary.html", err);
}

bool signature_reports_get(struct req *r, struct err *err)
{
    return fragment(r, PART_REPORTS, "signature_reports.html", err);
}

bool signature_bugs_get(struct req *r, struct err *err)
{
    return fragment(r, PART_BUGS, "signature_bugs.html", err);
}

bool signature_correlations_get(struct req *r, struct err *err)
{
    return fragment(r, PART_CORRELATIONS, "signature_correlations.html", err);
}

bool signature_comments_get(struct req *r, struct err *err)
{
    if (app_reader(r) != PERM_PROTECTED)
        return err_set(err, ERR_FORBIDDEN, "Comments are protected data");
    return fragment(r, PART_COMMENTS, "signature_comments.html", err);
}
