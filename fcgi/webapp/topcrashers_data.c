/*
 * The ranking of signatures of one product: what was asked for, the searches, the rows.
 *
 * A ranking compares two periods of the same length, the present one and the one before it.  The
 * second search lists twice as many signatures, because what is at the top now may have been
 * further down before; what is not even there counts as new.
 */
#include "fcgi/webapp/topcrashers.h"

#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/url_query.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"
#include "queries.h"

/*
 * EARLY_S is the minute that the page's mark speaks of.  The search for early crashes lists as many
 * signatures as any search may, because the ones wanted need not be its commonest.
 */
enum { EARLY_S = 60, EARLY_SIGNATURES = 10000 }; /* as many as a search lists */

/* clang-format off */
static const struct param_choice
    days[] = {{"7", "7 days"}, {"1", "1 day"}, {"3", "3 days"}, {"14", "14 days"}, {"28", "28 days"}, {0}},
    modes[] = {{"realtime", "Up to now"}, {"byday", "Whole days"}, {0}},
    ranges[] = {{"report", "Report date"}, {"build", "Build date"}, {0}},
    types[] = {{"crash", "Crashes"}, {"hang", "Hangs"}, {"any", "Both"}, {0}},
    processes[] = {
        {"parent", "parent"}, {"any", "any"}, {"content", "content"}, {"gpu", "gpu"}, {"plugin", "plugin"},
        {"rdd", "rdd"}, {"socket", "socket"}, {"utility", "utility"}, {"other", "other"}, {0},
    },
    sizes[] = {{"50", "50"}, {"100", "100"}, {"200", "200"}, {"300", "300"}, {0}},
    formats[] = {[TCB_FORMAT_PAGE] = {"html", NULL}, [TCB_FORMAT_JSON] = {"json", NULL}, [TCB_FORMAT_CSV] = {"csv", NULL}, {0}};
enum { MODE_REALTIME, MODE_BY_DAY };
enum { RANGE_REPORT, RANGE_BUILD };

const struct param_spec
    tcb_product = {"product", PARAM_TEXT, .help = "one of the configured products; default: the first"},
    tcb_version = {"version", PARAM_LIST, PARAM_SKIP_EMPTY, .help = "versions; default: the first featured one"},
    tcb_days = {"days", PARAM_CHOICE, .choices = days, .refusal = "'days' not a recognized number",
                .number_refusal = "'days' not a number", .help = "length of the period"},
    tcb_size = {"_facets_size", PARAM_CHOICE, PARAM_LENIENT, .choices = sizes,
                .number_refusal = "'_facets_size' not a number", .help = "number of signatures"},
    tcb_mode = {"_tcbs_mode", PARAM_CHOICE, PARAM_LENIENT, .choices = modes,
                .help = "the period ends now, or at the last midnight (byday)"},
    tcb_range = {"_range_type", PARAM_CHOICE, PARAM_LENIENT, .choices = ranges,
                 .help = "period of the reports, or also of the builds (build)"},
    tcb_type = {"_report_type", PARAM_CHOICE, .choices = types,
                .refusal = "'_report_type' not recognized", .help = "kind of reports"},
    tcb_process = {"process_type", PARAM_CHOICE, PARAM_LENIENT, .choices = processes,
                   .help = "process that crashed"},
    /* The database has the platforms (read_platform); others count as none. */
    tcb_platform = {"platform", PARAM_TEXT, .help = "name of a platform; default: all"},
    tcb_end = {"_end", PARAM_DATE, PARAM_SKIP_EMPTY, .refusal = "'_end' not a day",
               .help = "the last day of the period; default: it ends now"},
    tcb_format = {"_format", PARAM_CHOICE, PARAM_LENIENT, .choices = formats,
                  .help = "json, csv: the ranking as numbers"};
/* clang-format on */
const struct param_spec *const topcrashers_params[] = {
    &tcb_product, &tcb_version, &tcb_days,     &tcb_size, &tcb_mode,   &tcb_range,
    &tcb_type,    &tcb_process, &tcb_platform, &tcb_end,  &tcb_format, NULL};

/* The value as it is sent and searched for; choices[0] is the default. */
static const char *chosen(struct req *r, const struct param_spec *p)
{
    return p->choices[req_choice(r, p)].value;
}

/* A platform that the database does not know is no filter: the page shows all of them. */
static bool read_platform(struct req *r, struct tcb_wanted *w, struct err *err)
{
    struct str asked = req_text(r, &tcb_platform);
    DB_ROWS rows = {0};
    if (asked.n == 0)
        return true;
    if (!DB_RUN(req_db(r), &q_web_platforms, &rows, err))
        return err_wrap(err, "listing platforms");
    for (int i = 0; i < rows.count; i++)
        if (str_eq(asked, str_of(db_col(&rows, i, Q_WEB_PLATFORMS_COL_NAME))))
            w->platform = arena_strdup(req_arena(r), db_col(&rows, i, Q_WEB_PLATFORMS_COL_NAME));
    return true;
}

