/*
 * Aggregations: counts of the values of a field over all reports that match, perhaps inside each
 * value of another field.  Four spellings make one tree, in the order of request:
 *
 *   _facets=F                values of F
 *   _facets=_histogram.F     ranges of numbers or dates of one width (_cardinality.F: how many
 *                            values there are)
 *   _aggs.F1.F2=X            X inside each value of F2 inside each value of F1
 *   _histogram.F=X           X inside each range of F
 *
 * X may again be F, _histogram.F, _cardinality.F or a figure like _p95.F (facet_kind.h).  What is
 * asked for twice is one node with the children of both, since its key in the answer is the same:
 * `_facets=F&_aggs.F=X` is one list of F, each value with its X.  A histogram of a field that has
 * no ranges is left out without an error, as clients expect it.
 *
 * The number of nodes is bounded by the number of parameters times QUERY_CHAIN_MAX; what they may
 * cost is counted while the search runs (columns/cost.h).
 */
#include "lib/search/query_build.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/facet_kind.h"
#include "lib/search/query.h"

/* m is minute and M is month. */
static const struct {
    const char *word, *short_word;
    enum calendar calendar;
    int64_t seconds;
} date_units[] = {
    {"minute", "1m", CALENDAR_NONE, 60}, {"hour", "1h", CALENDAR_NONE, 3600},
    {"day", "1d", CALENDAR_NONE, 86400}, {"week", "1w", CALENDAR_WEEK, 0},
    {"month", "1M", CALENDAR_MONTH, 0},  {"quarter", "1q", CALENDAR_QUARTER, 0},
    {"year", "1y", CALENDAR_YEAR, 0},
};

/* "6h", "3d": a fixed width that counts from 1970.  A week or month has its name alone. */
static bool parse_multiple(struct str s, int64_t *ret_seconds)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    uint64_t n;
    if (s.n < 2 || !str_to_u64(str_sub(s, 0, s.n - 1), 10, 1000000, "multiple", &n, ERR_IGNORED) ||
        n == 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (units[i].unit == s.p[s.n - 1]) {
            *ret_seconds = (int64_t)n * units[i].seconds;
            return true;
        }
    return false;
}

static bool parse_date_interval(struct str s, struct interval *w)
{
    int64_t seconds = 0;
    w->calendar = CALENDAR_NONE;
    for (size_t i = 0; i < ARRAY_LEN(date_units); i++)
        if (str_eq(s, str_of(date_units[i].word)) || str_eq(s, str_of(date_units[i].short_word))) {
            w->calendar = date_units[i].calendar;
            w->width_us = date_units[i].seconds * 1000000;
            return true;
        }
    if (!parse_multiple(s, &seconds))
        return false;
    w->width_us = seconds * 1000000;
    return true;
}

/* A width as its field's type writes it.  1e300: a wider range has nothing outside and
 * overflows. */
static bool read_interval(struct query_build *b, const struct search_field *f,
                          const struct search_param *p, struct interval *w)
{
    if (f->query_type == QUERY_DATE) {
        if (parse_date_interval(p->value, w))
            return true;
    } else if (f->query_type == QUERY_INTEGER) {
        if (!str_to_i64(str_trim(p->value), INT64_MIN, INT64_MAX, "interval", &w->i, ERR_IGNORED))
            return query_form_error(b, p->name, "Enter a whole number.");
        if (w->i > 0)
            return true;
    } else if (f->query_type == QUERY_FLOAT) {
        if (!str_to_double(str_trim(p->value), "interval", &w->d, ERR_IGNORED))
            return query_form_error(b, p->name, "Enter a number.");
        if (w->d > 0 && w->d < 1e300)
            return true;
    } else {
        return true; /* ignored, as the histogram itself */
    }
    return err_set(b->err, ERR_INVALID, "Bad value for parameter(s) '_histogram_interval.%s'",
                   f->name);
}

