/*
 * Facets of an answer: a table of terms for each, with shares of all reports found, the facets
 * inside of a term as a line of text, and for signatures their bugs.  A term is shown and linked
 * like the value of a report (results.c), so a click narrows the search to it.
 */
#include "fcgi/webapp/results_facets.h"

#include "fcgi/webapp/chart.h"
#include "fcgi/webapp/extract_answer.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/webapp.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/search/facet_kind.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

enum {
    INNER_TERMS_MAX = 10,    /* the commonest; a line or two of small text */
    INNER_TEXT_MAX = 1 << 16 /* ten terms at their longest fit in */
};

static const struct results_value of_term = {TERM_TEXT, TERM_URL};

/* The value of a cardinality, a sum or a percentile, and how far it may be off. */
static const char *number_text(struct arena *a, const json_t *number)
{
    const json_t *value = json_object_get(number, "value"),
                 *error = json_object_get(number, "relative_error");
    if (!value || json_is_null(value))
        return "–";
    const char *text = json_is_integer(value) ? human_count(a, json_integer_value(value))
                                              : arena_printf(a, "%.10g", json_number_value(value));
    return error ? arena_printf(a, "%s ± %.1f %%", text, 100 * json_number_value(error)) : text;
}

/* "release (12), beta (3)" of the buckets of a facet inside a facet; a number as it is. */
static struct str inner_text(struct arena *a, const json_t *inner)
{
    if (json_is_object(inner))
        return str_of(number_text(a, inner));
    STRBUF_AUTO b;
    sb_init(&b, INNER_TEXT_MAX);
    size_t i;
    const json_t *bucket;
    json_array_foreach (inner, i, bucket) {
        sb_text(&b, i > 0 ? ", " : "");
        if (i == INNER_TERMS_MAX) {
            sb_text(&b, "…");
            break;
        }
        sb_str(&b, results_text(a, NULL, json_object_get(bucket, "term")));
        sb_printf(&b, " (%s)", human_count(a, jget_int_or(bucket, "count", 0)));
    }
    return str_copy(a, sb_view(&b));
}

/* One line of text for each facet inside of a term. */
static void add_inner_facets(struct arena *a, struct tpl_rows *rows, const json_t *bucket)
{
    const char *name;
    json_t *inner;
    json_object_foreach (jget_obj(bucket, "facets"), name, inner) {
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, INNER_FACET_FIELD, name);
        tpl_col_text(row, INNER_FACET_TEXT, inner_text(a, inner));
    }
}

/* Facet terms of booleans are "T" and "F". */
static struct str term_filter(struct arena *a, const struct search_field *f, const json_t *term)
{
    struct str text = results_filter_text(a, term);
    if (f->query_type == QUERY_BOOL || f->value_type == VALUE_BOOL)
        return str_eq(text, STR("T")) ? STR("__true__") : STR("!__true__");
    return text;
}

/* `bugs` has those of several signatures, since one query asks for all of a page. */
void results_add_bugs(struct req *r, struct tpl_rows *rows, const struct db_rows *bugs,
                      struct str signature, size_t most)
{
    for (int i = 0; bugs && i < bugs->count && tpl_rows_count(rows) < most; i++) {
        if (!str_eq(str_of(db_col(bugs, i, Q_WEB_BUGS_COL_SIGNATURE)), signature))
            continue;
        const char *id = db_col(bugs, i, Q_WEB_BUGS_COL_BUG_ID),
                   *between = tpl_rows_count(rows) ? ", " : "";
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, BUG_LINK_SEPARATOR, between);
        tpl_col_cstr(row, BUG_LINK_TEXT, id);
        tpl_col_url(row, BUG_LINK_URL, site_bug_url(r, id));
    }
}

/* Cells that only some searches ask for: the tilde says what is an estimate. */
static void set_marks(struct arena *a, struct tpl_row *row, const json_t *bucket)
{
    int64_t installations, estimate;
    bool has_installations = jget_int(bucket, "installations", &installations),
         has_estimate = jget_int(bucket, "estimate", &estimate);
    tpl_col_bool(row, TERM_HAS_INSTALLATIONS, has_installations);
    tpl_col_cstr(row, TERM_INSTALLATIONS, has_installations ? human_count(a, installations) : "");
    tpl_col_bool(row, TERM_HAS_ESTIMATE, has_estimate);
    tpl_col_cstr(row, TERM_ESTIMATE,
                 has_estimate ? arena_printf(a, "~%s", human_count(a, estimate)) : "");
}

/* The choice above a facet, and the columns that it has by what was asked. */
static void set_order(struct tpl_row *row, const struct results_page *p, const json_t *found)
{
    const json_t *first = json_array_get(found, 0);
    bool is_asked = str_eq(query_get(p->query, "_facets_sort"), STR("installations")),
         has_installations = json_object_get(first, "installations") != NULL;
    struct query other = query_copy(p->query);
    query_drop(&other, "_facets_sort");
    query_drop(&other, "page");
    if (!is_asked)
        query_addc(&other, "_facets_sort", "installations");
    tpl_col_bool(row, FACET_HAS_ORDER, json_is_array(found));
    tpl_col_bool(row, FACET_BY_INSTALLATIONS, has_installations);
    tpl_col_url(row, FACET_ORDER_URL, query_url(&other, p->path));
    tpl_col_bool(row, FACET_HAS_INSTALLATIONS, has_installations);
    tpl_col_bool(row, FACET_HAS_ESTIMATES, json_object_get(first, "estimate") != NULL);
}