/*
 * The period ends now, at the next full second, or with _tcbs_mode=byday at the last midnight of
 * UTC: then everybody who opens the page on one day sees the same numbers.
 */
bool tcb_read_wanted(struct req *r, struct tcb_wanted *w, struct err *err)
{
    w->query = query_of_request(r);
    query_drop(&w->query, tcb_format.name);
    /* An unknown product is a 404, whatever the other parameters are. */
    if (!app_product(r, req_text(r, &tcb_product), &w->product, err) || !req_params_fit(r, err))
        return false;
    w->versions = req_list(r, &tcb_version);
    w->days = (int)strtol(chosen(r, &tcb_days), NULL, 10);
    w->size = (int)strtol(chosen(r, &tcb_size), NULL, 10);
    w->by_day = req_choice(r, &tcb_mode) == MODE_BY_DAY;
    w->by_build = req_choice(r, &tcb_range) == RANGE_BUILD;
    w->process_type = chosen(r, &tcb_process);
    w->report_type = chosen(r, &tcb_type);
    int64_t now = req_now_us(r);
    w->to_us = w->by_day ? now / DAY_US * DAY_US : (now / SECOND_US + 1) * SECOND_US;
    int64_t last_us;
    if (req_date(r, &tcb_end, &last_us)) { /* a ranking that says the same tomorrow */
        w->end_us = (last_us / DAY_US + 1) * DAY_US;
        w->to_us = w->end_us;
    }
    w->from_us = w->to_us - w->days * DAY_US;
    return read_platform(r, w, err);
}

/* A bound of the search, to the second. */
static const char *date_text(struct arena *a, const char *op, int64_t us)
{
    char iso[TIME_TEXT_MAX];
    time_iso(us, false, iso);
    return arena_printf(a, "%s%.19sZ", op, iso);
}

/* The same as a build id, whose digits are a time. */
static const char *build_text(struct arena *a, const char *op, int64_t us)
{
    struct civil c = civil_of_us(us);
    return arena_printf(a, "%s%04d%02d%02d%02d%02d%02d", op, c.year, c.month, c.day, c.hour,
                        c.minute, c.second);
}

void tcb_add_dates(struct query *q, int64_t from, int64_t to)
{
    query_addc(q, "date", date_text(q->a, ">=", from));
    query_addc(q, "date", date_text(q->a, "<", to));
}

/*
 * What all searches have in common.  Product and versions are matched as people write them; what
 * comes from a list of choices is meant exactly.
 */
static void add_filters(const struct tcb_wanted *w, struct query *q)
{
    query_addf(q, "product", "%s", w->product->name);
    for (size_t i = 0; i < w->versions.n; i++)
        query_add(q, "version", w->versions.v[i]);
    /* By its first word, as the columns count: crashes of Windows say "Windows NT". */
    if (w->platform)
        query_addf(q, "platform", "%.*s", (int)strcspn(w->platform, " "), w->platform);
    if (strcmp(w->report_type, "any") != 0)
        query_addf(q, "report_type", "=%s", w->report_type);
    if (strcmp(w->process_type, "any") == 0)
        return;
    if (strcmp(w->process_type, "other") != 0) {
        query_addf(q, "process_type", "=%s", w->process_type);
        return;
    }
    /* Plain negated values are one condition: none of them. */
    for (size_t i = 0; processes[i].value; i++)
        if (strcmp(processes[i].value, "any") != 0 && strcmp(processes[i].value, "other") != 0)
            query_addf(q, "process_type", "!%s", processes[i].value);
}

/* With _range_type=build the builds are those of a period as well. */
static void add_builds(const struct tcb_wanted *w, struct query *q, int64_t from, int64_t to)
{
    if (!w->by_build)
        return;
    query_addc(q, "build_id", build_text(q->a, ">=", from));
    query_addc(q, "build_id", build_text(q->a, "<", to));
}

enum period { PERIOD_NOW, PERIOD_NOW_EARLY, PERIOD_BEFORE };

/*
 * The ranking now; of the crashes within a minute of starting; and in the time before.  The early
 * ones are counted by a search of their own: a histogram of up-times inside each signature would
 * have a bucket for every minute that a program ran, and only the first is looked at.
 *
 * With _range_type=build the period is that of the builds.  Reports come in after a build was made,
 * so for the period before they are looked for up to now: else the older builds would lack the
 * reports of the newer days.
 */
