/*
 * Answers of searches as HTML: values, cells and the table of reports, the same for Super Search,
 * signatures and the signature's report list; facets are in results_facets.c.  Each page asks
 * app_goes_on between cells, since a thousand wide rows take longer to render than to find.
 */
#include "fcgi/webapp/results.h"

#include "fcgi/webapp/extract_answer.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/search_form.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/web.h"
#include "rows.h"

/*
 * Lists inside one report (addons, modules) are as long as a stranger made them; a cell shows the
 * first ones.
 */
enum {
    CELL_ITEMS_MAX = 200, /* more than anybody reads in a cell */
};

/* Numbers stand at the right edge of their cells; build ids are numbers that nobody adds up. */
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
            return str_of(human_time(a, n * 1000000));
        return str_of(arena_printf(a, "%lld", (long long)n));
    }
    if (json_is_real(value))
        return str_of(arena_printf(a, "%.15g", json_real_value(value)));
    return STR_NONE;
}

/* What a filter on this value says; differs from the text shown for times and booleans. */
struct str results_filter_text(struct arena *a, const json_t *value)
{
    if (json_is_true(value))
        return STR("__true__");
    if (json_is_false(value))
        return STR("!__true__");
    return results_text(a, NULL, value);
}

/*
 * The search with this value as one more filter.  A moment makes no
 * filter; text is filtered by "=", since a plain value would match any of its words.
 */
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
    if (!search_form_is_simple(f) && !is_bool)
        term = str_of(arena_printf(a, "=" STR_FMT, STR_ARG(value)));
    if (!query_has(&q, f->name, term))
        query_add(&q, f->name, term);
    return query_url(&q, p->refine_path);
}

/* The filters stay, so that the report counts what was counted here. */
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

bool results_send_error(struct req *r, const char *message, struct err *err)
{
    struct tpl_values *v = tpl_values_new(req_arena(r));
    tpl_cstr(v, "message", message);
    return layout_send(r, 400, "error_list.html", v, err);
}

/*
 * A value as part/value.html shows it, in a cell of the table of reports or as a term of a facet: a
 * text with a link, and behind it rows for what most values do not have.
 */
#define EXTRA_ITEM    "item"   /* a further item of a list */
#define EXTRA_EMPTY   "empty"  /* the text is empty */
#define EXTRA_REFINE  "refine" /* a link that adds the value to the search */
#define EXTRA_BAD_CPU "cpu"

static const struct results_value of_cell = {CELL_TEXT, CELL_URL};
static const struct results_value of_extra = {EXTRA_TEXT, EXTRA_URL};

/* Text and link, for cells, terms and further items alike. */
void results_set_value(struct tpl_row *row, const struct results_value *c, struct str text,
                       struct str url)
{
    tpl_col_text(row, c->text, text);
    tpl_col_url(row, c->url, url);
}

static void add_extra(struct tpl_rows *extras, const char *kind, struct str text, struct str url)
{
    struct tpl_row *row = tpl_row_add(extras);
    tpl_col_cstr(row, EXTRA_KIND, kind);
    results_set_value(row, &of_extra, text, url);
}

/* `filter` is what a search for this value says; its text may differ (times, booleans). */
void results_show_value(struct tpl_row *row, const struct results_value *c, struct tpl_rows *extras,
                        const struct results_page *p, const struct search_field *f, struct str text,
                        struct str filter)
{
    if (strcmp(f->name, "signature") == 0) {
        results_set_value(row, c, text, results_signature_url(p->query, text));
        add_extra(extras, EXTRA_REFINE, STR(""), results_refine_url(p, f, text));
        return;
    }
    results_set_value(row, c, text, text.n > 0 ? results_refine_url(p, f, filter) : STR(""));
    if (text.n == 0)
        add_extra(extras, EXTRA_EMPTY, STR(""), STR(""));
}

