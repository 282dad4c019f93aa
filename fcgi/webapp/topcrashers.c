#include "answer.h"
#include "base/time.h"
#include "base/util.h"
#include "chart.h"
#include "fmt.h"
#include "frame.h"
#include "pages.h"
#include "queries.h"
#include "results.h"
#include "versions.h"

/*
 * Top crashers: signatures of a product by number of reports, compared with the period before.
 * Two searches without hits; everything else is arithmetic on their facets.
 */
static const int64_t SECOND_US = 1000000, DAY_US = 86400000000;

struct wanted {
    const struct product *product;
    struct strs versions;
    int days;
    bool by_day;   /* the period ends at midnight */
    bool by_build; /* by build id as well as by date */
    const char *report_type, *process_type;
    const char *platform; /* NULL: all */
    int size;
    int64_t from_us, to_us;
    struct query query; /* as asked, for links */
};

/* ---- parameters
 * ------------------------------------------------------------------------------------ */

struct choice {
    const char *value, *label;
};
static const struct choice days_choices[] = {
    {"7", "7 days"}, {"1", "1 day"}, {"3", "3 days"}, {"14", "14 days"}, {"28", "28 days"},
};
static const struct choice mode_choices[] = {{"realtime", "Up to now"}, {"byday", "Whole days"}};
static const struct choice range_choices[] = {{"report", "Report date"}, {"build", "Build date"}};
static const struct choice type_choices[] = {
    {"crash", "Crashes"}, {"hang", "Hangs"}, {"any", "Both"}};
static const struct choice process_choices[] = {
    {"parent", "parent"}, {"any", "any"},         {"content", "content"},
    {"gpu", "gpu"},       {"plugin", "plugin"},   {"rdd", "rdd"},
    {"socket", "socket"}, {"utility", "utility"}, {"other", "other"},
};
static const struct choice size_choices[] = {
    {"50", "50"}, {"100", "100"}, {"200", "200"}, {"300", "300"}};

/* The value asked for if it is one of the choices, else the first; *ret_known says which. */
static const char *choose(struct req *r, const char *name, const struct choice *choices, size_t n,
                          bool *ret_known)
{
    struct str asked = req_param(r, name);
    *ret_known = asked.n == 0;
    for (size_t i = 0; i < n; i++)
        if (str_eq(asked, str_of(choices[i].value))) {
            *ret_known = true;
            return choices[i].value;
        }
    return choices[0].value;
}

/* Numbers: a text that is none is the caller's mistake, another number may be. */
static bool choose_number(struct req *r, const char *name, const struct choice *choices, size_t n,
                          bool only_known, int *ret, struct err *err)
{
    bool known;
    struct str asked = req_param(r, name);
    int64_t number;
    if (asked.n > 0 && !str_to_i64(asked, INT64_MIN, INT64_MAX, name, &number, NULL))
        return err_set(err, ERR_INVALID, "'%s' not a number", name);
    const char *text = choose(r, name, choices, n, &known);
    if (only_known && !known)
        return err_set(err, ERR_INVALID, "'%s' not a recognized number", name);
    *ret = (int)strtol(text, NULL, 10);
    return true;
}

static bool read_platform(struct req *r, struct wanted *w, struct err *err)
{
    struct str asked = req_param(r, "platform");
    DB_ROWS rows = {0};
    if (asked.n == 0)
        return true;
    if (!DB_RUN(req_db(r), &q_web_platforms, &rows, err))
        return err_wrap(err, "listing platforms");
    for (int i = 0; i < rows.count; i++)
        if (str_eq(asked, str_of(db_col(&rows, i, "name"))))
            w->platform = arena_strdup(req_arena(r), db_col(&rows, i, "name"));
    return true;
}