static bool search(struct req *r, const struct tcb_wanted *w, enum period period, json_t **ret,
                   struct err *err)
{
    static const char *const inner[] = {
        "platform",    "is_garbage_collecting", "dom_fission_enabled",       "process_type",
        "report_type", "startup_crash",         "_cardinality.install_time",
    };
    bool before = period == PERIOD_BEFORE;
    int size = period == PERIOD_NOW ? w->size : before ? w->size * 2 : EARLY_SIGNATURES;
    struct query q = query_new(req_arena(r));
    int64_t length = w->to_us - w->from_us;
    int64_t from = before ? w->from_us - length : w->from_us, to = before ? w->from_us : w->to_us;
    add_filters(w, &q);
    tcb_add_dates(&q, from, before && w->by_build ? w->to_us : to);
    add_builds(w, &q, from, to);
    if (period == PERIOD_NOW_EARLY) {
        /* Reports without an up-time count as none of the early ones. */
        query_addc(&q, "uptime", ">=0");
        query_addf(&q, "uptime", "<%d", EARLY_S);
    }
    query_addc(&q, "_facets", "signature");
    for (size_t i = 0; period == PERIOD_NOW && i < ARRAY_LEN(inner); i++)
        query_addc(&q, "_aggs.signature", inner[i]);
    query_addf(&q, "_facets_size", "%d", size);
    query_addc(&q, "_results_number", "0");
    query_count_once(&q);
    return app_search(r, &q, (struct app_search){0}, ret, NULL, err);
}

/* How many there are besides the process that is shown: a parent alone may be the smaller part. */
static bool count_any(struct req *r, const struct tcb_wanted *w, struct tcb *t, struct err *err)
{
    json_auto_t *answer = NULL;
    struct tcb_wanted any = *w;
    struct query q = query_new(req_arena(r));
    any.process_type = "any";
    add_filters(&any, &q);
    tcb_add_dates(&q, w->from_us, w->to_us);
    add_builds(w, &q, w->from_us, w->to_us);
    query_addc(&q, "_facets_size", "0");
    query_addc(&q, "_results_number", "0");
    t->total_any = t->total;
    if (strcmp(w->process_type, "any") == 0)
        return true;
    if (!app_search(r, &q, (struct app_search){0}, &answer, NULL, err))
        return false;
    t->total_any = jget_int_or(answer, "total", 0);
    return true;
}

/* Columns of the table: all platforms, or the one that was asked for. */
static struct tcb_platforms platforms_of(const struct tcb_wanted *w)
{
    static const struct tcb_platform all[] = {
        {"Windows", "win", "Win"},
        {"Mac OS X", "mac", "Mac"},
        {"Linux", "lin", "Lin"},
        {"Android", "and", "And"},
    };
    struct tcb_platforms p = {0};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (w->platform ? strcmp(w->platform, all[i].name) == 0 : true)
            p.v[p.n++] = all[i];
    return p;
}

static int64_t count_of_term(const json_t *bucket, const char *facet, const char *term)
{
    size_t i;
    const json_t *b;
    json_array_foreach (jget_arr(jget_obj(bucket, "facets"), facet), i, b) {
        const char *text = jget_str(b, "term");
        if (text && strcmp(text, term) == 0)
            return jget_int_or(b, "count", 0);
    }
    return 0;
}

/*
 * By the beginning of the name: "Windows NT" is Windows.  The short name is that beginning, in any
 * case.
 */
static int64_t count_of_platform(const json_t *bucket, const struct tcb_platform *p)
{
    int64_t count = 0;
    size_t i;
    const json_t *b;
    json_array_foreach (jget_arr(jget_obj(bucket, "facets"), "platform"), i, b) {
        struct str term = jget_strn(b, "term");
        if (term.p && str_starts_nocase(term, str_of(p->short_name)))
            count += jget_int_or(b, "count", 0);
    }
    return count;
}

/* What a bucket of the search itself says about a signature. */
static void read_bucket(const struct tcb *t, const json_t *bucket, struct tcb_row *row)
{
    const json_t *facets = jget_obj(bucket, "facets");
    row->count = jget_int_or(bucket, "count", 0);
    row->installs = jget_int_or(jget_obj(facets, "cardinality_install_time"), "value", 0);
    row->gc = count_of_term(bucket, "is_garbage_collecting", "T");
    row->startup = count_of_term(bucket, "startup_crash", "T");
    row->plugin = count_of_term(bucket, "process_type", "plugin");
    for (size_t i = 0; i < t->platforms.n; i++)
        row->platforms[i] = count_of_platform(bucket, &t->platforms.v[i]);
}

