/*
 * /topcrashers/ as a page and as JSON: the signatures of a product by number of reports.  What is
 * counted, and against which period before, is decided in topcrashers_data.c; here the numbers
 * become rows.  A page of 200 signatures takes 17 ms, its three searches over 4,000 reports
 * included.
 */
#include "fcgi/webapp/topcrashers.h"

#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/chart.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/live_versions.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/results_facets.h"
#include "lib/base/arena.h"
#include "lib/base/csv.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

/* A mark before the signature; its title says in words what the picture means. */
static void add_icon(struct tpl_rows *icons, const char *name, const char *symbol,
                     const char *title)
{
    struct tpl_row *row = tpl_row_add(icons);
    tpl_col_cstr(row, ICON_NAME, name);
    tpl_col_cstr(row, ICON_SYMBOL, symbol);
    tpl_col_cstr(row, ICON_TITLE, title);
}

/*
 * What the reports of a signature have in common, at a glance.  `early` are those within a minute
 * of starting, which is longer than a start takes: hence half of them, and not one, make a mark.
 */
static void set_icons(struct tpl_row *row, const struct tcb_row *x)
{
    struct tpl_rows *icons = tpl_col_rows(row, CRASHER_ICONS);
    /* Red and yellow are one mark in two strengths: never both. */
    if (x->startup > 0 && x->startup == x->count)
        add_icon(icons, "flag-red", "flag", "Every crash happened while starting");
    else if (x->startup > 0)
        add_icon(icons, "flag-yellow", "flag", "Some crashes happened while starting");
    if (2 * x->early > x->count)
        add_icon(icons, "rocket", "rocket", "More than half happened within a minute of starting");
    if (x->plugin > 0)
        add_icon(icons, "brick", "brick", "Some happened in a plugin process");
}

/*
 * What the numbers of a row say in a word.  Twice as many as before is rising, of enough crashes
 * that it is no chance; one installation that crashes again and again is that machine's trouble.
 */
static void set_badges(struct arena *a, struct tpl_row *row, const struct tcb_row *x)
{
    enum { RISING_MIN = 10, SINGLE_MIN = 3 };
    struct tpl_rows *badges = tpl_col_rows(row, CRASHER_BADGES);
    if (x->count_before > 0 && x->count >= RISING_MIN && x->count >= 2 * x->count_before)
        tpl_col_cstr(tpl_row_add(badges), BADGE_TEXT, "rising");
    if (x->installs == 1 && x->count >= SINGLE_MIN)
        tpl_col_cstr(tpl_row_add(badges), BADGE_TEXT, "single machine");
    if (x->startup > 0)
        tpl_col_cstr(tpl_row_add(badges), BADGE_TEXT,
                     arena_printf(a, "start-up %s %%", fmt_percent(a, x->startup, x->count, 0)));
}

/* Places gained or lost, of five or more; a signature that is new has none to compare with. */
static void set_rank(struct arena *a, struct tpl_row *row, const struct tcb_row *x)
{
    const char *change = x->rank_before ? fmt_rank_change(a, x->rank, x->rank_before) : "";
    tpl_col_int(row, CRASHER_RANK, x->rank);
    tpl_col_cstr(row, CRASHER_GAINED, *change == '+' ? change + 1 : "");
    tpl_col_cstr(row, CRASHER_LOST, *change && *change != '+' ? change + 1 : "");
}