/* A value of a report; null shows as nothing, which is not the same as an empty text. */
static void show_json(struct tpl_row *row, const struct results_value *c, struct tpl_rows *extras,
                      const struct results_page *p, const struct search_field *f,
                      const json_t *value)
{
    struct arena *a = p->query->a;
    struct str text = results_text(a, f, value);
    if (!text.p)
        results_set_value(row, c, STR(""), STR(""));
    else if (f == p->fields->uuid)
        results_set_value(row, c, text, results_report_url(a, str_adup(a, text)));
    else
        results_show_value(row, c, extras, p, f, text, results_filter_text(a, value));
}

/* The first item of a list is the value of the cell, the others stand behind it. */
static void show_list(struct tpl_row *cell, struct tpl_rows *extras, const struct results_page *p,
                      const struct search_field *f, const json_t *value)
{
    bool is_list = json_is_array(value);
    show_json(cell, &of_cell, extras, p, f, is_list ? json_array_get(value, 0) : value);
    for (size_t i = 1; is_list && i < json_array_size(value); i++) {
        if (i == CELL_ITEMS_MAX) {
            add_extra(extras, EXTRA_ITEM, STR("…"), STR(""));
            break;
        }
        struct tpl_row *row = tpl_row_add(extras);
        tpl_col_cstr(row, EXTRA_KIND, EXTRA_ITEM);
        show_json(row, &of_extra, extras, p, f, json_array_get(value, i));
    }
}

/* How the style sheet sets a cell: signatures break anywhere, dates and ids never. */
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

/*
 * The address of a page of this table, with the open tab: the pages of a signature would show their
 * first one otherwise.
 */
static struct str table_url(const struct results_page *p, const struct query *q)
{
    struct str url = query_url(q, p->path);
    return str_of(arena_printf(q->a, STR_FMT "#tab-reports", STR_ARG(url)));
}

/*
 * The heading of a field.  Where all hits are on the page the browser sorts its rows.  Where there
 * are more, the heading asks the search for another order: the order of one page of a hundred
 * would pass for that of all.
 */
static void add_column(struct tpl_rows *rows, const struct results_page *p,
                       const struct search_field *f, bool is_whole)
{
    struct tpl_row *row = tpl_row_add(rows);
    struct query q = query_copy(p->pager_query ? p->pager_query : p->query);
    struct str asked = p->sort.n > 0 ? p->sort.v[0] : STR("");
    bool is_down = str_starts(asked, STR("-"));
    bool is_sorted = str_eq(str_sub(asked, is_down, SIZE_MAX), str_of(f->name));
    tpl_col_cstr(row, RESULT_HEAD_TEXT, f->name);
    tpl_col_bool(row, RESULT_HEAD_IS_NUMBER, is_number_field(f));
    tpl_col_cstr(row, RESULT_HEAD_ORDER, !is_sorted ? "" : is_down ? "descending" : "ascending");
    query_drop(&q, "page");
    /* The first click puts the greatest number, the newest date first. */
    bool is_text = !is_number_field(f) && f != p->fields->date;
    const char *sign = (is_sorted ? !is_down : !is_text) ? "-" : "";
    query_set(&q, "_sort", str_of(arena_printf(q.a, "%s%s", sign, f->name)));
    tpl_col_url(row, RESULT_HEAD_URL, is_whole ? STR("") : table_url(p, &q));
}

/*
 * AMD family 20 (Bobcat), models 1 and 2.  cpu_info comes with or without the maker's name; without
 * it the architecture must be amd64.
 */
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

/* A cell of the table of reports.  The mark on the processor stands behind the crash id. */
static void add_cell(struct tpl_rows *cells, const struct results_page *p,
                     const struct search_field *f, const json_t *hit)
{
    struct tpl_row *row = tpl_row_add(cells);
    struct tpl_rows *extras = tpl_col_rows(row, CELL_EXTRAS);
    tpl_col_cstr(row, CELL_CLASS, cell_class(p, f));
    show_list(row, extras, p, f, json_object_get(hit, f->name));
    if (f == p->fields->uuid && p->marks_cpu && results_has_dangerous_cpu(hit))
        add_extra(extras, EXTRA_BAD_CPU, STR(""), STR(""));
}

