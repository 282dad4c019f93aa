#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/module_version.h"
#include "lib/search/query.h"

/* From parameters to the query tree: values, operators, dates, errors, permissions. */

static const char *const products[] = {"Firefox", "Fenix", NULL};

struct parsed {
    struct arena arena;
    struct search_query *q;
    const char *form_param;
    struct err err;
};

enum { NOW_S = 1714564800 }; /* 2024-05-01T12:00:00Z, a Wednesday */

static void parse(struct parsed *p, const char *query, const struct search_context *ctx)
{
    static struct search_param v[64];
    struct search_params params = {.v = v};
    struct str rest = str_of(query), part;
    while (str_split(&rest, '&', &part)) {
        size_t eq = str_find_char(part, '=', 0);
        v[params.n++] =
            (struct search_param){str_sub(part, 0, eq), str_sub(part, eq + 1, SIZE_MAX)};
    }
    *p = (struct parsed){0};
    arena_init(&p->arena, 8 << 20);
    search_clean(&fields_builtin, ctx, &params);
    search_parse(&p->arena, &fields_builtin, ctx, params, &p->q, &p->form_param, &p->err);
}

static struct search_context context(enum perm reader)
{
    return (struct search_context){
        .now_us = NOW_S * (int64_t)1000000 + 500000, .reader = reader, .products = products};
}

static const struct {
    const char *query, *form_param, *text;
} error_cases[] = {
    {"_results_number=1001", NULL, "_results_number cannot be greater than 1,000"},
    {"_results_number=-1", NULL, "_results_number cannot be negative"},
    {"_results_number=x", "_results_number", "Enter a whole number."},
    {"_results_number=1.5", "_results_number", "Enter a whole number."},
    {"_results_offset=9901", NULL,
     "_results_offset + _results_number cannot be greater than 10,000"},
    {"_results_offset=-1", NULL, "_results_offset + _results_number cannot be greater than 10,000"},
    {"_results_offset=99999999999999999999", "_results_offset", "Enter a whole number."},
    {"_facets_size=10001", NULL, "Bad value for parameter(s) '_facets_size greater than 10,000'"},
    {"_facets_size=foo", "_facets_size", "Enter a whole number."},
    {"_columns=fee", NULL, "Unknown field 'fee'"},
    {"_columns=Uuid", NULL, "Unknown field 'Uuid'"},
    {"uptime=x", NULL, "Bad value for parameter uptime: not a valid int"},
    {"uptime=>1.5", NULL, "Bad value for parameter uptime: not a valid int"},
    {"uptime=5 5", NULL, "Bad value for parameter uptime: not a valid int"},
    {"uptime_ts=>x", NULL, "Bad value for parameter uptime_ts: not a valid float"},
    {"date=2024-05-01", NULL, "date must have a prefix operator"},
    {"date=!2024-05-01", NULL, "date must have a prefix operator"},
    {"date==2024-05-01", NULL, "date must have a prefix operator"},
    {"date=>2024-13-01", NULL, "Bad value for parameter date: not a valid datetime"},
    {"date=>yesterday", NULL, "Bad value for parameter date: not a valid datetime"},
    {"date=>-99999999w", NULL, "Bad value for parameter date: not a valid datetime"},
    {"date=>=-1000000d&date=<+1000000d", NULL, "Date range is bigger than 365 days"},
    {"date=>=2023-04-01", NULL, "Date range is bigger than 365 days"},
    {"_histogram_interval.date=6w", NULL, "Bad value for parameter(s) '_histogram_interval.date'"},
    {"_histogram_interval.date=0d", NULL, "Bad value for parameter(s) '_histogram_interval.date'"},
    {"_histogram_interval.uptime=0", NULL,
     "Bad value for parameter(s) '_histogram_interval.uptime'"},
    {"_histogram_interval.uptime=x", "_histogram_interval.uptime", "Enter a whole number."},
    {"_histogram_interval.uptime_ts=x", "_histogram_interval.uptime_ts", "Enter a number."},
    {"product=Firefox&product=WaterWolf&product=!NightTrain&product=~Fire", NULL,
     "Bad value for parameter(s) 'Not valid products: WaterWolf, NightTrain, ~Fire'"},
    {"signature=@\"", NULL, "Malformed supersearch query: expected \" at position 1"},
    {"signature=@(a{999}){999}", NULL,
     "Search query is too complex to execute. Simplify the search pattern and try again."},
    {"_aggs.product.version.platform.cpu_arch.vendor=signature", NULL,
     "Bad value for parameter(s) '_aggs.product.version.platform.cpu_arch.vendor'"},
    {"frame_function==a @4-0", NULL, "Bad value for parameter frame_function: frames 4-0"},
    {"frame_function==a <- __null__", NULL,
     "Bad value for parameter frame_function: a frame that does not exist"},
    {"frame_function=1 <- 2 <- 3 <- 4 <- 5 <- 6 <- 7 <- 8 <- 9", NULL,
     "Bad value for parameter frame_function: more than 8 frames in a row"},
    {"thread_function==a <- b", NULL,
     "Bad value for parameter thread_function: places and callers are known of the crashing thread "
     "alone"},
    {"thread_module==a @0", NULL,
     "Bad value for parameter thread_module: places and callers are known of the crashing thread "
     "alone"},
    {"frame_file=a <- @(", NULL, "Malformed supersearch query: unexpected end at position 1"},
    {"frame_function=a <- @(a{999}){999}", NULL,
     "Search query is too complex to execute. Simplify the search pattern and try again."},
};

