/*
 * Answers of searches as HTML: values, cells, the table of reports and the facets, the same for
 * Super Search, signatures and the signature's report list.  Each page asks app_goes_on between
 * cells, since a thousand wide rows take longer to render than to find.
 */
#include "fcgi/webapp/results.h"

#include <stdio.h>

#include "fcgi/webapp/chart.h"
#include "fcgi/webapp/fmt.h"
#include "lib/base/util.h"
#include "queries.h"

enum { CELL_MAX = 1 << 20, CELL_ITEMS_MAX = 200 };

static bool is_number_field(const struct search_field *f)
{
    if (!f || strcmp(f->name, "build_id") == 0)
        return false;
    return f->query_type == QUERY_INTEGER || f->query_type == QUERY_FLOAT;
}

struct str results_text(struct arena *a, const struct search_field *f, const json_t *value)
{
    if (json_is_string(value)) {
        struct str s = str_n(json_string_value(value), json_string_length(value));
        return f && f->query_type == QUERY_DATE ? str_of(fmt_iso_time(a, str_adup(a, s))) : s;
    }
    if (json_is_boolean(value))
        return json_is_true(value) ? STR("true") : STR("false");
    if (json_is_integer(value)) {
        int64_t n = json_integer_value(value);
        if (f && strcmp(f->name, "install_time") == 0)
            return str_of(fmt_time(a, n * 1000000));
        return str_of(arena_printf(a, "%lld", (long long)n));
    }
    if (json_is_real(value))
        return str_of(arena_printf(a, "%.15g", json_real_value(value)));
    return STR_NONE;
}

/* What a filter on this value says; differs from the text shown for times and booleans. */
static struct str filter_text(struct arena *a, const json_t *value)
{
    if (json_is_true(value))
        return STR("__true__");
    if (json_is_false(value))
        return STR("!__true__");
    return results_text(a, NULL, value);
}

static bool is_simple(const struct search_field *f)
{
    static const char *const simple[] = {"product", "version", "platform", "process_type"};
    for (size_t i = 0; i < ARRAY_LEN(simple); i++)
        if (strcmp(f->name, simple[i]) == 0)
            return true;
    return false;
}

struct str results_refine_url(const struct results_page *p, const struct search_field *f,
                              struct str value)
{
    if (!f || f->query_type == QUERY_DATE)
        return STR("");
    struct query q = query_copy(p->query);
    struct arena *a = q.a;
    bool is_bool = f->query_type == QUERY_BOOL || f->value_type == VALUE_BOOL;
    query_drop(&q, "page");
    query_drop(&q, "_dont_run");
    struct str term = value;
    if (!is_simple(f) && !is_bool)
        term = str_of(arena_printf(a, "=" STR_FMT, STR_ARG(value)));
    if (!query_has(&q, f->name, term))
        query_add(&q, f->name, term);
    return query_url(&q, p->refine_path);
}

struct str results_signature_url(const struct query *from, struct str signature)
{
    struct query q = query_copy(from);
    query_drop_meta(&q);
    query_drop(&q, "signature");
    query_add(&q, "signature", signature);
    return query_url(&q, "/signature/");
}

struct str results_report_url(struct arena *a, const char *crash_id)
{
    struct str id = url_encode(a, str_of(crash_id));
    return str_of(arena_printf(a, "/report/index/" STR_FMT, STR_ARG(id)));
}

struct str results_error_list(struct arena *a, const char *message)
{
    HTML_WRITER_AUTO w;
    html_init(&w, 4096);
    html_raw(&w, "<ul><li>");
    html_text(&w, str_of(message));
    html_raw(&w, "</li></ul>");
    return html_done(&w, a).escaped;
}

static void link_to(struct html_writer *w, struct str url, struct str text)
{
    html_raw(w, "<a href=\"");
    html_url(w, url);
    html_raw(w, "\">");
    html_text(w, text);
    html_raw(w, "</a>");
}

