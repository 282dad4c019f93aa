/*
 * GET /api/SignatureStats/: how a few signatures, or everything, went over time; docs/statistics.md
 * says what is counted.
 *
 * The database answers the points that are not zero, and beside them the sum over all of them (for
 * installations that is no sum of points, so only the database can know it).  Here the points are
 * put onto a line without gaps, so that a client draws it as it stands.  Builds have no such line:
 * each signature has the builds of all, in their order.  First and last are asked for signatures
 * only: of everything they would take a look at every key (1.4 s for 40,000 of them).
 *
 * Values are compared exactly, also when written as Super Search writes that ("=Firefox").
 */
#include <inttypes.h>
#include <stdlib.h>

#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/pages.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/search/search.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"
#include "queries.h"

/*
 * SIGNATURES_MAX is promised in docs/statistics.md.  DAYS_MAX: statistics are kept so long.
 * POINTS_MAX of a signature: 775 days, or 35 days of hours, with room; 50 such lines are 5 MB.
 */
enum { SIGNATURES_MAX = 50, DAYS_MAX = 775, POINTS_MAX = 2000 };

enum interval_unit { EVERY_DAY, EVERY_HOUR, EVERY_WEEK, EVERY_BUILD };
enum stats_measure { MEASURE_COUNT, MEASURE_ESTIMATE, MEASURE_INSTALLS, MEASURE_STARTUP };

static const struct param_choice interval_choices[] = {
    {"day", NULL}, {"hour", NULL}, {"week", NULL}, {"build", NULL}, {NULL, NULL}};
static const struct param_choice measure_choices[] = {
    {"count", NULL}, {"estimate", NULL}, {"installs", NULL}, {"startup", NULL}, {NULL, NULL}};

/* clang-format off */
static const struct param_spec
    signature = {"signature", PARAM_LIST, PARAM_SKIP_EMPTY, .help = "Signatures, at most 50; without: everything as one"},
    product = {"product", PARAM_LIST, PARAM_SKIP_EMPTY, .help = "Exact values; repeated: any of them"},
    channel = {"channel", PARAM_LIST, PARAM_SKIP_EMPTY, .help = "Release channels"},
    version = {"version", PARAM_LIST, PARAM_SKIP_EMPTY, .help = "Versions"},
    platform = {"platform", PARAM_LIST, PARAM_SKIP_EMPTY, .help = "Operating systems"},
    process_type = {"process_type", PARAM_LIST, PARAM_SKIP_EMPTY, .help = "Process types; parent is the main process"},
    date = {"date", PARAM_LIST, PARAM_SKIP_EMPTY, .help = "Bounds such as >=2026-01-01; default: the last 7 days, at most 775"},
    interval = {"interval", PARAM_CHOICE, .choices = interval_choices, .refusal = API_BAD_VALUE("interval"), .help = "Width of a point"},
    measure = {"measure", PARAM_CHOICE, .choices = measure_choices, .refusal = API_BAD_VALUE("measure"), .help = "What is counted"};
/* clang-format on */
const struct param_spec *const api_signature_stats_params[] = {
    &signature,    &product, &channel,  &version, &platform,
    &process_type, &date,    &interval, &measure, NULL};

struct stats_question {
    struct req *r;
    struct strs signatures; /* distinct, as asked; n 0: everything */
    const char *filters[6]; /* arrays of the database: signatures, product … process_type */
    int64_t from_us, to_us, now_us;
    enum interval_unit interval;
    enum stats_measure measure;
};

/* What stats_sums and stats_installs have in common. */
struct stats_answer {
    struct db_rows *rows;
    int signature, at, value; /* columns */
    int64_t *ats;             /* points of every line, ascending: seconds, or builds */
    size_t n;
};

static const char *exact_values(struct req *r, const struct param_spec *p)
{
    struct strs given = req_list(r, p);
    for (size_t i = 0; i < given.n; i++)
        if (given.v[i].n > 1 && given.v[i].p[0] == '=')
            given.v[i] = str_sub(given.v[i], 1, SIZE_MAX);
    return given.n ? db_text_array(req_arena(r), given) : NULL;
}

static struct strs distinct(struct arena *a, struct strs all)
{
    struct strs out = {.v = arena_array(a, all.n + 1, sizeof(struct str))};
    for (size_t i = 0; i < all.n; i++)
        if (!strs_have(out, all.v[i]))
            out.v[out.n++] = all.v[i];
    return out;
}