static void test_errors(void **state)
{
    (void)state;
    struct search_context ctx = context(PERM_PUBLIC);
    for (size_t i = 0; i < ARRAY_LEN(error_cases); i++) {
        struct parsed p;
        parse(&p, error_cases[i].query, &ctx);
        const char *form = error_cases[i].form_param;
        if (p.err.code != ERR_INVALID || strcmp(p.err.msg, error_cases[i].text) != 0)
            fail_msg("%s: %d %s", error_cases[i].query, p.err.code, p.err.msg);
        if ((form != NULL) != (p.form_param != NULL) || (form && strcmp(form, p.form_param) != 0))
            fail_msg("%s: form parameter %s", error_cases[i].query,
                     p.form_param ? p.form_param : "none");
        arena_release(&p.arena);
    }
}

static void test_nul_character(void **state)
{
    (void)state;
    struct search_context ctx = context(PERM_PUBLIC);
    struct search_param v = {STR("signature"), str_n("a\0b", 3)};
    struct arena a;
    struct search_query *q;
    const char *form = NULL;
    struct err err = {0};
    arena_init(&a, 1 << 20);
    assert_false(
        search_parse(&a, &fields_builtin, &ctx, (struct search_params){&v, 1}, &q, &form, &err));
    assert_string_equal(form, "signature");
    assert_string_equal(err.msg, "Null characters are not allowed.");
    arena_release(&a);
}