/* The width asked for; without one a day, or 1. */
static bool interval_of_field(struct query_build *b, const struct search_field *f,
                              struct interval *w)
{
    *w = (struct interval){.width_us = DAY_US, .i = 1, .d = 1.0};
    for (size_t i = 0; i < b->params.n; i++) {
        const struct search_param *p = &b->params.v[i];
        struct str name = p->name;
        if (p->value.n == 0 || !str_starts(name, STR("_histogram_interval.")))
            continue;
        if (str_eq(str_sub(name, strlen("_histogram_interval."), SIZE_MAX), str_of(f->name)) &&
            !read_interval(b, f, p, w))
            return false;
    }
    return true;
}

static const char *key_of(struct query_build *b, const struct facet_kind *kind,
                          const struct search_field *f)
{
    return arena_printf(b->arena, "%s%s", kind->key, f->name);
}

/* The node of this key among the siblings; added at the end if it is new. */
static struct agg *node_of(struct query_build *b, struct agg **list, const struct facet_kind *kind,
                           const struct search_field *f)
{
    struct agg **at = list;
    for (; *at; at = &(*at)->next)
        if ((*at)->kind == kind->kind && (*at)->field == f)
            return *at;
    struct agg *new = arena_alloc(b->arena, sizeof *new);
    new->kind = kind->kind;
    new->field = f;
    if (kind->kind != AGG_SUMS && kind->kind != AGG_PERCENTILES)
        new->key = key_of(b, kind, f);
    return *at = new;
}

/*
 * Figures of one field share a node, since what is counted for one of them answers all: the values
 * are read once for average and sum, and put in order once for all percentiles.
 */
static bool add_number(struct query_build *b, struct agg **list, const struct facet_kind *kind,
                       const struct search_field *f)
{
    size_t kinds;
    facet_kinds(&kinds);
    if (f->query_type != QUERY_INTEGER && f->query_type != QUERY_FLOAT)
        return err_set(b->err, ERR_INVALID, "Field '%s' has no numbers for '" STR_FMT "'", f->name,
                       STR_ARG(str_sub(kind->prefix, 0, kind->prefix.n - 1)));
    struct agg *node = node_of(b, list, kind, f);
    for (size_t i = 0; i < node->number_count; i++)
        if (node->numbers[i].what == kind)
            return true;
    if (!node->numbers)
        node->numbers = arena_array(b->arena, kinds, sizeof *node->numbers);
    node->numbers[node->number_count++] = (struct agg_number){kind, key_of(b, kind, f)};
    return true;
}

static bool has_histogram(const struct search_field *f)
{
    return f->query_type == QUERY_DATE || f->query_type == QUERY_INTEGER ||
           f->query_type == QUERY_FLOAT;
}

/* Adds the histogram, or leaves *ret NULL for a field that has none. */
static bool add_histogram(struct query_build *b, struct agg **list, const struct search_field *f,
                          struct agg **ret)
{
    *ret = NULL;
    if (!has_histogram(f))
        return true;
    struct interval w;
    if (!interval_of_field(b, f, &w))
        return false;
    struct str prefix = STR("_histogram.");
    *ret = node_of(b, list, facet_kind_take(&prefix), f);
    (*ret)->interval = w;
    return true;
}

/* F, or F behind one of the prefixes of facet_kind.c */
static bool add_spelled(struct query_build *b, struct agg **list, struct str value)
{
    const struct facet_kind *kind = facet_kind_take(&value);
    const struct search_field *f = query_field(b, value);
    if (!f)
        return false;
    struct agg *unused;
    if (kind->kind == AGG_HISTOGRAM)
        return add_histogram(b, list, f, &unused);
    if (kind->kind == AGG_SUMS || kind->kind == AGG_PERCENTILES)
        return add_number(b, list, kind, f);
    node_of(b, list, kind, f);
    return true;
}

