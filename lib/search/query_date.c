/*
 * The filter `date` ends up with exactly one lower and one upper bound, because the index is cut
 * into weeks and a search must know which of them it reads: without a date it is the last seven
 * days, and never more than a year.  Of several bounds of a side the tightest counts.  Bounds are
 * whole seconds and the interval of a query is half open, so a strict lower bound, or an upper one
 * that is included, moves by a microsecond, the unit of the index.
 *
 * What is older than the retention time is not searched, without an error, though it may still be
 * there: what a query finds should not depend on whether retention has run tonight.
 *
 * Below that: where the buckets of histograms start, for dates and for numbers.
 */
#include "lib/search/query_build.h"

#include <math.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/search.h"

struct bound {
    int64_t us;
    bool is_set;
    bool is_strict;
};

/*
 * -7d, -12h: before now; +1h after it.  Three thousand years are more than anybody means, and few
 * enough that the bounds and the distance between them fit into 64 bits of microseconds.
 */
static bool parse_relative(struct str s, int64_t now, int64_t *ret_us)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
    const uint64_t most_s = 100000000000; /* 3,169 years */
    uint64_t n;
    bool is_future = str_starts(s, STR("+"));
    if (s.n < 3 || (s.p[0] != '-' && !is_future) ||
        !str_to_u64(str_sub(s, 1, s.n - 2), 10, 100000000, "amount", &n, ERR_IGNORED))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (units[i].unit == s.p[s.n - 1] && n <= most_s / (uint64_t)units[i].seconds) {
            int64_t distance = (int64_t)n * units[i].seconds * SECOND_US;
            *ret_us = is_future ? now + distance : now - distance;
            return true;
        }
    return false;
}

/* The second that us lies in; also before 1970, where % gives what is missing as negative. */
static int64_t whole_seconds(int64_t us)
{
    int64_t rest = us % SECOND_US;
    return us - (rest < 0 ? rest + SECOND_US : rest);
}

/* A date always exists, so `__null__` says nothing and is left out rather than refused. */
static bool add_bound(struct str value, int64_t now_us, struct bound *low, struct bound *high,
                      struct err *err)
{
    bool is_negated; /* has no meaning here */
    enum cond_op op = query_take_operator(VALUE_DATETIME, &value, &is_negated);
    if (op == COND_MISSING)
        return true;
    if (op == COND_MATCHES)
        return err_set(err, ERR_INVALID, "date must have a prefix operator");
    struct bound at = {.is_set = true, .is_strict = op == COND_GT || op == COND_LT};
    if (!parse_relative(value, now_us, &at.us) && !time_parse(value, &at.us, ERR_IGNORED))
        return err_set(err, ERR_INVALID, "Bad value for parameter date: not a valid datetime");
    at.us = whole_seconds(at.us);
    bool is_low = op == COND_GT || op == COND_GE;
    struct bound *old = is_low ? low : high;
    bool is_tighter = is_low ? at.us > old->us : at.us < old->us;
    if (!old->is_set || is_tighter || (at.us == old->us && at.is_strict))
        *old = at;
    return true;
}

bool search_date_range(struct search_params params, int64_t now_us, int days_max,
                       int64_t *ret_from_us, int64_t *ret_to_us, struct err *err)
{
    struct bound low = {0}, high = {0};
    for (size_t i = 0; i < params.n; i++)
        if (params.v[i].value.n > 0 && str_eq(params.v[i].name, STR("date")) &&
            !add_bound(params.v[i].value, now_us, &low, &high, err))
            return false;
    if (!high.is_set)
        high = (struct bound){.us = now_us};
    if (!low.is_set)
        low = (struct bound){.us = whole_seconds(high.us - QUERY_DATE_DAYS_DEFAULT * DAY_US)};
    if (high.us - low.us > days_max * DAY_US)
        return err_set(err, ERR_INVALID, "Date range is bigger than %d days", days_max);
    *ret_from_us = low.us + low.is_strict;
    *ret_to_us = high.us + !high.is_strict;
    return true;
}

bool query_build_dates(struct query_build *b)
{
    struct search_query *q = b->query;
    if (!search_date_range(b->params, b->ctx->now_us, QUERY_DATE_DAYS_MAX, &q->from_us, &q->to_us,
                           b->err))
        return false;
    q->from_us = MAX(q->from_us, b->ctx->now_us - QUERY_RETENTION_DAYS * DAY_US);
    return true;
}

static int64_t floor_div(int64_t v, int64_t by)
{
    int64_t q = v / by;
    return v % by < 0 ? q - 1 : q;
}

/* Weeks begin on Monday; months, quarters and years on their first day.  All in UTC. */
static int64_t calendar_floor(enum calendar unit, int64_t us)
{
    if (unit == CALENDAR_WEEK) {
        int64_t day = floor_div(us, DAY_US);
        return (day - weekday_of_us(us)) * DAY_US;
    }
    struct civil c = civil_of_us(us);
    int month = unit == CALENDAR_YEAR      ? 1
                : unit == CALENDAR_QUARTER ? (c.month - 1) / 3 * 3 + 1
                                           : c.month;
    return days_of_civil(c.year, month, 1) * DAY_US;
}

/* Widths of dates without a calendar count from 1970, so that "6h" falls on midnight. */
int64_t interval_floor(const struct search_field *f, const struct interval *w, int64_t v)
{
    if (f->index != INDEX_DATE) {
        int64_t bucket = floor_div(v, w->i), start;
        return __builtin_mul_overflow(bucket, w->i, &start) ? INT64_MIN : start;
    }
    if (w->calendar != CALENDAR_NONE)
        return calendar_floor(w->calendar, v);
    return floor_div(v, w->width_us) * w->width_us;
}

double interval_floor_double(const struct interval *w, double v)
{
    double start = floor(v / w->d) * w->d;
    return isfinite(start) ? start : v; /* a width too small for v */
}

bool query_weeks(const struct search_query *q, int64_t *ret_from, int64_t *ret_to)
{
    if (q->from_us >= q->to_us)
        return false;
    *ret_from = floor_div(calendar_floor(CALENDAR_WEEK, q->from_us), DAY_US);
    *ret_to = floor_div(calendar_floor(CALENDAR_WEEK, q->to_us - 1), DAY_US);
    return true;
}