static bool read_wanted(struct req *r, struct wanted *w, struct err *err)
{
    bool known;
    w->query = query_of_request(r);
    query_drop(&w->query, "_format");
    if (!app_product(r, &w->product, err))
        return false;
    w->versions = query_all(&w->query, "version");
    if (!choose_number(r, "days", days_choices, ARRAY_LEN(days_choices), true, &w->days, err) ||
        !choose_number(r, "_facets_size", size_choices, ARRAY_LEN(size_choices), false, &w->size,
                       err))
        return false;
    const char *mode = choose(r, "_tcbs_mode", mode_choices, ARRAY_LEN(mode_choices), &known);
    const char *range = choose(r, "_range_type", range_choices, ARRAY_LEN(range_choices), &known);
    w->by_day = strcmp(mode, "byday") == 0;
    w->by_build = strcmp(range, "build") == 0;
    w->process_type =
        choose(r, "process_type", process_choices, ARRAY_LEN(process_choices), &known);
    w->report_type = choose(r, "_report_type", type_choices, ARRAY_LEN(type_choices), &known);
    if (!known)
        return err_set(err, ERR_INVALID, "'_report_type' not recognized");
    int64_t now = req_now_us(r);
    w->to_us = w->by_day ? now / DAY_US * DAY_US : (now / SECOND_US + 1) * SECOND_US;
    w->from_us = w->to_us - w->days * DAY_US;
    return read_platform(r, w, err);
}

/* ---- searches
 * --------------------------------------------------------------------------------------- */

static const char *date_text(struct arena *a, const char *op, int64_t us)
{
    char iso[TIME_TEXT_MAX];
    time_iso(us, false, iso);
    return arena_printf(a, "%s%.19sZ", op, iso);
}

static const char *build_text(struct arena *a, const char *op, int64_t us)
{
    struct civil c = civil_of_us(us);
    return arena_printf(a, "%s%04d%02d%02d%02d%02d%02d", op, c.year, c.month, c.day, c.hour,
                        c.minute, c.second);
}

static void add_dates(struct query *q, int64_t from, int64_t to)
{
    query_addc(q, "date", date_text(q->a, ">=", from));
    query_addc(q, "date", date_text(q->a, "<", to));
}

static void add_filters(const struct wanted *w, struct query *q)
{
    query_addf(q, "product", "%s", w->product->name);
    for (size_t i = 0; i < w->versions.n; i++)
        query_add(q, "version", w->versions.v[i]);
    if (w->platform)
        query_addf(q, "platform", "=%s", w->platform);
    if (strcmp(w->report_type, "any") != 0)
        query_addf(q, "report_type", "=%s", w->report_type);
    if (strcmp(w->process_type, "any") == 0)
        return;
    if (strcmp(w->process_type, "other") != 0) {
        query_addf(q, "process_type", "=%s", w->process_type);
        return;
    }
    /* Plain negated values are one condition: none of them. */
    for (size_t i = 0; i < ARRAY_LEN(process_choices); i++)
        if (strcmp(process_choices[i].value, "any") != 0 &&
            strcmp(process_choices[i].value, "other") != 0)
            query_addf(q, "process_type", "!%s", process_choices[i].value);
}

static bool search(struct req *r, const struct wanted *w, bool before, json_t **ret,
                   struct err *err)
{
    static const char *const inner[] = {
        "platform",    "is_garbage_collecting", "dom_fission_enabled", "process_type",
        "report_type", "startup_crash",         "_histogram.uptime",   "_cardinality.install_time",
    };
    struct query q = query_new(req_arena(r));
    int64_t length = w->to_us - w->from_us;
    int64_t from = before ? w->from_us - length : w->from_us, to = before ? w->from_us : w->to_us;
    add_filters(w, &q);
    add_dates(&q, from, before && w->by_build ? w->to_us : to);
    if (w->by_build) {
        query_addc(&q, "build_id", build_text(q.a, ">=", from));
        query_addc(&q, "build_id", build_text(q.a, "<", to));
    }
    query_addc(&q, "_facets", "signature");
    for (size_t i = 0; !before && i < ARRAY_LEN(inner); i++)
        query_addc(&q, "_aggs.signature", inner[i]);
    query_addc(&q, "_histogram_interval.uptime", "60");
    query_addf(&q, "_facets_size", "%d", before ? w->size * 2 : w->size);
    query_addc(&q, "_results_number", "0");
    return app_search(r, &q, (struct app_search){0}, ret, NULL, err);
}