/* _aggs.F1.F2=x.  More levels than QUERY_CHAIN_MAX would be a pass over all rows each. */
static bool add_chain(struct query_build *b, struct str path, struct str value)
{
    struct agg **list = &b->query->aggs;
    struct str part, rest = path;
    for (int depth = 0; str_split(&rest, '.', &part); depth++) {
        if (depth >= QUERY_CHAIN_MAX)
            return err_set(b->err, ERR_INVALID, "Bad value for parameter(s) '_aggs." STR_FMT "'",
                           STR_ARG(str_sub(path, 0, 100)));
        const struct search_field *f = query_field(b, part);
        if (!f)
            return false;
        struct str bare = STR_NONE;
        list = &node_of(b, list, facet_kind_take(&bare), f)->children;
    }
    return add_spelled(b, list, value);
}

static bool add_nested(struct query_build *b, const struct search_param *p)
{
    if (p->value.n == 0)
        return true;
    if (str_starts(p->name, STR("_aggs.")))
        return add_chain(b, str_sub(p->name, strlen("_aggs."), SIZE_MAX), p->value);
    if (!str_starts(p->name, STR("_histogram.")))
        return true;
    const struct search_field *f =
        query_field(b, str_sub(p->name, strlen("_histogram."), SIZE_MAX));
    struct agg *histogram;
    if (!f || !add_histogram(b, &b->query->aggs, f, &histogram))
        return false;
    return !histogram || add_spelled(b, &histogram->children, p->value);
}

/* Widths are checked even when nothing uses them, so that a typing error is seen. */
static bool check_intervals(struct query_build *b)
{
    struct str prefix = STR("_histogram_interval.");
    for (size_t i = 0; i < b->params.n; i++) {
        struct str name = b->params.v[i].name;
        struct interval unused;
        if (b->params.v[i].value.n == 0 || !str_starts(name, prefix))
            continue;
        const struct search_field *f = query_field(b, str_sub(name, prefix.n, SIZE_MAX));
        if (!f || !read_interval(b, f, &b->params.v[i], &unused))
            return false;
    }
    return true;
}

/*
 * `_facets_sort=installations` and `_weights=1`.  Both name a field for the reader, so both ask for
 * the permission on it.
 */
static bool read_extras(struct query_build *b)
{
    struct str sort = str_trim(query_last_value(b->params, STR("_facets_sort")));
    if (str_eq(sort, STR("installations"))) {
        b->query->facets_sort = FACETS_BY_INSTALLATIONS;
        b->query->installation = query_field(b, STR("install_time"));
        if (!b->query->installation)
            return false;
    } else if (sort.n > 0 && !str_eq(sort, STR("count"))) {
        return err_set(b->err, ERR_INVALID,
                       "Bad value for parameter(s) '_facets_sort': count or installations");
    }
    if (!query_is_yes(str_trim(query_last_value(b->params, STR("_weights")))))
        return true;
    b->query->rate = query_field(b, STR("throttle_rate"));
    return b->query->rate != NULL;
}

/*
 * `_facets` first and the nested ones after it, whatever order they came in: this is the order of
 * the keys in the answer.  All are checked even when `_facets_size` is 0 and none will be counted.
 */
bool query_build_aggs(struct query_build *b)
{
    bool any = false;
    for (size_t i = 0; i < b->params.n; i++) {
        if (b->params.v[i].value.n == 0 || !str_eq(b->params.v[i].name, STR("_facets")))
            continue;
        any = true;
        if (!add_spelled(b, &b->query->aggs, b->params.v[i].value))
            return false;
    }
    if (!any && !add_spelled(b, &b->query->aggs, STR("signature")))
        return false;
    for (size_t i = 0; i < b->params.n; i++)
        if (!add_nested(b, &b->params.v[i]))
            return false;
    if (!check_intervals(b) || !read_extras(b))
        return false;
    if (b->query->facets_size == 0)
        b->query->aggs = NULL;
    return true;
}
