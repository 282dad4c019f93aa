/*
 * Crashes per day, one line for each of the commonest values of a field; and counts of one field.
 *
 * The picture on the page is still, made here from a histogram of the page's own search.  The
 * script replaces it by one that can be moved, from the same numbers (/signature/graphs/FIELD/).
 */
#include "fcgi/webapp/signature_graph.h"

#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/chart.h"
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
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "rows.h"

enum {
    LINES = 4,       /* with a class, so a colour, in the legend */
    LEGEND_MAX = 20, /* values listed below the graph; the first ones have a line */
    DAYS_MAX = 400   /* more than the year that a search may span; longer ones get no picture */
};

/* Fields to split by that are a click away; the parameter _graph takes any. */
static const char *const offered[] = {
    "platform",     "product",  "version",  "release_channel",
    "process_type", "build_id", "cpu_arch", "platform_pretty_version",
    "reason",
};

/* A histogram by day with the field inside, and the field alone for the order of its values. */
void signature_ask_graph(struct query *q, const char *field)
{
    query_addc(q, "_histogram.date", field);
    query_addc(q, "_histogram_interval.date", "day");
    query_addc(q, "_facets", field);
}

/* Crashes of one day with one value of the field. */
static int64_t count_on(struct arena *a, const json_t *day, const char *field, struct str term)
{
    size_t i;
    const json_t *b;
    json_array_foreach (jget_arr(jget_obj(day, "facets"), field), i, b)
        if (str_eq(results_text(a, NULL, json_object_get(b, "term")), term))
            return jget_int_or(b, "count", 0);
    return 0;
}

/* Days are whole UTC days; the first one is the day in which the period begins. */
static void set_picture(const struct signature_page *p, struct tpl_values *v, const json_t *days,
                        const struct str *terms, size_t term_count)
{
    struct date_bounds b = search_form_bounds(p->req, &p->query);
    struct chart_days d = chart_days_of(b.from_us, b.to_us);
    size_t i;
    bool fits = b.to_us >= b.from_us && d.n <= DAYS_MAX;
    tpl_bool(v, "has_graph", fits);
    chart_set_none(v);
    if (!fits)
        return;
    struct chart_line lines[LINES];
    const json_t *day;
    for (size_t l = 0; l < term_count; l++) {
        int64_t *counts = arena_array(p->a, d.n, sizeof *counts);
        json_array_foreach (days, i, day) {
            int64_t us;
            const char *text = jget_str(day, "term");
            if (text && time_parse(str_of(text), &us, ERR_IGNORED) && us >= d.first_us &&
                (size_t)((us - d.first_us) / DAY_US) < d.n)
                counts[(us - d.first_us) / DAY_US] = count_on(p->a, day, p->graph_field, terms[l]);
        }
        lines[l].counts = counts;
    }
    chart_set_days(v, p->a, &d, lines, term_count, "Crashes per day");
}

/* Where the script takes the numbers from: the same filters, without what the page shows. */
static struct str graph_url(const struct signature_page *p, const char *field)
{
    struct query q = query_copy(&p->query);
    query_drop_meta(&q);
    return query_url(&q, arena_printf(p->a, "/signature/graphs/%s/", field));
}

/* Links to the same tab, split by another field. */
static void set_fields(const struct signature_page *p, struct tpl_values *v)
{
    struct tpl_rows *rows = tpl_list(v, LIST_GRAPH_FIELDS);
    for (size_t i = 0; i < ARRAY_LEN(offered); i++) {
        struct query q = query_copy(&p->query);
        query_set(&q, "_graph", str_of(offered[i]));
        struct str url = query_url(&q, "/signature/");
        url = str_of(arena_printf(p->a, STR_FMT "#tab-graphs", STR_ARG(url)));
        site_add_choice(rows, offered[i], url, strcmp(offered[i], p->graph_field) == 0);
    }
}