/*
 * Links to the pages before and after.  Paging ends at RESULTS_REACHABLE, where lib/search ends as
 * well; page 1 has no number in its address, so that it is the same address as without paging.
 */
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
    tpl_url(v, "prev_url", p->page > 1 ? table_url(p, p->page == 2 ? &q : &before) : STR(""));
    tpl_url(v, "next_url", p->page < pages ? table_url(p, &after) : STR(""));
    tpl_int(v, "page", (int64_t)p->page);
    tpl_int(v, "pages", (int64_t)MAX(pages, (size_t)1));
    tpl_cstr(v, "total_text", human_count(a, total));
    tpl_bool(v, "is_capped", total > RESULTS_REACHABLE);
    tpl_cstr(v, "range_text",
             shown ? arena_printf(a, "Here are %s to %s.", human_count(a, (int64_t)first + 1),
                                  human_count(a, (int64_t)(first + shown)))
                   : "");
}

/* What is missing of an answer, in words: parts of the index, or counts that ran out of time. */
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

/* The same reports, all of them, with the same columns. */
static void set_files(struct tpl_values *v, const struct results_page *p)
{
    struct query q = query_copy(p->query);
    query_drop(&q, "_columns");
    for (size_t i = 0; i < p->columns.n; i++)
        query_add(&q, "_columns", p->columns.v[i]);
    tpl_url(v, "csv_url", extract_url(&q, "csv", NULL));
    tpl_url(v, "ndjson_url", extract_url(&q, "ndjson", NULL));
}

bool results_set_hits(struct req *r, struct tpl_values *v, const struct results_page *p,
                      const json_t *answer, struct err *err)
{
    struct arena *a = req_arena(r);
    struct tpl_rows *columns = tpl_list(v, LIST_COLUMNS), *hits = tpl_list(v, LIST_HITS);
    const json_t *found = jget_arr(answer, "hits");
    int64_t total = jget_int_or(answer, "total", 0);
    bool is_whole = total <= (int64_t)json_array_size(found);
    struct tpl_row *id = tpl_row_add(columns);
    tpl_col_cstr(id, RESULT_HEAD_TEXT, "Crash ID");
    tpl_col_bool(id, RESULT_HEAD_IS_NUMBER, false);
    tpl_col_cstr(id, RESULT_HEAD_ORDER, "");
    tpl_col_url(id, RESULT_HEAD_URL, STR(""));
    const struct search_field **shown = arena_array(a, p->columns.n + 1, sizeof *shown);
    size_t shown_count = 0;
    for (size_t i = 0; i < p->columns.n; i++) {
        const struct search_field *f = search_field_find(p->fields, p->columns.v[i]);
        if (!f)
            continue; /* the search would have failed */
        add_column(columns, p, f, is_whole);
        shown[shown_count++] = f;
    }
    size_t i;
    const json_t *hit;
    json_array_foreach (found, i, hit) {
        struct tpl_rows *cells = tpl_col_rows(tpl_row_add(hits), HIT_CELLS);
        add_cell(cells, p, p->fields->uuid, hit);
        for (size_t c = 0; c < shown_count; c++) {
            if (!app_goes_on(r, err))
                return false;
            add_cell(cells, p, shown[c], hit);
        }
    }
    set_pager(a, v, p, total, json_array_size(found));
    set_files(v, p);
    tpl_bool(v, "has_results", total > 0);
    tpl_bool(v, "is_whole", is_whole);

    struct tpl_rows *errors = tpl_list(v, LIST_ERRORS);
    const json_t *e;
    json_array_foreach (jget_arr(answer, "errors"), i, e)
        tpl_col_cstr(tpl_row_add(errors), NOTE_TEXT, error_text(a, e));
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