/* ---- rows
 * ---------------------------------------------------------------------------------------------- */

struct platform {
    const char *name;
    char short_name[8]; /* win, mac, lin: how terms are matched */
    const char *label;
};

struct platforms {
    struct platform v[8];
    size_t n;
};

static struct platforms platforms_of(const struct wanted *w)
{
    static const struct platform all[] = {
        {"Windows", "win", "Win"},
        {"Mac OS X", "mac", "Mac"},
        {"Linux", "lin", "Lin"},
        {"Android", "and", "And"},
    };
    struct platforms p = {0};
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

static int64_t count_of_platform(const json_t *bucket, const struct platform *p)
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

/* Crashes within a minute of starting. */
static int64_t count_early(const json_t *bucket)
{
    size_t i;
    const json_t *b;
    json_array_foreach (jget_arr(jget_obj(bucket, "facets"), "histogram_uptime"), i, b)
        if (json_number_value(json_object_get(b, "term")) == 0)
            return jget_int_or(b, "count", 0);
    return 0;
}

struct tcb_row {
    const char *signature;
    int64_t rank, count, installs, gc, startup, early, plugin;
    int64_t rank_before; /* 0: not among them */
    int64_t count_before;
    int64_t platforms[8];
    const char *first_date; /* NULL: unknown */
};

struct tcb {
    struct tcb_row *rows;
    size_t n;
    int64_t total, total_before, covered;
    struct platforms platforms;
};

static void read_bucket(const struct tcb *t, const json_t *bucket, struct tcb_row *row)
{
    const json_t *facets = jget_obj(bucket, "facets");
    row->count = jget_int_or(bucket, "count", 0);
    row->installs = jget_int_or(jget_obj(facets, "cardinality_install_time"), "value", 0);
    row->gc = count_of_term(bucket, "is_garbage_collecting", "T");
    row->startup = count_of_term(bucket, "startup_crash", "T");
    row->plugin = count_of_term(bucket, "process_type", "plugin");
    row->early = count_early(bucket);
    for (size_t i = 0; i < t->platforms.n; i++)
        row->platforms[i] = count_of_platform(bucket, &t->platforms.v[i]);
}

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

static struct strs signatures_of(struct arena *a, const struct tcb *t)
{
    struct strs s = {.v = arena_array(a, t->n + 1, sizeof *s.v)};
    for (size_t i = 0; i < t->n; i++)
        s.v[s.n++] = str_of(t->rows[i].signature);
    return s;
}

static bool read_first_dates(struct req *r, struct tcb *t, struct err *err)
{
    DB_ROWS rows = {0};
    if (t->n == 0)
        return true;
    if (!DB_RUN(req_db(r), &q_web_first_dates, &rows, err,
                db_text_array(req_arena(r), signatures_of(req_arena(r), t))))
        return err_wrap(err, "looking up first appearances");
    for (int i = 0; i < rows.count; i++)
        for (size_t k = 0; k < t->n; k++)
            if (strcmp(t->rows[k].signature, db_col(&rows, i, "signature")) == 0)
                t->rows[k].first_date = arena_strdup(req_arena(r), db_col(&rows, i, "first_date"));
    return true;
}

static bool read_tcb(struct req *r, const struct wanted *w, struct tcb *t, struct err *err)
{
    json_auto_t *now = NULL, *before = NULL;
    if (!search(r, w, false, &now, err))
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
    }
    if (t->n > 0) {
        if (!search(r, w, true, &before, err))
            return false;
        read_before(t, before);
    }
    return read_first_dates(r, t, err);
}

/* ---- the page
 * ------------------------------------------------------------------------------------------- */