static const struct {
    const char *query, *want;
} fold_cases[] = {
    {"signature=foo", "matches(foo)"},
    {"signature==foo", "is(foo)"},
    {"signature===x", "is(=x)"},
    {"signature=~foo", "contains(foo)"},
    {"signature=$foo", "suffix(foo)"},
    {"signature=^foo", "prefix(foo)"},
    {"signature=@fo.", "regexp(fo.)"},
    {"signature=!foo", "not matches(foo)"},
    {"signature=!!foo", "not matches(!foo)"},
    {"signature=!~foo&signature=!~bar", "not contains(foo) or not contains(bar)"},
    {"signature=>5", "matches(>5)"},
    {"signature=__null__rest", "missing(rest)"},
    {"signature=", ""},
    {"cpu_arch=~foo", "matches(~foo)"},
    {"cpu_arch==amd64", "is(amd64)"},
    {"process_type=!gpu&process_type=!rdd", "not matches(gpu,rdd)"},
    {"product=Firefox&product=!Fenix", "not matches(Fenix) or matches(Firefox)"},
    {"uptime=>10&uptime=<20", "gt(10) and lt(20)"},
    {"uptime=__null__&uptime=>10", "missing() and gt(10)"},
    {"uptime=<5&uptime=__null__", "lt(5) or missing()"},
    {"uptime=>=5&uptime=<=7", "gte(5) and lte(7)"},
    {"uptime= 5 ", "matches( 5 )"},
    {"build_id==2020", "is(2020)"},
    {"uptime=!>5", "not gt(5)"},
    {"accessibility=true", "matches(true)"},
    {"accessibility=__true__", "true()"},
    {"accessibility=!__true__", "not true()"},
    {"accessibility=~x", "matches(~x)"},
    {"version=128.0b", "prefix(128.0b)"},
    {"version=!128.0b&version=129.0&version==130.0b",
     "is(130.0b) or matches(129.0) or not prefix(128.0b)"},
    {"version=1b&version=2b", "prefix(1b) or prefix(2b)"},
    {"frame_function=a", "matches(a)"},
    {"frame_function=!~a&frame_function=b&frame_function=!c",
     "not contains(a) or not matches(c) or matches(b)"},
    {"frame_function=~a @0-4", "frames(a @0-4)[contains(a)@0-4]"},
    {"frame_function=a @7", "frames(a @7)[matches(a)@7-7]"},
    {"frame_function=a @-7", "matches(a @-7)"},
    {"frame_function=a @7-", "frames(a @7-)[matches(a)@7-7]"},
    {"frame_function=a @x", "matches(a @x)"},
    {"frame_function=a@7", "matches(a@7)"},
    {"frame_function=__null__ @7", "missing( @7)"},
    {"frame_function=!=a <- ^b&frame_function==c",
     "not frames(a <- ^b)[is(a) <- prefix(b)] or is(c)"},
    {"frame_file=$a.c <-- !=b.c @2-3 <- @x.*",
     "frames(a.c <-- !=b.c @2-3 <- @x.*)[suffix(a.c) <-- not is(b.c)@2-3 <- regexp(x.*)]"},
    {"frame_function=operator<-(a <b)", "matches(operator<-(a <b))"},
    {"modules=xul.dll<128&modules=xul.dll>=9.1", "version(xul.dll<128) and version(xul.dll>=9.1)"},
    {"modules=!xul.dll<128", "not version(xul.dll<128)"},
    {"modules=<128", "matches(<128)"},
    {"modules=xul.dll<", "matches(xul.dll<)"},
    {"modules==a<1/2", "is(a<1/2)"},
    {"frame_module=xul.dll<128", "matches(xul.dll<128)"},
};

static const char *const op_words[] = {"matches", "is",      "contains", "prefix", "suffix",
                                       "regexp",  "gte",     "lte",      "lt",     "gt",
                                       "true",    "missing", "frames",   "version"};

static void show_step(const struct frame_step *s, bool is_first, struct strbuf *out)
{
    const char *arrow = s->is_direct ? " <- " : " <-- ";
    sb_printf(out, "%s%s%s(" STR_FMT ")", is_first ? "" : arrow, s->cond.is_negated ? "not " : "",
              op_words[s->cond.op], STR_ARG(s->cond.values[0].text));
    if (s->last != UINT32_MAX)
        sb_printf(out, "@%u-%u", s->first, s->last);
}

static void show(const struct filter *f, struct strbuf *out)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct cond *c = &f->conds[i];
        if (i > 0)
            sb_text(out, c->joins_with_and ? " and " : " or ");
        sb_printf(out, "%s%s(", c->is_negated ? "not " : "", op_words[c->op]);
        for (size_t k = 0; k < c->n; k++)
            sb_printf(out, "%s" STR_FMT, k ? "," : "", STR_ARG(c->values[k].text));
        sb_char(out, ')');
        for (size_t k = 0; k < c->step_count; k++) {
            sb_text(out, k ? "" : "[");
            show_step(&c->steps[k], k == 0, out);
        }
        sb_text(out, c->step_count ? "]" : "");
    }
}