static void add_term_link(struct html_writer *w, const struct results_page *p,
                          const struct search_field *f, struct str term)
{
    struct str url = results_refine_url(p, f, term);
    html_raw(w, " <a class=\"refine\" href=\"");
    html_url(w, url);
    html_raw(w, "\">Add term</a>");
}

static void cell_value(struct arena *a, struct html_writer *w, const struct results_page *p,
                       const struct search_field *f, const json_t *value)
{
    struct str text = results_text(a, f, value);
    if (!text.p)
        return;
    if (strcmp(f->name, "signature") == 0) {
        link_to(w, results_signature_url(p->query, text), text);
        add_term_link(w, p, f, text);
        return;
    }
    if (f == p->fields->uuid) {
        link_to(w, results_report_url(a, str_adup(a, text)), text);
        return;
    }
    struct str url = results_refine_url(p, f, filter_text(a, value));
    if (text.n == 0)
        html_raw(w, "<span class=\"muted\">(empty)</span>");
    else if (url.n == 0)
        html_text(w, text);
    else
        link_to(w, url, text);
}

static struct html cell(struct arena *a, const struct results_page *p, const struct search_field *f,
                        const json_t *value)
{
    HTML_WRITER_AUTO w;
    html_init(&w, CELL_MAX);
    if (!json_is_array(value)) {
        cell_value(a, &w, p, f, value);
        return html_done(&w, a);
    }
    size_t i;
    const json_t *item;
    json_array_foreach (value, i, item) {
        if (i == CELL_ITEMS_MAX) {
            html_raw(&w, ", …");
            break;
        }
        if (i > 0)
            html_raw(&w, ", ");
        cell_value(a, &w, p, f, item);
    }
    return html_done(&w, a);
}

static const char *cell_class(const struct results_page *p, const struct search_field *f)
{
    if (f == p->fields->uuid)
        return "id";
    if (strcmp(f->name, "signature") == 0 || strcmp(f->name, "proto_signature") == 0)
        return "sig";
    if (f == p->fields->date)
        return "nowrap";
    return is_number_field(f) ? "num" : "";
}

static void add_column(struct tpl_rows *rows, const char *name, bool is_number)
{
    struct tpl_row *row = tpl_row_add(rows);
    tpl_row_cstr(row, name);
    tpl_row_int(row, is_number);
}

bool results_has_dangerous_cpu(const json_t *doc)
{
    static const struct {
        const char *arch, *start;
    } bad[] = {
        {NULL, "AuthenticAMD family 20 model 1"},
        {NULL, "AuthenticAMD family 20 model 2"},
        {"amd64", "family 20 model 1"},
        {"amd64", "family 20 model 2"},
    };
    const char *info = jget_str(doc, "cpu_info"), *arch = jget_str(doc, "cpu_arch");
    for (size_t i = 0; info && i < ARRAY_LEN(bad); i++)
        if (str_starts(str_of(info), str_of(bad[i].start)) &&
            (!bad[i].arch || (arch && strcmp(arch, bad[i].arch) == 0)))
            return true;
    return false;
}

static struct html id_cell(struct arena *a, const struct results_page *p, const json_t *hit)
{
    HTML_WRITER_AUTO w;
    html_init(&w, CELL_MAX);
    cell_value(a, &w, p, p->fields->uuid, json_object_get(hit, "uuid"));
    if (p->marks_cpu && results_has_dangerous_cpu(hit))
        html_raw(&w,
                 " <span class=\"tag warn\" title=\"A processor with a known fault\">AMD</span>");
    return html_done(&w, a);
}

static void add_cell(struct arena *a, struct tpl_rows *cells, const struct results_page *p,
                     const struct search_field *f, const json_t *hit)
{
    struct tpl_row *row = tpl_row_add(cells);
    bool is_id = f == p->fields->uuid;
    tpl_row_html(row, is_id ? id_cell(a, p, hit) : cell(a, p, f, json_object_get(hit, f->name)));
    tpl_row_cstr(row, cell_class(p, f));
}

