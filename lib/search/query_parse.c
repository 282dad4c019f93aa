/*
 * From parameters to a query: the numbers, columns and sort keys here, filters, dates and
 * aggregations by the files that query_build.h names.
 *
 * Parameters whose names begin with '_' steer the search, all others are filters.  Several of their
 * details look odd; clients of the search service that this one replaces depend on each of them:
 *
 *   - an empty value counts as not given, for forms send all their fields;
 *   - of a number that is given twice the last one counts, but all of `_columns`, `_facets` and
 *     `_sort`;
 *   - a number that is not one is an error of the form (the answer names the parameter), a number
 *     out of range an error of the search (the answer is one sentence);
 *   - facets default to the signature, columns to the five below, and hits come youngest first;
 *   - unknown names are errors as columns, sort keys and facets, but ignored as filters.
 *
 * The order of the steps decides which of several mistakes is told, nothing else.
 */
#include "lib/search/query_build.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/search/query.h"
#include "lib/search/search.h"

/* *value keeps its default when the parameter is absent or blank. */
static bool read_number(struct query_build *b, struct str name, int64_t *value)
{
    struct str text = str_trim(query_last_value(b->params, name));
    if (text.n == 0 || str_to_i64(text, INT64_MIN, INT64_MAX, "number", value, ERR_IGNORED))
        return true;
    return query_form_error(b, name, "Enter a whole number.");
}

/*
 * The limits are those of query.h; the window of 10,000 bounds the heap that sorts the hits, which
 * holds offset + number rows.
 */
static bool build_numbers(struct query_build *b)
{
    int64_t number = QUERY_HITS_DEFAULT, offset = 0, facets = QUERY_FACETS_DEFAULT;
    if (!read_number(b, STR("_results_number"), &number) ||
        !read_number(b, STR("_results_offset"), &offset) ||
        !read_number(b, STR("_facets_size"), &facets))
        return false;
    if (number > QUERY_HITS_MAX)
        return err_set(b->err, ERR_INVALID, "_results_number cannot be greater than 1,000");
    if (number < 0)
        return err_set(b->err, ERR_INVALID, "_results_number cannot be negative");
    if (offset < 0 || offset > QUERY_WINDOW_MAX - number)
        return err_set(b->err, ERR_INVALID,
                       "_results_offset + _results_number cannot be greater than 10,000");
    if (facets > QUERY_FACETS_MAX)
        return err_set(b->err, ERR_INVALID,
                       "Bad value for parameter(s) '_facets_size greater than 10,000'");
    if (facets < 0)
        return err_set(b->err, ERR_INVALID, "Bad value for parameter(s) '_facets_size'");
    b->query->number = (size_t)number;
    b->query->offset = (size_t)offset;
    b->query->facets_size = (size_t)facets;
    return true;
}

static bool has_column(const struct search_query *q, const struct search_field *f)
{
    for (size_t i = 0; i < q->column_count; i++)
        if (q->columns[i] == f)
            return true;
    return false;
}

/* Columns that the reader may not see are known but left out: their keys are absent. */
static bool add_column(struct query_build *b, struct str name)
{
    const struct search_field *f = search_field_find(b->fields, name);
    if (!f)
        return query_field(b, name) != NULL;
    if (query_may_see(b->ctx, f) && !has_column(b->query, f))
        b->query->columns[b->query->column_count++] = f;
    return true;
}

static bool build_columns(struct query_build *b)
{
    const struct str defaults[] = {str_of(b->fields->uuid->name), STR("date"), STR("signature"),
                                   STR("product"), STR("version")};
    b->query->columns =
        arena_array(b->arena, b->fields->search_count + 1, sizeof *b->query->columns);
    bool any = false;
    for (size_t i = 0; i < b->params.n; i++) {
        if (b->params.v[i].value.n == 0 || !str_eq(b->params.v[i].name, STR("_columns")))
            continue;
        any = true;
        if (!add_column(b, b->params.v[i].value))
            return false;
    }
    for (size_t i = 0; !any && i < ARRAY_LEN(defaults); i++)
        if (!add_column(b, defaults[i]))
            return false;
    return true;
}

