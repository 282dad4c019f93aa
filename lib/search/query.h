#ifndef SEARCH_QUERY_H
#define SEARCH_QUERY_H

#include "lib/crash/field.h"
#include "lib/search/regex.h"
#include "lib/search/search.h"

/*
 * query - the checked, typed form of a search.  Parameters are turned into it by
 * search_parse; engines run it.  Nothing in it depends on an engine.
 *
 * Ownership  Everything lies in the arena given to search_parse, regular expressions
 *            included.
 * Trust      After search_parse every field exists and the reader may see it, every number
 *            is inside its limit and every expression compiles.
 */
enum {
    /* Defaults and limits of the search service that clients were written for; the texts of the
     * errors name them. */
    QUERY_FACETS_MAX = 10000,
    QUERY_FACETS_DEFAULT = 50,
    QUERY_HITS_MAX = 1000,
    QUERY_HITS_DEFAULT = 100,
    QUERY_WINDOW_MAX = 10000, /* offset + number */
    QUERY_DATE_DAYS_MAX = 365,
    QUERY_DATE_DAYS_DEFAULT = 7,
    QUERY_RETENTION_DAYS = 26 * 7,
    QUERY_REGEX_CHARS_MAX = 1000,
    /* Ours. */
    QUERY_STEPS_MAX = 8, /* frames of one condition: each is one more look at every stack */
    QUERY_CHAIN_MAX = 4, /* fields in one _aggs chain: each is one more pass over the rows */
    QUERY_REGEX_STATES_MAX =
        5 * REGEX_STATES_MAX, /* of all expressions: 2 MB with their matchers */
};

enum cond_op {
    COND_MATCHES, /* plain value: tokens for text and semi, else equality */
    COND_EXACT,
    COND_CONTAINS,
    COND_PREFIX,
    COND_SUFFIX,
    COND_REGEX,
    COND_GE,
    COND_LE,
    COND_LT,
    COND_GT,
    COND_TRUE,
    COND_MISSING,
    COND_FRAMES,  /* frames at places, calling each other: the steps */
    COND_VERSION, /* a module whose version compares */
};

struct cond_value {
    struct str text;            /* as given, without operator */
    int64_t i;                  /* int, bool */
    double d;                   /* float */
    const struct regex *regex;  /* COND_REGEX */
    struct strs tokens;         /* COND_MATCHES on text and semi: lower-case */
    struct str module, version; /* COND_VERSION */
    enum cond_op compare;       /* likewise */
};

struct frame_step;

/* One condition: any of the values; then turned round if is_negated. */
struct cond {
    enum cond_op op;
    bool is_negated;
    bool joins_with_and; /* how it joins what stands left of it; else OR */
    struct cond_value *values;
    size_t n;
    struct frame_step *steps; /* COND_FRAMES: of the one value */
    size_t step_count;
};

/* A frame for which the condition holds, between these places, counted from the top. */
struct frame_step {
    struct cond cond;
    uint32_t first, last;
    bool is_direct; /* right below the frame of the step before; else anywhere below it */
};

/* All conditions on one field, folded from the left.  Filters of different fields are ANDed. */
struct filter {
    const struct search_field *field;
    struct cond *conds;
    size_t n;
};

/* Whether a range condition holds for x given as the result of comparing with the bound. */
static inline bool cond_range_holds(enum cond_op op, int compared)
{
    switch (op) {
    case COND_GE:
        return compared >= 0;
    case COND_LE:
        return compared <= 0;
    case COND_LT:
        return compared < 0;
    case COND_GT:
        return compared > 0;
    default:
        return compared == 0;
    }
}

enum agg_kind {
    AGG_TERMS,
    AGG_HISTOGRAM,
    AGG_CARDINALITY,
    AGG_SUMS,        /* one node for all figures of a field that need no order of its values */
    AGG_PERCENTILES, /* and one for all that do */
};
enum agg_figure { FIGURE_AVG, FIGURE_SUM, FIGURE_MIN, FIGURE_MAX };

enum calendar { CALENDAR_NONE, CALENDAR_WEEK, CALENDAR_MONTH, CALENDAR_QUARTER, CALENDAR_YEAR };

struct interval {
    enum calendar calendar; /* date: unit of varying length or with a start of its own */
    int64_t width_us;       /* date: fixed width from 1970 when calendar is NONE */
    int64_t i;              /* integer fields, > 0 */
    double d;               /* float fields, > 0 */
};

/* One number of the answer, of AGG_SUMS and AGG_PERCENTILES. */
struct agg_number {
    const struct facet_kind *what;
    const char *key; /* avg_F, p95_F */
};

struct agg {
    enum agg_kind kind;
    const struct search_field *field;
    const char *key; /* in the answer: F, histogram_F, cardinality_F; NULL: the numbers have it */
    struct interval interval;
    struct agg_number *numbers; /* room for one of each kind */
    size_t number_count;
    struct agg *next;     /* sibling, in order of request */
    struct agg *children; /* inside each bucket */
};

/* Which values of a facet come first; the same at every level. */
enum facets_sort { FACETS_BY_COUNT, FACETS_BY_INSTALLATIONS };

struct sort_key {
    const struct search_field *field;
    bool is_descending;
};

struct search_query {
    const struct field_table *fields; /* whose fields these are */
    int64_t from_us, to_us;           /* half open; from >= to: nothing matches */
    struct filter *filters;
    size_t filter_count;
    const struct search_field **columns;
    size_t column_count;
    struct sort_key *sort;
    size_t sort_count;
    size_t offset, number;
    size_t facets_size;
    enum facets_sort facets_sort;
    const struct search_field *installation; /* told apart by it; NULL: not asked for */
    const struct search_field *rate;         /* kept share of such reports; NULL: no estimates */
    struct agg *aggs;                        /* empty when facets_size is 0 */
    bool wants_query;
};

/* Start of the bucket that holds v, for date and integer histograms. */
int64_t interval_floor(const struct search_field *f, const struct interval *w, int64_t v);
double interval_floor_double(const struct interval *w, double v);

/* The weeks (Mondays, days since 1970) that the query's dates touch: [*ret_from, *ret_to]. */
bool query_weeks(const struct search_query *q, int64_t *ret_from, int64_t *ret_to);

#endif