/* One bucket of a facet.  Shares are of all reports found, so those of a field that is a list may
 * add up to more than 100 %. */
static void add_term(struct req *r, struct tpl_rows *rows, const struct results_page *p,
                     const struct search_field *f, const json_t *bucket, int64_t total,
                     const struct db_rows *bugs)
{
    struct arena *a = req_arena(r);
    const json_t *term = json_object_get(bucket, "term");
    struct str text = results_text(a, f, term);
    int64_t count = jget_int_or(bucket, "count", 0);
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_int(row, TERM_RANK, (int64_t)tpl_rows_count(rows));
    results_show_value(row, &of_term, tpl_col_rows(row, TERM_EXTRAS), p, f, text,
                       term_filter(a, f, term));
    add_inner_facets(a, tpl_col_rows(row, TERM_INNER), bucket);
    tpl_col_cstr(row, TERM_COUNT, human_count(a, count));
    set_marks(a, row, bucket);
    tpl_col_cstr(row, TERM_PERCENT, fmt_percent(a, count, total, 2));
    tpl_col_cstr(row, TERM_SHARE, chart_share(a, count, total));
    tpl_col_bool(row, TERM_HAS_BUGS, bugs != NULL);
    results_add_bugs(r, tpl_col_rows(row, TERM_BUGS), bugs, text, SIZE_MAX);
}

/* bugs NULL: rows without that column. */
static bool add_terms(struct req *r, struct tpl_rows *rows, const struct results_page *p,
                      const struct search_field *f, const json_t *buckets, int64_t total,
                      const struct db_rows *bugs, struct err *err)
{
    size_t i;
    const json_t *bucket;
    json_array_foreach (buckets, i, bucket) {
        if (!app_goes_on(r, err))
            return false;
        add_term(r, rows, p, f, bucket, total, bugs);
    }
    return true;
}

bool results_add_terms(struct req *r, struct tpl_rows *rows, const struct results_page *p,
                       const struct search_field *f, const json_t *buckets, int64_t total,
                       struct err *err)
{
    return add_terms(r, rows, p, f, buckets, total, NULL, err);
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
    if (names.n > 0 && !DB_RUN(req_db(r), &q_web_bugs, &bugs, err, db_text_array(a, names),
                               db_bool(req_user(r)->is_logged_in)))
        return err_wrap(err, "looking up bugs");
    return add_terms(r, rows, p, f, buckets, total, &bugs, err);
}

/* The key of the answer: "_histogram.date" is histogram_date. */
static const char *answer_key(struct arena *a, struct str facet, const char **ret_field)
{
    const struct facet_kind *kind = facet_kind_take(&facet);
    *ret_field = str_adup(a, facet);
    return arena_printf(a, "%s%s", kind->key, *ret_field);
}

/* A single number: a facet with one term. */
static void add_number(struct arena *a, struct tpl_rows *terms, const char *key,
                       const json_t *found)
{
    bool is_cardinality = str_starts(str_of(key), STR("cardinality_"));
    struct tpl_row *row = tpl_row_add(terms);
    tpl_col_int(row, TERM_RANK, 1);
    results_set_value(row, &of_term, is_cardinality ? STR("distinct values") : str_of(key),
                      STR(""));
    tpl_col_rows(row, TERM_EXTRAS);
    tpl_col_rows(row, TERM_INNER);
    tpl_col_cstr(row, TERM_COUNT, number_text(a, found));
    set_marks(a, row, NULL);
    tpl_col_cstr(row, TERM_PERCENT, "");
    tpl_col_cstr(row, TERM_SHARE, "");
    tpl_col_bool(row, TERM_HAS_BUGS, false);
    tpl_col_rows(row, TERM_BUGS);
}

/* Facets in the order asked for; what the answer does not have has no tab. */
bool results_set_facets(struct req *r, struct tpl_values *v, const struct results_page *p,
                        struct strs facets, const json_t *answer, struct err *err)
{
    struct arena *a = req_arena(r);
    struct tpl_rows *rows = tpl_list(v, LIST_FACETS);
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
        tpl_col_cstr(row, FACET_ID, arena_printf(a, "facet-%s", key));
        tpl_col_cstr(row, FACET_TITLE, arena_printf(a, "%s facet", key));
        tpl_col_cstr(row, FACET_FIELD, key);
        tpl_col_bool(row, FACET_HAS_BUGS, is_signature);
        set_order(row, p, strncmp(key, "histogram_", strlen("histogram_")) ? found : NULL);
        tpl_col_url(row, FACET_CSV_URL, extract_url(p->query, "csv", str_adup(a, facets.v[i])));
        struct tpl_rows *terms = tpl_col_rows(row, FACET_TERMS);
        bool ok = true;
        if (json_is_object(found))
            add_number(a, terms, key, found);
        else if (is_signature)
            ok = add_signature_terms(r, terms, p, f, found, total, err);
        else
            ok = results_add_terms(r, terms, p, f, found, total, err);
        if (!ok)
            return false;
    }
    return true;
}
