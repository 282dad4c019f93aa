#include "fcgi/webapp/topcrashers.h"

#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/chart.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/live_versions.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "queries.h"

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

static struct html bugs_html(struct req *r, const struct db_rows *bugs, const char *signature)
{
    HTML_WRITER_AUTO w;
    html_init(&w, 1 << 14);
    int n = 0;
    for (int i = 0; i < bugs->count && n < 5; i++) {
        if (strcmp(db_col(bugs, i, Q_WEB_BUGS_COL_SIGNATURE), signature) != 0)
            continue;
        if (n++ > 0)
            html_raw(&w, ", ");
        html_raw(&w, "<a href=\"");
        html_url(&w, app_bug_url(r, db_col(bugs, i, Q_WEB_BUGS_COL_BUG_ID)));
        html_raw(&w, "\">");
        html_text(&w, str_of(db_col(bugs, i, Q_WEB_BUGS_COL_BUG_ID)));
        html_raw(&w, "</a>");
    }
    return html_done(&w, req_arena(r));
}

static bool set_rows(struct req *r, struct tpl_values *v, const struct tcb_wanted *w,
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
        !DB_RUN(req_db(r), &q_web_bugs, &bugs, err, db_text_array(a, tcb_signatures(a, t))))
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

static void set_control(struct tpl_rows *groups, const struct tcb_wanted *w, const char *label,
                        const char *name, const struct param_choice *choices, const char *current)
{
    struct tpl_row *group = tpl_row_add(groups);
    tpl_row_cstr(group, label);
    struct tpl_rows *options = tpl_row_rows(group);
    for (size_t i = 0; choices[i].value; i++) {
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
    struct tpl_rows *groups = tpl_rows(v, "controls");
    for (size_t i = 0; i < ARRAY_LEN(controls); i++)
        set_control(groups, w, controls[i].label, controls[i].param->name, controls[i].choices,
                    controls[i].current);
}

static bool send_page(struct req *r, const struct tcb_wanted *w, const struct tcb *t,
                      struct err *err)
{
    struct arena *a = req_arena(r);
    const char *version = w->versions.n ? str_adup(a, w->versions.v[0]) : NULL;
    const char *period =
        arena_printf(a, "%s through %s.", fmt_time(a, w->from_us), fmt_time(a, w->to_us));
    const struct layout layout = {
        .title = arena_printf(a, "Top crashers of %s", w->product->name),
        .nav = "topcrashers",
        .product = w->product,
        .version = version,
    };
    struct tpl_values *v = layout_new(r, &layout);
    tpl_bool(v, "has_rows", t->n > 0);
    tpl_cstr(v, "heading",
             t->n ? arena_printf(a, "Top %zu Crashing Signatures", t->n) : "No crashes found");
    if (t->n > 0)
        period = arena_printf(a, "%s The report covers %s (%s%%) of all %s crashes.", period,
                              fmt_count(a, t->covered), fmt_percent(a, t->covered, t->total, 2),
                              fmt_count(a, t->total));
    tpl_cstr(v, "period", period);
    set_controls(v, w);
    return set_rows(r, v, w, t, err) && layout_send(r, 200, "topcrashers.html", v, err);
}

/* _format=json: the same numbers for programs. */
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

/* Without a version: the first one of the product, if it has any. */
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

/* GET /topcrashers/ */
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
    return send_page(r, &w, &t, err);
}