static const struct {
    const char *older, *newer; /* or equal */
    bool is_equal;
} version_cases[] = {
    {"128", "128.0.0.0", true},
    {"0128.00", "128", true},
    {"9", "10", false},
    {"128.0.0.9", "128.0.0.10", false},
    {"99999999999999999999", "100000000000000000000", false},
    {"1", "1.0.0.1", false},
    {"128.0", "128.0b3", false},
    {"1.2a", "1.2b", false},
    {"", "1", false},
    {"", "0.0", true},
    {"1..2", "1.1", false},
    {"6.1.7601", "6.1.7601.17514 (win7sp1_rtm.101119-1850)", false},
    {"1.", "1", true},
};

static void test_versions_of_modules(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(version_cases); i++) {
        struct str a = str_of(version_cases[i].older), b = str_of(version_cases[i].newer);
        int there = module_version_compare(a, b), back = module_version_compare(b, a);
        bool ok = version_cases[i].is_equal ? there == 0 && back == 0 : there < 0 && back > 0;
        if (!ok)
            fail_msg("%s %s: %d %d", a.p, b.p, there, back);
    }
}

static void test_folds(void **state)
{
    (void)state;
    struct search_context ctx = context(PERM_PUBLIC);
    for (size_t i = 0; i < ARRAY_LEN(fold_cases); i++) {
        struct parsed p;
        STRBUF_AUTO got;
        sb_init(&got, 4096);
        parse(&p, fold_cases[i].query, &ctx);
        if (p.err.code)
            fail_msg("%s: %s", fold_cases[i].query, p.err.msg);
        if (p.q->filter_count > 0)
            show(&p.q->filters[0], &got);
        if (strcmp(sb_cstr(&got), fold_cases[i].want) != 0)
            fail_msg("%s: %s", fold_cases[i].query, sb_cstr(&got));
        arena_release(&p.arena);
    }
}

static const struct {
    const char *query, *from, *to; /* half open, in whole seconds unless strict */
} date_cases[] = {
    {"", "2024-04-24T12:00:00+00:00", "2024-05-01T12:00:00.500001+00:00"},
    {"date=>=2024-04-30", "2024-04-30T00:00:00+00:00", "2024-05-01T12:00:00.500001+00:00"},
    {"date=>2024-04-30", "2024-04-30T00:00:00.000001+00:00", "2024-05-01T12:00:00.500001+00:00"},
    {"date=<2024-04-30", "2024-04-23T00:00:00+00:00", "2024-04-30T00:00:00+00:00"},
    {"date=<=2024-04-30", "2024-04-23T00:00:00+00:00", "2024-04-30T00:00:00.000001+00:00"},
    {"date=>2024-04-20&date=>=2024-04-25&date=<2024-04-30&date=<=2024-04-28",
     "2024-04-25T00:00:00+00:00", "2024-04-28T00:00:00.000001+00:00"},
    {"date=>=2024-4-3T12:13:14.98765%2B&date=<x", NULL, NULL},
    {"date=>=2024-04-03T12:13:14.98765", "2024-04-03T12:13:14+00:00",
     "2024-05-01T12:00:00.500001+00:00"},
    {"date=>=2024-04-03T12:13:14+03:00", "2024-04-03T09:13:14+00:00",
     "2024-05-01T12:00:00.500001+00:00"},
    {"date=>=2024-04-03 12:13 03", "2024-04-03T09:13:00+00:00", "2024-05-01T12:00:00.500001+00:00"},
    {"date=>=-3d&date=<-36h", "2024-04-28T12:00:00+00:00", "2024-04-30T00:00:00+00:00"},
    {"date=__null__", "2024-04-24T12:00:00+00:00", "2024-05-01T12:00:00.500001+00:00"},
    {"date=>=2030-01-01&date=<2030-02-01", "2030-01-01T00:00:00+00:00",
     "2030-02-01T00:00:00+00:00"},
    /* older than the retention time is not searched */
    {"date=>=2023-07-01&date=<2024-01-01", "2023-11-01T12:00:00.500000+00:00",
     "2024-01-01T00:00:00+00:00"},
};