static void set_pager(struct arena *a, struct tpl_values *v, const struct results_page *p,
                      int64_t total, size_t shown)
{
    size_t reachable = (size_t)MIN(total, (int64_t)RESULTS_REACHABLE);
    size_t pages = (reachable + RESULTS_PER_PAGE - 1) / RESULTS_PER_PAGE;
    size_t first = (p->page - 1) * RESULTS_PER_PAGE;
    struct query q = query_copy(p->pager_query ? p->pager_query : p->query);
    query_drop(&q, "page");
    struct query before = query_copy(&q), after = query_copy(&q);
    query_addf(&before, "page", "%zu", p->page - 1);
    query_addf(&after, "page", "%zu", p->page + 1);
    tpl_url(v, "prev_url", p->page > 1 ? query_url(p->page == 2 ? &q : &before, p->path) : STR(""));
    tpl_url(v, "next_url", p->page < pages ? query_url(&after, p->path) : STR(""));
    tpl_int(v, "page", (int64_t)p->page);
    tpl_int(v, "pages", (int64_t)MAX(pages, (size_t)1));
    tpl_cstr(v, "total_text", fmt_count(a, total));
    tpl_bool(v, "is_capped", total > RESULTS_REACHABLE);
    tpl_cstr(v, "range_text",
             shown ? arena_printf(a, "Here are %s to %s.", fmt_count(a, (int64_t)first + 1),
                                  fmt_count(a, (int64_t)(first + shown)))
                   : "");
}

static const char *error_text(struct arena *a, const json_t *e)
{
    const char *type = jget_str(e, "type");
    const char *index = jget_str(e, "index"), *aggregation = jget_str(e, "aggregation");
    if (type && strcmp(type, "timeout") == 0)
        return arena_printf(a, "The counts of %s were cut short by the time limit.",
                            aggregation ? aggregation : "a facet");
    return arena_printf(a, "A part of the index could not be read (%s): results are incomplete.",
                        index ? index : "unknown");
}

bool results_set_hits(struct req *r, struct tpl_values *v, const struct results_page *p,
                      const json_t *answer, struct err *err)
{
    struct arena *a = req_arena(r);
    struct tpl_rows *columns = tpl_rows(v, "columns"), *hits = tpl_rows(v, "hits");
    const json_t *found = jget_arr(answer, "hits");
    int64_t total = jget_int_or(answer, "total", 0);
    add_column(columns, "Crash ID", false);
    const struct search_field **shown = arena_array(a, p->columns.n + 1, sizeof *shown);
    size_t shown_count = 0;
    for (size_t i = 0; i < p->columns.n; i++) {
        const struct search_field *f = search_field_find(p->fields, p->columns.v[i]);
        if (!f)
            continue; /* the search would have failed */
        add_column(columns, f->name, is_number_field(f));
        shown[shown_count++] = f;
    }
    size_t i;
    const json_t *hit;
    json_array_foreach (found, i, hit) {
        struct tpl_rows *cells = tpl_row_rows(tpl_row_add(hits));
        add_cell(a, cells, p, p->fields->uuid, hit);
        for (size_t c = 0; c < shown_count; c++) {
            if (!app_goes_on(r, err))
                return false;
            add_cell(a, cells, p, shown[c], hit);
        }
    }
    set_pager(a, v, p, total, json_array_size(found));
    tpl_bool(v, "has_results", total > 0);

    struct tpl_rows *errors = tpl_rows(v, "errors");
    const json_t *e;
    json_array_foreach (jget_arr(answer, "errors"), i, e)
        tpl_row_cstr(tpl_row_add(errors), error_text(a, e));
    return true;
}

const struct param_spec results_page_param = {"page",
                                              PARAM_INT,
                                              PARAM_CLAMPED,
                                              .min = 1,
                                              .max = RESULTS_REACHABLE / RESULTS_PER_PAGE,
                                              .fallback = "1",
                                              .refusal = "Invalid page",
                                              .help = "page of the table of reports"};