static void icon(struct html_writer *w, const char *which)
{
    static const struct {
        const char *name, *title;
    } icons[] = {
        {"flag-red", "Every crash happened while starting"},
        {"flag-yellow", "Some crashes happened while starting"},
        {"rocket", "More than half happened within a minute of starting"},
        {"brick", "Some happened in a plugin process"},
        {"window", "Crash of the program itself"},
    };
    for (size_t i = 0; i < ARRAY_LEN(icons); i++) {
        if (strcmp(icons[i].name, which) != 0)
            continue;
        struct str symbol = str_starts(str_of(which), STR("flag")) ? STR("flag") : str_of(which);
        html_raw(w, "<svg class=\"icon ");
        html_text(w, str_of(which));
        html_raw(w, "\" role=\"img\"><title>");
        html_text(w, str_of(icons[i].title));
        html_raw(w, "</title><use href=\"/static/img/icons.svg#");
        html_text(w, symbol);
        html_raw(w, "\"></use></svg>");
    }
}

static struct html icons_of(struct arena *a, const struct tcb_row *row)
{
    HTML_WRITER_AUTO w;
    html_init(&w, 4096);
    html_raw(&w, "<span class=\"icons\">");
    if (row->startup > 0)
        icon(&w, row->startup == row->count ? "flag-red" : "flag-yellow");
    if (2 * row->early > row->count)
        icon(&w, "rocket");
    if (row->plugin > 0)
        icon(&w, "brick");
    html_raw(&w, "</span>");
    return html_done(&w, a);
}

/* Place of five or more gained or lost. */
static struct html rank_html(struct arena *a, const struct tcb_row *row)
{
    HTML_WRITER_AUTO w;
    html_init(&w, 400);
    const char *change = row->rank_before ? fmt_rank_change(a, row->rank, row->rank_before) : "";
    if (*change == '+')
        html_raw(&w, " <span class=\"small up\" title=\"Places gained\">▲");
    else if (*change)
        html_raw(&w, " <span class=\"small down\" title=\"Places lost\">▼");
    if (*change) {
        html_text(&w, str_of(change + 1));
        html_raw(&w, "</span>");
    }
    return html_done(&w, a);
}