static void test_dates(void **state)
{
    (void)state;
    struct search_context ctx = context(PERM_PUBLIC);
    for (size_t i = 0; i < ARRAY_LEN(date_cases); i++) {
        struct parsed p;
        char from[TIME_TEXT_MAX] = "", to[TIME_TEXT_MAX] = "";
        parse(&p, date_cases[i].query, &ctx);
        if (!p.err.code) {
            time_iso(p.q->from_us, false, from);
            time_iso(p.q->to_us, false, to);
        }
        if ((p.err.code != 0) != (date_cases[i].from == NULL))
            fail_msg("%s: %s", date_cases[i].query, p.err.msg);
        if (!p.err.code &&
            (strcmp(from, date_cases[i].from) != 0 || strcmp(to, date_cases[i].to) != 0))
            fail_msg("%s: %s … %s", date_cases[i].query, from, to);
        arena_release(&p.arena);
    }
}

static const struct {
    const char *query, *want;
} agg_cases[] = {
    {"", "signature"},
    {"_facets=", "signature"},
    {"_facets=product&_facets=_cardinality.version&_facets=_histogram.date",
     "product cardinality_version histogram_date"},
    {"_facets=product&_facets=product", "product"},
    {"_facets=_histogram.product", ""},
    {"_facets_size=0&_facets=product", ""},
    {"_facets=product&_aggs.product=version&_aggs.product=_cardinality.uptime",
     "product(version cardinality_uptime)"},
    {"_facets=product&_aggs.product.version=platform", "product(version(platform))"},
    {"_facets=product&_histogram.uptime=platform&_histogram.signature=product",
     "product histogram_uptime(platform)"},
    {"_facets=nosuch", "signature"}, /* dropped, the default takes its place */
    {"_facets=product&_aggs.nosuch=version", "product"},
    {"_facets=product&_aggs.product=nosuch", "product"},
    {"_facets=product&_facets=Version&_facets= version", "product"},
    {"_facets=_p95.uptime&_facets=_avg.uptime&_facets=_p50.uptime&_facets=_p95.uptime",
     "p95_uptime+p50_uptime avg_uptime"},
    {"_facets=product&_aggs.product=_max.uptime&_aggs.product=_min.uptime&_aggs.product=_p1.uptime",
     "product(max_uptime+min_uptime p1_uptime)"},
    {"_facets=product&_histogram.date=_sum.uptime_ts", "product histogram_date(sum_uptime_ts)"},
    {"_facets=_p42.uptime", "signature"}, /* no such percentile: an unknown name */
};

static void show_aggs(const struct agg *a, struct strbuf *out)
{
    for (; a; a = a->next) {
        if (a->key)
            sb_text(out, a->key);
        for (size_t i = 0; i < a->number_count; i++)
            sb_printf(out, "%s%s", i ? "+" : "", a->numbers[i].key);
        if (a->children) {
            sb_char(out, '(');
            show_aggs(a->children, out);
            sb_char(out, ')');
        }
        if (a->next)
            sb_char(out, ' ');
    }
}

static void test_aggs(void **state)
{
    (void)state;
    struct search_context ctx = context(PERM_PUBLIC);
    for (size_t i = 0; i < ARRAY_LEN(agg_cases); i++) {
        struct parsed p;
        STRBUF_AUTO got;
        sb_init(&got, 4096);
        parse(&p, agg_cases[i].query, &ctx);
        if (p.err.code)
            fail_msg("%s: %s", agg_cases[i].query, p.err.msg);
        show_aggs(p.q->aggs, &got);
        if (strcmp(sb_cstr(&got), agg_cases[i].want) != 0)
            fail_msg("%s: %s", agg_cases[i].query, sb_cstr(&got));
        arena_release(&p.arena);
    }
}

static void test_figures_are_of_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *query, *want;
    } cases[] = {
        {"_facets=_avg.product", "Field 'product' has no numbers for '_avg'"},
        {"_aggs.product=_p95.date", "Field 'date' has no numbers for '_p95'"},
        {"_histogram.uptime=_sum.startup_crash", "Field 'startup_crash' has no numbers for '_sum'"},
    };
    struct search_context ctx = context(PERM_PUBLIC);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed p;
        parse(&p, cases[i].query, &ctx);
        if (p.err.code != ERR_INVALID || strcmp(p.err.msg, cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].query, p.err.msg);
        arena_release(&p.arena);
    }
}