/* Sub-aggregations of a bucket as one line of small text for each. */
static void inner_facets(struct arena *a, struct html_writer *w, const json_t *bucket)
{
    const char *name;
    const json_t *inner;
    json_object_foreach (jget_obj(bucket, "facets"), name, inner) {
        html_raw(w, "<div class=\"muted small\">");
        html_text(w, str_of(name));
        html_raw(w, ": ");
        int64_t value;
        if (jget_int(inner, "value", &value))
            html_text(w, str_of(fmt_count(a, value)));
        size_t i;
        const json_t *b;
        json_array_foreach (inner, i, b) {
            if (i > 0)
                html_raw(w, ", ");
            if (i == 10) {
                html_raw(w, "…");
                break;
            }
            html_text(w, results_text(a, NULL, json_object_get(b, "term")));
            html_raw(w, " (");
            html_text(w, str_of(fmt_count(a, jget_int_or(b, "count", 0))));
            html_raw(w, ")");
        }
        html_raw(w, "</div>");
    }
}

/* Facet terms of booleans are "T" and "F". */
static struct str term_filter(struct arena *a, const struct search_field *f, const json_t *term)
{
    struct str text = filter_text(a, term);
    if (f->query_type == QUERY_BOOL || f->value_type == VALUE_BOOL)
        return str_eq(text, STR("T")) ? STR("__true__") : STR("!__true__");
    return text;
}

static struct html term_html(struct arena *a, const struct results_page *p,
                             const struct search_field *f, const json_t *bucket)
{
    const json_t *term = json_object_get(bucket, "term");
    struct str text = results_text(a, f, term);
    HTML_WRITER_AUTO w;
    html_init(&w, CELL_MAX);
    if (strcmp(f->name, "signature") == 0) {
        link_to(&w, results_signature_url(p->query, text), text);
        add_term_link(&w, p, f, text);
    } else {
        struct str url = results_refine_url(p, f, term_filter(a, f, term));
        if (text.n == 0)
            html_raw(&w, "<span class=\"muted\">(empty)</span>");
        else if (url.n == 0)
            html_text(&w, text);
        else
            link_to(&w, url, text);
    }
    inner_facets(a, &w, bucket);
    return html_done(&w, a);
}

bool results_add_terms(struct req *r, struct tpl_rows *rows, const struct results_page *p,
                       const struct search_field *f, const json_t *buckets, int64_t total,
                       struct err *err)
{
    struct arena *a = req_arena(r);
    size_t i;
    const json_t *bucket;
    json_array_foreach (buckets, i, bucket) {
        int64_t count = jget_int_or(bucket, "count", 0);
        if (!app_goes_on(r, err))
            return false;
        struct tpl_row *row = tpl_row_add(rows);
        tpl_row_int(row, (int64_t)i + 1);
        tpl_row_html(row, term_html(a, p, f, bucket));
        tpl_row_cstr(row, fmt_count(a, count));
        tpl_row_cstr(row, fmt_percent(a, count, total, 2));
        tpl_row_html(row, chart_bar(a, total > 0 ? (double)count / (double)total : 0));
        tpl_row_cstr(row, "");
    }
    return true;
}

static struct html bug_links(struct req *r, const struct db_rows *bugs, struct str signature)
{
    HTML_WRITER_AUTO w;
    html_init(&w, 1 << 14);
    for (int i = 0, n = 0; i < bugs->count; i++) {
        if (!str_eq(str_of(db_col(bugs, i, Q_WEB_BUGS_COL_SIGNATURE)), signature))
            continue;
        if (n++ > 0)
            html_raw(&w, ", ");
        const char *id = db_col(bugs, i, Q_WEB_BUGS_COL_BUG_ID);
        link_to(&w, app_bug_url(r, id), str_of(id));
    }
    return html_done(&w, req_arena(r));
}