static double share(int64_t part, int64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static struct html diff_html(struct arena *a, const struct tcb *t, const struct tcb_row *row)
{
    HTML_WRITER_AUTO w;
    html_init(&w, 400);
    double diff = share(row->count, t->total) - share(row->count_before, t->total_before);
    if (!row->rank_before)
        html_raw(&w, "<span class=\"tag info\">new</span>");
    else if (diff >= 0.005)
        html_printf(&w, "<span class=\"up\">▲ %.2f</span>", diff);
    else if (diff <= -0.005)
        html_printf(&w, "<span class=\"down\">▼ %.2f</span>", -diff);
    else
        html_raw(&w, "0.00");
    return html_done(&w, a);
}

static struct str signature_url(struct arena *a, const struct wanted *w, const char *signature)
{
    struct query q = query_new(a);
    query_addc(&q, "signature", signature);
    query_addc(&q, "product", w->product->name);
    for (size_t i = 0; i < w->versions.n; i++)
        query_add(&q, "version", w->versions.v[i]);
    add_dates(&q, w->from_us, w->to_us);
    return query_url(&q, "/signature/");
}

static struct html bugs_html(struct req *r, const struct db_rows *bugs, const char *signature)
{
    HTML_WRITER_AUTO w;
    html_init(&w, 1 << 14);
    int n = 0;
    for (int i = 0; i < bugs->count && n < 5; i++) {
        if (strcmp(db_col(bugs, i, "signature"), signature) != 0)
            continue;
        if (n++ > 0)
            html_raw(&w, ", ");
        html_raw(&w, "<a href=\"");
        html_url(&w, app_bug_url(r, db_col(bugs, i, "bug_id")));
        html_raw(&w, "\">");
        html_text(&w, str_of(db_col(bugs, i, "bug_id")));
        html_raw(&w, "</a>");
    }
    return html_done(&w, req_arena(r));
}

static bool set_rows(struct req *r, struct tpl_values *v, const struct wanted *w,
                     const struct tcb *t, struct err *err)
{
    struct arena *a = req_arena(r);
    struct tpl_rows *rows = tpl_rows(v, "rows"), *heads = tpl_rows(v, "platforms");
    DB_ROWS bugs = {0};
    for (size_t i = 0; i < t->platforms.n; i++) {
        struct tpl_row *head = tpl_row_add(heads);
        tpl_row_cstr(head, t->platforms.v[i].label);
        tpl_row_cstr(head, t->platforms.v[i].name);
    }
    if (t->n > 0 &&
        !DB_RUN(req_db(r), &q_web_bugs, &bugs, err, db_text_array(a, signatures_of(a, t))))
        return err_wrap(err, "looking up bugs");
    for (size_t i = 0; i < t->n; i++) {
        const struct tcb_row *x = &t->rows[i];
        struct tpl_row *row = tpl_row_add(rows);
        tpl_row_int(row, x->rank);
        tpl_row_html(row, rank_html(a, x));
        tpl_row_cstr(row, fmt_percent(a, x->count, t->total, 2));
        tpl_row_html(row, chart_bar(a, share(x->count, t->total) / 100));
        tpl_row_html(row, diff_html(a, t, x));
        tpl_row_html(row, icons_of(a, x));
        tpl_row_url(row, signature_url(a, w, x->signature));
        tpl_row_cstr(row, x->signature);
        tpl_row_cstr(row, fmt_count(a, x->count));
        struct tpl_rows *cells = tpl_row_rows(row);
        for (size_t p = 0; p < t->platforms.n; p++)
            tpl_row_cstr(tpl_row_add(cells), fmt_count(a, x->platforms[p]));
        tpl_row_cstr(row, fmt_count(a, x->installs));
        tpl_row_cstr(row, fmt_count(a, x->gc));
        tpl_row_text(row, x->first_date ? str_sub(str_of(x->first_date), 0, 10) : STR("-"));
        tpl_row_html(row, bugs_html(r, &bugs, x->signature));
    }
    return true;
}

static void set_control(struct tpl_rows *groups, const struct wanted *w, const char *label,
                        const char *name, const struct choice *choices, size_t n,
                        const char *current)
{
    struct tpl_row *group = tpl_row_add(groups);
    tpl_row_cstr(group, label);
    struct tpl_rows *options = tpl_row_rows(group);
    for (size_t i = 0; i < n; i++) {
        struct query q = query_copy(&w->query);
        query_set(&q, name, str_of(choices[i].value));
        if (!choices[i].value[0])
            query_drop(&q, name);
        struct tpl_row *row = tpl_row_add(options);
        tpl_row_cstr(row, choices[i].label);
        tpl_row_url(row, query_url(&q, "/topcrashers/"));
        tpl_row_int(row, strcmp(choices[i].value, current) == 0);
    }
}

static void set_controls(struct tpl_values *v, const struct wanted *w)
{
    static const struct choice platform_choices[] = {
        {"", "All"},        {"Windows", "Windows"}, {"Mac OS X", "Mac OS X"},
        {"Linux", "Linux"}, {"Android", "Android"}, {"Unknown", "Unknown"},
    };
    struct arena *a = w->query.a;
    struct tpl_rows *g = tpl_rows(v, "controls");
    set_control(g, w, "Period", "days", days_choices, ARRAY_LEN(days_choices),
                arena_printf(a, "%d", w->days));
    set_control(g, w, "Ending", "_tcbs_mode", mode_choices, ARRAY_LEN(mode_choices),
                w->by_day ? "byday" : "realtime");
    set_control(g, w, "By", "_range_type", range_choices, ARRAY_LEN(range_choices),
                w->by_build ? "build" : "report");
    set_control(g, w, "Reports", "_report_type", type_choices, ARRAY_LEN(type_choices),
                w->report_type);
    set_control(g, w, "Process", "process_type", process_choices, ARRAY_LEN(process_choices),
                w->process_type);
    set_control(g, w, "Platform", "platform", platform_choices, ARRAY_LEN(platform_choices),
                w->platform ? w->platform : "");
    set_control(g, w, "Show", "_facets_size", size_choices, ARRAY_LEN(size_choices),
                arena_printf(a, "%d", w->size));
}

static bool send_page(struct req *r, const struct wanted *w, const struct tcb *t, struct err *err)
{
    struct arena *a = req_arena(r);
    const char *version = w->versions.n ? str_adup(a, w->versions.v[0]) : NULL;
    const char *period =
        arena_printf(a, "%s through %s.", fmt_time(a, w->from_us), fmt_time(a, w->to_us));
    const struct frame frame = {
        .title = arena_printf(a, "Top crashers of %s", w->product->name),
        .nav = "topcrashers",
        .product = w->product,
        .version = version,
    };
    struct tpl_values *v = frame_new(r, &frame);
    tpl_bool(v, "has_rows", t->n > 0);
    tpl_cstr(v, "heading",
             t->n ? arena_printf(a, "Top %zu Crashing Signatures", t->n) : "No crashes found");
    if (t->n > 0)
        period = arena_printf(a, "%s The report covers %s (%s%%) of all %s crashes.", period,
                              fmt_count(a, t->covered), fmt_percent(a, t->covered, t->total, 2),
                              fmt_count(a, t->total));
    tpl_cstr(v, "period", period);
    set_controls(v, w);
    return set_rows(r, v, w, t, err) && frame_send(r, 200, "topcrashers.html", v, err);
}

/* _format=json: the same numbers for programs. */
static bool send_json(struct req *r, const struct wanted *w, const struct tcb *t, struct err *err)
{
    char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
    json_auto_t *body = json_object();
    json_t *rows = json_array();
    time_iso(w->from_us, false, from);
    time_iso(w->to_us, false, to);
    json_set_cstr(body, "product", w->product->name);
    json_set_cstr(body, "from", from);
    json_set_cstr(body, "to", to);
    json_set_int(body, "total", t->total);
    json_set_int(body, "total_before", t->total_before);
    json_object_set_new(body, "signatures", rows);
    for (size_t i = 0; i < t->n; i++) {
        const struct tcb_row *x = &t->rows[i];
        json_t *row = json_object(), *platforms = json_object();
        json_set_cstr(row, "signature", x->signature);
        json_set_int(row, "rank", x->rank);
        if (x->rank_before)
            json_set_int(row, "rank_before", x->rank_before);
        json_set_int(row, "count", x->count);
        json_set_int(row, "count_before", x->count_before);
        json_set_int(row, "installs", x->installs);
        json_set_int(row, "startup", x->startup);
        json_set_int(row, "garbage_collecting", x->gc);
        json_set_cstr(row, "first_date", x->first_date);
        for (size_t p = 0; p < t->platforms.n; p++)
            json_set_int(platforms, t->platforms.v[p].short_name, x->platforms[p]);
        json_object_set_new(row, "platforms", platforms);
        json_array_append_new(rows, row);
    }
    return answer_json(r, 200, body, err);
}

/* Without a version: the first one of the product, if it has any. */
static bool redirect_to_version(struct req *r, const struct wanted *w)
{
    const struct version_list *l = versions_of(r, w->product);
    if (w->versions.n > 0 || l->n == 0 || req_param(r, "version").p)
        return false;
    struct query q = query_copy(&w->query);
    if (!query_get(&q, "product").p)
        query_addc(&q, "product", w->product->name);
    query_addc(&q, "version", l->v[0].text);
    return resp_redirect(r, 302, query_url(&q, "/topcrashers/"));
}

/* GET /topcrashers/ */
bool topcrashers_get(struct req *r, struct err *err)
{
    struct wanted w = {0};
    struct tcb t = {0};
    if (!read_wanted(r, &w, err))
        return false;
    if (redirect_to_version(r, &w))
        return true;
    if (!read_tcb(r, &w, &t, err))
        return false;
    if (str_eq(req_param(r, "_format"), STR("json")))
        return send_json(r, &w, &t, err);
    return send_page(r, &w, &t, err);
}