/* Without clean-up a wrong name is told. */
static void test_unredacted_tells_unknown_names(void **state)
{
    (void)state;
    static const char *const queries[] = {"_facets=x",
                                          "_sort=x",
                                          "_sort=-x",
                                          "_aggs.x=product",
                                          "_aggs.product=x",
                                          "_histogram.x=product",
                                          "_facets=_cardinality.x",
                                          "_histogram_interval.x=1"};
    struct search_context ctx = context(PERM_PROTECTED);
    ctx.is_unredacted = true;
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct parsed p;
        parse(&p, queries[i], &ctx);
        if (p.err.code != ERR_INVALID || strcmp(p.err.msg, "Unknown field 'x'") != 0)
            fail_msg("%s: %s", queries[i], p.err.msg);
        arena_release(&p.arena);
    }
}

static const char *const ways_out[] = {
    "url=~secret",
    "url=__null__",
    "user_comments=word",
    "_sort=url",
    "_sort=-url",
    "_facets=url",
    "_facets=_cardinality.url",
    "_facets=_histogram.phc_usable_size",
    "_aggs.url=product",
    "_aggs.product=url",
    "_aggs.product=_cardinality.url",
    "_aggs.product=_histogram.phc_usable_size",
    "_aggs.product.url=version",
    "_aggs.url.product=version",
    "_histogram.phc_usable_size=product",
    "_histogram.date=url",
    "_histogram.date=_cardinality.url",
    "_histogram_interval.phc_usable_size=60",
    "_weights=1", /* by the rate, which is protected */
    "_facets=_avg.phc_usable_size",
    "_facets=_p95.phc_usable_size",
    "_aggs.product=_p50.phc_usable_size",
    "_aggs.phc_usable_size=_p50.uptime",
    "_histogram.date=_max.phc_usable_size",
    "_columns=url",
};

static bool mentions_protected_agg(const struct agg *a)
{
    for (; a; a = a->next)
        if (a->field->perm != PERM_PUBLIC || mentions_protected_agg(a->children))
            return true;
    return false;
}

static bool mentions_protected(const struct search_query *q)
{
    for (size_t i = 0; i < q->filter_count; i++)
        if (q->filters[i].field->perm != PERM_PUBLIC)
            return true;
    for (size_t i = 0; i < q->column_count; i++)
        if (q->columns[i]->perm != PERM_PUBLIC)
            return true;
    for (size_t i = 0; i < q->sort_count; i++)
        if (q->sort[i].field->perm != PERM_PUBLIC)
            return true;
    return q->rate || mentions_protected_agg(q->aggs);
}

static void test_protected_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ways_out); i++)
        for (int html = 0; html < 2; html++) {
            struct parsed p;
            struct search_context ctx = context(PERM_PUBLIC);
            ctx.is_html = html;
            parse(&p, ways_out[i], &ctx);
            if (p.err.code || mentions_protected(p.q))
                fail_msg("%s for the public: %s", ways_out[i], p.err.msg);
            arena_release(&p.arena);

            ctx.reader = PERM_PROTECTED;
            parse(&p, ways_out[i], &ctx);
            bool is_width = strstr(ways_out[i], "interval") != NULL;
            if (p.err.code || (!is_width && !mentions_protected(p.q)))
                fail_msg("%s with view_pii: %s", ways_out[i], p.err.msg);
            arena_release(&p.arena);
        }
}