/* 0 of a period without crashes. */
static double percent(int64_t part, int64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

/* How the share of all crashes has changed, in percentage points; less than 0.005 is no change. */
static void set_share(struct arena *a, struct tpl_row *row, const struct tcb *t,
                      const struct tcb_row *x)
{
    double diff = percent(x->count, t->total) - percent(x->count_before, t->total_before);
    tpl_col_cstr(row, CRASHER_PERCENT, fmt_percent(a, x->count, t->total, 2));
    tpl_col_cstr(row, CRASHER_SHARE, chart_share(a, x->count, t->total));
    tpl_col_cstr(row, CRASHER_DIFF, arena_printf(a, "%.4f", diff));
    tpl_col_bool(row, CRASHER_IS_NEW, !x->rank_before);
    tpl_col_cstr(row, CRASHER_RISE, diff >= 0.005 ? arena_printf(a, "%.2f", diff) : "");
    tpl_col_cstr(row, CRASHER_FALL, diff <= -0.005 ? arena_printf(a, "%.2f", -diff) : "");
}

/* To the signature report over the same product, versions and days. */
static struct str signature_url(struct arena *a, const struct tcb_wanted *w, const char *signature)
{
    struct query q = query_new(a);
    query_addc(&q, "signature", signature);
    query_addc(&q, "product", w->product->name);
    for (size_t i = 0; i < w->versions.n; i++)
        query_add(&q, "version", w->versions.v[i]);
    tcb_add_dates(&q, w->from_us, w->to_us);
    return query_url(&q, "/signature/");
}

/*
 * One row.  Five bugs are enough to see that somebody is at work; the signature report has them
 * all.
 */
static void set_crasher(struct req *r, struct tpl_row *row, const struct tcb_wanted *w,
                        const struct tcb *t, const struct tcb_row *x, const struct db_rows *bugs)
{
    enum { BUGS_SHOWN = 5 }; /* two lines of a narrow column; the signature page has all */
    struct arena *a = req_arena(r);
    set_rank(a, row, x);
    set_share(a, row, t, x);
    set_icons(row, x);
    set_badges(a, row, x);
    tpl_col_url(row, CRASHER_URL, signature_url(a, w, x->signature));
    tpl_col_cstr(row, CRASHER_SIGNATURE, x->signature);
    tpl_col_cstr(row, CRASHER_COUNT, human_count(a, x->count));
    struct tpl_rows *platforms = tpl_col_rows(row, CRASHER_PLATFORMS);
    for (size_t p = 0; p < t->platforms.n; p++)
        tpl_col_cstr(tpl_row_add(platforms), PLATFORM_COUNT_COUNT, human_count(a, x->platforms[p]));
    tpl_col_cstr(row, CRASHER_INSTALLS, human_count(a, x->installs));
    tpl_col_cstr(row, CRASHER_GC, t->has_gc ? human_count(a, x->gc) : "");
    tpl_col_text(row, CRASHER_FIRST_DATE,
                 x->first_date ? str_sub(str_of(x->first_date), 0, 10) : STR("-"));
    results_add_bugs(r, tpl_col_rows(row, CRASHER_BUGS), bugs, str_of(x->signature), BUGS_SHOWN);
}

/* One query for the bugs of all signatures: a query for each would be 300 for the longest page. */
static bool set_rows(struct req *r, struct tpl_values *v, const struct tcb_wanted *w,
                     const struct tcb *t, struct err *err)
{
    struct arena *a = req_arena(r);
    struct tpl_rows *rows = tpl_list(v, LIST_CRASHERS), *heads = tpl_list(v, LIST_PLATFORMS);
    DB_ROWS bugs = {0};
    for (size_t i = 0; i < t->platforms.n; i++) {
        struct tpl_row *head = tpl_row_add(heads);
        tpl_col_cstr(head, PLATFORM_LABEL, t->platforms.v[i].label);
        tpl_col_cstr(head, PLATFORM_NAME, t->platforms.v[i].name);
    }
    if (t->n > 0 &&
        !DB_RUN(req_db(r), &q_web_bugs, &bugs, err, db_text_array(a, tcb_signatures(a, t)),
                db_bool(req_user(r)->is_logged_in)))
        return err_wrap(err, "looking up bugs");
    for (size_t i = 0; i < t->n; i++)
        set_crasher(r, tpl_row_add(rows), w, t, &t->rows[i], &bugs);
    return true;
}

/*
 * A group of links that change one parameter and keep the others.  A choice with an empty value is
 * said by leaving the parameter out, so that an address says only what differs from the default.
 */
static void set_control(struct tpl_rows *groups, const struct tcb_wanted *w, const char *label,
                        const char *name, const struct param_choice *choices, const char *current)
{
    struct tpl_row *group = tpl_row_add(groups);
    tpl_col_cstr(group, CONTROL_LABEL, label);
    struct tpl_rows *options = tpl_col_rows(group, CONTROL_OPTIONS);
    for (size_t i = 0; choices[i].value; i++) {
        struct query q = query_copy(&w->query);
        query_set(&q, name, str_of(choices[i].value));
        if (!choices[i].value[0])
            query_drop(&q, name);
        site_add_choice(options, choices[i].label, query_url(&q, "/topcrashers/"),
                        strcmp(choices[i].value, current) == 0);
    }
}

/*
 * What can be chosen, and what is chosen now.  The choices are those that the parameters are
 * checked with, so the page cannot offer what is refused; platforms alone are listed here, since
 * that parameter takes any name the database knows (read_platform).
 */
static void set_controls(struct tpl_values *v, const struct tcb_wanted *w)
{
    static const struct param_choice platforms[] = {
        {"", "All"},
        {"Windows", "Windows"},
        {"Mac OS X", "Mac OS X"},
        {"Linux", "Linux"},
        {"Android", "Android"},
        {"Unknown", "Unknown"},
        {0},
    };
    struct arena *a = w->query.a;
    const struct {
        const char *label;
        const struct param_spec *param;
        const struct param_choice *choices;
        const char *current;
    } controls[] = {
        {"Period", &tcb_days, tcb_days.choices, arena_printf(a, "%d", w->days)},
        {"Ending", &tcb_mode, tcb_mode.choices, w->by_day ? "byday" : "realtime"},
        {"By", &tcb_range, tcb_range.choices, w->by_build ? "build" : "report"},
        {"Reports", &tcb_type, tcb_type.choices, w->report_type},
        {"Process", &tcb_process, tcb_process.choices, w->process_type},
        {"Platform", &tcb_platform, platforms, w->platform ? w->platform : ""},
        {"Show", &tcb_size, tcb_size.choices, arena_printf(a, "%d", w->size)},
    };
    struct tpl_rows *groups = tpl_list(v, LIST_CONTROLS);
    for (size_t i = 0; i < ARRAY_LEN(controls); i++)
        set_control(groups, w, controls[i].label, controls[i].param->name, controls[i].choices,
                    controls[i].current);
}

/* The day the period ends with, and what a form that asks for another one must keep. */
static void set_end(struct tpl_values *v, const struct tcb_wanted *w)
{
    struct tpl_rows *kept = tpl_list(v, LIST_KEPT_PARAMETERS);
    for (size_t i = 0; i < w->query.n; i++) {
        if (str_eq(w->query.v[i].name, str_of(tcb_end.name)))
            continue;
        struct tpl_row *row = tpl_row_add(kept);
        tpl_col_text(row, PARAMETER_NAME, w->query.v[i].name);
        tpl_col_text(row, PARAMETER_VALUE, w->query.v[i].value);
    }
    tpl_cstr(v, "end_day", w->end_us ? human_day(w->query.a, w->end_us - DAY_US) : "");
}

/*
 * The heading counts what is shown; the sentence below says what share of all crashes that is,
 * because a ranking that covers a tenth of them is read in another way than one that covers all.
 */
static bool send_page(struct req *r, const struct tcb_wanted *w, const struct tcb *t,
                      struct err *err)
{
    struct arena *a = req_arena(r);
    const char *period =
        arena_printf(a, "%s through %s.", human_time(a, w->from_us), human_time(a, w->to_us));
    const struct layout layout = {
        .title = arena_printf(a, "Top crashers of %s", w->product->name),
        .nav = "topcrashers",
        .product = w->product,
        .versions = w->versions,
    };
    struct tpl_values *v = layout_new(r, &layout);
    tpl_bool(v, "has_rows", t->n > 0);
    tpl_bool(v, "has_gc", t->has_gc);
    tpl_cstr(v, "heading",
             t->n ? arena_printf(a, "Top %zu Crashing Signatures", t->n) : "No crashes found");
    if (t->n > 0)
        period = arena_printf(a, "%s The report covers %s (%s%%) of all %s crashes.", period,
                              human_count(a, t->covered), fmt_percent(a, t->covered, t->total, 2),
                              human_count(a, t->total));
    tpl_cstr(v, "period", period);
    tpl_cstr(v, "process_note",
             t->total_any == t->total
                 ? ""
                 : arena_printf(a, "%s process only (%s of %s)", w->process_type,
                                human_count(a, t->total), human_count(a, t->total_any)));
    struct query csv = query_copy(&w->query);
    query_addc(&csv, tcb_format.name, "csv");
    tpl_url(v, "csv_url", query_url(&csv, "/topcrashers/"));
    set_end(v, w);
    set_controls(v, w);
    return set_rows(r, v, w, t, err) && layout_send(r, 200, "topcrashers.html", v, err);
}

/*
 * _format=json: the same numbers for programs. rank_before is left out of a new signature, since 0
 * would sort as the best rank of all; first_date is null for what the table of signatures does not
 * know yet.
 */
static bool send_json(struct req *r, const struct tcb_wanted *w, const struct tcb *t,
                      struct err *err)
{
    char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
    json_auto_t *body = json_object();
    json_t *rows = json_array();
    time_iso(w->from_us, false, from);
    time_iso(w->to_us, false, to);
    jset_cstr(body, "product", w->product->name);
    jset_cstr(body, "from", from);
    jset_cstr(body, "to", to);
    jset_int(body, "total", t->total);
    jset_int(body, "total_before", t->total_before);
    json_object_set_new(body, "signatures", rows);
    for (size_t i = 0; i < t->n; i++) {
        const struct tcb_row *x = &t->rows[i];
        json_t *row = json_object(), *platforms = json_object();
        jset_cstr(row, "signature", x->signature);
        jset_int(row, "rank", x->rank);
        if (x->rank_before)
            jset_int(row, "rank_before", x->rank_before);
        jset_int(row, "count", x->count);
        jset_int(row, "count_before", x->count_before);
        jset_int(row, "installs", x->installs);
        jset_int(row, "startup", x->startup);
        jset_int(row, "garbage_collecting", x->gc);
        jset_cstr(row, "first_date", x->first_date);
        for (size_t p = 0; p < t->platforms.n; p++)
            jset_int(platforms, t->platforms.v[p].short_name, x->platforms[p]);
        json_object_set_new(row, "platforms", platforms);
        json_array_append_new(rows, row);
    }
    return answer_json(r, 200, body, err);
}

/* _format=csv: a row for each signature, for spreadsheets. */
static bool send_csv(struct req *r, const struct tcb *t, struct err *err)
{
    enum { ROW_MAX = 8 << 10 }; /* a signature has at most 255 characters, a number 20 digits */
    STRBUF_AUTO out;
    sb_init(&out, (t->n + 1) * ROW_MAX);
    sb_text(&out, "rank,signature,count,percent,rank_before,count_before,installs,startup,"
                  "garbage_collecting,first_date");
    for (size_t p = 0; p < t->platforms.n; p++)
        sb_printf(&out, ",%s", t->platforms.v[p].short_name);
    sb_text(&out, "\r\n");
    for (size_t i = 0; i < t->n; i++) {
        const struct tcb_row *x = &t->rows[i];
        sb_printf(&out, "%lld,", (long long)x->rank);
        csv_put_guarded(&out, str_of(x->signature));
        sb_printf(&out, ",%lld,%.2f,", (long long)x->count, percent(x->count, t->total));
        if (x->rank_before)
            sb_printf(&out, "%lld", (long long)x->rank_before);
        sb_printf(&out, ",%lld,%lld,%lld,%lld,%s", (long long)x->count_before,
                  (long long)x->installs, (long long)x->startup, (long long)x->gc,
                  x->first_date ? x->first_date : "");
        for (size_t p = 0; p < t->platforms.n; p++)
            sb_printf(&out, ",%lld", (long long)x->platforms[p]);
        sb_text(&out, "\r\n");
    }
    resp_header(r, "Content-Disposition", STR("attachment; filename=\"topcrashers.csv\""));
    if (out.overflow)
        return err_set(err, ERR_INTERNAL, "the ranking does not fit into %zu bytes", out.max);
    return resp_bytes(r, 200, "text/csv; charset=utf-8", str_copy(req_arena(r), sb_view(&out)));
}

/*
 * Without a version: the first one of the product, if it has any, by a redirect, so that the
 * address in the browser says what is shown.  Who sends an empty version wants all of them.
 */
static bool redirect_to_version(struct req *r, const struct tcb_wanted *w)
{
    const struct live_versions *l = live_versions_of(r, w->product);
    if (w->versions.n > 0 || l->n == 0 || req_is_sent(r, &tcb_version))
        return false;
    struct query q = query_copy(&w->query);
    if (!query_get(&q, "product").p)
        query_addc(&q, "product", w->product->name);
    query_addc(&q, "version", l->v[0].text);
    return resp_redirect(r, 302, query_url(&q, "/topcrashers/"));
}

/*
 * GET /topcrashers/.  Parameters are refused here and not by the runner (ROUTE_OWN_REFUSAL): an
 * unknown product is a 404 whatever else is wrong.
 */
bool topcrashers_get(struct req *r, struct err *err)
{
    struct tcb_wanted w = {0};
    struct tcb t = {0};
    if (!tcb_read_wanted(r, &w, err))
        return false;
    if (redirect_to_version(r, &w))
        return true;
    if (!tcb_read(r, &w, &t, err))
        return false;
    if (req_choice(r, &tcb_format) == TCB_FORMAT_JSON)
        return send_json(r, &w, &t, err);
    if (req_choice(r, &tcb_format) == TCB_FORMAT_CSV)
        return send_csv(r, &t, err);
    return send_page(r, &w, &t, err);
}
