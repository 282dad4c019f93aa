/*
 * Rows of text from a search.  One place makes them, for pages, API and command line, so that a
 * file is the same whoever asked for it with the same permissions.
 *
 * Texts come from crash reports of strangers and end in spreadsheets of engineers, hence the guard
 * against formulas; numbers are ours and stay as they are, also negative ones.
 */
#include "lib/search/extract.h"

#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/csv.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/search/engine.h"
#include "lib/search/facet_kind.h"
#include "lib/search/query.h"
#include "lib/search/query_build.h"

enum {
    PIECE_BYTES = 64 << 10,   /* a FastCGI record, and large beside a row */
    ROW_BYTES_MAX = 64 << 20, /* every column at its longest; more would be a fault of ours */
};

struct extract {
    const struct search_query *query;
    enum extract_format format;
    extract_sink *sink;
    void *arg;
    struct strbuf out;
    struct extract_done *done;
    struct err *err;
    bool ok;
};

static bool hand_on(struct extract *x)
{
    if (x->out.overflow)
        x->ok = err_set(x->err, ERR_TOO_LARGE, "a row of the extract is too long");
    else
        x->ok = x->sink(x->arg, sb_view(&x->out), x->done, x->err);
    sb_reset(&x->out);
    return x->ok;
}

static bool end_row(struct extract *x)
{
    sb_char(&x->out, '\n');
    x->done->rows++;
    return x->out.n < PIECE_BYTES || hand_on(x);
}

static struct str text_of(const json_t *v)
{
    return str_n(json_string_value(v), json_string_length(v));
}

static void put_value(struct strbuf *out, const json_t *v)
{
    size_t i;
    const json_t *item;
    STRBUF_AUTO list = {.max = ROW_BYTES_MAX};
    if (json_is_string(v)) {
        csv_put_guarded(out, text_of(v));
    } else if (json_is_array(v)) {
        json_array_foreach (v, i, item) {
            sb_text(&list, i ? "; " : "");
            sb_str(&list, text_of(item));
        }
        csv_put_guarded(out, sb_view(&list));
    } else if (v && !json_is_null(v)) {
        FREE_LATER char *text = jdump(v, NULL);
        csv_put(out, str_of(text));
    }
}

static void put_json(struct strbuf *out, const json_t *v)
{
    size_t n;
    FREE_LATER char *text = jdump(v, &n);
    sb_str(out, str_n(text, n));
}

static bool put_hit(void *arg, const json_t *hit)
{
    struct extract *x = arg;
    if (x->format == EXTRACT_NDJSON) {
        put_json(&x->out, hit);
    } else {
        for (size_t i = 0; i < x->query->column_count; i++) {
            sb_text(&x->out, i ? "," : "");
            put_value(&x->out, json_object_get(hit, x->query->columns[i]->name));
        }
    }
    return end_row(x);
}

static void put_column_names(struct extract *x)
{
    for (size_t i = 0; x->format == EXTRACT_CSV && i < x->query->column_count; i++)
        sb_printf(&x->out, "%s%s", i ? "," : "", x->query->columns[i]->name);
    if (x->format == EXTRACT_CSV)
        sb_char(&x->out, '\n');
}

/* All reports, while they are found.  What the sink fails with is why the search ends. */
static bool put_all(struct extract *x, struct index_reader *r, const struct search_context *ctx)
{
    struct err why = {0};
    put_column_names(x);
    if (search_each(r, ctx, x->query, put_hit, x, &x->done->missing_weeks, &why))
        return hand_on(x);
    if (x->ok)
        *x->err = why;
    return false;
}

/* The page that a search shows. */
static bool put_page(struct extract *x, struct index_reader *r, const struct search_context *ctx)
{
    json_auto_t *answer = NULL;
    const json_t *hit;
    size_t i;
    if (!search_run(r, ctx, x->query, &answer, x->err))
        return false;
    x->done->missing_weeks = json_array_size(jget_arr(answer, "errors"));
    put_column_names(x);
    json_array_foreach (jget_arr(answer, "hits"), i, hit)
        if (!put_hit(x, hit))
            return false;
    return hand_on(x);
}

/* The numbers inside each bucket that have a column: as_facet leaves no other aggregations there.
 */
typedef void each_number(struct extract *x, const char *key, const json_t *bucket);

static void for_numbers(struct extract *x, const json_t *bucket, each_number *each)
{
    for (const struct agg *a = x->query->aggs->children; a; a = a->next) {
        if (a->key)
            each(x, a->key, bucket);
        for (size_t i = 0; i < a->number_count; i++)
            each(x, a->numbers[i].key, bucket);
    }
}

static void put_number_name(struct extract *x, const char *key, const json_t *bucket)
{
    (void)bucket;
    sb_printf(&x->out, ",%s", key);
}

static void put_number(struct extract *x, const char *key, const json_t *bucket)
{
    sb_char(&x->out, ',');
    put_value(&x->out, json_object_get(jget_obj(jget_obj(bucket, "facets"), key), "value"));
}

static bool always(const struct search_query *q)
{
    (void)q;
    return true;
}

static bool has_installations(const struct search_query *q)
{
    return q->installation && q->aggs && q->aggs->kind == AGG_TERMS;
}

static bool has_estimates(const struct search_query *q)
{
    return q->rate != NULL;
}

/* What a bucket says of its reports, in the order of the columns. */
static const struct {
    const char *key;
    bool (*is_there)(const struct search_query *q);
} counts[] = {{"count", always}, {"installations", has_installations}, {"estimate", has_estimates}};