/* The last column of signature terms: the bugs of each. */
static bool add_signature_terms(struct req *r, struct tpl_rows *rows, const struct results_page *p,
                                const struct search_field *f, const json_t *buckets, int64_t total,
                                struct err *err)
{
    struct arena *a = req_arena(r);
    struct strs names = {.v = arena_array(a, json_array_size(buckets) + 1, sizeof *names.v)};
    size_t i;
    const json_t *bucket;
    json_array_foreach (buckets, i, bucket)
        names.v[names.n++] = results_text(a, NULL, json_object_get(bucket, "term"));
    DB_ROWS bugs = {0};
    if (names.n > 0 && !DB_RUN(req_db(r), &q_web_bugs, &bugs, err, db_text_array(a, names)))
        return err_wrap(err, "looking up bugs");
    json_array_foreach (buckets, i, bucket) {
        int64_t count = jget_int_or(bucket, "count", 0);
        if (!app_goes_on(r, err))
            return false;
        struct tpl_row *row = tpl_row_add(rows);
        tpl_row_int(row, (int64_t)i + 1);
        tpl_row_html(row, term_html(a, p, f, bucket));
        tpl_row_cstr(row, fmt_count(a, count));
        tpl_row_cstr(row, fmt_percent(a, count, total, 2));
        tpl_row_html(row, chart_bar(a, total > 0 ? (double)count / (double)total : 0));
        tpl_row_html(row, bug_links(r, &bugs, names.v[i]));
    }
    return true;
}

/* The key of the answer: "_histogram.date" is histogram_date. */
static const char *answer_key(struct arena *a, struct str facet, const char **ret_field)
{
    static const char *const kinds[] = {"histogram", "cardinality"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const char *prefix = arena_printf(a, "_%s.", kinds[i]);
        if (str_starts(facet, str_of(prefix))) {
            *ret_field = str_adup(a, str_sub(facet, strlen(prefix), SIZE_MAX));
            return arena_printf(a, "%s_%s", kinds[i], *ret_field);
        }
    }
    return *ret_field = str_adup(a, facet);
}

static void add_cardinality(struct arena *a, struct tpl_rows *terms, const json_t *found)
{
    struct tpl_row *row = tpl_row_add(terms);
    tpl_row_int(row, 1);
    tpl_row_cstr(row, "distinct values");
    tpl_row_cstr(row, fmt_count(a, jget_int_or(found, "value", 0)));
    tpl_row_cstr(row, "");
    tpl_row_cstr(row, "");
    tpl_row_cstr(row, "");
}

bool results_set_facets(struct req *r, struct tpl_values *v, const struct results_page *p,
                        struct strs facets, const json_t *answer, struct err *err)
{
    struct arena *a = req_arena(r);
    struct tpl_rows *rows = tpl_rows(v, "facets");
    int64_t total = jget_int_or(answer, "total", 0);
    for (size_t i = 0; i < facets.n; i++) {
        const char *field;
        const char *key = answer_key(a, facets.v[i], &field);
        const json_t *found = json_object_get(jget_obj(answer, "facets"), key);
        const struct search_field *f = search_field_find(p->fields, str_of(field));
        if (!found || !f)
            continue;
        bool is_signature = strcmp(key, "signature") == 0;
        struct tpl_row *row = tpl_row_add(rows);
        tpl_row_cstr(row, arena_printf(a, "facet-%s", key));
        tpl_row_cstr(row, arena_printf(a, "%s facet", key));
        tpl_row_cstr(row, key);
        tpl_row_int(row, json_is_array(found) && json_array_size(found) == 0);
        tpl_row_int(row, is_signature);
        struct tpl_rows *terms = tpl_row_rows(row);
        bool ok = true;
        if (json_is_object(found))
            add_cardinality(a, terms, found);
        else if (is_signature)
            ok = add_signature_terms(r, terms, p, f, found, total, err);
        else
            ok = results_add_terms(r, terms, p, f, found, total, err);
        if (!ok)
            return false;
    }
    return true;
}