/* A column of zeros says nothing, unless it was asked for. */
static void drop_empty_platforms(const struct tcb_wanted *w, struct tcb *t)
{
    size_t kept = 0;
    for (size_t p = 0; p < t->platforms.n; p++) {
        int64_t sum = 0;
        for (size_t i = 0; i < t->n; i++)
            sum += t->rows[i].platforms[p];
        if (sum == 0 && !w->platform)
            continue;
        for (size_t i = 0; i < t->n; i++)
            t->rows[i].platforms[kept] = t->rows[i].platforms[p];
        t->platforms.v[kept++] = t->platforms.v[p];
    }
    t->platforms.n = kept;
}

/* Signatures that are not in the ranking are passed over, here and below. */
static void read_early(struct tcb *t, const json_t *early)
{
    size_t i;
    const json_t *b;
    json_array_foreach (app_facet(early, "signature"), i, b) {
        const char *signature = jget_str(b, "term");
        for (size_t k = 0; signature && k < t->n; k++)
            if (strcmp(t->rows[k].signature, signature) == 0)
                t->rows[k].early = jget_int_or(b, "count", 0);
    }
}

/*
 * The place in the period before is that among all signatures of then.  A signature the search did
 * not list keeps rank_before 0, which pages show as new.
 */
static void read_before(struct tcb *t, const json_t *before)
{
    const json_t *buckets = app_facet(before, "signature");
    size_t i;
    const json_t *b;
    t->total_before = jget_int_or(before, "total", 0);
    json_array_foreach (buckets, i, b) {
        const char *signature = jget_str(b, "term");
        for (size_t k = 0; signature && k < t->n; k++)
            if (strcmp(t->rows[k].signature, signature) == 0) {
                t->rows[k].rank_before = (int64_t)i + 1;
                t->rows[k].count_before = jget_int_or(b, "count", 0);
            }
    }
}

struct strs tcb_signatures(struct arena *a, const struct tcb *t)
{
    struct strs s = {.v = arena_array(a, t->n + 1, sizeof *s.v)};
    for (size_t i = 0; i < t->n; i++)
        s.v[s.n++] = str_of(t->rows[i].signature);
    return s;
}

/*
 * From the table of signatures and not from the index: old weeks of the index go, a signature's
 * first day does not.
 */
static bool read_first_dates(struct req *r, struct tcb *t, struct err *err)
{
    DB_ROWS rows = {0};
    if (t->n == 0)
        return true;
    if (!DB_RUN(req_db(r), &q_web_first_dates, &rows, err,
                db_text_array(req_arena(r), tcb_signatures(req_arena(r), t))))
        return err_wrap(err, "looking up first appearances");
    for (int i = 0; i < rows.count; i++)
        for (size_t k = 0; k < t->n; k++)
            if (strcmp(t->rows[k].signature, db_col(&rows, i, Q_WEB_FIRST_DATES_COL_SIGNATURE)) ==
                0)
                t->rows[k].first_date =
                    arena_strdup(req_arena(r), db_col(&rows, i, Q_WEB_FIRST_DATES_COL_FIRST_DATE));
    return true;
}

/*
 * Ranks count the signatures only: a bucket without a text has no row.  The two other searches are
 * left out where there is nothing to compare.
 */
bool tcb_read(struct req *r, const struct tcb_wanted *w, struct tcb *t, struct err *err)
{
    json_auto_t *now = NULL, *early = NULL, *before = NULL;
    if (!search(r, w, PERIOD_NOW, &now, err))
        return false;
    const json_t *buckets = app_facet(now, "signature");
    size_t i;
    const json_t *b;
    t->platforms = platforms_of(w);
    t->rows = arena_array(req_arena(r), json_array_size(buckets) + 1, sizeof *t->rows);
    t->total = jget_int_or(now, "total", 0);
    json_array_foreach (buckets, i, b) {
        const char *signature = jget_str(b, "term");
        if (!signature)
            continue;
        struct tcb_row *row = &t->rows[t->n++];
        row->signature = arena_strdup(req_arena(r), signature);
        row->rank = (int64_t)t->n;
        read_bucket(t, b, row);
        t->covered += row->count;
        t->has_gc = t->has_gc || row->gc > 0;
    }
    if (t->n > 0) {
        if (!search(r, w, PERIOD_NOW_EARLY, &early, err) ||
            !search(r, w, PERIOD_BEFORE, &before, err))
            return false;
        read_early(t, early);
        read_before(t, before);
    }
    drop_empty_platforms(w, t);
    return count_any(r, w, t, err) && read_first_dates(r, t, err);
}
