/*
 * `_return_query`: the compiled query as a tree of conditions, for people who wonder why a search
 * finds what it finds.  The outer form is the one that clients know from the search engine that was
 * here before (query, aggs, size, from, sort, _source; indices are the weeks it would read); the
 * tree inside says in plain words what query_filter.c and its neighbours have made of the
 * parameters.  The dates are those of the query, after the retention time has cut them.
 *
 * It shows no more than was asked: every field in it has passed the check of permissions.
 */
#include "lib/search/query.h"

#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/search/facet_kind.h"

static const char *const op_names[] = {
    [COND_MATCHES] = "matches", [COND_EXACT] = "is",        [COND_CONTAINS] = "contains",
    [COND_PREFIX] = "prefix",   [COND_SUFFIX] = "suffix",   [COND_REGEX] = "regexp",
    [COND_FRAMES] = "frames",   [COND_VERSION] = "version", [COND_GE] = "gte",
    [COND_LE] = "lte",          [COND_LT] = "lt",           [COND_GT] = "gt",
    [COND_TRUE] = "true",       [COND_MISSING] = "missing",
};

static json_t *cond_json(const struct search_field *f, const struct cond *c)
{
    json_t *values = json_array();
    for (size_t i = 0; i < c->n; i++)
        json_array_append_new(values, jtext(c->values[i].text));
    json_t *one = json_pack("{s:s, s:s, s:o}", "field", f->name, "operator", op_names[c->op],
                            "any_of", values);
    return c->is_negated ? json_pack("{s:o}", "not", one) : one;
}

/* The conditions of a field, folded from the left as they are evaluated. */
static json_t *filter_json(const struct filter *f)
{
    json_t *acc = NULL;
    for (size_t i = 0; i < f->n; i++) {
        json_t *c = cond_json(f->field, &f->conds[i]);
        acc = acc ? json_pack("{s:[o,o]}", f->conds[i].joins_with_and ? "and" : "or", acc, c) : c;
    }
    return acc;
}

static json_t *tree_json(const struct search_query *q)
{
    char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
    time_iso(q->from_us, false, from);
    time_iso(q->to_us, false, to);
    json_t *all = json_pack("[{s:s, s:s, s:s}]", "field", "date", "from", from, "before", to);
    for (size_t i = 0; i < q->filter_count; i++)
        json_array_append_new(all, filter_json(&q->filters[i]));
    return json_pack("{s:o}", "and", all);
}

static json_t *aggs_json(const struct agg *a)
{
    static const char *const kinds[] = {"terms", "histogram", "cardinality"};
    json_t *out = json_object();
    for (; a; a = a->next) {
        for (size_t i = 0; i < a->number_count; i++) {
            struct str word = str_sub(a->numbers[i].what->prefix, 1, SIZE_MAX);
            json_object_set_new(
                out, a->numbers[i].key,
                json_pack("{s%:{s:s}}", word.p, word.n - 1, "field", a->field->name));
        }
        if (!a->key)
            continue;
        json_t *one = json_pack("{s:{s:s}}", kinds[a->kind], "field", a->field->name);
        if (a->children)
            json_object_set_new(one, "aggs", aggs_json(a->children));
        json_object_set_new(out, a->key, one);
    }
    return out;
}

static json_t *sort_json(const struct search_query *q)
{
    json_t *out = json_array();
    for (size_t i = 0; i < q->sort_count; i++)
        json_array_append_new(out, json_pack("{s:s}", q->sort[i].field->name,
                                             q->sort[i].is_descending ? "desc" : "asc"));
    return out;
}

/* Each week by the day of its Monday, which is also how the folders of the index are named. */
static json_t *weeks_json(const struct search_query *q)
{
    json_t *out = json_array();
    int64_t from, to;
    if (!query_weeks(q, &from, &to))
        return out;
    for (int64_t day = from; day <= to; day += 7) {
        char name[24];
        struct civil c = civil_of_us(day * DAY_US);
        snprintf(name, sizeof name, "%04d%02d%02d", c.year, c.month, c.day);
        json_array_append_new(out, json_string(name));
    }
    return out;
}

json_t *search_query_json(const struct search_query *q)
{
    json_t *source = json_array();
    for (size_t i = 0; i < q->column_count; i++)
        json_array_append_new(source, json_string(q->columns[i]->name));
    return json_pack("{s:{s:o, s:o, s:I, s:I, s:o, s:o}, s:o}", "query", "query", tree_json(q),
                     "aggs", aggs_json(q->aggs), "size", (json_int_t)q->number, "from",
                     (json_int_t)q->offset, "sort", sort_json(q), "_source", source, "indices",
                     weeks_json(q));
}