static bool put_bucket(struct extract *x, const json_t *bucket)
{
    if (x->format == EXTRACT_NDJSON) {
        put_json(&x->out, bucket);
    } else {
        put_value(&x->out, json_object_get(bucket, "term"));
        for (size_t i = 0; i < ARRAY_LEN(counts); i++)
            if (counts[i].is_there(x->query))
                sb_printf(&x->out, ",%lld", (long long)jget_int_or(bucket, counts[i].key, 0));
        for_numbers(x, bucket, put_number);
    }
    return end_row(x);
}

/* What the answer has under the key of the one aggregation, and the first line of a table of it. */
static const json_t *begin_values(struct extract *x, const json_t *answer)
{
    const struct agg *agg = x->query->aggs;
    const char *key = !agg ? "" : agg->key ? agg->key : agg->numbers[0].key;
    const json_t *found = json_object_get(jget_obj(answer, "facets"), key);
    if (x->format != EXTRACT_CSV)
        return found;
    sb_text(&x->out, key);
    if (!json_is_object(found)) {
        for (size_t i = 0; i < ARRAY_LEN(counts); i++)
            if (counts[i].is_there(x->query))
                sb_printf(&x->out, ",%s", counts[i].key);
        if (agg)
            for_numbers(x, NULL, put_number_name);
    }
    sb_char(&x->out, '\n');
    return found;
}

/* The one aggregation of the query: a list of values, or of a cardinality a single number. */
static bool put_values(struct extract *x, struct index_reader *r, const struct search_context *ctx)
{
    json_auto_t *answer = NULL;
    const json_t *bucket;
    size_t i;
    if (!search_run(r, ctx, x->query, &answer, x->err))
        return false;
    x->done->missing_weeks = json_array_size(jget_arr(answer, "errors"));
    const json_t *found = begin_values(x, answer);
    if (json_is_object(found)) {
        if (x->format == EXTRACT_CSV)
            put_value(&x->out, json_object_get(found, "value"));
        else
            put_json(&x->out, found);
        return end_row(x) && hand_on(x);
    }
    json_array_foreach (found, i, bucket)
        if (!put_bucket(x, bucket))
            return false;
    return hand_on(x);
}

static bool is_given(struct search_params params, struct str name)
{
    return query_last_value(params, name).n > 0;
}

/* _aggs.F=_p95.G beside _facet=F, _histogram.F=_p95.G beside _facet=_histogram.F: a column more. */
static bool is_number_inside(struct str facet, const struct search_param *p)
{
    struct str value = p->value, inside = p->name;
    if (str_starts(inside, STR("_aggs.")))
        inside = str_sub(inside, strlen("_aggs."), SIZE_MAX);
    enum agg_kind kind = facet_kind_take(&value)->kind;
    return str_eq(inside, facet) && kind != AGG_TERMS && kind != AGG_HISTOGRAM;
}

static struct str first_facet(struct search_params params)
{
    struct str facet = STR_NONE;
    for (size_t i = 0; i < params.n; i++)
        if (str_eq(params.v[i].name, STR("_facet")) && params.v[i].value.n > 0 && !facet.p)
            facet = params.v[i].value;
    return facet;
}

/*
 * A search for the values alone: `_facet` takes the place of the hits and of all other
 * aggregations but numbers of each value.  When the reader may not use the field, it is a facet
 * like any that was dropped.
 */
static struct search_params as_facet(struct arena *a, struct search_params params)
{
    struct search_params out = {.v = arena_array(a, params.n + 1, sizeof *out.v)};
    struct str facet = first_facet(params);
    for (size_t i = 0; i < params.n; i++) {
        struct search_param p = params.v[i];
        if ((str_starts(p.name, STR("_aggs.")) || str_starts(p.name, STR("_histogram."))) &&
            !is_number_inside(facet, &p))
            continue;
        if (str_eq(p.name, STR("_facets")) || str_eq(p.name, STR("_results_number")) ||
            str_eq(p.name, STR("_results_offset")) || str_eq(p.name, STR("_columns")) ||
            str_eq(p.name, STR("_sort")))
            continue;
        if (str_eq(p.name, STR("_facet")))
            p.name = STR("_facets");
        out.v[out.n++] = p;
    }
    out.v[out.n++] = (struct search_param){STR("_results_number"), STR("0")};
    return out;
}

static size_t values_max(const struct search_context *ctx)
{
    return ctx->max_buckets ? ctx->max_buckets : SEARCH_BUCKETS_DEFAULT;
}

bool extract_run(struct arena *a, struct index_reader *r, const struct search_context *ctx,
                 struct search_params params, enum extract_format format, extract_sink *sink,
                 void *arg, struct extract_done *ret, const char **ret_form_param, struct err *err)
{
    struct search_query *q;
    bool is_facet = is_given(params, STR("_facet"));
    *ret = (struct extract_done){0};
    if (!ctx->is_unredacted)
        search_clean(r->fields, ctx, &params);
    bool is_page = !is_facet && is_given(params, STR("_results_number"));
    if (is_facet)
        params = as_facet(a, params);
    if (!search_parse(a, r->fields, ctx, params, &q, ret_form_param, err))
        return false;
    if (is_facet && !is_given(params, STR("_facets_size")))
        q->facets_size = values_max(ctx) + 1; /* too many are an error and no short list */
    if (!is_facet)
        q->aggs = NULL;
    struct extract x = {.query = q,
                        .format = format,
                        .sink = sink,
                        .arg = arg,
                        .done = ret,
                        .err = err,
                        .ok = true};
    sb_init(&x.out, ROW_BYTES_MAX);
    bool ok = is_facet  ? put_values(&x, r, ctx)
              : is_page ? put_page(&x, r, ctx)
                        : put_all(&x, r, ctx);
    sb_release(&x.out);
    return ok;
}