/* Each protected field once, in the order of the parameters; unknown and empty ones are none. */
static void test_ignored_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *query, *ignored;
    } cases[] = {
        {"url=~x&product=Firefox&user_comments=__null__&url=!y", "url, user_comments"},
        {"_facets=_cardinality.url&_sort=-remote_type&_columns=user_comments",
         "url, remote_type, user_comments"},
        {"_aggs.url.product=remote_type&_histogram.date=user_comments",
         "url, remote_type, user_comments"},
        {"_histogram_interval.phc_usable_size=4&_facets=_histogram.phc_usable_size",
         "phc_usable_size"},
        {"url=&_facets=no_such&no_such=1&_results_number=1&_facets=signature&_aggs.=x", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int reader = PERM_PUBLIC; reader <= PERM_PROTECTED; reader++) {
            struct search_context ctx = context((enum perm)reader);
            struct arena a;
            struct search_param v[8];
            struct search_params params = {.v = v};
            struct str rest = str_of(cases[i].query), part;
            arena_init(&a, 1 << 20);
            while (str_split(&rest, '&', &part)) {
                size_t eq = str_find_char(part, '=', 0);
                v[params.n++] =
                    (struct search_param){str_sub(part, 0, eq), str_sub(part, eq + 1, SIZE_MAX)};
            }
            struct strs names = search_ignored(&a, &fields_builtin, &ctx, params);
            const char *text = "";
            for (size_t k = 0; k < names.n; k++)
                text = arena_printf(&a, "%s%s" STR_FMT, text, k ? ", " : "", STR_ARG(names.v[k]));
            assert_string_equal(text, reader == PERM_PUBLIC ? cases[i].ignored : "");
            arena_release(&a);
        }
}

/* A caller that forgets the clean-up gets an error, not the data. */
static void test_parse_refuses_what_clean_forgot(void **state)
{
    (void)state;
    struct search_context ctx = context(PERM_PUBLIC);
    for (size_t i = 0; i < ARRAY_LEN(ways_out); i++) {
        struct arena a;
        struct search_query *q;
        const char *form;
        struct err err = {0};
        struct str text = str_of(ways_out[i]);
        size_t eq = str_find_char(text, '=', 0);
        struct search_param v = {str_sub(text, 0, eq), str_sub(text, eq + 1, SIZE_MAX)};
        arena_init(&a, 8 << 20);
        bool ok =
            search_parse(&a, &fields_builtin, &ctx, (struct search_params){&v, 1}, &q, &form, &err);
        if (ok ? mentions_protected(q) : err.code != ERR_FORBIDDEN)
            fail_msg("%s: %s", ways_out[i], err.msg);
        arena_release(&a);
    }
}

static void test_fields_json(void **state)
{
    (void)state;
    json_auto_t *fields = search_fields_json(&fields_builtin);
    assert_int_equal(json_object_size(fields), fields_builtin.search_count);
    assert_string_equal(jpath_str(fields, "platform.in_database_name"), "os_name");
    assert_string_equal(jpath_str(fields, "platform.namespace"), "processed_crash");
    assert_string_equal(jpath_str(fields, "cpu_count.namespace"),
                        "processed_crash.json_dump.system_info");
    assert_string_equal(jpath_str(fields, "signature.query_type"), "string");
    const json_t *need = jpath(fields, "url.webapp_permissions_needed");
    assert_string_equal(json_string_value(json_array_get(need, 0)), "crashstats.view_pii");
    assert_int_equal(json_array_size(jpath(fields, "uuid.webapp_permissions_needed")), 0);
}

static void test_return_query(void **state)
{
    (void)state;
    struct search_context ctx = context(PERM_PUBLIC);
    struct parsed p;
    parse(&p, "_return_query=True&product=Firefox&uptime=>5&uptime=<9&_facets=version", &ctx);
    assert_true(search_wants_query(p.q));
    json_auto_t *j = search_query_json(p.q);
    assert_non_null(j);
    assert_int_equal(json_array_size(jpath(j, "query.query.and")), 3);
    assert_non_null(jpath(j, "query.aggs.version.terms"));
    assert_int_equal(json_array_size(jpath(j, "indices")), 2);
    assert_string_equal(json_string_value(json_array_get(jpath(j, "indices"), 0)), "20240422");
    arena_release(&p.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_nul_character),
        cmocka_unit_test(test_folds),
        cmocka_unit_test(test_versions_of_modules),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_aggs),
        cmocka_unit_test(test_figures_are_of_numbers),
        cmocka_unit_test(test_unredacted_tells_unknown_names),
        cmocka_unit_test(test_protected_fields),
        cmocka_unit_test(test_ignored_is_named),
        cmocka_unit_test(test_parse_refuses_what_clean_forgot),
        cmocka_unit_test(test_fields_json),
        cmocka_unit_test(test_return_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