/* ERR_INVALID has the words for the client. */
static bool read_question(struct stats_question *q, struct err *err)
{
    static const struct param_spec *const filters[] = {&product, &channel, &version, &platform,
                                                       &process_type};
    struct req *r = q->r;
    struct strs dates = req_list(r, &date), all = req_list(r, &signature);
    struct search_params params = {
        .v = arena_array(req_arena(r), dates.n + 1, sizeof(struct search_param))};
    for (size_t i = 0; i < dates.n; i++)
        params.v[params.n++] = (struct search_param){STR("date"), dates.v[i]};
    if (all.n > SIGNATURES_MAX)
        return err_set(err, ERR_INVALID, "more than %d signatures", SIGNATURES_MAX);
    q->signatures = distinct(req_arena(r), all);
    q->filters[0] = all.n ? db_text_array(req_arena(r), q->signatures) : NULL;
    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        q->filters[i + 1] = exact_values(r, filters[i]);
    q->now_us = now_us();
    q->interval = (enum interval_unit)req_choice(r, &interval);
    q->measure = (enum stats_measure)req_choice(r, &measure);
    return search_date_range(params, q->now_us, DAYS_MAX, &q->from_us, &q->to_us, err);
}

static int64_t width_s(enum interval_unit unit)
{
    static const int64_t widths[] = {
        [EVERY_DAY] = 86400, [EVERY_HOUR] = 3600, [EVERY_WEEK] = INT64_C(7) * 86400};
    return widths[unit];
}

/* Start of the hour, day or week; weeks begin on Monday, and 1970 began on a Thursday. */
static int64_t floor_s(enum interval_unit unit, int64_t us)
{
    const int64_t monday_s = unit == EVERY_WEEK ? INT64_C(4) * 86400 : 0;
    int64_t width = width_s(unit), s = us / 1000000 - (us % 1000000 < 0) - monday_s;
    int64_t rest = s % width;
    return s - (rest < 0 ? rest + width : rest) + monday_s;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void builds_of(struct stats_answer *s, struct arena *a)
{
    size_t kept = 0;
    s->ats = arena_array(a, (size_t)s->rows->count + 1, sizeof *s->ats);
    for (int i = 0; i < s->rows->count; i++)
        if (db_col(s->rows, i, s->at))
            s->ats[s->n++] = db_col_int(s->rows, i, s->at, 0);
    qsort(s->ats, s->n, sizeof *s->ats, by_number);
    for (size_t i = 0; i < s->n; i++)
        if (kept == 0 || s->ats[i] != s->ats[kept - 1])
            s->ats[kept++] = s->ats[i];
    s->n = kept;
}

static size_t point_count(const struct stats_question *q)
{
    if (q->from_us >= q->to_us)
        return 0;
    int64_t first = floor_s(q->interval, q->from_us), last = floor_s(q->interval, q->to_us - 1);
    return (size_t)((last - first) / width_s(q->interval)) + 1;
}

static void line_of(struct stats_answer *s, const struct stats_question *q)
{
    if (q->interval == EVERY_BUILD) {
        builds_of(s, req_arena(q->r));
        return;
    }
    s->n = point_count(q);
    s->ats = arena_array(req_arena(q->r), s->n + 1, sizeof *s->ats);
    for (size_t i = 0; i < s->n; i++)
        s->ats[i] = floor_s(q->interval, q->from_us) + (int64_t)i * width_s(q->interval);
}

static json_t *value_of(const struct stats_question *q, const struct stats_answer *s, int row)
{
    const char *text = row < 0 ? "0" : db_col(s->rows, row, s->value);
    double value = text ? strtod(text, NULL) : 0;
    return q->measure == MEASURE_ESTIMATE ? json_real(value) : json_integer((json_int_t)value);
}

static void set_at(json_t *point, const struct stats_question *q, int64_t at)
{
    char text[TIME_TEXT_MAX];
    if (q->interval == EVERY_BUILD)
        snprintf(text, sizeof text, "%" PRId64, at);
    else
        time_iso_s(at, text);
    bool is_day = q->interval == EVERY_DAY || q->interval == EVERY_WEEK;
    jset_text(point, "at", is_day ? str_sub(str_of(text), 0, 10) : str_of(text));
}

/* The newest build counts as the one that is running, if the question reaches up to now. */
static bool is_partial(const struct stats_question *q, const struct stats_answer *s, size_t i)
{
    if (q->interval == EVERY_BUILD)
        return i == s->n - 1 && q->to_us >= q->now_us;
    int64_t now_s = q->now_us / 1000000;
    return s->ats[i] <= now_s && now_s < s->ats[i] + width_s(q->interval);
}

/* Rows of a signature lie together: the sum first, then its points in their order. */
static void set_points(json_t *line, const struct stats_question *q, const struct stats_answer *s,
                       struct str name)
{
    int row = 0, total = -1;
    while (row < s->rows->count && !str_eq(str_of(db_col(s->rows, row, s->signature)), name))
        row++;
    if (row < s->rows->count)
        total = row++;
    json_t *points = json_array();
    json_object_set_new(line, "points", points);
    for (size_t i = 0; i < s->n; i++) {
        bool is_there = row < s->rows->count &&
                        str_eq(str_of(db_col(s->rows, row, s->signature)), name) &&
                        db_col_int(s->rows, row, s->at, INT64_MIN) == s->ats[i];
        json_t *point = json_object();
        set_at(point, q, s->ats[i]);
        json_object_set_new(point, "value", value_of(q, s, is_there ? row++ : -1));
        if (is_partial(q, s, i))
            jset_bool(point, "partial", true);
        json_array_append_new(points, point);
    }
    json_object_set_new(line, "total", value_of(q, s, total));
}

static void set_seen(json_t *line, const struct db_rows *seen, struct str name)
{
    static const struct seen_columns {
        const char *key;
        int date, build, version;
    } ends[] = {
        {"first_seen", Q_STATS_SEEN_COL_FIRST_DATE, Q_STATS_SEEN_COL_FIRST_BUILD,
         Q_STATS_SEEN_COL_FIRST_VERSION},
        {"last_seen", Q_STATS_SEEN_COL_LAST_DATE, Q_STATS_SEEN_COL_LAST_BUILD,
         Q_STATS_SEEN_COL_LAST_VERSION},
    };
    int row = 0;
    while (row < seen->count &&
           !str_eq(str_of(db_col(seen, row, Q_STATS_SEEN_COL_SIGNATURE)), name))
        row++;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        if (row == seen->count) {
            jset_null(line, ends[i].key);
            continue;
        }
        json_t *end = json_object();
        jset_cstr(end, "date", db_col(seen, row, ends[i].date));
        jset_cstr(end, "build", db_col(seen, row, ends[i].build));
        jset_cstr(end, "version", db_col(seen, row, ends[i].version));
        json_object_set_new(line, ends[i].key, end);
    }
}