/* The commonest values get a line each; more of them are listed with their counts. */
void signature_set_graph(const struct signature_page *p, struct tpl_values *v, const json_t *answer)
{
    static const char *const classes[LINES] = {"s1", "s2", "s3", "s4"};
    const json_t *counts = app_facet(answer, p->graph_field), *b;
    struct tpl_rows *legend = tpl_list(v, LIST_GRAPH_TERMS);
    struct str terms[LINES];
    size_t i, n = 0;
    json_array_foreach (counts, i, b) {
        struct str text = results_text(p->a, NULL, json_object_get(b, "term"));
        if (n < LINES)
            terms[n++] = text;
        if (i >= LEGEND_MAX)
            break;
        struct tpl_row *row = tpl_row_add(legend);
        tpl_col_text(row, GRAPH_TERM_TEXT, text);
        tpl_col_cstr(row, GRAPH_TERM_COUNT, human_count(p->a, jget_int_or(b, "count", 0)));
        tpl_col_cstr(row, GRAPH_TERM_CLASS, i < LINES ? classes[i] : "");
    }
    tpl_cstr(v, "graph_field", p->graph_field);
    tpl_url(v, "graph_url", graph_url(p, p->graph_field));
    set_picture(p, v, app_facet(answer, "histogram_date"), terms, n);
    set_fields(p, v);
}

/* FIELD of /signature/…/FIELD/; the field must exist and this reader must be allowed to use it. */
static const struct search_field *path_field(struct req *r, const char *what)
{
    struct str name = req_path_rest(r);
    if (str_ends(name, STR("/")))
        name.n--;
    const struct search_field *f = search_field_find(app_fields(r), name);
    if (f && f->perm <= app_reader(r))
        return f;
    const char *text = arena_printf(
        req_arena(r), "You are not allowed to %s the \"" STR_FMT "\" field", what, STR_ARG(name));
    results_send_error(r, text, ERR_IGNORED);
    return NULL;
}

/* A search for counts alone. */
static bool ask_field(const struct signature_page *p, struct query *q, json_t **ret,
                      struct err *err)
{
    query_addc(q, "_results_number", "0");
    return app_search(p->req, q, (struct app_search){.is_html = true}, ret, NULL, err);
}

/* GET /signature/graphs/FIELD/ */
bool signature_graph_get(struct req *r, struct err *err)
{
    struct signature_page p;
    json_auto_t *answer = NULL;
    const struct search_field *f = path_field(r, "group by");
    if (!f)
        return true;
    if (!signature_read(r, &p, err))
        return false;
    struct query q = signature_filters(&p);
    signature_ask_graph(&q, f->name);
    if (!ask_field(&p, &q, &answer, err))
        return false;
    json_auto_t *body = json_object();
    const json_t *days = app_facet(answer, "histogram_date"), *terms = app_facet(answer, f->name);
    jset_cstr(body, "aggregation", f->name);
    json_object_set_new(body, "aggregates", days ? json_deep_copy(days) : json_array());
    json_object_set_new(body, "term_counts", terms ? json_deep_copy(terms) : json_array());
    return answer_json(r, 200, body, err);
}

/* GET /signature/aggregation/FIELD/ */
bool signature_aggregation_get(struct req *r, struct err *err)
{
    struct signature_page p;
    json_auto_t *answer = NULL;
    const struct search_field *f = path_field(r, "aggregate on");
    if (!f)
        return true;
    if (!signature_read(r, &p, err))
        return false;
    struct query q = signature_filters(&p), filters = query_copy(&q);
    query_addc(&q, "_facets", f->name);
    if (!ask_field(&p, &q, &answer, err))
        return false;
    struct tpl_values *v = tpl_values_new(p.a);
    struct results_page links = {.fields = app_fields(r),
                                 .query = &filters,
                                 .path = "/signature/",
                                 .refine_path = "/search/",
                                 .page = 1};
    tpl_text(v, "ignored", p.ignored);
    tpl_cstr(v, "field", f->name);
    return results_add_terms(r, tpl_list(v, LIST_TERMS), &links, f, app_facet(answer, f->name),
                             jget_int_or(answer, "total", 0), err) &&
           layout_send(r, 200, "signature_aggregation.html", v, err);
}