static bool has_sort(const struct search_query *q, const struct search_field *f)
{
    for (size_t i = 0; i < q->sort_count; i++)
        if (q->sort[i].field == f)
            return true; /* a later key on the same field decides nothing */
    return false;
}

static void add_sort(struct search_query *q, const struct search_field *f, bool is_descending)
{
    if (!has_sort(q, f))
        q->sort[q->sort_count++] = (struct sort_key){f, is_descending};
}

/*
 * The crash id comes last unless it is asked for earlier: without a key that tells any two rows
 * apart the order of equal ones would change from page to page, and a client that pages would see
 * some twice and others never.
 */
static bool build_sort(struct query_build *b)
{
    struct search_query *q = b->query;
    q->sort = arena_array(b->arena, b->fields->search_count + 1, sizeof *q->sort);
    for (size_t i = 0; i < b->params.n; i++) {
        struct str value = b->params.v[i].value;
        if (value.n == 0 || !str_eq(b->params.v[i].name, STR("_sort")))
            continue;
        bool is_descending = str_starts(value, STR("-"));
        const struct search_field *f = query_field(b, str_sub(value, is_descending, SIZE_MAX));
        if (!f)
            return false;
        add_sort(q, f, is_descending);
    }
    if (q->sort_count == 0)
        add_sort(q, b->fields->date, true);
    add_sort(q, b->fields->uuid, false);
    return true;
}

/*
 * Room for everything but regular expressions, which ask for themselves.  The arena is the
 * request's and has a limit; asked for at once here, nothing below has to fail for want of memory.
 *
 * FIELD_BYTES: a column, a sort key and a filter of every field, and the error texts.  PARAM_BYTES:
 * a condition with its value or its frames, its places in the lists of build_filter, or a chain of
 * aggregations.
 * VALUE_FACTOR: every byte of a value may be a ';' between two pieces, a struct str of 16 bytes
 * each, and in lower case take four bytes.
 */
static bool check_size(struct query_build *b)
{
    enum { FIELD_BYTES = 128, PARAM_BYTES = 4096, VALUE_FACTOR = 24 };
    size_t need = (b->fields->search_count + 1) * FIELD_BYTES;
    for (size_t i = 0; i < b->params.n; i++)
        need += PARAM_BYTES + b->params.v[i].name.n + b->params.v[i].value.n * VALUE_FACTOR;
    return arena_fits(b->arena, need, "query", ERR_IGNORED) || query_too_complex(b);
}

/* Nobody means a NUL: texts that show the value would end at it. */
static bool check_form(struct query_build *b)
{
    for (size_t i = 0; i < b->params.n; i++)
        if (b->params.v[i].value.n > 0 &&
            memchr(b->params.v[i].value.p, '\0', b->params.v[i].value.n))
            return query_form_error(b, b->params.v[i].name, "Null characters are not allowed.");
    return true;
}

bool search_parse(struct arena *a, const struct field_table *fields,
                  const struct search_context *ctx, struct search_params params,
                  struct search_query **ret, const char **ret_form_param, struct err *err)
{
    struct search_query *q = arena_alloc(a, sizeof *q);
    const char *form_param = NULL;
    q->fields = fields;
    struct query_build b = {.arena = a,
                            .fields = fields,
                            .ctx = ctx,
                            .params = params,
                            .query = q,
                            .ret_form_param = &form_param,
                            .err = err};
    if (!check_form(&b) || !check_size(&b) || !build_numbers(&b) || !build_columns(&b) ||
        !build_sort(&b) || !query_build_filters(&b) || !query_build_dates(&b) ||
        !query_build_aggs(&b)) {
        if (ret_form_param)
            *ret_form_param = form_param;
        return false;
    }
    q->wants_query = query_is_yes(str_trim(query_last_value(b.params, STR("_return_query"))));
    *ret = q;
    return true;
}

bool search_wants_query(const struct search_query *q)
{
    return q->wants_query;
}