/* Sums and distinct installations have the same columns, in statements of their own. */
static bool query_stats(const struct stats_question *q, struct db_rows *rows,
                        struct stats_answer *ret, struct err *err)
{
    static const char *const intervals[] = {"day", "hour", "week", "build"};
    static const char *const measures[] = {"count", "estimate", "installs", "startup"};
    struct arena *a = req_arena(q->r);
    const char *const *f = q->filters;
    const char *from = db_int(a, q->from_us), *to = db_int(a, q->to_us);
    *ret = (struct stats_answer){
        rows, Q_STATS_SUMS_COL_SIGNATURE, Q_STATS_SUMS_COL_AT, Q_STATS_SUMS_COL_VALUE, NULL, 0};
    if (q->measure != MEASURE_INSTALLS)
        return DB_RUN(req_db(q->r), &q_stats_sums, rows, err, f[0], f[1], f[2], f[3], f[4], f[5],
                      from, to, intervals[q->interval], measures[q->measure]);
    *ret = (struct stats_answer){rows,
                                 Q_STATS_INSTALLS_COL_SIGNATURE,
                                 Q_STATS_INSTALLS_COL_AT,
                                 Q_STATS_INSTALLS_COL_VALUE,
                                 NULL,
                                 0};
    return DB_RUN(req_db(q->r), &q_stats_installs, rows, err, f[0], f[1], f[2], f[3], f[4], f[5],
                  from, to, intervals[q->interval]);
}

static bool answer_question(const struct stats_question *q, struct err *err)
{
    DB_ROWS rows = {0};
    DB_ROWS seen = {0};
    struct stats_answer s;
    bool ok = query_stats(q, &rows, &s, err) &&
              (q->signatures.n == 0 || DB_RUN(req_db(q->r), &q_stats_seen, &seen, err,
                                              q->filters[0], q->filters[1], q->filters[2]));
    if (!ok)
        return err_wrap(err, "statistics of %zu signatures", q->signatures.n);
    line_of(&s, q);
    json_auto_t *body = json_object();
    json_t *stats = json_array();
    json_object_set_new(body, "stats", stats);
    for (size_t i = 0; i < MAX(q->signatures.n, (size_t)1); i++) {
        json_t *line = json_object();
        struct str name = q->signatures.n ? q->signatures.v[i] : STR("");
        if (q->signatures.n)
            jset_text(line, "signature", name);
        else
            jset_null(line, "signature");
        set_points(line, q, &s, name);
        set_seen(line, &seen, name);
        json_array_append_new(stats, line);
    }
    return answer_json_cached(q->r, body, err);
}

bool api_signature_stats_get(struct req *r, struct err *err)
{
    struct stats_question q = {.r = r};
    struct err why = {0};
    if (!read_question(&q, &why))
        return answer_error(r, 400, "Bad request: BadArgumentError: %s", why.msg);
    if (q.interval != EVERY_BUILD && point_count(&q) > POINTS_MAX)
        return answer_error(r, 400,
                            "Bad request: BadArgumentError: more than %d points; ask for fewer "
                            "days or a wider interval",
                            POINTS_MAX);
    return answer_question(&q, err);
}
